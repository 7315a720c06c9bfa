"""Runs of gradient descent as a comparison asks for them, and their iterates as states.  Loads torch."""

from __future__ import annotations

from collections.abc import Iterator
from math import log1p

from gflow.arrays import Index
from gflow.assembly import Setup
from gflow.comparison.plan import DescentManner, Plan
from gflow.descent import (
    Constant,
    DescentCheckpoint,
    DescentRun,
    FullBatch,
    Iterate,
    LossWatch,
    Options,
    Precision,
    RandomBatches,
    descend,
    iterates_at,
    single_precision_warning,
)
from gflow.descent.loop import DescentItem
from gflow.flow.state import FlowState
from gflow.problem.parameters import Parameters


def descent_items(setup: Setup, plan: Plan, origin: DescentCheckpoint | None) -> Iterator[DescentItem]:
    """All runs, one for each eta with rows at its steps, from a checkpoint on.  Raises ScenarioError at once for what
    cannot be run."""
    runs, options = _asked(setup, plan)
    return descend(setup.problem, runs, options, origin)


def iterates_of(setup: Setup, plan: Plan, origin: DescentCheckpoint) -> list[Iterate]:
    """The runs alive at a checkpoint, as `descent_items` would go on with them.  CheckpointError if it is not one of
    these runs."""
    runs, options = _asked(setup, plan)
    return iterates_at(setup.problem, runs, options, origin)


def _asked(setup: Setup, plan: Plan) -> tuple[list[DescentRun], Options]:
    start, manner = Parameters.of(setup.problem, setup.inner), plan.manner
    batches = FullBatch() if manner.batch is None else RandomBatches(manner.batch, False, manner.seed)
    runs = [DescentRun(start, Constant(eta), each, batches) for eta, each in zip(plan.etas, plan.steps, strict=True)]
    precision = Precision.DOUBLE if manner.precision == "double" else Precision.SINGLE
    watch = LossWatch() if manner.batch is None else None
    return runs, Options(precision=precision, device=manner.device, watch=watch)


def iterate_state(at: Iterate, first_sample: Index, tau: float) -> FlowState:
    """An iterate as a state on the clock of the flow; its sides are the signs at the first sample of each surface.

    first_sample (H,): the index of that sample; tau: rescaled time of the iterate.
    """
    parameters = Parameters(at.U, at.outer, at.output_bias)
    return FlowState(tau, log1p(at.t), parameters, at.pattern[:, first_sample], at.p, at.log_loss, h=0.0)


def precision_warning(manner: DescentManner, largest_margin: float) -> str | None:
    """A warning about single precision where margins are too large for it; None where there is nothing to warn of."""
    return single_precision_warning(largest_margin) if manner.precision == "single" else None
