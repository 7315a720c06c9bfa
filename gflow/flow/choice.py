"""Which method drives the next stretch: the one asked for, or explicit until the flow turns stiff."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gflow.field.branch import Branch
from gflow.ode.methods import method_named
from gflow.ode.step import Method

Array = NDArray[np.float64]

EXPLICIT, IMPLICIT = "DOP853", "Radau"
# Steps of size h with h |lambda| beyond this are held back by stability (the real interval of DOP853 ends near 6).
STABILITY = 3.0
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

    def first_step(self, branch: Branch, h: float, stiff: bool) -> float:
        """The first trial step of a stretch: an implicit step left over from a slow stretch is no explicit one."""
        if self.name != "auto" or stiff:
            return h
        fastest = branch.fastest_rate(branch.y0)
        return min(h, 2.0 * STABILITY / fastest) if fastest else h

    def held_back(self, branch: Branch, y: Array, h: float) -> bool:
        """Is an explicit step of size h limited by stability at the state y?"""
        if self.name != "auto":
            return False
        fastest = branch.fastest_rate(y)
        return fastest is not None and h * fastest > STABILITY
