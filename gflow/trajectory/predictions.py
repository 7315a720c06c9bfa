"""The predictions of test samples, which may lie outside the span of the training samples.

The part of W outside that span never moves, but test samples see it: z = W x = W_outside x + U (B x), of which only the
second term changes from row to row.
"""

from __future__ import annotations

import numpy as np

from gflow.arrays import Array, Sides
from gflow.flow.state import FlowState
from gflow.problem.dataset import Dataset
from gflow.problem.loss import log_mean
from gflow.problem.network import class_margins
from gflow.problem.problem import Problem


class Predictions:
    """Loss and accuracies of the states of one problem, on test samples and on those that are trained on."""

    def __init__(self, problem: Problem, outside: Array, test: Dataset) -> None:
        """outside: W_outside (m, d) of the start, zeros for the scalar network; test: k samples of the same inputs."""
        self._problem, self._y = problem, test.y
        directions = problem.network.directions
        if directions is None:
            self._still, self._coordinates = outside @ test.X.T, problem.span.B @ test.X.T  # (m, k), (r, k)
        else:
            self._still, self._coordinates = np.zeros((1, 1)), directions @ test.X.T  # (m, k), of neurons of one weight

    def series(self, state: FlowState, pattern: Sides, outside: float) -> dict[str, float]:
        """The values of `layout.TEST_SERIES`; pattern (m, n): of the training samples.

        outside: the factor by which W_outside has shrunk.
        """
        U, network = state.parameters.U, self._problem.network
        z = U @ self._coordinates if network.directions is None else U * self._coordinates
        z += outside * self._still
        f = self._outputs(state, z, np.where(z > 0.0, 1, -1).astype(np.int8))
        p = self._y * f[0] if network.outputs == 1 else class_margins(f, self._y)
        trained = self._outputs(state, self._problem.preactivations(U), pattern)
        return {
            "test_log_loss": log_mean(self._problem.loss.log_value(p)),
            "test_accuracy": accuracy(f, self._y),
            "train_accuracy": accuracy(trained, self._problem.y),
        }

    def _outputs(self, state: FlowState, z: Array, pattern: Sides) -> Array:
        """f (K, k) at pre-activations z (m, k)."""
        outer, bias = state.parameters.outer, state.parameters.output_bias
        f = np.atleast_2d(outer) @ self._problem.network.hidden(z, pattern)
        return np.asarray(f if bias is None else f + bias[:, None])


def accuracy(f: Array, y: Array) -> float:
    """The share of the samples whose label is predicted by outputs f (K, k); y (k,) is -1 or +1 where K = 1.

    One output predicts the label y where y f > 0, K outputs predict the class whose output is larger than all others.
    So f = 0, and a tie of the largest outputs, predict no label.
    """
    if len(f) == 1:
        return float(np.mean(y * f[0] > 0.0))
    own = y.astype(np.intp) == np.arange(len(f))[:, None]
    largest_other = np.where(own, -np.inf, f).max(axis=0)
    return float(np.mean(f[own.argmax(axis=0), np.arange(y.size)] > largest_other))
