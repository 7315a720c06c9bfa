"""Descent beside the flow, from the files: the gap and its order, patterns, stability, the contract."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import gflow
from gflow.comparison import modified
from gflow.errors import GflowError
from gflow.trajectory import DESCENT_FILE_NAME
from tests.comparison.cases import CROWDED, HUBERIZED, SMOOTH, flow_weights, simulated
from tests.flow.driver import loglog_slope

ETAS = (0.016, 0.004, 0.001)
SEEDS = range(4)


def strict(path: Path) -> dict[str, object]:
    """A JSON file; ValueError for NaN or an infinite number."""

    def refuse(text: str) -> None:
        raise ValueError(text)

    content: dict[str, object] = json.loads(path.read_text(), parse_constant=refuse)
    return content


def test_the_gap_is_that_of_the_definition(tmp_path: Path) -> None:
    """|W_GD - W_GF| / |W_GF - W(0)| in W-space, from descent.h5 and a flow of its own, row by row."""
    trajectory = simulated(tmp_path)
    found = gflow.compare(trajectory, [0.02, 0.03])
    descent = gflow.open_trajectory(tmp_path / DESCENT_FILE_NAME)
    eta, step = descent.read("eta"), descent.read("step")
    W_start = trajectory.W_initial
    for run in found.etas:
        rows = np.flatnonzero((eta == run.eta) & (step > 0))
        times = run.eta * step[rows]
        flows = flow_weights(trajectory, times)
        gaps = [
            np.linalg.norm(descent.weights(int(row)) - W) / np.linalg.norm(W - W_start)
            for row, W in zip(rows, flows, strict=True)
        ]
        assert run.series.relative_gap[0] is None
        assert np.array(run.series.relative_gap[1:], dtype=float) == pytest.approx(gaps, rel=1e-4, abs=1e-7)
        assert np.expm1(np.array(run.series.log1p_time[1:], dtype=float)) == pytest.approx(times, rel=1e-12)
        late = [gap for gap, t in zip(gaps, times, strict=True) if t >= 0.4 - 1e-9]
        assert run.max_relative_gap == pytest.approx(max(late), rel=1e-4)
        assert run.steps == step[rows[-1]] == round(4.0 / run.eta)


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"etas": "0.1"}, "--eta = '0.1': must be a list of numbers"),
        ({"etas": 0.1}, "--eta = 0.1: must be a list of numbers"),
        ({"etas": ["0.1"]}, "--eta = '0.1': must be a number"),
        ({"etas": [1j]}, "--eta = 1j: must be a number"),
        ({"etas": [10**400]}, "--eta: must be a finite number of float64"),
        ({"until_time": "x"}, "--until-time = 'x': must be a number"),
        ({"sgd": 1.5}, "--sgd 1.5: must be an integer of at least 1"),
        ({"sgd": 2, "seed": "x"}, "--seed 'x': must be an integer of at least 0"),
        ({"sgd": True}, "--sgd True: must be an integer"),
        ({"device": "tpu"}, "--device 'tpu': is not available; use one of cpu, cuda"),
        ({"precision": "half"}, "--precision 'half': is not available; use one of double, single"),
    ],
)
def test_what_is_no_number_or_choice_is_told_in_words(
    tmp_path: Path, wrong: dict[str, Any], words: str
) -> None:  # Any: whatever a user may give
    with pytest.raises(GflowError, match=words):
        gflow.compare(simulated(tmp_path), **({"etas": [0.1]} | wrong))
    assert not (tmp_path / DESCENT_FILE_NAME).exists()


def test_step_sizes_and_batches_of_numpy(tmp_path: Path) -> None:
    trajectory, batches = simulated(tmp_path), {"sgd": 2, "seed": 3}
    whole: dict[str, Any] = dict(batches)  # Any: as below
    by_numpy: dict[str, Any] = {name: np.int64(number) for name, number in batches.items()}  # Any: numbers of numpy
    expected = gflow.compare(trajectory, [0.2, 0.1], **whole)
    assert gflow.compare(trajectory, np.array([0.2, 0.1]), **by_numpy) == expected


def test_descent_rows_are_descent(tmp_path: Path) -> None:
    """The weights in descent.h5 are those of the plain loop, in W-space."""
    trajectory = simulated(tmp_path, slope=0.0)
    gflow.compare(trajectory, [0.05])
    descent = gflow.open_trajectory(tmp_path / DESCENT_FILE_NAME)
    X, y, a, W = trajectory.X, trajectory.y, trajectory.outer, trajectory.W_initial.copy()
    for _ in range(80):
        z = W @ X.T
        p = y * (a @ np.maximum(z, 0.0))
        W = W + 0.05 / y.size * ((a[:, None] * (z > 0.0) * (y / (1.0 + np.exp(p)))) @ X)
    assert descent.weights(descent.n_rows - 1) == pytest.approx(W, abs=1e-12)
    assert descent.series["steps"][-1] == descent.read("step", -1) == 80


@pytest.mark.sample("0.0-logistic")
@pytest.mark.parametrize("slope, loss", [(0.0, "logistic"), (0.1, "exponential")])
def test_the_order_is_one_across_kinks(tmp_path: Path, slope: float, loss: str) -> None:
    """A kink passed between two steps costs a share of eta that depends on where they fall: seeds are averaged."""
    gaps = []
    for seed in SEEDS:
        found = gflow.compare(simulated(tmp_path / str(seed), seed=seed, slope=slope, loss=loss), ETAS)
        gaps.append([run.max_relative_gap for run in found.etas])
        assert found.fitted_order is not None and found.fitted_order_interval is not None
        low, high = found.fitted_order_interval
        assert low < found.fitted_order < high and found.fitted_order_points == len(ETAS)
        assert found.fitted_order == pytest.approx(loglog_slope(ETAS, np.array(gaps[-1], dtype=float)), abs=1e-9)
    assert 0.9 < loglog_slope(ETAS, np.exp(np.log(np.array(gaps, dtype=float)).mean(axis=0))) < 1.1


def test_the_order_is_two_beside_the_modified_flow(tmp_path: Path) -> None:
    found = gflow.compare(simulated(tmp_path, SMOOTH), ETAS, modified=True)
    assert found.fitted_order is not None and 0.95 < found.fitted_order < 1.05
    assert found.modified is not None and found.modified.fitted_order is not None
    assert 1.95 < found.modified.fitted_order < 2.05
    for run, beside in zip(found.etas, found.modified.etas, strict=True):
        assert run.max_relative_gap is not None and beside.max_relative_gap is not None
        assert beside.max_relative_gap < 0.1 * run.max_relative_gap
    with pytest.raises(GflowError, match="smooth activation"):
        gflow.compare(simulated(tmp_path / "kinked"), ETAS, modified=True)


@pytest.mark.slow
def test_the_order_is_two_where_the_second_derivative_jumps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Huberized ReLU, in a number of evaluations that is known beforehand; what they do not reach is said."""
    trajectory, etas = simulated(tmp_path, HUBERIZED), (0.16, 0.08, 0.04)
    found = gflow.compare(trajectory, etas, modified=True)
    assert found.modified is not None and found.modified.fitted_order is not None
    assert 1.8 < found.modified.fitted_order < 2.2 and "known to" in found.modified.summary
    for run, beside in zip(found.etas, found.modified.etas, strict=True):
        assert run.max_relative_gap is not None and beside.max_relative_gap is not None
        assert beside.max_relative_gap < 0.2 * run.max_relative_gap
    monkeypatch.setattr(modified, "MOST_EVALUATIONS", 400)
    short = gflow.compare(trajectory, etas, modified=True)
    assert short.modified is not None and "only as far as 400 evaluations lead" in short.modified.summary


