"""Terms too small to be seen may grow beyond all others within a step: e^-500 times what e^(500 u) becomes."""

from __future__ import annotations

import numpy as np
import pytest

from gflow.taylor.polynomial import MOST
from gflow.taylor.series import clock_after, evaluate, expand, grows_unseen, series


def test_a_saturated_sample_that_wakes_in_the_step_is_noticed() -> None:
    """Logistic, n = K = 1, p = -500 + tau: g is 1 to e^-500, t = tau + e^p.  The last terms accept a step of 510."""
    terms = series(1)
    terms.allowed[:] = 1e-10
    N, ratio, top = expand(np.eye(1), np.array([-500.0]), np.ones(1, np.int64), True, 510.0, 1e-10, MOST, terms)
    assert ratio < 1e-200
    unit = float(np.log(510.0) - top)
    v = clock_after(0.0, unit, terms, N, 1.0)
    assert v == pytest.approx(np.log1p(510.0))  # the control: the truth is another
    assert v < np.log1p(510.0 + np.exp(10.0)) - 1.0
    assert grows_unseen(terms, True, top, N, 1.0, 1e-12)
    u = 0.5  # p = -245
    assert not grows_unseen(terms, True, top, N, u, 1e-12)
    assert clock_after(0.0, unit, terms, N, u) == pytest.approx(np.log1p(255.0), rel=1e-14)


def test_a_sample_without_weight_that_comes_to_count_is_noticed() -> None:
    """Exponential: sample 0 pulls sample 1 from p = 300 down, at whose pull of e^-300 no term looks."""
    K = np.array([[0.0, -1.0], [-1.0, 4.0]])
    p, live, terms = np.array([0.0, 300.0]), np.ones(2, dtype=np.int64), series(2)
    terms.allowed[:] = 1e-10
    N, ratio, top = expand(K, p, live, False, 310.0, 1e-10, MOST, terms)
    end = np.zeros(2)
    evaluate(terms.p, N, 1.0, end)
    assert ratio < 1e-100 and end[1] == pytest.approx(-10.0)  # the control: sample 1 outweighs the other from p = 0 on
    assert grows_unseen(terms, False, top, N, 1.0, 1e-12)
    assert not grows_unseen(terms, False, top, N, 0.5, 1e-12)


@pytest.mark.parametrize("logistic", [True, False])
def test_a_part_that_float64_does_not_hold_is_noticed_as_well(logistic: bool) -> None:
    """As before from p = 3000: e^-3000 is 0 in float64, and still outweighs the other in a step of 3100."""
    K = np.array([[0.0, -1.0], [-1.0, 4.0]])
    p, live, terms = np.array([0.0, 3000.0]), np.ones(2, dtype=np.int64), series(2)
    terms.allowed[:] = 1e-10
    N, _, top = expand(K, p, live, logistic, 3100.0, 1e-10, MOST, terms)
    assert terms.q[0, 1] == 0.0  # the control: its part is not there
    assert grows_unseen(terms, logistic, top, N, 1.0, 1e-12)
    assert not grows_unseen(terms, logistic, top, N, 0.5, 1e-12)


def test_what_is_seen_is_left_to_the_last_terms() -> None:
    """Where margins move by less than 1 nothing can be hidden, however small it is."""
    terms = series(2)
    terms.allowed[:] = 1e-10
    N, _, top = expand(np.eye(2), np.array([0.0, 700.0]), np.ones(2, np.int64), False, 0.9, 1e-10, MOST, terms)
    assert not grows_unseen(terms, False, top, N, 1.0, 1e-300)


def test_terms_that_leave_float64_say_nothing() -> None:
    """A step of 1e40 decay times: terms of 1e40^N, then differences of infinities."""
    terms, p, live = series(2), np.array([0.0, 1.0]), np.ones(2, dtype=np.int64)
    terms.allowed[:] = 1e-10
    with np.errstate(all="ignore"):
        _, ratio, _ = expand(np.eye(2), p, live, True, 1e40, 1e-10, MOST, terms)
    assert ratio == np.inf
    _, ratio, _ = expand(np.eye(2), p, live, True, 1e-2, 1e-10, MOST, terms)
    assert ratio <= 1.0
