"""The series of one mode's flow: closed forms, its order, and the present integrators at rtol 1e-12."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from gflow.taylor.polynomial import MOST
from gflow.taylor.series import Series, clock_after, evaluate, expand, series, when_clock
from tests.flow.driver import loglog_slope

Array = NDArray[np.float64]


def tight(n: int, allowed: float = 1e-300) -> Series:
    terms = series(n)
    terms.allowed[:] = allowed
    return terms


def everyone(n: int) -> NDArray[np.int64]:
    return np.ones(n, dtype=np.int64)


def followed(K: Array, p: Array, logistic: bool, t_end: float, h: float) -> Array:
    """Margins at t_end, by steps of at most h in tau."""
    v, goal, n, terms = 0.0, float(np.log1p(t_end)), p.size, tight(p.size, 1e-17)
    while v < goal:
        N, ratio, top = expand(K, p, everyone(n), logistic, h, 1e-16, MOST, terms)
        u, unit = (1.0 if ratio <= 1.0 else 0.9 * ratio ** (-1.0 / (N - 1))), float(np.log(n * h) - top)
        after = clock_after(v, unit, terms, N, u)
        if after >= goal:
            u, after = when_clock(v, unit, terms, N, u, goal), goal
        out = np.zeros(n)
        evaluate(terms.p, N, u, out)
        p, v = out, after
    return p


K = np.diag([1.0, 2.0, 3.0])
START = np.array([0.1, 0.2, -0.3])


@pytest.mark.parametrize("t", [1e-3, 1.0, 50.0, 1e6])
def test_orthogonal_samples_follow_their_closed_form(t: float) -> None:
    """Exponential loss: p_i' = K_ii e^(-p_i) / n, so p_i = log(e^(p_i(0)) + K_ii t / n)."""
    expected = np.log(np.exp(START) + np.diag(K) * t / 3.0)
    np.testing.assert_allclose(followed(K, START, False, t, 0.3), expected, rtol=0.0, atol=1e-14 * (1.0 + np.log1p(t)))


@pytest.mark.parametrize("t", [1e-3, 1.0, 50.0, 1e6])
def test_orthogonal_samples_follow_their_closed_form_with_the_logistic_loss(t: float) -> None:
    """p_i' = K_ii / (1 + e^(p_i)) / n, so p_i + e^(p_i) grows by K_ii t / n."""
    p = followed(K, START, True, t, 0.3)
    np.testing.assert_allclose(p + np.exp(p), START + np.exp(START) + np.diag(K) * t / 3.0, rtol=1e-13)


def coupled(n: int = 4) -> tuple[Array, Array]:
    rng = np.random.default_rng(3)
    A = rng.standard_normal((n, n))
    return A @ A.T, rng.standard_normal(n)


def stepped(K: Array, p: Array, logistic: bool, N: int, h: float, used: int) -> Array:
    """Margins at tau = 1/2 by steps h of the series to degree N, of which `used` terms are taken."""
    terms = tight(p.size)
    for _ in range(round(0.5 / h)):
        assert expand(K, p, everyone(p.size), logistic, h, 1e-300, N, terms)[0] == N
        p, before = np.zeros(p.size), p
        evaluate(terms.p, used, 1.0, p)
        assert not np.array_equal(p, before)
    return p


@pytest.mark.parametrize("logistic", [False, True])
@pytest.mark.parametrize(
    ("N", "used", "low", "high"), [(3, 3, 2.7, 3.5), (5, 5, 4.7, 5.5), (8, 8, 7.2, 8.7), (5, 4, 3.7, 4.5)]
)
def test_the_order_is_the_degree(logistic: bool, N: int, used: int, low: float, high: float) -> None:
    """The last row is the control: without its last term the series has an order less."""
    M, p = coupled()
    M = M * (5.0 if N > 5 else 1.0) / np.abs(M).sum(axis=0).max()
    exact = stepped(M, p, logistic, 20, 1.0 / 16.0, 20)
    sizes = [1.0 / 2.0, 1.0 / 4.0, 1.0 / 8.0]
    errors = [float(np.abs(stepped(M, p, logistic, N, h, used) - exact).max()) for h in sizes]
    assert low < loglog_slope(sizes, errors) < high, errors


@pytest.mark.parametrize("logistic", [False, True])
def test_coupled_samples_agree_with_an_independent_integrator(logistic: bool) -> None:
    M, p = coupled()
    n = p.size

    def field(_: float, y: Array) -> Array:
        g = 1.0 / (1.0 + np.exp(y)) if logistic else np.exp(-y)
        return np.asarray(M @ g / n)

    exact = solve_ivp(field, (0.0, 3.0), p, method="DOP853", rtol=3e-14, atol=1e-15).y[:, -1]
    np.testing.assert_allclose(followed(M, p, logistic, 3.0, 0.1), exact, rtol=0.0, atol=2e-12)


def test_nothing_underflows_late() -> None:
    """Margins of 1e5 and a clock of e^1e5: g is no float64 there; q and v still are."""
    p, terms = np.array([1e5, 1e5 + 1.0]), tight(2)
    N, ratio, top = expand(np.eye(2), p, everyone(2), True, 1e-3, 1e-16, 12, terms)
    assert top == pytest.approx(-1e5, rel=1e-15)
    np.testing.assert_allclose(terms.q[0], [1.0 / (1.0 + np.exp(-1.0)), 1.0 / (1.0 + np.exp(1.0))], rtol=1e-14)
    v = clock_after(0.0, float(np.log(2e-3) - top), terms, N, 1.0)
    assert v == pytest.approx(1e5 + np.log(2e-3 / (1.0 + np.exp(-1.0))), abs=1e-3)


def test_samples_that_nothing_moves_do_not_set_the_clock() -> None:
    p, terms = np.array([1.0, -50.0]), tight(2)
    expand(np.diag([1.0, 0.0]), p, np.array([1, 0]), False, 0.1, 1e-16, 5, terms)
    assert terms.q[0, 0] == 1.0
    assert terms.q[0, 1] == pytest.approx(np.exp(51.0))
    assert (terms.c[1:6, 1] == 0.0).all()
