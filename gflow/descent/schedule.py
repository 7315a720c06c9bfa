"""Step sizes, constant or functions of the step and of the loss, by one formula for all runs of a batch."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from math import inf, log
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from gflow.errors import ScenarioError


class Schedule(Protocol):
    """The step sizes eta_k of one run; runs of one kind differ only in their `parameters`, and advance together."""

    needs_loss: ClassVar[bool]

    @property
    @abstractmethod
    def parameters(self) -> tuple[float, ...]:
        """The numbers that distinguish this run from others of its kind."""

    @staticmethod
    @abstractmethod
    def sizes(parameters: Tensor, step: Tensor, log_loss: Tensor | None) -> Tensor:
        """eta (B,) at the step number `step` (), from `parameters` (q, B), one column for each run.

        log_loss (B,): log L before the step, None unless `needs_loss`.
        """

    @abstractmethod
    def elapsed(self, steps: int, summed: float) -> float:
        """t after `steps` steps whose sizes sum to `summed`: that sum, or a value that is more exact."""


@dataclass(frozen=True, slots=True)
class Constant:
    """eta_k = eta, so that t = eta k exactly."""

    eta: float
    needs_loss: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check_positive("descent.eta", self.eta)

    @property
    def parameters(self) -> tuple[float, ...]:
        """The numbers that distinguish this run; see `Schedule`."""
        return (self.eta,)

    @staticmethod
    def sizes(parameters: Tensor, step: Tensor, log_loss: Tensor | None) -> Tensor:
        """eta (B,) from parameters (q, B); see `Schedule`."""
        return parameters[0]

    def elapsed(self, steps: int, summed: float) -> float:
        """t after these steps; see `Schedule`."""
        return self.eta * steps


@dataclass(frozen=True, slots=True)
class LogSquared:
    """eta_0 = first, then eta_k = factor log^2(1 / L_k) (Chatterji et al., with factor Q1 or C5 / P).

    The formula is meant for small losses: it is 0 at L = 1 and grows again beyond.  Where L_k >= loss_guard, which is
    in (0, 1], the step is `first`.  Raises ScenarioError for numbers outside their ranges.
    """

    first: float
    factor: float
    loss_guard: float = 1.0
    needs_loss: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_positive("descent.schedule.first", self.first)
        _check_positive("descent.schedule.factor", self.factor)
        if not 0.0 < self.loss_guard <= 1.0:
            raise ScenarioError(f"descent.schedule.loss_guard = {self.loss_guard}: must be in (0, 1]")

    @property
    def parameters(self) -> tuple[float, ...]:
        """The numbers that distinguish this run; see `Schedule`."""
        return self.first, self.factor, log(self.loss_guard)

    @staticmethod
    def sizes(parameters: Tensor, step: Tensor, log_loss: Tensor | None) -> Tensor:
        """eta (B,) from parameters (q, B); see `Schedule`."""
        assert log_loss is not None
        first, factor, log_guard = parameters
        return torch.where((step == 0) | (log_loss >= log_guard), first, factor * log_loss**2)

    def elapsed(self, steps: int, summed: float) -> float:
        """t after these steps; see `Schedule`."""
        return summed


def _check_positive(name: str, value: float) -> None:
    if not 0.0 < value < inf:
        raise ScenarioError(f"{name} = {value}: must be a positive finite number")
