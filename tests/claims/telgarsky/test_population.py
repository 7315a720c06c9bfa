"""Lemma 2.5: the error over all corners of parity, counted and estimated, and the constant that it needs."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.gradient import along
from gflow.claims.claim import CHANCE
from gflow.claims.telgarsky import population
from gflow.claims.telgarsky.population import error_at, lemma_2_5
from gflow.claims.telgarsky.setting import DELTA, chosen_rows, normalized
from tests.claims.telgarsky.runs import CONES, PARITY, made, on_circle, with_rows


def counted(run: AnalyzedRun, row: int) -> float:
    """The share of the corners on which y f(x) <= 0, one after the other."""
    W, a = run.trajectory.weights(row), run.trajectory.outer[row]
    d = W.shape[1]
    corners = np.array(list(product((-1.0, 1.0), repeat=d)))
    wrong = [signs[0] * signs[1] * float(a @ np.maximum(W @ signs, 0.0)) <= 0.0 for signs in corners]
    return float(np.mean(wrong))


def test_the_error_is_that_of_all_corners(parity: AnalyzedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """16 samples of 64 corners; also in parts that do not divide them."""
    for part in (2**22, 16 * 7):
        monkeypatch.setattr(population, "PART", part)
        found = error_at(parity, -1)
        assert found.value == found.most == counted(parity, -1) and found.value > 0.0


def test_an_estimate_covers_the_error(parity: AnalyzedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """32 fresh corners of 64: beyond its upper limit a count as low as this has probability 1/1000."""
    exact = counted(parity, -1)
    monkeypatch.setattr(population, "MOST_CORNERS", 32)
    found = error_at(parity, -1)
    assert found.value != exact and found.most > max(exact, found.value)
    assert binom.cdf(round(32 * found.value), 32, found.most) == pytest.approx(CHANCE)


def test_the_constant_is_the_least_one(parity: AnalyzedRun) -> None:
    """Pr[M <= 0] <= C (log(n)^3 / (n margin^2) + log(1/delta) / n) in every row that is looked at, with equality."""
    claim = lemma_2_5(parity)
    assert claim.verdict == "holds" and claim.conclusion is not None and claim.conclusion.bound is None
    margins = normalized(along(parity))
    needed = {
        int(row): counted(parity, int(row)) / (np.log(16.0) ** 3 / (16.0 * margins[row] ** 2) - np.log(DELTA) / 16.0)
        for row in chosen_rows(parity)
        if margins[row] > 0.0
    }
    assert needed and claim.conclusion.constant == pytest.approx(max(needed.values()))


def test_a_network_that_errs_needs_a_larger_constant(parity: AnalyzedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: with an open constant nothing is violated, but the constant tells."""
    usual = lemma_2_5(parity).conclusion
    monkeypatch.setattr(population, "error_at", lambda run, row: population.Error(1.0, 1.0))
    other = lemma_2_5(with_rows(parity, lambda r: replace(r, smoothed=4.0 * r.size**2))).conclusion
    assert usual is not None and usual.constant is not None and other is not None and other.constant is not None
    assert other.value == 1.0 and other.constant == pytest.approx(16.0 / (np.log(16.0) ** 3 / 16.0 - np.log(DELTA)))
    assert other.constant > 2.0 * usual.constant


def test_only_samples_of_the_distribution_count(tmp_path: Path, parity: AnalyzedRun) -> None:
    unfitted = with_rows(parity, lambda r: replace(r, smoothed=0.0 * r.smoothed - 1.0))
    assert lemma_2_5(unfitted).verdict == "not applicable"
    X = on_circle([45.0, 135.0, 225.0, 315.0])  # parity in the plane, but listed and not drawn
    np.savez(tmp_path / "data.npz", X=X, y=np.array([1.0, -1.0, 1.0, -1.0]))
    run = made(tmp_path, CONES.format(data=tmp_path / "data.npz"), "flow.until={time: 1.0}", "model.width=16")
    assert lemma_2_5(run).verdict == "not applicable" and lemma_2_5(run).conclusion is None
    leaky = "model.activation={kind: leaky_relu, slope: 0.1}"
    (tmp_path / "leaky").mkdir()
    other = made(tmp_path / "leaky", PARITY, leaky, "flow.until={time: 0.1}", "record.times.count=3")
    assert lemma_2_5(other).verdict == "not applicable"
