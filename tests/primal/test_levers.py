"""How far log L moves with the weights, by the engine and by derivatives of every margin."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gflow.field.mode import Mode
from gflow.field.tensors import PrimalField
from gflow.problem.parameters import Layout
from tests.reference.networks import KINDS, drawn, jacobian, m, point


@pytest.mark.parametrize("kind", KINDS)
def test_levers_are_sums_of_the_derivatives_of_all_margins(kind: str) -> None:
    """sum_i q_i |dp_i / dw_j| and sum_i q_i max_k |dp_i / da_kj|, for every network; every sample is live here."""
    problem, parameters = drawn(kind)
    at, layout, J = point(problem, parameters), Layout.of(problem), jacobian(problem, parameters)
    assert at.mode.live.all()
    slopes = None if problem.network.smoothing is not None else at.slopes.copy()
    field = PrimalField(problem, slopes, Mode(problem, at.mode.side), 1.0, torch.device("cpu"))
    theta = torch.from_numpy(np.append(layout.flat(parameters), 0.0))
    inner, outer = field.levers(theta).numpy()
    moved = np.linalg.norm(J[:, layout.inner].reshape(-1, *layout.inner_shape), axis=-1)
    assert inner == pytest.approx(at.q @ moved, rel=1e-12)
    if layout.outer is not None:
        assert outer == pytest.approx(at.q @ np.abs(J[:, layout.outer].reshape(-1, *layout.outer_shape)).max(axis=1))
    assert inner.shape == outer.shape == (m,)
