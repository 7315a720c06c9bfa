"""Which method drives the next stretch: the one asked for, or explicit until the flow turns stiff."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gflow.arrays import Array
from gflow.field.branch import Branch
from gflow.ode.axes import OnAxes
from gflow.ode.methods import method_named
from gflow.ode.step import Method, Stepper, System

EXPLICIT, IMPLICIT = "DOP853", "Radau"
# The method that has a loop of its own, which leaves to `auto` what it cannot do.
TAYLOR = "taylor"
# Steps of size h with h |lambda| beyond this are held back by stability (the real interval of DOP853 ends near 6).
STABILITY = 3.0
# On y' = -lambda y, a step of DOP853 with h lambda <= 5 is nowhere inside larger than at its start.  The error estimate
# sees the end alone, and where y is tiny it lets longer steps pass whose inside is wrong: 10 times the start at 6, 575
# times at 8, 160,000 times at 12.  Rows, events and integrals are made of such states, so no step is longer.
LONGEST = 5.0
# So many of them in a row without an event pay for the factorisations of the implicit method.
PATIENCE = 12


@dataclass(frozen=True, slots=True)
class Choice:
    """`name` of a method, or `auto`."""

    name: str

    def method(self, stiff: bool) -> Method:
        """The method for a stretch that is (or has turned out to be) stiff."""
        if self.name != "auto":
            return method_named(self.name)
        return method_named(IMPLICIT if stiff else EXPLICIT)

    def system(self, branch: Branch, stiff: bool) -> System:
        """What the method integrates: the branch, with a longest step where the method is our own explicit one."""
        if self.name != "auto" or stiff:
            return branch.system
        return replace(branch.system, longest=lambda y: _longest(branch, y))

    def stepper(self, branch: Branch, h: float, stiff: bool) -> Stepper:
        """What drives a stretch from its start; h: the step left over from the stretch before."""
        method, system = self.method(stiff), self.system(branch, stiff)
        h, axes = self.first_step(branch, h, stiff), branch.axes
        return method(system, branch.y0, h) if axes is None else OnAxes(method, system, axes, branch.y0, h)

    def first_step(self, branch: Branch, h: float, stiff: bool) -> float:
        """The first trial step of a stretch: an implicit step left over from a slow stretch is no explicit one."""
        return h if self.name != "auto" or stiff else min(h, _longest(branch, branch.y0))

    def held_back(self, branch: Branch, y: Array, h: float) -> bool:
        """Is an explicit step of size h limited by stability at the state y?"""
        if self.name != "auto":
            return False
        fastest = branch.fastest_rate(y)
        return fastest is not None and h * fastest > STABILITY

    def stays_stiff(self, branch: Branch, y: Array, h: float) -> bool:
        """Would an explicit method run out of patience before it has covered one step h of the implicit one?"""
        return self.name == "auto" and h > PATIENCE * _longest(branch, y)


def _longest(branch: Branch, y: Array) -> float:
    """The longest explicit step at a state; infinite where nothing is known to limit it."""
    fastest = branch.fastest_rate(y)
    return LONGEST / fastest if fastest else np.inf
