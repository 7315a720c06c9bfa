"""What `descent.json` says of runs of descent: how each ended, with what, and how often its loss rose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import expm1
from pathlib import Path
from typing import Any, Literal, Self

from gflow.descent_plan.ledger import Ended, Ledger
from gflow.descent_plan.plan import DescentPlan, PlannedRun
from gflow.trajectory import Trajectory, open_trajectory
from gflow.trajectory.layout import TEST_SERIES
from gflow.trajectory.rows import installed_version

RESULT_FILE_NAME = "descent.json"
COLUMNS = {
    "log1p_time": "log1p_time",
    "log_loss": "log_loss",
    "min_margin": "series/min_margin",
    "normalized_margin": "series/normalized_margin",
    "weight_norm": "series/weight_norm",
    "stable_rank": "series/stable_rank",
}
TEST_COLUMNS = {name: f"series/{name}" for name in TEST_SERIES}
Outcome = Literal["time", "log_loss", "diverged"]


@dataclass(frozen=True, slots=True)
class RunResult:
    """One run, with the numbers of its last row; outcome `time`: it took all its steps; seed None: there are no
    several; counts of losses None: they were not watched; accuracies and test loss None: there are no test samples."""

    eta: float
    seed: int | None
    steps: int
    outcome: Outcome
    log1p_time: float
    log_loss: float
    min_margin: float
    normalized_margin: float
    weight_norm: float
    stable_rank: float
    loss_rises: int | None
    largest_loss_rise: float | None
    steps_above_bound: int | None
    test_log_loss: float | None = None
    test_accuracy: float | None = None
    train_accuracy: float | None = None


@dataclass(frozen=True, slots=True)
class DescentResult:
    """All runs: step sizes from the largest to the smallest, seeds as they were given.

    gflow: version; descent: what identifies `descent.h5`; ledger: what `gflow compare` needs of it beside its rows;
    path: the file of the rows, which is no part of `descent.json`.
    """

    gflow: str
    descent: dict[str, Any]  # Any: JSON values
    kind: str
    runs: tuple[RunResult, ...]
    warnings: tuple[str, ...]
    summary: str
    command: str
    ledger: dict[str, Any]  # Any: JSON values
    path: Path = field(compare=False)

    @property
    def trajectory(self) -> Trajectory:
        """The rows of all runs; `eta`, `seed` (of several) and `step` tell them apart."""
        return open_trajectory(self.path)

    def run(self, eta: float, seed: int | None = None) -> RunResult:
        """The run of a step size and a seed.  KeyError where there is none."""
        for run in self.runs:
            if (run.eta, run.seed) == (eta, seed):
                return run
        raise KeyError(f"no run of eta = {eta!r}, seed {seed}: there are {[(run.eta, run.seed) for run in self.runs]}")

    def to_json(self) -> dict[str, Any]:  # Any: JSON values
        """Plain JSON values."""
        content = {name: getattr(self, name) for name in ("gflow", "descent", "kind", "summary", "command", "ledger")}
        return content | {"warnings": list(self.warnings), "runs": [asdict(run) for run in self.runs]}

    @classmethod
    def from_json(cls, content: Mapping[str, Any], path: Path) -> Self:  # Any: JSON values
        """What `to_json` gave; KeyError or TypeError for anything else."""
        runs, warnings = tuple(RunResult(**run) for run in content["runs"]), tuple(content["warnings"])
        rest = {name: content[name] for name in ("gflow", "descent", "kind", "summary", "command", "ledger")}
        return cls(runs=runs, warnings=warnings, path=path, **rest)


def descent_result(
    plan: DescentPlan, rows: Trajectory, ledger: Ledger, about: dict[str, Any], command: str, warnings: tuple[str, ...]
) -> DescentResult:
    """The result of runs that have all ended.  about: what identifies the file; Any: JSON values."""
    last = _last_rows(rows)
    sources = COLUMNS | (TEST_COLUMNS if rows.form.has_test else {})
    columns = {name: rows.read(source) for name, source in sources.items()}
    found = tuple(
        _run(run, ledger.ended[number], {name: float(each[last[run.eta, run.seed]]) for name, each in columns.items()})
        for number, run in enumerate(plan.runs)
    )
    summary = _summary(plan, found)
    kept = ledger.to_json()
    return DescentResult(installed_version(), about, plan.kind, found, warnings, summary, command, kept, rows.path)


def _last_rows(rows: Trajectory) -> dict[tuple[float, int | None], int]:
    """The number of the last row of each run."""
    eta = rows.read("eta").tolist()
    seeds = rows.read("seed").tolist() if rows.form.has_seeds else [None] * len(eta)
    return {key: row for row, key in enumerate(zip(eta, seeds, strict=True))}


def _run(run: PlannedRun, ended: Ended, numbers: Mapping[str, float]) -> RunResult:
    losses = ended.losses
    return RunResult(
        eta=run.eta,
        seed=run.seed,
        steps=ended.step,
        outcome="diverged" if ended.diverged else "log_loss" if ended.reached else "time",
        **numbers,
        loss_rises=None if losses is None else losses.rises,
        largest_loss_rise=None if losses is None else losses.largest_rise,
        steps_above_bound=None if losses is None else losses.above_bound,
    )


def _summary(plan: DescentPlan, runs: tuple[RunResult, ...]) -> str:
    """`stochastic descent, 20 runs: 19 ended with log L from -5.2 to -3.1; 1 diverged`."""
    kind = "gradient descent" if plan.kind == "gd" else "stochastic descent"
    whole = [run for run in runs if run.outcome != "diverged"]
    parts = []
    if whole:
        least, most = min(run.log_loss for run in whole), max(run.log_loss for run in whole)
        losses = f"log L = {least:.4g}" if len(whole) == 1 else f"log L from {least:.4g} to {most:.4g}"
        last = max(expm1(min(run.log1p_time, 700.0)) for run in whole)
        parts.append(f"{len(whole)} ended, at t = {last:.6g} at the latest, with {losses}")
    if len(whole) < len(runs):
        parts.append(f"{len(runs) - len(whole)} diverged")
    if plan.asked.until is not None and plan.asked.until.log_loss is not None:
        parts.append(f"{sum(run.outcome == 'log_loss' for run in runs)} reached the loss")
    return f"{kind}, {len(runs)} run{'s' if len(runs) > 1 else ''}: {'; '.join(parts)}"
