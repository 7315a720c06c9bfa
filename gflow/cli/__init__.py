"""The command line, which parses, calls and prints.  Results go to stdout, everything else to stderr; the README lists
the exit codes.

Each command imports what it needs only when it is run, so that `gflow --help` is fast.
"""

from gflow.cli import comparison, descent, findings, papers, runs, sweeps  # noqa: F401  their commands join the group
from gflow.cli.group import main

__all__ = ["main"]
