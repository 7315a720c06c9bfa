"""The gradient flow of the modified loss L + (eta / 4) |grad L|^2, which descent follows to second order.

One step of size eta is the time-eta map of this flow up to O(eta^3) (backward error analysis of Euler's method; Hairer,
Lubich and Wanner, chapter IX; Barrett and Dherin 2021), so that over a fixed time the gap is O(eta^2), not O(eta).  It
needs a smooth activation, as |grad L|^2 jumps across a kink.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gflow.arrays import Array
from gflow.descent.activation import activation_of
from gflow.descent.outputs import Outputs
from gflow.errors import ScenarioError
from gflow.problem.activation import Huberized
from gflow.problem.parameters import Layout, Parameters
from gflow.problem.problem import Problem


class ModifiedFlow:
    """The field of the modified flow at theta (p,), which is laid out as in `problem.parameters.Layout`.

    With eta = 0 it is the gradient flow.  The clock is t.  L is computed directly, not by its logarithm, so that losses
    must stay above 1e-300.
    """

    def __init__(self, problem: Problem, eta: float) -> None:
        """Raises ScenarioError for a network with a kink, or eta < 0."""
        if problem.network.smoothing is None and problem.network.slope != 1.0:
            raise ScenarioError("descent: the modified loss needs a smooth activation; |grad L|^2 jumps across a kink")
        if not 0.0 <= eta < np.inf:
            raise ScenarioError(f"descent.eta = {eta}: must be finite and >= 0")
        self._problem, self._eta, self._layout = problem, eta, Layout.of(problem)
        self._coordinates = torch.from_numpy(np.ascontiguousarray(problem.coordinates()))
        self._outer = torch.from_numpy(np.atleast_2d(problem.network.outer).copy())
        self._activation, self._outputs = activation_of(problem.network), Outputs(problem, self._outer)

    @property
    def eta(self) -> float:
        """The step size of descent."""
        return self._eta

    @property
    def jumps(self) -> bool:
        """Does phi'' jump, and the field with it?"""
        return isinstance(self._problem.network.smoothing, Huberized)

    def pack(self, weights: Parameters) -> Array:
        """theta (p,) of these parameters."""
        return self._layout.flat(weights)

    def unpack(self, theta: Array) -> Parameters:
        """The parameters in theta (p,), as views of it."""
        return self._layout.parameters(theta, self._problem.network.outer)

    def loss(self, theta: Tensor) -> Tensor:
        """L () at theta (p,), differentiable twice."""
        layout, A = self._layout, self._outer
        U = theta[layout.inner].reshape(layout.inner_shape)
        if layout.outer is not None:
            A = theta[layout.outer].reshape(layout.outer_shape)
        z = U @ self._coordinates.T if self._coordinates.ndim == 2 else U * self._coordinates[..., 0]
        f = A @ self._activation.differentiable(z)
        f = f if layout.bias is None else f + theta[layout.bias, None]
        p, _ = self._outputs.margins(f[None], self._outputs.everything())
        return self._outputs.losses(p).mean()

    def modified_loss(self, theta: Array) -> float:
        """L + (eta / 4) |grad L|^2 at theta (p,)."""
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
