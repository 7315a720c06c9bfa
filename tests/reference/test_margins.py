"""Margins, activations and dual variables of the reference against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from gflow.problem.activation import Huberized, SmoothLeaky
from gflow.problem.network import Network
from gflow.reference.dual import active_pairs, dual_variables, live_samples
from gflow.reference.margins import by_output, hidden, margins, outputs, slopes
from tests.reference.networks import drawn


def test_the_margin_of_a_class_is_its_cross_entropy() -> None:
    """log(1 + e^-p) = -log softmax_y, and dp/df by central differences; outputs of 1e4 overflow nothing."""
    rng = np.random.default_rng(0)
    f, y = rng.normal(size=(2, 3, 5)), rng.integers(0, 3, size=5).astype(float)
    own = np.take_along_axis(f, np.broadcast_to(y.astype(int), (2, 1, 5)), axis=1)[:, 0]
    np.testing.assert_allclose(np.logaddexp(0.0, -margins(y, f)), np.log(np.exp(f).sum(axis=1)) - own, rtol=1e-12)
    for k in range(3):
        step = 1e-6 * (np.arange(3) == k)[:, None]
        found = (margins(y, f + step) - margins(y, f - step)) / 2e-6
        np.testing.assert_allclose(by_output(y, f)[:, k], found, atol=1e-8)
    large = 1e4 * np.array([[1.0], [0.0], [-1.0]])
    assert margins(np.zeros(1), large) == pytest.approx([1e4]) and margins(np.ones(1), large) == pytest.approx([-1e4])
    assert by_output(np.ones(1), large).ravel().tolist() == [-1.0, 1.0, 0.0]


def test_one_output_is_the_label_times_it() -> None:
    y, f = np.array([1.0, -1.0]), np.array([[3.0, 4.0]])
    assert margins(y, f).tolist() == [3.0, -4.0] and by_output(y, f).tolist() == [[1.0, -1.0]]
    assert outputs(np.array([2.0, 1.0]), np.array([[1.0, 0.0], [1.0, 5.0]]), None).tolist() == [[3.0, 5.0]]


def test_activations_by_pieces() -> None:
    z = np.array([[-2.0, 0.0, 0.25, 1.0]])
    one = np.ones(1)
    leaky = Network(one, 0.5)
    assert hidden(leaky, z).tolist() == [[-1.0, 0.0, 0.25, 1.0]]
    assert slopes(leaky, z, at_kink=0.7).tolist() == [[0.5, 0.7, 1.0, 1.0]]
    held = np.array([[-1, 0, 0, 1]], dtype=np.int8)  # a slide keeps phi at 0, whatever z is by rounding
    assert hidden(leaky, z, held).tolist() == [[-1.0, 0.0, 0.0, 1.0]]
    huber = Network(one, 0.0, smoothing=Huberized(0.5))
    assert hidden(huber, z).tolist() == [[0.0, 0.0, 0.0625, 0.75]]
    assert slopes(huber, z, held).tolist() == [[0.0, 0.0, 0.5, 1.0]]
    soft = Network(one, 0.2, smoothing=SmoothLeaky(0.2))
    np.testing.assert_allclose(hidden(soft, z), 0.2 * z + 0.8 * np.log((1.0 + np.exp(z)) / 2.0), atol=1e-15)
    np.testing.assert_allclose(slopes(soft, z), 0.2 + 0.8 / (1.0 + np.exp(-z)), rtol=1e-14)
    linear = Network(one, 1.0)  # z = 0 is no kink there
    assert slopes(linear, z, held).tolist() == [[1.0, 1.0, 1.0, 1.0]] and hidden(linear, z).tolist() == z.tolist()


def test_live_samples_set_the_sum() -> None:
    problem, parameters = drawn("relu")
    pattern = np.sign(problem.preactivations(parameters.U)).astype(np.int8)
    pattern[:, 2], pattern[:, 4] = -1, 0
    assert live_samples(problem, pattern).tolist() == [True, True, False, True, False, True, True]
    assert not active_pairs(problem.network, pattern)[:, [2, 4]].any()
    still = drawn("relu")[0]
    still.network.outer[:] = 0.0  # nothing moves
    assert not live_samples(still, pattern).any()
    assert live_samples(drawn("classes")[0], 0 * pattern).all() and live_samples(drawn("huber")[0], 0 * pattern).all()


def test_dual_variables_do_not_overflow() -> None:
    """Sums over live samples; of a dead one that outweighs them by e^1000 only the size is forgotten."""
    log_g = np.array([[-1e5, -1e5 - 1.0, -1e5 + 1e3]])
    q, log_total = dual_variables(log_g, np.array([True, True, False]))
    assert q[0, :2] == pytest.approx(np.array([1.0, np.exp(-1.0)]) / (1.0 + np.exp(-1.0)), rel=1e-10)
    assert q[0, 2] > 1e80 and log_total == pytest.approx([-1e5 + np.log1p(np.exp(-1.0))], rel=1e-15)
    everything, _ = dual_variables(log_g, np.zeros(3, dtype=bool))
    assert everything.sum() == pytest.approx(1.0) and everything[0, 2] == pytest.approx(1.0)
