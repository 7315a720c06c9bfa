"""What the flow measures, once more by its definition: full weights, the clock t, nothing in logarithms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gflow.field.branch import Measure
from gflow.flow.state import FlowState
from tests.flow.driver import problem_of
from tests.reference.setting import Setting

Array = NDArray[np.float64]


def plain_measure(setting: Setting, W: Array, state: FlowState) -> Measure:
    """The measure of a state at weights W (m, d), g and all; neurons are held on their kinks by least squares."""
    P = problem_of(setting)
    z, sides = W @ setting.X.T, P.sample_sides(state.side)
    slopes = np.where(sides > 0, 1.0, setting.slope) * (sides != 0)
    p = setting.y * (setting.outer @ (slopes * z))
    g = setting.pulls(p)
    V = (slopes * (setting.outer[:, None] * (setting.y * g))) @ setting.X / p.size  # dW/dt before it is held
    for j in np.flatnonzero((state.side == 0).any(axis=1)):
        N = P.surfaces.normals[state.side[j] == 0] @ P.span.B
        V[j] -= N.T @ np.linalg.lstsq(N.T, V[j], rcond=1e-10)[0]
    live = (slopes != 0.0).any(axis=0)
    clock = float(g[live].sum()) / p.size  # d tau / dt
    return Measure(
        v=state.v,
        p=p,
        log_loss=float(np.log(np.mean(setting.losses(p)))),
        norm=float(np.linalg.norm(W)),
        speed=float(np.linalg.norm(V)) / clock,
        margin_rates=setting.y * (setting.outer @ (slopes * (V @ setting.X.T))) / clock,
        log_clock=float(np.log(clock)),
    )
