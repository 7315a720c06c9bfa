"""The protocol of a branch, the smooth field on one mode, as far as kinks and the loop need it in any coordinates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Protocol

import numpy as np

from gflow.arrays import Array, Bools, Index
from gflow.field.mode import Mode
from gflow.ode.axes import Axes
from gflow.ode.step import DenseStep, System
from gflow.problem.problem import Problem


@dataclass(frozen=True, slots=True)
class Tolerances:
    """Tolerances of the flow.

    rtol: the relative error of each neuron's weights, and the absolute error of margins and of log t; atol: the
    absolute error of weights.  Margins have a tolerance of their own in dual coordinates only; primal coordinates hold
    the weights, which determine the margins.
    """

    rtol: float
    atol: float


@dataclass(frozen=True, slots=True)
class Measure:
    """The flow at one instant, cheap enough for every accepted step; rates are per tau, on the mode of the branch.

    v = log(1 + t); margins p (n,); log_loss = log L; norm |theta| of all trained parameters; speed |d theta / d tau|,
    which is n |grad L| over the sum of the live g; margin_rates dp / dtau (n,); log_clock = log(d tau / dt); rounding:
    the rounding error of p, which may be small sums of large terms.
    """

    v: float
    p: Array
    log_loss: float
    norm: float
    speed: float
    margin_rates: Array
    log_clock: float
    rounding: float = 0.0


@dataclass(frozen=True, slots=True)
class Measures:
    """A `Measure` at each of k instants, in the order of time: p and margin_rates (k, n), all others (k,)."""

    v: Array
    p: Array
    log_loss: Array
    norm: Array
    speed: Array
    margin_rates: Array
    log_clock: Array
    rounding: Array

    @classmethod
    def of(cls, measures: Sequence[Measure]) -> Measures:
        """These measures, at least one, one after the other."""
        return cls(*(np.array([getattr(each, name.name) for each in measures]) for name in fields(cls)))

    def __len__(self) -> int:
        return len(self.v)

    def each(self) -> Iterator[Measure]:
        """One after the other."""
        for k in range(len(self)):
            yield Measure(
                float(self.v[k]),
                self.p[k],
                float(self.log_loss[k]),
                float(self.norm[k]),
                float(self.speed[k]),
                self.margin_rates[k],
                float(self.log_clock[k]),
                float(self.rounding[k]),
            )


class Branch(Protocol):
    """The field on one mode, autonomous in tau counted in `unit`; y (p,) is the integrator's state, y[-1] = log(1 + t).

    On every branch dw_j/dtau = P_j sum_i phi'_ji push_ji c_i, with a push that is smooth along the flow.  y0 (p,): the
    state at the start; live (n,): the samples that set the clock; both are fixed for a branch.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]  # every branch is a frozen dataclass; Any: as dataclasses say

    @property
    def problem(self) -> Problem:
        """The learning problem."""

    @property
    def mode(self) -> Mode:
        """The sides of all pairs."""

    @property
    def unit(self) -> float:
        """The unit of tau, a power of two."""

    @property
    def y0(self) -> Array:
        """The state (p,) at the start."""

    @property
    def system(self) -> System:
        """The system that the integrator gets."""

    @property
    def axes(self) -> Axes | None:
        """The axes on which errors are judged; None: component by component, by the scale of the system."""

    def weights(self, y: Array, neurons: Index | None = None) -> Array:
        """U (..., k, r) of these k neurons (default: all), linear in y (..., p)."""

    def push(self, y: Array, neurons: Index) -> Array:
        """push_ji (..., k, n) of these k neurons at states y (..., p)."""

    def bare_push(self, y: Array, neurons: Index) -> Array:
        """The push up to a factor for each neuron, (..., k, n), at states y (..., p); shares depend on it alone.

        With one output it lacks the factor a_j, which training may carry through zero without any effect on the shares.
        """

    def push_and_rate(self, y: Array, neurons: Index) -> tuple[Array, Array, Array]:
        """The push at one state y (p,), its derivative along the flow, and the sum of sizes of terms in that, each (k,
        n).
        """

    def moved_at_most(self, step: DenseStep, states: Array) -> tuple[Array, Array] | None:
        """Bounds of the motion in a step: zeta of each pair (m, H) or (m, 1), and the 1-norm of each bare push (m,).

        states (k, p) sample the step.  None: no bound is cheaper than to look at the motion itself.
        """

    @property
    def live(self) -> Bools:
        """The samples (n,) that set the clock."""

    def log_loss(self, y: Array) -> float:
        """log L at a state y (p,)."""

    def measure(self, y: Array) -> Measure:
        """The size, speed and loss at a state y (p,)."""

    def margin_rounding(self, y: Array) -> float:
        """The rounding error of the margins that are computed from a state y (p,)."""

    def at_rest(self, y: Array) -> bool:
        """Whether, at y (p,), the motion of all margins is only rounding, so that nothing but the clock moves any
        more.
        """

    def cancels(self, y: Array, h: float) -> bool:
        """Whether rounding in the coordinates, after a step h from y (p,), exceeds the error that margins are
        allowed.
        """

    def reach(self, h: float) -> Array:
        """The sum of sizes of the terms added to the weights of each neuron (m,) in a time h of tau at the present q.

        Terms that cancel count, since their rounding remains.
        """

    @property
    def turns_implicit(self) -> bool:
        """Whether an implicit method is worth its linear systems where the flow turns stiff."""

    def fastest_rate(self, y: Array, enough: float) -> float:
        """The largest |eigenvalue| at y (p,), per unit, that an explicit method must resolve, to some per cent.

        Where a bound of it is at most `enough`, the bound may be returned.
        """
