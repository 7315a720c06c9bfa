"""Exact identities of the flow, checked at every time with their integrals: the field is that of `velocity`, the path
that of the flow integrated again.

From the start to a row of the run, along the integration with tolerances 10 times tighter (`quadrature`):

* energy: log L falls by the integral of |grad L|^2 / L dt;
* norm growth: |theta|^2 / 2 grows by that of sum_i (g_i / n) <theta, grad p_i>, which is (hom / n) sum_i g_i p_i for
  homogeneous networks and phi'(z) z in place of phi(z) for others;
* margins: p grows by that of dp / dt;
* clock: log(1 + t) grows by that of dv / dtau, and tau by the integrals of g_i / n of the samples it counts;
* rho: the masses read off the stored weights are the integrals of phi'_ji q_i (Kou et al., Lemma 5.2);
* kernel: dp / dt = K g / n and n^2 |grad L|^2 = g^T K g, with K_ik = y_i y_k <x_i, x_k> sum_j a_j^2 phi'_ji phi'_jk
  of a stored row on one side, and what the engine of the run makes of that row on the other.

The integrals use nothing of the engine but its path.  An engine with a wrong field agrees with itself however often it
is asked, but it breaks these identities.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gflow.arrays import EPS, Array
from gflow.field.affine import margin_floor
from gflow.field.branch import Measure
from gflow.flow.steps import engine_of
from gflow.reference.dual import live_samples
from gflow.reference.kernel import tangent_kernel
from gflow.trajectory.recorded_run import RecordedRow, RecordedRun
from gflow.verification import error_scales
from gflow.verification.check import RUN, STEPS, Check, Worst, bounded, not_applicable, not_decided
from gflow.verification.dual_masses import Masses, without_masses
from gflow.verification.reintegration import Again, Reached
from gflow.verification.rescaled_time import at_rest
from gflow.verification.velocity import Field, weights_at
from gflow.verification.weight_velocity import rounding

GROUP = "identities"
INTEGRATED = ("energy", "norm growth", "margins", "clock")


def identities(recorded: RecordedRun, runs: Sequence[Again]) -> list[Check]:
    """One check for each identity, at the rows that the integration reached."""
    taped = next((run for run in runs if run.rung.taped and run.reached), None)
    if taped is None:
        why = "no integration with tighter tolerances reached a row"
        return [*(not_applicable(GROUP, name, why) for name in (*INTEGRATED, "rho")), _kernel(recorded)]
    return [*_integrated(recorded, taped), _rho(recorded, taped), _kernel(recorded)]


def _integrated(recorded: RecordedRun, run: Again) -> list[Check]:
    start, field, before = recorded.row(0), Field(recorded.problem), None
    worst, doubts = {name: Worst() for name in INTEGRATED}, {name: Worst() for name in INTEGRATED}
    for reached in run.reached:
        assert reached.sums is not None
        found = _gaps(recorded, start, reached) | {"clock": _clock(recorded, field, before, reached)}
        for (name, gap), doubt in zip(found.items(), reached.sums.doubts, strict=True):
            worst[name].see(gap.value / gap.unit, reached.row)
            doubts[name].see(float(doubt) / gap.unit, reached.row)
        before = reached
    bound, last = RUN * recorded.rtol, run.reached[-1].row
    size = "max(1, |p|)" + (" or what primal weights determine of p" if recorded.primal else "")
    sentences = {
        "energy": f"log L(0) - log L(t) against the integral of |grad L|^2 / L dt, over {size}",
        "norm growth": "growth of |theta|^2 / 2 against the integral of sum_i (g_i / n) <theta, grad p_i> dt, relative",
        "margins": f"growth of the margins against the integral of dp / dt, over {size}",
        "clock": "log(1 + t) against the integral of dv / dtau, over max(1, v), and tau, by what margins move in it",
    }
    checks = []
    for name, seen in worst.items():
        doubt = doubts[name].value
        sentence = f"{sentences[name]}, from row 0 to {last}; quadrature good to {doubt:.0e}; {seen.place}"
        if doubt <= bound:
            checks.append(bounded(GROUP, name, seen.value, bound, sentence))
        else:
            shown = seen.value if np.isfinite(seen.value) else None
            checks.append(not_decided(GROUP, name, f"the quadrature is too coarse: {sentence}", shown, bound))
    return checks


class _Gap(NamedTuple):
    """How far an identity is from holding, absolute, and what that (and the doubt of its integral) is divided by."""

    value: float
    unit: float


def _gaps(recorded: RecordedRun, start: RecordedRow, reached: Reached) -> dict[str, _Gap]:
    """The gap of each identity except the clock's, from row 0 to a row; in the order of `Integrals.doubts`."""
    at, sums = recorded.row(reached.row), reached.sums
    assert sums is not None
    began = margin_floor(start.p, recorded.rtol) / recorded.rtol  # margins were known to no more at the start
    known = max(1.0, float(np.abs(at.p).max()), began)
    margins = np.maximum(error_scales.of_margins(recorded, at, recorded.primal), known) / known
    now, before = _half_square(recorded, at), _half_square(recorded, start)
    growth, kept = abs(now - before - sums.growth), error_scales.of_growth(recorded, start, recorded.primal)
    rates = np.abs(at.p - start.p - sums.rates) / margins
    return {
        "energy": _Gap(abs(start.log_loss - at.log_loss - sums.fall) / (kept * float(margins.max())), known),
        "norm growth": _Gap(max(growth - _rounded(recorded, at), 0.0) / kept, max(now, before) or 1.0),
        "margins": _Gap(float(rates.max()) / kept, known),
    }


