"""The check of running extremes against the rows, and against those of the flow integrated again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gflow.arrays import Array
from gflow.problem.loss import log_mean
from gflow.trajectory.extremes import smoothing_doubt
from gflow.trajectory.layout import EXTREMES
from gflow.trajectory.recorded_run import RecordedRun
from gflow.verification.check import STEPS, Check, Worst, bounded, not_applicable
from gflow.verification.overshoot import overshoot
from gflow.verification.reintegration import Again, Reached

GROUP, ROWS, AGAIN = "extremes", "rows", "again"

# Extremes are taken at accepted steps, which differ between two integrations; between steps a quantity may go beyond
# its values there.  Many extremes lie at events or ends, where both integrations look.  Where the extremes differ by
# more than this, the curvature of the quantity there is taken into account.
BETWEEN_STEPS = 0.01
# Falls and rises that should be 0 are errors of steps.  They need not agree; they count where they exceed this.
LEAST = 100.0


def extremes(recorded: RecordedRun, runs: Sequence[Again]) -> list[Check]:
    """One check at all rows, one along the integration that kept them."""
    return [_rows(recorded), _again(recorded, runs)]


def _rows(recorded: RecordedRun) -> Check:
    """The check of quantities that rows determine: at every row, the extreme is at least as extreme as the value."""
    series, worst = recorded.trajectory.series, Worst()
    shown = _shown(recorded)
    for name, values in shown.items():
        if name in series:
            out = values - series[name] if name.startswith("sup") else series[name] - values
            size = np.maximum(1.0, np.abs(values))
            worst.see(float((out / size).max()), int((out / size).argmax()))
    sentence = f"{', '.join(shown)}: values of rows beyond them, over max(1, value); {worst.place}"
    return bounded(GROUP, ROWS, max(worst.value, 0.0), STEPS * recorded.rtol, sentence)


def _shown(recorded: RecordedRun) -> dict[str, Array]:
    """(T,) each: what the rows show of some quantities."""
    loss, series = recorded.problem.loss, recorded.trajectory.series
    margins = list(recorded.values("margins"))
    log_g = [loss.log_slope(p) for p in margins]
    scale = np.asarray(series.get("parameter_norm", series["weight_norm"])) ** recorded.problem.network.homogeneity
    # Twice the largest rounding error of margins at rows until then, since steps between rows may have larger ones.
    of_rows = [2.0 * recorded.problem.margin_rounding(row.U, row.outer) for row in recorded.each_row()]
    rounding = np.maximum.accumulate(of_rows)
    doubts = np.array([smoothing_doubt(p, each) for p, each in zip(margins, rounding, strict=True)])
    doubts = np.divide(doubts, scale, out=np.zeros_like(scale), where=scale > 0.0)
    return {
        "sup_margin_gap": np.array([p.max() - p.min() for p in margins]),
        "sup_log_g_ratio": np.array([g.max() - g.min() for g in log_g]),
        "inf_min_margin": np.array([p.min() for p in margins]),
        "inf_log_loss": np.array([log_mean(loss.log_value(p)) for p in margins]),
        "sup_normalized_smoothed_margin": np.asarray(series["normalized_smoothed_margin"]) - doubts,
    }


def _again(recorded: RecordedRun, runs: Sequence[Again]) -> Check:
    """The check at rows reached with tighter tolerances; every gap is relative to the extreme's size along the run."""
    run = next((run for run in runs if run.rung.taped and run.reached), None)
    if run is None:
        return not_applicable(GROUP, AGAIN, "no integration with tighter tolerances reached a row")
    series, worst, which = recorded.trajectory.series, -np.inf, ("", 0)
    last = run.reached[-1].row
    for name in [name for name in EXTREMES if name in series]:
        values = series[name]
        size = float(np.abs(values[: last + 1]).max())
        for at in run.reached:
            found = at.extremes[name]
            room = _room(recorded, at.row)
            gap = abs(float(values[at.row]) - found) / max(size, abs(found), LEAST * room)
            if gap > BETWEEN_STEPS:
                room += _left_by_steps(recorded, run, at, name) / max(size, abs(found))
            gap /= 1.0 + room / BETWEEN_STEPS
            if not gap <= worst:
                worst, which = gap, (name, at.row)
    sentence = "largest gap to the extremes that the integration met at its own steps, over their size along the run: "
    return bounded(GROUP, AGAIN, worst, BETWEEN_STEPS, f"{sentence}{which[0]} in row {which[1]}")


def _left_by_steps(recorded: RecordedRun, run: Again, at: Reached, name: str) -> float:
    """The largest error of an extreme by the steps of the run.

    They are longer than those of the integration again: over all, as they are fewer.  About the extreme one may be
    longer than that, if no row lies inside: the run saw the extreme at its end, and the true one is inside or at the
    other end.  A parabola is at its end by as much off its extreme as at the end of a step twice as long, whose middle
    that is.
    """
    series, met = recorded.trajectory.series, run.met[name]
    longer = max(at.steps / max(float(series["steps"][at.row]), 1.0), 1.0)
    times = sorted((float(series[f"{name}_at"][at.row]), at.extremes[f"{name}_at"]))
    between = np.searchsorted(recorded.log1p_time, times)
    length = 2.0 * (times[1] - times[0]) if between[0] == between[1] else 0.0
    return max(overshoot(met, v, longer, length) for v in times)


def _room(recorded: RecordedRun, row: int) -> float:
    """The error that steps of rtol leave in margins, which is the relative error of ratios of the g."""
    largest = max(1.0, float(np.abs(recorded.trajectory.read("margins", row)).max()))
    return STEPS * recorded.rtol * largest
