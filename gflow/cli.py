"""The command line: parse, call, print.  Results on stdout, everything else on stderr; exit codes as in the README."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gflow.console import printable, reason, whole_streams
from gflow.errors import GflowError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gflow.comparison.result import Comparison
    from gflow.report.page import Format
    from gflow.trajectory import Trajectory

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


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(), help="Run folder [default: outputs/<name>].")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key: flow.rtol=1e-10.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", help="Where the primal engine runs.")
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
    from gflow.pipeline import stopped_by_limit
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
        from gflow.pipeline import simulate as run
        from gflow.report.progress import ProgressPrinter
        from gflow.scenario import load_scenario

        printer = ProgressPrinter(sys.stderr, sys.stderr.isatty())
        try:
            scenario = load_scenario(file, overrides)
            return run(
                scenario,
                out,
                resume,
                printer,
                overwrite,
                device,
                say=lambda text: click.echo(printable(text), err=True),
            )
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


def _said(text: str) -> None:
    """One line on stderr."""
    click.echo(printable(text), err=True)


def _warned(text: str) -> None:
    """One line on stderr, from gflow."""
    click.echo(f"gflow: {printable(text)}", err=True)


ANALYZERS = ("freezing", "limit", "direction", "kkt", "rank", "margins", "alignment", "rho", "claims")


@main.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--only", "names", multiple=True, type=click.Choice(ANALYZERS), help="Run this analyzer; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print what analysis.json holds.")
def analyze(path: Path, names: tuple[str, ...], as_json: bool) -> None:
    """Say what is true of a run: is its pattern frozen for ever, where does it go, which claims hold?

    PATH is a run folder or its trajectory.h5.  The results go to analysis.json beside it, too.

    Exit codes: 0 done; 1 an analyzer or a claim ended in an error of gflow (it says so, the others stand); 2 bad input.
    """
    from gflow.pipeline import analyze as run
    from gflow.report.findings import findings_text
    from gflow.report.progress import AnalysisPrinter
    from gflow.report.summary import headline
    from gflow.trajectory import open_trajectory

    trajectory = open_trajectory(path)
    with AnalysisPrinter(sys.stderr, sys.stderr.isatty()) as printer:
        found = run(trajectory, names or None, _warned, printer)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2, allow_nan=False))
    else:
        click.echo(headline(trajectory))
        click.echo(findings_text(found, shutil.get_terminal_size((120, 24)).columns))
    _exit_if_failed(found.failed)


def _exit_if_failed(names: Sequence[str]) -> None:
    """What ended in an error of gflow, if anything, on stderr, and the exit code."""
    if names:
        _warned(f"{', '.join(names)} ended in an error of gflow: please report it with the scenario")
        click.get_current_context().exit(EXIT_FAILED)


@main.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--eta", "etas", multiple=True, type=float, help="Step size; repeatable [default: the scenario's].")
@click.option("--until-time", type=float, help="End time t [default: the scenario's, or the flow's].")
@click.option("--sgd", type=int, metavar="BATCH", help="Stochastic descent with batches of this size.")
@click.option("--seed", type=int, help="Seed of the batches [default: the scenario's].")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", help="Where descent runs.")
@click.option("--precision", type=click.Choice(["double", "single"]), default="double", help="Of descent.")
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
    from gflow.pipeline import compare as run
    from gflow.report.comparison import ComparisonPrinter, comparison_text

    trajectory = _run_to_compare(path, etas, until_time, resume)
    with ComparisonPrinter(sys.stderr, sys.stderr.isatty()) as printer:
        found = run(
            trajectory, etas or None, until_time=until_time, progress=printer, resume=resume, say=_warned, **how
        )
    _show(found, None if as_json else comparison_text(found, trajectory))


def _run_to_compare(path: Path, etas: tuple[float, ...], until_time: float | None, resume: bool) -> Trajectory:
    """The run at PATH, simulated first where PATH is a scenario."""
    from gflow.pipeline import run_of
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


@main.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Write the page here [default: report.html in the run].")
@click.option("--figures", "form", type=click.Choice(["svg", "png", "pdf"]), help="Write each figure to figures/, too.")
def report(path: Path, out: Path | None, form: Format | None) -> None:
    """Write the report of a run: one HTML file with its answers, figures, claims and provenance.

    PATH is a run folder or its trajectory.h5.  What `gflow compare`, `gflow analyze` and `gflow verify` left beside it
    is shown; a run that was not analysed yet is analysed first, with the exit codes of `gflow analyze`.
    """
    from gflow.pipeline import analyze as run
    from gflow.report.lines import size_text
    from gflow.report.page import found_beside, write_figures, write_page
    from gflow.report.progress import AnalysisPrinter
    from gflow.trajectory import open_trajectory

    trajectory = open_trajectory(path)
    folder = trajectory.path.parent
    found = found_beside(trajectory)
    failed: Sequence[str] = ()
    if found.analysis is None and trajectory.kind == "flow":
        with AnalysisPrinter(sys.stderr, sys.stderr.isatty()) as printer:
            made = run(trajectory, None, _warned, printer)
        failed = made.failed
        found = found_beside(trajectory)
        found = found if found.analysis is not None else replace(found, analysis=made.to_json())
    for note in found.notes:
        click.echo(f"gflow: {printable(note)}", err=True)
    target = write_page(trajectory, found.analysis, found.comparison, out or folder / "report.html", found.verification)
    click.echo(f"Report  {printable(target)}  ({size_text(target.stat().st_size)})")
    if form is not None:
        written = write_figures(trajectory, found.analysis, found.comparison, folder / "figures", form)
        click.echo(f"Figures {printable(folder / 'figures')}  ({len(written)} {form})")
    _exit_if_failed(failed)


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
    from gflow.pipeline import verify as run
    from gflow.report.verification import VerificationPrinter, verification_text
    from gflow.trajectory import open_trajectory

    trajectory, unsaved = open_trajectory(path), list[str]()
    with VerificationPrinter(sys.stderr, sys.stderr.isatty()) as printer:
        found = run(trajectory, printer, unsaved.append)
    for text in unsaved:
        _warned(text)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2, allow_nan=False))
    else:
        columns = shutil.get_terminal_size((120, 24)).columns
        click.echo(verification_text(found, trajectory, columns, not unsaved))
    if not found.passed:
        click.get_current_context().exit(EXIT_NOT_VERIFIED)


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
