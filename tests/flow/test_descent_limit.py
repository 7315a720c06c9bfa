"""Gradient descent tends to the flow linearly in its step size, kinks and slides included."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.flow.driver import flow, loglog_slope, problem_of, relative_gap, until_time
from tests.reference.descent import descend
from tests.reference.setting import drawn

# Chosen so that they divide the end time.
ETAS = (8e-3, 4e-3, 2e-3, 1e-3, 5e-4, 2.5e-4)
END = 4.0
SEEDS = range(6)


def gaps(kind: str, slope: float, loss: str) -> NDArray[np.float64]:
    """Relative distance of descent to the flow at t = END, (etas, seeds)."""
    pairs = [drawn(kind, slope, loss, seed) for seed in SEEDS]
    settings, starts = [s for s, _ in pairs], np.stack([W for _, W in pairs])
    flows = [flow(problem_of(s), W, until_time(END)).weights(W) for s, W in pairs]
    ends = [descend(settings, starts, eta, round(END / eta)) for eta in ETAS]
    return np.array([[relative_gap(A, B) for A, B in zip(end, flows, strict=True)] for end in ends])


@pytest.mark.sample(
    "generic-0.3-logistic", "generic-0.0-exponential", "degenerate-0.0-logistic", "plane-0.3-exponential"
)
@pytest.mark.parametrize("loss", ["logistic", "exponential"])
@pytest.mark.parametrize("slope", [0.0, 0.3])
@pytest.mark.parametrize("kind", ["generic", "degenerate", "plane"])
def test_descent_approaches_the_flow_linearly(kind: str, slope: float, loss: str) -> None:
    """A kink passed between two steps costs a share of eta that depends on where they fall: seeds are averaged."""
    found = gaps(kind, slope, loss)
    assert 0.8 < loglog_slope(ETAS, found.mean(axis=1)) < 1.2
    assert found.mean(axis=1)[-1] < 0.1 * ETAS[-1]
    assert (found < 0.5 * np.array(ETAS)[:, None]).all()
