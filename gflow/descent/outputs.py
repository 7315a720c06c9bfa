"""Margins, losses and their slopes from the outputs, for both kinds of labels, on the samples of a batch.

Shapes: outputs f (B, K, k), margins p (B, 1, k); K = 1 for labels -1, +1.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np
import torch
from torch import Tensor

from gflow.problem.problem import Problem

# Beyond this margin log log(1 + e^-p) is -p up to e^-p / 2, which is exact in float64.
LARGE_MARGIN = 40.0


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step uses: the samples, their weights, and targets for `Outputs`.

    indices (B, k), None for all n; weights (B, 1, k) or (1, 1, 1), which sum to 1 over a batch; targets (B, K, k) or
    (1, K, n).
    """

    indices: Tensor | None
    weights: Tensor
    targets: Tensor


class Outputs:
    """The labels y (1, n), or one-hot (K, n), and the loss of one problem, on a device."""

    def __init__(self, problem: Problem, model: Tensor) -> None:
        """model (...): a tensor of the dtype and device wanted."""
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
        """A mini-batch for each run; indices and weights are (B, k) each."""
        return Batch(indices, weights[:, None, :], self._targets[:, indices].transpose(0, 1))

    def margins(self, f: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """p (B, 1, k) of outputs f (B, K, k), and dp/df (B or 1, K, k)."""
        if not self._classes:
            return batch.targets * f, batch.targets
        others = f.masked_fill(batch.targets, -torch.inf)
        own = f.masked_fill(~batch.targets, 0.0).sum(-2, keepdim=True)
        p = own - torch.logsumexp(others, -2, keepdim=True)
        return p, torch.softmax(others, -2).neg_().masked_fill_(batch.targets, 1.0)

    def loss_slopes(self, p: Tensor) -> Tensor:
        """g = -l'(p), elementwise, (B, 1, k) -> (B, 1, k): e^-p, or 1 / (1 + e^p) in a form that does not overflow."""
        return torch.sigmoid(-p) if self._logistic else torch.exp(-p)

    def losses(self, p: Tensor) -> Tensor:
        """l(p), elementwise, (...) -> (...); differentiable twice, but it underflows at large margins."""
        return torch.nn.functional.softplus(-p, threshold=LARGE_MARGIN) if self._logistic else torch.exp(-p)

    def log_loss(self, p: Tensor) -> Tensor:
        """log L (B,) in float64, where L is the mean of l(p) over all n samples, p (B, 1, n)."""
        p = p.double().squeeze(-2)
        return torch.logsumexp(self._log_values(p), -1) - log(p.shape[-1])

    def _log_values(self, p: Tensor) -> Tensor:
        if not self._logistic:
            return -p
        near = torch.nn.functional.softplus(-p.clamp(max=LARGE_MARGIN), threshold=LARGE_MARGIN).log()
        return torch.where(p > LARGE_MARGIN, -p, near)
