"""The factorisations of a mode: kept up to date by turns, from scratch, and from the definition."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gflow.field.mode import DualMode, Mode
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from tests.reference.setting import samples

Array = NDArray[np.float64]
Sides = NDArray[np.int8]
KINDS = ["generic", "degenerate", "plane", "line"]


def problem(kind: str, slope: float, width: int = 6) -> Problem:
    rng = np.random.default_rng(11)
    X = samples(kind, rng)
    y = rng.choice([-1.0, 1.0], size=X.shape[0])
    return Problem.of(X, y, Network(rng.normal(size=width), slope), LOSSES["logistic"])


def some_sides(P: Problem, rng: np.random.Generator, sliding: float = 0.25) -> Sides:
    """Random sides (m, H), about a quarter of them sliding."""
    side = rng.choice([-1, 1], size=(P.network.width, P.surfaces.count))
    return np.where(rng.random(side.shape) < sliding, 0, side).astype(np.int8)


def direct_kernel(P: Problem, side: Sides) -> Array:
    """K_ik = y_i y_k sum_j a_j^2 s_ji s_jk <P_j c_i, P_j c_k>, s on the - branch of sliding surfaces, one by one."""
    n = P.samples
    K = np.zeros((n, n))
    for j in range(P.network.width):
        held = P.surfaces.normals[side[j] == 0]
        moved = np.empty((n, P.span.rank))
        for i in range(n):
            s = side[j, P.surfaces.of_sample[i]] or -1
            slope = 1.0 if s * P.surfaces.alpha[i] > 0 else P.network.slope
            c = P.span.C[i]
            if held.size:
                c = c - held.T @ np.linalg.lstsq(held.T, c, rcond=1e-10)[0]
            moved[i] = P.y[i] * P.network.outer[j] * slope * c
        K += moved @ moved.T
    return K


@pytest.mark.parametrize("slope", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("kind", KINDS)
def test_the_kernel_is_its_definition(kind: str, slope: float) -> None:
    P = problem(kind, slope)
    side = some_sides(P, np.random.default_rng(1))
    K = DualMode(P, side).K
    expected = direct_kernel(P, side)
    assert K == pytest.approx(expected, abs=1e-12 * np.abs(expected).max())
    assert (K.T == K).all()
    assert np.linalg.eigvalsh(K).min() > -1e-12 * np.abs(K).max()


@pytest.mark.parametrize("kind", KINDS)
def test_two_hundred_turns_leave_the_mode_of_their_sides(kind: str) -> None:
    P, rng = problem(kind, 0.2), np.random.default_rng(2)
    mode = DualMode(P, some_sides(P, rng, 0.0))
    for _ in range(200):
        j = int(rng.integers(P.network.width))
        mode.turn(j, some_sides(P, rng)[j])
    fresh = DualMode(P, mode.side)
    assert mode.K == pytest.approx(fresh.K, abs=1e-11 * np.abs(fresh.K).max())
    assert (mode.minus == fresh.minus).all()
    assert set(mode.dependent) == set(fresh.dependent)
    V = rng.normal(size=(P.network.width, P.span.rank))
    everyone = np.arange(P.network.width)
    assert mode.project(V, everyone) == pytest.approx(fresh.project(V, everyone), abs=1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_a_refreshed_mode_is_a_new_one_bit_for_bit(kind: str) -> None:
    """A resumed run builds its mode from the stored sides: what went before must leave no trace in the digits."""
    P, rng = problem(kind, 0.2), np.random.default_rng(2)
    mode, last = DualMode(P, some_sides(P, rng, 0.6)), some_sides(P, rng, 0.1)
    for j in range(P.network.width):
        mode.turn(j, last[j])
    mode.refresh()
    fresh = DualMode(P, last)
    V, everyone = rng.normal(size=(P.network.width, P.span.rank)), np.arange(P.network.width)
    assert (mode.K == fresh.K).all()
    assert (mode.project(V, everyone) == fresh.project(V, everyone)).all()


def test_many_neurons_are_summed_in_chunks() -> None:
    P = problem("generic", 0.2, width=300)
    side = some_sides(P, np.random.default_rng(3))
    expected = direct_kernel(P, side)
    assert DualMode(P, side).K == pytest.approx(expected, abs=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("kind", KINDS)
def test_projections_keep_to_the_surfaces(kind: str) -> None:
    P, rng = problem(kind, 0.0), np.random.default_rng(4)
    side = some_sides(P, rng)
    mode, everyone = Mode(P, side), np.arange(P.network.width)
    V = rng.normal(size=(3, P.network.width, P.span.rank))
    once = mode.project(V, everyone)
    assert mode.project(once, everyone) == pytest.approx(once, abs=1e-12)
    zeta = once @ P.surfaces.normals.T
    assert np.abs(zeta[:, side == 0]).max(initial=0.0) < 1e-12
    free = (side != 0).all(axis=1)
    assert (once[:, free] == V[:, free]).all()
    assert ((once - V) * once).sum(axis=-1) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_the_forces_are_those_the_projection_applies(kind: str) -> None:
    P, rng = problem(kind, 0.0), np.random.default_rng(5)
    mode, everyone = Mode(P, some_sides(P, rng)), np.arange(P.network.width)
    V = rng.normal(size=(P.network.width, P.span.rank))
    force = mode.held(V, everyone)
    padded = np.vstack([P.surfaces.normals, np.zeros(P.span.rank)])
    applied = np.einsum("js,jsr->jr", force, padded[mode.slots])
    assert V + applied == pytest.approx(mode.project(V, everyone), abs=1e-12)


def test_dependent_kinks_are_known_with_their_cells() -> None:
    P = problem("plane", 0.0)
    side = np.ones((P.network.width, P.surfaces.count), dtype=np.int8)
    side[0, :2], side[1] = 0, 0
    mode = Mode(P, side)
    assert set(mode.dependent) == {1}
    patterns = mode.dependent[1]
    assert patterns is not None and len(patterns) == 2 * P.surfaces.count
    mode.turn(1, side[2])
    assert not mode.dependent


@pytest.mark.parametrize("slope", [0.0, 0.25])
def test_what_the_plus_branch_adds_keeps_a_sample_that_the_other_outweighs(slope: float) -> None:
    """x = e_1 and -2 e_1 share a kink: the + branch adds push_1 - 2 slope push_2, which base + jump loses."""
    X = np.array([[1.0, 0.0], [-2.0, 0.0], [0.0, 1.0]])
    P = Problem.of(X, np.ones(3), Network(np.ones(1), slope), LOSSES["logistic"])
    mode, own = Mode(P, np.zeros((1, P.surfaces.count), dtype=np.int8)), np.array([0])
    h = int(P.surfaces.of_sample[0])
    push = np.array([[1e-20, 1.0 if slope == 0.0 else 1e-30, 0.0]])
    expected = push[0, 0] - 2.0 * slope * push[0, 1]
    assert abs(mode.tops(push, own, mode.slots)[0, h]) == pytest.approx(expected, rel=1e-15)
    rng = np.random.default_rng(3)
    push = rng.normal(size=(1, 3))
    summed = mode.bases(push, own, mode.slots) + mode.jumps(push, mode.slots)
    assert mode.tops(push, own, mode.slots) == pytest.approx(summed, rel=1e-14)


def test_their_sum_loses_it() -> None:
    """The control."""
    X = np.array([[1.0, 0.0], [-2.0, 0.0]])
    P = Problem.of(X, np.ones(2), Network(np.ones(1), 0.0), LOSSES["logistic"])
    mode, own = Mode(P, np.zeros((1, 1), dtype=np.int8)), np.array([0])
    push = np.array([[1e-20, 1.0]])
    assert mode.bases(push, own, mode.slots) + mode.jumps(push, mode.slots) == 0.0
    assert abs(mode.tops(push, own, mode.slots)[0, 0]) == 1e-20
