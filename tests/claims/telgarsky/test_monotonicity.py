"""Parity with both layers, and identities and monotone quantities with wrong numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.gradient import Along
from gflow.claims.telgarsky import applies
from tests.claims.telgarsky.runs import IDENTITIES, MONOTONE, PARITY, edited, judged, made, verdicts, with_rows


def test_parity_with_both_layers(parity: AnalyzedRun) -> None:
    found = verdicts(parity)
    assert "violated" not in found.values()
    holds = {name for name, verdict in found.items() if verdict == "holds"}
    starts = {"tel.lemA2.outer", "tel.lemA2.inner", "tel.lemA2.outputs"}
    data = {"tel.prop1.6.1", "tel.prop1.6.2"}
    assert IDENTITIES | MONOTONE | starts | data <= holds
    # Logistic loss, 16 neurons, not separable: the theorems on the exponential loss and on widths say nothing.
    for name in ("tel.def.sandwich", "tel.lemC1", "tel.prop1.5.1", "tel.thm3.2", "tel.thm3.3", "tel.lem2.3.loss"):
        assert found[name] == "not applicable"


@pytest.mark.parametrize(
    "name, change",
    [
        ("tel.LL.mono", lambda r: replace(r, smoothed=r.smoothed - np.where(np.arange(r.v.size) == 22, 0.5, 0.0))),
        ("tel.lemA4", lambda r: replace(r, size=r.size[::-1])),
        ("tel.euler", lambda r: replace(r, euler=r.euler * (1.0 + 1e-6))),
        ("tel.gradp", lambda r: replace(r, sample_norms=20.0 * np.sqrt(1900.0) * r.sample_norms)),
        ("tel.def.sandwich", lambda r: replace(r, smoothed=r.smoothed + 2.0)),
        ("tel.lemA5", lambda r: replace(r, euler=r.euler + 4.0)),
        ("tel.supmargin", lambda r: replace(r, size=0.5 * r.size)),
    ],
)
def test_wrong_numbers_violate_the_claims(scalar: AnalyzedRun, name: str, change: Callable[[Along], Along]) -> None:
    assert judged(scalar)[name].verdict == "holds"
    assert judged(with_rows(scalar, change))[name].verdict == "violated"


def test_a_drift_violates_the_balance(parity: AnalyzedRun, tmp_path: Path) -> None:
    def edit(file: h5py.File) -> None:
        file["series/balancedness_drift"][3] = 0.01

    assert edited(parity, tmp_path, edit)["tel.balance"].verdict == "violated"


def test_other_networks_are_left_alone(tmp_path: Path) -> None:
    fixed = made(
        tmp_path, PARITY, "model.outer={values: signs}", "init={kind: gaussian, std: 0.3}", "flow.until={time: 0.1}"
    )
    assert not applies(fixed)


def test_widths_that_theorems_ask_for_are_named(parity: AnalyzedRun) -> None:
    """Lemma 2.4 with gamma_ntk = 1/(50 d), n = 16, 15 delta = 0.001; its proof needs more than 256 log(n/delta)."""
    claim = judged(parity)["tel.lem2.4.margin"]
    width = next(h for h in claim.hypotheses if h.name == "width m")
    log_n = np.log(16.0 * 15_000.0)
    needed = ((np.sqrt(32.0 * log_n) + 4.0) / 0.375) ** 2
    assert needed > 256.0 * log_n
    assert width.bound == pytest.approx(needed * (50.0 * 6.0) ** 2) and width.value == 16.0
    assert claim.verdict == "not applicable"


def test_running_extremes_replace_the_rows(parity: AnalyzedRun) -> None:
    """A fall between two rows, which only the extremes of all steps show, violates the claim at its own time."""
    other = AnalyzedRun(parity.trajectory, parity.problem)
    object.__setattr__(other, "extreme", lambda name: (1e-3, 2.5))
    for name in MONOTONE:
        claim = judged(other)[name]
        assert claim.checked == "every step" and claim.verdict == "violated"
        assert claim.conclusion is not None and claim.conclusion.log1p_time == 2.5
