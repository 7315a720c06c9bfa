"""The watch for a proof: it looks where tau passes marks, so that its looks do not grow with the steps of a run."""

from __future__ import annotations

import numpy as np
import pytest

from gflow.field.branch import Tolerances
from gflow.flow import certified
from gflow.flow.certified import LOOKS_PER_DOUBLING, Watch
from gflow.flow.state import Finish, FlowProgress, Outcome
from gflow.flow.steps import Manner, steps
from gflow.flow.stopping import Until
from gflow.limit.certificate import ModeLimit
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem

CERTIFIED = Until(1e6, Outcome.LOG_TIME, None, certified=True)


def problem() -> Problem:
    """Six samples in R^8, four neurons, slope 0.3."""
    rng = np.random.default_rng(5)
    X = rng.standard_normal((6, 8))
    a = np.array([0.5, -0.5, 0.5, -0.5])
    return Problem.of(X, np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1.0]), Network(a, 0.3), LOSSES["exponential"])


def ended(rtol: float, rows: list[float]) -> tuple[Finish, int]:
    """How a run ends, and its steps."""
    W = np.random.default_rng(6).standard_normal((4, 8))
    said = list(steps(problem(), W, CERTIFIED, Manner("dual", "DOP853", Tolerances(rtol, rtol)), rows))
    assert isinstance(said[-1], Finish)
    return said[-1], sum(isinstance(each, FlowProgress) for each in said)


def test_looks_are_bounded_by_marks_not_by_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Explicit steps at a fine tolerance: far more of them than marks."""
    looks, limits = list[int](), list[int]()
    judged, made = certified.finding_at, ModeLimit.__init__

    def counted(*given: object) -> object:
        looks.append(1)
        return judged(*given)  # type: ignore[arg-type]

    def counted_too(self: ModeLimit, *given: object) -> None:
        limits.append(1)
        made(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(certified, "finding_at", counted)
    monkeypatch.setattr(ModeLimit, "__init__", counted_too)
    finish, steps = ended(1e-12, [])
    assert finish.outcome is Outcome.CERTIFIED
    marks = LOOKS_PER_DOUBLING * (np.log2(finish.state.tau) + 52)
    assert len(looks) <= marks and len(limits) <= marks
    assert len(looks) < 0.5 * steps


def test_rows_do_not_hide_a_proof() -> None:
    """However many rows lie in every step, the proof is found at the same state."""
    alone, _ = ended(1e-8, [])
    crowded, _ = ended(1e-8, [0.1 * k for k in range(1, 2_000)])
    assert alone.outcome is crowded.outcome is Outcome.CERTIFIED
    assert crowded.state.tau == alone.state.tau


def test_when_it_looks_depends_on_the_state_alone() -> None:
    assert [certified._mark(tau) for tau in (0.0, 1.0, 2.0, 2.1)] == [
        -np.inf,
        0.0,
        LOOKS_PER_DOUBLING,
        LOOKS_PER_DOUBLING,
    ]
    assert Watch(problem())._limit is None
