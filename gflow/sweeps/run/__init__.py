"""One run of a sweep, and the row that it becomes."""
