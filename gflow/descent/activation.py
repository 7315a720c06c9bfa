"""Activations in torch that work in place: phi(z) is written to a buffer, and gradients are multiplied by phi'(z)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from gflow.problem import activation
from gflow.problem.network import Network


class Activation(Protocol):
    """phi of one network.

    z, out, gradient and scratch are different tensors of one shape, (B, m, k): runs, neurons, samples of a step.
    """

    def value(self, z: Tensor, out: Tensor) -> None:
        """Set out (B, m, k) to phi(z)."""

    def backward(self, gradient: Tensor, z: Tensor, scratch: Tensor) -> None:
        """Multiply gradient (B, m, k) by phi'(z); scratch is overwritten."""

    def differentiable(self, z: Tensor) -> Tensor:
        """phi(z) as a new tensor (...), for autograd; z (...)."""


@dataclass(frozen=True, slots=True)
class Leaky:
    """max(z, slope z), with phi'(0) = slope; each operation is one pass of torch's own kernels."""

    slope: float

    def value(self, z: Tensor, out: Tensor) -> None:
        """Set out (B, m, k) to phi(z); see `Activation`."""
        torch.ops.aten.leaky_relu.out(z, self.slope, out=out)

    def backward(self, gradient: Tensor, z: Tensor, scratch: Tensor) -> None:
        """Multiply gradient (B, m, k) by phi'(z); see `Activation`."""
        torch.ops.aten.leaky_relu_backward.grad_input(gradient, z, self.slope, False, grad_input=gradient)

    def differentiable(self, z: Tensor) -> Tensor:
        """phi(z), (...) -> (...), a new tensor."""
        return torch.nn.functional.leaky_relu(z, self.slope)


@dataclass(frozen=True, slots=True)
class LeakyAtKink(Leaky):
    """max(z, slope z), with phi'(0) = at_kink."""

    at_kink: float

    def backward(self, gradient: Tensor, z: Tensor, scratch: Tensor) -> None:
        """Multiply gradient (B, m, k) by phi'(z); see `Activation`."""
        torch.sign(z, out=scratch)
        kinks = scratch == 0.0
        scratch.clamp_(min=self.slope).masked_fill_(kinks, self.at_kink)
        gradient.mul_(scratch)


@dataclass(frozen=True, slots=True)
class SmoothLeaky:
    """slope z + (1 - slope) log((1 + e^z) / 2), whose logarithm keeps its digits near 0 (`problem.activation`)."""

    slope: float

    def value(self, z: Tensor, out: Tensor) -> None:
        """Set out (B, m, k) to phi(z); see `Activation`."""
        torch.abs(z, out=out).neg_().expm1_().mul_(0.5).log1p_()
        out.add_(z.clamp(min=0.0)).mul_(1.0 - self.slope).add_(z, alpha=self.slope)

    def backward(self, gradient: Tensor, z: Tensor, scratch: Tensor) -> None:
        """Multiply gradient (B, m, k) by phi'(z); see `Activation`."""
        torch.sigmoid(z, out=scratch)
        gradient.mul_(scratch.mul_(1.0 - self.slope).add_(self.slope))

    def differentiable(self, z: Tensor) -> Tensor:
        """phi(z), (...) -> (...), a new tensor."""
        below = torch.where(z > 0.0, -z, z)  # not -|z|, which has no derivative at 0
        soft = torch.where(z > 0.0, z, 0.0) + torch.log1p(0.5 * torch.expm1(below))
        return self.slope * z + (1.0 - self.slope) * soft


@dataclass(frozen=True, slots=True)
class HuberizedReLU:
    """phi(z) = s (z - h s / 2) with s = phi'(z) = clip(z / h, 0, 1), which holds on all three pieces."""

    h: float

    def value(self, z: Tensor, out: Tensor) -> None:
        """Set out (B, m, k) to phi(z); see `Activation`."""
        torch.div(z, self.h, out=out).clamp_(0.0, 1.0)
        out.mul_(z - 0.5 * self.h * out)

    def backward(self, gradient: Tensor, z: Tensor, scratch: Tensor) -> None:
        """Multiply gradient (B, m, k) by phi'(z); see `Activation`."""
        gradient.mul_(torch.div(z, self.h, out=scratch).clamp_(0.0, 1.0))

    def differentiable(self, z: Tensor) -> Tensor:
        """phi(z), (...) -> (...), a new tensor."""
        bent = torch.clamp(z, 0.0, self.h)
        return bent * (z - 0.5 * bent) / self.h


def activation_of(network: Network, at_kink: float | None = None) -> Activation:
    """The activation of a network; at_kink: phi'(0) of a kinked one, None for the slope of the - side."""
    match network.smoothing:
        case activation.Huberized(h):
            return HuberizedReLU(h)
        case activation.SmoothLeaky(slope):
            return SmoothLeaky(slope)
        case None if at_kink is None:
            return Leaky(network.slope)
        case None:
            return LeakyAtKink(network.slope, at_kink)
