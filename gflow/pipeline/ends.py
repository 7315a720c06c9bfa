"""Ends of a flow from arrays, as its caller writes them: `gflow.time(20.0) | gflow.log_loss(-10.0)`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gflow.arrays import Array
from gflow.errors import ScenarioError

WAYS = "gflow.time(t), gflow.log_time(v), gflow.log_loss(value), gflow.certified(), or several joined by |"


@dataclass(frozen=True, slots=True)
class End:
    """An end of a flow; `|` joins two into the one that comes first."""

    time: float | None = None
    log_time: float | None = None
    log_loss: float | None = None
    certified: bool | None = None

    def __or__(self, other: object) -> End:
        """Raises ScenarioError for what is no end, and for an end of the same kind."""
        if not isinstance(other, End):
            raise ScenarioError(f"until joins an end with {other!r}; use {WAYS}")
        one, two = asdict(self), asdict(other)
        if both := [name for name in one if one[name] is not None and two[name] is not None]:
            raise ScenarioError(f"until names {both[0]} twice; keep one of them")
        return End(**{name: two[name] if one[name] is None else one[name] for name in one})

    __ror__ = __or__


def time(t: float) -> End:
    """The flow ends at time t > 0."""
    return End(time=number(t, "gflow.time: t"))


def log_time(log_t: float) -> End:
    """The flow ends at time t = e^log_t, log_t > 0; e^log_t itself may lie far beyond float64."""
    return End(log_time=number(log_t, "gflow.log_time: log_t"))


def log_loss(value: float) -> End:
    """The flow ends when the logarithm of the mean loss has fallen to `value`."""
    return End(log_loss=number(value, "gflow.log_loss: value"))


def certified() -> End:
    """The flow ends when its activation pattern is proved to stay for ever (fixed outer layer, one output)."""
    return End(certified=True)


def number(value: float, name: str) -> float:
    """The value as a float.  Raises ScenarioError, which begins with the name, where it is none."""
    try:
        if isinstance(value, str | bytes | bool | np.bool_):
            raise TypeError(f"{value!r} is no number")
        return float(value)
    except (TypeError, ValueError) as error:
        raise ScenarioError(f"{name} = {value!r}: must be a number") from error
    except OverflowError as error:
        raise ScenarioError(f"{name}: must be a finite number of float64, below 1.8e308") from error


def number_list(values: Sequence[float] | Array, name: str) -> list[float]:
    """The values as floats, from a list, or a vector of numpy or torch.  Raises ScenarioError where one is none."""
    plain = plain_list(values)
    if not isinstance(plain, Sequence) or isinstance(plain, str | bytes):
        raise ScenarioError(f"{name} = {values!r}: must be a list of numbers")
    return [number(value, name) for value in plain]


def plain_list(values: Any) -> Any:  # Any: whatever a caller may give
    """The values themselves, or as Python's own where they are an array of numpy or torch: a number, or a list."""
    return values.tolist() if hasattr(values, "tolist") else values


def plain_value(value: Any) -> Any:  # Any: a value of a scenario
    """The value itself, or as Python's own where it is a number or bool of numpy or torch, without dimensions."""
    return value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value
