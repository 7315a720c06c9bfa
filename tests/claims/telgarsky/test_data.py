"""Margins that the data allow, against closed forms and Monte Carlo."""

from __future__ import annotations

import numpy as np
import pytest

from gflow.analysis.potential import parity_features
from gflow.claims.telgarsky.best import best_margin
from gflow.claims.telgarsky.data import ntk_of_inner_map, ntk_of_outer_map, prop1_5_3, prop1_6_1, separation
from tests.claims.telgarsky.runs import of, on_circle


def test_the_best_margin_of_parity_in_the_plane() -> None:
    """By the closed form, and turned by 20 degrees by the linear program, which cannot see that it is parity."""
    X, y = on_circle([45.0, 135.0, 225.0, 315.0]), np.array([1.0, -1.0, 1.0, -1.0])
    assert best_margin(of(X, y)) == pytest.approx(0.25, rel=1e-12)
    turned = best_margin(of(on_circle([65.0, 155.0, 245.0, 335.0]), y))
    assert turned is not None and 0.25 <= turned < 0.2505
    assert best_margin(of(np.eye(3), np.ones(3))) is None


def test_the_two_cones_of_proposition_2_6() -> None:
    """Angles 0, 150, 175 degrees: the linear margin is cos 87.5, the best one of networks 0.2470 after halving."""
    run = of(on_circle([0.0, 150.0, 175.0]), np.ones(3))
    assert separation(run)[0] == pytest.approx(np.cos(np.deg2rad(87.5)), rel=1e-9)
    best = best_margin(run)
    assert best is not None and 0.5 * best == pytest.approx(0.2470, abs=3e-4)


def test_parity_is_not_separable() -> None:
    assert separation(of(on_circle([45.0, 135.0, 225.0, 315.0]), np.array([1.0, -1.0, 1.0, -1.0])))[0] == 0.0


@pytest.mark.parametrize("d", [2, 5, 40])
def test_the_expectations_of_proposition_1_5(d: int) -> None:
    """E<theta, d p> of both maps for x = (1/2, sqrt(3)/2, 0, ...) and u = e_1, by Monte Carlo."""
    rng, draws = np.random.default_rng(d), 400_000
    a, v = rng.standard_normal(draws), rng.standard_normal((draws, d)) / np.sqrt(d)
    z = 0.5 * v[:, 0] + np.sqrt(0.75) * v[:, 1]
    inside = a**2 + np.sum(v**2, axis=1) <= 4.0
    inner = np.mean(inside * np.sign(a) * a * (z > 0.0) * 0.5)
    outer = np.mean(inside * np.sign(v[:, 0]) * np.maximum(z, 0.0))
    assert 0.5 * ntk_of_inner_map(d) == pytest.approx(inner, abs=2e-3)
    assert 0.5 * ntk_of_outer_map(d) == pytest.approx(outer, abs=2e-3)


@pytest.mark.parametrize("d", [2, 20])
def test_the_expectation_of_proposition_1_6(d: int) -> None:
    """theta = (0, sgn(a)/2 sum_k sgn(alpha_k) beta_k 1[<beta_k, v> >= 0]), by Monte Carlo at one corner."""
    X = np.ones((1, d)) / np.sqrt(d)
    features = parity_features(of(X, np.ones(1)).problem)
    claim = prop1_6_1(of(X, np.ones(1)))
    assert features is not None and claim.conclusion is not None and claim.verdict == "holds"
    rng = np.random.default_rng(1)
    a, v = rng.standard_normal(400_000), rng.standard_normal((400_000, d)) / np.sqrt(d)
    theta = 0.5 * ((v @ features.beta.T >= 0.0) * np.sign(features.alpha)) @ features.beta
    value = np.mean(np.abs(a) * (v @ X[0] >= 0.0) * (theta @ X[0]))
    assert claim.conclusion.value == pytest.approx(value, abs=6e-4)


def test_a_direction_that_separates_nothing_is_no_separation() -> None:
    """Antipodal to 1e-11 with one label: the nearest point of the hull is rounding, and not a direction."""
    X = on_circle([0.0, 180.0, 180.0 + 1e-11, 1e-9])
    gh, z = separation(of(X, np.ones(4)))
    assert gh == 0.0 or z.min() == gh > 0.0
    claim = prop1_5_3(of(X, np.ones(4)))
    assert claim.verdict == ("holds" if gh > 0.0 else "not applicable")
