"""Lemmas 2.3 and 2.4, Theorem 2.2: both losses, only where they are claimed; the width, which no run has, is given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.gradient import Along, along
from gflow.claims.claim import Claim, condition
from gflow.claims.telgarsky import ntk
from gflow.claims.telgarsky.data import ntk_margin, ntk_of_outer_map, separation
from tests.claims.telgarsky.runs import CONES, PARITY, made, on_circle, with_rows

Array = NDArray[np.float64]


@pytest.fixture(scope="module", params=["exponential", "logistic"])
def separable(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AnalyzedRun:
    folder = tmp_path_factory.mktemp("separable")
    np.savez(folder / "data.npz", X=on_circle([-6.0, 6.0, 175.0, 183.0]), y=np.array([1.0, 1.0, -1.0, -1.0]))
    return made(folder, CONES.format(data=folder / "data.npz"), f"loss={request.param}", "model.width=60")


@pytest.fixture(autouse=True)
def _wide_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ntk, "wide", lambda run, log_bound: condition("width m", True))


def judged(run: AnalyzedRun) -> dict[str, Claim]:
    return {claim.id: claim for claim in (judge(run) for judge in ntk.CLAIMS)}


def test_lemma_2_3_is_judged_for_both_losses(separable: AnalyzedRun) -> None:
    """Every hypothesis holds with either; the perceptron bound at the last row from its definition."""
    claims, rows = judged(separable), along(separable)
    for part in ("loss", "distance", "perceptron"):
        claim = claims[f"tel.lem2.3.{part}"]
        assert all(each.holds and each.firm for each in claim.hypotheses) and claim.conclusion is not None
        assert claim.statement.startswith("With probability 0.99953")  # 1 - 7 delta
    gamma = separation(separable)[0] * ntk_of_outer_map(2)
    ratio = separable.trajectory.tau[1:] * gamma * np.sqrt(60.0) / rows.distance[1:]
    found = claims["tel.lem2.3.perceptron"].conclusion
    assert found is not None and found.value == pytest.approx(ratio.max())


def test_the_loss_is_claimed_from_where_the_proof_has_it(separable: AnalyzedRun) -> None:
    """t = n for the logistic loss, whose l is at most 2 g only where all g are small; any t for the exponential."""
    early = with_rows(separable, lambda r: replace(r, v=np.minimum(r.v, np.log1p(3.9))))
    late = judged(separable)["tel.lem2.3.loss"].conclusion
    found = judged(early)["tel.lem2.3.loss"]
    assert late is not None and late.log1p_time is not None
    if separable.problem.loss.name == "logistic":
        assert late.log1p_time >= np.log1p(4.0) and found.verdict == "not applicable"
    else:
        assert found.conclusion is not None


def around_exit(run: AnalyzedRun, smoothed: tuple[float, float, float]) -> Along:
    """Rows that leave the ball of Lemma 2.4 between two of them: margins before, after, and later than W_t."""
    rows, found = along(run), ntk_margin(run)
    assert found is not None
    R0 = found[0] * np.sqrt(run.problem.network.width) / 32.0
    out = np.arange(rows.v.size) >= 20
    after = np.arange(rows.v.size) > 20
    margins = np.select([after, out], [smoothed[2], smoothed[1]], smoothed[0])
    size = np.asarray(run.trajectory.series["weight_norm"]).max() + 1.0
    return replace(rows, distance=np.where(out, R0, 0.4 * R0), smoothed=margins, size=np.full(rows.v.size, size))


@pytest.mark.parametrize(
    ("smoothed", "verdict"),
    [
        ((9.0, 9.0, 9.0), "holds"),
        ((9.0, 9.0, 1e-9), "holds"),  # what comes after W_t is not its business
        ((1e-9, 1e-9, 9.0), "violated"),
        ((1e-9, 9.0, 9.0), "not applicable"),  # W_t lies between two rows that differ
    ],
)
def test_the_rebalanced_margin_is_claimed_at_the_exit_only(
    separable: AnalyzedRun, smoothed: tuple[float, float, float], verdict: str
) -> None:
    claims = judged(with_rows(separable, lambda _: around_exit(separable, smoothed)))
    assert claims["tel.lem2.4.rebalanced"].verdict == verdict
    margins_hold = min(smoothed[1:]) > 1e-3
    assert claims["tel.lem2.4.margin"].verdict == ("holds" if margins_hold else "violated")


def test_the_flow_leaves_the_ball_in_time(separable: AnalyzedRun) -> None:
    """By tau = 1/8; the run as it is has left, one that stays is refuted, one that is too short decides nothing."""
    assert separable.trajectory.tau[-1] > 0.125
    assert judged(separable)["tel.lem2.4.distance"].verdict == "holds"
    stays = with_rows(separable, lambda r: replace(r, distance=0.0 * r.distance))
    assert judged(stays)["tel.lem2.4.distance"].verdict == "violated"
    assert judged(stays)["tel.thm2.2.margin"].verdict == "not applicable"


def test_theorem_2_2_assumes_nothing_of_the_way(separable: AnalyzedRun) -> None:
    """Rows that leave the ball without having been fitted inside it: Lemma 2.4 is silent, the theorem is not."""
    rows = with_rows(separable, lambda r: replace(r, smoothed=np.full(r.v.size, -1.0), distance=r.distance + 9.0))
    claims = judged(rows)
    assert claims["tel.lem2.4.margin"].verdict == claims["tel.lem2.4.slope"].verdict == "not applicable"
    assert claims["tel.thm2.2.margin"].verdict == "violated"


def test_the_slope_is_claimed_inside_the_ball_only(separable: AnalyzedRun) -> None:
    outside = with_rows(
        separable, lambda r: replace(r, distance=r.distance + 9.0, gradient_ratio=0.0 * r.gradient_ratio)
    )
    assert judged(outside)["tel.lem2.4.slope"].verdict == "not applicable"
    inside = with_rows(
        separable, lambda r: replace(r, distance=0.0 * r.distance, gradient_ratio=0.0 * r.gradient_ratio)
    )
    assert judged(inside)["tel.lem2.4.slope"].verdict == "violated"


def test_the_margin_of_parity_is_not_that_of_the_start(tmp_path: Path) -> None:
    """Its map moves the inner layer, for a ~ N(0, 1): printed, but it can refute nothing at a ~ N(0, 1/m)."""
    run = made(tmp_path, PARITY, "flow.until={time: 0.1}", "record.times.count=3")
    assert ntk_margin(run) == (1.0 / 300.0, False)
    known = judged(run)["tel.lem2.3.distance"].hypotheses[0]
    assert known.holds and not known.firm


@pytest.mark.parametrize(("override", "drawn"), [("init.std=0.5", False), (f"init.std={6.0**-0.5!r}", True)])
def test_the_start_is_that_of_the_scenario(tmp_path: Path, override: str, drawn: bool) -> None:
    run = made(tmp_path, PARITY, override, "flow.until={time: 0.1}", "record.times.count=3")
    start = judged(run)["tel.lem2.3.distance"].hypotheses[1]
    assert start.name.startswith("a(0) drawn") and start.holds == drawn
