"""The method for a stretch: the one requested or, with `DOP853-Radau`, explicit until the flow turns stiff."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gflow.arrays import Array
from gflow.field.branch import Branch
from gflow.ode.axes import OnAxes
from gflow.ode.methods import method_named
from gflow.ode.step import Method, Stepper, System
from gflow.problem.network import Network

EXPLICIT, IMPLICIT = "DOP853", "Radau"
# DOP853 until the flow turns stiff, then Radau.
SWITCHING = f"{EXPLICIT}-{IMPLICIT}"
# The method with a loop of its own, which leaves to the one above what it cannot decide.
TAYLOR = "taylor"
# An explicit step h with h |lambda| above this counts as limited by stability (DOP853 is stable up to about 6).
STABILITY = 3.0
# On y' = -lambda y, states inside a step of DOP853 with h lambda <= 5 are never larger than the state at its start.
# The error estimate sees the end of a step only, and where y is tiny it accepts longer steps whose inside is wrong: 10
# times the start at 6, 575 times at 8, 160,000 times at 12.  Rows, events and integrals use such states, hence a limit.
LONGEST = 5.0
# A step of the clock alone may be no float64 in the units in which margins move.
TINY = float(np.finfo(float).tiny)
# After this many such steps in a row without an event, the factorisations of an implicit method pay off.
PATIENCE = 12


def has_series(network: Network) -> bool:
    """Whether the Taylor engine knows the network: its activation is linear but for a kink at 0, and its inner layer a
    matrix.
    """
    return network.smoothing is None and network.directions is None


def method_for(name: str, series: bool) -> str:
    """The method of this name; `auto` is the Taylor engine where it knows the network."""
    return (TAYLOR if series else SWITCHING) if name == "auto" else name


@dataclass(frozen=True, slots=True)
class Choice:
    """The method requested: `SWITCHING`, or a name of `ode.methods`."""

    name: str

    def method(self, stiff: bool) -> Method:
        """The method for a stretch that is stiff, or has turned out to be, or is not."""
        if self.name != SWITCHING:
            return method_named(self.name)
        return method_named(IMPLICIT if stiff else EXPLICIT)

    def system(self, branch: Branch, stiff: bool) -> System:
        """The system that the method integrates: that of the branch.

        It has a longest step where the explicit method was chosen because nothing is stiff yet.
        """
        if self.name != SWITCHING or stiff:
            return branch.system
        return replace(branch.system, longest=lambda y, h: _longest(branch, y, h))

    def stepper(self, branch: Branch, h: float, stiff: bool) -> Stepper:
        """The stepper of a stretch, at its start; h: the step that the stretch before would have tried next."""
        method, system = self.method(stiff), self.system(branch, stiff)
        axes, h = branch.axes, max(h, TINY)
        return method(system, branch.y0, h) if axes is None else OnAxes(method, system, axes, branch.y0, h)

    def held_back(self, branch: Branch, y: Array, h: float) -> bool:
        """Whether an explicit step of size h is limited by stability at the state y (p,)."""
        return (
            self.name == SWITCHING and branch.turns_implicit and h * branch.fastest_rate(y, STABILITY / h) > STABILITY
        )

    def stays_stiff(self, branch: Branch, y: Array, h: float) -> bool:
        """Whether explicit steps over one implicit step h from y (p,) would be so many that the flow counts as stiff
        again.
        """
        return self.name == SWITCHING and h > PATIENCE * _longest(branch, y, h)


def _longest(branch: Branch, y: Array, h: float) -> float:
    """The longest explicit step at a state y (p,), or anything above h; infinite where nothing moves."""
    fastest = branch.fastest_rate(y, LONGEST / h)
    return LONGEST / fastest if fastest else np.inf
