"""Bounds of Frei et al., Section 4: the measures of rows, and that every bound can hold and fail."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.claims.frei import bounds, theorems
from gflow.claims.frei import rows as measured
from gflow.claims.frei.pointwise import curvature
from gflow.claims.frei.rows import Rows, rows_of
from gflow.claims.frei.setting import setting_of
from gflow.problem.activation import SmoothLeaky
from tests.claims.frei.runs import judged, simulated

Array = NDArray[np.float64]


@pytest.mark.parametrize("which", ["leaky", "crowded", "smooth"])
def test_measures_of_rows_against_the_network_itself(which: str, request: pytest.FixtureRequest) -> None:
    """Gradients from full weights; margin speeds from neighbouring states; the crowded run slides."""
    run: AnalyzedRun = request.getfixturevalue(which)
    trajectory, measures = run.trajectory, rows_of(run).measures
    X, y, a = trajectory.X, trajectory.y, trajectory.outer
    for row in range(0, trajectory.n_rows, 7):
        W, pattern = trajectory.weights(row), trajectory.pattern[row]
        g = 1.0 / (1.0 + np.exp(trajectory.margins[row]))
        z = W @ X.T
        slopes = 0.5 + 0.5 / (1.0 + np.exp(-z)) if which == "smooth" else np.where(z > 0.0, 1.0, 0.5)
        if (pattern == 0).any():
            continue
        descent = a[:, None] * ((slopes * (y * g)) @ X) / y.size / g.mean()
        speeds = y * (a @ (slopes * (descent @ X.T)))
        mu = y @ X
        reach_rate = np.sign(a) * (descent @ mu) / np.abs(a)
        assert measures.log_ghat[row] == pytest.approx(np.log(g.mean()), rel=1e-9)
        assert measures.log_g_ratio[row] == pytest.approx(np.log(g.max() / g.min()), rel=1e-8, abs=1e-12)
        assert measures.gradient[row] == pytest.approx(np.linalg.norm(descent), rel=1e-8)
        assert measures.margin_speed[row] == pytest.approx(speeds.min(), rel=1e-8)
        assert measures.reach_rate[row] == pytest.approx(reach_rate.min(), rel=1e-8)
        assert measures.neuron_norm[row] == pytest.approx((np.linalg.norm(W, axis=1) / np.abs(a)).min(), rel=1e-8)
        squares = np.linalg.norm(X, axis=1) ** 2
        low, high = 0.25 * squares.min(), squares.max()
        drift = (speeds - high * g / g.sum())[None, :] - (speeds - low * g / g.sum())[:, None]
        assert measures.ratio_drift[row] == pytest.approx(drift.max(), rel=1e-8)


def test_sliding_rows_move_with_the_least_norm_velocity(crowded: AnalyzedRun) -> None:
    """Between two close rows of one sliding mode the weights move by velocity times dtau."""
    trajectory = crowded.trajectory
    sliding = np.flatnonzero(trajectory.series["sliding"] > 0)
    rows = [k for k in sliding[:-1] if np.array_equal(trajectory.pattern[k], trajectory.pattern[k + 1])]
    assert rows
    k = min(rows, key=lambda row: float(trajectory.tau[row + 1] - trajectory.tau[row]))
    moved = np.linalg.norm(trajectory.inner[k + 1] - trajectory.inner[k]) / np.diff(trajectory.tau)[k]
    ratios = rows_of(crowded).measures.gradient[k : k + 2]
    assert ratios.min() * 0.99 < moved < ratios.max() * 1.01


def test_bounds_of_section_4_where_their_hypotheses_hold(smooth: AnalyzedRun, nearly: AnalyzedRun) -> None:
    assert bounds.applies(smooth) and not theorems.applies(smooth)
    claims = judged(smooth, bounds.CLAIMS)
    assert {claim.verdict for claim in claims.values()} == {"holds"}
    same = judged(nearly, bounds.CLAIMS)
    silent = {id for id, claim in same.items() if claim.verdict == "not applicable"}
    assert silent == {"frei.lemE2", "frei.lemE3.lip"}
    assert [id for id, claim in same.items() if claim.verdict == "violated"] == []


def test_every_bound_of_section_4_can_fail(nearly: AnalyzedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that no flow has: each claim on them is violated."""
    monkeypatch.setattr(AnalyzedRun, "extreme", lambda _, name: None)
    rows = rows_of(nearly)
    measures = rows.measures
    wrong: list[tuple[Rows, set[str]]] = [
        (replace(rows, tau=1e-2 * rows.tau), {"frei.lemE12", "frei.lemE12.neurons"}),
        (replace(rows, tau=1e2 * rows.tau), {"frei.thm4.2.item2", "frei.lemE13", "frei.lemE13.neurons"}),
        (replace(rows, stable_rank=1e6 * rows.stable_rank), {"frei.thm4.2.item3"}),
        (replace(rows, v=rows.v + 10.0), {"frei.thm4.2.item1"}),
    ]
    changed: list[tuple[dict[str, Array], set[str]]] = [
        ({"gradient": 0.1 * measures.gradient}, {"frei.lemE14", "frei.thm3.4.proxyPL"}),
        ({"gradient": 10.0 * measures.gradient}, {"frei.lemE3.grad"}),
        ({"log_ghat": measures.log_ghat + 0.5}, {"frei.lemE3.ghat"}),
        ({"log_g_ratio": measures.log_g_ratio + 4.5}, {"frei.lemE4"}),
        ({"margin_gap": measures.margin_gap + 4.5}, {"frei.lemE4.exp"}),
        ({"ratio_drift": measures.ratio_drift + 1.0}, {"frei.lemE8"}),
        ({"margin_speed": 0.05 * measures.margin_speed}, {"frei.lemE11.b"}),
        ({"neuron_gradient": 20.0 * measures.neuron_gradient}, {"frei.lemE12.rate"}),
        ({"reach_rate": 0.1 * measures.reach_rate}, {"frei.lemE13.inc"}),
        ({"output_ratio": 10.0 * measures.output_ratio}, {"frei.lemE11.a"}),
        ({"least_margin": -measures.least_margin}, {"frei.thm3.4.tau.margins"}),
        ({"least_margin": np.minimum(measures.least_margin, 0.01)}, {"frei.lemE11.c"}),
    ]
    wrong += [(replace(rows, measures=replace(measures, **change)), ids) for change, ids in changed]
    for instead, ids in wrong:
        monkeypatch.setitem(measured._known, nearly.trajectory, instead)
        claims = judged(nearly, theorems.CLAIMS, bounds.CLAIMS)
        assert {claims[id].verdict for id in ids} == {"violated"}, ids


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> AnalyzedRun:
    """The data of `nearly` from a start so large that margins differ by more than the log of Proposition E.10."""
    std = "init={kind: gaussian, std: 6.0}"
    return simulated(tmp_path_factory.mktemp("large"), "data.coherence=2.0e-5", std, "record.times.count=200")


