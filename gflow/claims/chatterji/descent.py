"""Claims on the loss: how fast it falls, and how large its gradient and its Hessian are (Lemmas 5 to 7)."""

from __future__ import annotations

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.gradient import Along, along, point_of
from gflow.analysis.hessian import Hessian
from gflow.claims.chatterji.setting import ROUNDING, setting
from gflow.claims.claim import Checked, Claim, Judge, above, below, condition, worst_row

HESSIAN_ROWS = 5
CLEAR_DROP = 1e4  # times rtol: a drop of log L between two rows that errors of the margins change by 1e-4


def lemma5(run: AnalyzedRun) -> Claim:
    """dL/dt = -|grad L|^2 between neighbouring rows: the drop of L is at least |change of theta|^2 / time.

    Drops below what the tolerances leave of log L show nothing; without a clear one the run decides only if L rises.
    """
    rows, rtol = along(run), float(run.trajectory.facts["rtol"])
    moved = rows.step[1:]
    drop = rows.log_loss[:-1] - rows.log_loss[1:]
    clear = (drop > CLEAR_DROP * rtol) & (moved > 0.0)
    statement = (
        "dL/dt = -|grad L|^2, so L never rises (rows where it does: the rise of log L), and falls by at least "
        "|W(t') - W(t)|^2 / (t' - t) between neighbouring rows with a clear fall (ratio)."
    )
    rise, at, checked = _rise(run, rows)
    decided = condition("L clearly falls between some two rows, or rises", bool(clear.any()) or rise > rtol)
    if rise > rtol or not decided.holds:
        return Claim("chat.lem5", statement, checked, (decided,), below(rise, rtol, at))
    log_drop = rows.log_loss[:-1][clear] + np.log(-np.expm1(-drop[clear]))
    log_time = rows.v[1:][clear] + np.log(-np.expm1(rows.v[:-1][clear] - rows.v[1:][clear]))
    slack, when = worst_row(log_drop + log_time - 2.0 * np.log(moved[clear]), rows.v[1:][clear])
    fits = above(float(np.exp(min(slack, 700.0))), 1.0, when, rounding=10.0 / CLEAR_DROP)
    return Claim("chat.lem5", statement, "rows", (decided,), fits)


def _rise(run: AnalyzedRun, rows: Along) -> tuple[float, float, Checked]:
    """The largest rise of log L above its minimum so far, where, and where it was looked for."""
    kept = run.extreme("sup_loss_rise")
    if kept is not None:
        return *kept, "every step"
    return *worst_row(rows.log_loss - np.minimum.accumulate(rows.log_loss), rows.v, least=False), "rows"


def lemma6(run: AnalyzedRun) -> Claim:
    """|hess L| <= 5 P L at a few rows; the weak Hessian, by Lanczos."""
    setup, count = setting(run), run.trajectory.n_rows
    chosen = np.unique(np.linspace(0, count - 1, min(HESSIAN_ROWS, count)).round().astype(int))
    ratios = np.array([hessian_ratio(run, int(row)) * setup.factor**2 for row in chosen])
    value, when = worst_row(ratios, run.log1p_time[chosen], least=False)
    return Claim(
        "chat.lem6",
        f"The operator norm of the Hessian of L is at most 5 P L; value and bound are over L, at {chosen.size} rows.",
        "rows",
        (*setup.network(), setup.bandwidth(), setup.inputs()),
        below(value, 5.0 * setup.P, when, rounding=1e-6),
    )


def hessian_ratio(run: AnalyzedRun, row: int) -> float:
    """|hess L|_op / L in the parameters of the run at one row; phi'' is 1/h on all of [0, h]."""
    return Hessian(point_of(run.problem, run.state(row)), float(run.trajectory.read("log_loss", row))).norm


def lemma7(run: AnalyzedRun) -> Claim:
    """|grad L| <= sqrt(2P) min(L, 1); every step through |grad L| <= sup ratio * mean g, mean g <= min(L, 1)."""
    setup, rows = setting(run), along(run)
    kept = run.extreme("sup_gradient_ratio")
    bound = float(np.sqrt(2.0 * setup.P))
    checked: Checked = "rows"
    if kept is not None and kept[0] * setup.factor <= bound:
        conclusion, checked = below(kept[0] * setup.factor, bound, kept[1]), "every step"
    else:
        excess = rows.log_mean_slope - np.minimum(rows.log_loss, 0.0)
        value, when = worst_row(rows.gradient_ratio * setup.factor * np.exp(excess), rows.v, least=False)
        conclusion = below(value, bound, when, rounding=ROUNDING)
    return Claim(
        "chat.lem7",
        "|grad L| <= sqrt(2P) min(L, 1); the value is |grad L| over min(L, 1), or over mean g <= min(L, 1).",
        checked,
        (*setup.network(), setup.inputs()),
        conclusion,
    )


CLAIMS: tuple[Judge, ...] = (
    lemma5,
    lemma6,
    lemma7,
)
