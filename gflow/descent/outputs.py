"""From outputs to margins, losses and their slopes, for labels of either kind, on the samples of a batch.

Shapes: f (B, K, k) outputs, p (B, 1, k) margins; K = 1 for labels -1, +1.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np
import torch
from torch import Tensor

from gflow.problem.problem import Problem

# Beyond this margin -log(1 + e^-p) is -p up to e^-p / 2, to all digits of float64.
LARGE_MARGIN = 40.0


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step sees: indices (B, k) of samples (None: all n), weights that sum to 1, and targets for `Outputs`."""

    indices: Tensor | None
    weights: Tensor
    targets: Tensor


class Outputs:
    """Labels and loss of one problem: y (1, n), or one-hot (K, n), on a device."""

    def __init__(self, problem: Problem, model: Tensor) -> None:
        """model: a tensor of the dtype and device wanted."""
        self._classes = problem.network.outputs > 1
        self._logistic = problem.loss.name == "logistic"
        targets = problem.y[None, :]
        if self._classes:
            targets = problem.y == np.arange(problem.network.outputs)[:, None]
        dtype = torch.bool if self._classes else model.dtype
        self._targets = torch.tensor(targets, dtype=dtype, device=model.device)
        self._weights = torch.full((1, 1, 1), 1.0 / problem.samples, dtype=model.dtype, device=model.device)

    def everything(self) -> Batch:
        """All n samples, equally weighted."""
        return Batch(None, self._weights, self._targets[None])

    def batch(self, indices: Tensor, weights: Tensor) -> Batch:
        """A mini-batch of each run, both (B, k)."""
        return Batch(indices, weights[:, None, :], self._targets[:, indices].transpose(0, 1))

    def margins(self, f: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """p (B, 1, k), and dp/df (B or 1, K, k)."""
        if not self._classes:
            return batch.targets * f, batch.targets
        others = f.masked_fill(batch.targets, -torch.inf)
        own = f.masked_fill(~batch.targets, 0.0).sum(-2, keepdim=True)
        p = own - torch.logsumexp(others, -2, keepdim=True)
        return p, torch.softmax(others, -2).neg_().masked_fill_(batch.targets, 1.0)

    def loss_slopes(self, p: Tensor) -> Tensor:
        """g = -l'(p): e^-p, or 1 / (1 + e^p), which no margin overflows."""
        return torch.sigmoid(-p) if self._logistic else torch.exp(-p)

    def losses(self, p: Tensor) -> Tensor:
        """l(p), elementwise, differentiable twice; not log-stable."""
        return torch.nn.functional.softplus(-p, threshold=LARGE_MARGIN) if self._logistic else torch.exp(-p)

    def log_loss(self, p: Tensor) -> Tensor:
        """log L (B,) in float64, the mean over all n samples of l(p), p (B, 1, n)."""
        p = p.double().squeeze(-2)
        return torch.logsumexp(self._log_values(p), -1) - log(p.shape[-1])

    def _log_values(self, p: Tensor) -> Tensor:
        if not self._logistic:
            return -p
        near = torch.nn.functional.softplus(-p.clamp(max=LARGE_MARGIN), threshold=LARGE_MARGIN).log()
        return torch.where(p > LARGE_MARGIN, -p, near)
