"""The heavy ball and weight decay: v <- momentum v - gradient - decay theta, theta <- theta + eta v; v = 0 at first.

torch.optim.SGD does the same (Polyak 1964), without dampening; decay acts on all that is trained.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


class HeavyBall:
    """The velocities of all that B runs train, by name; theta is handed in, since it may be replaced between steps."""

    def __init__(self, momentum: float, decay: float, trained: Mapping[str, Tensor]) -> None:
        """trained: tensors (B, ., .)."""
        self._momentum, self._decay = momentum, decay
        self.velocities = {name: torch.zeros_like(theta) for name, theta in trained.items()}

    def begin(self, trained: Mapping[str, Tensor]) -> None:
        """Leave of the velocities what the past and the decay make of them; the caller then subtracts the gradients."""
        for name, v in self.velocities.items():
            v.mul_(self._momentum)
            if self._decay > 0.0:
                v.add_(trained[name], alpha=-self._decay)

    def end(self, trained: Mapping[str, Tensor], sizes: Tensor) -> None:
        """Move theta by the velocities, sizes (B, 1, 1)."""
        for name, v in self.velocities.items():
            trained[name].addcmul_(v, sizes)

    def keep(self, runs: Tensor) -> None:
        """Keep these runs (R,) and drop the others."""
        self.velocities = {name: v[runs] for name, v in self.velocities.items()}

    @property
    def tensors(self) -> dict[str, Tensor]:
        """All that the steps change."""
        return {f"velocity_{name}": v for name, v in self.velocities.items()}
