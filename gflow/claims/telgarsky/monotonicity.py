"""Quantities that never fall once the data are fitted, and the balance of the layers, conserved at all times."""

from __future__ import annotations

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.gradient import Along, along
from gflow.analysis.neurons import balance_drift
from gflow.arrays import Array
from gflow.claims.claim import Checked, Claim, Conclusion, Hypothesis, Judge, below, condition, worst_row
from gflow.claims.telgarsky.setting import normalized


def _fitted_from(rows: Along) -> int | None:
    """The first row with L < l(0) / n, which is a positive smoothed margin; None if there is none."""
    fitted = np.flatnonzero(rows.smoothed > 0.0)
    return int(fitted[0]) if fitted.size else None


def _fall(values: Array, v: Array) -> tuple[float, float]:
    """The largest fall of values (T,) > 0 below their running maximum, relative to it, and its log(1 + t)."""
    largest = np.maximum.accumulate(values)
    return worst_row(1.0 - values / largest, v, least=False)


def _fitted(rows: Along) -> Hypothesis:
    return condition("some row has L < l(0)/n", _fitted_from(rows) is not None)


def _monotone(run: AnalyzedRun, name: str, values: Array) -> tuple[Conclusion | None, Checked]:
    """values (T,) never fall from the first fitted row on, up to ten times the tolerance of a step."""
    rows = along(run)
    first, kept = _fitted_from(rows), run.extreme(name)
    if first is None:
        return None, "rows"
    fall, when = kept if kept is not None else _fall(values[first:], rows.v[first:])
    allowed = 10.0 * float(run.trajectory.facts["rtol"])
    return below(fall, allowed, when), "rows" if kept is None else "every step"


def lemma_a4(run: AnalyzedRun) -> Claim:
    """|W| increases and <W, dW/dt> > 0 once L < l(0) / n."""
    rows = along(run)
    conclusion, checked = _monotone(run, "sup_norm_fall", rows.size)
    first = _fitted_from(rows)
    if conclusion is not None and first is not None:
        outward, when = worst_row(np.sum(rows.dual * rows.euler, axis=1)[first:], rows.v[first:])
        conclusion = conclusion if outward > 0.0 else Conclusion(False, outward, 0.0, log1p_time=when)
    return Claim(
        "tel.lemA4",
        "Once L < l(0)/n, |W| increases and <W, dW/dt> > 0; the value is the largest relative fall of |W|.",
        checked,
        (_fitted(rows),),
        conclusion,
    )


def monotone_margin(run: AnalyzedRun) -> Claim:
    """The normalised smoothed margin never falls once L < l(0) / n (Lyu and Li)."""
    rows = along(run)
    conclusion, checked = _monotone(run, "sup_margin_fall", normalized(rows))
    return Claim(
        "tel.LL.mono",
        "Once L < l(0)/n, the normalised smoothed margin never falls; the value is its largest relative fall.",
        checked,
        (_fitted(rows),),
        conclusion,
    )


def balance(run: AnalyzedRun) -> Claim:
    """a_j^2 - |v_j|^2 is constant; the bound is what the tolerances of all steps allow."""
    drift, allowed = balance_drift(run)
    statement = "a_j^2 - |v_j|^2 is constant for every neuron; drift relative to the largest a_j^2 + |v_j|^2."
    return Claim("tel.balance", statement, "rows", (), below(drift, allowed))


CLAIMS: tuple[Judge, ...] = (
    lemma_a4,
    monotone_margin,
    balance,
)
