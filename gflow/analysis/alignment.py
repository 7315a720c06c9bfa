"""Alignment of the neurons: how far they have turned, which of them carry the network, and how fast Telgarsky's
potential grows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.neurons import balance_drift, conserves_balance, inner_norms, neuron_norms
from gflow.analysis.potential import ROUNDING, potential_rate, potential_rows
from gflow.arrays import Array
from gflow.flow.state import FlowState
from gflow.problem.span import row_norms

Verdict = Literal["holds", "violated", "not applicable"]


@dataclass(frozen=True, slots=True)
class Directions:
    """Median over the neurons that are not 0: |cosine| with the closest sample, and with mu = sum_i y_i x_i.

    None: several outputs, or mu = 0.
    """

    samples: float
    mu: float | None


@dataclass(frozen=True, slots=True)
class Turning:
    """Cosines <w_j(0), w_j(t)> / (|w_j(0)| |w_j(t)|) in the last row; in [-1, 1].

    norm_correlation: Spearman's, of 1 - cosine with |a_j w_j|; None where one of the two is constant.
    """

    median: float
    least: float
    norm_correlation: float | None


@dataclass(frozen=True, slots=True)
class PotentialPath:
    """A potential of Telgarsky at the first and the last row; rate: least dPhi / dtau over pairs of rows."""

    theorem: str
    start: float
    end: float
    rate: float


@dataclass(frozen=True, slots=True)
class AlignmentResult:
    """verdict: is a_j^2 - |w_j|^2 constant for every neuron, up to the errors that the tolerances allow?

    drift: its largest change, relative to the largest a_j^2 + |w_j|^2; None where nothing conserves it.
    largest_share: the largest |a_j w_j| over their sum in the last row.
    """

    verdict: Verdict
    summary: str
    drift: float | None
    turning: Turning
    largest_share: float
    start: Directions
    end: Directions
    potential: PotentialPath | None


def alignment(run: AnalyzedRun) -> AlignmentResult:
    """The alignment of one run; all numbers from its rows."""
    first, last = run.state(0), run.last
    strength, turned = neuron_norms(run, last), turning(run)
    share = float(strength.max() / strength.sum()) if strength.any() else 0.0
    drift, bound = balance_drift(run) if conserves_balance(run) else (None, 0.0)
    verdict: Verdict = "not applicable" if drift is None else ("holds" if drift <= bound else "violated")
    return AlignmentResult(
        verdict,
        _sentence(verdict, drift, turned, share),
        drift,
        turned,
        share,
        _directions(run, first),
        _directions(run, last),
        _path(run),
    )


def _sentence(verdict: Verdict, drift: float | None, turned: Turning, share: float) -> str:
    kept = {
        "holds": f"a_j^2 - |w_j|^2 is conserved (relative drift {drift or 0.0:.1e})",
        "violated": f"a_j^2 - |w_j|^2 drifts by {drift or 0.0:.1e}, more than the tolerances allow",
        "not applicable": "no balance of the layers is conserved: the outer one is fixed or the activation is smooth",
    }[verdict]
    return (
        f"the median cosine of a neuron with its start is {turned.median:.4g}, the largest neuron has "
        f"{100.0 * share:.3g} % of all |a_j w_j|; {kept}"
    )


def turning(run: AnalyzedRun) -> Turning:
    """How far the neurons of the last row have turned since the first; a neuron that is 0 counts as not turned."""
    first, last = run.state(0), run.last
    product = np.sum(first.U * last.U, axis=1) + run.outside_norms**2
    sizes = inner_norms(run, first) * inner_norms(run, last)
    cosine = np.clip(np.divide(product, sizes, out=np.ones_like(sizes), where=sizes > 0.0), -1.0, 1.0)
    return Turning(
        float(np.median(cosine)), float(cosine.min()), rank_correlation(1.0 - cosine, neuron_norms(run, last))
    )


def rank_correlation(left: Array, right: Array) -> float | None:
    """Spearman's rank correlation of left (k,) and right (k,), in [-1, 1]; None where one of the two is constant."""
    if np.ptp(left) == 0.0 or np.ptp(right) == 0.0:
        return None
    from scipy.stats import spearmanr  # takes half a second to load

    return float(spearmanr(left, right).statistic)


def _directions(run: AnalyzedRun, state: FlowState) -> Directions:
    problem = run.problem
    norms = inner_norms(run, state)
    z = problem.preactivations(state.U)[norms > 0.0] / norms[norms > 0.0, None]
    if z.size == 0:
        return Directions(0.0, None)
    closest = np.abs(z / row_norms(problem.X)).max(axis=1)
    mu = problem.y @ problem.X
    length = float(np.linalg.norm(mu))
    defined = problem.network.outputs == 1 and length > ROUNDING * float(row_norms(problem.X).sum())
    with_mu = float(np.median(np.abs(z @ problem.y) / length)) if defined else None
    return Directions(float(np.median(closest)), with_mu)


def _path(run: AnalyzedRun) -> PotentialPath | None:
    known = potential_rows(run)
    if known is None:
        return None
    theorem, potential = known
    rate = potential_rate(run.trajectory.tau, potential)
    finite = potential[np.isfinite(potential)]
    return None if rate is None else PotentialPath(theorem, float(finite[0]), float(finite[-1]), rate)
