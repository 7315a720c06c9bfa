"""Negative controls: whatever is changed in a file, the check that is there for it fails; and none does untouched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gflow.scenario import parse_scenario
from gflow.trajectory import Trajectory
from gflow.trajectory.recorded_run import RecordedRun
from gflow.verification.check import Check
from gflow.verification.dual_masses import dual_masses
from gflow.verification.ending import ending
from gflow.verification.event_log import event_log
from gflow.verification.event_times import event_times
from gflow.verification.extremes import extremes
from gflow.verification.invariants import invariants
from gflow.verification.ladder import rungs
from gflow.verification.origin import origin
from gflow.verification.recomputation import recomputation, soundness
from gflow.verification.reintegration import Again, again
from tests.verification.runs import Change, changed, failing, named, run

File = Any  # an open h5py.File
ROW = 7


def quick(trajectory: Trajectory) -> list[Check]:
    """Everything but the integrations."""
    recorded = RecordedRun.of(trajectory)
    scenario = parse_scenario(trajectory.scenario_resolved)
    return [
        origin(trajectory, scenario),
        *soundness(recorded),
        *recomputation(recorded),
        *event_log(recorded),
        *invariants(recorded),
        *dual_masses(recorded),
        *ending(recorded, scenario),
    ]


@pytest.fixture(scope="module")
def again_and_again(clean: Trajectory) -> list[Again]:
    """The flow of the clean run integrated with tolerances 10 and 100 times tighter; a change of the file is none of
    theirs."""
    recorded = RecordedRun.of(clean)
    return [again(recorded, rung, lambda _: None) for rung in rungs(recorded)[0][:2]]


def beside(trajectory: Trajectory, runs: list[Again]) -> list[Check]:
    """What is judged along these integrations."""
    recorded = RecordedRun.of(trajectory)
    return [event_times(recorded, runs), *extremes(recorded, runs)]


def add(name: str, index: Any, amount: float) -> Change:  # Any: an index of numpy
    """Add to one entry."""

    def change(file: File) -> None:
        file[name][index] = file[name][index] + amount

    return change


def flipped(file: File) -> None:
    """The pair with the largest |z| on the + side of a row gets the other sign, and the counts are made to fit."""
    pattern, z = file["pattern"][ROW], file["inner"][ROW] @ file["basis"][:] @ file["X"][:].T
    j, i = np.unravel_index(np.argmax(np.where(pattern > 0, z, -np.inf)), z.shape)
    file["pattern"][ROW, j, i] = -1
    file["series/active"][ROW] -= 1
    file["series/inactive"][ROW] += 1


def mirrored(file: File) -> None:
    """One event goes the other way."""
    kinds = file["events/kind"][:]
    at = int(np.flatnonzero(np.isin(kinds, (1, 2)))[0])
    file["events/kind"][at] = 3 - kinds[at]


def moved(file: File) -> None:
    """One event belongs to another neuron."""
    file["events/neuron"][3] = (file["events/neuron"][3] + 1) % file["inner"].shape[1]


def late(file: File) -> None:
    """The first event comes after the second."""
    file["events/log1p_time"][0] = file["events/log1p_time"][1] + 0.1


def hurried(file: File) -> None:
    """Half of the time between two rows never was."""
    v = file["log1p_time"]
    v[ROW:] = v[ROW:] - 0.5 * (v[ROW] - v[ROW - 1])


def shared(file: File) -> None:
    """A pair that would cross its kink is put on it, and said to slide there: on the kink, with a share beyond 1."""
    X, y, B, U = file["X"][:], file["y"][:], file["basis"][:], file["inner"][ROW]
    C, a, pattern = X @ B.T, file["outer"][:], file["pattern"][ROW]
    along = a[:, None] * y > 0.0  # J > 0 and everything else small beside it: a kink that is crossed
    j, i = np.argwhere(along & (pattern > 0))[0]
    U[j] -= (U[j] @ C[i]) / (C[i] @ C[i]) * C[i]
    pattern[j, i] = 0
    file["inner"][ROW], file["pattern"][ROW] = U, pattern


def returned(file: File) -> None:
    """One neuron is back where it started."""
    file["inner"][ROW, 1] = file["inner"][0, 1]


def ended(outcome: str, sentence: str | None = None) -> Change:
    """Another outcome than `log_time`, with another sentence if one is given."""

    def change(file: File) -> None:
        file.attrs["outcome"] = outcome
        file.attrs["outcome_sentence"] = sentence or file.attrs["outcome_sentence"]

    return change


def told(sentence: str) -> Change:
    """Another sentence."""
    return lambda file: file.attrs.__setitem__("outcome_sentence", sentence)


def fewer_rows(file: File) -> None:
    """The last three rows are not committed, and the outcome stays."""
    file.attrs["n_committed"] -= 3


def times(name: str, index: Any, factor: float) -> Change:  # Any: an index of numpy
    """Multiply one entry."""

    def change(file: File) -> None:
        file[name][index] = file[name][index] * factor

    return change


CHANGES: dict[str, tuple[Change, str]] = {
    "margin": (add("margins", (ROW, 2), 1e-6), "rows: margins"),
    "inner": (add("inner", (ROW, 1, 0), 1e-6), "rows: margins"),
    "pattern": (flipped, "rows: pattern"),
    "pattern, replay": (flipped, "events: replay"),
    "event kind": (mirrored, "events: sides"),
    "event neuron": (moved, "events: replay"),
    "event time": (late, "events: log"),
    "unknown sample": (lambda file: file["events/sample"].__setitem__(0, 999), "events: log"),
    "loss": (add("log_loss", ROW, -1e-6), "rows: loss"),
    "loss rises": (add("log_loss", slice(ROW, None), 5.0), "invariants: loss"),
    "stable rank": (add("series/stable_rank", ROW, 1e-6), "rows: norms and ranks"),
    "smoothed margin": (add("series/normalized_smoothed_margin", ROW, 1e-6), "rows: margin series"),
    "count": (add("series/sliding", ROW, 1.0), "rows: counts"),
    "extreme": (add("series/sup_margin_gap", ROW, 10.0), "rows: extremes"),
    "clock": (add("tau", slice(ROW, None), 1e-3), "invariants: masses"),
    "time": (hurried, "invariants: energy"),
    "basis": (add("basis", (0, 0), 1e-9), "invariants: span"),
    "share": (shared, "events: shares"),
    "neuron back, cone": (returned, "invariants: cone"),
    "neuron back, ratio": (returned, "invariants: ratio"),
    "tau ahead": (add("tau", slice(ROW, None), 10.0), "invariants: clock"),
    "margin fell": (add("series/sup_margin_fall", slice(ROW, None), 1e-5), "invariants: smoothed margin"),
    "norm fell": (add("series/sup_norm_fall", slice(ROW, None), 1e-5), "invariants: norm"),
    "fewer rows": (fewer_rows, "ending: outcome"),
    "fewer rows, sentence": (fewer_rows, "ending: sentence"),
    "no such outcome": (ended("victory"), "ending: outcome"),
    "an end that was not asked for": (ended("log_loss"), "ending: outcome"),
    "an end on the other clock": (ended("time"), "ending: outcome"),
    "a proof that was not asked for": (ended("certified"), "ending: outcome"),
    "a budget that there was not": (ended("budget", "stopped at log t = 3: 5 steps"), "ending: outcome"),
    "another sentence": (told("reached log t = 5"), "ending: sentence"),
    "no sentence": (told(""), "ending: sentence"),
    "other data": (add("X", (0, 0), 1e-9), "rows: scenario"),
    "other start": (add("W_initial", (0, 0), 1e-9), "rows: scenario"),
}


def test_an_untouched_run_passes(clean: Trajectory, both_layers: Trajectory) -> None:
    for trajectory in (clean, both_layers):
        checks = quick(trajectory)
        assert failing(checks) == set()
        assert all(c.value is None or c.bound is None or c.value <= c.bound for c in checks)
    assert named(quick(clean))["events: replay"].verdict == "pass"
    assert named(quick(clean))["invariants: masses"].verdict == "pass"
    assert named(quick(both_layers))["invariants: balancedness"].verdict == "pass"
    assert named(quick(both_layers))["rows: neurons"].verdict == "pass"


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_file_fails(clean: Trajectory, tmp_path: Path, what: str) -> None:
    change, check = CHANGES[what]
    assert check in failing(quick(changed(clean, tmp_path, change)))


@pytest.mark.parametrize(
    ("name", "index", "amount", "check"),
    [
        ("outer", (ROW, 1), 1e-4, "invariants: balancedness"),
        ("outer", (ROW, 1), 1e-6, "rows: margins"),
        ("neurons/rotation", (ROW, 1), 1e-6, "rows: neurons"),
        ("series/parameter_norm", ROW, 1e-6, "rows: norms and ranks"),
    ],
)
def test_a_changed_file_of_two_trained_layers_fails(
    both_layers: Trajectory, tmp_path: Path, name: str, index: Any, amount: float, check: str
) -> None:
    assert check in failing(quick(changed(both_layers, tmp_path, add(name, index, amount))))


def test_a_sliding_pair_must_lie_on_its_kink(clean: Trajectory, tmp_path: Path) -> None:
    """A pair away from zero that is said to slide."""

    def change(file: File) -> None:
        z = file["inner"][ROW] @ file["basis"][:] @ file["X"][:].T
        file["pattern"][(ROW, *np.unravel_index(np.argmax(np.abs(z)), z.shape))] = 0

    assert {"rows: pattern", "rows: counts"} <= failing(quick(changed(clean, tmp_path, change)))


@pytest.mark.parametrize(("name", "value"), [("inner", np.nan), ("series/stable_rank", np.inf), ("tau", -1.0)])
def test_numbers_that_cannot_be(clean: Trajectory, tmp_path: Path, name: str, value: float) -> None:
    def change(file: File) -> None:
        file[name][ROW] = value

    trajectory = changed(clean, tmp_path, change)
    recorded = RecordedRun.of(trajectory)
    assert failing(soundness(recorded)) == {"rows: order" if name == "tau" else "rows: finite"}


LATER: dict[str, tuple[Change, str]] = {
    "event time": (times("events/log1p_time", 2, 1.001), "events: times"),
    "last event time": (times("events/log1p_time", -1, 1.0 + 1e-5), "events: times"),
    "largest ratio": (times("series/sup_gradient_ratio", -1, 1.5), "extremes: again"),
    "margins apart": (add("series/sup_margin_gap", slice(ROW, None), -0.3), "extremes: rows"),
    "least rate": (times("series/inf_margin_rate", slice(None), 0.95), "extremes: again"),
}


def test_an_untouched_run_passes_beside_the_integrations(clean: Trajectory, again_and_again: list[Again]) -> None:
    checks = beside(clean, again_and_again)
    assert [check.verdict for check in checks] == ["pass"] * 3
    assert all(check.value is not None and check.bound is not None for check in checks)
    assert all((check.value or 0.0) < 0.1 * (check.bound or 0.0) for check in checks)


@pytest.mark.parametrize("what", LATER)
def test_a_changed_file_fails_beside_the_integrations(
    clean: Trajectory, again_and_again: list[Again], tmp_path: Path, what: str
) -> None:
    change, check = LATER[what]
    assert check in failing(beside(changed(clean, tmp_path, change), again_and_again))


def test_the_end_of_a_run_on_the_loss_or_by_a_budget_fits(tmp_path: Path) -> None:
    """And the loss that is said to be reached is that of the last row."""
    lost = run(tmp_path / "loss", "flow.until={log_loss: -1.0}")
    assert lost.outcome == "log_loss" and failing(quick(lost)) == set()
    nearly = changed(lost, tmp_path / "nearly", lambda file: file.attrs.__setitem__("n_committed", lost.n_rows - 1))
    assert {"ending: outcome", "ending: sentence"} <= failing(quick(nearly))
    spent = run(tmp_path / "budget", "flow.budget={steps: 8}")
    assert spent.outcome == "budget" and failing(quick(spent)) == set()
    proved = run(tmp_path / "proof", "flow.until={certified: true}")
    assert proved.outcome == "certified" and failing(quick(proved)) == set()
    early = changed(proved, tmp_path / "early", lambda file: file.attrs.__setitem__("n_committed", 3))
    assert "ending: outcome" in failing(quick(early))
