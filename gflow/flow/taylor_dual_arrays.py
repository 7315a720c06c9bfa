"""Arrays of the compiled loop of fixed outer layers, from a problem and a state of its flow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np

from gflow.arrays import Array, Index
from gflow.field.branch import Tolerances
from gflow.field.dual import weight_floor
from gflow.field.guards import ADDED_UP
from gflow.field.mode import DualMode
from gflow.field.mode import Mode as FieldMode
from gflow.flow.state import FlowState
from gflow.flow.taylor_hulls import basis_of
from gflow.problem.problem import Problem
from gflow.problem.span import row_norms
from gflow.taylor.model import (
    CAP,
    CLOCK,
    GAP,
    LAST,
    SQUARED,
    TAU,
    Data,
    Kernel,
    Mode,
    Model,
    assembled,
    kernel_of,
    lazy_of,
    mode_of,
)
from gflow.taylor.series import Counts

Numbers = TypeVar("Numbers", Array, Counts)

# Part of the error allowed to a step that counts at most: a doubling of tau may use up so much of rtol.
SAFETY = 1.0 / 32.0
# Events that the log has room for at least, and instants at which the flow is measured.
ROOM = 1024


@dataclass(frozen=True, slots=True)
class Ground:
    """What the arrays of one run share: the problem, its tolerances and |w_j| at the start (m,)."""

    problem: Problem
    tolerances: Tolerances
    norms: Array
    data: Data

    @classmethod
    def of(cls, problem: Problem, tolerances: Tolerances, norms: Array) -> Ground:
        """Work out what does not change."""
        return cls(problem, tolerances, norms, data_of(problem, tolerances))


def data_of(problem: Problem, tolerances: Tolerances) -> Data:
    """Data of the compiled loop.  With several outputs there is no label to a push, and no use for `outer`."""
    surfaces, C, outputs = problem.surfaces, problem.span.C, problem.network.outputs
    gram = surfaces.normals @ surfaces.normals.T
    gram = 0.5 * (gram + gram.T)
    np.fill_diagonal(gram, 1.0)
    order = np.argsort(surfaces.of_sample, kind="stable")
    first = np.searchsorted(surfaces.of_sample[order], np.arange(surfaces.count + 1))
    return Data(
        gram=np.ascontiguousarray(gram),
        surface=surfaces.of_sample.astype(np.int64),
        first=first.astype(np.int64),
        sample=order.astype(np.int64),
        alpha=np.ascontiguousarray(surfaces.alpha, dtype=float),
        push=np.ascontiguousarray(surfaces.alpha * (problem.y if outputs == 1 else 1.0), dtype=float),
        outer=np.ascontiguousarray(np.atleast_2d(problem.network.outer)[0], dtype=float),
        slope=float(problem.network.slope),
        logistic=problem.loss.name == "logistic",
        kinked=bool(problem.network.kinked),
        reach=float(np.linalg.norm(C, 2)),
        longest=float(row_norms(C).max()),
        loose=ADDED_UP * tolerances.rtol,
        tolerance=SAFETY,
        rtol=tolerances.rtol,
    )


def held_of(mode: FieldMode, j: int) -> tuple[Index, Array]:
    """The surfaces (k,) that hold neuron j, a basis of them where they are dependent, and A (k, r) as in `Mode`."""
    normals, on = mode.problem.surfaces.normals, np.flatnonzero(mode.side[j] == 0)
    if j not in mode.dependent:
        return on, mode.force_map[j, : on.size]
    on = on[basis_of(normals[on])]
    return on, np.asarray(np.linalg.pinv(normals[on]).T, dtype=float)


def arrays_of(mode: FieldMode, slots: int) -> Mode:
    """The mode of the compiled loop: the same sides, with forces from the pseudo-inverses of this one."""
    problem, sliding = mode.problem, mode.side == 0
    arrays = mode_of(mode.side, problem.samples, slots)
    normals, longest = problem.surfaces.normals, float(row_norms(problem.span.C).max())
    for j in np.flatnonzero(sliding.any(axis=1)):
        on, force_map = held_of(mode, int(j))
        k = on.size
        arrays.slots[j, :k], arrays.held[j] = on, k
        arrays.force[j, :k] = force_map @ normals.T
        arrays.lever[j, :k] = longest * np.maximum(np.linalg.norm(force_map, axis=1), 1.0)
    network = problem.network
    moving = network.trains_outer | np.atleast_2d(network.outer != 0.0).any(axis=0)
    active = (mode.slopes != 0.0) & np.broadcast_to(moving, mode.side.shape[:1])[:, None]
    arrays.slopes[:] = mode.slopes
    arrays.live[:] = active.sum(axis=0) + (network.output_bias is not None) if network.kinked else 1
    arrays.by_hull[list(mode.dependent)] = 1
    return arrays


def kernel_arrays_of(mode: DualMode) -> Kernel:
    """K of the mode."""
    kernel = kernel_of(mode.problem.samples)
    kernel.K[:], kernel.highest[:], kernel.free[:] = mode.K, np.diag(mode.K), mode.free**2
    return kernel


def model_of(ground: Ground, state: FlowState, mode: DualMode, norms: Array) -> Model:
    """The arrays of the compiled loop at a state; norms (m,): |w_j| there."""
    problem = ground.problem
    slots = max(min(problem.span.rank, 4), int((state.side == 0).sum(axis=1).max(initial=0)))
    slots = min(slots, problem.span.rank)
    zeta = state.U @ problem.surfaces.normals.T
    lazy = lazy_of(zeta, norms + ground.norms, problem.samples, slots)
    room = (state.side.size + ROOM, ROOM, state.side.size + ROOM)
    allowed = min(weight_floor(problem, norms, ground.tolerances), 1e300)
    model = assembled(ground.data, arrays_of(mode, slots), kernel_arrays_of(mode), lazy, state.p, allowed, room)
    model.now[TAU], model.now[CLOCK], model.now[LAST] = state.tau, state.v, state.tau
    model.now[SQUARED] = float(norms @ norms)
    model.now[GAP], model.now[CAP] = 0.1 * state.h, 100.0 * state.h
    return model


def copied(model: Model) -> Model:
    """The same arrays once more."""

    def again(part: Any) -> Any:  # Any: a named tuple of arrays, an array, or a number
        if isinstance(part, tuple):
            return type(part)(*map(again, part))
        return part.copy() if isinstance(part, np.ndarray) else part

    return Model(model.data, *map(again, model[1:]))


def with_slots(model: Model, slots: int) -> Model:
    """The same with room for so many sliding surfaces a neuron."""
    mode, share_lift = model.mode, model.lazy.share_lift
    more = slots - mode.slots.shape[1]
    wider = mode._replace(
        slots=grown(mode.slots, more, -1),
        force=grown(mode.force, more, 0.0),
        lever=grown(mode.lever, more, 1.0),
        turned=grown(mode.turned, more, 1.0),
    )
    return model._replace(mode=wider, lazy=model.lazy._replace(share_lift=grown(share_lift, more, 0.0)))


def grown(array: Numbers, more: int, fill: float) -> Numbers:
    """The array (m, k, ...) with so many more slots a neuron, filled with this."""
    wide = [(0, more if axis == 1 else 0) for axis in range(array.ndim)]
    return cast(Numbers, np.ascontiguousarray(np.pad(array, wide, constant_values=fill)))
