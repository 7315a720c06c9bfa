"""Small scenarios of descent alone, and the same steps by torch's autograd in W, one run at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import gflow
from gflow.descent_plan.result import DescentResult
from gflow.scenario import Scenario, parse_scenario

Array = NDArray[np.float64]

TEXT = """
gflow: 1
name: small
seed: 3
data: {kind: gaussian, n: 12, d: 5}
model: {kind: two_layer, width: 8, activation: {kind: leaky_relu, slope: 0.1}}
init: {kind: gaussian, scale: 1.0, relative_to: tensorflow}
loss: logistic
flow: {until: {time: 4.0}}
record: {times: {spacing: log, count: 10}}
"""
BOTH = ("model.outer.train=true", "init.outer={std: 0.5}")


def scenario(*overrides: str, text: str = TEXT) -> Scenario:
    return parse_scenario(text, overrides=overrides)


def descended(folder: Path, *overrides: str, **how: Any) -> DescentResult:  # Any: arguments of `gflow.descend`
    return gflow.descend(scenario(*overrides), out=folder, **how)


class Plain:
    """A two-layer network of one output with logistic loss; W and, if trained, a are leaves of autograd."""

    def __init__(self, X: Array, y: Array, W: Array, a: Array, trains_outer: bool = False, slope: float = 0.1) -> None:
        self.X, self.y, self._slope = torch.tensor(X), torch.tensor(y), slope
        self.W = torch.tensor(W, requires_grad=True)
        self.a = torch.tensor(a, requires_grad=trains_outer)

    @classmethod
    def of(cls, found: DescentResult) -> Plain:
        """At the start of the scenario, by the file alone."""
        file = found.trajectory
        return cls(file.X, file.y, file.W_initial, file.outer_at(0), file.trains_outer)

    @property
    def leaves(self) -> list[Tensor]:
        return [leaf for leaf in (self.W, self.a) if leaf.requires_grad]

    def loss(self, batch: Any = slice(None)) -> Tensor:  # Any: what indexes samples
        z = self.W @ self.X[batch].T
        p = self.y[batch] * (self.a @ torch.where(z > 0.0, z, self._slope * z))
        return torch.nn.functional.softplus(-p).mean()

    def run(self, size: Callable[[int, float], float], batches: Iterable[Any]) -> list[float]:
        """One step of size(k, loss) on each batch k; the losses before the steps."""
        losses = []
        for k, batch in enumerate(batches):
            loss = self.loss(batch)
            losses.append(float(loss.detach()))
            gradients = torch.autograd.grad(loss, self.leaves)
            with torch.no_grad():
                for leaf, gradient in zip(self.leaves, gradients, strict=True):
                    leaf -= size(k, losses[-1]) * gradient
        return losses

    def agrees(self, found: DescentResult, row: int = -1) -> bool:
        """Has the row these weights, to 1e-12 of them?"""
        file = found.trajectory
        W, a = self.W.detach().numpy(), self.a.detach().numpy()
        return gap(file.weights(row), W) < 1e-12 and gap(file.outer_at(row), a) < 1e-12


def gap(a: Array, b: Array) -> float:
    """Relative distance."""
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def last_row(found: DescentResult, eta: float, seed: int | None = None) -> int:
    file = found.trajectory
    own = file.read("eta") == eta
    return int(np.flatnonzero(own if seed is None else own & (file.read("seed") == seed))[-1])
