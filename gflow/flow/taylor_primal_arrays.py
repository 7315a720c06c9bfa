"""Arrays of the compiled loop of trained outer layers, from a problem and a state of its flow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gflow.arrays import Array
from gflow.field.branch import Tolerances
from gflow.field.mode import Mode
from gflow.flow.state import FlowState
from gflow.flow.taylor_dual_arrays import ROOM, arrays_of, data_of, grown, held_of
from gflow.problem.problem import Problem
from gflow.problem.span import row_norms
from gflow.taylor.model import CAP, CLOCK, TAU, Data
from gflow.taylor.primal.model import HIGHEST, PrimalModel, Span, assembled, neurons_of
from gflow.taylor.primal.outputs import outputs_of


@dataclass(frozen=True, slots=True)
class PrimalGround:
    """What the arrays of one run share."""

    problem: Problem
    data: Data
    span: Span

    @classmethod
    def of(cls, problem: Problem, tolerances: Tolerances, norms: Array, outside: Array) -> PrimalGround:
        """norms (m,): |w_j| at the start; outside (m,): the part of it outside the span of the samples."""
        C = np.ascontiguousarray(problem.span.C)
        span = Span(
            C=C,
            normals=np.ascontiguousarray(problem.surfaces.normals),
            y=problem.y.astype(float) if problem.network.outputs == 1 else np.ones(problem.samples),
            squares=row_norms(C) ** 2,
            outside=np.array(outside, dtype=float),
            initial=np.array(norms, dtype=float),
            trains=problem.network.trains_outer,
            atol=tolerances.atol,
        )
        return cls(problem, data_of(problem, tolerances), span)


def model_of(ground: PrimalGround, state: FlowState, mode: Mode, norms: Array) -> PrimalModel:
    """The arrays of the compiled loop at a state; norms (m,): |w_j| there."""
    problem, side = ground.problem, state.side
    slots = min(max(min(problem.span.rank, 4), int((side == 0).sum(axis=1).max(initial=0))), problem.span.rank)
    network, parameters = problem.network, state.parameters
    a = np.ascontiguousarray(np.atleast_2d(parameters.outer).T, dtype=float)
    neurons = neurons_of(state.U, a, norms)
    own = problem.y.astype(np.int64) if network.outputs > 1 else np.zeros(problem.samples, dtype=np.int64)
    bias = np.zeros(network.outputs) if parameters.output_bias is None else parameters.output_bias
    outputs = outputs_of(own, bias, parameters.output_bias is not None, HIGHEST + 1)
    room = (side.size + ROOM, ROOM, side.size + ROOM)
    model = assembled(ground.data, ground.span, arrays_of(mode, slots), neurons, outputs, room)
    for j in np.flatnonzero(model.mode.held):
        _tabulate(model, mode, int(j))
    model.p[:] = state.p
    model.now[TAU], model.now[CLOCK], model.now[CAP] = state.tau, state.v, state.h
    return model


def _tabulate(model: PrimalModel, mode: Mode, j: int) -> None:
    """The tables of the slides of neuron j, as `taylor.primal.firing.tabulate` makes them after a turn."""
    data, tables, k = model.data, model.tables, int(model.mode.held[j])
    tables.across[j, :k] = held_of(mode, j)[1]
    force = -model.mode.force[j, :k][:, data.surface] * (data.push * model.mode.slopes[j])
    own = model.mode.slots[j, :k, None] == data.surface
    rising = data.alpha > 0.0
    base = own * data.push * np.where(rising, data.slope, 1.0)
    top = own * data.push * np.where(rising, 1.0, data.slope)
    tables.ends[j, :k, 0], tables.ends[j, :k, 1] = force - base, top - force
    tables.reach[j, :k] = np.abs(tables.ends[j, :k]).max(axis=2)


def with_slots(model: PrimalModel, slots: int) -> PrimalModel:
    """The same with room for so many sliding surfaces a neuron."""
    mode, tables, watched = model.mode, model.tables, model.watched
    more = slots - mode.slots.shape[1]
    return model._replace(
        mode=mode._replace(
            slots=grown(mode.slots, more, -1),
            force=grown(mode.force, more, 0.0),
            lever=grown(mode.lever, more, 1.0),
            turned=grown(mode.turned, more, 1.0),
        ),
        tables=tables._replace(
            across=grown(tables.across, more, 0.0),
            ends=grown(tables.ends, more, 0.0),
            reach=grown(tables.reach, more, 0.0),
        ),
        watched=watched._replace(share_lift=grown(watched.share_lift, more, 0.0)),
    )
