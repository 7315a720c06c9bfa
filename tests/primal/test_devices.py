"""A run on CUDA is the run on the CPU: same events, same weights to the tolerance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gflow.field.branch import Tolerances
from gflow.flow.primal import primal_engine
from gflow.problem.activation import SmoothLeaky
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from tests.flow.driver import relative_gap, until_time
from tests.primal import test_classes, test_scalar
from tests.primal.driver import DEVICES, event_list, parity, primal

Array = NDArray[np.float64]


def scalar() -> tuple[Problem, Array]:
    drawn = test_scalar.drawn(0.0, "logistic")
    return drawn.problem(), (drawn.sign_b * drawn.size)[:, None]


def smooth() -> tuple[Problem, Array]:
    P, W = parity(12, 6, 8, 0)
    network = Network(P.network.outer, 0.0, trains_outer=True, smoothing=SmoothLeaky(0.1))
    return Problem.of(P.X, P.y, network, LOSSES["exponential"]), W


MODELS = {
    "both layers": lambda: parity(24, 10, 16, 0),
    "classes": lambda: test_classes.drawn(3, 0),
    "scalar": scalar,
    "smooth": smooth,
}


@pytest.mark.sample("both layers-*", "scalar-*", "smooth-*", "classes-DOP853-*")
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("method", ["DOP853", "dopri5", "dopri8", "bosh3"])
@pytest.mark.parametrize("model", list(MODELS))
def test_every_method_on_every_device_follows_one_flow(model: str, method: str, device: str) -> None:
    problem, inner = MODELS[model]()
    reference = primal(problem, inner, until_time(5.0), rtol=1e-10)
    rtol = 1e-7 if method == "bosh3" else 1e-9
    result = primal(problem, inner, until_time(5.0), rtol=rtol, method=method, device=device)
    assert event_list(result) == event_list(reference)
    assert relative_gap(result.state.U, reference.state.U) < 20.0 * rtol
    assert result.state.p == pytest.approx(reference.state.p, abs=20.0 * rtol)


@pytest.mark.parametrize("device", DEVICES)
def test_the_field_stays_on_its_device(device: str) -> None:
    problem, inner = parity(24, 10, 16, 0)
    engine = primal_engine(problem, inner, Tolerances(1e-8, 1e-10), device)
    branch = engine.stretch(engine.start()[0]).branch
    field = branch.system.tensor_field
    assert field is not None
    rate = field(torch.as_tensor(branch.y0, device=device))
    assert rate.device.type == device
    assert rate.dtype == torch.float64


def test_an_error_of_the_scale_moves_a_neuron_by_its_tolerance() -> None:
    """|scale of the block| = atol + rtol |(w_j, a_j)|, so the RMS over a block of 1 is that tolerance."""
    problem, W = parity(24, 10, 16, 0)
    engine = primal_engine(problem, W, Tolerances(1e-6, 1e-8))
    branch = engine.stretch(engine.start()[0]).branch
    groups, scale = branch.system.groups, branch.system.scale(branch.y0)
    assert groups is not None
    for j in range(16):
        size = np.sqrt((W[j] ** 2).sum() + problem.network.outer[j] ** 2)
        assert np.linalg.norm(scale[groups == j]) == pytest.approx(1e-8 + 1e-6 * size, rel=1e-12)
