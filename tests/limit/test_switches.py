"""The linear functions that could end a mode, against the guards and the velocities of the engine."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gflow.field.branch import Tolerances
from gflow.field.dual import DualBranch
from gflow.field.mode import DualMode
from gflow.flow.dual import dual_engine
from gflow.limit.switches import switches
from tests.flow.driver import flow, problem_of, until_time
from tests.reference.setting import drawn

Array = NDArray[np.float64]
NONE = np.zeros(0, dtype=np.intp)  # no sample outweighs the others


@pytest.mark.parametrize("kind", ["wide", "degenerate"])
@pytest.mark.parametrize("slope", [0.0, 0.2])
@pytest.mark.parametrize("seed", range(3))
def test_rates_and_rooms_are_those_of_the_engine(kind: str, slope: float, seed: int) -> None:
    setting, W = drawn(kind, slope, "logistic", seed)
    problem = problem_of(setting)
    state = flow(problem, W, until_time(3.0)).state
    engine = dual_engine(problem, W, Tolerances(1e-8, 1e-10))
    stretch = engine.stretch(engine.resume(state))
    branch = stretch.branch
    assert isinstance(branch, DualBranch)
    mode = branch.mode
    assert not mode.dependent  # neurons on dependent kinks would have no shares to compare
    q = branch.dual(branch.y0)
    everyone = np.arange(problem.network.width)
    velocity = mode.project(mode.drift(branch.push(branch.y0, everyone), everyone), everyone)
    rates = mode.side * (velocity @ problem.surfaces.normals.T)
    rooms = stretch.guards._share(branch.y0, everyone)
    seen = 0
    for block in switches(mode, problem.network.outer, q, NONE):
        value = block.F @ q
        off = ~block.slides
        assert value[off] == pytest.approx(rates[block.neuron[off], block.surface[off]], abs=1e-13)
        half = int(block.slides.sum()) // 2
        for end in (0, 1):
            part = slice(off.sum() + end * half, off.sum() + (end + 1) * half)
            for k in range(part.start, part.stop):
                j, slot = block.neuron[k], int(np.flatnonzero(mode.slots[block.neuron[k]] == block.surface[k])[0])
                pull_to_force = abs(problem.network.outer[j])
                assert value[k] == pytest.approx(pull_to_force * rooms[j, slot, end], abs=1e-13)
                seen += 1
        assert (np.abs(block.error) <= 1e-11 * (1.0 + np.abs(block.F).max())).all()
    assert seen == 2 * int((mode.side == 0).sum())


def test_errors_vanish_where_samples_are_exactly_orthogonal() -> None:
    """What is exactly zero is known to be: no rounding can make such a pair doubtful."""
    setting, W = drawn("wide", 0.0, "exponential", 1)
    object.__setattr__(setting, "X", np.eye(6))
    problem = problem_of(setting)
    mode = DualMode(problem, np.sign(W[:, :6]).astype(np.int8))
    for block in switches(mode, problem.network.outer, np.full(6, 1 / 6), NONE):
        other = np.arange(6) != block.surface[:, None]
        assert (block.F[other] == 0.0).all() and (block.error[other] == 0.0).all()


def test_errors_bound_a_computation_in_extended_precision() -> None:
    setting, W = drawn("generic", 0.3, "exponential", 2)
    problem = problem_of(setting)
    side = np.sign(W @ setting.X.T).astype(np.int8)
    side[0, 1] = side[0, 4] = side[3, 2] = 0
    mode = DualMode(problem, side)
    normals = problem.surfaces.normals.astype(np.longdouble)
    C = problem.span.C.astype(np.longdouble)
    for block in switches(mode, problem.network.outer, np.full(7, 1 / 7), NONE):
        for k in np.flatnonzero(~block.slides):
            j, h = block.neuron[k], block.surface[k]
            N = normals[mode.side[j] == 0]
            u = normals[h]
            if len(N):
                gram = (N @ N.T).astype(float)
                inverse = np.linalg.inv(gram).astype(np.longdouble)
                for _ in range(3):  # Newton's iteration, in extended precision
                    inverse = inverse @ (2.0 * np.eye(len(N), dtype=np.longdouble) - (N @ N.T) @ inverse)
                u = u - N.T @ (inverse @ (N @ u))
            exact = side[j, h] * setting.outer[j] * mode.slopes[j] * setting.y * (C @ u)
            assert (np.abs(block.F[k] - exact) <= block.error[k]).all()
