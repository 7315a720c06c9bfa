"""Test samples: rows say of them what plain matrices say, and the training is the same with and without them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

import gflow
from gflow.assembly.dataset import build_data
from gflow.errors import ScenarioError
from gflow.scenario import parse_scenario
from gflow.trajectory import Record, Trajectory
from gflow.trajectory.layout import TEST_SERIES
from gflow.trajectory.predictions import accuracy
from gflow.trajectory.recorded_run import RecordedRun
from gflow.verification.origin import origin
from gflow.verification.recomputation import recomputation
from tests.verification.runs import changed, failing

Array = NDArray[np.float64]

BASE = """
gflow: 1
name: tested
seed: 3
data: {kind: gaussian_mixture, n: 8, d: 30, mean: {kind: ones, norm: 2.0}, label_noise: 0.15, test: 40}
model: {kind: two_layer, width: 6, activation: {kind: leaky_relu, slope: 0.1}}
init: {kind: gaussian, std: 0.2}
loss: logistic
flow: {until: {time: 6.0}}
record: {times: {count: 6}}
"""
NETWORKS: dict[str, list[str]] = {
    "leaky": [],
    "relu, exponential": ["model.activation={kind: relu}", "loss=exponential"],
    "linear": ["model.activation={kind: linear}"],
    "smooth": ["model.activation={kind: smooth_leaky_relu, slope: 0.1}"],
    "both layers": ["model.outer.train=true", "model.activation={kind: relu}"],
    "huberized, biases": [
        "model.activation={kind: huberized_relu, h: 0.1}",
        "model.bias=true",
        "init.bias=same",
        "data={kind: clusters, n: 8, means_plus: [[1, -1]], means_minus: [[1, 1], [-1, -1]], std: 0.5, test: 40}",
    ],
    "scalar": [
        "model={kind: scalar, width: 6, activation: {kind: relu}}",
        "init={kind: balanced, size: 0.7}",
        "data={kind: parity, n: 8, d: 5, test: 24}",
    ],
    "classes": [
        "model={kind: two_layer, width: 6, outputs: 3, bias: true, activation: {kind: relu}, outer: {train: true}}",
        "init={kind: gaussian, std: 0.3, outer: {std: 0.5}, bias: same}",
        "data={kind: digits, classes: [0, 1, 2], n: 12, test: 50}",
    ],
}


def simulated(folder: Path, *overrides: str) -> Trajectory:
    return gflow.simulate(parse_scenario(BASE, overrides=list(overrides)), out=folder)


def samples_of(of: Record) -> tuple[Array, Array]:
    """X_test (k, d) and y_test (k,), which this run has."""
    X, y = of.X_test, of.y_test
    assert X is not None and y is not None
    return X, y


def activation(facts: Mapping[str, str | float | int], z: Array) -> Array:
    """phi(z), written anew."""
    slope = float(facts["slope"])
    if facts["activation"] == "smooth_leaky_relu":
        return np.asarray(slope * z + (1.0 - slope) * (np.logaddexp(0.0, z) - np.log(2.0)))
    if facts["activation"] == "huberized_relu":
        h = float(facts["bandwidth"])
        return np.where(z < 0.0, 0.0, np.where(z < h, z**2 / (2.0 * h), z - 0.5 * h))
    return np.where(z > 0.0, z, slope * z)


def expected(run: Trajectory, row: int, X: Array, y: Array, W: Array | None = None) -> tuple[float, float]:
    """log L and accuracy on samples, from the whole of W."""
    z = (run.weights(row) if W is None else W) @ X.T
    f = np.atleast_2d(run.outer_at(row)) @ activation(run.facts, z)
    if run.output_bias is not None:
        f = f + run.output_bias[row][:, None]
    if len(f) == 1:
        p, right = y * f[0], y * f[0] > 0.0
        losses = np.exp(-p) if run.facts["loss"] == "exponential" else np.logaddexp(0.0, -p)
    else:
        own = y.astype(int)
        losses = np.logaddexp.reduce(f, axis=0) - f[own, np.arange(y.size)]  # the softmax cross-entropy
        right = f.argmax(axis=0) == own
    return float(np.log(losses.mean())), float(right.mean())


@pytest.mark.parametrize("overrides", NETWORKS.values(), ids=NETWORKS)
def test_rows_are_what_the_whole_weights_predict(overrides: list[str], tmp_path: Path) -> None:
    run = simulated(tmp_path / "run", *overrides)
    X, y = samples_of(run)
    assert len(y) == len(X) > len(run.y)
    for row in range(run.n_rows):
        log_loss, share = expected(run, row, X, y)
        assert abs(run.series["test_log_loss"][row] - log_loss) < 1e-11
        assert run.series["test_accuracy"][row] == share
        trained = expected(run, row, run.X, run.y)
        assert abs(run.log_loss[row] - trained[0]) < 1e-11 and run.series["train_accuracy"][row] == trained[1]


def test_test_samples_see_the_part_of_the_weights_outside_the_span(tmp_path: Path) -> None:
    """Without it the loss is another one: the negative control."""
    run = simulated(tmp_path / "run")
    (X, y), B = samples_of(run), run.basis
    assert B.shape == (8, 30)
    inside = expected(run, -1, X, y, run.inner[-1] @ B)[0]
    assert abs(inside - run.series["test_log_loss"][-1]) > 1e-2


@pytest.mark.parametrize(
    "without",
    [
        "data={kind: gaussian_mixture, n: 8, d: 30, mean: {kind: ones, norm: 2.0}, label_noise: 0.15}",
        "data={kind: gaussian_mixture, n: 8, d: 30, mean: {kind: gaussian, std: 0.5}}",
        "data={kind: gaussian, n: 8, d: 30}",
        "data={kind: orthogonal, n: 8, d: 40}",
        "data={kind: parity, n: 8, d: 4}",
        "data={kind: digits, classes: [3, 5], n: 8}",
    ],
)
def test_training_has_the_same_bits_with_and_without_test_samples(without: str, tmp_path: Path) -> None:
    alone = simulated(tmp_path / "alone", without)
    tested = simulated(tmp_path / "tested", without[:-1] + ", test: 40}")
    for name in ("X", "y", "W_initial", "inner", "margins", "log1p_time", "pattern"):
        assert np.array_equal(getattr(alone, name), getattr(tested, name)), name
    assert not set(TEST_SERIES) & set(alone.series) and set(TEST_SERIES) <= set(tested.series)
    assert alone.X_test is None and alone.y_test is None
    with h5py.File(alone.path) as file:
        assert not {"X_test", "y_test", "test_sample"} & set(file)


def test_test_samples_have_the_law_of_the_training_samples() -> None:
    """The mean that was drawn for the training samples, the noise, and the flipped labels."""
    text = BASE.replace("n: 8, d: 30, mean: {kind: ones, norm: 2.0}", "n: 4000, d: 5, mean: {kind: gaussian, std: 2.0}")
    split = build_data(parse_scenario(text.replace("test: 40", "test: 3000")), flow=False)
    train, test = split.train, split.test
    assert test is not None and test.y.size == 3000
    means = [np.mean(part.y[:, None] * part.X, axis=0) / 0.7 for part in (train, test)]  # 0.7 = 1 - 2 * 0.15
    scale = np.linalg.norm(means[0])
    assert np.linalg.norm(means[0] - means[1]) < 6.0 * np.sqrt(5.0 * (1.0 + scale**2) / 3000)
    flipped = np.mean((test.X @ means[0]) * test.y < 0.0)
    assert scale > 2.5 and abs(flipped - 0.15) < 0.02
    assert not {row.tobytes() for row in train.X} & {row.tobytes() for row in test.X}


def test_from_arrays(tmp_path: Path) -> None:
    """The same rows, with the same bits, from the arrays of a run."""
    run = simulated(tmp_path / "run")
    X, y = samples_of(run)
    flow = gflow.integrate(
        run.X,
        run.y,
        run.W_initial,
        run.outer,
        activation="leaky_relu",
        slope=0.1,
        until=gflow.time(6.0),
        rows=6,
        X_test=X,
        y_test=y,
    )
    for name in TEST_SERIES:
        assert np.array_equal(flow.series[name], run.series[name])
    assert np.array_equal(samples_of(flow)[0], X) and np.array_equal(samples_of(flow)[1], y)
    assert recomputation(RecordedRun.of(flow))[-2].name == "test"


@pytest.mark.parametrize(
    "X, y, message",
    [
        (np.ones((2, 3)), None, "X_test is given without y_test; give both"),
        (None, [1.0], "y_test is given without X_test"),
        (np.ones((2, 4)), [1.0, -1.0], "X_test and y_test: has 4 inputs, and the training samples have 3"),
        (np.ones((2, 3)), [1.0, 0.0], "X_test and y_test: sample 1: the label is 0; it must be -1 or \\+1"),
        (np.ones((2, 3)), [1.0], "X_test and y_test: X has 2 samples and y has 1 labels"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(X: Array | None, y: list[float] | None, message: str) -> None:
    with pytest.raises(ScenarioError, match=f"gflow.integrate.*{message}"):
        gflow.integrate(np.eye(3), [1, -1, 1], np.ones((2, 3)), [1, -1], until=gflow.time(1.0), X_test=X, y_test=y)


def test_a_file_of_its_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, k in (("train", 8), ("test", 20)):
        np.savez(tmp_path / f"{name}.npz", X=rng.standard_normal((k, 30)), y=rng.choice([-1.0, 1.0], k))
    (tmp_path / "narrow.csv").write_text("1.5,2.5,1\n")
    given = f"data={{kind: file, path: {tmp_path}/train.npz, test: "
    run = simulated(tmp_path / "run", f"{given}{tmp_path}/test.npz}}")
    assert np.array_equal(samples_of(run)[0], np.load(tmp_path / "test.npz")["X"])
    held = simulated(tmp_path / "held", given + "3}")
    X, y = samples_of(held)
    assert len(held.y) == 5 and len(y) == 3
    assert set(map(bytes, held.X)) | set(map(bytes, X)) == set(map(bytes, run.X))
    with pytest.raises(ScenarioError, match=r"narrow.csv: has 2 inputs, and the training.*\(data.test in --set\)"):
        simulated(tmp_path / "no", f"{given}{tmp_path}/narrow.csv}}")
    with pytest.raises(ScenarioError, match=r"none.npz: no such data file.*\(data.test in --set\)"):
        simulated(tmp_path / "no", f"{given}{tmp_path}/none.npz}}")
    with pytest.raises(ScenarioError, match=r"data.test = 8: only 7 samples are left to test on"):
        simulated(tmp_path / "no", given + "8}")


def test_a_resume_asks_for_the_same_test_samples(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def saved(name: str) -> None:
        np.savez(tmp_path / f"{name}.npz", X=rng.standard_normal((9, 30)), y=rng.choice([-1.0, 1.0], 9))

    saved("train")
    saved("test")
    data = f"data={{kind: file, path: {tmp_path}/train.npz, test: {tmp_path}/test.npz}}"
    times = "record.times={at: [1.0, 3.0]}"
    simulated(tmp_path / "run", data, "record.times={at: [1.0]}", "flow.until={time: 1.5}")
    whole = simulated(tmp_path / "whole", data, times)
    again = parse_scenario(BASE, overrides=[data, times])
    resumed = gflow.simulate(again, out=tmp_path / "run", resume=True)
    at_rows = np.isin(resumed.log1p_time, whole.log1p_time)
    for name in TEST_SERIES:
        assert np.array_equal(resumed.series[name][at_rows], whole.series[name])
    saved("test")
    later = parse_scenario(BASE, overrides=[data, times, "flow.until={time: 8.0}"])
    with pytest.raises(ScenarioError, match="--resume: X_test is not, bit for bit, what"):
        gflow.simulate(later, out=tmp_path / "run", resume=True)


def test_what_is_verified(tmp_path: Path) -> None:
    """Untouched rows pass; a changed loss, accuracy, label or input of a test sample fails."""
    run = simulated(tmp_path / "run", *NETWORKS["both layers"])
    assert not failing(recomputation(RecordedRun.of(run)))
    for name, index, amount in (
        ("series/test_log_loss", 2, 1e-9),
        ("series/test_accuracy", 2, 1.0 / 40.0),
        ("series/train_accuracy", 2, -1.0 / 8.0),
        ("X_test", (3, 1), 0.1),
    ):

        def change(file: h5py.File, name: str = name, index: int | tuple[int, int] = index, by: float = amount) -> None:
            file[name][index] = file[name][index] + by

        other = changed(run, tmp_path / name.replace("/", "-"), change)
        assert failing(recomputation(RecordedRun.of(other))) == {"rows: test"}
    scenario = parse_scenario(run.scenario_resolved)
    assert (origin(run, scenario).verdict, origin(other, scenario).verdict) == ("pass", "fail")


def test_no_output_and_a_tie_predict_no_label() -> None:
    assert accuracy(np.array([[0.0, 2.0, -1.0, -0.0]]), np.array([1.0, 1.0, 1.0, -1.0])) == 0.25
    f = np.array([[1.0, 2.0, 0.0], [1.0, 0.0, 0.0], [0.5, 0.0, 3.0]])
    assert accuracy(f, np.array([0.0, 0.0, 2.0])) == pytest.approx(2.0 / 3.0)
    assert accuracy(np.zeros((3, 2)), np.array([0.0, 1.0])) == 0.0


def test_gram_has_no_law_for_test_samples() -> None:
    with pytest.raises(ScenarioError, match=r"data.test = 5: unknown key.*Known for kind gram"):
        parse_scenario(BASE, overrides=["data={kind: gram, n: 3, norms: 1.0, coherence: 0.1, test: 5}"])
    with pytest.raises(ScenarioError, match=r"data.test = 9: exceeds d = 8; orthogonal inputs need test <= d"):
        parse_scenario(BASE, overrides=["data={kind: orthogonal, n: 3, d: 8, test: 9}"])


def test_memory_is_asked_for_test_samples_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gflow.assembly.capacity.physical_memory", lambda: 20_000)
    build_data(parse_scenario(BASE, overrides=["data.test=null"]))
    with pytest.raises(ScenarioError, match=r"most of it for 40 x 30 .* \(test samples\) .*; use fewer test samples"):
        build_data(parse_scenario(BASE))
