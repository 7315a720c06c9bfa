"""What is called pending, where multipliers are not unique, against the flow of the mode alone, integrated far."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.optimize import linprog

from gflow.field.mode import DualMode
from gflow.flow.certified import standing
from gflow.limit.certificate import ModeLimit
from gflow.limit.optimal_set import OptimalSet
from gflow.limit.pairs import DOUBTFUL, Group, Near, groups, pairs_at, pairs_for_all
from gflow.limit.switches import Switches
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem

Array = NDArray[np.float64]
CUBE = np.array(list(product([-1.0, 1.0], repeat=3)))
# What is nearer to 0 than this may be called undecided.
CLEAR = 1e-3


def instance(seed: int, slope: float) -> tuple[Problem, Array]:
    """Corners of a cube with random labels, and weights U (m, r) that sort them by some of the labels at least."""
    rng = np.random.default_rng(seed)
    y = np.where(CUBE @ rng.standard_normal(3) > 0.0, 1.0, -1.0)
    outer = np.array([1.0, -1.0, 1.0, -1.0])
    problem = Problem.of(CUBE, y, Network(outer, slope), LOSSES["exponential"])
    W = rng.standard_normal((4, 3)) + 0.6 * outer[:, None] * (y @ CUBE) / 8.0
    return problem, W @ problem.span.B.T


def sides(problem: Problem, U: Array, seed: int) -> NDArray[np.int8]:
    """The sides of U, with a kink held for half of the seeds, where its jump traps."""
    side = np.sign(U @ problem.surfaces.normals.T).astype(np.int8)
    if seed % 2:
        for h in range(problem.surfaces.count):
            on = problem.surfaces.of_sample == h
            if (problem.y[on] > 0.0).all():
                side[1, h] = 0
                break
    return side


def far(K: Array, p: Array) -> Array:
    """q of the mode alone, at tau = 1e6."""

    def field(_: float, p: Array) -> Array:
        return np.asarray(K @ softmax(p))

    def jacobian(_: float, p: Array) -> Array:
        q = softmax(p)
        return np.asarray(K @ (np.outer(q, q) - np.diag(q)))

    run = solve_ivp(field, (0.0, 1e6), p, method="Radau", jac=jacobian, rtol=1e-8, atol=1e-8)
    assert run.success
    return softmax(run.y[:, -1])


def softmax(p: Array) -> Array:
    return np.asarray(np.exp(-p - np.logaddexp.reduce(-p)))


def judged_and_true(
    seed: int, slope: float
) -> tuple[bool, set[tuple[int, int]], set[tuple[int, int]], set[tuple[int, int]]]:
    """Whether multipliers are tied; pairs called pending; pairs that switch for sure, and pairs that do not."""
    problem, U = instance(seed, slope)
    side = sides(problem, U, seed)
    limit = ModeLimit(problem, DualMode(problem, side))
    if limit.hard is None or limit.samples.size < problem.samples:
        return False, set(), set(), set()
    at = standing(problem, side, U)
    finding = limit.finding(at)
    assert finding.hard is not None
    q = far(limit.K, at.p[limit.samples])
    switching, staying = set[tuple[int, int]](), set[tuple[int, int]]()
    values: dict[tuple[int, int], float] = {}
    for group in groups(limit.mode, limit.samples, np.zeros(0, dtype=np.intp), q):
        for j, h, value in zip(group.live.neuron, group.live.surface, group.live.F @ q, strict=True):
            pair = (int(j), int(h))
            values[pair] = min(float(value), values.get(pair, np.inf))
    for pair, value in values.items():
        if value < -CLEAR:
            switching.add(pair)
        elif value > CLEAR:
            staying.add(pair)
    return not finding.hard.unique, {(int(j), int(h)) for j, h in finding.pending}, switching, staying


@pytest.mark.parametrize(("slope", "least_tied"), [(0.1, 2), (0.5, 0)])
def test_pending_is_what_the_mode_alone_switches(slope: float, least_tied: int) -> None:
    """With ties (all features of slope 0.5 are independent here) and without."""
    tied = with_some = 0
    for seed in range(10):
        ties, pending, switching, staying = judged_and_true(seed, slope)
        assert switching <= pending, seed
        assert not pending & staying, seed
        with_some += len(switching) > 0
        tied += ties and len(switching) > 0
    assert with_some >= 2 and tied >= least_tied, (tied, with_some)  # what this test is about


@pytest.mark.parametrize(("shift", "distance", "pending", "undecided"), [
    ([1e-8, 1e-8, 0.0], 0.0, 1, 0),  # a long sample without mass does not blur it
    ([1e-8, 1e-8, 0.0], 1e-8, 0, 1),  # here it may have some
    ([1e-6, 1e-8, 0.0], 0.0, 0, 1),
])  # fmt: skip
def test_a_coefficient_counts_by_what_its_own_entry_may_be_off(
    shift: list[float], distance: float, pending: int, undecided: int
) -> None:
    """F.q = -1e-7, with coefficients 1 where there is mass and 1e3 where there is none."""
    q, F = np.array([0.5, 0.5, 0.0]), np.array([[-1.0, 1.0 - 2e-7, 1e3]])
    block = Switches(F, np.zeros((1, 3)), np.zeros(1, int), np.zeros(1, int), np.zeros(1, bool))
    found = pairs_at([Group(block, np.zeros(1), np.zeros(1))], Near(q, np.array(shift), distance))
    assert (len(found.pending), found.undecided) == (pending, undecided)


def plainly(block: Switches, ties: OptimalSet, distance: float) -> tuple[set[tuple[int, int]], int]:
    """Pending pairs, and the number of functions in doubt: function by function, each by its own linear programs."""

    def least(f: Array) -> float:
        H, S = ties.H, ties.support
        solved = linprog(f[S], A_eq=H[S].T, b_eq=H[S].T @ ties.member[S], bounds=(0.0, None))
        return float(solved.fun)

    pending, doubted = set[tuple[int, int]](), 0
    half = int(block.slides.sum()) // 2
    first = np.flatnonzero(block.slides)
    for k, f in enumerate(block.F):
        doubt = float((block.error[k]).max() + distance * np.abs(f).max())
        value = float(f @ ties.member)
        own = float(block.error[k] @ ties.member + distance * (block.error[k] + np.abs(f)).max())
        negative, doubtful = value < -own, abs(value) <= own
        if block.slides[k] and f.any():
            mate = first[(int(np.searchsorted(first, k)) + half) % (2 * half)]
            mates = float(block.error[mate].max() + distance * np.abs(block.F[mate]).max())
            oriented = least(f + block.F[mate]) > doubt + mates
            negative = bool(negative and oriented and least(-f) > doubt)
            doubtful = not negative and not (oriented and least(f) > doubt)
        if negative:
            pending.add((int(block.neuron[k]), int(block.surface[k])))
        doubted += bool(doubtful and not block.safe[k])
    return pending, doubted


@pytest.mark.parametrize("slope", [0.1, 0.0])
def test_pairs_over_all_admissible_limits_are_those_of_a_program_each(slope: float) -> None:
    """Corners of a cube with ties, some of its kinks held."""
    compared, with_rooms = 0, 0
    for seed in range(30):
        problem, U = instance(seed, slope)
        side = sides(problem, U, seed)
        held = np.random.default_rng(seed).random(side.shape) < 0.15
        limit = ModeLimit(problem, DualMode(problem, np.where(held, 0, side).astype(np.int8)))
        ties = None if limit.hard is None else OptimalSet.of(limit.hard, limit.features.rows)
        if ties is None or ties.single:
            continue
        every = list(groups(limit.mode, limit.samples, np.zeros(0, dtype=np.intp), ties.member))
        found = pairs_for_all(every, ties, DOUBTFUL)
        pending, doubted = plainly(every[0].live, ties, DOUBTFUL)
        assert len(every) == 1 and {(int(j), int(h)) for j, h in found.pending} == pending, seed
        assert found.undecided == doubted, seed
        compared, with_rooms = compared + 1, with_rooms + bool(every[0].live.slides.any())
    assert compared >= 5 and with_rooms >= 5, (compared, with_rooms)
