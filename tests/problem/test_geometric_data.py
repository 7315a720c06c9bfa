"""Data made for an assumption or by a rule satisfy it: every sample, and at the bounds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import nnls

from gflow.analysis.potential import cones as cones_of
from gflow.assembly.dataset import build_data
from gflow.errors import ScenarioError
from gflow.problem import data, geometric_data
from gflow.problem.dataset import Dataset, Split
from gflow.problem.geometric_data import Teacher, cone_axes, largest_eps
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from gflow.scenario import parse_scenario

BASE = """
gflow: 1
name: made
seed: 2
data: {%s}
model: {kind: two_layer, width: 4, activation: {kind: relu}}
init: {kind: gaussian, std: 0.1}
loss: exponential
flow: {until: {time: 1.0}}
"""


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def built(keys: str) -> Split:
    return build_data(parse_scenario(BASE % keys))


@pytest.mark.parametrize("r, d", [(2, 2), (2, 7), (3, 2), (3, 5), (5, 4), (8, 40)])
def test_axes_of_cones_are_the_corners_of_a_simplex(r: int, d: int) -> None:
    beta = cone_axes(r, d)
    assert beta.shape == (r, d)
    assert np.allclose(beta @ beta.T, np.where(np.eye(r) > 0, 1.0, -1.0 / (r - 1)), atol=1e-14)


@pytest.mark.parametrize(
    "r, d, margin, eps", [(2, 2, 0.9, 0.3), (2, 10, 0.5, 0.4), (3, 2, 0.8, 0.05), (4, 30, 0.9, 0.1)]
)
def test_cones_satisfy_assumption_3_1(r: int, d: int, margin: float, eps: float) -> None:
    sample = geometric_data.cones(4000, d, r, margin, eps, rng())
    products, beta = sample.X @ cone_axes(r, d).T, cone_axes(r, d)
    own = products.argmax(axis=1)
    side = np.linalg.norm(sample.X - products.max(axis=1)[:, None] * beta[own], axis=1)
    assert products.max(axis=1).min() >= margin and side.max() <= margin * np.sqrt(eps / 2.0) + 1e-14
    others = np.where(np.arange(r) == own[:, None], -1.0, products)
    assert others.max() <= -eps
    assert np.array_equal(sample.y, np.where(own < (r + 1) // 2, 1.0, -1.0))
    assert np.linalg.norm(sample.X, axis=1).max() <= 1.0 + 1e-14
    counts = np.bincount(own, minlength=r)
    assert np.abs(counts - 4000 / r).max() < 5.0 * np.sqrt(4000 / r)


@pytest.mark.parametrize("r, margin", [(2, 0.7), (3, 0.8), (6, 0.5)])
def test_the_largest_eps_is_attained_and_not_passed(r: int, margin: float) -> None:
    """A sample at the least product with its own axis and the full radius, towards another one."""
    eps, beta = largest_eps(r, margin), cone_axes(r, r + 1)
    towards = beta[1] - (beta[0] @ beta[1]) * beta[0]
    size = np.linalg.norm(towards)
    worst = margin * beta[0] + (margin * np.sqrt(eps / 2.0) * towards / size if size > 1e-12 else 0.0)
    assert worst @ beta[1] == pytest.approx(-eps, rel=1e-12)
    with pytest.raises(ScenarioError, match=f"data.eps = .*: samples of {r} cones .*; use at most {eps:.6g}"):
        geometric_data.cones(5, r + 1, r, margin, eps * 1.001, rng())


def test_claims_find_the_cones() -> None:
    sample = geometric_data.cones(60, 3, 3, 0.9, 0.02, rng())
    problem = Problem.of(sample.X, sample.y, Network(np.ones(2), 0.0, trains_outer=True), LOSSES["exponential"])
    found = cones_of(problem)
    assert found is not None and found.features.beta.shape == (3, 3) and found.apart
    nearest = np.abs(found.features.beta @ cone_axes(3, 3).T - np.eye(3)).max()
    assert found.cone_margin >= 0.89 and nearest < 0.6  # products of different axes are -1/2


def linear_margin(X: np.ndarray, y: np.ndarray) -> float:
    """max over unit u of min_i y_i <u, x_i>: one over the norm of the least u with all margins 1, by NNLS (Lawson and
    Hanson, LDP)."""
    Z = y[:, None] * X
    _, residual = nnls(np.vstack([Z.T, np.ones(len(Z))]), np.append(np.zeros(Z.shape[1]), 1.0))
    return float(residual / np.sqrt(1.0 - residual**2))


def test_two_cones_are_those_of_proposition_2_6() -> None:
    angle, spread, alpha = 160.0, 10.0, 0.1
    sample = geometric_data.two_cones(21, angle, spread, alpha, rng())
    X, first, second, last = sample.X, sample.X[:10], sample.X[10:20], sample.X[20]
    assert np.all(sample.y == 1.0) and np.allclose(np.linalg.norm(X, axis=1), 1.0, rtol=1e-14)
    assert (first @ second.T).max() <= -1.0 / np.sqrt(2.0) + 1e-15
    u = np.array([np.cos(np.radians(angle / 2)), np.sin(np.radians(angle / 2))])
    without = (X[:20] @ u).min()
    assert without == pytest.approx(linear_margin(X[:20], np.ones(20)), rel=1e-9)  # u is the max-margin direction
    v_1 = X[0]
    assert v_1 @ u == pytest.approx(without, rel=1e-12)  # a support vector
    v_0 = (u - (u @ v_1) * v_1) / np.linalg.norm(u - (u @ v_1) * v_1)
    assert np.allclose(last, alpha * v_0 - np.sqrt(1.0 - alpha**2) * v_1, atol=1e-15)
    assert linear_margin(X, np.ones(21)) == pytest.approx(np.sin(np.arcsin(alpha) / 2.0), rel=1e-9)


def test_three_samples_of_two_cones() -> None:
    """Angles 0, 150 and 175 degrees: the linear margin is cos(87.5 degrees)."""
    X = built(f"kind: two_cones, n: 3, angle: 150, alpha: {np.sin(np.radians(5.0))}").train.X
    assert np.degrees(np.arctan2(X[:, 1], X[:, 0])) == pytest.approx([0.0, 150.0, 175.0], abs=1e-12)
    assert linear_margin(X, np.ones(3)) == pytest.approx(np.cos(np.radians(87.5)), rel=1e-9)


def test_xor_by_its_rule() -> None:
    sample = geometric_data.xor(6000, 50, 8.0, 1.0, 0.0, rng())
    assert np.array_equal(sample.y, np.sign(np.abs(sample.X[:, 0]) - np.abs(sample.X[:, 1])))
    centres = np.round(sample.X[:, :2] / 8.0)
    assert {tuple(each) for each in centres} == {(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)}
    rest = sample.X[:, :2] - 8.0 * centres
    assert abs(rest.std() - 1.0) < 0.04 and abs(sample.X[:, 2:].std() - 1.0) < 0.01
    assert np.abs(sample.y @ sample.X[:, :2] / 6000).max() < 6.0 * 8.0 / np.sqrt(6000)  # no linear rule
    noisy = geometric_data.xor(1000, 5, 8.0, 1.0, 0.2, rng())
    wrong = noisy.y != np.sign(np.abs(noisy.X[:, 0]) - np.abs(noisy.X[:, 1]))
    clean = np.where(wrong, -noisy.y, noisy.y)
    assert [int(wrong[clean == sign].sum()) for sign in (1, -1)] == [
        round(0.2 * (clean == sign).sum()) for sign in (1, -1)
    ]


@pytest.mark.parametrize("width", [1, 2, 5, 64])
def test_samples_of_a_teacher_have_its_labels(width: int) -> None:
    teacher = Teacher.drawn(width, 12, rng(4))
    assert np.allclose(np.linalg.norm(teacher.W, axis=1), 1.0, rtol=1e-14)
    assert np.allclose(np.abs(teacher.a), width**-0.5) and (teacher.a > 0).sum() == (width + 1) // 2
    sample = geometric_data.taught(500, teacher, 2.0, 0.0, rng(5))
    for x, y in zip(sample.X, sample.y, strict=True):
        output = sum(a * max(float(w @ x), 0.0) for a, w in zip(teacher.a, teacher.W, strict=True))
        assert y == (1.0 if output > 0.0 else -1.0)
    assert abs(sample.X.std() - 2.0) < 0.1 and set(np.unique(sample.y)) == {-1.0, 1.0}


@pytest.mark.parametrize(
    "keys",
    [
        "kind: cones, n: 6, d: 4, cones: 3, margin: 0.8, eps: 0.05",
        "kind: xor, n: 6, d: 4, norm: 2.0",
        "kind: teacher, n: 6, d: 4, width: 3",
        "kind: parity, n: 6, d: 4, label_noise: 0.3",
        "kind: clusters, n: 6, means_plus: [[1, 0]], means_minus: [[0, 1]], std: 0.3, norm: 1.0, label_noise: 0.3",
    ],
)
def test_test_samples_leave_the_training_samples_alone(keys: str) -> None:
    alone, split = built(keys), built(f"{keys}, test: 30")
    assert np.array_equal(alone.train.X, split.train.X) and np.array_equal(alone.train.y, split.train.y)
    assert split.test is not None and split.test.X.shape == (30, split.train.X.shape[1])
    other = built(f"{keys}, test: 30, seed: 5")
    assert other.test is not None and not np.array_equal(other.test.X, split.test.X)


def test_test_samples_have_the_teacher_of_the_training_samples() -> None:
    """A linear separator of very many training samples of a teacher of one neuron fits its test samples."""
    split = built("kind: teacher, n: 3000, d: 3, width: 1, test: 1000")
    assert split.test is not None
    w, *_ = np.linalg.lstsq(split.train.X, split.train.y, rcond=None)
    assert np.mean(split.test.y * (split.test.X @ w) > 0.0) > 0.96


def flips(clean: Dataset, noisy: Dataset) -> list[int]:
    assert np.array_equal(clean.X, noisy.X)
    return [int(np.sum(noisy.y[clean.y == sign] != sign)) for sign in (1.0, -1.0)]


@pytest.mark.parametrize("share", [0.0, 0.15, 0.499])
def test_noise_on_labels_of_parity_and_clusters(share: float) -> None:
    """The inputs are those without noise, and of each label the share is flipped."""
    clean, noisy = data.parity(101, 6, rng()), data.parity(101, 6, rng(), share)
    assert flips(clean, noisy) == [round(share * int(np.sum(clean.y == sign))) for sign in (1.0, -1.0)]
    means = ([[1.0, 0.0]], [[0.0, 1.0], [1.0, 1.0]])
    clean, noisy = (data.clusters(101, *means, 0.1, rng(), label_noise=each) for each in (0.0, share))
    assert flips(clean, noisy) == [round(share * int(np.sum(clean.y == sign))) for sign in (1.0, -1.0)]


def test_clusters_of_one_norm() -> None:
    means = ([[1.0, -1.0], [-1.0, 1.0]], [[1.0, 1.0], [-1.0, -1.0]])
    plain, scaled = (data.clusters(200, *means, 0.3, rng(), norm=norm) for norm in (None, 2.0))
    assert np.allclose(np.linalg.norm(scaled.X, axis=1), 2.0, rtol=1e-14) and np.array_equal(plain.y, scaled.y)
    assert np.allclose(scaled.X * np.linalg.norm(plain.X, axis=1, keepdims=True) / 2.0, plain.X, rtol=1e-13)
    with pytest.raises(ScenarioError, match="the sample is the zero vector"):
        data.clusters(5, [[0.0, 0.0]], [[0.0, 0.0]], 0.0, rng(), norm=1.0)


@pytest.mark.parametrize(
    "keys, message",
    [
        ("kind: cones, n: 6, d: 4, cones: 7, margin: 0.8, eps: 0.05", "data.d = 4: is below cones - 1 = 6"),
        ("kind: cones, n: 6, d: 4, cones: 3, margin: 0.1, eps: 0.2", "data.eps = 0.2: is not below margin = 0.1"),
        (
            "kind: cones, n: 6, d: 4, cones: 4, margin: 0.8, eps: 0.3",
            "data.eps = 0.3: samples of 4 cones .* at most",
        ),
        (
            "kind: cones, n: 6, d: 4, cones: 2, margin: 0.99, eps: 0.5",
            r"data.margin = 0.99: .* = 0.894427; use a",
        ),
        ("kind: two_cones, n: 2, angle: 150, alpha: 0.1", "data.n = 2: must be at least 3"),
        (
            "kind: two_cones, n: 5, angle: 150, alpha: 0.1, spread: 8",
            r"data.spread = 8: exceeds .* / 2 = 7.5",
        ),
        ("kind: two_cones, n: 5, angle: 150, alpha: 0.6", r"data.alpha = 0.6: is not below sin\(angle\) = 0.5"),
        ("kind: parity, n: 5, d: 4, label_noise: 0.5", "data.label_noise = 0.5: must be below 0.5"),
        ("kind: two_cones, n: 5, angle: 150, alpha: 0.1, test: 3", "data.test = 3: unknown key"),
    ],
)
def test_what_cannot_be_is_refused(keys: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        built(keys)
