"""Claims that hold at any parameters: bounds of the smoothed margin, and gradients of networks of degree 2."""

from __future__ import annotations

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.gradient import along, point_of
from gflow.arrays import EPS
from gflow.claims.claim import Claim, Conclusion, Judge, at_most, below, condition, worst_row
from gflow.claims.telgarsky.setting import ROUNDING, chosen_rows, exponential, unit_inputs
from gflow.problem.parameters import Parameters
from gflow.problem.span import row_norms
from gflow.reference.margins import margins_at


def sandwich(run: AnalyzedRun) -> Claim:
    """min M - log n <= gsm <= min M and min M <= sum_i q_i M_i: the smoothed margin between margins."""
    rows = along(run)
    least = rows.margins.min(axis=1)
    below_it = least - rows.smoothed
    mean = np.sum(rows.dual * rows.margins, axis=1) - least
    n = rows.margins.shape[1]
    room = np.minimum(np.minimum(below_it, np.log(n) - below_it), mean) / np.maximum(np.abs(least), 1.0)
    value, when = worst_row(room, rows.v)
    return Claim(
        "tel.def.sandwich",
        "min M - log n <= smoothed margin <= min M <= sum q_i M_i; the value is the least room, relative to min M.",
        "rows",
        (exponential(run),),
        Conclusion(value >= -1e-12, value, 0.0, log1p_time=when),
    )


def lemma_a5(run: AnalyzedRun) -> Claim:
    """<u, -n grad L> / (2 |u|^2) <= Q (gnsm + log n / |u|^2) <= Q (gam + log n / |u|^2), times |u|^2 / Q."""
    rows = along(run)
    log_n, least = np.log(rows.margins.shape[1]), rows.margins.min(axis=1)
    pulled = 0.5 * np.sum(rows.dual * rows.euler, axis=1)
    room = np.minimum(rows.smoothed + log_n - pulled, least - rows.smoothed) / np.maximum(np.abs(least), 1.0)
    value, when = worst_row(room, rows.v)
    return Claim(
        "tel.lemA5",
        "<W, -n grad L>/2 <= Q (smoothed margin + log n) <= Q (min M + log n); the value is the least relative room.",
        "rows",
        (exponential(run),),
        Conclusion(value >= -ROUNDING, value, 0.0, log1p_time=when),
    )


def gradient_identity(run: AnalyzedRun) -> Claim:
    """-n grad L = Q grad gsm: the smoothed margin's derivative along the flow, against central differences."""
    gaps = np.array([_derivative_gap(run, int(row)) for row in chosen_rows(run)])
    value, when = worst_row(gaps, run.log1p_time[chosen_rows(run)], least=False)
    return Claim(
        "tel.grad.ident",
        f"-n grad L = Q grad(smoothed margin), by central differences at {gaps.size} rows; largest gap beyond their "
        "rounding, over the larger of |n grad L| / Q and 1 / 100 of its terms.",
        "rows",
        (),
        below(value, 1e-6, when),
    )


def _derivative_gap(run: AnalyzedRun, row: int) -> float:
    """What steps of h leave of the derivative grows like (h G)^2 of its terms, G = max |grad M_i|, and like h^2 G |x|
    as the network bends; margins are known to the rounding of what they are made of."""
    problem, state = run.problem, run.state(row)
    point = point_of(problem, state)
    towards, speed = point.velocity, point.velocity.norm
    if speed == 0.0 or towards.outer is None:
        return 0.0
    inner, outer = towards.inner / speed, towards.outer[0] / speed
    pattern, now = problem.sample_sides(state.side), state.parameters
    largest, longest = float(point.sample_norms.max()), float(row_norms(problem.X).max())
    h = 1e-4 / max(largest, float(np.sqrt(longest)))

    def smoothed(step: float) -> float:
        there = Parameters(now.U + step * inner, now.outer + step * outer)
        return problem.loss.smoothed_margin(margins_at(problem, there, pattern))

    log_sum = float(np.logaddexp.reduce(point.log_g))
    log_Q = float(problem.loss.log_slope(np.array([problem.loss.smoothed_margin(state.p)]))[0])
    terms = float(np.exp(log_sum - log_Q))
    pieces = float(np.abs(now.outer) @ row_norms(now.U)) * longest
    rounding = EPS * (4.0 + problem.span.rank) * (pieces + float(np.abs(state.p).max()) + 1.0) / h
    gap = abs((smoothed(h) - smoothed(-h)) / (2.0 * h) - terms * speed)
    return max(gap - rounding, 0.0) / (terms * max(speed, 0.01 * largest))


def euler(run: AnalyzedRun) -> Claim:
    """<W, grad M_i> = 2 M_i with the margins of the file."""
    rows = along(run)
    scale = rows.size[:, None] ** 2 * row_norms(run.problem.X)
    gap = np.abs(rows.euler - 2.0 * rows.margins) / np.where(scale > 0.0, scale, 1.0)
    value, when = worst_row(gap.max(axis=1), rows.v, least=False)
    return Claim(
        "tel.euler",
        "<W, grad M_i> = 2 M_i; the value is the largest gap over |W|^2 |x_i|.",
        "rows",
        (),
        below(value, ROUNDING, when),
    )


def gradient_size(run: AnalyzedRun) -> Claim:
    """|grad M_i|^2 <= 2 |W - W_0|^2 + 8m + 8 where |W_0|^2 <= 4m + 4."""
    rows, m = along(run), run.problem.network.width
    ratio = rows.sample_norms.max(axis=1) ** 2 / (2.0 * rows.distance**2 + 8.0 * m + 8.0)
    value, when = worst_row(ratio, rows.v, least=False)
    start = at_most("|W_0|^2", float(rows.size[0] ** 2), 4.0 * m + 4.0)
    return Claim(
        "tel.gradp",
        "|grad M_i|^2 <= 2 |W - W_0|^2 + 8m + 8; the value is the largest ratio of the two sides.",
        "rows",
        (unit_inputs(run), start),
        below(value, 1.0, when, rounding=ROUNDING),
    )


def lemma_b2(run: AnalyzedRun) -> Claim:
    """g <= 1/8 implies l <= 2 g, at every margin of every row."""
    rows, loss = along(run), run.problem.loss
    log_g = loss.log_slope(rows.margins)
    excess = np.where(log_g <= -np.log(8.0), loss.log_value(rows.margins) - log_g, -np.inf).max(axis=1)
    value, when = worst_row(excess, rows.v, least=False)
    return Claim(
        "tel.lemB2",
        "l(M) <= 2 g(M) wherever g(M) <= 1/8; the value is the largest log(l/g).",
        "rows",
        (condition("some g is at most 1/8", bool(np.isfinite(value))),),
        below(value, float(np.log(2.0)), when) if np.isfinite(value) else None,
    )


CLAIMS: tuple[Judge, ...] = (
    sandwich,
    lemma_a5,
    gradient_identity,
    euler,
    gradient_size,
    lemma_b2,
)
