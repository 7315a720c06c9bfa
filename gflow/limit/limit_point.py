"""The limit of the flow on one mode of a network with fixed outer layer: its hard-margin solution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gflow.arrays import Array, Bools, Sides
from gflow.field.mode import Mode


@dataclass(frozen=True, slots=True)
class LimitPoint:
    """The KKT point of one mode, W* = sum_i lambda_i h_i with least margin 1, in the span of the samples.

    side (m, H): the mode; U (m, r): W* in span coordinates, with error a bound of |U - W*|; multipliers (n,): lambda >=
    0; dual (n,) = lambda / sum; margins (n,) of W*, 1 on the support; support (n,): lambda > 0; binding (n,): the
    margin is 1 to its error; unique: it is proved that there are no other multipliers (otherwise these are, to
    rounding, those to which the flow tends, where they are known).

    Samples on which no neuron is active have margin 0.
    """

    side: Sides
    U: Array
    multipliers: Array
    dual: Array
    margins: Array
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
    """The point U (m, r) of a mode, off by at most error, with multipliers, margins and binding (n,) each."""
    return LimitPoint(
        side=mode.side.copy(),
        U=U,
        multipliers=multipliers,
        dual=multipliers / multipliers.sum(),
        margins=margins,
        support=multipliers > 0.0,
        unique=unique,
        binding=binding,
        error=error,
    )
