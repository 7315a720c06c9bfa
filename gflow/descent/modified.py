"""The flow that descent follows to second order: that of the modified loss L + (eta / 4) |grad L|^2.

One step of size eta is the time-eta map of this flow up to O(eta^3) (backward error analysis of Euler's method; Hairer,
Lubich and Wanner, chapter IX; Barrett and Dherin 2021), so that on a fixed time the gap is O(eta^2), not O(eta).
Smooth activations only: across a kink |grad L|^2 jumps.
"""

from __future__ import annotations

from math import log

import numpy as np
import torch
from torch import Tensor

from gflow.arrays import Array
from gflow.errors import ScenarioError
from gflow.problem.activation import Huberized, SmoothLeaky
from gflow.problem.network import Network
from gflow.problem.parameters import Parameters
from gflow.problem.problem import Problem

THRESHOLD = 40.0  # of softplus, where it becomes the identity to all digits


class ModifiedFlow:
    """theta (p,) is U (m, r), then the outer layer if it is trained, then the output bias if there is one.

    With eta = 0 this is the gradient flow itself.  The clock is t, and L is not log-stable: for losses above 1e-300.
    """

    def __init__(self, problem: Problem, eta: float) -> None:
        """Raises ScenarioError for a network with a kink, or eta < 0."""
        if problem.network.smoothing is None and problem.network.slope != 1.0:
            raise ScenarioError("descent: the modified loss needs a smooth activation; |grad L|^2 jumps across a kink")
        if not 0.0 <= eta < np.inf:
            raise ScenarioError(f"descent.eta = {eta}: must be finite and >= 0")
        self._problem, self._eta = problem, eta
        self._coordinates = torch.from_numpy(np.ascontiguousarray(problem.coordinates()))
        self._outer = torch.from_numpy(problem.network.outer.copy())
        self._y = torch.from_numpy(problem.y.copy())

    def pack(self, weights: Parameters) -> Array:
        """Parameters -> theta."""
        network, parts = self._problem.network, [weights.U.ravel()]
        if network.trains_outer:
            parts.append(weights.outer.ravel())
        if weights.output_bias is not None:
            parts.append(weights.output_bias)
        return np.concatenate(parts)

    def unpack(self, theta: Array) -> Parameters:
        """theta -> Parameters."""
        U, outer, bias = self._parts(torch.from_numpy(theta))
        return Parameters(U.numpy(), outer.numpy(), None if bias is None else bias.numpy())

    def _parts(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        network = self._problem.network
        shape = (network.width, self._coordinates.shape[-1])
        at, outer, bias = shape[0] * shape[1], self._outer, None
        U = theta[:at].reshape(shape)
        if network.trains_outer:
            outer, at = theta[at : at + outer.numel()].reshape(outer.shape), at + outer.numel()
        if network.output_bias is not None:
            bias = theta[at : at + network.outputs]
        return U, outer, bias

    def loss(self, theta: Tensor) -> Tensor:
        """L () at theta (p,), differentiable twice."""
        network = self._problem.network
        U, outer, bias = self._parts(theta)
        if network.directions is None:
            z = U @ self._coordinates.T
        else:
            z = U * self._coordinates[..., 0]
        f = outer @ _value(network, z)
        if network.outputs > 1:
            f = f if bias is None else f + bias[:, None]
            p = _class_margins(f, self._y)
        else:
            p = self._y * f
        if self._problem.loss.name == "exponential":
            return torch.exp(-p).mean()
        return torch.nn.functional.softplus(-p, threshold=THRESHOLD).mean()

    def modified_loss(self, theta: Array) -> float:
        """L + (eta / 4) |grad L|^2."""
        return float(self._modified(torch.from_numpy(theta.copy()).requires_grad_()).detach())

    def _modified(self, theta: Tensor) -> Tensor:
        loss = self.loss(theta)
        (gradient,) = torch.autograd.grad(loss, theta, create_graph=True)
        return loss + 0.25 * self._eta * (gradient @ gradient)

    def __call__(self, t: float, theta: Array) -> Array:
        """d theta / dt (p,) = -grad (L + (eta / 4) |grad L|^2) = -(grad L + (eta / 2) Hessian grad L)."""
        at = torch.from_numpy(np.array(theta, dtype=np.float64)).requires_grad_()
        (gradient,) = torch.autograd.grad(self._modified(at), at)
        return np.asarray(-gradient.numpy())


def _value(network: Network, z: Tensor) -> Tensor:
    """phi(z), differentiable twice."""
    smoothing = network.smoothing
    if isinstance(smoothing, Huberized):
        bent = torch.clamp(z, 0.0, smoothing.h)
        return bent * (z - 0.5 * bent) / smoothing.h
    if isinstance(smoothing, SmoothLeaky):
        soft = torch.nn.functional.softplus(z, threshold=THRESHOLD) - log(2.0)
        return smoothing.slope * z + (1.0 - smoothing.slope) * soft
    return z


def _class_margins(f: Tensor, y: Tensor) -> Tensor:
    """p (n,) = f_y - logsumexp of the others, f (K, n)."""
    own = torch.nn.functional.one_hot(y.long(), f.shape[0]).T.bool()
    return torch.where(own, f, 0.0).sum(0) - torch.logsumexp(f.masked_fill(own, -torch.inf), 0)
