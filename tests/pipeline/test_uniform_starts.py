"""Uniform starts are those of Keras and of PyTorch: bounds, variances, and which biases are drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import gflow
from gflow.assembly import Setup, build_setup
from gflow.errors import ScenarioError
from gflow.problem.initialisation import pytorch_bound, pytorch_std, tensorflow_bound, tensorflow_std
from gflow.scenario import parse_scenario

M, D, K = 300, 40, 3
ONE = """
gflow: 1
name: uniform
data: {kind: gaussian, n: 5, d: 40}
model: {kind: two_layer, width: 300, activation: {kind: relu}}
init: {kind: uniform, relative_to: tensorflow}
loss: logistic
flow: {until: {time: 0.1}}
"""
MANY = [
    "data={kind: digits, classes: [0, 1, 2], n: 6}",
    "model.outputs=3",
    "model.bias=true",
    "model.outer={train: true}",
]


def setup(*overrides: str) -> Setup:
    return build_setup(parse_scenario(ONE, overrides=list(overrides)))


def check_uniform(values: NDArray[np.float64], bound: float) -> None:
    """Within the bound and near it; mean 0, variance bound^2 / 3, fourth moment bound^4 / 5, each to 5 deviations."""
    count, scaled = values.size, values / bound
    assert np.abs(scaled).max() <= 1.0 and np.abs(scaled).max() > 1.0 - 10.0 / count
    assert abs(scaled.mean()) < 5.0 * np.sqrt(1.0 / 3.0 / count)
    assert abs((scaled**2).mean() - 1.0 / 3.0) < 5.0 * np.sqrt((1.0 / 5.0 - 1.0 / 9.0) / count)
    assert abs((scaled**4).mean() - 1.0 / 5.0) < 5.0 * np.sqrt((1.0 / 9.0 - 1.0 / 25.0) / count)


def test_bounds_have_the_standard_deviations_of_the_libraries() -> None:
    assert tensorflow_bound(M, D) == pytest.approx(np.sqrt(3.0) * tensorflow_std(M, D), rel=1e-15)
    assert pytorch_bound(D) == pytest.approx(np.sqrt(3.0) * pytorch_std(D), rel=1e-15)


def test_pytorch_draws_so() -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(D, 4000)
    for tensor in (layer.weight, layer.bias):
        check_uniform(tensor.detach().double().numpy(), pytorch_bound(D))


@pytest.mark.parametrize("relative_to, bound", [("tensorflow", np.sqrt(6.0 / (M + D))), ("pytorch", 1.0 / np.sqrt(D))])
@pytest.mark.parametrize("scale", [1.0, 0.02])
def test_the_inner_layer(relative_to: str, bound: float, scale: float) -> None:
    found = setup(f"init={{kind: uniform, relative_to: {relative_to}, scale: {scale}}}")
    assert found.inner.shape == (M, D)
    check_uniform(found.inner, scale * bound)
    assert np.allclose(np.abs(found.problem.network.outer), M**-0.5)  # that of the model
    again = setup(f"init={{kind: uniform, relative_to: {relative_to}, scale: {scale}}}", "data.seed=9")
    assert np.array_equal(found.inner, again.inner)
    other = setup(f"init={{kind: uniform, relative_to: {relative_to}, scale: {scale}, seed: 9}}")
    assert not np.array_equal(found.inner, other.inner) and np.array_equal(found.problem.X, other.problem.X)


@pytest.mark.parametrize("scale", [1.0, 0.1])
def test_both_layers_with_biases_as_pytorch_draws_them(scale: float) -> None:
    found = setup(*MANY, f"init={{kind: uniform, relative_to: pytorch, scale: {scale}, outer: {{scale: 2.0}}}}")
    network, inner = found.problem.network, 1.0 / 8.0  # 64 inputs, without the constant one
    assert found.inner.shape == (M, 65) and network.outer.shape == (K, M)
    check_uniform(found.inner[:, :64], scale * inner)
    check_uniform(found.inner[:, 64], scale * inner)
    check_uniform(network.outer, 2.0 / np.sqrt(M))
    assert network.output_bias is not None and network.output_bias.shape == (K,)
    assert np.all(network.output_bias != 0.0) and np.abs(network.output_bias).max() <= 2.0 / np.sqrt(M)


def test_both_layers_with_biases_as_keras_starts_them() -> None:
    found = setup(*MANY, "init={kind: uniform, relative_to: tensorflow, outer: {scale: 1.0}}")
    network = found.problem.network
    check_uniform(found.inner[:, :64], np.sqrt(6.0 / (M + 64)))
    check_uniform(network.outer, np.sqrt(6.0 / (M + K)))
    assert np.all(found.inner[:, 64] == 0.0) and network.output_bias is not None and np.all(network.output_bias == 0.0)


def test_one_output_that_is_drawn() -> None:
    trained = "model.outer={train: true}"
    for relative_to, bound in (("tensorflow", np.sqrt(6.0 / (M + 1))), ("pytorch", 1.0 / np.sqrt(M))):
        found = setup(trained, f"init={{kind: uniform, relative_to: {relative_to}, outer: {{scale: 1.0}}}}")
        assert found.problem.network.outer.shape == (M,)
        check_uniform(found.problem.network.outer, bound)


def test_starts_of_descent_are_drawn_by_seed(tmp_path: Path) -> None:
    scenario = parse_scenario(ONE.replace("width: 300", "width: 6"))
    found = gflow.descend(scenario, [0.1], steps=2, seeds=[0, 7], starts="drawn", out=tmp_path)
    for seed in (0, 7):
        text = ONE.replace("width: 300", "width: 6").replace("tensorflow}", f"tensorflow, seed: {seed}}}")
        own = build_setup(parse_scenario(text))
        rows = found.trajectory
        at = np.flatnonzero((rows.read("seed") == seed) & (rows.read("step") == 0))[0]
        assert np.array_equal(rows.read("inner", int(at)), own.inner @ own.problem.span.B.T)


@pytest.mark.parametrize(
    "overrides, message",
    [
        (["init={kind: uniform}"], "init.relative_to is missing; relative_to is the library"),
        (["init={kind: uniform, relative_to: jax}"], "init.relative_to = jax: is not available"),
        (["init={kind: uniform, relative_to: pytorch, std: 1.0}"], "init.std = 1.0: unknown key"),
        (["init={kind: uniform, relative_to: pytorch, scale: -1}"], "init.scale = -1: must be at least 0"),
        (
            [*MANY, "init={kind: uniform, relative_to: pytorch}"],
            "no `outer`.* for example `outer: {scale: 1.0}`",
        ),
        (["model={kind: scalar, width: 4, activation: {kind: relu}}"], "does not fit model.kind scalar; use balanced"),
        (
            ["model.width=2", "model.outer={values: [1, -1]}", "init.outer={scale: 1}"],
            "lists the outer layer, and init.outer draws it",
        ),
    ],
)
def test_what_does_not_fit_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        parse_scenario(ONE, overrides=overrides)
