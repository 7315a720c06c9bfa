"""Almost antipodal and almost parallel samples: K q cancels, and the flow goes on all the same.

On one pattern let K q_inf = kappa (1, ..., 1) with sum q_inf = 1, exact in rationals.  q_inf . p grows by kappa tau;
with the exponential loss, once q has come to q_inf, p_i = -log(q_inf_i G) with 1 / G = 1 / G_0 + kappa t / n and
log G_0 = H(q_inf) - q_inf . p_0.  The way there takes a tau of order 1, which changes 1 / G by a part of kappa only.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from gflow.field.dual import DualBranch
from gflow.flow_time import log1p_of_log_time
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from tests.cases.runs import simulated
from tests.flow.driver import flow, until_log_time

Array = NDArray[np.float64]
LOG_TIME = 200.0


def predicted(X: Array, y: Array, W: Array, a: Array, slope: float, v: float) -> Array:
    """p (2,) of two samples at log(1 + t) = v on the pattern of W, the exponential loss."""
    rows, start = [], []
    for x, label in zip(X, y, strict=True):
        row, p = [], Fraction(0)
        for w, outer in zip(W, a, strict=True):
            z = sum((Fraction(float(u)) * Fraction(float(c)) for u, c in zip(w, x, strict=True)), Fraction(0))
            factor = Fraction(float(label * outer)) * (1 if z > 0 else Fraction(slope))
            row += [factor * Fraction(float(c)) for c in x]
            p += factor * z
        rows.append(row)
        start.append(float(p))
    one, across, two = (
        sum((u * w for u, w in zip(rows[i], rows[k], strict=True)), Fraction(0)) for i, k in ((0, 0), (0, 1), (1, 1))
    )
    total = one + two - 2 * across
    q = np.array([float((two - across) / total), float((one - across) / total)])
    kappa = float((one * two - across**2) / total)
    assert (q > 0.0).all()
    log_start = float(q @ np.array(start) + q @ np.log(q))  # log(1 / G_0)
    return np.asarray(np.logaddexp(log_start, np.log(kappa / 2.0) + v) - np.log(q))


def problem(X: Array, y: Array, a: Array, slope: float) -> Problem:
    return Problem.of(X, y, Network(a, slope), LOSSES["exponential"])


def test_the_margins_grow_where_the_gram_matrix_cancels(tmp_path: Path) -> None:
    """p = log(e^p_0 + g^2 t), g = 1e-7."""
    run = simulated("thin-margin", tmp_path / "run", "record.times.count=3")
    expected = np.logaddexp(1.5 * np.sqrt(2.0), 2.0 * np.log(1e-7) + LOG_TIME)
    np.testing.assert_allclose(run.margins[-1], expected, atol=1e-7)


@pytest.mark.sample("1e-50-*", "1.0-*")
@pytest.mark.parametrize("thin", [1e-7, 1e-10])
@pytest.mark.parametrize("unit", [1.0, 1e-50, 1e50])
def test_unequal_samples_of_any_size(thin: float, unit: float) -> None:
    X, y = unit * np.array([[1.0, thin], [-1.5, 2.0 * thin]]), np.ones(2)
    a, W = np.array([0.7, 0.3]), np.array([[0.0, 1.0], [0.0, 2.0]]) / (thin * unit)
    # Inputs of size s make the flow s^2 times as fast; before that time has passed q is still on its way to q_inf.
    end = LOG_TIME + max(0.0, -2.0 * np.log(unit))
    found = flow(problem(X, y, a, 0.5), W, until_log_time(end))
    assert not found.events
    unscaled = predicted(X / unit, y, W * unit, a, 0.5, end + 2.0 * np.log(unit))
    np.testing.assert_allclose(found.state.p, unscaled, atol=1e-6)


@pytest.mark.parametrize("thin", [1e-7, 1e-10])
def test_almost_equal_samples_of_opposite_labels(thin: float) -> None:
    X, y, a, W = np.array([[1.0, 0.0], [1.0, thin]]), np.array([1.0, -1.0]), np.ones(1), np.array([[1.0, 0.3]])
    found = flow(problem(X, y, a, 1.0), W, until_log_time(LOG_TIME))
    p = predicted(X, y, W, a, 1.0, log1p_of_log_time(LOG_TIME))
    np.testing.assert_allclose(found.state.p, p, atol=1e-6)


def test_masses_alone_would_lose_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: without a look at the features the run rests at its start."""
    monkeypatch.setattr(DualBranch, "_settled", lambda self, y, q: True)
    X, W = np.array([[1.0, 1e-7], [-1.0, 1e-7]]), np.array([[0.0, 1e7]])
    found = flow(problem(X, np.ones(2), np.ones(1), 0.5), W, until_log_time(LOG_TIME))
    assert "nothing but the clock moved after t = 0 to float64" in found.finish.sentence
