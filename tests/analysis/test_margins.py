"""Margins against the scalar flows of orthogonal data, and a trajectory whose margin falls as negative control."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.margins import margins
from gflow.trajectory import open_trajectory
from tests.analysis.runs import file_of, gaussian, simulated

ORTHOGONAL = """
gflow: 1
name: orthogonal
data: {{kind: file, path: {path}}}
model: {{kind: two_layer, width: 6, activation: {{kind: leaky_relu, slope: 0.3}}}}
init: {{kind: gaussian, std: 0.2}}
loss: {loss}
flow: {{rtol: 1.0e-11, atol: 1.0e-12, until: {{log_time: {log_time}}}}}
record: {{times: {{spacing: loglog, count: 40}}}}
"""
NORMS = np.array([1.0, 2.0, 1.5])


def orthogonal(folder: Path, log_time: float, loss: str = "exponential") -> AnalyzedRun:
    """Three orthogonal samples of different lengths."""
    np.savez(folder / "data.npz", X=np.diag(NORMS), y=np.array([1.0, -1.0, 1.0]))
    return simulated(folder / "run", ORTHOGONAL.format(path=folder / "data.npz", log_time=log_time, loss=loss))


def copy_with(folder: Path, run: AnalyzedRun, name: str, values: np.ndarray) -> AnalyzedRun:
    """The same trajectory with another dataset."""
    path = folder / "copy.h5"
    path.write_bytes(file_of(run).path.read_bytes())
    with h5py.File(path, "r+") as file:
        file[name][...] = values
    return AnalyzedRun.of(open_trajectory(path))


@pytest.mark.parametrize("loss", ["exponential", "logistic"])
def test_multipliers_show_in_the_losses(tmp_path: Path, loss: str) -> None:
    """(t / n) g_i -> lambda_i = 1 / K_ii and t L -> sum lambda_i, both with an error O(1 / t)."""
    run = orthogonal(tmp_path, 60.0, loss)
    found = margins(run)
    assert found.asymptotics is not None
    assert found.asymptotics.worst_multiplier < 1e-9
    assert abs(found.asymptotics.loss) < 1e-9
    log_t, p = run.log1p_time[-1], run.last.p
    multipliers = 2.0 / ((1.0 + 0.3**2) * NORMS**2)
    np.testing.assert_allclose(p, log_t - np.log(3.0 * multipliers), atol=1e-8)
    assert found.limit_normalized_margin == pytest.approx(float(multipliers.sum()) ** -0.5, rel=1e-12)
    assert found.log_loss_ratio == pytest.approx(float(np.log(multipliers.max() / multipliers.min())), abs=1e-8)
    assert found.least_sample == int(np.argmin(p)) == 0
    assert found.spread == pytest.approx(float((p.max() - p.min()) / p.max()), rel=1e-12)


def test_early_the_multipliers_do_not_show(tmp_path: Path) -> None:
    """Negative control: at log t = 7 the same quotients are not yet 1; the exact error is that of the scalar flow,
    e^{M_i(t)} = e^{M_i(s)} + (t - s) / (n lambda_i) from any s after the last event on.
    """
    run = orthogonal(tmp_path, 7.0)
    found = margins(run)
    assert found.asymptotics is not None and found.asymptotics.worst_multiplier > 1e-4
    row = run.trajectory.n_rows - 4
    s, t = (np.expm1(run.log1p_time[k]) for k in (row, -1))
    assert run.trajectory.n_events == int(run.trajectory.read("series/events", row))
    multipliers = 2.0 / ((1.0 + 0.3**2) * NORMS**2)
    grown = np.exp(run.state(row).p) + (t - s) / (3.0 * multipliers)
    np.testing.assert_allclose(found.asymptotics.multipliers, np.log(t / (3.0 * grown * multipliers)), atol=1e-8)


def test_the_norm_grows_like_log_t(tmp_path: Path) -> None:
    """|W| / log t over |W*| comes near 1 only like 1 / log t."""
    gaps = []
    for log_time in (100.0, 1000.0):
        folder = tmp_path / str(log_time)
        folder.mkdir()
        found = margins(orthogonal(folder, log_time)).asymptotics
        assert found is not None
        gaps.append(abs(found.norm_ratio - 1.0))
    assert gaps[1] < 0.05 and gaps[0] / gaps[1] == pytest.approx(10.0, rel=0.1)


def test_the_smoothed_margin_grows_once_the_loss_is_small(tmp_path: Path) -> None:
    run = gaussian(tmp_path, 50.0)
    found = margins(run)
    assert found.verdict == "holds" and found.growth is not None
    below = run.trajectory.log_loss < np.log(np.log(2.0) / 6.0)
    assert found.growth.since == run.log1p_time[below][0]
    assert found.growth.rows == below.sum() > 10
    assert found.growth.largest_fall == 0.0
    assert found.normalized_margin is not None and found.smoothed_margin is not None
    assert found.limit_normalized_margin is not None
    assert found.smoothed_margin < found.normalized_margin < found.limit_normalized_margin


def test_both_layers_trained_grow_too(tmp_path: Path) -> None:
    """Homogeneity 2; no limit is known, so there is nothing to compare multipliers with."""
    found = margins(gaussian(tmp_path, 20.0, 0, 0.1, "model.outer={train: true}", "init.outer={std: 0.5}"))
    assert found.verdict == "holds" and found.asymptotics is None and found.limit_normalized_margin is None


def test_a_margin_that_falls_is_seen(tmp_path: Path) -> None:
    """Negative control: the same rows, one of them lower by a millionth of itself."""
    run = gaussian(tmp_path / "run", 50.0)
    values = run.trajectory.series["normalized_smoothed_margin"].copy()
    values[-1] = values[-2] * (1.0 - 1e-6)
    found = margins(copy_with(tmp_path, run, "series/normalized_smoothed_margin", values))
    assert found.verdict == "violated" and found.growth is not None
    assert found.growth.largest_fall == pytest.approx(1e-6, rel=1e-3)


def test_growth_is_not_judged_before_the_loss_is_small(tmp_path: Path) -> None:
    found = margins(gaussian(tmp_path, 0.05))
    assert found.verdict == "not applicable" and found.growth is None


def test_smooth_networks_are_not_judged(tmp_path: Path) -> None:
    smooth = "model.activation={kind: smooth_leaky_relu, slope: 0.1}"
    found = margins(gaussian(tmp_path, 20.0, 0, 0.1, smooth))
    assert found.verdict == "not applicable" and found.normalized_margin is None and found.growth is None


def test_sup_of_the_loss_ratio(tmp_path: Path) -> None:
    """At least the largest over the rows, and that of the run where the run keeps it."""
    run = gaussian(tmp_path, 20.0)
    log_g = run.problem.loss.log_slope(run.trajectory.margins)
    over_rows = float((log_g.max(axis=1) - log_g.min(axis=1)).max())
    found = margins(run)
    kept = run.extreme("sup_log_g_ratio")
    assert found.sup_log_loss_ratio == pytest.approx(over_rows if kept is None else kept[0], rel=1e-12)
    assert found.sup_log_loss_ratio >= over_rows * (1.0 - 1e-12)
