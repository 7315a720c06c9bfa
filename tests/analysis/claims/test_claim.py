"""Claims whose numbers leave float64 conclude nothing and say so."""

from __future__ import annotations

import numpy as np
import pytest

from gflow.analysis.claims.claim import FITS, Claim, Conclusion, at_most, below, condition, in_float64
from gflow.analysis.findings import plain


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
