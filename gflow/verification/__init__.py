"""Can a run be trusted?  Its file against itself, against exact identities, and against the flow integrated again."""
