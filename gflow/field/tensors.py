"""The network and its gradient in torch, on one mode; the same code runs on a CPU or a GPU, for one state or a batch.

The state theta (..., p) is flat: the trained part of U (m, r), A (K, m), c (K,), as in `problem.parameters.Layout`,
then v = log(1 + t).  K = 1 for labels -1, +1.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np
import torch
from torch import Tensor

from gflow.arrays import Array, Index
from gflow.field.clock import LARGEST_EXPONENT, LARGEST_SHARE
from gflow.field.mode import Mode
from gflow.problem.activation import Huberized, Smoothing, SmoothLeaky
from gflow.problem.parameters import Layout
from gflow.problem.problem import Problem

# Products with the kernel of the outputs from which the fastest rate is found, to some per cent.
PRODUCTS = 6
# A new direction whose square is below this part of the known ones is mostly rounding, for instance in the kernel of K.
NOTHING_NEW = 1e-12


@dataclass(frozen=True, slots=True)
class StateParts:
    """The parts of a state: U (..., m, r), A (..., K, m), c (..., K, 1) or None, v (...)."""

    U: Tensor
    A: Tensor
    c: Tensor | None
    v: Tensor


@dataclass(frozen=True, slots=True)
class OutputResiduals:
    """Derived from the outputs: signs (..., K, n) = dp_i / df_ki, q (..., n), log_total (...) = log sum g, margins p
    (..., n).
    """

    signs: Tensor
    q: Tensor
    log_total: Tensor
    p: Tensor

    @property
    def R(self) -> Tensor:  # noqa: N802 (a matrix)
        """The output residuals q_i dp_i / df_ki (..., K, n)."""
        return self.signs * self.q.unsqueeze(-2)


class PrimalField:
    """-grad L on fixed branches, projected where neurons slide, in rescaled time counted in `unit`; (..., p) -> (...,
    p).
    """

    def __init__(
        self,
        problem: Problem,
        slopes: Array | None,
        mode: Mode,
        unit: float,
        device: torch.device,
        twins: Index | None = None,
    ) -> None:
        """slopes (m, n): phi' on the branches, 0 where a neuron slides; None for smooth activations.

        twins (m,): the neuron as which each is seen, where some are equal and stay so; None: each as itself.
        """

        def tensor(values: Array) -> Tensor:
            return torch.as_tensor(values, dtype=torch.float64, device=device)

        network = problem.network
        self.device, self._network, self._log_unit, self._unit = device, network, log(unit), unit
        self._twins = None if twins is None else torch.as_tensor(twins, device=device)
        self._log_samples, self.layout = log(problem.samples), Layout.of(problem)
        self._coordinates = tensor(problem.coordinates())
        self._outer = tensor(network.outer).reshape(network.outputs, network.width)
        self._logistic = problem.loss.name == "logistic"
        self._labels = tensor(problem.y)
        if network.outputs > 1:
            self._own = torch.nn.functional.one_hot(self._labels.long(), network.outputs).T.bool()  # (K, n)
        self._slopes = None if slopes is None else tensor(slopes)
        live = mode.live
        self._dead = tensor(np.where(live | ~live.any(), 0.0, -np.inf))  # added to log g where the clock is concerned
        self._held = network.kinked and mode.slots.size > 0
        if self._held:
            self._force_map = tensor(mode.force_map)  # (m, s, r)
            self._held_normals = tensor(mode.padded_normals[mode.slots])  # (m, s, r)

    def parts(self, theta: Tensor) -> StateParts:
        """The parts of a state (..., p)."""
        layout, lead = self.layout, theta.shape[:-1]
        U = theta[..., layout.inner].reshape(*lead, *layout.inner_shape)
        A = self._outer if layout.outer is None else theta[..., layout.outer].reshape(*lead, *layout.outer_shape)
        if self._twins is not None:
            U, A = U.index_select(-2, self._twins), A.index_select(-1, self._twins)
        return StateParts(U, A, None if layout.bias is None else theta[..., layout.bias].unsqueeze(-1), theta[..., -1])

    def _preactivations(self, U: Tensor) -> Tensor:
        """z (..., m, n)."""
        if self._network.directions is None:
            return U @ self._coordinates.T
        return U * self._coordinates[..., 0]

    def _residuals(self, A: Tensor, hidden: Tensor, c: Tensor | None) -> OutputResiduals:
        """The residuals of the outputs f = A hidden + c."""
        f = A @ hidden
        if self._network.outputs == 1:
            signs = self._labels.unsqueeze(0)
            p = (signs * f).squeeze(-2)
        else:
            f = f if c is None else f + c
            others = f.masked_fill(self._own, -torch.inf)
            p = torch.where(self._own, f, 0.0).sum(-2) - torch.logsumexp(others, -2)
            signs = torch.where(self._own, 1.0, -torch.softmax(others, -2))
        log_g = torch.nn.functional.logsigmoid(-p) if self._logistic else -p
        counted = log_g + self._dead
        largest = counted.amax(-1, keepdim=True)
        total = torch.exp(counted - largest).sum(-1, keepdim=True)
        q = torch.exp(torch.clamp(log_g - largest, max=LARGEST_SHARE)) / total
        return OutputResiduals(signs, q, (largest + torch.log(total)).squeeze(-1), p)

    def _activation(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """phi(z) and phi'(z) on the branches, (..., m, n) each."""
        if self._slopes is not None:
            return self._slopes * z, self._slopes
        assert self._network.smoothing is not None
        return _smooth(self._network.smoothing, z)

    def __call__(self, theta: Tensor) -> Tensor:
        """d theta / d tau (per unit), (..., p) -> (..., p)."""
        parts = self.parts(theta)
        hidden, slopes = self._activation(self._preactivations(parts.U))
        seen = self._residuals(parts.A, hidden, parts.c)
        moved = self._moved(parts.A, hidden, slopes, seen.R)
        log_rate = self._log_samples + self._log_unit - seen.log_total - parts.v
        rate = torch.exp(torch.clamp(log_rate, max=LARGEST_EXPONENT))
        return torch.cat([self._unit * moved, rate.unsqueeze(-1)], -1)

    def _moved(self, A: Tensor, hidden: Tensor, slopes: Tensor, R: Tensor) -> Tensor:
        """d theta / d tau (..., p - 1), without the clock."""
        drift, lead = self._project(self._inner(slopes * (A.mT @ R))), R.shape[:-2]
        moved = [drift.reshape(*lead, -1)]
        if self._network.trains_outer:
            moved.append((R @ hidden.mT).reshape(*lead, -1))
        if self._network.output_bias is not None:
            moved.append(R.sum(-1))
        return torch.cat(moved, -1)

    def measure(self, theta: Tensor) -> Tensor:
        """p (n,), dp / dtau (n,), |d theta / d tau| and log sum g of one state (p,), joined in this order, (2n +
        2,).
        """
        parts = self.parts(theta)
        hidden, slopes = self._activation(self._preactivations(parts.U))
        seen = self._residuals(parts.A, hidden, parts.c)
        moved = self._moved(parts.A, hidden, slopes, seen.R)
        rates = (seen.signs * self._output_rates(parts, hidden, slopes, moved)).sum(-2)
        return torch.cat([seen.p, rates, torch.linalg.vector_norm(moved).unsqueeze(0), seen.log_total.unsqueeze(0)])

    def levers(self, theta: Tensor) -> Tensor:
        """Bounds (2, m) at one state (p,): how far sum_i q_i dp_i moves where w_j, or one a_kj, moves by 1."""
        parts = self.parts(theta)
        hidden, slopes = self._activation(self._preactivations(parts.U))
        R = self._residuals(parts.A, hidden, parts.c).R
        push, lengths = (parts.A.mT @ R).abs() * slopes.abs(), torch.linalg.vector_norm(self._coordinates, dim=-1)
        inner = push @ lengths if self._network.directions is None else (push * lengths).sum(-1)
        return torch.stack([inner, hidden.abs() @ R.abs().amax(-2)])

    def fastest_rate(self, theta: Tensor, enough: float) -> float:
        """The largest rate per unit, at one state (p,), at which outputs or the clock return where they are moved away.

        Outputs do by the Gauss-Newton part of the Jacobian of the field, f' = K R(f) with K the kernel of the outputs.
        Its trace bounds the rate, and is returned where it is at most `enough`.
        """
        parts = self.parts(theta)
        hidden, slopes = self._activation(self._preactivations(parts.U))
        seen = self._residuals(parts.A, hidden, parts.c)
        log_rate = self._log_samples + self._log_unit - seen.log_total - parts.v
        clock = float(torch.exp(torch.clamp(log_rate, max=LARGEST_EXPONENT)))
        bound = self._unit * float((seen.R.abs() * self._squared_gradients(parts, hidden, slopes)).sum())
        if max(bound, clock) <= enough:
            return max(bound, clock)
        return max(self._fastest_of_outputs(parts, hidden, slopes, seen), clock)

    def _fastest_of_outputs(self, parts: StateParts, hidden: Tensor, slopes: Tensor, seen: OutputResiduals) -> float:
        """The largest |eigenvalue| of K dR/df per unit at one state, by Arnoldi's method in the inner product of K.

        The first vector is irregular, so that no symmetry of the data makes the method miss the fastest direction.
        """
        f = torch.cos(torch.arange(seen.R.numel(), device=self.device, dtype=torch.float64) ** 2).reshape(seen.R.shape)
        basis, images = f.new_zeros(0, f.numel()), f.new_zeros(0, f.numel())  # residuals R, and K R
        for _ in range(PRODUCTS):
            R = self._residual_rates(seen, f).flatten()
            known = images @ R
            R = R - known @ basis
            R = R - (images @ R) @ basis  # again: orthogonal to rounding
            f = self._unit * self._output_rates(
                parts, hidden, slopes, self._moved(parts.A, hidden, slopes, R.reshape(f.shape))
            )
            squared = R @ f.flatten()
            if not float(squared) > NOTHING_NEW * float(known @ known):
                break
            f = f / squared.sqrt()
            basis, images = torch.cat([basis, R[None] / squared.sqrt()]), torch.cat([images, f.reshape(1, -1)])
        returned = self._residual_rates(seen, images.reshape(-1, *f.shape)).reshape(images.shape)
        return float(np.abs(np.linalg.eigvals((images @ returned.T).cpu().numpy())).max(initial=0.0))

    def _squared_gradients(self, parts: StateParts, hidden: Tensor, slopes: Tensor) -> Tensor:
        """|df_ki / d theta|^2 (K, n) at one state, before the projection of sliding neurons, which shortens it."""
        squared = parts.A**2 @ (slopes**2 * (self._coordinates**2).sum(-1))
        if self._network.trains_outer:
            squared = squared + (hidden**2).sum(-2)
        return squared if parts.c is None else squared + 1.0

    def _output_rates(self, parts: StateParts, hidden: Tensor, slopes: Tensor, moved: Tensor) -> Tensor:
        """df / dtau (K, n) of one state where the parameters move by `moved` (p - 1,)."""
        along = self.parts(torch.cat([moved, moved.new_zeros(1)]))
        rates = parts.A @ (slopes * self._preactivations(along.U))
        if self._network.trains_outer:
            rates = rates + along.A @ hidden
        return rates if along.c is None else rates + along.c

    def _residual_rates(self, seen: OutputResiduals, f: Tensor) -> Tensor:
        """dR / dtau (..., K, n) of one state where its outputs move at the rates f (..., K, n)."""
        p = (seen.signs * f).sum(-2)
        log_g = -torch.sigmoid(seen.p) * p if self._logistic else -p
        drift = torch.where(self._dead == 0.0, seen.q * log_g, 0.0).sum(-1, keepdim=True)
        R = seen.signs * (seen.q * (log_g - drift)).unsqueeze(-2)
        if self._network.outputs == 1:
            return R
        others = torch.where(self._own, 0.0, seen.signs)
        return R + others * seen.q * (f + (others * f).sum(-2, keepdim=True))

    def _inner(self, coefficients: Tensor) -> Tensor:
        """sum_i coefficient_ji c_i, (..., m, n) -> (..., m, r)."""
        if self._network.directions is None:
            return coefficients @ self._coordinates
        return (coefficients * self._coordinates[..., 0]).sum(-1, keepdim=True)

    def _project(self, V: Tensor) -> Tensor:
        """P_j v_j (MATHEMATICS 2), (..., m, r), by two projections.

        After one, a rounding of V remains across the kink, which is not small compared with P_j v_j where V nearly
        cancels along the kink.  Over a long slide it adds up: weights leave their kink, and a_j^2 - |w_j|^2 drifts in
        proportion to V.
        """
        if not self._held:
            return V
        for _ in range(2):
            force = -(self._force_map @ V.unsqueeze(-1))
            V = V + (self._held_normals.mT @ force).squeeze(-1)
        return V

    def push(self, theta: Tensor) -> Tensor:
        """push_ji = q_i dp_i/df a_j, (..., p) -> (..., m, n), so that dw_j/dtau = P_j sum_i phi'_ji push_ji c_i."""
        parts = self.parts(theta)
        hidden, _ = self._activation(self._preactivations(parts.U))
        return parts.A.mT @ self._residuals(parts.A, hidden, parts.c).R

    def bare_push(self, theta: Tensor) -> Tensor:
        """The push without its factor a_j where there is one output, (..., p) -> (..., m, n)."""
        if self._network.outputs > 1:
            return self.push(theta)
        parts = self.parts(theta)
        hidden, _ = self._activation(self._preactivations(parts.U))
        R = self._residuals(parts.A, hidden, parts.c).R
        return R.expand(*R.shape[:-2], self._network.width, R.shape[-1])

    def margins(self, theta: Tensor) -> Tensor:
        """p, (..., p) -> (..., n)."""
        parts = self.parts(theta)
        hidden, _ = self._activation(self._preactivations(parts.U))
        return self._residuals(parts.A, hidden, parts.c).p

    def fastest(self, theta: Tensor) -> float:
        """The largest |grad p_i|^2 at a state (p,), which tells how fast margins can move per unit of tau."""
        parts = self.parts(theta)
        hidden, slopes = self._activation(self._preactivations(parts.U))
        R = self._residuals(parts.A, hidden, parts.c).R
        signs = R / torch.clamp(R.abs().sum(-2, keepdim=True), min=1e-300)
        inner = ((slopes * (parts.A.mT @ signs)) ** 2 * (self._coordinates**2).sum(-1)).sum(-2)
        outer = (hidden**2).sum(-2) if self._network.trains_outer else torch.zeros_like(inner)
        return float((inner + outer).max())


def _smooth(smoothing: Smoothing, z: Tensor) -> tuple[Tensor, Tensor]:
    """phi(z) and phi'(z)."""
    match smoothing:
        case Huberized(h):
            bent = torch.clamp(z, 0.0, h)
            return bent * bent / (2.0 * h) + torch.clamp(z - h, min=0.0), bent / h
        case SmoothLeaky(slope):
            # As in `SmoothLeaky`; both branches are smooth at 0, where |z| has no derivative for autograd.
            below = torch.where(z > 0.0, -z, z)
            soft = torch.where(z > 0.0, z, 0.0) + torch.log1p(0.5 * torch.expm1(below))
            return slope * z + (1.0 - slope) * soft, slope + (1.0 - slope) * torch.sigmoid(z)
