"""Runs of gradient descent as a comparison asks for them, and the modified flows beside them.  Loads torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import log1p

import numpy as np
from numpy.typing import NDArray

from gflow.arrays import Array, Integers
from gflow.assembly import Setup
from gflow.comparison.modified import states_at
from gflow.descent import (
    Constant,
    DescentCheckpoint,
    DescentRun,
    FullBatch,
    Iterate,
    LossWatch,
    ModifiedFlow,
    Options,
    Precision,
    RandomBatches,
    descend,
    iterates_at,
    single_precision_warning,
)
from gflow.descent.loop import DescentItem
from gflow.flow.state import FlowState
from gflow.pipeline.plan import Manner
from gflow.problem.parameters import Parameters


def descent_items(
    setup: Setup, etas: Sequence[float], steps: Sequence[Integers], manner: Manner, origin: DescentCheckpoint | None
) -> Iterator[DescentItem]:
    """All runs, one for each eta with rows at its steps, from a checkpoint on.  Raises ScenarioError at once for what
    cannot be run."""
    runs, options = _asked(setup, etas, steps, manner)
    return descend(setup.problem, runs, options, origin)


def iterates_of(
    setup: Setup, etas: Sequence[float], steps: Sequence[Integers], manner: Manner, origin: DescentCheckpoint
) -> list[Iterate]:
    """The runs alive at a checkpoint, as `descent_items` would go on with them.  CheckpointError if it is not one of
    these runs."""
    runs, options = _asked(setup, etas, steps, manner)
    return iterates_at(setup.problem, runs, options, origin)


def _asked(
    setup: Setup, etas: Sequence[float], steps: Sequence[Integers], manner: Manner
) -> tuple[list[DescentRun], Options]:
    start = Parameters.of(setup.problem, setup.inner)
    batches = FullBatch() if manner.batch is None else RandomBatches(manner.batch, False, manner.seed)
    runs = [DescentRun(start, Constant(eta), each, batches) for eta, each in zip(etas, steps, strict=True)]
    precision = Precision.DOUBLE if manner.precision == "double" else Precision.SINGLE
    watch = LossWatch() if manner.batch is None else None
    return runs, Options(precision=precision, device=manner.device, watch=watch)


def iterate_state(at: Iterate, first_sample: NDArray[np.intp], tau: float) -> FlowState:
    """An iterate as a state on the clock of the flow; its sides are the signs at the first sample of each surface."""
    parameters = Parameters(at.U, at.outer, at.output_bias)
    return FlowState(tau, log1p(at.t), parameters, at.pattern[:, first_sample], at.p, at.log_loss, h=0.0)


def precision_warning(manner: Manner, largest_margin: float) -> str | None:
    """What to know of single precision at margins of this size."""
    return single_precision_warning(largest_margin) if manner.precision == "single" else None


def modified_flows(setup: Setup, etas: Sequence[float]) -> list[ModifiedFlow]:
    """One for each step size.  Raises ScenarioError for a network with kinks."""
    return [ModifiedFlow(setup.problem, eta) for eta in etas]


def modified_gaps(
    setup: Setup, flow: ModifiedFlow, times: Array, inner: Array, alive: Callable[[], None]
) -> list[float]:
    """|W_GD - W| / |W - W(0)|, W of the modified flow, at times (T,) > 0; inner (T, m, r) of descent.

    alive is called with every evaluation, so that an interruption can end it.
    """
    start = Parameters.of(setup.problem, setup.inner)

    def field(t: float, theta: Array) -> Array:
        alive()
        return flow(t, theta)

    found = states_at(field, flow.pack(start), np.concatenate([[0.0], times]))[1:]
    U = np.stack([flow.unpack(np.ascontiguousarray(theta)).U for theta in found])
    axes = (1, 2)
    return [float(x) for x in np.linalg.norm(inner - U, axis=axes) / np.linalg.norm(U - start.U, axis=axes)]
