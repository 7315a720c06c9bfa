"""How a potential certifies a margin: Lemma A.6, and what the potentials of Theorems 3.2 and 3.3 share."""

from __future__ import annotations

import numpy as np

from gflow.analysis.claims.claim import Claim, Conclusion, Hypothesis, Judge, above, condition
from gflow.analysis.claims.telgarsky.setting import ROUNDING, exponential, normalized
from gflow.analysis.gradient import Along, along
from gflow.analysis.potential import potential_rate, potential_rows
from gflow.analysis.subject import Subject


def margin_reached(rows: Along, bound: float) -> tuple[Hypothesis, Conclusion]:
    """A margin for all large t: once reached it is kept, since the margin never falls; before it nothing is refuted."""
    value = float(normalized(rows)[-1])
    known = condition("the run is long enough: the margin has reached the bound", value >= bound)
    return known, above(value, bound, float(rows.v[-1]))


def growth(subject: Subject, theorem: str, bound: float, hypotheses: tuple[Hypothesis, ...]) -> Claim:
    """The potential of a theorem grows at least at `bound` in tau between any two rows, and stays <= log|W| / 2."""
    known, rows = potential_rows(subject), along(subject)
    rate = None
    if known is not None and known[0] == theorem:
        rate = potential_rate(subject.trajectory.tau, known[1])
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


def lemma_a6(subject: Subject) -> Claim:
    """A potential that grows at ghat in tau and stays below log|W| / 2 certifies liminf gam >= ghat."""
    known, rows = potential_rows(subject), along(subject)
    rate = None if known is None else potential_rate(subject.trajectory.tau, known[1])
    capped = known is not None and bool((known[1] <= 0.5 * np.log(rows.size) + ROUNDING).all())
    hypotheses = [
        condition("a potential is known and at most (log|W|)/2 in every row", capped),
        condition("it grows in tau over the rows", rate is not None and rate > 0.0),
        exponential(subject),
    ]
    conclusion = None
    if rate is not None:
        gamma = float(rows.margins[-1].min() / rows.size[-1] ** 2)
        conclusion = Conclusion(gamma >= rate, gamma, rate, gamma / rate if rate > 0.0 else None, rate, rows.v[-1])
        hypotheses.append(condition("the run is long enough: the margin has reached the rate", gamma >= rate))
    return Claim(
        "tel.lemA6",
        "A potential that grows at ghat in tau certifies liminf (normalised margin) >= ghat; the constant is ghat.",
        "last row",
        tuple(hypotheses),
        conclusion,
    )


CLAIMS: tuple[Judge, ...] = (lemma_a6,)
