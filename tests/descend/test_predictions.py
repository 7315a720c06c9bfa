"""Test samples in descent: its rows, results, reports and sweeps say of them what plain matrices say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import gflow
from gflow.assembly import build_setup
from gflow.errors import TrajectoryError
from gflow.report.comparison import comparison_text
from gflow.report.descent import result_text
from gflow.report.page import write_descent_page, write_figures, write_page
from gflow.report.summary import closing_table, inspection, inspection_text
from gflow.scenario import parse_scenario
from gflow.trajectory.layout import TEST_SERIES
from tests.pipeline.test_predictions import BASE, expected, samples_of, simulated

SCENARIO = parse_scenario(BASE)


def test_rows_of_descent(tmp_path: Path) -> None:
    """With weight decay the part of W outside the span shrinks, and test samples see it."""
    found = gflow.descend(SCENARIO, [0.5, 0.1], steps=30, weight_decay=0.3, out=tmp_path)
    rows = found.trajectory
    X, y = samples_of(rows)
    assert rows.read("outside", -1) < 0.5
    for row in range(0, rows.n_rows, 5):
        log_loss, share = expected(rows, row, X, y)
        assert abs(rows.series["test_log_loss"][row] - log_loss) < 1e-11
        assert rows.series["test_accuracy"][row] == share
    last = np.flatnonzero(rows.read("eta") == 0.1)[-1]
    assert found.run(0.1).test_accuracy == rows.series["test_accuracy"][last]
    assert found.run(0.1).test_log_loss == rows.series["test_log_loss"][last]


def test_every_seed_sees_the_outside_of_its_own_start(tmp_path: Path) -> None:
    found = gflow.descend(SCENARIO, [0.1], steps=5, seeds=[4, 5], starts="drawn", out=tmp_path / "all")
    for seed in (4, 5):
        text = BASE.replace("init: {kind: gaussian, std: 0.2}", f"init: {{kind: gaussian, std: 0.2, seed: {seed}}}")
        alone = gflow.descend(parse_scenario(text), [0.1], steps=5, out=tmp_path / str(seed))
        one, many = alone.run(0.1), found.run(0.1, seed)
        assert one.test_log_loss == pytest.approx(many.test_log_loss, rel=1e-12)
        assert one.test_accuracy == many.test_accuracy
    assert found.run(0.1, 4).test_log_loss != found.run(0.1, 5).test_log_loss


def test_descent_and_comparison_take_the_test_samples_of_a_run(tmp_path: Path) -> None:
    """Also where the files of its scenario are gone."""
    split = build_setup(SCENARIO)
    assert split.test is not None
    for name, X, y in (("train", split.problem.X, split.problem.y), ("test", split.test.X, split.test.y)):
        np.savez(tmp_path / f"{name}.npz", X=X, y=y)
    run = simulated(tmp_path / "run", f"data={{kind: file, path: {tmp_path}/train.npz, test: {tmp_path}/test.npz}}")
    for name in ("train", "test"):
        (tmp_path / f"{name}.npz").unlink()
    found = gflow.compare(run, [0.2, 0.1])
    for each in found.etas:
        series = each.series
        assert series.test_accuracy is not None and series.test_log_loss is not None
        assert series.test_log_loss_flow is not None and series.test_accuracy_flow is not None
        lengths = {len(series.log1p_time), len(series.test_accuracy), len(series.test_log_loss_flow)}
        assert len(lengths) == 1 and series.test_log_loss[0] == pytest.approx(series.test_log_loss_flow[0], abs=1e-12)
        last = series.test_log_loss_flow[-1], series.test_accuracy_flow[-1]
        assert last[0] == pytest.approx(run.series["test_log_loss"][-1], abs=1e-8)
        assert last[1] == run.series["test_accuracy"][-1]
    losses = [(each.series.test_log_loss, each.series.test_log_loss_flow) for each in found.etas]
    gaps = [np.abs(np.array(descent, float) - np.array(flow, float)).max() for descent, flow in losses]
    assert gaps[1] < 0.7 * gaps[0] < 0.1  # of first order in the step size
    assert "test accuracy (flow)" in comparison_text(found, run)
    stored = json.loads((run.path.parent / "comparison.json").read_text())
    page = write_page(run, None, stored, tmp_path / "report.html").read_text()
    figures = [path.stem for path in write_figures(run, None, stored, tmp_path / "figures", "svg")]
    assert {"accuracy", "test-loss", "accuracy-descent"} <= set(figures) and "How many labels are predicted?" in page
    older = {**stored, "etas": [{**each, "series": dict(each["series"])} for each in stored["etas"]]}
    for each in older["etas"]:
        for name in ("test_accuracy", "test_accuracy_flow", "test_log_loss", "test_log_loss_flow"):
            del each["series"][name]
    assert type(found).from_json(older).etas[0].series.test_accuracy is None  # as versions before wrote it


def test_what_is_shown(tmp_path: Path) -> None:
    run = simulated(tmp_path / "run")
    accuracy, log_loss = run.series["test_accuracy"][-1], run.series["test_log_loss"][-1]
    line = f"Test         accuracy {accuracy:.4g}, in training 1, log L {log_loss:.4g}; 40 samples"
    assert line in closing_table(run) and line in inspection_text(run)
    assert inspection(run)["last_row"]["test_accuracy"] == accuracy
    assert inspection(run)["table"][-1]["test_log_loss"] == log_loss
    found = gflow.descend(SCENARIO, [0.1], steps=5, out=tmp_path / "alone")
    assert "train acc.  test acc." in result_text(found)
    page = write_descent_page(found.trajectory, found, tmp_path / "page.html").read_text()
    assert "Test accuracy" in page and "How many labels of test samples are predicted?" in page


def test_without_test_samples_nothing_is_said_of_them(tmp_path: Path) -> None:
    data = "data={kind: gaussian, n: 8, d: 30}"
    run, plain = simulated(tmp_path / "run", data), parse_scenario(BASE, overrides=[data])
    found = gflow.descend(plain, [0.1], steps=5, out=tmp_path / "alone")
    assert found.run(0.1).test_accuracy is None and not set(TEST_SERIES) & set(found.trajectory.series)
    pages = [
        write_page(run, None, None, tmp_path / "a.html"),
        write_descent_page(found.trajectory, found, tmp_path / "b"),
    ]
    texts = [inspection_text(run), result_text(found), *(page.read_text() for page in pages)]
    assert not any("accuracy" in text or "test acc" in text for text in texts)


def test_descent_goes_on_with_its_own_test_samples_only(tmp_path: Path) -> None:
    """Other ones of the same scenario are another descent."""
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "train.npz", X=rng.standard_normal((6, 9)), y=[1.0, -1.0] * 3)
    np.savez(tmp_path / "test.npz", X=rng.standard_normal((6, 9)), y=[1.0, -1.0] * 3)
    files = f"data={{kind: file, path: {tmp_path}/train.npz, test: {tmp_path}/test.npz}}"
    scenario = parse_scenario(BASE, overrides=[files])
    gflow.descend(scenario, [0.1], steps=5, out=tmp_path / "out")
    gflow.descend(scenario, [0.1], steps=5, out=tmp_path / "out", resume=True)
    np.savez(tmp_path / "test.npz", X=rng.standard_normal((6, 9)), y=[1.0, -1.0] * 3)
    with pytest.raises(TrajectoryError, match=r"of another run than the one beside it \(X_test differ\)"):
        gflow.descend(scenario, [0.1], steps=5, out=tmp_path / "out", resume=True)


def test_a_sweep_has_them_in_its_table(tmp_path: Path) -> None:
    content = {"base": SCENARIO, "axes": {"init.std": [0.1, 0.3]}, "analyses": [], "descent": {"eta": [0.1]}}
    swept = gflow.sweep(content | {"name": "swept"}, out=tmp_path, workers=0)
    shares = np.array(swept.columns["series.test_accuracy"], dtype=float)
    assert shares.shape == (2,) and np.all((0.0 < shares) & (shares <= 1.0))
    assert {"descent.test_accuracy", "descent.test_log_loss", "series.test_log_loss"} <= set(swept.columns)
