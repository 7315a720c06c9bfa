"""A claim of a paper and how it is judged: hypotheses with their slack, a conclusion with its value and bound.

A claim is called violated only where every hypothesis is known to hold.  Hypotheses are judged up to rounding (`room`).
Three kinds hold but are not firm: a hypothesis that is met only within this rounding, one with a constant that the
paper leaves open, and one on a limit that is only expected.  A conclusion that fails under a hypothesis that is not
firm refutes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from math import isfinite
from typing import Literal

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.arrays import Array

Verdict = Literal["holds", "violated", "not applicable", "failed"]
Checked = Literal["data", "start", "rows", "every step", "limit", "last row"]


# The probability with which a claim on a random start may fail by chance alone where its theorem applies: small enough
# that a violation means something.
CHANCE = 1e-3
GRAIN = 64.0 * float(np.finfo(float).eps)  # relative error of numbers made of a few that are rounded once


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One condition of a theorem.  value against bound as the paper has it; slack >= 1 means satisfied.

    room: how far value may lie beyond bound by rounding alone, in their units; it holds within that.  firm: whether a
    conclusion that fails refutes the theorem (see the module).
    """

    name: str
    holds: bool
    value: float | None = None
    bound: float | None = None
    slack: float | None = None
    room: float | None = None
    firm: bool = True


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What the theorem says, on this run.

    value against bound; slack >= 1 where it holds, as a ratio.  constant: for claims with an unspecified absolute
    constant, the smallest that makes the claim true here (bound is None then).  log1p_time: of the worst instant.
    """

    holds: bool
    value: float | None = None
    bound: float | None = None
    slack: float | None = None
    constant: float | None = None
    log1p_time: float | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim on one run.  id as `paper.number.part`; statement: one sentence; checked: where it was looked at.

    error: of gflow's own, where it was met while the claim was judged.
    """

    id: str
    statement: str
    checked: Checked
    hypotheses: tuple[Hypothesis, ...]
    conclusion: Conclusion | None
    error: str | None = None

    @property
    def verdict(self) -> Verdict:
        """`not applicable` unless every hypothesis holds (then the conclusion, if computed, is for information)."""
        if self.error is not None:
            return "failed"
        if self.conclusion is None or not all(each.holds for each in self.hypotheses):
            return "not applicable"
        if self.conclusion.holds:
            return "holds"
        return "violated" if all(each.firm for each in self.hypotheses) else "not applicable"


Judge = Callable[[AnalyzedRun], Claim]
FITS = "the numbers of the claim fit float64"


def in_float64(claim: Claim) -> Claim:
    """The claim; where one of its numbers left float64 (scales of 1e150 do) nothing is concluded, and it says so."""
    if all(_fits(each) for each in (*claim.hypotheses, claim.conclusion)):
        return claim
    kept = tuple(each for each in claim.hypotheses if _fits(each))
    return replace(claim, hypotheses=(*kept, condition(FITS, False)), conclusion=None)


def _fits(part: Hypothesis | Conclusion | None) -> bool:
    """Is every number of it finite?"""
    numbers = () if part is None else (getattr(part, field.name) for field in fields(part))
    return all(isfinite(number) for number in numbers if isinstance(number, float))


def blamed(claim: Claim) -> Claim:
    """The claim; where its conclusion fails under hypotheses that are not firm, these are marked as not holding."""
    if claim.conclusion is None or claim.conclusion.holds or not all(each.holds for each in claim.hypotheses):
        return claim
    hypotheses = (replace(each, holds=each.firm) for each in claim.hypotheses)
    return replace(claim, hypotheses=tuple(hypotheses))


def at_least(name: str, value: float, bound: float, room: float | None = None) -> Hypothesis:
    """value >= bound, both positive, up to room (default: `GRAIN` of the larger)."""
    return _judged(name, value, bound, value - bound, value / bound if bound > 0.0 else None, room)


def at_most(name: str, value: float, bound: float, room: float | None = None) -> Hypothesis:
    """value <= bound, both positive, up to room (default: `GRAIN` of the larger)."""
    return _judged(name, value, bound, bound - value, bound / value if value > 0.0 else None, room)


def _judged(name: str, value: float, bound: float, spare: float, slack: float | None, room: float | None) -> Hypothesis:
    """The hypothesis, from spare, which is >= 0 where it holds; it is firm where rounding cannot change the sign."""
    allowed = GRAIN * max(abs(value), abs(bound)) if room is None else room
    return Hypothesis(name, spare >= -allowed, value, bound, slack, allowed, firm=spare >= allowed)


def condition(name: str, holds: bool, firm: bool = True) -> Hypothesis:
    """A condition that is met or not, without a number."""
    return Hypothesis(name, holds, firm=firm)


def covered(hypothesis: Hypothesis) -> Hypothesis:
    """The hypothesis made firm within its room, for conclusions that are granted at least as much rounding."""
    return replace(hypothesis, firm=True)


def below(value: float, bound: float, log1p_time: float | None = None, rounding: float = 0.0) -> Conclusion:
    """value <= bound, up to `rounding` (a relative error of the numbers themselves)."""
    room = rounding * max(abs(value), abs(bound))
    slack = bound / value if value > 0.0 and bound >= 0.0 else None
    return Conclusion(value <= bound + room, value, bound, slack, log1p_time=log1p_time)


def above(value: float, bound: float, log1p_time: float | None = None, rounding: float = 0.0) -> Conclusion:
    """value >= bound, up to `rounding` (a relative error of the numbers themselves)."""
    room = rounding * max(abs(value), abs(bound))
    slack = value / bound if bound > 0.0 else None
    return Conclusion(value >= bound - room, value, bound, slack, log1p_time=log1p_time)


def worst_row(values: Array, v: Array, least: bool = True) -> tuple[float, float]:
    """The least, or else the largest, of values (T,) and its log(1 + t), of v (T,)."""
    k = int(values.argmin() if least else values.argmax())
    return float(values[k]), float(v[k])
