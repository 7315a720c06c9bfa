"""The function behind `gflow reproduce`: carries experiments out, one after the other, and judges each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gflow.console import printable
from gflow.errors import SweepError
from gflow.papers.curves import Curve, curves_of
from gflow.papers.experiment import Experiment, Figure, Panel
from gflow.papers.listing import chosen, experiment_files
from gflow.papers.outcomes import Outcome, judged
from gflow.papers.reading import Size, load_experiment
from gflow.sweeps.opened import Sweep
from gflow.sweeps.plan.plan import plan_of
from gflow.sweeps.progress import Tell
from gflow.sweeps.store.folder import MANIFEST, check_folder, replace_file
from gflow.sweeps.sweeping import sweep

DEFAULT_OUT = Path("outputs", "papers")
RESULT = "outcomes.json"


@dataclass(frozen=True, slots=True)
class FigureNumbers:
    """The numbers of a figure: its panels, each with its curves."""

    title: str
    panels: tuple[tuple[Panel, list[Curve]], ...]


@dataclass(frozen=True, slots=True)
class Reproduction:
    """An experiment that has been carried out: its outcomes, the numbers of its figures, and its folder."""

    experiment: Experiment
    outcomes: tuple[Outcome, ...]
    figures: tuple[FigureNumbers, ...]
    folder: Path


def reproduce(
    names: Sequence[str],
    out: str | Path = DEFAULT_OUT,
    *,
    full: bool = False,
    resume: bool = False,
    workers: int | None = None,
    folder: Path | None = None,
    begin: Callable[[Experiment], None] | None = None,
    progress: Tell | None = None,
) -> Iterator[Reproduction]:
    """Carry out the experiments that `names` mean (`frei`, `kou/fig5`, `all`) into folders `out/<paper>/<experiment>`.

    What is there already of the same size is not done again; resume: something must be.  full: in the sizes
    of the papers.  workers: as in `gflow.sweep`.  folder: of the experiments (default: those that come with
    gflow).  begin is called with every experiment, progress as by `gflow.sweep`.  The outcomes of each are in
    `outcomes.json` of its folder.

    Raises GflowError for what cannot be done, before anything is written.
    """
    files = experiment_files(folder)
    size: Size = "full" if full else "quick"
    experiments = [load_experiment(files[name], size) for name in chosen(names, list(files))]
    place = Path(out).absolute()
    _check(experiments, place, resume)
    return _carried_out(experiments, place, workers, begin or _untold, progress)


def all_outcomes(out: str | Path, folder: Path | None = None) -> list[dict[str, Any]]:  # Any: JSON values
    """The outcomes of all experiments that were carried out in `out`, in the order of the papers."""
    files = (Path(out) / name / RESULT for name in experiment_files(folder))
    return [entry for file in files if file.exists() for entry in json.loads(file.read_bytes())]


def write_outcomes(path: Path, outcomes: Sequence[dict[str, Any]]) -> None:  # Any: JSON values
    """Write a list of outcomes in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, json.dumps(outcomes, indent=2, allow_nan=False).encode("ascii"))


def _check(experiments: Sequence[Experiment], out: Path, resume: bool) -> None:
    """Judge all scenarios and folders, before the first run."""
    folders = [(out / each.name / name, spec) for each in experiments for name, spec in each.sweeps.items()]
    if resume and not any((folder / MANIFEST).exists() for folder, _ in folders):
        raise SweepError(f"{printable(out)}: there is nothing to resume; leave --resume away to start")
    for folder, spec in folders:
        check_folder(folder, plan_of(spec), must_be_there=False)


def _carried_out(
    experiments: Sequence[Experiment],
    out: Path,
    workers: int | None,
    begin: Callable[[Experiment], None],
    progress: Tell | None,
) -> Iterator[Reproduction]:
    for experiment in experiments:
        begin(experiment)
        folder = out / experiment.name
        sweeps: dict[str, Sweep] = {}
        for name, spec in experiment.sweeps.items():
            sweeps[name] = sweep(spec, folder / name, workers=workers, progress=progress)
        outcomes = tuple(judged(experiment, sweeps))
        figures = tuple(_numbers(figure, sweeps) for figure in experiment.figures)
        write_outcomes(folder / RESULT, [each.to_json() for each in outcomes])
        yield Reproduction(experiment, outcomes, figures, folder)


def _numbers(figure: Figure, sweeps: Mapping[str, Sweep]) -> FigureNumbers:
    return FigureNumbers(figure.title, tuple((panel, curves_of(panel, sweeps[panel.sweep])) for panel in figure.panels))


def _untold(_: Experiment) -> None:
    """The callback of a caller that wants no words: it does nothing."""
