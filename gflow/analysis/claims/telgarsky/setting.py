"""What the theorems of Telgarsky ask of network, data and start, and the rows that claims look at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gflow.analysis.claims.claim import Hypothesis, at_least, at_most, condition
from gflow.analysis.gradient import Along
from gflow.analysis.neurons import conserves_balance
from gflow.analysis.potential import parity_features
from gflow.analysis.subject import Subject
from gflow.problem.span import row_norms

Array = NDArray[np.float64]

DELTA = 0.1  # the probability with which a claim on a random start may fail, per use of it in the paper
ROUNDING = 1e-9
FEW_ROWS = 5
LARGEST_EXPONENT = 700.0
STANDARD_ERRORS = 5.0


def applies(subject: Subject) -> bool:
    """Is this one output with both layers trained and a homogeneous activation (the scalar network included)?"""
    return conserves_balance(subject) and subject.homogeneous and subject.problem.network.outputs == 1


def relu(subject: Subject) -> Hypothesis:
    return condition("ReLU", subject.problem.network.slope == 0.0)


def unit_inputs(subject: Subject) -> Hypothesis:
    return at_most("largest norm of an input", float(row_norms(subject.problem.X).max()), 1.0 + ROUNDING)


def exponential(subject: Subject) -> Hypothesis:
    return condition("exponential loss", subject.problem.loss.name == "exponential")


def scalar(subject: Subject) -> Hypothesis:
    return condition("scalar network, frozen directions", subject.problem.network.directions is not None)


def two_layers(subject: Subject) -> Hypothesis:
    return condition("two layers of weights", subject.problem.network.directions is None)


def parity(subject: Subject) -> Hypothesis:
    return condition("2-sparse parity of the first two inputs", parity_features(subject.problem) is not None)


def wide(subject: Subject, log_bound: float) -> Hypothesis:
    bound = float(np.exp(min(log_bound, LARGEST_EXPONENT)))
    return at_least("width m", float(subject.problem.network.width), bound)


def log_width(eps: float, d: int, r: int) -> float:
    """log of 2 (2/eps)^d log(r/delta)."""
    return float(np.log(2.0) + d * np.log(2.0 / eps) + np.log(np.log(r / DELTA)))


def standard_start(subject: Subject) -> Hypothesis:
    """Do the first row's mean squares agree with a ~ N(0, 1/m) and V ~ N(0, 1/d), to five standard errors?"""
    network = subject.problem.network
    a, W = subject.state(0).parameters.outer, subject.trajectory.W_initial
    (m, d), near = W.shape, network.directions is None
    for mean, count in ((m * float(np.mean(a**2)), m), (d * float(np.mean(W**2)), m * d)):
        near = near and abs(mean - 1.0) <= STANDARD_ERRORS * np.sqrt(2.0 / count)
    return condition("the start looks like a ~ N(0, 1/m), V ~ N(0, 1/d)", bool(near))


def chosen_rows(subject: Subject) -> NDArray[np.intp]:
    """A few rows from the first to the last."""
    count = subject.trajectory.n_rows
    return np.unique(np.linspace(0, count - 1, min(FEW_ROWS, count)).round().astype(np.intp))


def normalized(rows: Along) -> Array:
    """Smoothed margin over |theta|^2 (T,), 0 at theta = 0."""
    return np.divide(rows.smoothed, rows.size**2, out=np.zeros_like(rows.size), where=rows.size > 0.0)
