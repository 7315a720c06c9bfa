"""Networks of every kind, and gradient descent on them as everyone writes it: torch, autograd, W-space, one run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from gflow.descent import Coordinates, DescentRun, Iterate, Options, descend
from gflow.problem.activation import Huberized, SmoothLeaky
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.parameters import Parameters
from gflow.problem.problem import Problem

Array = NDArray[np.float64]
Index = NDArray[np.int64]

cuda = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"))
DEVICES = ["cpu", cuda]
BOTH = [Coordinates.SPAN, Coordinates.SAMPLES]


def relu(z: Tensor) -> Tensor:
    return torch.relu(z)


def leaky(z: Tensor) -> Tensor:
    return torch.where(z > 0.0, z, 0.1 * z)


def smooth(z: Tensor) -> Tensor:
    return 0.2 * z + 0.8 * (torch.logaddexp(z, torch.zeros_like(z)) - float(np.log(2.0)))


def huber(z: Tensor) -> Tensor:
    return torch.where(z < 0.0, 0.0 * z, torch.where(z <= 0.3, z * z / 0.6, z - 0.15))


@dataclass(frozen=True)
class Case:
    """A problem, its start W (m, d) or b (m, 1), and phi for the plain network."""

    problem: Problem
    inner: Array
    phi: Callable[[Tensor], Tensor]

    def weights(self) -> Parameters:
        return Parameters.of(self.problem, self.inner)

    def inner_at(self, row: Iterate) -> Array:
        """W at a row."""
        if self.problem.network.directions is not None:
            return row.U
        return self.inner + (row.U - self.weights().U) @ self.problem.span.B


@cache
def case(kind: str, loss: str, n: int = 9, d: int = 14, m: int = 8, seed: int = 0) -> Case:
    """An instance of a kind of network; `classes` has K = 3 outputs, biases are a last input of 1."""
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(n, d)) / np.sqrt(d), rng.choice([-1.0, 1.0], size=n)
    signs, inner = rng.choice([-1.0, 1.0], size=m) / np.sqrt(m), rng.normal(size=(m, d))
    phi = {"smooth": smooth, "huberized": huber, "leaky": leaky, "both smooth": smooth}.get(kind, relu)
    network = Network(signs, 0.1 if kind == "leaky" else 0.0)
    if kind in ("huberized", "classes"):
        X[:, -1] = 1.0
    if kind == "both layers":
        network = Network(rng.normal(size=m) / np.sqrt(m), 0.0, trains_outer=True)
    if kind == "smooth":
        network = Network(signs, 0.0, smoothing=SmoothLeaky(0.2))
    if kind == "both smooth":
        network = Network(signs, 0.0, trains_outer=True, smoothing=SmoothLeaky(0.2))
    if kind == "huberized":
        network = Network(signs, 0.0, smoothing=Huberized(0.3))
    if kind in ("classes", "classes fixed"):
        y = rng.integers(3, size=n).astype(float)
        trained = kind == "classes"
        network = Network(
            rng.normal(size=(3, m)) / np.sqrt(m), 0.0, trains_outer=trained, output_bias=rng.normal(size=3)
        )
    if kind == "scalar":
        directions = rng.normal(size=(m, d))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        inner = rng.choice([-0.5, 0.5], size=(m, 1))
        network = Network(rng.choice([-0.5, 0.5], size=m), 0.0, trains_outer=True, directions=directions)
    return Case(Problem.of(X, y, network, LOSSES[loss]), inner, phi)


KINDS = [
    "leaky", "relu", "both layers", "smooth", "both smooth", "huberized", "classes", "classes fixed", "scalar",
]  # fmt: skip


class Plain:
    """The parameters as leaves of autograd, and steps on batches of samples."""

    def __init__(self, case: Case) -> None:
        network, problem = case.problem.network, case.problem
        self._case, self._network = case, network
        self._X, self._y = torch.tensor(problem.X), torch.tensor(problem.y)
        self.inner = torch.tensor(case.inner, requires_grad=True)
        self.outer = torch.tensor(network.outer, requires_grad=network.trains_outer)
        self.bias = None if network.output_bias is None else torch.tensor(network.output_bias, requires_grad=True)

    def loss(self, batch: Sequence[int] | slice = slice(None)) -> Tensor:
        """Mean loss on the samples of a batch."""
        X, y, directions = self._X[batch], self._y[batch], self._network.directions
        W = self.inner if directions is None else self.inner * torch.tensor(directions)
        f = self.outer @ self._case.phi(W @ X.T)
        if self._network.outputs > 1:
            f = f if self.bias is None else f + self.bias[:, None]
            odds = torch.log_softmax(f, 0)[y.long(), torch.arange(y.numel())]
            p = odds - torch.log(-torch.expm1(odds))
        else:
            p = y * f
        exponential = self._case.problem.loss.name == "exponential"
        return (torch.exp(-p) if exponential else torch.logaddexp(-p, torch.zeros_like(p))).mean()

    def step(self, eta: float, batch: Sequence[int] | slice = slice(None)) -> float:
        """One step of plain gradient descent; the loss before it."""
        leaves = [leaf for leaf in (self.inner, self.outer, self.bias) if leaf is not None and leaf.requires_grad]
        loss = self.loss(batch)
        gradients = torch.autograd.grad(loss, leaves)
        with torch.no_grad():
            for leaf, gradient in zip(leaves, gradients, strict=True):
                leaf -= eta * gradient
        return float(loss.detach())


def rows(case: Case, *runs: DescentRun, options: Options | None = None) -> list[Iterate]:
    """All rows of all runs."""
    return [item for item in descend(case.problem, runs, options) if isinstance(item, Iterate)]


def allowed(case: Case, coordinates: Coordinates) -> Coordinates:
    """These coordinates, where the network has them."""
    return Coordinates.SPAN if case.problem.network.directions is not None else coordinates


def gap(a: Array, b: Array | Tensor) -> float:
    """Relative distance."""
    b = b.detach().numpy() if isinstance(b, Tensor) else b
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))
