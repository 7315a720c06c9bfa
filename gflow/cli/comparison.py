"""The command that sets descent beside the flow: compare."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gflow.cli.group import EXIT_LIMIT, main, warn
from gflow.cli.step_sizes import WithStepSizes, eta_option

if TYPE_CHECKING:
    from gflow.comparison.result import Comparison
    from gflow.trajectory import Trajectory


@main.command(cls=WithStepSizes)
@click.argument("path", type=click.Path(path_type=Path))
@eta_option
@click.option("--until-time", type=float, help="End time t [default: the scenario's, or the flow's].")
@click.option("--sgd", "--batch", "sgd", type=int, metavar="BATCH", help="Batches of this size, drawn [default: none].")
@click.option("--seed", type=int, help="Seed of the batches [default: the scenario's].")
@click.option("--seeds", metavar="LIST", help="Run every step size with batches of each of these: 0..9, or 3,5,8.")
@click.option("--replacement", is_flag=True, default=None, help="Draw the samples of a batch independently.")
@click.option("--stream", is_flag=True, default=None, help="Take each sample once, in the order of the data.")
@click.option("--at-kink", metavar="SLOPE", help="phi' where z = 0: slope (default), 1/2 or a number from 0 to 1.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", help="Where descent runs.")
@click.option(
    "--precision", type=click.Choice(["double", "single"]), help="Of descent [default: the scenario's, or double]."
)
@click.option("--resume", is_flag=True, help="Go on with the same comparison, which was interrupted or killed.")
@click.option("--modified", is_flag=True, help="Also beside the flow of L + eta/4 |grad L|^2 (smooth activations).")
@click.option("--json", "as_json", is_flag=True, help="Print what comparison.json holds.")
def compare(
    path: Path, etas: tuple[float, ...], until_time: float | None, resume: bool, as_json: bool, **how: Any
) -> None:  # Any: how descent is done, options that `gflow.compare` takes under the same names
    """Set gradient descent beside the flow: where, when and why does it depart?

    PATH is a run folder, its trajectory.h5, or a scenario file, which is simulated first if outputs/<name> has no run.
    Step k of size eta is at t = eta k.  Results go to comparison.json and descent.h5 in the run folder, too.

    One that was interrupted or killed goes on with the same command and --resume, to the same bits.  Exit codes:
    0 done; 2 bad input; 3 the flow was stopped by a limit; 130 interrupted, what was reached is saved.
    """
    from gflow.pipeline.comparison import compare as run
    from gflow.report.comparison import ComparisonPrinter, comparison_text

    trajectory = _run_to_compare(path, etas, until_time, resume)
    with ComparisonPrinter(sys.stderr, sys.stderr.isatty()) as printer:
        found = run(trajectory, etas or None, until_time=until_time, progress=printer, resume=resume, say=warn, **how)
    _show(found, None if as_json else comparison_text(found, trajectory))


def _run_to_compare(path: Path, etas: tuple[float, ...], until_time: float | None, resume: bool) -> Trajectory:
    """The run at PATH, simulated first where PATH is a scenario."""
    from gflow.pipeline.comparison import run_of
    from gflow.report.progress import ProgressPrinter

    with ProgressPrinter(sys.stderr, sys.stderr.isatty()) as printer:
        return run_of(path, etas or None, until_time, printer, resume)


def _show(found: Comparison, text: str | None) -> None:
    """A comparison on stdout, as this text or (None) as JSON; its warnings on stderr; and the exit code."""
    for warning in found.warnings:
        click.echo(f"gflow: {warning}", err=True)
    click.echo(json.dumps(found.to_json(), indent=2, allow_nan=False) if text is None else text)
    if found.stopped_early:
        click.get_current_context().exit(EXIT_LIMIT)
