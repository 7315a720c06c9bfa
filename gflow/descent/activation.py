"""Activations in torch, in place: phi(z) into a buffer, and a gradient through phi'(z) in its own buffer."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Protocol

import torch
from torch import Tensor

from gflow.descent.plan import AtKink
from gflow.problem import activation
from gflow.problem.network import Network

# torch's softplus is the identity beyond its threshold; here that costs less than float64 resolves.
SOFTPLUS_THRESHOLD = 40.0


class Activation(Protocol):
    """phi of one network; z, out, gradient and scratch have one shape, and none is another."""

    def value(self, z: Tensor, out: Tensor) -> None:
        """out = phi(z)."""

    def backward(self, gradient: Tensor, z: Tensor, scratch: Tensor) -> None:
        """gradient *= phi'(z); what scratch held is lost."""

    def differentiable(self, z: Tensor) -> Tensor:
        """phi(z), not in place, for autograd."""


@dataclass(frozen=True, slots=True)
class Leaky:
    """max(z, slope z), with phi'(0) = slope: one pass of torch's own kernels each."""

    slope: float

    def value(self, z: Tensor, out: Tensor) -> None:
        torch.ops.aten.leaky_relu.out(z, self.slope, out=out)

    def backward(self, gradient: Tensor, z: Tensor, scratch: Tensor) -> None:
        torch.ops.aten.leaky_relu_backward.grad_input(gradient, z, self.slope, False, grad_input=gradient)

    def differentiable(self, z: Tensor) -> Tensor:
        return torch.nn.functional.leaky_relu(z, self.slope)


@dataclass(frozen=True, slots=True)
class LeakyAtKink(Leaky):
    """max(z, slope z), with another phi'(0)."""

    at_kink: float

    def backward(self, gradient: Tensor, z: Tensor, scratch: Tensor) -> None:
        torch.sign(z, out=scratch)
        kinks = scratch == 0.0
        scratch.clamp_(min=self.slope).masked_fill_(kinks, self.at_kink)
        gradient.mul_(scratch)


@dataclass(frozen=True, slots=True)
class SmoothLeaky:
    """slope z + (1 - slope) log((1 + e^z) / 2)."""

    slope: float

    def value(self, z: Tensor, out: Tensor) -> None:
        torch.ops.aten.softplus.out(z, 1.0, SOFTPLUS_THRESHOLD, out=out)
        out.sub_(log(2.0)).mul_(1.0 - self.slope).add_(z, alpha=self.slope)

    def backward(self, gradient: Tensor, z: Tensor, scratch: Tensor) -> None:
        torch.sigmoid(z, out=scratch)
        gradient.mul_(scratch.mul_(1.0 - self.slope).add_(self.slope))

    def differentiable(self, z: Tensor) -> Tensor:
        soft = torch.nn.functional.softplus(z, threshold=SOFTPLUS_THRESHOLD) - log(2.0)
        return self.slope * z + (1.0 - self.slope) * soft


@dataclass(frozen=True, slots=True)
class HuberizedReLU:
    """With s = phi'(z) = clip(z / h, 0, 1): phi(z) = s (z - h s / 2) on all three pieces."""

    h: float

    def value(self, z: Tensor, out: Tensor) -> None:
        torch.div(z, self.h, out=out).clamp_(0.0, 1.0)
        out.mul_(z - 0.5 * self.h * out)

    def backward(self, gradient: Tensor, z: Tensor, scratch: Tensor) -> None:
        gradient.mul_(torch.div(z, self.h, out=scratch).clamp_(0.0, 1.0))

    def differentiable(self, z: Tensor) -> Tensor:
        bent = torch.clamp(z, 0.0, self.h)
        return bent * (z - 0.5 * bent) / self.h


def activation_of(network: Network, at_kink: AtKink) -> Activation:
    """The activation of a network; at_kink is without meaning for smooth ones."""
    match network.smoothing:
        case activation.Huberized(h):
            return HuberizedReLU(h)
        case activation.SmoothLeaky(slope):
            return SmoothLeaky(slope)
        case None if at_kink is AtKink.MINUS:
            return Leaky(network.slope)
        case None:
            return LeakyAtKink(network.slope, at_kink.slope(network.slope))
