"""A quantity: a column, or one divided by or less another or a number: `stable_rank / stable_rank@0`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gflow.arrays import Array

FORM = re.compile(r"(\S+)(?: ([/-]) (\S+))?")
NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?")
LOSS = re.compile(r"(.*\.)?loss(@.*)?")  # of which there is the logarithm
WRITE = "write a column, or `A / B` or `A - B` of columns and numbers, with spaces around the sign"


@dataclass(frozen=True, slots=True)
class Quantity:
    """operation: `/`, `-`, or "" for the first column alone."""

    first: str
    operation: str
    second: str

    def of(self, values: Callable[[str], Array]) -> Array:
        """The quantity of columns (k,), NaN where it is not a number; values: of a column by its name."""
        first = _term(self.first, values)
        if not self.operation:
            return first
        second = _term(self.second, values)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = first / second if self.operation == "/" else first - second
        return np.where(np.isfinite(found), found, np.nan)

    def __str__(self) -> str:
        return self.first + (f" {self.operation} {self.second}" if self.operation else "")


def quantity_of(text: str) -> Quantity | None:
    """The quantity of a text; None for a text that is none."""
    found = FORM.fullmatch(text)
    return None if found is None else Quantity(found[1], found[2] or "", found[3] or "")


def _term(name: str, values: Callable[[str], Array]) -> Array:
    if NUMBER.fullmatch(name):
        return np.asarray(float(name))
    if found := LOSS.fullmatch(name):
        loss: Array = np.exp(values(f"{found[1] or ''}log_loss{found[2] or ''}"))
        return loss
    return values(name)
