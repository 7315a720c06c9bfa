"""Telgarsky, Lemmas 2.3 and 2.4, Theorem 2.2: the flow near its start, in the regime of the kernel, and after it.

All of it is about the logistic and the exponential loss.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.gradient import Along, along
from gflow.arrays import Array
from gflow.claims.claim import Claim, Conclusion, Hypothesis, Judge, above, below, condition, worst_row
from gflow.claims.telgarsky.data import ntk_margin
from gflow.claims.telgarsky.setting import (
    DELTA,
    ROUNDING,
    normalized,
    probably,
    relu,
    standard_start,
    unit_inputs,
    wide,
)
from gflow.flow_time import log_times

LEMMA, THEOREM = 7, 15  # conclusions hold with probability 1 - 7 delta and 1 - 15 delta
LATEST = 0.125  # tau by which the flow has left the ball of Lemma 2.4


def _ntk_hypotheses(run: AnalyzedRun, log_bound: float) -> tuple[Hypothesis, ...]:
    """A bound of gamma_ntk, m >= exp(log_bound) / gamma_ntk^2, the standard start, ReLU, |x| <= 1."""
    found = ntk_margin(run)
    name = "gamma_ntk is bounded below: separable data, or parity (by a map for a ~ N(0, 1), which is not the start)"
    known = condition(name, found is not None, firm=found is not None and found[1])
    common = (known, standard_start(run), relu(run), unit_inputs(run))
    return common if found is None else (*common, wide(run, log_bound - 2.0 * float(np.log(found[0]))))


def _lemma_2_3(
    part: str,
    statement: str,
    judged: Callable[[Along, AnalyzedRun, float], tuple[Array, float]],
    first: Callable[[AnalyzedRun], float] = lambda _: -np.inf,
) -> Judge:
    """Over the rows with t > 0 and log t >= first(run).  judged: values (T,) and bound, from gamma_ntk sqrt(m).

    The width is judged at the last row, where it is asked the most; with n in place of t where that is more, for
    the proof uses Lemma A.3 on all samples.
    """

    def judge(run: AnalyzedRun) -> Claim:
        rows, found = along(run), ntk_margin(run)
        log_time = log_times(rows.v)
        kept = (rows.v > 0.0) & (log_time >= first(run))
        conclusion = None
        if found is not None and kept.any():
            values, bound = judged(rows, run, float(found[0] * np.sqrt(run.problem.network.width)))
            value, when = worst_row(values[kept], rows.v[kept], least=False)
            conclusion = below(value, bound, when, ROUNDING)
        wanted = 640.0 * (max(float(log_time[-1]), float(np.log(run.problem.samples))) - np.log(DELTA))
        far = condition("the run goes on to where the lemma is claimed", bool(kept.any()))
        hypotheses = (*_ntk_hypotheses(run, 2.0 * float(np.log(wanted))), far)
        return Claim(f"tel.lem2.3.{part}", probably(LEMMA, statement), "rows", hypotheses, conclusion)

    return judge


def _from_small_weights(run: AnalyzedRun) -> float:
    """log t from which mean g <= 1/(20t) makes every g small enough for l <= 2g: n, if the loss is not l = g itself."""
    return float(np.log(run.problem.samples)) if run.problem.loss.name == "logistic" else -np.inf


def _log_loss_and_time(rows: Along, _: AnalyzedRun, __: float) -> tuple[Array, float]:
    return rows.log_loss + log_times(rows.v), float(-np.log(5.0))


def _mass_over_distance(rows: Along, run: AnalyzedRun, scale: float) -> tuple[Array, float]:
    distance = np.where(rows.distance > 0.0, rows.distance, np.inf)
    return run.trajectory.tau * scale / distance, 4.0


lemma_2_3_loss = _lemma_2_3(
    "loss",
    "L(t) <= 1/(5t), from t = n on for the logistic loss; the value is the largest log(t L).",
    _log_loss_and_time,
    _from_small_weights,
)
lemma_2_3_distance = _lemma_2_3(
    "distance",
    "|W - W_0| <= gamma_ntk sqrt(m)/80.",
    lambda rows, _, scale: (rows.distance, scale / 80.0),
)
lemma_2_3_perceptron = _lemma_2_3(
    "perceptron",
    "(1/n) int sum g dt <= 4 |W - W_0|/(gamma_ntk sqrt(m)); the value is the largest ratio, of 4.",
    _mass_over_distance,
)


@dataclass(frozen=True, slots=True)
class _Ball:
    """The ball of radius R0 = gamma sqrt(m) / 32 around the start.

    inside: the first row within R0 / 2 with L < l(0)/n; out: the first row at distance R0 or more, after inside where
    there is one.  None where there is no such row.
    """

    gamma: float
    R0: float
    inside: int | None
    out: int | None

    @classmethod
    def of(cls, run: AnalyzedRun, gamma: float) -> _Ball:
        """The ball, located from the rows of a run."""
        rows = along(run)
        R0 = float(gamma * np.sqrt(run.problem.network.width) / 32.0)
        inside = np.flatnonzero((rows.smoothed > 0.0) & (rows.distance <= 0.5 * R0))
        first = int(inside[0]) if inside.size else 0
        out = np.flatnonzero(rows.distance[first:] >= R0)
        return cls(gamma, R0, first if inside.size else None, first + int(out[0]) if out.size else None)


Judged = tuple[Hypothesis, Conclusion | None]
Part = Callable[[AnalyzedRun, _Ball], Judged]


def _near_start(name: str, uses: int, statement: str, log_bound: Callable[[float], float], part: Part) -> Judge:
    """log_bound: log of m gamma_ntk^2 that the width must reach, from log(n/delta); part: a condition, a conclusion."""

    def judge(run: AnalyzedRun) -> Claim:
        found, log_n = ntk_margin(run), float(np.log(run.problem.samples / DELTA))
        hypotheses = _ntk_hypotheses(run, log_bound(log_n))
        if found is None:
            return Claim(name, probably(uses, statement), "rows", hypotheses, None)
        met, conclusion = part(run, _Ball.of(run, found[0]))
        return Claim(name, probably(uses, statement), "rows", (*hypotheses, met), conclusion)

    return judge


def _left(ball: _Ball) -> Hypothesis:
    name = "a row with |W - W_0| <= R_0/2 and L < l(0)/n, and one at R_0 or more after it"
    return condition(name, ball.inside is not None and ball.out is not None)


def _leaves(run: AnalyzedRun, ball: _Ball) -> Judged:
    """Within the ball <theta, grad M_i> >= gamma sqrt(m)/2, |theta| <= 2, so |W - W_0| >= gamma sqrt(m) tau / 4."""
    rows, tau = along(run), run.trajectory.tau
    due = np.flatnonzero(tau > LATEST)
    row = int(due[0]) if due.size else rows.v.size - 1
    reached = float(rows.distance[: row + 1].max())
    far = condition("the run goes beyond tau = 1/8, or leaves the ball", bool(due.size) or reached >= ball.R0)
    return far, above(reached, ball.R0, float(rows.v[row]), ROUNDING)


def _margin_after(run: AnalyzedRun, ball: _Ball) -> Judged:
    return _left(ball), _margin_from(run, ball.out, ball.gamma) if _left(ball).holds else None


def _margin_from(run: AnalyzedRun, first: int | None, gamma: float) -> Conclusion:
    rows = along(run)
    value, when = worst_row(normalized(rows)[first:], rows.v[first:])
    return above(value, gamma**2 / 4096.0, when, ROUNDING)


def _margin_after_n(run: AnalyzedRun, ball: _Ball) -> Judged:
    """Theorem 2.2 assumes nothing of the way: at t = n the data are fitted within R_0 / 2, by Lemma 2.3."""
    rows = along(run)
    late = np.flatnonzero((log_times(rows.v) >= np.log(run.problem.samples)) & (rows.distance >= ball.R0))
    met = condition("a row with t >= n and |W - W_0| >= R_0", late.size > 0)
    return met, _margin_from(run, int(late[0]), ball.gamma) if late.size else None


def _rebalanced_at_exit(run: AnalyzedRun, ball: _Ball) -> Judged:
    """The claim at W_t with |W_t - W_0| = R_0, which lies between two rows; smoothed margin and |W| never fall there.

    Nor does the size of the rebalanced weights, for |a|^2 - |V|^2 is conserved; so the rows on both sides bound it.
    """
    rows, gamma, out = along(run), ball.gamma, ball.out
    bound = gamma / 4096.0
    name = "the rows before and after W_t decide"
    if out is None or not _left(ball).holds:
        return _left(ball), None
    inner = np.asarray(run.trajectory.series["weight_norm"]) ** 2
    squares = (rows.size**2 - inner) / gamma + gamma * inner
    low, high = float(rows.smoothed[out - 1] / squares[out]), float(rows.smoothed[out] / squares[out - 1])
    holds, fails = low >= bound, high < bound * (1.0 - ROUNDING)
    return condition(name, holds or fails), above(low if holds else high, bound, float(rows.v[out]), ROUNDING)


def _steep_within(run: AnalyzedRun, ball: _Ball) -> Judged:
    """|grad gsm| = |sum_i g_i grad M_i| / Q in the fitted rows within the ball."""
    rows = along(run)
    log_Q = run.problem.loss.log_slope(rows.smoothed)
    log_sum = rows.log_mean_slope + np.log(rows.margins.shape[1])
    slope = rows.gradient_ratio * np.exp(log_sum - log_Q)
    within = (rows.smoothed > 0.0) & (rows.distance <= ball.R0)
    met = condition("a row with |W - W_0| <= R_0 and L < l(0)/n", bool(within.any()))
    if not met.holds:
        return met, None
    value, when = worst_row(slope[within], rows.v[within])
    return met, above(value, 8.0 * ball.R0, when, ROUNDING)


def _linear(log_n: float) -> float:
    """m >= 256 log(n/delta) / gamma_ntk^2 (Lemma 2.4), and what its proof needs where that is more.

    sqrt(32 log(n/delta)) + 4 R_0 + 4 <= gamma_ntk sqrt(m) / 2, with the constants in the proof of Lemma A.3.
    """
    return float(np.log(max(256.0 * log_n, ((np.sqrt(32.0 * log_n) + 4.0) / 0.375) ** 2)))


def _squared(log_n: float) -> float:
    """m >= (640 log(n/delta) / gamma_ntk)^2 (Theorem 2.2)."""
    return 2.0 * float(np.log(640.0 * log_n))


AFTER = "after leaving the ball of radius R_0 = gamma_ntk sqrt(m)/32 around the start, "
lemma_2_4_distance = _near_start(
    "tel.lem2.4.distance",
    LEMMA,
    "the flow leaves the ball of radius R_0 = gamma_ntk sqrt(m)/32 around the start, by tau = 1/8; the value is the "
    "largest distance till then.",
    _linear,
    _leaves,
)
lemma_2_4_margin = _near_start(
    "tel.lem2.4.margin",
    LEMMA,
    AFTER + "the normalised smoothed margin is >= gamma_ntk^2/4096.",
    _linear,
    _margin_after,
)
lemma_2_4_rebalanced = _near_start(
    "tel.lem2.4.rebalanced",
    LEMMA,
    "where the flow leaves the ball of radius R_0 = gamma_ntk sqrt(m)/32 around the start, the normalised smoothed "
    "margin of (a/sqrt(g), V sqrt(g)), g = gamma_ntk, is >= g/4096; the value is a bound from the rows beside.",
    _linear,
    _rebalanced_at_exit,
)
lemma_2_4_slope = _near_start(
    "tel.lem2.4.slope",
    LEMMA,
    "within the ball of radius R_0, once L < l(0)/n, |grad(smoothed margin)| >= gamma_ntk sqrt(m)/4.",
    _linear,
    _steep_within,
)
theorem_2_2 = _near_start(
    "tel.thm2.2.margin",
    THEOREM,
    AFTER + "which happens after t = n, the normalised smoothed margin is >= gamma_ntk^2/4096.",
    _squared,
    _margin_after_n,
)


CLAIMS: tuple[Judge, ...] = (
    lemma_2_3_loss,
    lemma_2_3_distance,
    lemma_2_3_perceptron,
    lemma_2_4_distance,
    lemma_2_4_margin,
    lemma_2_4_rebalanced,
    lemma_2_4_slope,
    theorem_2_2,
)
