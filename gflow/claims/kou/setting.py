"""The setting of Kou et al.: the runs that their lemmas are about, their units, and how their claims are composed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp, log
from weakref import WeakKeyDictionary

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.arrays import Array, Bools, Index
from gflow.claims.claim import (
    CHANCE,
    Checked,
    Claim,
    Conclusion,
    Hypothesis,
    at_least,
    at_most,
    blamed,
    condition,
)
from gflow.claims.data import Sizes, explicit_kou, kou_constant, sizes_of
from gflow.claims.network import equal_modulus, unbiased
from gflow.flow_time import log_times
from gflow.trajectory import Record

DELTA = CHANCE  # failure probability in claims that hold with probability 1 - delta over the start
ORTHOGONAL = 1e-9  # inputs count as orthogonal below this cosine
NO_COSINE = 1e-14  # what rounding of orthogonal inputs leaves
ROUNDING = 1e-6  # of compared quantities, relative: what the integrators leave


def applies(run: AnalyzedRun) -> bool:
    """ReLU or leaky ReLU, one output, no bias, a fixed outer layer of one size."""
    network = run.problem.network
    return network.kinked and equal_modulus(network) and unbiased(run)


@dataclass(frozen=True, slots=True)
class KouSetting:
    """A run in the units of the paper: m neurons a sign, outer layer +-1/m.

    A run with |a_j| = A and M neurons is the network of the paper with m = M/2 after W_K = c W, t_K = c^2 t, c = A m
    (f_c(W) = c f_1(W): if W solves the flow of c f_1, then c W(t_K / c^2) solves that of f_1), so that
    log_rate (n,): kap_i t_K = exp(log_rate_i + log t), kap_i = |x_i|^2 / (n m), rho_K = c rho, beta = c max |z_ji(0)|.
    At M neurons of weight 1/m itself, c = 1.  sign (m,) of a_j; own (m, n): j has the sign of y_i; start (m, n): j is
    in S_i(0), and the flow takes its active side there.  The paper counts z_ji = 0 as active because its phi'(0) is 1;
    the flow takes the least-norm subgradient, so a neuron that starts on the kink counts only if it leaves upwards.
    W0_norms (M,) and W0_rms: rows of W_K(0), and the root mean square of its entries, sigma_0.
    """

    c: float
    sign: Array
    slope: float
    sizes: Sizes
    log_rate: Array
    beta: float
    own: Bools
    start: Bools
    W0_norms: Array
    W0_rms: float

    @property
    def m(self) -> float:
        """Neurons a sign."""
        return self.sign.size / 2.0

    @property
    def balanced(self) -> bool:
        """Are there as many neurons of each sign?"""
        return bool(self.sign.sum() == 0.0)

    @property
    def log_widest(self) -> float:
        """log(kap t_K / t) of the largest input, log(c^2 Rmax^2 / (n m))."""
        return float(self.log_rate.max())

    @property
    def active_part(self) -> Array:
        """|S_i(0)| / m, (n,)."""
        return np.asarray(self.start.sum(axis=0) / self.m)


_known: WeakKeyDictionary[Record, KouSetting] = WeakKeyDictionary()


def setting_of(run: AnalyzedRun) -> KouSetting:
    """The setting of a run with an outer layer of one size, computed once per trajectory."""
    if run.trajectory not in _known:
        problem, a = run.problem, run.problem.network.outer
        sizes, m = sizes_of(run), a.size / 2.0
        c = float(np.abs(a).mean() * m)
        W0 = c * run.trajectory.W_initial
        own = np.sign(a)[:, None] * problem.y > 0.0
        _known[run.trajectory] = KouSetting(
            c=c,
            sign=np.sign(a),
            slope=problem.network.slope,
            sizes=sizes,
            log_rate=np.log(np.diag(sizes.gram)) + 2.0 * log(c) - log(sizes.n * m),
            beta=c * float(np.abs(problem.preactivations(run.state(0).U)).max()),
            own=own,
            start=own & (run.trajectory.read("pattern", 0) > 0),
            W0_norms=np.asarray(np.linalg.norm(W0, axis=1)),
            W0_rms=float(np.sqrt((W0**2).mean())),
        )
    return _known[run.trajectory]


def clipped_exp(x: float) -> float:
    """e^x, kept within what floats hold: times and constants may be e^(10^6)."""
    return exp(min(max(x, -700.0), 700.0))


def worst_of(log_slack: Array, v: Array, constant: float | None = None, rounding: float = ROUNDING) -> Conclusion:
    """value / bound <= 1 at every row: log_slack (T,) = log(bound / value), v (T,) where; T >= 1."""
    k = int(np.argmin(log_slack))
    worst = float(log_slack[k])
    value, slack = clipped_exp(-worst), clipped_exp(worst)
    return Conclusion(worst >= -rounding, value, 1.0, slack, constant=constant, log1p_time=float(v[k]))


def constant_of(log_constants: Array, v: Array) -> Conclusion:
    """The least constant C = exp(max log_constants) that makes the claim true at all rows, and where it is needed.

    log_constants (T,), v = log(1 + t) (T,).
    """
    k = int(np.argmax(log_constants))
    largest = float(log_constants[k])
    return Conclusion(bool(largest < np.inf), constant=clipped_exp(largest), log1p_time=float(v[k]))


def judged(
    id: str,
    statement: str,
    checked: Checked,
    hypotheses: tuple[Hypothesis, ...],
    conclusion: Conclusion | None,
    unspecified: tuple[Hypothesis, ...] = (),
) -> Claim:
    """A claim.  `unspecified` are hypotheses with a constant C that the paper leaves open, given here with C = 1.

    A run whose conclusion fails shows that C must be larger than that, so that such a hypothesis did not hold.
    """
    open_ = tuple(replace(each, firm=False) for each in unspecified)
    return blamed(Claim(id, statement, checked, hypotheses + open_, conclusion))


def leaky(setting: KouSetting) -> Hypothesis:
    """Leaky ReLU, the network of Theorem 4.1."""
    return condition("leaky ReLU, slope in (0, 1)", 0.0 < setting.slope < 1.0)


def relu(setting: KouSetting) -> Hypothesis:
    """ReLU, the network of Theorem 4.3."""
    return condition("ReLU", setting.slope == 0.0)


def balanced(setting: KouSetting) -> Hypothesis:
    """The network of the paper has m neurons of each sign."""
    return condition("as many neurons of each sign", setting.balanced)


def logistic(run: AnalyzedRun) -> Hypothesis:
    """The paper has this loss only."""
    return condition("logistic loss", run.problem.loss.name == "logistic")


def independent(run: AnalyzedRun) -> Hypothesis:
    """Without it the coefficients rho are not unique."""
    return condition("linearly independent samples", run.problem.span.rank == run.problem.samples)


def recorded(run: AnalyzedRun) -> Hypothesis:
    """Claims on every change of a side need the events of the run."""
    return condition("events recorded", run.trajectory.records_events)


def orthogonal(setting: KouSetting) -> Hypothesis:
    """max |cos(x_i, x_k)| = 0 up to rounding, or nearly."""
    cosine = setting.sizes.coherence / setting.sizes.Rmin**2
    hypothesis = at_most("mutually orthogonal inputs: max |<x_i, x_k>| / Rmin^2 about 0", cosine, ORTHOGONAL)
    return replace(hypothesis, firm=cosine <= NO_COSINE + setting.sizes.error / setting.sizes.Rmin**2)


def grown_rows(run: AnalyzedRun) -> tuple[Index, Hypothesis]:
    """Row numbers (k,) in the later half of log t from which a rate of the loss can be read, and whether there are any.

    These rows lie beyond T = n m / Rmin^2, the scale of the times T in the paper, and have less than half of the loss
    left.  Before, L is near log 2, and a constant fitted there would describe a loss that has not begun to fall.
    """
    v, log_loss = run.log1p_time, run.trajectory.log_loss
    beyond = log_times(v) >= -float(setting_of(run).log_rate.min())
    rows = np.flatnonzero((v >= 0.5 * v[-1]) & beyond & (log_loss <= log_loss[0] - log(2.0)))
    name = "a row in the later half of log t beyond n m / Rmin^2, with L <= L(0) / 2"
    return rows, condition(name, rows.size > 0)


def theorem(run: AnalyzedRun, slope_kind: Hypothesis) -> tuple[tuple[Hypothesis, ...], tuple[Hypothesis, ...]]:
    """Hypotheses of Theorems 4.1 and 4.3: those without a constant, and those with an unspecified C (at C = 1)."""
    setting = setting_of(run)
    sizes, leak = setting.sizes, setting.slope if setting.slope > 0.0 else 1.0
    C = kou_constant(sizes, setting.slope)
    name = "NOK: Rmin^2 slope^4 / (R^2 n max |<x_i, x_k>|) >= C, slope^4 for leaky only; C unspecified, taken as 1"
    near = condition("NOK: orthogonal inputs", True) if C is None else at_least(name, C, 1.0)
    start = leak / (sizes.Rmax * float(np.sqrt(log(setting.m * sizes.n / DELTA))))
    small = at_most(
        f"small start: C sigma_0 <= slope / (Rmax sqrt(log(m n / {DELTA:g}))), no slope for ReLU; C taken as 1",
        setting.W0_rms,
        start,
    )
    labels = condition("samples of both labels", bool(np.ptp(run.problem.y) > 0.0))
    fixed = (slope_kind, logistic(run), balanced(setting), labels)
    if setting.slope > 0.0:
        return fixed, (near, small)
    name = f"width: m >= C log(n / {DELTA:g}), C taken as 1"
    return fixed, (near, small, at_least(name, setting.m, log(sizes.n / DELTA)))


def explicit(run: AnalyzedRun) -> tuple[Hypothesis, ...]:
    """Hypotheses under which the constants of Lemma G.1 are explicit."""
    setting = setting_of(run)
    least = float(setting.active_part.min())
    return (
        logistic(run),
        balanced(setting),
        explicit_kou(setting.sizes),
        at_least("|S_i(0)| >= 0.4 m for all i", least, 0.4, room=0.0),  # counts: k/m and 0.4 are rounded once
        at_most("2 beta <= 1", 2.0 * setting.beta, 1.0),
    )


def singular_excess(W: Array) -> float:
    """Stable rank - 1 of W (k, r), sum_{k >= 2} sigma_k^2 / sigma_1^2 without cancellation; inf for W = 0."""
    singular = np.linalg.svd(W, compute_uv=False)
    return float((singular[1:] ** 2).sum() / singular[0] ** 2) if singular[0] > 0.0 else float("inf")
