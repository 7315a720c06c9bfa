"""What a claim concludes: nothing from numbers that leave float64, no violation from a hypothesis within rounding."""

from __future__ import annotations

import numpy as np
import pytest

from gflow.claims import claim as policy
from gflow.claims.claim import (
    CHANCE,
    FITS,
    GRAIN,
    Claim,
    Conclusion,
    Hypothesis,
    at_least,
    at_most,
    below,
    blamed,
    condition,
    covered,
    in_float64,
)
from gflow.claims.frei import start as frei
from gflow.claims.kou import setting as kou
from gflow.claims.telgarsky import setting as telgarsky
from gflow.pipeline.findings import plain


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_what_leaves_float64_is_not_judged(value: float) -> None:
    first = condition("labels", True)
    claim = Claim("x", "y", "rows", (first, at_most("size", value, 1.0)), below(1.0, 2.0))
    judged = in_float64(claim)
    assert judged.hypotheses == (first, condition(FITS, False)) and judged.verdict == "not applicable"
    assert plain(judged)["conclusion"] is None
    with pytest.raises(ValueError, match="is no result"):
        plain(claim)


def test_a_conclusion_that_leaves_float64_is_no_violation() -> None:
    claim = Claim("x", "y", "rows", (), below(np.nan, 2.0))
    assert claim.verdict == "violated" and in_float64(claim).verdict == "not applicable"


def test_finite_claims_stay_as_they_are() -> None:
    claim = Claim("x", "y", "rows", (at_most("size", 0.5, 1.0),), Conclusion(True, 1.0))
    assert in_float64(claim) is claim


@pytest.mark.parametrize("bound", [1.0 / 72.0, 1e-200, 3.0, 1e200])
def test_hypotheses_at_their_bound_hold_within_rounding_and_are_not_firm_there(bound: float) -> None:
    """At the bound, one float beside it, and beyond the room on either side."""
    beside = (np.nextafter(bound, 0.0), bound, np.nextafter(bound, np.inf))
    inside, outside = bound * (1.0 - 2.0 * GRAIN), bound * (1.0 + 2.0 * GRAIN)
    for value in beside:
        for hypothesis in (at_most("h", value, bound), at_least("h", value, bound)):
            assert hypothesis.holds and not hypothesis.firm
            assert hypothesis.room is not None and 0.0 < hypothesis.room < 2.0 * GRAIN * bound
            assert Claim("x", "y", "rows", (hypothesis,), Conclusion(True)).verdict == "holds"
            assert Claim("x", "y", "rows", (hypothesis,), Conclusion(False)).verdict == "not applicable"
    assert at_most("h", inside, bound).firm and at_most("h", inside, bound).holds
    assert at_least("h", outside, bound).firm and at_least("h", outside, bound).holds
    assert not at_most("h", outside, bound).holds and not at_least("h", inside, bound).holds
    assert Claim("x", "y", "rows", (at_most("h", inside, bound),), Conclusion(False)).verdict == "violated"


def test_what_is_not_firm_takes_the_blame_by_name() -> None:
    firm, open_ = condition("h", True), condition("C unspecified", True, firm=False)
    failed = blamed(Claim("x", "y", "rows", (firm, open_), Conclusion(False)))
    assert failed.verdict == "not applicable" and [h.holds for h in failed.hypotheses] == [True, False]
    for claim in (
        Claim("x", "y", "rows", (firm, open_), Conclusion(True)),
        Claim("x", "y", "rows", (firm, open_), None),
        Claim("x", "y", "rows", (condition("g", False), open_), Conclusion(False)),
        Claim("x", "y", "rows", (firm,), Conclusion(False)),
    ):
        assert blamed(claim) == claim


def test_a_room_of_zero_decides_exactly_and_a_covered_one_is_firm() -> None:
    """Counts: 8 of 20 are 0.4 in floats as in fractions.  Norms: inputs of norm 1 are in the unit ball."""
    assert at_least("share", 8 / 20.0, 0.4, room=0.0) == Hypothesis("share", True, 0.4, 0.4, 1.0, 0.0, firm=True)
    assert not at_least("share", 7 / 20.0, 0.4, room=0.0).holds
    assert covered(at_most("norm", 1.0 + 1e-12, 1.0, 1e-9)).firm
    assert not covered(at_most("norm", 1.0 + 1e-8, 1.0, 1e-9)).holds


def test_no_claim_on_a_random_start_fails_by_chance_more_than_once_in_a_thousand_runs() -> None:
    """Telgarsky's hold with probability 1 - 15 delta at worst, those of the others with 1 - delta."""
    assert policy.CHANCE <= 1e-3
    assert 15.0 * telgarsky.DELTA <= CHANCE and frei.DELTA <= CHANCE and kou.DELTA <= CHANCE
    assert telgarsky.probably(15, "x") == "With probability 0.999 over the start: x"
