"""One check of a run, and the verdict of all checks together; numbers are finite or None."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Verdict = Literal["pass", "fail", "not decided", "not applicable"]

# Bounds in units of rtol.  STEPS: the error of single steps at one row, where both sides have the same margins, known
# to rtol, and so the same relative sizes of the g.  RUN: the error of a whole run, its distance from the flow.
STEPS, RUN = 10.0, 100.0


@dataclass(frozen=True, slots=True)
class Check:
    """A measured value beside its bound: `pass` where value <= bound, None where there is nothing to measure.

    `not decided`: the check began, but its budget ended before a verdict; the sentence tells how far it came.
    """

    group: str
    name: str
    verdict: Verdict
    value: float | None
    bound: float | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Verification:
    """All checks of one run.  gflow: version; trajectory: what it is about; verdict: `fail` if any check fails."""

    gflow: str
    trajectory: dict[str, Any]  # Any: JSON values
    verdict: Literal["pass", "fail"]
    summary: str
    checks: tuple[Check, ...]

    @classmethod
    def of(cls, gflow: str, trajectory: dict[str, Any], checks: Sequence[Check]) -> Verification:  # Any: JSON values
        """Sum the checks up."""
        failed = [check.name for check in checks if check.verdict == "fail"]
        passed = sum(check.verdict == "pass" for check in checks)
        open_ones = [check.name for check in checks if check.verdict == "not decided"]
        rest = len(checks) - passed - len(failed) - len(open_ones)
        summary = f"{passed} checks pass, {len(failed)} fail" + (f" ({', '.join(failed)})" if failed else "")
        summary += f", {len(open_ones)} not decided ({', '.join(open_ones)})" if open_ones else ""
        summary += f", {rest} not applicable" if rest else ""
        return cls(gflow, trajectory, "fail" if failed else "pass", summary, tuple(checks))

    @property
    def passed(self) -> bool:
        """Does no check fail?"""
        return self.verdict == "pass"

    def to_json(self) -> dict[str, Any]:  # Any: JSON values
        """Plain JSON values; nothing in it is NaN or infinite."""
        return asdict(self)


class Worst:
    """The largest value seen, and the row where; a value that is no number is worse than all others."""

    def __init__(self) -> None:
        self.value, self.row = -math.inf, 0

    def see(self, value: float, row: int) -> None:
        """Take one value into account."""
        if math.isnan(self.value):
            return
        if math.isnan(value) or value > self.value:
            self.value, self.row = float(value), row

    @property
    def place(self) -> str:
        """Where, for a sentence."""
        return f"worst in row {self.row}"


def bounded(group: str, name: str, value: float, bound: float, sentence: str) -> Check:
    """The check that value <= bound; a value that is not finite fails, and -inf (nothing seen) passes as 0."""
    value = 0.0 if value == -math.inf else float(value)
    shown = value if math.isfinite(value) else None
    return Check(group, name, "pass" if value <= bound else "fail", shown, float(bound), sentence)


def not_applicable(group: str, name: str, why: str, value: float | None = None, bound: float | None = None) -> Check:
    """A check that does not apply to this run, and why."""
    return Check(group, name, "not applicable", value, bound, why)


def not_decided(group: str, name: str, why: str, value: float | None = None, bound: float | None = None) -> Check:
    """A check whose budget ended before a verdict, and how far it came."""
    return Check(group, name, "not decided", value, bound, f"not decided: {why}")
