"""What the kinks need to know of the smooth field on one mode, whatever its coordinates are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from gflow.arrays import Array, Bools, Index
from gflow.field.mode import Mode
from gflow.ode.axes import Axes
from gflow.ode.step import DenseStep, System
from gflow.problem.problem import Problem


@dataclass(frozen=True, slots=True)
class Tolerances:
    """rtol: relative error of each neuron's weights, absolute error of margins and of log t; atol: of weights.

    Of margins in dual coordinates only: primal ones keep weights, and margins as well as those determine them.
    """

    rtol: float
    atol: float


@dataclass(frozen=True, slots=True)
class Measure:
    """The flow at one instant, cheap enough for every accepted step; rates are per tau, on the mode it is measured on.

    v = log(1 + t); margins p (n,); log L; norm |theta| of all that is trained; speed |d theta / d tau|, which is
    n |grad L| over the sum of the live g; margin_rates dp / dtau (n,); log_clock = log(d tau / dt); rounding: what
    float64 leaves open of the p, which may be small sums of large terms.
    """

    v: float
    p: Array
    log_loss: float
    norm: float
    speed: float
    margin_rates: Array
    log_clock: float
    rounding: float = 0.0


class Branch(Protocol):
    """The field on one mode, autonomous in tau counted in `unit`; y is the integrator's state, y[-1] = log(1 + t).

    On every branch dw_j/dtau = P_j sum_i phi'_ji push_ji c_i, with a push that is smooth along the flow.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]  # every branch is a frozen dataclass; Any: as dataclasses say

    @property
    def problem(self) -> Problem: ...

    @property
    def mode(self) -> Mode: ...

    @property
    def unit(self) -> float: ...

    @property
    def y0(self) -> Array: ...

    @property
    def system(self) -> System: ...

    @property
    def axes(self) -> Axes | None:
        """On which axes errors are judged; None: component by component, by the scale of the system."""

    def weights(self, y: Array, neurons: Index | None = None) -> Array:
        """U (..., k, r) of these neurons (default: all), linear in y (..., p)."""

    def push(self, y: Array, neurons: Index) -> Array:
        """push_ji (..., k, n) at states y (..., p)."""

    def bare_push(self, y: Array, neurons: Index) -> Array:
        """push up to a factor per neuron, (..., k, n): what shares depend on.

        With one output it is left without a_j, which training may carry through zero while the shares do not notice.
        """

    def push_and_rate(self, y: Array, neurons: Index) -> tuple[Array, Array, Array]:
        """push (k, n), its derivative along the flow, and the size of what is added up in that, at one state."""

    def moved_at_most(self, step: DenseStep, states: Array) -> tuple[Array, Array] | None:
        """Bounds of what a step moves: zeta of each pair (m, H) or (m, 1), and the 1-norm of each bare push (m,).

        states (k, p) sample the step.  None: no bound that is cheaper than looking.
        """

    @property
    def live(self) -> Bools: ...

    def log_loss(self, y: Array) -> float:
        """log L at a state."""

    def measure(self, y: Array) -> Measure:
        """Size, speed and loss at a state, whatever is behind it."""

    def margin_rounding(self, y: Array) -> float:
        """What float64 cannot resolve of the margins that are made of a state."""

    def at_rest(self, y: Array) -> bool:
        """Is the motion of all margins at a state rounding only, so that nothing but the clock moves any more?"""

    def cancels(self, y: Array, h: float) -> bool:
        """Will the coordinates, after a step h from y, have lost to rounding more than margins may be off?"""

    def reach(self, h: float) -> Array:
        """Size of what is added to the weights of each neuron (m,) in a time h of tau while q is what it is now; terms
        that cancel count, since their rounding stays."""

    def fastest_rate(self, y: Array) -> float | None:
        """Largest |eigenvalue| that an explicit method has to resolve, per unit; None where it is not known."""
