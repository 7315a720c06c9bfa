"""The theorems with a potential: the scalar network and data in cones, as they are and doctored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from gflow.analysis import potential
from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.gradient import Along, along
from gflow.claims.telgarsky import cones
from gflow.claims.telgarsky import scalar as scalar_claims
from gflow.claims.telgarsky.potential import certified, margin_by_now
from tests.claims.telgarsky.runs import (
    IDENTITIES,
    MONOTONE,
    SCALAR,
    edited,
    judged,
    made,
    verdicts,
    with_rows,
)


def test_the_scalar_network(scalar: AnalyzedRun) -> None:
    found = verdicts(scalar)
    assert "violated" not in found.values()
    holds = {name for name, verdict in found.items() if verdict == "holds"}
    theorem = {"tel.thm3.3", "tel.thm3.3.balance", "tel.thm3.3.Phi", "tel.thm3.3.reduction", "tel.supmargin"}
    exponential = {"tel.def.sandwich", "tel.lemA5", "tel.lemC1"}
    assert IDENTITIES | MONOTONE | theorem | exponential <= holds
    growth = judged(scalar)["tel.thm3.3.Phi"].conclusion
    assert growth is not None and growth.bound == pytest.approx(1.0 / 16.0)


def test_a_margin_not_yet_reached_refutes_nothing(tmp_path: Path) -> None:
    claim = judged(made(tmp_path, SCALAR, "flow.until={log_time: 4.0}"))["tel.thm3.3"]
    assert claim.verdict == "not applicable"
    (undecided,) = [h for h in claim.hypotheses if not h.holds]
    assert undecided.name.startswith("decided: the margin is reached, or")


def test_data_in_cones(two_cones: AnalyzedRun) -> None:
    found = verdicts(two_cones)
    assert "violated" not in found.values()
    theorem = {"tel.thm3.2", "tel.thm3.2.phi", "tel.thm3.2.Phi", "tel.lemC1", "tel.supmargin"}
    separable = {"tel.prop1.5.1", "tel.prop1.5.2", "tel.prop1.5.3"}
    assert theorem | separable | IDENTITIES | MONOTONE <= {name for name, v in found.items() if v == "holds"}


def test_wrong_weights_violate_the_laws_of_the_scalar_network(scalar: AnalyzedRun, tmp_path: Path) -> None:
    def edit(file: h5py.File) -> None:
        file["outer"][-1, 7] *= 1.01

    found = edited(scalar, tmp_path, edit)
    assert found["tel.thm3.3.balance"].verdict == "violated"
    assert found["tel.thm3.3.reduction"].verdict == "violated"


def test_a_sign_change_violates_the_balance(scalar: AnalyzedRun, tmp_path: Path) -> None:
    def edit(file: h5py.File) -> None:
        file["outer"][-1, 7] *= -1.0

    assert edited(scalar, tmp_path, edit)["tel.thm3.3.balance"].verdict == "violated"


def test_a_potential_that_grows_too_slowly_is_seen(scalar: AnalyzedRun, tmp_path: Path) -> None:
    """Negative control: the same rows with the clock tau running four times as fast."""

    def edit(file: h5py.File) -> None:
        file["tau"][:] *= 4.0

    assert edited(scalar, tmp_path, edit)["tel.thm3.3.Phi"].verdict == "violated"


def test_a_falling_share_violates_theorem_3_2(two_cones: AnalyzedRun, tmp_path: Path) -> None:
    def edit(file: h5py.File) -> None:
        file["inner"][-1] = file["inner"][0]

    assert edited(two_cones, tmp_path, edit)["tel.thm3.2.phi"].verdict == "violated"


def on_a_ray(run: AnalyzedRun, n: int, gamma: float = 0.2) -> tuple[Along, np.ndarray, np.ndarray]:
    """Rows, tau and Phi = (log|W|)/2 of n equal samples, W along their best direction: M = gamma |W|^2 for ever.

    Then d(log|W|)/dtau = 2 gamma, and the smoothed margin is M - log n.
    """
    tau = np.linspace(1.0, 30.0, along(run).v.size)
    size = 3.0 * np.exp(2.0 * gamma * (tau - 1.0))
    margins = gamma * np.repeat(size[:, None], n, axis=1) ** 2
    rows = replace(along(run), v=tau, size=size, margins=margins, smoothed=margins[:, 0] - np.log(n))
    return rows, tau, 0.5 * np.log(size)


def test_a_potential_forces_a_margin_and_no_more(scalar: AnalyzedRun) -> None:
    """One sample: exactly the margin that there is.  More: a bit less, for the smoothed margin counts them."""
    rows, tau, Phi = on_a_ray(scalar, 1)
    assert certified(rows, tau, Phi, 0.2) == pytest.approx(0.2, rel=1e-12)
    rows, tau, Phi = on_a_ray(scalar, 4)
    forced, there = certified(rows, tau, Phi, 0.2), rows.smoothed[-1] / rows.size[-1] ** 2
    assert forced is not None and 0.15 < forced < there < 0.2
    unfitted = replace(rows, smoothed=-rows.smoothed)
    assert certified(unfitted, tau, Phi, 0.2) is None and certified(rows, tau, Phi - np.inf, 0.2) is None


@pytest.mark.parametrize(
    ("bound", "forced", "verdict"),
    [(0.1, None, True), (0.1, 0.15, True), (0.3, None, None), (0.3, 0.29, None), (0.3, 0.31, False)],
)
def test_a_margin_for_all_large_t_is_refuted_only_when_it_is_due(
    scalar: AnalyzedRun, bound: float, forced: float | None, verdict: bool | None
) -> None:
    """The margin is 0.2: reached, not yet due, or due and missing."""
    decided, conclusion = margin_by_now(on_a_ray(scalar, 1)[0], bound, forced)
    assert (conclusion.holds if decided.holds else None) is verdict


def test_theorem_3_3_can_be_violated(scalar: AnalyzedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """The margin of the run is 0.07 at least, the bound 0.0625; with |W| twice as large it is a quarter."""
    small = with_rows(scalar, lambda rows: replace(rows, size=2.0 * rows.size))
    assert judged(small)["tel.thm3.3"].verdict == "not applicable"
    monkeypatch.setattr(scalar_claims, "_forced", lambda run, features: 0.07)
    assert judged(small)["tel.thm3.3"].verdict == "violated"
    assert judged(scalar)["tel.thm3.3"].verdict == "holds"


def test_the_rate_of_the_reference_neurons_is_that_of_the_run(scalar: AnalyzedRun) -> None:
    """(1/2) min_i of the network of the four neurons: what Phi grows at, least over q, against the measured rate."""
    features = potential.parity_features(scalar.problem)
    known = potential.potential_rows(scalar)
    assert features is not None and known is not None
    forced = scalar_claims._forced(scalar, features)
    measured = potential.potential_rate(scalar.trajectory.tau, known[1])
    assert forced is not None and measured is not None
    at_measured = certified(along(scalar), scalar.trajectory.tau, known[1], measured)
    assert at_measured is not None and forced <= at_measured + 1e-6
    assert forced == pytest.approx(at_measured, abs=2e-3)


def test_the_printed_theorem_3_2_needs_no_more_than_its_assumption(
    two_cones: AnalyzedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cones that are not further apart: the potentials are silent, the theorem speaks; out of time it is not called."""
    found = potential.cones(two_cones.problem)
    assert found is not None and found.apart
    monkeypatch.setattr(cones, "cones", lambda problem: replace(found, apart=False))
    claims = judged(two_cones)
    assert claims["tel.thm3.2"].verdict == "holds"
    assert claims["tel.thm3.2.phi"].verdict == claims["tel.thm3.2.Phi"].verdict == "not applicable"
    small = with_rows(two_cones, lambda rows: replace(rows, size=9.0 * rows.size))
    assert judged(small)["tel.thm3.2"].verdict == "not applicable"
