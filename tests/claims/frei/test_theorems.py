"""Claims of Frei et al.: they hold where their hypotheses do, are silent elsewhere, and fail on a wrong limit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.claims import data
from gflow.claims.frei import bounds, convergence, example, fitting, items, linear, theorems
from gflow.claims.frei.rows import paper_time
from gflow.claims.frei.setting import setting_of
from gflow.limit.limit_point import LimitPoint
from tests.claims.frei.runs import closed_form, ending_at, judged, simulated

ITEMS = {
    "frei.thm3.2.item1",
    "frei.thm3.2.item2",
    "frei.thm3.2.item2.rank",
    "frei.thm3.2.item3",
    "frei.thm3.2.item3.range",
    "frei.thm3.2.item3.signs",
    "frei.thm3.2.item4",
    "frei.thm3.2.item5",
    "frei.thm3.2.item5.constraints",
    "frei.thm3.2.item6",
    "frei.thm3.2.item6.cases",
    "frei.thm3.2.item7",
    "frei.thm3.2.item7.margins",
    "frei.lemB1",
    "frei.lemB2",
    "frei.cor3.5",
    "frei.sec5.xor",
}


def test_everything_holds_on_nearly_orthogonal_data(leaky: AnalyzedRun) -> None:
    assert theorems.applies(leaky) and bounds.applies(leaky) and not example.applies(leaky)
    claims = judged(leaky, theorems.CLAIMS, bounds.CLAIMS)
    assert set(claims) >= ITEMS
    assert [id for id, claim in claims.items() if claim.verdict == "violated"] == []
    silent = {id for id, claim in claims.items() if claim.verdict == "not applicable"}
    assert not silent & ITEMS
    assert not any(id.startswith(("frei.thm3.1", "frei.thm3.4")) for id in silent)


@pytest.mark.parametrize("start", ["{kind: gaussian, std: 1.0e-3}", "{kind: gaussian, std: 3.0}"])
@pytest.mark.parametrize("loss", ["logistic", "exponential"])
def test_any_start_and_both_losses_end_in_the_closed_form(tmp_path: Path, start: str, loss: str) -> None:
    run = simulated(tmp_path, f"init={start}", f"loss={loss}", "flow.until={log_time: 200.0}")
    claims = judged(run, theorems.CLAIMS)
    assert claims["frei.cor3.5"].verdict == claims["frei.thm3.1.kkt"].verdict == "holds"
    assert [id for id, claim in claims.items() if claim.verdict == "violated"] == []
    limit = run.limit
    assert limit is not None
    assert np.abs(limit.U - closed_form(run).U).max() < 1e-6


def test_without_near_orthogonality_nothing_is_claimed(crowded: AnalyzedRun) -> None:
    """Though the limit is judged for information, no claim that needs NO32 is ever violated."""
    claims = judged(crowded, theorems.CLAIMS)
    dependent = ITEMS | {"frei.thm3.4", "frei.thm3.4.sep", "frei.thm3.4.proxyPL", "frei.thm3.4.tau"}
    assert {claims[id].verdict for id in dependent} == {"not applicable"}
    NO32 = claims["frei.thm3.2.item1"].hypotheses[0]
    assert not NO32.holds and NO32.slack is not None and NO32.slack < 1.0


def test_an_unknown_limit_is_no_violation(leaky: AnalyzedRun) -> None:
    claims = judged(ending_at(leaky, None), items.CLAIMS, linear.CLAIMS, (theorems.corollary_35,))
    assert {claim.verdict for claim in claims.values()} == {"not applicable"}
    assert all(claim.conclusion is None for claim in claims.values())


def perturbed(run: AnalyzedRun, kind: str) -> LimitPoint:
    """A wrong limit."""
    point, rng = closed_form(run), np.random.default_rng(0)
    size = np.linalg.norm(point.U) / np.sqrt(point.U.size)
    a = run.problem.network.outer
    if kind == "rows":  # each row another
        return replace(point, U=point.U + 1e-3 * size * rng.standard_normal(point.U.shape))
    if kind == "direction":  # all rows of one sign alike
        noise = 1e-3 * size * rng.standard_normal(point.U.shape[1])
        return replace(point, U=point.U + np.where(a[:, None] > 0.0, noise, 0.0))
    if kind == "size":
        return replace(point, U=10.0 * point.U)
    if kind == "small":
        return replace(point, U=0.5 * point.U, multipliers=0.01 * point.multipliers)
    if kind == "exchanged":
        rows = [point.U[a < 0.0].mean(axis=0), point.U[a > 0.0].mean(axis=0)]
        return replace(point, U=np.where(a[:, None] > 0.0, rows[0], rows[1]))
    return replace(point, multipliers=10.0 * point.multipliers)


FAILS = {
    "rows": {"item1", "item2", "item2.rank", "item4", "item6", "item6.cases"},
    "direction": {"item1", "item3", "item4", "item5", "item5.constraints"},
    "size": {"item3.range", "item5", "item7"},
    "small": {"item5", "item5.constraints", "item7.margins", "lemB2"},
    "exchanged": {"item1", "item3.signs", "item4", "item5", "item5.constraints", "item7.margins"},
    "multipliers": {"lemB1"},
}


@pytest.mark.parametrize("kind", FAILS)
def test_a_wrong_limit_violates(leaky: AnalyzedRun, kind: str) -> None:
    claims = judged(ending_at(leaky, perturbed(leaky, kind)), items.CLAIMS, linear.CLAIMS)
    violated = {id for id, claim in claims.items() if claim.verdict == "violated"}
    wanted = {f"frei.{name}" if name.startswith("lem") else f"frei.thm3.2.{name}" for name in FAILS[kind]}
    assert violated >= wanted
    assert kind != "rows" or linear.xor(ending_at(leaky, perturbed(leaky, kind))).verdict == "violated"
    whole = theorems.corollary_35(ending_at(leaky, perturbed(leaky, kind)))
    assert whole.verdict == ("holds" if kind == "multipliers" else "violated")
    assert convergence.theorem_31_kkt(ending_at(leaky, perturbed(leaky, kind))).verdict == "violated"


def test_another_scale_of_the_outer_layer_is_the_same_claim(leaky: AnalyzedRun, tmp_path: Path) -> None:
    """|a_j| = 2/m instead of m^-1/2, and W(0) larger by as much: all in the units of the paper agree."""
    scale = float(np.sqrt(4.0 / 12.0))
    start = f"init={{kind: gaussian, scale: {1.0 / scale!r}, relative_to: tensorflow}}"
    other = simulated(tmp_path, "model.outer.scale=inverse_half_width", start)
    assert setting_of(other).scale == pytest.approx(scale)
    ours, theirs = (judged(run, theorems.CLAIMS, bounds.CLAIMS) for run in (leaky, other))
    for id in ("item3.range", "item7", "item7.margins", "item5.constraints"):
        a, b = (claims[f"frei.thm3.2.{id}"].conclusion for claims in (ours, theirs))
        assert a is not None and b is not None and a.value == pytest.approx(b.value, rel=1e-7)
    for id in ("frei.lemB1", "frei.lemB2", "frei.lemE1", "frei.lemE1.mu", "frei.init.SR"):
        a, b = (claims[id].conclusion for claims in (ours, theirs))
        assert a is not None and b is not None and a.value == pytest.approx(b.value, rel=1e-7)
    assert [id for id, claim in theirs.items() if claim.verdict == "violated"] == []
    assert paper_time(np.array([0.0, 3.0, 500.0]), scale) == pytest.approx(
        [0.0, np.log1p(scale**2 * np.expm1(3.0)), 500.0 + 2.0 * np.log(scale)]
    )


def test_the_time_to_fit_against_a_finer_run(leaky: AnalyzedRun, tmp_path: Path) -> None:
    finer = simulated(tmp_path, "flow.until={log_loss: -3.0}", "record.times.count=200")
    level = np.log(np.log(2.0) / 6.0)
    crossing = np.interp(-level, -finer.trajectory.log_loss, finer.log1p_time)
    found = fitting.theorem_34(finer)
    assert found.verdict == "holds" and found.conclusion is not None
    value, bound = found.conclusion.value, found.conclusion.bound
    assert value is not None and bound is not None and found.conclusion.slack is not None
    assert crossing <= value < crossing + 0.05
    sizes = data.sizes_of(finer)
    wanted = 85.0 * np.exp(finer.trajectory.log_loss[0]) * sizes.R**2 * 6**3 / (0.25 * sizes.Rmin**2)
    assert np.expm1(bound) == pytest.approx(wanted)
    assert found.conclusion.slack == pytest.approx(wanted / np.expm1(value))


def test_a_run_that_is_too_short_decides_nothing(tmp_path: Path) -> None:
    run = simulated(tmp_path, "flow.until={time: 0.5}", "record.times.count=5")
    claims = judged(run, theorems.CLAIMS)
    for id in ("frei.thm3.1.loss", "frei.thm3.1.norm", "frei.thm3.4", "frei.thm3.4.tau", "frei.thm3.4.tau.margins"):
        assert claims[id].verdict == "not applicable"
    assert claims["frei.thm3.4.proxyPL"].verdict == "holds"


def test_gaussian_inputs_have_their_constants(tmp_path: Path, leaky: AnalyzedRun) -> None:
    run = simulated(tmp_path, "data={kind: gaussian, n: 6, d: 3000}", "flow.until={time: 0.1}")
    for claim in (theorems.lemma_33_norms(run), theorems.lemma_33_coherence(run)):
        assert claim.verdict == "holds" and claim.conclusion is not None
        assert claim.conclusion.constant is not None and 0.1 < claim.conclusion.constant < 5.0
    assert theorems.lemma_33_norms(leaky).verdict == "not applicable"


@pytest.mark.parametrize(
    "override",
    [
        "model.activation={kind: relu}",
        "model.bias=true",
        "model.outer={train: true}",
        "model.activation={kind: linear}",
    ],
)
def test_other_networks_are_left_alone(tmp_path: Path, override: str) -> None:
    run = simulated(tmp_path, override, "flow.until={time: 0.1}", "record.times.count=3")
    assert not theorems.applies(run) and not bounds.applies(run)
