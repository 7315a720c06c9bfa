"""Runs of gradient descent as a plan asks for them, and their iterates as states.  Loads torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import log1p

from gflow.arrays import Index
from gflow.assembly import Setup
from gflow.descent import (
    Batches,
    Constant,
    DescentCheckpoint,
    DescentRun,
    FullBatch,
    Iterate,
    LogSquared,
    LossWatch,
    Options,
    Precision,
    RandomBatches,
    Schedule,
    StreamedBatches,
    descend,
    iterates_at,
    single_precision_warning,
)
from gflow.descent.loop import DescentItem
from gflow.descent_plan.plan import DescentPlan
from gflow.flow.state import FlowState
from gflow.problem.parameters import Parameters

SetupOf = Callable[[int | None], Setup]
"""The problem and the start of the runs with a seed."""


def descent_items(setup_of: SetupOf, plan: DescentPlan, origin: DescentCheckpoint | None) -> Iterator[DescentItem]:
    """All runs, with rows at their steps, from a checkpoint on.  Raises ScenarioError at once for what cannot be
    run."""
    runs, options = _asked(setup_of, plan)
    return descend(setup_of(None).problem, runs, options, origin)


def iterates_of(setup_of: SetupOf, plan: DescentPlan, origin: DescentCheckpoint) -> list[Iterate]:
    """The runs alive at a checkpoint, as `descent_items` would go on with them.  CheckpointError if it is not one of
    these runs."""
    runs, options = _asked(setup_of, plan)
    return iterates_at(setup_of(None).problem, runs, options, origin)


def _asked(setup_of: SetupOf, plan: DescentPlan) -> tuple[list[DescentRun], Options]:
    starts = {run.seed: _start(setup_of(run.seed)) for run in plan.runs}
    end = None if plan.asked.until is None else plan.asked.until.log_loss
    runs = [
        DescentRun(starts[run.seed], _schedule(plan, run.eta), run.steps, _batches(plan, run.seed), end)
        for run in plan.runs
    ]
    return runs, _options(plan)


def _start(setup: Setup) -> Parameters:
    return Parameters.of(setup.problem, setup.inner)


def _schedule(plan: DescentPlan, eta: float) -> Schedule:
    schedule = plan.asked.schedule
    return Constant(eta) if schedule is None else LogSquared(schedule.first, schedule.factor, schedule.loss_guard)


def _batches(plan: DescentPlan, seed: int | None) -> Batches:
    asked = plan.asked
    if asked.batch is None:
        return FullBatch()
    if asked.stream:
        return StreamedBatches(asked.batch)
    return RandomBatches(asked.batch, bool(asked.replacement), plan.batch_seed if seed is None else seed)


def _options(plan: DescentPlan) -> Options:
    asked = plan.asked
    bound = None if asked.watch is None else asked.watch.bound
    return Options(
        at_kink=None if asked.at_kink in (None, "slope") else 0.5 if asked.at_kink == "1/2" else float(asked.at_kink),
        precision=Precision.SINGLE if asked.precision == "single" else Precision.DOUBLE,
        device=plan.device,
        watch=LossWatch(bound) if plan.watches else None,
        momentum=asked.momentum or 0.0,
        weight_decay=asked.weight_decay or 0.0,
    )


def iterate_state(at: Iterate, first_sample: Index, tau: float) -> FlowState:
    """An iterate as a state on the clock of the flow; its sides are the signs at the first sample of each surface.

    first_sample (H,): the index of that sample; tau: rescaled time of the iterate.
    """
    parameters = Parameters(at.U, at.outer, at.output_bias)
    return FlowState(tau, log1p(at.t), parameters, at.pattern[:, first_sample], at.p, at.log_loss, h=0.0)


def precision_warning(plan: DescentPlan, largest_margin: float) -> str | None:
    """A warning about single precision where margins are too large for it; None where there is nothing to warn of."""
    return single_precision_warning(largest_margin) if plan.asked.precision == "single" else None
