"""The way to a proof: what the policy chose on it, and the flow followed again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import gflow
from gflow.analysis import path_stability
from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.followed_flow import Allowance, followed
from gflow.analysis.path_stability import PathTaken, changed_by, path_stability_of, repelling
from gflow.analysis.progress import AnalysisProgress
from gflow.field.branch import Tolerances
from gflow.field.transition import EventKind
from gflow.flow.state import Event, Notes
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from tests.analysis.runs import gaussian

BOTH_PUSHED = np.array([[1.0, 0.0], [-0.5, 1.0]])


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> AnalyzedRun:
    """A run whose last row has its proof."""
    return gaussian(tmp_path_factory.mktemp("late"), 1e4)


def two(y: list[float], a: list[float]) -> Problem:
    """Two samples, two neurons, ReLU."""
    return Problem.of(BOTH_PUSHED, np.array(y), Network(np.array(a), 0.0), LOSSES["exponential"])


def taken(analyzed: AnalyzedRun) -> PathTaken:
    """The way of a run that has its proof at the last row."""
    assert analyzed.continuation is not None and analyzed.continuation.finding.proved
    return analyzed._taken(analyzed.continuation)


def test_an_ordinary_run_is_proved_by_four_runs_that_agree(late: AnalyzedRun) -> None:
    seen, run = list[AnalysisProgress](), late.trajectory
    found = gflow.analyze(run, ["freezing", "limit", "direction"], progress=seen.append)
    assert {each.verdict for each in found.values()} == {"proved"} and found["freezing"].reason == ""
    doings = list(dict.fromkeys(each.doing for each in seen))
    assert len(doings) == 2 and "changed by a part of 1e-06" in doings[0] and "rtol = 1e-10" in doings[1]
    most = path_stability.STEPS_TO_START + path_stability.STEP_FACTOR * int(run.series["steps"][-1])
    assert max(each.steps for each in seen) < max(each.most_steps for each in seen) == most


def test_a_way_that_is_not_followed_to_its_end_is_no_proof(late: AnalyzedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path_stability, "STEP_FACTOR", 0)
    monkeypatch.setattr(path_stability, "STEPS_TO_START", 7)
    found = path_stability_of(late.problem, taken(late))
    assert not found.stable and "was left at log t = " in found.reason
    assert "after 7 steps, the most that are done" in found.reason


def test_other_events_and_another_pattern_are_told(late: AnalyzedRun) -> None:
    mine = taken(late)
    assert mine.events is not None and mine.events[0].neuron != mine.events[1].neuron
    odd = mine.events[0]
    fewer = path_stability_of(late.problem, replace(mine, events=mine.events[1:]))
    assert not fewer.stable and f"parts from it at neuron {odd.neuron}, sample " in fewer.reason
    assert "rtol = 1e-10" in fewer.reason
    side = mine.side.copy()
    side[0, 0] = -1 if side[0, 0] > 0 else 1
    assert "another pattern (1 pairs differ)" in path_stability_of(late.problem, replace(mine, side=side)).reason


def test_the_order_of_two_pairs_tells_nothing_and_events_may_not_be_kept(late: AnalyzedRun) -> None:
    mine = taken(late)
    assert mine.events is not None and mine.events[0].neuron != mine.events[1].neuron
    assert path_stability_of(late.problem, replace(mine, events=[*mine.events[1::-1], *mine.events[2:]])).stable
    assert path_stability_of(late.problem, replace(mine, events=None)).stable


@pytest.mark.parametrize(
    ("notes", "said"),
    [(Notes(unsettled=2), "2 pairs were on kinks"), (Notes(conservative=1), "conservative at 1 instants")],
)
def test_choices_forbid_a_proof_without_following_the_flow(late: AnalyzedRun, notes: Notes, said: str) -> None:
    seen = list[AnalysisProgress]()
    found = path_stability_of(late.problem, replace(taken(late), notes=notes), seen.append)
    assert not found.stable and said in found.reason and not seen


def test_which_kinks_push() -> None:
    """jump = a_j y_i: a positive product pushes, a negative one traps, and a neuron that never moves does neither."""
    side, p = np.array([[0, 1], [1, 0]], dtype=np.int8), np.array([1.0, 2.0])
    assert repelling(two([1.0, 1.0], [1.0, 1.0]), side, p) == [(0, 0), (1, 1)]
    assert repelling(two([1.0, 1.0], [1.0, -1.0]), side, p) == [(0, 0)]
    assert repelling(two([-1.0, 1.0], [1.0, 0.0]), side, p) == []
    # Weights of e^-2000 are 0 in float64, and their signs are still known.
    assert repelling(two([1.0, 1.0], [1.0, 1.0]), side, np.array([2000.0, 1.0])) == [(0, 0), (1, 1)]


def test_a_kink_of_contradicting_samples_pushes_by_the_heavier() -> None:
    """Two antipodal samples share a kink; both jumps have the sign of their labels."""
    X = np.array([[1.0, 0.0], [-1.0, 0.0], [0.3, 1.0]])
    problem = Problem.of(X, np.array([1.0, -1.0, 1.0]), Network(np.array([1.0]), 0.0), LOSSES["exponential"])
    side = np.array([[0, 1]], dtype=np.int8)
    assert repelling(problem, side, np.array([900.0, 901.0, 0.0])) == [(0, 0)]
    assert repelling(problem, side, np.array([901.0, 900.0, 0.0])) == []
    assert repelling(problem, side, np.array([900.0, 900.0, 0.0])) == []


def test_a_change_of_the_start_keeps_neurons_on_their_kinks() -> None:
    problem, W = two([1.0, 1.0], [1.0, 1.0]), np.array([[0.0, 3.0], [0.7, 0.8]])
    change = changed_by(problem, W, 1e-6)
    assert abs(change[0] @ BOTH_PUSHED[0]) < 1e-20 and np.linalg.norm(change[0]) > 1e-7
    assert np.linalg.norm(change[1]) == pytest.approx(1e-6 * np.linalg.norm(W[1]))
    assert np.array_equal(change, changed_by(problem, W, 1e-6))
    assert not changed_by(problem, np.zeros((2, 2)), 1e-6).any()


def test_symmetric_starts_on_dead_centre_are_not_proved(tmp_path: Path) -> None:
    """W = 0: every kink is met at once, and the policy alone decides where the flow goes."""
    text = """
