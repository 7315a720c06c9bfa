"""The theorems with a potential: the scalar network and data in cones, as they are and doctored."""

from __future__ import annotations

from pathlib import Path

import h5py
import pytest

from gflow.analysis.subject import Subject
from tests.analysis.claims.telgarsky.runs import IDENTITIES, MONOTONE, SCALAR, edited, judged, made, verdicts


def test_the_scalar_network(scalar: Subject) -> None:
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
    assert [h.name for h in claim.hypotheses if not h.holds] == [
        "the run is long enough: the margin has reached the bound"
    ]


def test_data_in_cones(two_cones: Subject) -> None:
    found = verdicts(two_cones)
    assert "violated" not in found.values()
    theorem = {"tel.thm3.2", "tel.thm3.2.phi", "tel.thm3.2.Phi", "tel.lemC1", "tel.supmargin"}
    separable = {"tel.prop1.5.1", "tel.prop1.5.2", "tel.prop1.5.3"}
    assert theorem | separable | IDENTITIES | MONOTONE <= {name for name, v in found.items() if v == "holds"}


def test_wrong_weights_violate_the_laws_of_the_scalar_network(scalar: Subject, tmp_path: Path) -> None:
    def edit(file: h5py.File) -> None:
        file["outer"][-1, 7] *= 1.01

    found = edited(scalar, tmp_path, edit)
    assert found["tel.thm3.3.balance"].verdict == "violated"
    assert found["tel.thm3.3.reduction"].verdict == "violated"


def test_a_sign_change_violates_the_balance(scalar: Subject, tmp_path: Path) -> None:
    def edit(file: h5py.File) -> None:
        file["outer"][-1, 7] *= -1.0

    assert edited(scalar, tmp_path, edit)["tel.thm3.3.balance"].verdict == "violated"


def test_a_potential_that_grows_too_slowly_is_seen(scalar: Subject, tmp_path: Path) -> None:
    """Negative control: the same rows with the clock tau running four times as fast."""

    def edit(file: h5py.File) -> None:
        file["tau"][:] *= 4.0

    assert edited(scalar, tmp_path, edit)["tel.thm3.3.Phi"].verdict == "violated"


def test_a_falling_share_violates_theorem_3_2(two_cones: Subject, tmp_path: Path) -> None:
    def edit(file: h5py.File) -> None:
        file["inner"][-1] = file["inner"][0]

    assert edited(two_cones, tmp_path, edit)["tel.thm3.2.phi"].verdict == "violated"
