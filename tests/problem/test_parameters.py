"""The flat vector of what is trained."""

from __future__ import annotations

import numpy as np
import pytest

from gflow.problem.parameters import Layout
from tests.reference.networks import KINDS, drawn


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_survive_it(kind: str) -> None:
    problem, parameters = drawn(kind)
    layout, network = Layout.of(problem), problem.network
    theta = layout.flat(parameters)
    back = layout.parameters(theta, network.outer)
    np.testing.assert_array_equal(back.U, parameters.U)
    np.testing.assert_array_equal(back.outer, parameters.outer)
    assert (back.output_bias is None) == (network.output_bias is None)
    assert theta.size == parameters.U.size + network.trains_outer * network.outer.size + (
        0 if parameters.output_bias is None else parameters.output_bias.size
    )


def test_its_order_is_rows_of_u_then_rows_of_the_outer_layer_then_the_bias() -> None:
    """And what a caller appends is left alone, over any leading axes."""
    problem, parameters = drawn("classes")
    layout, bias = Layout.of(problem), parameters.output_bias
    assert bias is not None
    theta = np.append(layout.flat(parameters), 99.0)
    assert theta[:-1].tolist() == [*parameters.U.ravel(), *parameters.outer.ravel(), *bias]
    many = layout.parameters(np.stack([theta, 2.0 * theta]), problem.network.outer)
    assert many.output_bias is not None
    np.testing.assert_array_equal(many.U[1], 2.0 * parameters.U)
    np.testing.assert_array_equal(many.outer[1], 2.0 * parameters.outer)
    np.testing.assert_array_equal(many.output_bias[1], 2.0 * bias)
