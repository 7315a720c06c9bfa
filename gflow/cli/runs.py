"""The commands for scenarios and their runs: simulate, inspect, scenarios and schema."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gflow.cli.group import EXIT_LIMIT, main, note
from gflow.console import printable

if TYPE_CHECKING:
    from gflow.trajectory import Trajectory


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(), help="Run folder [default: outputs/<name>].")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key: flow.rtol=1e-10.")
@click.option(
    "--device", type=click.Choice(["cpu", "cuda"]), default="cpu", help="Where the steppers of the primal engine run."
)
@click.option("--resume", is_flag=True, help="Go on with the run in the folder; flow.until may be later than it was.")
@click.option("--overwrite", is_flag=True, help="Replace the trajectory that the run folder already has.")
def simulate(
    file: Path, out: str | None, overrides: tuple[str, ...], device: str, resume: bool, overwrite: bool
) -> None:
    """Integrate the gradient flow of the scenario FILE and write its trajectory.

    A run that was interrupted or killed goes on with --resume, to the bits it would have had without a stop.  With a
    later end (--set flow.until.log_time=1e5 --resume) a run that has ended is continued.

    Exit codes: 0 the end condition was reached; 2 bad input; 3 stopped by a limit, what was reached is saved;
    130 interrupted, what was reached is saved.
    """
    trajectory = _trajectory(file, out, overrides, device, resume, overwrite)
    from gflow.pipeline.simulation import stopped_by_limit
    from gflow.report.summary import closing_table, headline

    click.echo(headline(trajectory))
    click.echo(closing_table(trajectory))
    if stopped_by_limit(trajectory):
        click.get_current_context().exit(EXIT_LIMIT)


def _trajectory(
    file: Path, out: str | None, overrides: tuple[str, ...], device: str, resume: bool, overwrite: bool
) -> Trajectory:
    """The run itself.  An interruption without words of its own came before anything was written."""
    try:
        from gflow.scenario import load_scenario

        scenario = load_scenario(file, overrides)  # before all else is loaded: what is wrong in it is told at once
        from gflow.pipeline.simulation import simulate as run
        from gflow.report.progress import ProgressPrinter

        printer = ProgressPrinter(sys.stderr, sys.stderr.isatty())
        try:
            return run(scenario, out, resume, printer, overwrite, device, say=note)
        finally:
            printer.close()
    except KeyboardInterrupt as stop:
        stop.args = stop.args or ("interrupted; nothing was written yet",)
        raise


@main.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def inspect(path: Path, as_json: bool) -> None:
    """Say what is in a trajectory: PATH is a run folder or its trajectory.h5."""
    from gflow.report.summary import inspection, inspection_text
    from gflow.trajectory import open_trajectory

    trajectory = open_trajectory(path)
    click.echo(json.dumps(inspection(trajectory), indent=2) if as_json else inspection_text(trajectory))


@main.command()
@click.option("--analysis", is_flag=True, help="That of analysis.json, with all its verdicts.")
def schema(analysis: bool) -> None:
    """Print the JSON Schema of a scenario file, or of analysis.json."""
    if analysis:
        from gflow.pipeline.findings_schema import json_schema
    else:
        from gflow.scenario import json_schema

    click.echo(json.dumps(json_schema(), indent=2))


@main.command()
@click.argument("folder", type=click.Path(path_type=Path), required=False)
def scenarios(folder: Path | None) -> None:
    """List the scenarios of FOLDER [default: the ones that come with gflow], with what each of them shows."""
    from gflow.scenario.listing import listed

    for path, title in listed(folder):
        click.echo(f"{printable(path)}\n    {printable(title)}")
