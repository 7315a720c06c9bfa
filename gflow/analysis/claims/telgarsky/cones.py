"""Telgarsky, Theorem 3.2: both layers trained, on data in cones."""

from __future__ import annotations

import numpy as np

from gflow.analysis.claims.claim import Claim, Hypothesis, Judge, below, condition
from gflow.analysis.claims.telgarsky.potential import growth, margin_reached
from gflow.analysis.claims.telgarsky.setting import (
    exponential,
    log_width,
    relu,
    standard_start,
    two_layers,
    unit_inputs,
    wide,
)
from gflow.analysis.gradient import along
from gflow.analysis.potential import cone_shares, cones
from gflow.analysis.subject import Subject


def theorem_3_2(subject: Subject) -> Claim:
    """Normalised smoothed margin >= (gam_nc - eps) / (8r) for all large t, on data in cones."""
    found, rows = cones(subject.problem), along(subject)
    statement = "On data in cones the normalised smoothed margin is >= (gam_nc - eps)/(8r) for all large t."
    if found is None:
        return Claim("tel.thm3.2", statement, "last row", (_in_cones(subject),), None)
    r, d = found.features.beta.shape
    known, conclusion = margin_reached(rows, (found.cone_margin - found.eps) / (8.0 * r))
    width = wide(subject, log_width(found.eps, d, r))
    hypotheses = (*_cone_network(subject), standard_start(subject), width, known)
    return Claim("tel.thm3.2", statement, "last row", hypotheses, conclusion)


def _in_cones(subject: Subject) -> Hypothesis:
    return condition("the data lie in disjoint cones (Assumption 3.1)", cones(subject.problem) is not None)


def _cone_network(subject: Subject) -> tuple[Hypothesis, ...]:
    """What Theorem 3.2 and its potentials ask of network and data, apart from the width."""
    found = cones(subject.problem)
    apart = condition("no sample is active on units near another cone", found is not None and found.apart)
    return (_in_cones(subject), apart, two_layers(subject), relu(subject), unit_inputs(subject), exponential(subject))


def shares(subject: Subject) -> Claim:
    """phi_kj never falls, for every cone k and neuron j."""
    found, fall, when = cones(subject.problem), 0.0, 0.0
    if found is not None and subject.problem.network.directions is None:
        largest = cone_shares(subject, subject.state(0), found)
        for row in range(subject.trajectory.n_rows):
            now = cone_shares(subject, subject.state(row), found)
            if float((largest - now).max()) > fall:
                fall, when = float((largest - now).max()), float(subject.log1p_time[row])
            largest = np.maximum(largest, now)
    allowed = 10.0 * float(subject.trajectory.facts["rtol"])
    return Claim(
        "tel.thm3.2.phi",
        "phi_kj never falls, for every cone k and neuron j; the value is the largest fall.",
        "rows",
        _cone_network(subject),
        None if found is None else below(fall, allowed, when),
    )


def cone_growth(subject: Subject) -> Claim:
    """dPhi / dtau >= gam_nc (1 - 2 eps) / (2r) for the potential of Theorem 3.2."""
    found = cones(subject.problem)
    bound = 0.0 if found is None else found.cone_margin * (1.0 - 2.0 * found.eps) / (2.0 * found.features.alpha.size)
    return growth(subject, "3.2", bound, _cone_network(subject))


CLAIMS: tuple[Judge, ...] = (
    theorem_3_2,
    shares,
    cone_growth,
)
