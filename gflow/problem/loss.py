"""Logistic and exponential loss by their logarithms, so that nothing overflows or is divided by a loss that
underflows.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol

import numpy as np

from gflow.arrays import Array

LARGEST_EXPONENT = 600.0  # of e, with room for the products it is part of


class Loss(Protocol):
    """The loss l(p) of a margin p, with its slope g = -l'(p) > 0, which is given as log g only.

    Margins p have any shape (...), such as (n,), and results have the same.
    """

    name: str

    @abstractmethod
    def log_value(self, p: Array) -> Array:
        """log l(p), elementwise, (...) -> (...)."""

    @abstractmethod
    def log_slope(self, p: Array) -> Array:
        """log g(p) = log(-l'(p)), elementwise, (...) -> (...)."""

    @abstractmethod
    def log_slope_rate(self, p: Array) -> Array:
        """d log g / dp in [-1, 0], elementwise, (...) -> (...)."""

    @abstractmethod
    def margin_at(self, log_value: Array) -> Array:
        """The margin p at which log l(p) = log_value, elementwise, (...) -> (...)."""

    @abstractmethod
    def smoothed_margin(self, p: Array) -> float:
        """l^{-1}(sum_i l(p_i)), p (n,) (Lyu and Li; Telgarsky)."""


class Exponential:
    """l(p) = exp(-p)."""

    name = "exponential"

    def log_value(self, p: Array) -> Array:
        """-p, (...) -> (...)."""
        return -p

    def log_slope(self, p: Array) -> Array:
        """-p, (...) -> (...)."""
        return -p

    def log_slope_rate(self, p: Array) -> Array:
        """-1 everywhere, (...) -> (...)."""
        return np.full_like(p, -1.0)

    def margin_at(self, log_value: Array) -> Array:
        """The margin p at which log l(p) = log_value, (...) -> (...); see `Loss`."""
        return -log_value

    def smoothed_margin(self, p: Array) -> float:
        """-log sum_i exp(-p_i), p (n,)."""
        return float(self.margin_at(np.logaddexp.reduce(-p)))


class Logistic:
    """l(p) = log(1 + exp(-p))."""

    name = "logistic"

    def log_value(self, p: Array) -> Array:
        """log log(1 + e^-p), (...) -> (...)."""
        small = np.exp(-np.maximum(p, 0.0))
        near = np.log(np.logaddexp(0.0, -np.minimum(p, 30.0)))
        # log(log1p(x)) = log x - x/2 + 5x^2/24 - ... with x = exp(-p); beyond p = 30 two terms are exact.
        return np.where(p > 30.0, -p - 0.5 * small, near)

    def log_slope(self, p: Array) -> Array:
        """-log(1 + e^p), (...) -> (...)."""
        return -np.logaddexp(0.0, p)

    def log_slope_rate(self, p: Array) -> Array:
        """-1 / (1 + e^-p), (...) -> (...)."""
        return -np.exp(-np.logaddexp(0.0, -p))

    def margin_at(self, log_value: Array) -> Array:
        """The margin p at which log l(p) = log_value, (...) -> (...); see `Loss`."""
        total = np.exp(np.clip(log_value, -30.0, 700.0))
        near = np.log(np.expm1(np.minimum(total, 30.0)))
        far = total + np.log1p(-np.exp(-np.maximum(total, 30.0)))
        tiny = -log_value - 0.5 * np.exp(np.minimum(log_value, -30.0))  # -log(expm1(s)) = -log s - s/2 + ...
        return np.where(log_value < -30.0, tiny, np.where(total > 30.0, -far, -near))

    def smoothed_margin(self, p: Array) -> float:
        """The margin at which one sample has the total loss sum_i l(p_i), p (n,)."""
        return float(self.margin_at(np.logaddexp.reduce(self.log_value(p))))


LOSSES: dict[str, Loss] = {"logistic": Logistic(), "exponential": Exponential()}


def log_mean(log_values: Array) -> float:
    """The logarithm of the mean of exp(log_values), (n,) -> float."""
    return float(log_means(log_values))


def log_means(log_values: Array) -> Array:
    """The logarithm of the mean of exp(log_values) over the last axis, (..., n) -> (...)."""
    return np.asarray(np.logaddexp.reduce(log_values, axis=-1) - float(np.log(log_values.shape[-1])))