def _rounded(recorded: RecordedRun, at: RecordedRow) -> float:
    """The rounding error of the growth of |theta|^2 / 2, the integral of hom sum_i q_i p_i, where margins cancel.

    Each p is known to the rounding of what it is a sum of: of the terms of f at the row, or of what was added to them
    since the start, at most tau sum_j |A_j|^2 max |x_i|^2.
    """
    problem, passed = recorded.problem, float(recorded.tau[at.row] - recorded.tau[0])
    longest = float((problem.X**2).sum(axis=1).max())
    added = EPS * passed * float((np.atleast_2d(at.outer) ** 2).sum()) * longest
    return problem.network.homogeneity * passed * max(problem.margin_rounding(at.U, at.outer), added)


def _clock(recorded: RecordedRun, field: Field, before: Reached | None, reached: Reached) -> _Gap:
    """The worse of two gaps: v against the integral of dv / dtau, and tau since the row before against its integrals.

    Where nothing but the clock moves, at rest and in the leap at the start, rows of any v share one tau: there the
    integral is that to the v at which the flow had this tau.  (A row in the leap is no later than that.)
    """
    assert reached.sums is not None
    v, sums, state = float(recorded.log1p_time[reached.row]), reached.sums, reached.state
    unit, late = max(1.0, v), 0.0
    resting = reached.resting and at_rest(recorded, field, state.side, weights_at(state))
    if resting or state.tau <= sums.leap:
        v, late = reached.clock, max(v - reached.clock, 0.0) if not resting else 0.0
    at, since = recorded.row(reached.row), recorded.row(0 if before is None else before.row)
    margins = float(error_scales.of_margins(recorded, at, recorded.primal).max())
    margins *= error_scales.of_growth(recorded, since, recorded.primal)
    moved = _tau_gap(recorded, before, reached) * float(np.abs(reached.measure.margin_rates).max()) / margins
    return _Gap(max(abs(v - sums.clock), late, moved * unit), unit)


def _tau_gap(recorded: RecordedRun, before: Reached | None, reached: Reached) -> float:
    """How far tau between two rows is from the sum of (1/n) int g_i dt over the samples that it counts.

    Those may be others in the run: a sample that a neuron leaves where hardly anything pushes it is counted until an
    instant that tolerances decide.  With such samples and without them, the sum bounds tau from both sides.
    """
    assert reached.sums is not None
    first, passed = 0, reached.sums.passed
    if before is not None and before.sums is not None:
        first, passed = before.row, passed - before.sums.passed
    always, ever = reached.sums.always, reached.sums.ever
    for row in range(first, reached.row + 1):
        there = live_samples(recorded.problem, recorded.trajectory.read("pattern", row))
        always, ever = always & there, ever | there
    tau = float(recorded.tau[reached.row] - recorded.tau[first])
    return max(float(passed[always].sum()) - tau, tau - float(passed[ever].sum()), 0.0)


