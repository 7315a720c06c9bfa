"""Telgarsky, Lemma 2.5: the error on all of the distribution of 2-sparse parity.

In few dimensions it is counted over all corners; else over fresh ones, with an interval.  The lemma leaves its constant
open: what is told is the one that the error here needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.gradient import along
from gflow.arrays import Array, Index
from gflow.claims.claim import CHANCE, Claim, Conclusion, Hypothesis, Judge, condition
from gflow.claims.telgarsky.setting import DELTA, chosen_rows, normalized, parity, relu
from gflow.reference.margins import hidden
from gflow.scenario import parse_scenario
from gflow.scenario.schema import ParityData

MOST_CORNERS, FEWEST_CORNERS = 2**14, 64  # that are looked at, and for the widest networks
WORK = 2**31  # products in all for one row, as far as `FEWEST_CORNERS` allow
PART = 2**22  # numbers at once


@dataclass(frozen=True, slots=True)
class Error:
    """Pr[M <= 0] over the distribution: counted, or an estimate with an upper limit of confidence 1 - `CHANCE`."""

    value: float
    most: float


def error_at(run: AnalyzedRun, row: int) -> Error:
    """The error of the network in a row, of 2-sparse parity in d dimensions."""
    W, outer = run.trajectory.weights(row), run.state(row).parameters.outer
    m, d = W.shape
    count = min(MOST_CORNERS, max(WORK // (m * d), FEWEST_CORNERS))
    everyone = d < 64 and 2**d <= count
    wrong = seen = 0
    for signs in _corners(d, 2**d if everyone else count, everyone, max(PART // max(m, d), 1)):
        f = outer @ hidden(run.problem.network, W @ signs.T / np.sqrt(d))
        wrong += int((signs[:, 0] * signs[:, 1] * f <= 0.0).sum())
        seen += signs.shape[0]
    share = wrong / seen
    return Error(share, share if everyone else _most(wrong, seen))


def _corners(d: int, count: int, everyone: bool, length: int) -> Iterator[Array]:
    """All corners {-1, 1}^d, or `count` fresh ones, in parts of up to `length`, (k, d)."""
    rng = np.random.default_rng(0)  # a fixed one: the same file gives the same analysis
    for first in range(0, count, length):
        number = np.arange(first, min(first + length, count))
        bits = (number[:, None] >> np.arange(d)) & 1 if everyone else rng.integers(0, 2, size=(number.size, d))
        yield np.asarray(2.0 * bits - 1.0)


def _most(wrong: int, seen: int) -> float:
    """The upper limit of Clopper and Pearson."""
    from scipy.stats import beta  # takes half a second to load

    return float(beta.ppf(1.0 - CHANCE, wrong + 1, seen - wrong)) if wrong < seen else 1.0


def _drawn(run: AnalyzedRun) -> Hypothesis:
    """Are the samples independent draws of the distribution on which the error is counted?"""
    drawn = isinstance(parse_scenario(run.trajectory.scenario_resolved).data, ParityData)
    return condition("samples drawn independently from 2-sparse parity", drawn)


def _needed(run: AnalyzedRun, rows: Index, squares: Array) -> Conclusion:
    """The least C of Pr[M <= 0] <= C (log(n)^3 / (n squares_k) + log(1/delta) / n) in these rows, squares (k,)."""
    n = run.problem.samples
    errors = [error_at(run, int(row)) for row in rows]
    bounds = (np.log(n) ** 3 / squares - np.log(DELTA)) / n
    needed = np.array([error.most for error in errors]) / bounds
    worst = int(needed.argmax())
    when = float(run.log1p_time[rows[worst]])
    return Conclusion(True, errors[worst].value, constant=float(needed[worst]), log1p_time=when)


COUNTED = (
    "; the value is Pr[M <= 0] in the worst of a few rows, over all corners or else an estimate from fresh ones, the "
    "constant is the least C (for the upper limit of an estimate)."
)


def lemma_2_5(run: AnalyzedRun) -> Claim:
    """The error of every network whose smoothed margin is positive."""
    margins, rows = normalized(along(run)), chosen_rows(run)
    kept = rows[margins[rows] > 0.0]
    hypotheses = (_drawn(run), parity(run), relu(run))
    met = condition("a row with positive smoothed margin", kept.size > 0)
    known = kept.size > 0 and all(each.holds for each in hypotheses)
    conclusion = _needed(run, kept, margins[kept] ** 2) if known else None
    statement = (
        f"With probability {1.0 - DELTA:.5g} over the samples: Pr[M <= 0] <= C (log(n)^3/(n margin^2) + "
        "log(1/delta)/n), margin the normalised smoothed one" + COUNTED
    )
    return Claim("tel.lem2.5", statement, "rows", (*hypotheses, met), conclusion)


CLAIMS: tuple[Judge, ...] = (lemma_2_5,)
