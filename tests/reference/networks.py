"""One small network of every kind that gflow runs, with parameters off its kinks, and its margins by autograd."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from gflow.problem.activation import Huberized, Smoothing, SmoothLeaky
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.parameters import Layout, Parameters
from gflow.problem.problem import Problem
from gflow.reference.mode import ReferenceMode
from gflow.reference.point import Point

Array = NDArray[np.float64]
n, d, m, K = 7, 5, 6, 3
KINDS = ["relu", "leaky", "linear", "smooth", "huber", "both", "scalar", "classes", "classes, fixed"]


def drawn(kind: str, seed: int = 11, loss: str = "logistic") -> tuple[Problem, Parameters]:
    """A problem of a kind, and parameters off its kinks; a repeated and an antipodal sample among the data."""
    rng = np.random.default_rng(seed)
    X, y, a = rng.normal(size=(n, d)), rng.choice([-1.0, 1.0], size=n), rng.normal(size=m)
    X[1], X[2] = 2.0 * X[0], -X[3]
    slope = {"leaky": 0.3, "linear": 1.0, "both": 0.1, "classes": 0.2}.get(kind, 0.0)
    smooth: dict[str, Smoothing] = {"smooth": SmoothLeaky(0.2), "huber": Huberized(0.4)}
    directions, bias = None, None
    if kind == "scalar":
        directions = rng.normal(size=(m, d))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    if kind.startswith("classes"):
        a, y = rng.normal(size=(K, m)), rng.integers(0, K, size=n).astype(float)
        bias = rng.normal(size=K) if kind == "classes" else None
    trains = kind in ("both", "scalar", "classes", "smooth")
    problem = Problem.of(X, y, Network(a, slope, trains, smooth.get(kind), directions, bias), LOSSES[loss])
    return problem, Parameters(rng.normal(size=(m, 1 if kind == "scalar" else problem.span.rank)), a, bias)


def point(problem: Problem, parameters: Parameters) -> Point:
    """The reference at parameters off all kinks."""
    z = problem.preactivations(parameters.U)
    side = (np.sign(z) * np.sign(problem.surfaces.alpha))[:, problem.surfaces.first_sample].astype(np.int8)
    return Point(problem, parameters, ReferenceMode.of(problem, side))


def margins_by_autograd(problem: Problem, theta: torch.Tensor) -> torch.Tensor:
    """p (n,) at theta (p,), by torch from the formulas."""
    return margins_of(problem, outputs_by_autograd(problem, theta))


def outputs_by_autograd(problem: Problem, theta: torch.Tensor) -> torch.Tensor:
    """f (K, n), or (1, n) for one output, at theta (p,), by torch from the formulas."""
    network, layout = problem.network, Layout.of(problem)
    U = theta[layout.inner].reshape(layout.inner_shape)
    A = torch.tensor(np.atleast_2d(network.outer)) if layout.outer is None else theta[layout.outer].reshape(-1, m)
    if network.directions is None:
        z = U @ torch.tensor(problem.span.C).T
    else:
        z = U * torch.tensor(network.directions @ problem.X.T)
    match network.smoothing:
        case SmoothLeaky(slope):
            phi = slope * z + (1.0 - slope) * torch.log(0.5 * (1.0 + torch.exp(z)))
        case Huberized(h):
            phi = torch.where(z < 0.0, 0.0 * z, torch.where(z < h, z**2 / (2.0 * h), z - 0.5 * h))
        case None:
            phi = torch.where(z > 0.0, z, network.slope * z)
    return A @ phi if layout.bias is None else A @ phi + theta[layout.bias][:, None]


def margins_of(problem: Problem, f: torch.Tensor) -> torch.Tensor:
    """p (n,) of outputs f (K, n)."""
    if problem.network.outputs == 1:
        return torch.tensor(problem.y) * f[0]
    rows = [[f[k, i] for k in range(K) if k != int(problem.y[i])] for i in range(n)]
    own = [f[int(problem.y[i]), i] for i in range(n)]
    return torch.stack([own[i] - torch.logsumexp(torch.stack(rows[i]), 0) for i in range(n)])


def jacobian(problem: Problem, parameters: Parameters) -> Array:
    """dp_i / dtheta (n, p) by autograd."""
    theta = torch.tensor(Layout.of(problem).flat(parameters), requires_grad=True)
    p = margins_by_autograd(problem, theta)
    return np.array([torch.autograd.grad(each, theta, retain_graph=True)[0].numpy() for each in p])
