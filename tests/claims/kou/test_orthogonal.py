"""ReLU on orthogonal inputs: the predicted limit and growth, and the sets that neurons must not leave."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.claims.kou.coefficient_rows import coefficient_rows_of
from gflow.claims.kou.setting import setting_of
from gflow.trajectory import Trajectory
from gflow.trajectory.rows import Events
from tests.claims.kou.runs import ORTHOGONAL, RELU, judge, run, with_start

ON_ORTHOGONAL = ("lemF2", "lemF2.rest", "lemF2.growth", "lemF2.rate", "lemF3", "rem4.4")


def test_orthogonal_relu_has_the_predicted_limit(tmp_path: Path) -> None:
    analyzed = run(tmp_path, ORTHOGONAL, RELU, "flow.until={log_time: 200.0}")
    claims = judge(analyzed)
    assert not [name for name in (*ON_ORTHOGONAL, "lemE1.c", "lemE2") if claims[name].verdict != "holds"]
    X, y, a = analyzed.trajectory.X, analyzed.trajectory.y, analyzed.trajectory.outer
    start = analyzed.trajectory.W_initial @ X.T >= 0
    ranks = []
    for sign in (1.0, -1.0):
        mine = start[a * sign > 0][:, y == sign]
        singular = np.linalg.svd(mine / mine.sum(axis=0), compute_uv=False)
        ranks.append((singular**2).sum() / singular[0] ** 2)
    found = claims["thm4.3.SR"].conclusion
    assert found is not None and found.constant == pytest.approx(max(ranks), rel=1e-9)


def test_the_print_of_lemma_f2_lacks_the_share_of_active_neurons(tmp_path: Path) -> None:
    """With 2 of 20 neurons active the printed lower bound log(1 + kap e^-beta t/2) fails, the corrected one holds."""
    rng = np.random.default_rng(5)
    W = -np.abs(rng.standard_normal((40, 12))) * 1e-3
    W[[0, 1, 38, 39]] *= -1.0
    analyzed = run(tmp_path, ORTHOGONAL, RELU, with_start(tmp_path, W), "flow.until={log_time: 60.0}")
    assert judge(analyzed)["lemF2.growth"].verdict == "holds"
    setting, course = setting_of(analyzed), coefficient_rows_of(analyzed)
    assert (setting.active_part == 0.1).all()
    printed = np.logaddexp(0.0, course.clock.log_t[-1] + setting.log_rate - setting.beta - np.log(2.0))
    assert (course.totals_of(analyzed.problem.y, own=True)[-1] < printed).all()


def test_a_neuron_that_leaves_its_set_violates(explicit: AnalyzedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    setting = setting_of(explicit)
    neuron, sample = (int(k[0]) for k in np.nonzero(setting.start))
    events = explicit.trajectory.events
    more = Events(
        np.append(events.log1p_time, 40.0),
        np.append(events.neuron, np.int32(neuron)),
        np.append(events.sample, np.int32(sample)),
        np.append(events.kind, np.int8(2)),
    )
    monkeypatch.setattr(Trajectory, "events", property(lambda self: more))
    claim = judge(explicit)["lem5.8"]
    assert claim.verdict == "violated"
    assert claim.conclusion is not None and (claim.conclusion.value, claim.conclusion.log1p_time) == (1.0, 40.0)
