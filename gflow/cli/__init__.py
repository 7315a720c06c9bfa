"""The command line: parse, call, print.  Results on stdout, everything else on stderr; exit codes as in the README.

What a command needs is loaded when it is run, so that `gflow --help` costs nothing.
"""

from gflow.cli import comparison, findings, runs  # noqa: F401  their commands join the group
from gflow.cli.group import main

__all__ = ["main"]
