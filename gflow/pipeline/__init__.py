"""The pipeline, the one place that wires the rooms together; the command line and `import gflow` call its modules.

Nothing is imported here: a command loads what it needs, and no more.
"""
