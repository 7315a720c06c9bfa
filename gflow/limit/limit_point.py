"""Where a mode of a fixed-outer-layer network takes the flow: its hard-margin solution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gflow.arrays import Array, Bools, Sides
from gflow.field.mode import Mode
from gflow.problem.problem import Problem


@dataclass(frozen=True, slots=True)
class LimitPoint:
    """The KKT point of one mode, W* = sum_i lambda_i h_i with least margin 1; W* lies in the span of the samples.

    side (m, H): the mode; U (m, r): W* in span coordinates, error: a bound of |U - W*|; multipliers lambda (n,) >= 0;
    dual (n,) = lambda / sum; margins (n,) of W*, 1 on the support; slopes (m, n): phi' that the velocity of the flow
    has in the limit, a value in [slope, 1] where a pair slides; support (n,): lambda > 0; binding (n,): the margin is 1
    to its error; unique: it is proved that there are no other multipliers (else these are, to rounding, those that the
    flow tends to, where that is known).
    Samples on which no neuron is active have margin 0.
    """

    side: Sides
    U: Array
    multipliers: Array
    dual: Array
    margins: Array
    slopes: Array
    support: Bools
    unique: bool
    binding: Bools
    error: float

    @property
    def normalized_margin(self) -> float:
        """min_i p_i / |W| of the limit direction, 1 / sqrt(sum_i lambda_i) where every sample is live."""
        return float(self.margins.min() / np.linalg.norm(self.U))


def limit_point(
    mode: Mode, U: Array, error: float, multipliers: Array, margins: Array, binding: Bools, unique: bool
) -> LimitPoint:
    """The point U (m, r) of a mode, to its error, with its multipliers (n,) and margins (n,)."""
    push = mode.problem.network.outer[:, None] * mode.problem.y * multipliers
    return LimitPoint(
        side=mode.side.copy(),
        U=U,
        multipliers=multipliers,
        dual=multipliers / multipliers.sum(),
        margins=margins,
        slopes=_slopes(mode.problem, mode, push),
        support=multipliers > 0.0,
        unique=unique,
        binding=binding,
        error=error,
    )


def _slopes(problem: Problem, mode: Mode, push: Array) -> Array:
    """phi' (m, n), between the branches by the share of the + branch where a pair slides.

    A kink that nothing pushes has any slope; it is given that of its - branch.
    """
    everyone, H = np.arange(problem.network.width), problem.surfaces.count
    sigma = mode.held(mode.drift(push, everyone), everyone) - mode.bases(push, everyone, mode.slots)
    jump = mode.jumps(push, mode.slots)
    share = np.divide(sigma, jump, out=np.zeros_like(sigma), where=jump != 0.0)
    shares = np.zeros((everyone.size, H + 1))
    np.put_along_axis(shares, mode.slots, share, axis=1)
    on_plus = shares[:, problem.surfaces.of_sample]
    on_one = np.where(problem.surfaces.alpha > 0.0, on_plus, 1.0 - on_plus)
    slope = problem.network.slope
    sliding = mode.side[:, problem.surfaces.of_sample] == 0
    return np.asarray(np.where(sliding, slope + (1.0 - slope) * on_one, mode.minus))
