"""The command that runs gradient descent alone: descend."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gflow.cli.group import main, note, warn
from gflow.cli.step_sizes import WithStepSizes, eta_option

if TYPE_CHECKING:
    from gflow.scenario import Scenario
    from gflow.trajectory import Trajectory


@main.command(cls=WithStepSizes)
@click.argument("path", type=click.Path(path_type=Path))
@eta_option
@click.option("--steps", type=int, help="Number of steps of every run.")
@click.option("--until-time", type=float, help="End time t = eta * steps [default: the flow's].")
@click.option("--until-log-loss", type=float, help="End at the first row with log L at most this.")
@click.option("--schedule", metavar="RULE", help="Instead of --eta: log_squared:first=0.1,factor=0.02.")
@click.option("--batch", type=int, help="Samples of a step [default: all].")
@click.option("--replacement", is_flag=True, default=None, help="Draw the samples of a batch independently.")
@click.option("--stream", is_flag=True, default=None, help="Take each sample once, in the order of the data.")
@click.option("--momentum", type=float, help="Of the heavy ball, in (0, 1), as in torch.optim.SGD [default: none].")
@click.option("--weight-decay", type=float, help="Factor of the weights in their gradient [default: none].")
@click.option("--at-kink", metavar="SLOPE", help="phi' where z = 0: slope (default), 1/2 or a number from 0 to 1.")
@click.option("--seed", type=int, help="Seed of random batches [default: the scenario's].")
@click.option("--seeds", metavar="LIST", help="Run every step size with each of these: 0..9, or 3,5,8.")
@click.option("--starts", type=click.Choice(["same", "drawn"]), help="drawn: each seed draws its own start.")
@click.option("--precision", type=click.Choice(["double", "single"]), help="Of the steps [default: double].")
@click.option("--watch-bound", type=float, metavar="BOUND", help="Count steps with eta_k L_k above it.")
@click.option("--no-watch", is_flag=True, help="Do not count losses that rise.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", help="Where descent runs.")
@click.option("--out", type=click.Path(), help="Run folder [default: that of the run, or outputs/<name>].")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key of the scenario.")
@click.option("--resume", is_flag=True, help="Go on with the same descent, which was interrupted or killed.")
@click.option("--overwrite", is_flag=True, help="Replace the descent that the run folder already has.")
@click.option("--json", "as_json", is_flag=True, help="Print what descent.json holds.")
def descend(
    path: Path,
    etas: tuple[float, ...],
    overrides: tuple[str, ...],
    as_json: bool,
    watch_bound: float | None,
    no_watch: bool,
    **how: Any,  # Any: options that `gflow.descend` takes under the same names
) -> None:
    """Run gradient descent alone, at one step size or many, from one seed or many.

    PATH is a scenario file, or the run folder (or trajectory.h5) of a flow, in which its rows are then kept.  Rows go
    to descent.h5, results to descent.json; gflow inspect and gflow report show them, and gflow compare uses them where
    they are what it asks for.  All options can stand in the scenario, as keys of `descent`.

    A descent that was interrupted or killed goes on with the same command and --resume, to the same bits.  Exit codes:
    0 done; 2 bad input; 130 interrupted, what was reached is saved.
    """
    source = _source(path, overrides)
    from gflow.pipeline.descent.alone import descend as run
    from gflow.report.descent import DescentPrinter, result_text

    watch = {"bound": watch_bound} if watch_bound is not None else {"losses": False} if no_watch else None
    if watch_bound is not None and no_watch:
        watch = {"bound": watch_bound, "losses": False}
    with DescentPrinter(sys.stderr, sys.stderr.isatty()) as printer:
        found = run(source, etas or None, watch=watch, progress=printer, say=note, **how)
    for text in found.warnings:
        warn(text)
    click.echo(json.dumps(found.to_json(), indent=2, allow_nan=False) if as_json else result_text(found))


def _source(path: Path, overrides: tuple[str, ...]) -> Scenario | Trajectory:
    """The scenario in a file, or the run in a folder."""
    from gflow.errors import ScenarioError
    from gflow.scenario import load_scenario

    if path.suffix in (".yaml", ".yml"):
        return load_scenario(path, overrides)
    if overrides:
        raise ScenarioError("--set: PATH is a run, whose scenario is fixed; give a scenario file, or leave --set out")
    from gflow.trajectory import open_trajectory

    return open_trajectory(path)