def test_steps_of_the_modified_flow_are_of_fourth_order() -> None:
    """A rotation, at times that are multiples of the step, beside the exact flow and scipy's method."""

    def turning(_: float, theta: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([-theta[1], theta[0]])

    start, times = np.array([1.0, 0.0]), np.array([0.0, 0.8, 4.0])
    exact = np.column_stack([np.cos(times), np.sin(times)])
    errors = [
        np.abs(modified.stepped_states(turning, start, times, step, lambda _: None) - exact).max()
        for step in (0.1, 0.05)
    ]
    assert 14.0 < errors[0] / errors[1] < 18.0
    assert np.abs(modified.smooth_states(turning, start, times, lambda _: None) - exact).max() < 1e-10


@pytest.mark.slow
@pytest.mark.parametrize("slope", [0.0, 0.1])
def test_patterns_agree_as_the_step_goes_to_zero(tmp_path: Path, slope: float) -> None:
    """Apart from sliding pairs, which a descent never shows as such: it is on one side of the kink."""
    for seed in SEEDS:
        found = gflow.compare(simulated(tmp_path / str(seed), seed=seed, slope=slope), [0.1, 0.0005])
        trajectory = gflow.open_trajectory(tmp_path / str(seed))
        sliding = np.mean(trajectory.pattern[-1] == 0)
        fine = found.etas[-1]
        assert fine.pattern_agreement == 1.0
        assert fine.pattern_agreement_all == pytest.approx(1.0 - sliding, abs=1e-12)
        shares = fine.sliding_pairs
        if shares.rows:
            assert shares.plus is not None and shares.minus is not None
            assert shares.plus + shares.minus == pytest.approx(1.0)


def test_a_step_above_the_stability_threshold_is_told(tmp_path: Path) -> None:
    """Negative control: at 1.5 times 8 n / lambda_max(K) the loss rises, at half of it, it never does."""
    trajectory = simulated(tmp_path, CROWDED, seed=5, slope=0.5)
    threshold = gflow.compare(trajectory, [0.1]).etas[0].stability_threshold
    assert threshold is not None
    assert threshold == pytest.approx(8.0 * 8 / np.linalg.eigvalsh(kernel(trajectory))[-1], rel=1e-9)
    bad, good = gflow.compare(trajectory, [1.5 * threshold, 0.5 * threshold], until_time=300.0 * threshold).etas
    assert bad.loss_rises is not None and bad.loss_rises > 10
    assert bad.largest_loss_rise is not None and bad.largest_loss_rise > 0.0
    assert bad.sharpness_times_eta is not None and bad.sharpness_times_eta > 2.0
    for words in ("above the stability threshold", "edge of stability", f"the loss rises {bad.loss_rises} times"):
        assert words in bad.verdict and words not in good.verdict
    assert good.loss_rises == 0 and good.sharpness_times_eta is not None and good.sharpness_times_eta < 2.0


def kernel(trajectory: gflow.Trajectory) -> NDArray[np.float64]:
    """<grad p_i, grad p_k> (n, n) at the last row, which nothing slides in."""
    pattern = trajectory.pattern[-1]
    assert (pattern != 0).all()
    slopes = np.where(pattern > 0, 1.0, 0.5)
    gradients = trajectory.y[:, None, None] * (trajectory.outer[:, None] * slopes).T[..., None] * trajectory.X[:, None]
    rows = gradients.reshape(trajectory.y.size, -1)
    return np.asarray(rows @ rows.T)


def test_divergence_is_an_outcome(tmp_path: Path) -> None:
    found = gflow.compare(simulated(tmp_path, loss="exponential"), [2e3, 10.0], until_time=2e4)
    bad, good = found.etas
    assert bad.outcome == "diverged" and "diverges, at step" in bad.verdict
    assert len(bad.series.log1p_time) < bad.steps == 10
    assert gflow.open_trajectory(tmp_path / DESCENT_FILE_NAME).outcome == "diverged"


def test_the_contract(tmp_path: Path) -> None:
    """The keys of the contract, finite numbers, arrays of at most 400 entries, and the file is what is returned."""
    trajectory = simulated(tmp_path)
    found = gflow.compare(trajectory, [0.1, 0.05])
    content = strict(tmp_path / "comparison.json")
    assert content == json.loads(json.dumps(found.to_json()))
    runs = content["etas"]
    assert isinstance(runs, list) and [run["eta"] for run in runs] == [0.1, 0.05]
    promised = {
        "eta",
        "steps",
        "max_relative_gap",
        "first_pattern_disagreement_time",
        "final_direction_angle",
        "pattern_agreement",
        "verdict",
    }
    for run in runs:
        assert promised <= run.keys()
        series = {name: values for name, values in run["series"].items() if values is not None}
        assert len({len(values) for values in series.values()}) == 1
        assert 2 <= len(series["log1p_time"]) <= 400
    assert isinstance(content["fitted_order"], float) and content["fitted_order_interval"] is None
    about = content["trajectory"]
    assert isinstance(about, dict) and about["scenario_sha256"] == trajectory.scenario_sha256
    command = content["command"]
    assert isinstance(command, str) and command.startswith(f"gflow compare {tmp_path} --eta 0.1 --eta 0.05")


def test_the_angle_to_a_proved_limit(tmp_path: Path) -> None:
    """It is that of W_GD in W-space to the limit that the analyzer of directions knows."""
    trajectory = simulated(tmp_path, slope=0.5)
    run = gflow.compare(trajectory, [0.02]).etas[0]
    from gflow.analysis.analyzed_run import AnalyzedRun

    limit = AnalyzedRun.of(trajectory).limit
    assert limit is not None and run.angle_to_limit is not None
    W = gflow.open_trajectory(tmp_path / DESCENT_FILE_NAME).weights(-1 % (len(run.series.log1p_time)))
    target = limit.U @ trajectory.basis
    cosine = np.sum(W * target) / np.linalg.norm(W) / np.linalg.norm(target)
    assert run.angle_to_limit == pytest.approx(np.arccos(cosine), abs=1e-9)


def test_stochastic_descent_is_seeded(tmp_path: Path) -> None:
    trajectory = simulated(tmp_path)
    first = gflow.compare(trajectory, [0.05], sgd=2, seed=3)
    again = gflow.compare(trajectory, [0.05], sgd=2, seed=3)
    other = gflow.compare(trajectory, [0.05], sgd=2, seed=4)
    assert first == again and first.etas[0].series != other.etas[0].series
    assert first.etas[0].kind == "sgd" and first.etas[0].seed == 3 and first.etas[0].loss_rises is None
    whole = gflow.compare(trajectory, [0.05], sgd=6, seed=3).etas[0]
    plain = gflow.compare(trajectory, [0.05]).etas[0]
    assert whole.max_relative_gap == pytest.approx(plain.max_relative_gap, rel=1e-9)


def test_single_precision_is_warned_of(tmp_path: Path) -> None:
    trajectory = simulated(tmp_path, slope=0.5)
    single = gflow.compare(trajectory, [2.0], until_time=2e4, precision="single")
    assert len(single.warnings) == 1 and "float32" in single.warnings[0]
    assert gflow.compare(trajectory, [0.5]).warnings == ()