gflow: 1
name: nought
data: {kind: file, path: data.npz}
model: {kind: two_layer, width: 2, activation: {kind: leaky_relu, slope: 0.5}, outer: {values: signs}}
init: {kind: file, path: init.npz}
loss: exponential
flow: {until: {certified: true, log_time: 100.0}}
"""
    np.savez(tmp_path / "data.npz", X=np.array([[1.0, 0.2], [0.3, 1.0]]), y=np.array([1.0, -1.0]))
    np.savez(tmp_path / "init.npz", W=np.zeros((2, 2)), a=np.array([1.0, -1.0]))
    (tmp_path / "s.yaml").write_text(text, encoding="utf-8")
    run = gflow.simulate(gflow.load_scenario(tmp_path / "s.yaml"), out=tmp_path / "run")
    found = gflow.analyze(run, ["freezing", "limit"])
    assert "proved" not in {found["freezing"].verdict, found["limit"].verdict}
    assert found["freezing"].unsettled > 0 and "the policy decided" in found["freezing"].summary


def test_a_linear_network_has_one_mode_and_a_stable_way(tmp_path: Path) -> None:
    analyzed, seen = gaussian(tmp_path, 200.0, 0, 0.1, "model.activation={kind: linear}"), list[AnalysisProgress]()
    assert path_stability_of(analyzed.problem, taken(analyzed), seen.append).stable and not seen


def test_the_way_ahead_belongs_to_the_way(tmp_path: Path) -> None:
    """A run that ends before its last event is followed ahead, and the whole of it again."""
    analyzed = gaussian(tmp_path, 20.0)
    assert analyzed.continuation is not None and analyzed.continuation.followed is not None
    ahead = analyzed.continuation.followed
    assert analyzed.continuation.standing == analyzed.standing == "proved" and ahead.events
    mine = analyzed._taken(analyzed.continuation)
    assert mine.events is not None and len(mine.events) == analyzed.trajectory.n_events + len(ahead.events)
    assert np.array_equal(mine.side, ahead.end.side)


def test_a_file_that_keeps_no_notes_is_judged_by_the_flow_followed_again(
    late: AnalyzedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late.trajectory, "form", replace(late.trajectory.form, resumable=False))
    old = AnalyzedRun.of(late.trajectory)
    assert old.notes is None and old.standing == "proved"


def test_a_course_is_left_where_it_hardly_comes_forward() -> None:
    """One neuron, one sample: no event ever, and a proof after some steps, of which one does not double v."""
    problem = Problem.of(np.array([[1.0]]), np.array([1.0]), Network(np.array([1.0]), 0.0), LOSSES["logistic"])
    W, tolerances = np.array([[1.0]]), Tolerances(1e-8, 1e-10)
    assert followed(problem, W, tolerances, Allowance("it", 10_000, 100)).proved
    left = followed(problem, W, tolerances, Allowance("it", 10_000, 1))
    assert (
        not left.proved
        and "after 7 steps, in the last 1 of which nothing switched and log t did not double" in left.stopped
    )


def test_events_of_one_pair_are_compared_in_order() -> None:
    up, down = (Event(1.0, 0, 0, kind) for kind in (EventKind.CROSS_UP, EventKind.CROSS_DOWN))
    assert path_stability._parting([up, down], [up, down]) is None
    assert path_stability._parting([up, down], [down, up]) == up
    assert path_stability._parting([up], [up, replace(down, v=3.0)]) == replace(down, v=3.0)
