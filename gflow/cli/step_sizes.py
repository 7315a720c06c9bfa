"""The option --eta, which takes several step sizes: repeated, or in one word with commas."""

from __future__ import annotations

from typing import Any

import click

FORM = "--eta 0.1 --eta 0.05, or --eta 0.1,0.05"


class _StepSizes(click.ParamType):
    """Numbers with commas between them."""

    name = "float[,float...]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        try:
            return tuple(float(word) for word in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is no step size; write {FORM}", param, ctx)


class WithStepSizes(click.Command):
    """A command in which step sizes may have been given with spaces between them, where other words do not fit."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            if "--eta" in given and "unexpected extra argument" in error.message:
                error.message += f"; several step sizes are {FORM}"
            raise


def _joined(ctx: click.Context, param: click.Parameter, groups: tuple[tuple[float, ...], ...]) -> tuple[float, ...]:
    return tuple(eta for group in groups for eta in group)


eta_option = click.option(
    "--eta",
    "etas",
    multiple=True,
    type=_StepSizes(),
    callback=_joined,
    metavar="FLOAT",
    help="Step size; repeatable, or 0.1,0.05 [default: the scenario's].",
)
