"""The convex programs of the limit against their optimality conditions, and the example with a known limit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.claims.frei import example, mixture
from gflow.claims.frei.setting import least_distance, linear_svm, optimum, setting_of, two_row_features
from tests.claims.frei.runs import closed_form, ending_at, judged, simulated


def test_convex_programs_against_their_optimality_conditions(leaky: AnalyzedRun, crowded: AnalyzedRun) -> None:
    for run in (leaky, crowded):
        setting = setting_of(run)
        A = two_row_features(setting)
        multipliers = least_distance(A)
        assert multipliers is not None
        products = A @ (A.T @ multipliers)
        assert multipliers.min() >= 0.0 and products.min() > 1.0 - 1e-10
        assert np.abs(multipliers * (products - 1.0)).max() < 1e-10
        z = linear_svm(setting)
        assert z is not None and (setting.y * (setting.C @ z)).min() == pytest.approx(1.0, abs=1e-10)
    found, U = optimum(setting_of(leaky)), closed_form(leaky).U
    assert found is not None
    assert np.abs(U[0] - found[0]).max() < 1e-10 and np.abs(U[-1] - found[1]).max() < 1e-10


def test_an_infeasible_program_is_told() -> None:
    assert least_distance(np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])) is None


def lemma_b8(folder: Path, e: float, rotation: NDArray[np.float64] | None = None) -> AnalyzedRun:
    X = np.array([[-1.0, 0.0, 0.0], [e, np.sqrt(1.0 - e * e), 0.0], [0.0, 0.0, 1.0]])
    X = X if rotation is None else X @ rotation
    folder.mkdir(exist_ok=True)
    np.savez(folder / "three.npz", X=X, y=np.array([-1.0, 1.0, 1.0]))
    return simulated(folder / "run", f"data={{kind: file, path: {folder / 'three.npz'}}}", "model.outer.positive=6")


def test_the_example_of_lemma_b8(tmp_path: Path) -> None:
    run = lemma_b8(tmp_path / "in", 1.0 / 100.0)
    assert example.applies(run)
    claims = judged(run, example.CLAIMS)
    assert {claim.verdict for claim in claims.values()} == {"holds"}
    point = closed_form(run)
    wrong = replace(point, U=1.01 * point.U, multipliers=1.01 * point.multipliers)
    claims = judged(ending_at(run, wrong), example.CLAIMS)
    assert {claim.verdict for claim in claims.values()} == {"violated"}
    outside = judged(lemma_b8(tmp_path / "out", 1.0 / 50.0), example.CLAIMS)
    assert {claim.verdict for claim in outside.values()} == {"not applicable"}


@pytest.mark.parametrize("turned", [False, True])
def test_the_example_at_its_bound(tmp_path: Path, turned: bool) -> None:
    """e = 1/72, the floats beside it and the same data turned: the hypothesis holds, whatever rounding does to e."""
    rotation, _ = np.linalg.qr(np.random.default_rng(7).standard_normal((3, 3)))
    for k, e in enumerate((1.0 / 72.0, np.nextafter(1.0 / 72.0, 0.0), np.nextafter(1.0 / 72.0, 1.0))):
        run = lemma_b8(tmp_path / str(k), e, rotation if turned else None)
        claims = judged(run, example.CLAIMS)
        assert {claim.verdict for claim in claims.values()} == {"holds"}
        bound = claims["frei.lemB8"].hypotheses[1]
        assert bound.value == pytest.approx(e, rel=1e-14) and (turned or bound.value == e)
        point = closed_form(run)
        wrong = replace(point, U=1.01 * point.U, multipliers=1.01 * point.multipliers)
        borderline = judged(ending_at(run, wrong), example.CLAIMS)
        assert {claim.verdict for claim in borderline.values()} == {"not applicable"}
    beyond = judged(lemma_b8(tmp_path / "beyond", (1.0 + 1e-12) / 72.0), example.CLAIMS)
    assert {claim.verdict for claim in beyond.values()} == {"not applicable"}


STANDINGS = [("proved", "violated"), ("proved_from_state", "not applicable"), ("expected", "not applicable")]


def test_a_limit_that_is_not_proved_of_the_flow_refutes_nothing(tmp_path: Path) -> None:
    run = lemma_b8(tmp_path, 1.0 / 100.0)
    point = closed_form(run)
    wrong = ending_at(run, replace(point, U=1.01 * point.U, multipliers=1.01 * point.multipliers))
    for standing, verdict in STANDINGS:
        vars(wrong)["continuation"].standing = standing
        claim = example.multipliers(wrong)
        assert claim.verdict == verdict
        assert f"({standing.replace('_', ' ')})" in claim.hypotheses[2].name


def test_a_difference_below_the_error_of_the_limit_shows_nothing(tmp_path: Path) -> None:
    claims = judged(lemma_b8(tmp_path, 1e-5), example.CLAIMS)
    assert claims["frei.lemB8"].verdict == "holds" and claims["frei.lemB8.linear"].verdict == "not applicable"


@pytest.mark.parametrize(
    ("mean", "square"), [("{kind: ones, power: 0.26}", 200.0**0.52), ("{kind: ones, norm: 3.0}", 9.0)]
)
def test_two_clusters_of_section_5(mean: str, square: float, tmp_path: Path) -> None:
    """The constants from the samples as they were drawn; a mean that is not known is none of them."""
    data = f"data={{kind: gaussian_mixture, n: 6, d: 200, mean: {mean}, label_noise: 0.2}}"
    run = simulated(tmp_path / "known", data, "flow.until={time: 0.1}", "record.times.count=3")
    norms, coherence = mixture.norms(run), mixture.coherence(run)
    assert norms.verdict == coherence.verdict == "holds"
    G = run.trajectory.X @ run.trajectory.X.T
    ratios = np.diag(G) / (200.0 + square)
    assert norms.conclusion is not None and coherence.conclusion is not None
    assert norms.conclusion.constant == pytest.approx(max(ratios.max(), 1.0 / ratios.min()))
    largest = np.abs(G - np.diag(np.diag(G))).max()
    assert coherence.conclusion.constant == pytest.approx(largest / (square + np.sqrt(200.0)))
    # Noise of another size is outside: the constants would be those of another distribution.
    other = simulated(tmp_path / "other", data[:-1] + ", std: 2.0}", "flow.until={time: 0.1}", "record.times.count=3")
    assert mixture.norms(other).verdict == mixture.coherence(other).verdict == "not applicable"
