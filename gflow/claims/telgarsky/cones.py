"""Telgarsky, Theorem 3.2: both layers trained, on data in cones."""

from __future__ import annotations

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.gradient import along
from gflow.analysis.potential import Cones, cone_shares, cones, potential_rows
from gflow.claims.claim import Claim, Hypothesis, Judge, below, condition
from gflow.claims.telgarsky.potential import certified, growth, margin_by_now
from gflow.claims.telgarsky.setting import (
    exponential,
    log_width,
    probably,
    relu,
    standard_start,
    two_layers,
    unit_inputs,
    wide,
)


def theorem_3_2(run: AnalyzedRun) -> Claim:
    """Normalised smoothed margin >= (gam_nc - eps) / (8r) for all large t, on data in cones, as printed.

    What forces the margin by a time is the corrected proof, which needs the cones further apart than the theorem does.
    """
    found, rows = cones(run.problem), along(run)
    statement = probably(
        3, "on data in cones the normalised smoothed margin is >= (gam_nc - eps)/(8r) for all large t."
    )
    if found is None:
        return Claim("tel.thm3.2", statement, "last row", (_in_cones(run),), None)
    r, d = found.features.beta.shape
    known, forced = potential_rows(run), None
    if found.apart and known is not None and known[0] == "3.2":
        forced = certified(rows, run.trajectory.tau, known[1], _cone_rate(found))
    decided, conclusion = margin_by_now(rows, (found.cone_margin - found.eps) / (8.0 * r), forced)
    width = wide(run, log_width(found.eps, d, r, signs=True))
    hypotheses = (*_assumed(run), standard_start(run), width, decided)
    return Claim("tel.thm3.2", statement, "last row", hypotheses, conclusion)


def _cone_rate(found: Cones) -> float:
    """gam_nc (1 - 2 eps) / (2r), at which the potential grows in tau."""
    return found.cone_margin * (1.0 - 2.0 * found.eps) / (2.0 * found.features.alpha.size)


def _in_cones(run: AnalyzedRun) -> Hypothesis:
    return condition("the data lie in disjoint cones (Assumption 3.1)", cones(run.problem) is not None)


def _assumed(run: AnalyzedRun) -> tuple[Hypothesis, ...]:
    """The hypotheses of Theorem 3.2 on network and data."""
    return (_in_cones(run), two_layers(run), relu(run), unit_inputs(run), exponential(run))


def _cone_network(run: AnalyzedRun) -> tuple[Hypothesis, ...]:
    """The hypotheses of its potentials, except the width: the proof needs more of the data than the theorem says."""
    found = cones(run.problem)
    apart = condition("no sample is active on units near another cone", found is not None and found.apart)
    return (*_assumed(run), apart)


def shares(run: AnalyzedRun) -> Claim:
    """phi_kj never falls, for every cone k and neuron j."""
    found, fall, when = cones(run.problem), 0.0, 0.0
    if found is not None and run.problem.network.directions is None:
        largest = cone_shares(run, run.state(0), found)
        for row in range(run.trajectory.n_rows):
            now = cone_shares(run, run.state(row), found)
            if float((largest - now).max()) > fall:
                fall, when = float((largest - now).max()), float(run.log1p_time[row])
            largest = np.maximum(largest, now)
    allowed = 10.0 * float(run.trajectory.facts["rtol"])
    return Claim(
        "tel.thm3.2.phi",
        "phi_kj never falls, for every cone k and neuron j; the value is the largest fall.",
        "rows",
        _cone_network(run),
        None if found is None else below(fall, allowed, when),
    )


def cone_growth(run: AnalyzedRun) -> Claim:
    """dPhi / dtau >= gam_nc (1 - 2 eps) / (2r) for the potential of Theorem 3.2."""
    found = cones(run.problem)
    return growth(run, "3.2", 0.0 if found is None else _cone_rate(found), _cone_network(run))


CLAIMS: tuple[Judge, ...] = (
    theorem_3_2,
    shares,
    cone_growth,
)
