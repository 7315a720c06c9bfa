"""The commands that say what is true of a run: analyze, verify and report."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gflow.analyzer_names import ANALYZER_NAMES
from gflow.cli.group import EXIT_FAILED, EXIT_NOT_VERIFIED, main, warn
from gflow.console import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gflow.report.page import Format
    from gflow.trajectory import Trajectory


@main.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--only", "names", multiple=True, type=click.Choice(ANALYZER_NAMES), help="Run this analyzer; repeatable."
)
@click.option("--json", "as_json", is_flag=True, help="Print what analysis.json holds.")
def analyze(path: Path, names: tuple[str, ...], as_json: bool) -> None:
    """Say what is true of a run: is its pattern frozen for ever, where does it go, which claims hold?

    PATH is a run folder or its trajectory.h5.  The results go to analysis.json beside it, too.

    Exit codes: 0 done; 1 an analyzer or a claim ended in an error of gflow (it says so, the others stand); 2 bad input.
    """
    from gflow.pipeline.analysis import analyze as run
    from gflow.report.findings import findings_text
    from gflow.report.progress import AnalysisPrinter
    from gflow.report.summary import headline
    from gflow.trajectory import open_trajectory

    trajectory = open_trajectory(path)
    with AnalysisPrinter(sys.stderr, sys.stderr.isatty()) as printer:
        found = run(trajectory, names or None, warn, printer)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2, allow_nan=False))
    else:
        click.echo(headline(trajectory))
        click.echo(findings_text(found, shutil.get_terminal_size((120, 24)).columns))
    _exit_if_failed(found.failed)


@main.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print what verify.json holds.")
def verify(path: Path, as_json: bool) -> None:
    """Say whether a run can be trusted: its rows and events against themselves, exact identities, the flow again.

    PATH is a run folder or its trajectory.h5.  The flow is integrated again with tolerances 10 and 100 times tighter
    (the whole run), and with another method and another engine (until log t = 6 or 60 events), so this takes some
    times as long as the run did.  An integration that takes far more steps than the run is stopped, and judged as far
    as it came: not decided.  Results go to verify.json in the run folder, too.

    Exit codes: 0 everything that applies and is decided passes; 1 something fails; 2 bad input; 130 interrupted.
    """
    from gflow.pipeline.verification import verify as run
    from gflow.report.verification import VerificationPrinter, verification_text
    from gflow.trajectory import open_trajectory

    trajectory, unsaved = open_trajectory(path), list[str]()
    with VerificationPrinter(sys.stderr, sys.stderr.isatty()) as printer:
        found = run(trajectory, printer, unsaved.append)
    for text in unsaved:
        warn(text)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2, allow_nan=False))
    else:
        columns = shutil.get_terminal_size((120, 24)).columns
        click.echo(verification_text(found, trajectory, columns, not unsaved))
    if not found.passed:
        click.get_current_context().exit(EXIT_NOT_VERIFIED)


@main.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Write the page here [default: report.html in the run].")
@click.option("--figures", "form", type=click.Choice(["svg", "png", "pdf"]), help="Write each figure to figures/, too.")
def report(path: Path, out: Path | None, form: Format | None) -> None:
    """Write the report of a run: one HTML file with its answers, figures, claims and provenance.

    PATH is a run folder or its trajectory.h5, or a descent.h5, whose report is descent.html.  What `gflow compare`,
    `gflow analyze` and `gflow verify` left beside a run is shown; a run that was not analysed yet is analysed first,
    with the exit codes of `gflow analyze`.
    """
    from gflow.pipeline.analysis import analyze as run
    from gflow.report.lines import size_text
    from gflow.report.page import found_beside, write_figures, write_page
    from gflow.report.progress import AnalysisPrinter
    from gflow.trajectory import open_trajectory

    trajectory = open_trajectory(path)
    folder = trajectory.path.parent
    if trajectory.kind == "descent":
        _report_descent(trajectory, out or trajectory.path.with_name("descent.html"), form)
        return
    found = found_beside(trajectory)
    failed: Sequence[str] = ()
    if found.analysis is None and trajectory.kind == "flow":
        with AnalysisPrinter(sys.stderr, sys.stderr.isatty()) as printer:
            made = run(trajectory, None, warn, printer)
        failed = made.failed
        found = found_beside(trajectory)
        found = found if found.analysis is not None else replace(found, analysis=made.to_json())
    for note in found.notes:
        warn(note)
    target = write_page(trajectory, found.analysis, found.comparison, out or folder / "report.html", found.verification)
    click.echo(f"Report  {printable(target)}  ({size_text(target.stat().st_size)})")
    if form is not None:
        written = write_figures(trajectory, found.analysis, found.comparison, folder / "figures", form)
        click.echo(f"Figures {printable(folder / 'figures')}  ({len(written)} {form})")
    _exit_if_failed(failed)


def _report_descent(trajectory: Trajectory, out: Path, form: Format | None) -> None:
    """The page of descent without a flow beside it, and its figures."""
    from gflow.pipeline.descent.finished import stored_result
    from gflow.report.lines import size_text
    from gflow.report.page import write_descent_page, write_figures

    target = write_descent_page(trajectory, stored_result(trajectory.path), out)
    click.echo(f"Report  {printable(target)}  ({size_text(target.stat().st_size)})")
    if form is not None:
        folder = out.with_name("figures")
        written = write_figures(trajectory, None, None, folder, form)
        click.echo(f"Figures {printable(folder)}  ({len(written)} {form})")


def _exit_if_failed(names: Sequence[str]) -> None:
    """What ended in an error of gflow, if anything, on stderr, and the exit code."""
    if names:
        warn(f"{', '.join(names)} ended in an error of gflow: please report it with the scenario")
        click.get_current_context().exit(EXIT_FAILED)
