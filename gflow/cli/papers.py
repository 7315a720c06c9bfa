"""The command for the experiments of the papers: reproduce."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gflow.cli.group import main, note
from gflow.console import printable


@main.command()
@click.argument("names", nargs=-1, metavar="[PAPER | PAPER/EXPERIMENT | all]...")
@click.option("--list", "listed", is_flag=True, help="List the experiments, also where none is named.")
@click.option("--full", is_flag=True, help="In the sizes of the papers [default: quick ones].")
@click.option("--out", type=click.Path(path_type=Path), default=Path("outputs", "papers"), show_default=True)
@click.option("--resume", is_flag=True, help="There must be something in the folder already.")
@click.option("--workers", type=int, default=0, show_default=True, help="Processes; 0: this one alone.")
def reproduce(names: tuple[str, ...], listed: bool, full: bool, out: Path, resume: bool, workers: int) -> None:
    """Carry out experiments of the papers, as descent and as flow, and judge what the papers state of them.

    Every experiment is a file, whose runs are sweeps in OUT/PAPER/EXPERIMENT, with its figures beside them.  All
    outcomes are in OUT/outcomes.json, outcomes.html and outcomes.md.  The same command again goes on where it was
    stopped.

    Exit codes: 0 done, whatever the verdicts are; 2 bad input, nothing was written; 130 interrupted.
    """
    from gflow.papers.experiment import Experiment
    from gflow.papers.listing import chosen, experiment_files
    from gflow.papers.reading import load_experiment

    if listed or not names:
        files = experiment_files()
        for name in chosen(names or ("all",), list(files)):
            experiment = load_experiment(files[name], "quick")
            needs = f" (needs {experiment.needs})" if experiment.needs else ""
            click.echo(f"{name:<20} {printable(experiment.title)}{printable(needs)}")
        return
    from gflow.papers.reproduce import reproduce as carry_out
    from gflow.report.papers import outcomes_text, write_all, write_figures
    from gflow.report.sweep import SweepPrinter

    def begin(experiment: Experiment) -> None:
        note(f"{experiment.name}: {printable(experiment.title)}")

    try:
        with SweepPrinter(sys.stderr, sys.stderr.isatty()) as printer:
            for found in carry_out(
                names, out, full=full, resume=resume, workers=workers, begin=begin, progress=printer
            ):
                write_figures(found)
                write_all(out)
    except KeyboardInterrupt as stop:
        stop.args = (f"interrupted; what has ended is kept, go on with the same command and --out {printable(out)}",)
        raise
    outcomes = write_all(out)
    click.echo(outcomes_text(outcomes))
    click.echo(f"Saved        {printable(out)}: outcomes.json, outcomes.html, outcomes.md")
