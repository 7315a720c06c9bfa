"""The verification of a run: its file against itself, against exact identities, and against the flow integrated
again."""
