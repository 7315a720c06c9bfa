"""The watch for a proof: it looks where tau passes marks, so that its looks do not grow with the steps of a run."""

from __future__ import annotations

import numpy as np
import pytest

from gflow.arrays import EPS, Array, Sides
from gflow.field.branch import Tolerances
from gflow.field.mode import DualMode
from gflow.flow import certified
from gflow.flow.certified import LOOKS_PER_DOUBLING, Watch, foreseen, standing
from gflow.flow.state import Finish, FlowProgress, FlowRow, Outcome
from gflow.flow.steps import Manner, steps
from gflow.flow.stopping import Until
from gflow.limit.certificate import ModeLimit
from gflow.limit.foresight import too_early, turns
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
    judged, made = Watch.proved_at, ModeLimit.__init__

    def counted(self: Watch, side: Sides, U: Array) -> bool:
        looks.append(1)
        return judged(self, side, U)

    def counted_too(self: ModeLimit, problem: Problem, mode: DualMode) -> None:
        limits.append(1)
        made(self, problem, mode)

    monkeypatch.setattr(Watch, "proved_at", counted)
    monkeypatch.setattr(ModeLimit, "__init__", counted_too)
    finish, steps = ended(1e-12, [])
    assert finish.outcome is Outcome.CERTIFIED
    marks = LOOKS_PER_DOUBLING * (np.log2(finish.state.tau) + 52)
    assert len(looks) <= marks and len(limits) <= marks
    assert len(looks) < 0.5 * steps


def test_a_look_finds_what_the_whole_finding_says() -> None:
    """At every step of flows of both losses and slopes, proved or not; and what is passed over has no proof."""
    seen = dict.fromkeys(("proved", "open", "turns", "early"), 0)
    for seed in range(8):
        rng = np.random.default_rng(seed)
        X, a = rng.standard_normal((6, 8)), np.array([0.5, -0.5, 0.5, -0.5])
        loss = LOSSES["exponential" if seed % 2 else "logistic"]
        other = Problem.of(X, np.where(rng.random(6) < 0.5, 1.0, -1.0), Network(a, 0.3 * (seed % 4 // 2)), loss)
        manner = Manner("dual", "auto", Tolerances(1e-6, 1e-8))
        watch = Watch(other)
        rows = np.geomspace(0.5, 200.0, 60).tolist()
        for item in steps(other, rng.standard_normal((4, 8)), Until(201.0, Outcome.LOG_TIME, None), manner, rows):
            if not isinstance(item, FlowRow):
                continue
            state, mode = item.state, DualMode(other, item.state.side)
            finding = foreseen(other, state.side, state.U)[0]
            assert watch.proved_at(state.side, state.U) is finding.proved, (seed, state.v)
            assert ModeLimit(other, mode).stays(standing(other, state.side, state.U)) is finding.proved
            if turns(mode):
                assert len(finding.pending) and not finding.proved, (seed, state.v)
            if too_early(other, state.side, state.p):
                assert not finding.proved, (seed, state.v)
            seen["proved"] += finding.proved
            seen["open"] += not finding.proved and not len(finding.pending)
            seen["turns"] += turns(mode)
            seen["early"] += too_early(other, state.side, state.p)
    assert min(seen.values()) >= 5, seen


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


@pytest.mark.parametrize("expected", [0.0, 3.0, 1e30])
def test_it_says_when_to_look_next(expected: float) -> None:
    """Before that no mark is passed; and it lies just before one."""
    rng, watch = np.random.default_rng(0), Watch(problem(), expected)
    for tau in (2.0 ** rng.uniform(-60.0, 60.0, 500)).tolist() + [1.0, 2.0, 2.0**0.125, 2.0**-0.125]:
        ahead = watch.next_look(tau)
        assert not watch.due(tau, max(tau, ahead * (1.0 - 1e-15)))
        assert watch.due(tau, ahead * (1.0 + 1e-13)) or ahead == expected * (1.0 - 64.0 * EPS)
    assert watch.next_look(0.0) == 0.0 and watch.due(0.0, 1e-300) and not watch.due(0.0, 0.0)


def test_it_looks_rarely_before_a_proof_is_expected() -> None:
    """Once per doubling until then, and as often as without it after that."""
    taus = 2.0 ** np.linspace(-10.0, 10.0, 20 * 64 + 1)[1:-1]
    watches = Watch(problem(), 1.0), Watch(problem())
    early, always = ([w.due(*each) for each in zip(taus, taus[1:], strict=False)] for w in watches)
    before = int((taus[1:] < 1.0).sum())
    assert (sum(early[:before]), sum(always[:before])) == (9, 10 * LOOKS_PER_DOUBLING - 1)
    assert early[before + 1 :] == always[before + 1 :] and sum(early[before:]) >= 10 * LOOKS_PER_DOUBLING - 1