def test_proposition_e10_from_a_large_start(large: AnalyzedRun) -> None:
    """The ratio starts above rho once all are fitted, where Lemma E.4 says nothing, and falls."""
    claims, measures = judged(large, bounds.CLAIMS), rows_of(large).measures
    claim = claims["frei.propE10"]
    sizes = setting_of(large).sizes
    rho = np.log(5.0 * sizes.R**2 / 0.25 + 5.0)
    first = int(np.flatnonzero(measures.least_margin > 0.0)[0])
    assert measures.margin_gap[first] > rho > measures.margin_gap[-1]
    assert claim.verdict == "holds" and claims["frei.lemE4"].verdict == "not applicable"
    assert claims["frei.lemE11.c"].verdict == "not applicable"


@pytest.mark.parametrize("rise", [(0.0, 0.5), (4.0, 0.5), (-9.0, 9.0)])
def test_a_ratio_that_rises_violates_proposition_e10(
    large: AnalyzedRun, rise: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above rho any rise does, from below it one to above."""
    rows = rows_of(large)
    first = int(np.flatnonzero(rows.measures.least_margin > 0.0)[0])
    gap = rows.measures.margin_gap.copy()
    gap[first + 1] = gap[first] + rise[0]
    gap[first + 2] = gap[first + 1] + rise[1]
    monkeypatch.setitem(
        measured._known, large.trajectory, replace(rows, measures=replace(rows.measures, margin_gap=gap))
    )
    assert judged(large, bounds.CLAIMS)["frei.propE10"].verdict == "violated"


def test_proposition_e10_lets_ratios_move_below_its_bound(large: AnalyzedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = rows_of(large)
    wavy = np.where(np.arange(rows.v.size) % 2 == 0, 3.0, 0.1)
    measures = replace(rows.measures, margin_gap=wavy)
    monkeypatch.setitem(measured._known, large.trajectory, replace(rows, measures=measures))
    assert judged(large, bounds.CLAIMS)["frei.propE10"].verdict == "holds"
    unfitted = replace(measures, least_margin=0.0 * rows.v - 1.0)
    monkeypatch.setitem(measured._known, large.trajectory, replace(rows, measures=unfitted))
    assert judged(large, bounds.CLAIMS)["frei.propE10"].verdict == "not applicable"


def test_running_extremes_take_precedence(leaky: AnalyzedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {
        "sup_log_g_ratio": (0.25, 1.0),
        "sup_margin_gap": (0.5, 2.0),
        "inf_gradient_ratio": (1e-3, 3.0),
        "sup_gradient_ratio": (9.0, 4.0),
        "inf_margin_rate": (1e-9, 5.0),
        "sup_loss_rise": (1e-3, 6.0),
        "sup_norm_fall": (1e-2, 7.0),
        "last_unfitted": (2.5, 8.0),
        "last_unfitted_g": (3.5, 9.0),
    }
    monkeypatch.setattr(AnalyzedRun, "extreme", lambda _, name: None)
    before = judged(leaky, theorems.CLAIMS, bounds.CLAIMS)
    monkeypatch.setattr(AnalyzedRun, "extreme", lambda _, name: kept.get(name))
    claims = judged(leaky, theorems.CLAIMS, bounds.CLAIMS)
    found = {
        "frei.lemE4": "sup_log_g_ratio",
        "frei.lemE4.exp": "sup_margin_gap",
        "frei.thm3.4.proxyPL": "inf_gradient_ratio",
        "frei.lemE14": "inf_gradient_ratio",
        "frei.lemE3.grad": "sup_gradient_ratio",
        "frei.lemE11.b": "inf_margin_rate",
        "frei.thm3.1.loss": "sup_loss_rise",
        "frei.thm3.1.norm": "sup_norm_fall",
    }
    for id, name in found.items():
        conclusion = claims[id].conclusion
        assert conclusion is not None and (conclusion.value, conclusion.log1p_time) == kept[name]
        assert claims[id].checked == "every step" and before[id].checked == "rows"
    violated = {id for id, claim in claims.items() if claim.verdict == "violated"}
    silent = {"frei.lemE4", "frei.lemE4.exp"}  # on this start
    assert violated == set(found) - silent
    for id, name in (("frei.thm3.4", "last_unfitted"), ("frei.thm3.4.tau", "last_unfitted_g")):
        conclusion, rows = claims[id].conclusion, before[id].conclusion
        assert conclusion is not None and rows is not None and rows.value is not None
        assert conclusion.value == min(kept[name][0], rows.value)


def test_lemma_e2_is_sharp_in_its_constant() -> None:
    """phi'' is (1 - slope) / 4 at 0, so one neuron moved about there uses up the whole bound."""
    phi, h = SmoothLeaky(0.3), 1e-4
    second = (phi.value(np.array([h])) - 2.0 * phi.value(np.zeros(1)) + phi.value(np.array([-h]))) / h**2
    assert second[0] == pytest.approx(curvature(phi), rel=1e-6)
