"""`python -m gflow` is the command `gflow`."""

from gflow.cli import main

main(prog_name="gflow")
