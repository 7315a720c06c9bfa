"""The group of all commands, which turns foreseen errors into one line and an exit code."""

from __future__ import annotations

import sys
from typing import Any

import click

from gflow.console import printable, reason, whole_streams
from gflow.errors import GflowError

EXIT_FAILED = EXIT_NOT_VERIFIED = 1
EXIT_LIMIT, EXIT_UNPRINTED, EXIT_INTERRUPTED = 3, 4, 130


class _Commands(click.Group):
    """A group that turns foreseen errors into one line and an exit code, never a traceback."""

    def main(self, *args: Any, **kwargs: Any) -> Any:  # Any: click's own signature
        """Run a command.  One that was done, but could not print its result, exits with `EXIT_UNPRINTED`."""
        with whole_streams() as results:
            try:
                return super().main(*args, **kwargs)
            except SystemExit as end:
                sys.stdout.flush()
                if end.code or results.error is None:
                    raise
                if why := reason(results.error):
                    click.echo(f"gflow: standard output: {why}; not all is printed, what is saved is whole", err=True)
                raise SystemExit(EXIT_UNPRINTED) from None

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except GflowError as error:
            click.echo(f"gflow: {printable(error)}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt as stop:
            click.echo(f"gflow: {printable(stop) or 'interrupted'}", err=True)
            ctx.exit(EXIT_INTERRUPTED)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gflow")
def main() -> None:
    """Gradient flow of (leaky) ReLU networks: exact through kinks, to infinite time."""


def note(text: str) -> None:
    """Print one line on stderr."""
    click.echo(printable(text), err=True)


def warn(text: str) -> None:
    """Print one line on stderr that names gflow as its source."""
    note(f"gflow: {text}")
