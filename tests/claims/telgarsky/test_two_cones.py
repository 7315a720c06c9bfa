"""Proposition 2.6 on its concrete instance, angles 0, 150 and 175 degrees, and on data that are not of its kind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.claims.telgarsky import two_cones
from gflow.claims.telgarsky.data import lemma_a1, ntk_of_outer_map
from gflow.claims.telgarsky.two_cones import least_alpha, linear_kkt, proposition_2_6
from tests.claims.telgarsky.runs import CONES, made, of, on_circle, with_rows

GH = np.cos(np.deg2rad(87.5))


def run_on(folder: Path, degrees: list[float], until: str) -> AnalyzedRun:
    np.savez(folder / "data.npz", X=on_circle(degrees), y=np.ones(len(degrees)))
    return made(folder, CONES.format(data=folder / "data.npz"), f"flow.until={until}", "model.width=64")


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> AnalyzedRun:
    return run_on(tmp_path_factory.mktemp("instance"), [0.0, 150.0, 175.0], "{log_time: 14.0}")


def test_the_flow_exceeds_the_linear_margin(instance: AnalyzedRun) -> None:
    claim = proposition_2_6(instance)
    assert claim.verdict == "holds" and claim.conclusion is not None
    assert claim.conclusion.bound == pytest.approx(GH, rel=1e-9)
    assert linear_kkt(instance).verdict == "holds"


def test_a_margin_below_is_seen_and_refutes_nothing(instance: AnalyzedRun) -> None:
    """The proposition leaves open how wide and how small is enough, and when."""
    claim = proposition_2_6(with_rows(instance, lambda r: replace(r, smoothed=0.5 * GH * r.size**2)))
    assert claim.conclusion is not None and not claim.conclusion.holds
    assert [each.firm for each in claim.hypotheses].count(False) == 1


@pytest.mark.parametrize(
    ("degrees", "alpha"),
    [
        ([0.0, 150.0, 175.0], 5.0),
        ([150.0, 175.0, 0.0], 5.0),
        ([0.0, 100.0, 175.0], 80.0),  # only with 100 degrees as x'
        ([0.0, 150.0, 190.0], None),  # beyond v_1's opposite: alpha < 0
        ([0.0, 100.0, 110.0], None),  # S1 and S2 too near
        ([0.0, 150.0], None),
    ],
)
def test_the_data_of_the_proposition(degrees: list[float], alpha: float | None) -> None:
    found = least_alpha(on_circle(degrees))
    assert found == (None if alpha is None else pytest.approx(np.sin(np.deg2rad(alpha)), rel=1e-9))


def test_an_extra_point_off_the_plane_is_none() -> None:
    X = np.hstack([on_circle([0.0, 135.0, 175.0]), np.zeros((3, 1))])
    assert least_alpha(X) == pytest.approx(np.sin(np.deg2rad(5.0)))
    X[2] = [np.cos(np.deg2rad(175.0)), 0.0, np.sin(np.deg2rad(175.0))]
    X[1] = [np.cos(np.deg2rad(135.0)), np.sin(np.deg2rad(135.0)), 0.0]
    assert least_alpha(X) is None


def test_other_labels_are_outside(tmp_path: Path) -> None:
    X, y = on_circle([0.0, 150.0, 175.0]), np.array([1.0, 1.0, -1.0])
    np.savez(tmp_path / "data.npz", X=X, y=y)
    run = made(tmp_path, CONES.format(data=tmp_path / "data.npz"), "flow.until={time: 1.0}", "model.width=8")
    assert proposition_2_6(run).verdict == linear_kkt(run).verdict == lemma_a1(run).verdict == "not applicable"


def test_another_direction_is_no_kkt_point(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: a direction that separates, but not best, is no combination of its support vectors."""
    run = of(on_circle([0.0, 150.0, 160.0]), np.ones(3))
    assert linear_kkt(run).verdict == "holds"
    tilted = run.problem.span.B.T @ run.problem.span.B @ on_circle([75.0])[0]
    u = np.asarray(run.problem.span.B @ tilted)
    z = run.problem.span.C @ u
    monkeypatch.setattr(two_cones, "separator", lambda y, C: u)
    monkeypatch.setattr(two_cones, "separation", lambda run: (float(z.min()), z))
    assert linear_kkt(run).verdict == "violated"


def test_lemma_a1(monkeypatch: pytest.MonkeyPatch) -> None:
    """theta = (1, 0): E relu(<v, x>) over |w| <= 2 by Monte Carlo; gamma_gl of the plane by duality."""
    run = of(on_circle([0.0, 150.0, 175.0]), np.ones(3))
    claim = lemma_a1(run)
    assert claim.verdict == "holds" and claim.conclusion is not None
    rng = np.random.default_rng(0)
    a, v = rng.standard_normal(400_000), rng.standard_normal((400_000, 2)) / np.sqrt(2.0)
    inside = a**2 + np.sum(v**2, axis=1) <= 4.0
    assert claim.conclusion.value == pytest.approx(np.mean(inside * np.maximum(v[:, 0], 0.0)), abs=2e-3)
    assert claim.conclusion.bound == pytest.approx(2.0 * 0.2470 / (8.0 * np.sqrt(2.0)), abs=2e-4)
    monkeypatch.setattr("gflow.claims.telgarsky.data.ntk_of_outer_map", lambda d: 0.01 * ntk_of_outer_map(d))
    assert lemma_a1(run).verdict == "violated"
    assert lemma_a1(of(2.0 * on_circle([0.0, 150.0]), np.ones(2))).verdict == "not applicable"
