"""The commands for many runs: sweep, and sweep plot."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gflow.cli.group import main, note

RUN = "run"


class _SweepCommands(click.Group):
    """`gflow sweep SWEEP.yaml` carries a sweep out; its other commands are named by their first word."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        named = bool(args) and args[0] in self.commands
        return super().parse_args(ctx, args if named else [RUN, *args])


class _Unnamed(click.Command):
    """The command that is meant where none is named."""

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        path = ctx.command_path.removesuffix(f" {RUN}")
        formatter.write_usage(path, " ".join(self.collect_usage_pieces(ctx)))


@main.group(cls=_SweepCommands)
def sweep() -> None:
    """Carry out the runs of a sweep file (gflow sweep FILE), or draw a sweep (gflow sweep plot DIR)."""


@sweep.command(RUN, cls=_Unnamed, hidden=True)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(), help="Folder of the sweep [default: outputs/<name>].")
@click.option("--workers", type=int, help="Processes on this machine [default: one a core]; 0: this one alone.")
@click.option("--scheduler", metavar="ADDRESS", help="Use a running dask scheduler: tcp://host:8786.")
@click.option("--memory", type=float, metavar="BYTES", help="Most memory of a worker process [default: its share].")
@click.option("--resume", is_flag=True, help="There must be a sweep in the folder already.")
@click.option("--retry-failed", is_flag=True, help="Carry out runs again whose row is a failure.")
@click.option("--dry-run", is_flag=True, help="Say what it would cost, by a few runs; write nothing.")
def run(
    file: Path,
    out: str | None,
    workers: int | None,
    scheduler: str | None,
    memory: float | None,
    resume: bool,
    retry_failed: bool,
    dry_run: bool,
) -> None:
    """Carry out every run of the sweep FILE that has no row yet, and write the table of all.

    FILE has a base scenario, axes over its keys, and what to keep:

    \b
        base: base.yaml
        axes:
          model.activation.slope: [0.0, 0.1, 0.3, 0.9]
          init.std: {log: [1e-3, 1.0], count: 10}
          seeds: 0..24
        analyses: [freezing, limit, rank]

    The folder gets summary.csv and summary.parquet, one row a run; a run that fails is a row with its reason.  The same
    command again does what is missing: after a stop, or when an axis has more values.  gflow sweep plot draws it
    (gflow sweep plot --help).

    Exit codes: 0 done; 2 bad input, nothing was written; 130 interrupted, what was done is saved.
    """
    if dry_run:
        _forecast(file, out, workers)
        return
    from gflow.report.sweep import SweepPrinter, result_text
    from gflow.sweeps.sweeping import sweep as carry_out

    with SweepPrinter(sys.stderr, sys.stderr.isatty()) as printer:
        found = carry_out(
            file,
            out,
            workers=workers,
            scheduler=scheduler,
            memory=memory,
            resume=resume,
            retry_failed=retry_failed,
            progress=printer,
            say=note,
        )
    click.echo(result_text(found))


def _forecast(file: Path, out: str | None, workers: int | None) -> None:
    from gflow.report.sweep import forecast_text
    from gflow.sweeps.pilot import forecast_sweep

    click.echo(forecast_text(forecast_sweep(file, out, workers=workers)))


@sweep.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--x", required=True, metavar="COLUMN", help="Axis from left to right: slope, or its whole key.")
@click.option("--value", required=True, metavar="COLUMN", help="What is shown; COLUMN=WORD: the share of runs with it.")
@click.option("--y", metavar="COLUMN", help="Axis from below to above: draws a map instead of lines.")
@click.option("--by", metavar="COLUMN", help="A line for each of its values; with --y, a small map for each.")
@click.option("--over", metavar="COLUMNS", help="Axes that are averaged over [default: all that are left].")
@click.option(
    "--stat", default="mean,band", show_default=True, help="mean, median, min, max or sd; `band` beside them."
)
@click.option("--out", type=click.Path(path_type=Path), help="File .svg, .png or .pdf [default: in the folder].")
def plot(
    folder: Path, x: str, value: str, y: str | None, by: str | None, over: str | None, stat: str, out: Path | None
) -> None:
    """Draw the sweep in FOLDER: lines with bands over one axis, a map over two, small maps over three.

    A column is named by its end: slope is model.activation.slope.  The band is that of 8 in 10 runs.
    """
    from gflow.report.sweep_plot import plot_sweep

    path = plot_sweep(folder, x=x, y=y, value=value, by=by, over=over, stat=stat, out=out)
    click.echo(str(path))
