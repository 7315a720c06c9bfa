"""Margins, their rates and the running extremes that prove or refute them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.trajectory.layout import UNBOUNDED
from tests.claims.kou.runs import RELU, judge, run, with_start


def test_hypotheses_tell_their_slack(explicit: AnalyzedRun) -> None:
    near, sets = (judge(explicit)["eq5.12"].hypotheses[k] for k in (2, 3))
    C = explicit.problem.span.C
    others = np.abs(C @ C.T - np.diag((C**2).sum(axis=1))).max()
    least, most = (C**2).sum(axis=1).min(), (C**2).sum(axis=1).max()
    bound = 10.0 * 2.0 * (1.0 + 60.0 * np.e * most / least) * 4 * others
    assert near.slack == pytest.approx(least / bound, rel=1e-9)
    assert near.holds and least / bound > 1.0
    z, own = explicit.trajectory.W_initial @ explicit.trajectory.X.T, np.sign(explicit.trajectory.outer)
    share = min(((z[:, i] >= 0) & (own * explicit.trajectory.y[i] > 0)).sum() / 20 for i in range(4))
    assert sets.value == pytest.approx(share)


@pytest.mark.parametrize(
    ("name", "extreme", "value"),
    [
        ("lem5.9.gap", "sup_margin_gap", 10.0),
        ("lem5.9", "sup_log_g_ratio", 10.0),
        ("lem5.9.start", "inf_min_margin", -0.5),
        ("lem5.9.rise", "inf_margin_rate", -1e-3),
    ],
)
def test_one_bad_step_violates(
    explicit: AnalyzedRun, monkeypatch: pytest.MonkeyPatch, name: str, extreme: str, value: float
) -> None:
    def kept(self: AnalyzedRun, asked: str) -> tuple[float, float] | None:
        return (value, 7.0) if asked == extreme else None

    monkeypatch.setattr(AnalyzedRun, "extreme", kept)
    claim = judge(explicit)[name]
    assert claim.verdict == "violated" and claim.checked == "every step"
    assert claim.conclusion is not None and claim.conclusion.log1p_time == 7.0


@pytest.mark.parametrize(
    ("low", "high", "verdict"), [(0.25, 2.9, "holds"), (0.15, 1.0, "violated"), (0.5, 3.1, "violated")]
)
def test_margin_rates_are_compared_in_the_units_of_the_paper(
    explicit: AnalyzedRun, monkeypatch: pytest.MonkeyPatch, low: float, high: float, verdict: str
) -> None:
    """n dM/dt / (g |x|^2) is 1/m of dM/dt / (kap g): m = 20."""
    rates = {"inf_relative_margin_rate": (low / 20.0, 1.0), "sup_relative_margin_rate": (high / 20.0, 2.0)}
    monkeypatch.setattr(AnalyzedRun, "extreme", lambda self, name: rates.get(name))
    assert judge(explicit)["eq5.12"].verdict == verdict


def test_the_sandwich_of_margins(explicit: AnalyzedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """|S_i|/m <= rate <= 1 + slope^2 (in 1/m) for every frozen pattern here; a rate that is too fast is noticed."""
    slope = explicit.problem.network.slope
    for low, verdict in ((0.3 + slope**2, "holds"), (1.2, "violated")):
        rates = {
            "inf_relative_margin_rate": (low / 20, 0.0),
            "sup_relative_margin_rate": (2.1 / 20, 0.0),
            "inf_min_margin": (-0.02, 0.0),
        }
        monkeypatch.setattr(AnalyzedRun, "extreme", lambda self, name, rates=rates: rates.get(name))
        assert judge(explicit)["lem5.3"].verdict == verdict


def test_without_a_largest_rate_there_is_no_sandwich(explicit: AnalyzedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rate that no float64 holds is no C2."""
    rates = {"inf_relative_margin_rate": 0.01, "sup_relative_margin_rate": UNBOUNDED, "inf_min_margin": -0.02}
    monkeypatch.setattr(AnalyzedRun, "extreme", lambda self, name: (rates[name], 0.0) if name in rates else None)
    assert judge(explicit)["lem5.3"].verdict == "not applicable"


def test_neurons_that_the_flow_leaves_on_their_kinks_are_in_no_set(tmp_path: Path) -> None:
    """w_j(0) = 0 and ReLU: the paper counts z = 0 as active, the flow has the least-norm subgradient and rests."""
    resting = run(tmp_path / "rest", RELU, with_start(tmp_path, np.zeros((40, 12))))
    claim = judge(resting)["eq5.12"]
    assert claim.hypotheses[3].value == 0.0 and claim.verdict == "not applicable"
