"""The file says what `tau` is, and the number is that: (1/n) sum of g_i dt over live samples, not over all."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

import gflow
from gflow.field import clock
from gflow.reference.point import Point
from gflow.scenario import parse_scenario
from gflow.trajectory import Trajectory, layout

Array = NDArray[np.float64]
TEXT = """
gflow: 1
name: dead-sample
data: {{kind: file, path: {folder}/data.npz}}
model: {{kind: two_layer, width: 3, activation: {{kind: relu}}, outer: {{train: false}}}}
init: {{kind: file, path: {folder}/start.npz}}
loss: logistic
flow: {{until: {{time: 3}}, rtol: 1e-10}}
record: {{times: {{spacing: linear, count: 301}}}}
"""


def with_a_dead_sample(folder: Path) -> Trajectory:
    """Neuron 1 is active on samples 1 and 2, no neuron on sample 3, and one with a_j = 0 on sample 4."""
    np.savez(folder / "data.npz", X=np.eye(4), y=np.array([1.0, -1.0, 1.0, 1.0]))
    W = np.array([[0.4, 0.9, -0.5, -0.3], [0.8, -0.2, -0.6, -0.1], [-0.1, -0.2, -0.3, 0.7]])
    np.savez(folder / "start.npz", W=W, a=np.array([1.0, 0.5, 0.0]))
    return gflow.simulate(parse_scenario(TEXT.format(folder=folder)), out=folder / "run")


def integrated(trajectory: Trajectory, samples: list[int], divisor: int) -> float:
    """The trapezoid rule of (1/divisor) sum of g_i dt over some samples, along the rows."""
    t, p = np.expm1(trajectory.log1p_time), trajectory.read("margins", slice(None))
    g = (1.0 / (1.0 + np.exp(p[:, samples]))).sum(axis=1) / divisor
    return float(np.sum(0.5 * np.diff(t) * (g[1:] + g[:-1])))


def test_tau_is_the_integral_that_the_file_says(tmp_path: Path) -> None:
    trajectory = with_a_dead_sample(tmp_path)
    pattern = trajectory.read("pattern", slice(None))
    assert (pattern[:, :2, :2] == pattern[0, :2, :2]).all() and (pattern[:, :, 2] < 0).all()
    tau = float(trajectory.tau[-1])
    assert abs(integrated(trajectory, [0, 1], 4) - tau) < 1e-4 * tau
    for samples, divisor in (([0, 1, 2, 3], 4), ([0, 1, 2], 4), ([0, 1, 3], 4), ([0, 1], 2)):
        assert abs(integrated(trajectory, samples, divisor) - tau) > 0.1 * tau
    with h5py.File(trajectory.path) as file:
        told = str(file["tau"].attrs["long_name"])
    assert "(1/n) sum of g_i dt over live samples" in told


def test_every_place_says_the_same() -> None:
    """Live, divided by n, with the same words for what live is."""
    for text in (layout.__doc__, clock.__doc__):
        said = " ".join((text or "").split())
        for words in ("live", "(1/n) sum_i g_i dt", "its a_j is trained, or not 0", "slope phi' != 0", "not sliding"):
            assert words in said
    assert "live" in (Point.q.__doc__ or "") and "live" in vars(Point)["velocity"].func.__doc__