def _half_square(recorded: RecordedRun, at: RecordedRow) -> float:
    """|theta|^2 / 2 of what is trained."""
    squares = [np.sum(at.U**2), np.sum(recorded.outside_norms**2)]
    squares += [np.sum(at.outer**2)] if recorded.problem.network.trains_outer else []
    squares += [] if at.bias is None else [np.sum(at.bias**2)]
    return 0.5 * float(np.sum(squares))


def _rho(recorded: RecordedRun, run: Again) -> Check:
    """Integrated masses against those of the stored weights."""
    why = without_masses(recorded.problem)
    if why:
        return not_applicable(GROUP, "rho", why)
    masses, worst = Masses(recorded), Worst()
    for reached in run.reached:
        assert reached.sums is not None
        b, unit = masses.of(recorded.row(reached.row).U)
        worst.see(float((np.abs(b - reached.sums.masses[masses.moving]) / unit).max()), reached.row)
    sentence = "masses of the stored weights against the integrals of phi'_ji q_i, in units of the error that "
    return bounded(GROUP, "rho", worst.value, RUN, f"{sentence}rtol |w_j| leaves; {worst.place}")


def _kernel(recorded: RecordedRun) -> Check:
    """K of every stored row against the motion of the engine there."""
    network = recorded.problem.network
    if network.trains_outer or network.outputs > 1:
        return not_applicable(GROUP, "kernel", "the kernel of the claims is for a fixed outer layer and one output")
    field, worst = Field(recorded.problem), Worst()
    engine = engine_of(recorded.problem, recorded.inner_initial, recorded.manner)
    bound = STEPS * recorded.rtol
    gram = (recorded.problem.X @ recorded.problem.X.T) * np.outer(recorded.problem.y, recorded.problem.y)
    for at in recorded.each_row():
        branch = engine.stretch(engine.resume(at.state(recorded.problem, h=1.0))).branch
        measure = branch.measure(branch.y0)
        worst.see(_kernel_gap(field, gram, recorded.weights(at.U), at, measure, bound), at.row)
    sentence = "K g / n and g^T K g / n^2 of a row against dp / dt and |grad L|^2 of the engine there, relative"
    return bounded(GROUP, "kernel", worst.value, bound, f"{sentence}; {worst.place}")


def _kernel_gap(field: Field, gram: Array, W: Array, at: RecordedRow, engine: Measure, bound: float) -> float:
    """The larger of the two relative gaps, to the largest rate and to the speed; 0 where nothing moves.

    K g sums terms that cancel where samples are almost parallel or antipodal.  Both sides have the rounding error of
    these terms, which is added to the allowed gap as a part of `bound`.  So is the effect on K of rounding in the
    slopes at kinks, which may be small differences of large terms themselves.
    """
    field.take(at.side(field.problem))
    weights, a = weights_at(at), field.problem.network.outer
    motion = field.at(weights, field.live)
    shares, q = field.shares(motion), motion.at.q[0]
    slopes = shares.slopes
    reach = np.abs(slopes) + np.minimum(shares.doubt, np.abs(slopes) + 1.0)  # slopes lie in [0, 1], whatever the doubt
    K = tangent_kernel(gram, a[:, None] * slopes)
    pushed, rates = K @ q, engine.margin_rates
    most = tangent_kernel(np.abs(gram), a[:, None] * reach)
    open_ = 2.0 * rounding(field.problem, weights, W, slopes) / bound * (np.abs(K) @ q)
    open_ = open_ + np.maximum(most - np.abs(K), 0.0) @ q / bound
    fastest = max(float(np.abs(pushed).max()), float(np.abs(rates).max()))
    squares = float(q @ pushed), engine.speed**2
    apart = _over(np.abs(pushed - rates), fastest + open_)
    return max(apart, _over(np.array([0.5 * abs(squares[0] - squares[1])]), max(squares) + float(q @ open_)))


def _over(gaps: Array, sizes: Array | float) -> float:
    """The largest of the gaps, each over its size; 0 for those that are 0."""
    return float(np.divide(gaps, sizes, out=np.zeros_like(gaps), where=gaps > 0.0).max())
