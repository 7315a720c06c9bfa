"""Conversions between the clocks of a flow, t, log t and v = log(1 + t), that do not overflow; and times as text."""

from __future__ import annotations

import numpy as np

from gflow.arrays import Array


def log1p_of_time(t: float) -> float:
    """v = log(1 + t) for t >= 0."""
    return float(np.log1p(t))


def log1p_of_log_time(log_t: float) -> float:
    """v = log(1 + t) from log t; exact for any log t."""
    return float(np.logaddexp(0.0, log_t))


def log_expm1(v: float) -> float:
    """log t = log(e^v - 1) for v > 0."""
    return v + float(np.log(-np.expm1(-v)))


def log_time_of(v: float) -> float | None:
    """log t from v = log(1 + t) >= 0; None at t = 0, which has no logarithm."""
    return log_expm1(v) if v > 0.0 else None


def log_times(v: Array) -> Array:
    """log t of v = log(1 + t) >= 0, of any shape, elementwise; -inf at 0."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.where(v < 1.0, np.log(np.expm1(np.minimum(v, 1.0))), v + np.log(-np.expm1(-v))))


def time_text(v: float, digits: int = 4) -> str:
    """The time v = log(1 + t) as text with `digits` significant digits: `log t = 4191`, or `t = 0` at the start."""
    value = log_time_of(v)
    return "t = 0" if value is None else f"log t = {value:.{digits}g}"
