"""Verdicts at limits and last rows, with negative controls, and where there is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.gradient import limit_slopes
from gflow.analysis.kkt import kkt
from gflow.analysis.kkt.fit import least_distance
from gflow.analysis.kkt.problem import Gradients
from gflow.problem.parameters import Parameters
from tests.analysis.kkt.runs import BOTH_LAYERS, GAUSSIAN, GIVEN, given
from tests.analysis.kkt.vertices import by_vertices
from tests.analysis.runs import simulated


@pytest.fixture(scope="module")
def sliding(tmp_path_factory: pytest.TempPathFactory) -> AnalyzedRun:
    """A certified run whose limit has kinks with interior slopes."""
    return simulated(tmp_path_factory.mktemp("sliding"), GAUSSIAN.format(seed=0))


def test_interior_slopes_at_the_limit_are_found(sliding: AnalyzedRun) -> None:
    """The limit point knows its multipliers; the convex problem finds them without being told."""
    limit = sliding.limit
    assert limit is not None
    found = kkt(sliding)
    assert found.verdict == "holds" and found.point == "limit" and found.standing == "proved"
    assert found.stationarity is not None and found.stationarity < 1e-12
    assert found.complementarity is not None and found.complementarity < 1e-12
    assert found.interior is not None and found.interior > 0
    assert found.unique
    assert found.multipliers == pytest.approx(limit.multipliers, rel=1e-10)
    problem = sliding.problem
    gradients = Gradients(problem, Parameters(limit.U, problem.network.outer), problem.sample_sides(limit.side))
    fit = least_distance(gradients, problem.network.slope)
    np.testing.assert_allclose(fit.slopes, limit_slopes(problem, limit)[gradients.neuron, gradients.margin], atol=1e-10)


def test_the_last_row_is_judged_too(sliding: AnalyzedRun) -> None:
    """At the last row: every vertex by least squares again, W outside the span included."""
    last = kkt(sliding).last_row
    assert last is not None and last.multipliers is not None and last.epsilon is not None
    state, problem = sliding.last, sliding.problem
    inside = by_vertices(problem, state.U, problem.network.outer, problem.sample_sides(state.side))
    size, outside = np.linalg.norm(state.U), np.linalg.norm(sliding.outside)
    expected = np.hypot(inside * size, outside) / np.hypot(size, outside)
    assert last.stationarity == pytest.approx(float(expected), rel=1e-6)
    assert last.epsilon == pytest.approx(float(np.hypot(size, outside)) * last.stationarity / last.min_margin)
    excess = state.p / state.p.min() - 1.0
    assert last.delta == pytest.approx(float(last.multipliers @ excess), rel=1e-6)


@pytest.mark.parametrize("size", [1e-4, 1e-2])
def test_a_perturbed_limit_is_violated(sliding: AnalyzedRun, size: float) -> None:
    """Negative control: a random change of the limit shows in the stationarity with most of its size."""
    continuation = sliding.continuation
    assert continuation is not None and continuation.limit is not None
    U = continuation.limit.U
    noise = np.random.default_rng(3).standard_normal(U.shape)
    moved = replace(continuation.limit, U=U + size * np.linalg.norm(U) / np.linalg.norm(noise) * noise)
    run = AnalyzedRun(sliding.trajectory, sliding.problem)
    vars(run)["continuation"] = replace(continuation, limit=moved)
    found = kkt(run)
    assert found.verdict == "violated"
    assert found.stationarity is not None and 0.5 * size < found.stationarity < 1.1 * size
    vars(run)["continuation"] = replace(continuation, limit=moved, standing="expected")
    assert kkt(run).verdict == "undecided" and "the flow does not end in the expected limit" in kkt(run).summary
    within = replace(moved, error=2.0 * size * float(np.linalg.norm(U)))  # the exact point may be one
    vars(run)["continuation"] = replace(continuation, limit=within)
    assert kkt(run).verdict == "undecided"
    assert found.global_optimum is None


def test_wrong_slopes_are_violated(sliding: AnalyzedRun) -> None:
    """Negative control: W made with the - branch at the kinks needs slopes that the multipliers cannot have."""
    continuation = sliding.continuation
    assert continuation is not None and continuation.limit is not None
    limit, problem = continuation.limit, sliding.problem
    slopes = np.where(sliding.problem.sample_sides(limit.side) == 0, -0.5, limit_slopes(problem, limit))
    wrong = (problem.network.outer[:, None] * slopes * (problem.y * limit.multipliers)) @ problem.span.C
    run = AnalyzedRun(sliding.trajectory, sliding.problem)
    vars(run)["continuation"] = replace(continuation, limit=replace(limit, U=wrong))
    assert kkt(run).verdict == "violated"


@pytest.mark.parametrize(("seed", "verdict", "kinks"), [(0, "approaching", 4), (2, "undecided", 3)])
def test_both_layers_trained(tmp_path: Path, seed: int, verdict: str, kinks: int) -> None:
    """No theory gives the limit: the last row is the message, the same number as over all vertices.

    With seed 2 the stationarity rises between log t = 13 and 26.
    """
    run = simulated(tmp_path, BOTH_LAYERS.format(seed=seed))
    found = kkt(run)
    state, problem = run.last, run.problem
    assert found.point == "last row" and found.verdict == verdict and found.interior == kinks
    assert found.stationarity is not None and found.last_row is not None
    outer = state.parameters.outer
    inside = by_vertices(problem, state.U, outer, problem.sample_sides(state.side))
    size, outside = np.hypot(np.linalg.norm(state.U), np.linalg.norm(outer)), np.linalg.norm(run.outside_norms)
    expected = np.hypot(inside * size, outside) / np.hypot(size, outside)
    assert found.stationarity == pytest.approx(float(expected), rel=1e-6)
    trend = [stationarity for _, stationarity in found.earlier] + [found.stationarity]
    assert len(trend) == 4 and (np.diff(trend) < 0.0).all() == (verdict == "approaching")


def test_networks_that_are_not_homogeneous_have_no_verdict(tmp_path: Path) -> None:
    X, y = np.eye(2), np.array([1.0, -1.0])
    found = kkt(given(tmp_path, X, y, 0.0, "time: 1.0", "{kind: smooth_leaky_relu, slope: 0.1}"))
    assert found.verdict == "not applicable" and found.stationarity is None
    assert "smooth" in found.summary


def test_a_sample_that_no_neuron_sees_keeps_the_limit_from_being_kkt(tmp_path: Path) -> None:
    """ReLU, x_2 on the negative side of all neurons: its margin is 0 for ever, though the flow has a limit."""
    np.savez(tmp_path / "data.npz", X=np.eye(2), y=np.array([1.0, 1.0]))
    np.savez(tmp_path / "init.npz", W=np.array([[1.0, -1.0], [-1.0, -1.0]]))
    text = GIVEN.format(path=tmp_path / "data.npz", activation="{kind: relu}", until="log_time: 50.0")
    text = text.replace("width: 4", "width: 2")
    text = text.replace("{kind: gaussian, std: 0.3}", f"{{kind: file, path: {tmp_path / 'init.npz'}}}")
    found = kkt(simulated(tmp_path / "run", text))
    assert found.point == "limit" and found.verdict == "not applicable"
    assert found.summary.startswith("1 sample")
    assert found.complementarity is None and found.stationarity is not None


def test_without_positive_margins_there_is_no_verdict(tmp_path: Path) -> None:
    """Before all samples are fitted no scaling makes the margins 1; the stationarity is still a number.

    Two samples that coincide, with opposite labels, are never fitted.
    """
    X, y = np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([1.0, -1.0])
    found = kkt(given(tmp_path, X, y, 0.5, "time: 1.0"))
    assert found.verdict == "not applicable"
    assert found.complementarity is None and found.multipliers is None
    assert found.stationarity is not None
