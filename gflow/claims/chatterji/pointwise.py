"""Inequalities for the activation and the loss, at every pre-activation and margin of the rows."""

from __future__ import annotations

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.gradient import along
from gflow.claims.chatterji.setting import ROUNDING, setting
from gflow.claims.claim import Claim, Conclusion, Judge, below, condition, worst_row


def huber(run: AnalyzedRun) -> Claim:
    """phi(z) <= phi'(z) z <= phi(z) + h/2 at every pre-activation of every row."""
    smoothing = setting(run)
    activation = run.problem.network.smoothing
    assert activation is not None, "applies() was not asked"
    worst, when = -np.inf, 0.0
    for row, U in enumerate(run.values("inner")):
        z = run.problem.preactivations(U)
        phi, product = activation.value(z), activation.derivative(z) * z
        room = np.spacing(np.abs(z)).max() * 4.0
        outside = float(np.maximum(phi - product, product - phi - 0.5 * smoothing.h).max() - room)
        if outside > worst:
            worst, when = outside, float(run.log1p_time[row])
    return Claim(
        "chat.huber",
        "phi(z) <= phi'(z) z <= phi(z) + h/2 for the Huberized ReLU; the value is how far outside it lies.",
        "rows",
        (),
        below(max(worst, 0.0), 0.0, when),
    )


def ident(run: AnalyzedRun) -> Claim:
    """M = -log(e^l - 1) and 1 / (1 + e^M) = 1 - e^-l, compared as log(1 - e^-l) = log g."""
    rows, loss = along(run), run.problem.loss
    log_l = loss.log_value(rows.margins)
    # log(1 - e^-l) = log l + log((1 - e^-l) / l); the second factor is 1 - l/2 where l is small.
    value_of_loss = np.exp(log_l)
    small = value_of_loss < 1e-8
    far = np.log(-np.expm1(-np.where(small, 1.0, value_of_loss)))
    log_g = np.where(small, log_l - 0.5 * value_of_loss, far)
    gap = np.abs(log_g - loss.log_slope(rows.margins)) / np.maximum(np.abs(rows.margins), 1.0)
    value, when = worst_row(gap.max(axis=1), rows.v, least=False)
    return Claim(
        "chat.ident",
        "1 / (1 + e^M) = 1 - e^-l with l = log(1 + e^-M); the value is the largest relative gap of the logs.",
        "rows",
        (condition("logistic loss", setting(run).logistic),),
        below(value, ROUNDING, when),
    )


def lemma20(run: AnalyzedRun) -> Claim:
    """g <= l and e^M / (1 + e^M)^2 <= g, as differences of logs."""
    rows, loss = along(run), run.problem.loss
    log_g = loss.log_slope(rows.margins)
    with np.errstate(divide="ignore"):
        curved = np.log(-loss.log_slope_rate(rows.margins))  # log of e^M / (1 + e^M)
    excess = np.maximum(log_g - loss.log_value(rows.margins), curved).max(axis=1)
    value, when = worst_row(excess, rows.v, least=False)
    return Claim(
        "chat.lem20",
        "1/(1 + e^M) <= log(1 + e^-M) and e^M/(1 + e^M)^2 <= 1/(1 + e^M); the value is the largest log of the ratios.",
        "rows",
        (condition("logistic loss", setting(run).logistic),),
        Conclusion(value <= ROUNDING * max(1.0, float(np.abs(log_g).max())), value, 0.0, log1p_time=when),
    )


CLAIMS: tuple[Judge, ...] = (
    huber,
    ident,
    lemma20,
)
