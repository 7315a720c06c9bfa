"""Margins certified by a potential: Lemma A.6, and what the potentials of Theorems 3.2 and 3.3 share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.gradient import Along, along
from gflow.analysis.potential import potential_rate, potential_rows
from gflow.arrays import Array
from gflow.claims.claim import Claim, Conclusion, Hypothesis, Judge, above, condition
from gflow.claims.telgarsky.setting import ROUNDING, exponential, normalized


def certified(rows: Along, tau: Array, potential: Array, ghat: float) -> float | None:
    """Lower bound of the smoothed normalised margin of the last row, from a potential that grows at least at rate ghat
    in tau; tau (T,), potential (T,).

    Lemma A.6 with its constants, exponential loss.  From the first row k with L < 1/n and a finite potential on |W| and
    the margin gnsm never fall, Phi_k + ghat (tau_T - tau_k) <= Phi_T <= (log|W_T|)/2, and
    d(log|W|)/dtau = 2 sum_i q_i M_i / |W|^2 <= 2 (gnsm + log n / |W|^2), so that
    gnsm_T >= ghat - ((log|W_k|)/2 - Phi_k + log n int dtau / |W|^2) / (tau_T - tau_k).  None without such rows.
    """
    kept = np.flatnonzero((rows.smoothed > 0.0) & np.isfinite(potential))
    if not kept.size or tau[-1] <= tau[kept[0]]:
        return None
    k, log_n = int(kept[0]), float(np.log(rows.margins.shape[1]))
    spent = float((np.diff(tau[k:]) / rows.size[k:-1] ** 2).sum())
    start = 0.5 * float(np.log(rows.size[k])) - float(potential[k])
    return ghat - (start + log_n * spent) / float(tau[-1] - tau[k])


def margin_by_now(rows: Along, bound: float, forced: float | None) -> tuple[Hypothesis, Conclusion]:
    """The claim of a margin for all large t.  forced: the margin of the last row that the potential forces.

    Once the margin is reached it is kept, since it never falls.  A run that has not reached it refutes the theorem only
    where the proof leaves no more time, that is, where the potential forces the margin already.
    """
    value = float(normalized(rows)[-1])
    name = "decided: the margin is reached, or the growth of the potential leaves no more time for it (forced margin)"
    due = forced is not None and forced >= bound
    decided = Hypothesis(name, value >= bound or due, forced, bound)
    return decided, above(value, bound, float(rows.v[-1]), ROUNDING)


def growth(run: AnalyzedRun, theorem: str, bound: float, hypotheses: tuple[Hypothesis, ...]) -> Claim:
    """The potential of a theorem grows at least at `bound` in tau between any two rows, and stays <= log|W| / 2."""
    known, rows = potential_rows(run), along(run)
    rate = None
    if known is not None and known[0] == theorem:
        rate = potential_rate(run.trajectory.tau, known[1])
    conclusion = None
    if known is not None and rate is not None:
        capped = bool((known[1] <= 0.5 * np.log(rows.size) + ROUNDING).all())
        conclusion = above(rate, bound, rounding=1e-6) if capped else Conclusion(False, rate, bound)
    finite = condition("every reference neuron is there: the potential is finite", rate is not None)
    return Claim(
        f"tel.thm{theorem}.Phi",
        "The potential grows at least at the theorem's rate and is at most (log|W|)/2; the value is the least rate.",
        "rows",
        (*hypotheses, finite),
        conclusion,
    )


def lemma_a6(run: AnalyzedRun) -> Claim:
    """A potential that grows at ghat in tau and stays below (log|W|)/2 certifies liminf gam >= ghat."""
    known, rows, tau = potential_rows(run), along(run), run.trajectory.tau
    rate = None if known is None else potential_rate(tau, known[1])
    forced = None if known is None or rate is None else certified(rows, tau, known[1], rate)
    capped = known is not None and bool((known[1] <= 0.5 * np.log(rows.size) + ROUNDING).all())
    hypotheses = (
        condition("a potential is known and at most (log|W|)/2 in every row", capped),
        condition("it grows in tau over the rows", rate is not None and rate > 0.0),
        exponential(run),
        condition("the run is long enough for a positive bound", forced is not None and forced > 0.0),
    )
    conclusion = None
    if forced is not None:
        value = float(normalized(rows)[-1])
        conclusion = replace(above(value, forced, float(rows.v[-1]), ROUNDING), constant=rate)
    return Claim(
        "tel.lemA6",
        "A potential that grows at ghat in tau certifies liminf (normalised margin) >= ghat: so far a smoothed margin "
        "of ghat - ((log|W_0|)/2 - Phi_0 + log n int dtau/|W|^2)/tau from the first fitted row on; the constant is "
        "ghat.",
        "last row",
        hypotheses,
        conclusion,
    )


CLAIMS: tuple[Judge, ...] = (lemma_a6,)
