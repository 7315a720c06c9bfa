"""The option --eta, which takes several step sizes: repeated, or in one word with commas."""

from __future__ import annotations

import click

FORM = "--eta 0.1 --eta 0.05, or --eta 0.1,0.05"


class WithStepSizes(click.Command):
    """A command in which step sizes may have been given with spaces between them, where other words do not fit."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            if "--eta" in given and "unexpected extra argument" in error.message:
                raise click.UsageError(f"{error.message}; several step sizes are {FORM}", error.ctx) from None
            raise


def _numbers(ctx: click.Context, param: click.Parameter, words: tuple[str, ...]) -> tuple[float, ...]:
    try:
        return tuple(float(number) for word in words for number in word.split(","))
    except ValueError as error:
        raise click.BadParameter(f"{error}; write {FORM}", ctx, param) from None


eta_option = click.option(
    "--eta",
    "etas",
    multiple=True,
    callback=_numbers,
    metavar="FLOAT",
    help="Step size; repeatable, or 0.1,0.05 [default: the scenario's].",
)
