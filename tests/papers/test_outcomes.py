"""Statements against tables by hand: every number, spread and verdict is worked out beside it."""

from __future__ import annotations

from math import nan, sqrt

import numpy as np
import pytest

from gflow.errors import SweepError
from gflow.papers.experiment import Bounds, ShareStatement, Statement, TrendStatement, ValueStatement, Where
from gflow.papers.outcomes import Found, judgement
from gflow.papers.quantity import Quantity, quantity_of
from gflow.sweeps.opened import Sweep
from gflow.sweeps.run.columns import Row
from tests.papers.small import table

ROWS: list[Row] = [
    {"slope": 0.0, "seed": 0, "rank": 4.0, "start": 8.0, "verdict": "proved", "claim": "not applicable"},
    {"slope": 0.0, "seed": 1, "rank": 6.0, "start": 8.0, "verdict": "proved", "claim": "not applicable"},
    {"slope": 0.1, "seed": 0, "rank": 2.0, "start": 8.0, "verdict": "pending", "claim": "holds"},
    {"slope": 0.1, "seed": 1, "rank": 2.0, "start": 16.0, "verdict": "proved", "claim": "violated"},
    {"slope": 0.9, "seed": 0, "rank": 1.0, "start": 8.0, "verdict": "proved", "claim": "holds"},
    {"slope": 0.9, "seed": 1, "rank": 1.5, "start": 8.0, "verdict": "proved", "claim": "not applicable"},
]


def quantity(text: str) -> Quantity:
    found = quantity_of(text)
    assert found is not None
    return found


def judged(what: ValueStatement | TrendStatement | ShareStatement, sweep: Sweep | None = None) -> Found:
    return judgement(Statement("", "", what, ""), table(ROWS) if sweep is None else sweep)


def value(
    text: str, where: Where, within: Bounds, direction: Bounds | None = None, against: Where | None = None
) -> ValueStatement:
    return ValueStatement(quantity(text), where, against, within, direction)


def test_a_value_is_a_mean_over_seeds_with_its_deviation() -> None:
    found = judged(value("rank", {"slope": 0.0}, (4.9, 5.1)))
    assert found == Found("5, standard deviation 1.4 over 2 seeds", 5.0, sqrt(2.0), "reproduced")
    assert judged(value("rank", {"slope": 0.0}, (None, 5.0))).verdict == "reproduced"  # bounds belong to it
    assert judged(value("rank", {"slope": 0.0}, (None, 4.9), (None, 6.0))).verdict == "reproduced in direction"
    assert judged(value("rank", {"slope": 0.0}, (None, 4.9), (None, 4.95))).verdict == "not reproduced"
    assert judged(value("rank", {"slope": 0.0}, (5.1, None))).verdict == "not reproduced"


def test_quotients_and_differences_are_taken_for_each_seed() -> None:
    assert judged(value("rank / start", {"slope": 0.1}, (None, 1.0))).number == pytest.approx((2 / 8 + 2 / 16) / 2)
    assert judged(value("start - rank", {"slope": 0.0}, (None, 9.0))).number == pytest.approx(3.0)
    assert judged(value("rank - 1", {"slope": 0.9}, (None, 1.0))).number == pytest.approx(0.25)
    found = judged(value("rank", {"slope": 0.9}, (0.0, 0.3), None, {"slope": 0.0}))
    assert found.number == pytest.approx((1 / 4 + 1.5 / 6) / 2) and found.spread == pytest.approx(0.0)


def test_a_seed_without_a_number_does_not_count() -> None:
    rows = [dict(row) for row in ROWS]
    rows[0]["rank"], rows[1]["start"] = None, 0.0
    assert judged(value("rank", {"slope": 0.0}, (None, 7.0)), table(rows)).number == 6.0
    found = judged(value("rank / start", {"slope": 0.0}, (None, 7.0)), table(rows))
    assert found == Found("no run has the number", None, None, "not reproduced")
    alone = table([{"slope": 0.5, "rank": 3.0}], axes=("slope",))  # no seeds, one run
    assert judged(value("rank", {}, (3.0, 3.0)), alone) == Found("3", 3.0, None, "reproduced")


def test_losses_are_read_off_their_logarithms() -> None:
    rows: list[Row] = [{"seed": 0, "descent.log_loss@step5": -1.0, "log_loss": -3.0}]
    found = judged(value("loss / descent.loss@step5", {}, (None, 1.0)), table(rows, axes=("seed",)))
    assert found.number == pytest.approx(np.exp(-2.0))


def test_trends_are_those_of_the_means() -> None:
    falls = judged(TrendStatement(quantity("rank"), {}, "slope", rises=False))
    assert falls.verdict == "reproduced" and falls.number == pytest.approx(1.25 / 5.0)
    assert falls.found == "5 at 0.0, 2 at 0.1, 1.25 at 0.9; last over first 0.25"
    assert falls.spread == pytest.approx(0.0)  # 1/4 and 1.5/6
    assert judged(TrendStatement(quantity("rank"), {}, "slope", rises=True)).verdict == "not reproduced"
    falling = TrendStatement(quantity("rank"), {}, "slope", rises=False)
    bent = [{**row, "rank": 7.0} if row["slope"] == 0.1 else row for row in ROWS]
    assert (
        judged(TrendStatement(quantity("rank"), {}, "slope", False), table(bent)).verdict == "reproduced in direction"
    )
    for back, verdict in ((0.0035, "reproduced"), (0.0045, "reproduced in direction")):  # of a change of 3.75
        almost = [{**row, "rank": 5.0 + back} if row["slope"] == 0.1 else row for row in ROWS]
        assert judged(falling, table(almost)).verdict == verdict
    level = [{**row, "rank": 1.0} for row in ROWS]
    for rises in (True, False):
        assert judged(TrendStatement(quantity("rank"), {}, "slope", rises), table(level)).verdict == "not reproduced"
    lacking = [{**row, "rank": nan if row["slope"] == 0.9 else row["rank"]} for row in ROWS]
    assert judged(TrendStatement(quantity("rank"), {}, "slope", False), table(lacking)).number is None


def test_axis_values_are_in_the_order_of_numbers() -> None:
    backwards = sorted(ROWS, key=lambda row: -float(str(row["slope"])))
    assert judged(TrendStatement(quantity("rank"), {}, "slope", False), table(backwards)).verdict == "reproduced"


def test_shares() -> None:
    proved = judged(ShareStatement("verdict", "proved", (), {}, (1.0, None), (0.8, None)))
    assert proved == Found("5 of 6 runs: proved", 5 / 6, None, "reproduced in direction")
    claim = ShareStatement("claim", "holds", ("holds", "violated"), {}, (1.0, None), None)
    assert judged(claim) == Found("2 of 3 runs: holds", 2 / 3, None, "not reproduced")
    late = ShareStatement("claim", "holds", ("holds", "violated"), {"slope": 0.9}, (1.0, None), None)
    assert judged(late).verdict == "reproduced"
    none = ShareStatement("claim", "holds", ("holds", "violated"), {"slope": 0.0}, (1.0, None), None)
    assert judged(none) == Found("applies to 0 of 2 runs", None, None, "hypotheses not met")


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(SweepError, match="column 'rnak'.* `rank`"):
        judged(value("rnak", {"slope": 0.0}, (None, 1.0)))


@pytest.mark.parametrize("text", ["", "a/b", "a / b / c", "a * b", "a /", "a  /  b"])
def test_texts_that_are_no_quantity(text: str) -> None:
    found = quantity_of(text)
    assert found is None or (found.operation == "" and found.first == text == "a/b")  # a column may hold a slash
