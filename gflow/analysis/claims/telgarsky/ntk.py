"""Telgarsky, Lemmas 2.3 and 2.4, Theorem 2.2: the flow near its start, in the regime of the kernel, and after it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gflow.analysis.claims.claim import Claim, Conclusion, Hypothesis, Judge, above, below, condition, worst_row
from gflow.analysis.claims.telgarsky.data import ntk_margin
from gflow.analysis.claims.telgarsky.setting import DELTA, normalized, relu, standard_start, unit_inputs, wide
from gflow.analysis.gradient import Along, along
from gflow.analysis.subject import Subject

Array = NDArray[np.float64]


def _ntk_hypotheses(subject: Subject, log_bound: float) -> tuple[Hypothesis, ...]:
    """A bound of gamma_ntk, m >= exp(log_bound) / gamma_ntk^2, the standard start, ReLU, |x| <= 1."""
    gamma = ntk_margin(subject)
    known = condition("gamma_ntk is bounded below: parity or separable data", gamma is not None)
    common = (known, standard_start(subject), relu(subject), unit_inputs(subject))
    return common if gamma is None else (*common, wide(subject, log_bound - 2.0 * float(np.log(gamma))))


def _lemma_2_3(
    part: str, statement: str, value_and_bound: Callable[[Along, Subject, float], tuple[Array, float]]
) -> Judge:
    """Over the rows with t > 0; the width is judged at the last one, where it is asked the most."""

    def judge(subject: Subject) -> Claim:
        rows, gamma = along(subject), ntk_margin(subject)
        conclusion = None
        if gamma is not None and rows.v[-1] > 0.0:
            scale = float(gamma * np.sqrt(subject.problem.network.width))
            values, bound = value_and_bound(rows, subject, scale)
            value, when = worst_row(values[rows.v > 0.0], rows.v[rows.v > 0.0], least=False)
            conclusion = below(value, bound, when)
        log_time = _log_time(rows.v[-1:])[0] if rows.v[-1] > 0.0 else 0.0
        wanted = 640.0 * (max(float(log_time), 0.0) + np.log(1.0 / DELTA))
        hypotheses = _ntk_hypotheses(subject, 2.0 * float(np.log(wanted)))
        logistic = condition("logistic loss", subject.problem.loss.name == "logistic")
        return Claim(f"tel.lem2.3.{part}", statement, "rows", (*hypotheses, logistic), conclusion)

    return judge


def _log_time(v: Array) -> Array:
    """log t from log(1 + t) > 0."""
    return np.asarray(v + np.log(-np.expm1(-v)))


def _log_loss_and_time(rows: Along, _: Subject, __: float) -> tuple[Array, float]:
    later = rows.v > 0.0
    return np.where(later, rows.log_loss + _log_time(np.where(later, rows.v, 1.0)), -np.inf), float(-np.log(5.0))


def _mass_over_distance(rows: Along, subject: Subject, scale: float) -> tuple[Array, float]:
    distance = np.where(rows.distance > 0.0, rows.distance, np.inf)
    return subject.trajectory.tau * scale / distance, 4.0


lemma_2_3_loss = _lemma_2_3("loss", "L(t) <= 1/(5t); the value is the largest log(t L).", _log_loss_and_time)
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


def _ball(subject: Subject, gamma: float) -> tuple[float, int | None, int | None]:
    """R_0, the first fitted row within R_0 / 2, and the first row after it at distance R_0 or more."""
    rows = along(subject)
    R0 = gamma * np.sqrt(subject.problem.network.width) / 32.0
    inside = np.flatnonzero((rows.smoothed > 0.0) & (rows.distance <= 0.5 * R0))
    if inside.size == 0:
        return float(R0), None, None
    out = np.flatnonzero(rows.distance[inside[0] :] >= R0)
    return float(R0), int(inside[0]), int(inside[0] + out[0]) if out.size else None


def _leaving(
    name: str,
    statement: str,
    log_bound: Callable[[float], float],
    judged: Callable[[Subject, float, int, float], Conclusion],
) -> Judge:
    """The flow leaves the ball of radius R_0 around its start with a margin.

    log_bound: log of m gamma_ntk^2 that the width must reach, from log(n/delta); judged: subject, gamma_ntk, the first
    row at distance R_0, R_0.
    """

    def judge(subject: Subject) -> Claim:
        gamma, log_n = ntk_margin(subject), float(np.log(subject.problem.samples / DELTA))
        R0, inside, out = (0.0, None, None) if gamma is None else _ball(subject, gamma)
        conclusion = judged(subject, gamma, out, R0) if gamma is not None and out is not None else None
        fits = condition("a row with |W - W_0| <= R_0/2 and L < l(0)/n", inside is not None)
        hypotheses = (*_ntk_hypotheses(subject, log_bound(log_n)), fits)
        return Claim(name, statement, "rows", hypotheses, conclusion)

    return judge


def _stays_out(subject: Subject, _: float, out: int, R0: float) -> Conclusion:
    rows = along(subject)
    return above(*_with_bound(worst_row(rows.distance[out:], rows.v[out:]), R0))


def _with_bound(worst: tuple[float, float], bound: float) -> tuple[float, float, float]:
    """(value, bound, log(1 + t)) from (value, log(1 + t))."""
    return worst[0], bound, worst[1]


def _margin_after(subject: Subject, gamma: float, out: int, _: float) -> Conclusion:
    rows = along(subject)
    return above(*_with_bound(worst_row(normalized(rows)[out:], rows.v[out:]), gamma**2 / 4096.0))


def _rebalanced_after(subject: Subject, gamma: float, out: int, _: float) -> Conclusion:
    rows = along(subject)
    inner = np.asarray(subject.trajectory.series["weight_norm"]) ** 2
    size = (rows.size**2 - inner) / gamma + gamma * inner
    return above(*_with_bound(worst_row((rows.smoothed / size)[out:], rows.v[out:]), gamma / 4096.0))


def _steep_within(subject: Subject, gamma: float, out: int, R0: float) -> Conclusion:
    """|grad gsm| = |sum_i g_i grad M_i| / Q within the ball."""
    rows = along(subject)
    log_Q = subject.problem.loss.log_slope(rows.smoothed)
    log_sum = rows.log_mean_slope + np.log(rows.margins.shape[1])
    slope = rows.gradient_ratio * np.exp(log_sum - log_Q)
    within = (rows.smoothed > 0.0) & (np.arange(rows.v.size) <= out) & (rows.distance <= R0)
    kept = within if within.any() else np.arange(rows.v.size) == out
    return above(*_with_bound(worst_row(slope[kept], rows.v[kept]), 8.0 * R0))


def _linear(log_n: float) -> float:
    """m >= 256 log(n/delta) / gamma_ntk^2 (Lemma 2.4)."""
    return float(np.log(256.0 * log_n))


def _squared(log_n: float) -> float:
    """m >= (640 log(n/delta) / gamma_ntk)^2 (Theorem 2.2)."""
    return 2.0 * float(np.log(640.0 * log_n))


AFTER = "After leaving the ball of radius gamma_ntk sqrt(m)/32 around the start, "
lemma_2_4_distance = _leaving("tel.lem2.4.distance", AFTER + "the flow never enters it again.", _linear, _stays_out)
lemma_2_4_margin = _leaving(
    "tel.lem2.4.margin", AFTER + "the normalised smoothed margin is >= gamma_ntk^2/4096.", _linear, _margin_after
)
lemma_2_4_rebalanced = _leaving(
    "tel.lem2.4.rebalanced",
    AFTER + "that of (a/sqrt(g), V sqrt(g)), g = gamma_ntk, is >= g/4096.",
    _linear,
    _rebalanced_after,
)
lemma_2_4_slope = _leaving(
    "tel.lem2.4.slope", "Within that ball |grad(smoothed margin)| >= gamma_ntk sqrt(m)/4.", _linear, _steep_within
)
theorem_2_2 = _leaving(
    "tel.thm2.2.margin", AFTER + "the normalised smoothed margin is >= gamma_ntk^2/4096.", _squared, _margin_after
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
