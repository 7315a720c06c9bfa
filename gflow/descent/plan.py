"""The plan of descent: where runs start, their steps and rows, and how the arithmetic is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

import numpy as np

from gflow.arrays import Integers
from gflow.descent.batches import Batches, FullBatch, check_batches
from gflow.descent.schedule import Schedule
from gflow.errors import ScenarioError
from gflow.problem.parameters import Parameters
from gflow.problem.problem import Problem


@dataclass(frozen=True, slots=True, eq=False)
class DescentRun:
    """One run with rows at the steps `record` (T,), strictly increasing from 0; the last of them ends the run."""

    start: Parameters
    schedule: Schedule
    record: Integers
    batches: Batches = field(default_factory=FullBatch)
    log_loss: float | None = None
    """the run ends before that, at its first row whose log L is not larger; None: it does not"""

    @property
    def steps(self) -> int:
        """The number of steps of the run."""
        return int(self.record[-1])


class Coordinates(Enum):
    """The variables that are iterated.  All give the same iterates up to rounding, at a cost that does not depend
    on d.
    """

    CHEAPEST = auto()
    """SAMPLES for full batches with n <= 2 r, else SPAN"""
    SPAN = auto()
    """U (m, r): a step costs two products with C (n, r)"""
    SAMPLES = auto()
    """coefficients R (m, n) with U = U(0) + R C: a step costs one product with C C^T (n, n)"""


class Precision(Enum):
    """The precision of the iteration; times and rows are always float64.  SINGLE: see `single_precision_warning`."""

    DOUBLE = auto()
    SINGLE = auto()


@dataclass(frozen=True, slots=True)
class LossWatch:
    """At every step, count losses that rise and steps with eta_k L_k > bound (full batches only).

    A rise counts where log L grows by more than rounding.  The bound of Chatterji et al., Lemma 8, is 1 / (30 P).
    """

    bound: float | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """How the arithmetic is done.

    at_kink: phi'(0) of kinked activations, taken where z == 0 exactly; None: the slope of the - side, as in torch.
    device: a device of torch, `cpu` or `cuda`; watch: None where losses are not watched.
    """

    at_kink: float | None = None
    coordinates: Coordinates = Coordinates.CHEAPEST
    precision: Precision = Precision.DOUBLE
    device: str = "cpu"
    watch: LossWatch | None = None
    momentum: float = 0.0
    """in [0, 1): that of the heavy ball (`heavy_ball`)"""
    weight_decay: float = 0.0
    """>= 0: how much of what is trained is added to its gradient"""


def record_steps(total: int, count: int) -> Integers:
    """At most `count` (>= 2) steps of 0..total, (T,), increasing: 0, 1 and total, with logarithmic spacing between."""
    if total < 0 or count < 2:
        raise ScenarioError(f"record_steps({total}, {count}): total must be >= 0 and count >= 2")
    if total < count:
        return np.arange(total + 1, dtype=np.int64)
    spaced = np.geomspace(1.0, total, count - 1) if count > 2 else np.array([float(total)])
    return np.unique(np.concatenate([[0], np.rint(spaced), [total]]).astype(np.int64))


# A larger rounding of margins in float32 changes the gradient in its sixth digit, which deserves a warning.
WORTH_SAYING = 1e-6


def single_precision_warning(largest_margin: float) -> str | None:
    """A sentence on what float32 does not resolve at margins of this size; None where that does not matter."""
    error = float(np.finfo(np.float32).eps) * abs(largest_margin)
    if error < WORTH_SAYING:
        return None
    lost = " and gradients of samples beyond margin 87 underflow to zero" if abs(largest_margin) > 87.0 else ""
    return (
        f"float32 rounds margins of {abs(largest_margin):.3g} by {error:.1e}, the relative error of every gradient"
        f"{lost}; steps below 6e-8 of what they add to are lost, so that late phases stall: use float64 for them"
    )


def check_runs(problem: Problem, runs: Sequence[DescentRun], options: Options) -> None:
    """Raise ScenarioError where these runs cannot advance together."""
    if not runs:
        raise ScenarioError("descent: no runs are given; give one or more")
    kinds = {(type(run.schedule), type(run.batches), run.batches.size) for run in runs}
    if len(kinds) > 1:
        raise ScenarioError("descent: runs differ in the kind of schedule or batches; call once for each kind")
    if not isinstance(runs[0].batches, FullBatch):
        if runs[0].schedule.needs_loss:
            raise ScenarioError("descent.schedule: steps that follow the loss need full batches; use constant steps")
        if options.watch is not None:
            raise ScenarioError("descent.watch: the loss is known at every step of full batches only; leave it out")
    if problem.network.directions is not None and options.coordinates is Coordinates.SAMPLES:
        raise ScenarioError("descent.coordinates: a scalar network has one inner parameter a neuron; use SPAN")
    _check_options(problem, options)
    for number, run in enumerate(runs):
        _check_run(problem, run, number)


def _check_options(problem: Problem, options: Options) -> None:
    if not (0.0 <= options.momentum < 1.0 and 0.0 <= options.weight_decay < np.inf):
        raise ScenarioError("descent: momentum must be in [0, 1), weight_decay a finite number >= 0")
    if options.weight_decay > 0.0 and options.coordinates is Coordinates.SAMPLES:
        raise ScenarioError("descent.coordinates: U(0) is fixed in those of samples, and decays; use SPAN")
    if options.at_kink is not None and not problem.network.kinked:
        raise ScenarioError("descent.at_kink: the activation has no kink; leave it out")


def _check_run(problem: Problem, run: DescentRun, number: int) -> None:
    network = problem.network
    record = run.record
    if record.ndim != 1 or record.size == 0 or record[0] != 0 or np.any(np.diff(record) <= 0):
        raise ScenarioError(f"descent run {number}: record steps must increase from 0; see record_steps")
    biases = None if run.start.output_bias is None else run.start.output_bias.shape
    shapes = (run.start.U.shape, run.start.outer.shape, biases)
    wanted = (
        (network.width, problem.coordinates().shape[-1]),
        network.outer.shape,
        None if network.output_bias is None else network.output_bias.shape,
    )
    if shapes != wanted:
        raise ScenarioError(f"descent run {number}: U, outer and output bias have shapes {shapes}, not {wanted}")
    check_batches(run.batches, problem.samples, run.steps)
