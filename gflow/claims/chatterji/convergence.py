"""Chatterji et al., Theorem 1 and equation (8) for gradient flow: how fast the loss falls once it is small.

Their steps eta_t = Q1 log^2(1/L_t) are a change of time for the flow.  With u = 1/L and J = log^2(1/L) / |V|, Lemma 10
says du/dt = |grad L|^2 / L^2 >= (25/36) J^2 / log^2 u, and J never falls (I3), so J >= J_1 from a time t_1 on and

    G(u) - G(u_1) >= (25/36) J_1^2 (t - t_1),    G(u) = u (log^2 u - 2 log u + 2),  G' = log^2 u.
"""

from __future__ import annotations

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.gradient import Along, along
from gflow.arrays import Array
from gflow.claims.chatterji.setting import setting
from gflow.claims.chatterji.small_loss import gradient_share, predicate, small_loss
from gflow.claims.claim import Claim, Conclusion, Hypothesis, Judge, above, condition, worst_row

SHARE = 5.0 / 6.0  # of Lemma 10


def _first(rows: Along) -> int | None:
    """The first row where the predicate of Lemma 10 holds, which it does from then on; None without one."""
    small = np.flatnonzero(predicate(rows) >= SHARE)
    return int(small[0]) if small.size else None


def _hypotheses(run: AnalyzedRun, rows: Along, first: int | None) -> tuple[Hypothesis, ...]:
    later = condition("a row after the first of these", first is not None and first + 1 < rows.v.size)
    return (*setting(run).network(), small_loss(rows), later)


def _log_potential(log_inverse: Array) -> Array:
    """log G(u) of log u >= 0."""
    return np.asarray(log_inverse + np.log(log_inverse**2 - 2.0 * log_inverse + 2.0))


def equation8(run: AnalyzedRun) -> Claim:
    """The decrease of the loss against the loss and weights at an earlier time."""
    rows = along(run)
    first, conclusion = _first(rows), None
    if first is not None and first + 1 < rows.v.size:
        log_ratio = 2.0 * np.log(-rows.log_loss[first:]) - np.log(rows.size[first:])
        values = gradient_share(run, rows)[first:] * np.exp(log_ratio - log_ratio[0])
        value, when = worst_row(values, rows.v[first:])
        conclusion = above(value, SHARE, when, rounding=10.0 * float(run.trajectory.facts["rtol"]))
    return Claim(
        "chat.eq8.GF",
        "From the first row where L is small, L_1 and V_1, |grad L| log(1/L)/L >= (5/6) log^2(1/L_1)/|V_1|; the value "
        "is their least ratio, of 5/6.",
        "rows",
        _hypotheses(run, rows, first),
        conclusion,
    )


def theorem1(run: AnalyzedRun) -> Claim:
    """The rate of Theorem 1, in the time of the flow."""
    rows = along(run)
    first, conclusion = _first(rows), None
    if first is not None and first + 1 < rows.v.size:
        log_inverse, v = -rows.log_loss[first:], rows.v[first:]
        log_growth = 4.0 * np.log(log_inverse[0]) - 2.0 * np.log(rows.size[first]) + 2.0 * np.log(SHARE)
        log_elapsed = v[1:] + np.log(-np.expm1(v[0] - v[1:]))
        log_G = _log_potential(log_inverse)
        gap = np.logaddexp(log_G[0], log_growth + log_elapsed) - log_G[1:]
        value, when = worst_row(gap, v[1:], least=False)
        conclusion = Conclusion(
            value <= 10.0 * float(run.trajectory.facts["rtol"]) * max(1.0, float(log_inverse.max())),
            value,
            0.0,
            log1p_time=when,
        )
    return Claim(
        "chat.thm1.GF",
        "From the first row t_1 where L is small, G(1/L) >= G(1/L_1) + (25/36) (t - t_1) log^4(1/L_1)/|V_1|^2 with "
        "G(u) = u (log^2 u - 2 log u + 2), so L = O(log^2(t)/t); the value is the largest log of right over left.",
        "rows",
        _hypotheses(run, rows, first),
        conclusion,
    )


CLAIMS: tuple[Judge, ...] = (
    equation8,
    theorem1,
)
