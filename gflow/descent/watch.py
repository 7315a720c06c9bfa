"""Counts that are kept at every step, with one number for each run: losses that rise, and steps that are too large."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gflow.descent.plan import LossWatch

# A smaller rise of log L, relative to max(|log L|, 1) and in units of the eps of the iteration, is rounding.
RISE = 64.0


@dataclass(frozen=True, slots=True)
class LossReport:
    """The counts of one run up to its end."""

    rises: int
    """steps after which the loss was larger"""
    largest_rise: float
    """the largest rise of log L in one step, 0 without rises"""
    above_bound: int | None
    """steps with eta_k L_k > bound; None without a bound"""


class Tally:
    """The counts of B runs on their device."""

    def __init__(self, watch: LossWatch, runs: int, eps: float, device: torch.device) -> None:
        def zeros(dtype: torch.dtype) -> Tensor:
            return torch.zeros(runs, dtype=dtype, device=device)

        self._log_bound = None if watch.bound is None else torch.tensor(watch.bound, dtype=torch.float64).log().item()
        self._rounding = RISE * eps
        self._before = zeros(torch.float64).fill_(torch.inf)
        self._rises, self._above = zeros(torch.int64), zeros(torch.int64)
        self._largest = zeros(torch.float64)

    def step(self, sizes: Tensor, log_loss: Tensor) -> None:
        """Count one step of sizes (B,) from iterates with log_loss (B,)."""
        self._look(log_loss)
        if self._log_bound is not None:
            self._above.add_(sizes.log() + log_loss > self._log_bound)

    def _look(self, log_loss: Tensor) -> None:
        rise = log_loss - self._before
        risen = rise > self._rounding * log_loss.abs().clamp(min=1.0)
        self._rises.add_(risen)
        torch.maximum(self._largest, rise.masked_fill(~risen, 0.0), out=self._largest)
        self._before.copy_(log_loss)

    def keep(self, runs: Tensor) -> None:
        """Keep these runs (R,) and drop the others."""
        self._before, self._largest = self._before[runs], self._largest[runs]
        self._rises, self._above = self._rises[runs], self._above[runs]

    @property
    def tensors(self) -> dict[str, Tensor]:
        """All that the steps change, (B,) each."""
        return {"before": self._before, "rises": self._rises, "above": self._above, "largest": self._largest}

    def report(self, run: int, log_loss: float | None) -> LossReport:
        """The counts of one run that ends at this log L; None: it has none, and its last step is not counted."""
        rises, largest = int(self._rises[run]), float(self._largest[run])
        rise = 0.0 if log_loss is None else log_loss - float(self._before[run])
        if log_loss is not None and rise > self._rounding * max(abs(log_loss), 1.0):
            rises, largest = rises + 1, max(largest, rise)
        return LossReport(rises, largest, None if self._log_bound is None else int(self._above[run]))
