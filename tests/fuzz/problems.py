"""Small hostile problems: a recipe says which, `built` makes it, `drawn` draws one from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem

Array = NDArray[np.float64]
T = TypeVar("T")

SHAPES = ("gaussian", "duplicated", "scaled", "antipodal", "collinear", "integer")
TIED = ("hypercube", "grid", "circle", "near_parallel", "near_antipodal")  # shapes on which ties and cancellation rule
LABELS = ("random", "equal", "opposite_twins")
STARTS = ("gaussian", "zero", "one_zero", "on_kinks", "one_on_kink", "duplicated")
OFF_KINKS = ("gaussian", "duplicated")  # starts that lie on no kink
SLOPES = (0.0, 1e-12, 0.01, 0.5, 0.99, 1.0 - 1e-12, 1.0)
SCALES = (1e-150, 1e-30, 1e-8, 1.0, 1.0, 1.0, 1.0, 1e3, 1e30, 1e150)
OUTERS = ("signs", "with_zero", "gaussian", "positive")
LOG_TIMES = (-20.0, 0.0, 3.0, 10.0, 100.0, 1e4)


@dataclass(frozen=True, slots=True)
class Recipe:
    """n, d, m sizes; what the rows, labels and start are like; scales of inputs, weights, outer layer; the end."""

    n: int
    d: int
    m: int
    shape: str
    labels: str
    start: str
    outer: str
    slope: float
    loss: str
    scales: tuple[float, float, float]
    log_time: float
    seed: int

    @property
    def is_moderate(self) -> bool:
        """Are no sizes extreme and is the end near, so that the flow must be as accurate as its tolerance says?"""
        return all(1e-8 <= scale <= 1e3 for scale in self.scales) and self.log_time <= 10.0


@dataclass(frozen=True, slots=True)
class Picker:
    """Picks one of several values."""

    rng: np.random.Generator

    def __call__(self, values: Sequence[T]) -> T:
        return values[int(self.rng.integers(len(values)))]


def drawn(seed: int) -> Recipe:
    """The recipe of a seed."""
    rng = np.random.default_rng(seed)
    one_of = Picker(rng)
    return Recipe(
        n=int(rng.integers(1, 7)),
        d=int(rng.integers(1, 5)),
        m=int(rng.integers(1, 6)),
        shape=one_of(SHAPES),
        labels=one_of(LABELS),
        start=one_of(STARTS),
        outer=one_of(OUTERS),
        slope=one_of(SLOPES),
        loss=one_of(tuple(LOSSES)),
        scales=(one_of(SCALES), one_of(SCALES), one_of(SCALES)),
        log_time=one_of(LOG_TIMES),
        seed=seed,
    )


def built(recipe: Recipe) -> tuple[Problem, Array]:
    """The problem and W (m, d) at its start."""
    rng = np.random.default_rng([recipe.seed, 1])
    X = _rows(recipe, rng)
    y = _labels(recipe, rng)
    a = _outer(recipe, rng) * recipe.scales[2]
    W = _start(recipe, X, rng) * recipe.scales[1]
    return Problem.of(X * recipe.scales[0], y, Network(a, recipe.slope), LOSSES[recipe.loss]), W


def _rows(recipe: Recipe, rng: np.random.Generator) -> Array:
    """X (n, d) near size 1 without zero rows; every second row repeats, scales or mirrors the one before."""
    X = rng.standard_normal((recipe.n, recipe.d))
    twins = np.arange(1, recipe.n, 2)
    match recipe.shape:
        case "duplicated":
            X[twins] = X[twins - 1]
        case "scaled":
            X[twins] = 2.0**10 * X[twins - 1]
        case "antipodal":
            X[twins] = -X[twins - 1]
        case "collinear":
            X = rng.choice([-2.0, -1.0, 1.0, 3.0], size=(recipe.n, 1)) * X[:1]
        case "integer":
            X = rng.integers(1, 3, size=X.shape) * rng.choice([-1.0, 1.0], size=X.shape)
        case "near_parallel" | "near_antipodal":
            sign = 1.0 if recipe.shape == "near_parallel" else -1.0
            near = 10.0 ** -rng.uniform(3.0, 9.0, size=(twins.size, 1))
            X[twins] = sign * X[twins - 1] + near * rng.standard_normal((twins.size, recipe.d))
        case shape if shape in TIED:
            X = _regular(recipe, rng)
    return X


def _regular(recipe: Recipe, rng: np.random.Generator) -> Array:
    """X (n, d) of corners of a cube, points of a grid that are not 0, or points on a circle at equal angles."""
    if recipe.shape == "hypercube":
        return rng.choice([-1.0, 1.0], size=(recipe.n, recipe.d))
    if recipe.shape == "grid":
        X = rng.integers(-2, 3, size=(recipe.n, recipe.d)).astype(float)
        X[~X.any(axis=1), 0] = 1.0
        return X
    angles = 2.0 * np.pi * (np.arange(recipe.n) + 0.5 * rng.integers(2)) / recipe.n
    circle = np.column_stack([np.cos(angles), np.sin(angles), np.zeros((recipe.n, max(recipe.d - 2, 0)))])
    return np.ascontiguousarray(circle) if recipe.d >= 2 else np.where(circle[:, :1] < 0.0, -1.0, 1.0)


def _labels(recipe: Recipe, rng: np.random.Generator) -> Array:
    """y (n,)."""
    y = rng.choice([-1.0, 1.0], size=recipe.n)
    if recipe.labels == "equal":
        y[:] = y[0]
    elif recipe.labels == "opposite_twins":  # with duplicated rows nothing separates them
        twins = np.arange(1, recipe.n, 2)
        y[twins] = -y[twins - 1]
    return y


def _outer(recipe: Recipe, rng: np.random.Generator) -> Array:
    """a (m,) near size 1."""
    a = rng.choice([-1.0, 1.0], size=recipe.m)
    if recipe.outer == "with_zero":
        a[0] = 0.0
    elif recipe.outer == "gaussian":
        a = rng.standard_normal(recipe.m)
    return np.abs(a) if recipe.outer == "positive" else a


def _start(recipe: Recipe, X: Array, rng: np.random.Generator) -> Array:
    """W (m, d) near size 1, with neurons at zero or exactly (to rounding) on the kinks of samples where asked for."""
    W = rng.standard_normal((recipe.m, recipe.d))
    match recipe.start:
        case "zero":
            W[:] = 0.0
        case "one_zero":
            W[0] = 0.0
        case "duplicated":
            W[:] = W[0]
        case "on_kinks" | "one_on_kink":
            moved = recipe.m if recipe.start == "on_kinks" else 1
            for j in range(moved):
                x = X[j % recipe.n] / np.linalg.norm(X[j % recipe.n])
                W[j] -= (W[j] @ x) * x
    return W
