"""Frei et al., Corollary 3.5: from any start the flow goes to one point, and all seven items hold there."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gflow.analysis.direction import direction
from gflow.claims.frei import theorems
from tests.claims.frei.runs import closed_form, judged, simulated

STARTS = [
    "{kind: gaussian, std: 1.0e-6, seed: 1}",
    "{kind: gaussian, std: 0.05, seed: 2}",
    "{kind: gaussian, std: 1.0, seed: 3}",
    "{kind: gaussian, std: 5.0, seed: 4}",
    "{kind: gaussian, std: 1.0, seed: 5}",
]


def test_five_starts_end_at_one_point_where_all_seven_items_hold(tmp_path: Path) -> None:
    """By the velocity, which converges polynomially: its direction at the end is that of K^-1 1 to 1e-6."""
    for number, start in enumerate(STARTS):
        late = ("flow.until={log_time: 300.0}", "record.times.count=8")
        run = simulated(tmp_path / str(number), f"init={start}", *late)
        expected = closed_form(run)
        found = direction(run)
        assert found.verdict == "proved" and found.velocity_angle is not None and found.velocity_angle < 1e-6
        assert run.limit is not None
        gap = run.limit.U / np.linalg.norm(run.limit.U) - expected.U / np.linalg.norm(expected.U)
        assert np.linalg.norm(gap) < 1e-9
        claims = judged(run, theorems.CLAIMS)
        items = [claim for id, claim in claims.items() if ".item" in id]
        assert {claim.id.split(".item")[1][0] for claim in items} == set("1234567")
        assert [claim.id for claim in items if claim.verdict != "holds"] == []
