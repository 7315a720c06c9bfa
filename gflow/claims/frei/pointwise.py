"""Claims of Frei et al., Section 4, that hold at any weights (or any two), whatever method led to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.gradient import point_of
from gflow.arrays import Array
from gflow.claims.claim import GRAIN, Claim, Conclusion, Hypothesis, Judge, at_most, below, condition
from gflow.claims.frei.checks import ROUNDING, logistic, no_more_log
from gflow.claims.frei.rows import rows_of
from gflow.claims.frei.setting import FreiSetting, setting_of
from gflow.problem.activation import SmoothLeaky
from gflow.problem.loss import log_mean
from gflow.reference.kernel import tangent_kernel
from gflow.reference.margins import slopes

MOST_STATES = 33  # a kernel takes O(m n^2)


def fact_e9_sigmoid(run: AnalyzedRun) -> Claim:
    """Ratios of the sigmoid weights are bounded by those of the exponential losses."""
    measures = rows_of(run).measures
    bound = np.log(2.0) + measures.margin_gap
    statement = "g_i / g_k <= max(2, 2 exp(-M_i) / exp(-M_k)), as logs, for the extreme margins of each row"
    conclusion = no_more_log(run, measures.log_g_ratio, bound)
    return Claim("frei.factE9", statement, "rows", (logistic(run),), conclusion)


def fact_e9_exponential(run: AnalyzedRun) -> Claim:
    """Ratios of the exponential losses are bounded by those of the sigmoid weights, once all samples are fitted."""
    measures = rows_of(run).measures
    fitted = measures.least_margin > 0.0
    always = bool(fitted[-1]) and bool((np.diff(fitted.astype(int)) >= 0).all())
    hypothesis = condition("all M_i > 0 from some row to the last", always)
    value, bound = measures.margin_gap[fitted], np.log(2.0) + measures.log_g_ratio[fitted]
    conclusion = no_more_log(run, value, bound) if always else None
    statement = "exp(-M_i) / exp(-M_k) <= 2 g_i / g_k where all M_i > 0, as logs, for the extreme margins of each row"
    return Claim("frei.factE9.exp", statement, "rows", (logistic(run), hypothesis), conclusion)


def lemma_e11a(run: AnalyzedRun) -> Claim:
    """The output is at most the product of the norms."""
    ratio = rows_of(run).measures.output_ratio
    worst = int(np.argmax(ratio))
    conclusion = below(float(ratio[worst]), 1.0, float(run.log1p_time[worst]), ROUNDING)
    return Claim("frei.lemE11.a", "|f(x_i; W)| <= |W|_F |x_i|: the largest ratio", "rows", (), conclusion)


def _slopes(run: AnalyzedRun) -> Iterator[tuple[float, Array]]:
    """(v, phi') with phi' (m, n) in some rows; at kinks it is the lower slope, which is one of the Clarke set."""
    problem = run.problem
    for row in np.unique(np.linspace(0, run.trajectory.n_rows - 1, MOST_STATES).astype(int)):
        U, pattern = (run.trajectory.read(name, int(row)) for name in ("inner", "pattern"))
        z = problem.preactivations(U)
        yield float(run.log1p_time[row]), slopes(problem.network, z, pattern, problem.network.slope)


def _worst(run: AnalyzedRun, measure: Callable[[Array], float], bound: float) -> Conclusion:
    """The largest measure of the slopes of a row, against its bound."""
    value, v = max((measure(each), v) for v, each in _slopes(run))
    return below(value, bound, v, ROUNDING)


def _crowding(setting: FreiSetting) -> float:
    """1 / C for the largest C with |x_i|^2 >= C n max_{k != i} |<x_i, x_k>| for all i."""
    return float((setting.n * setting.sizes.nearest / np.diag(setting.sizes.gram)).max())


def _crowded(setting: FreiSetting) -> Hypothesis:
    value, bound = _crowding(setting), setting.slope**2
    room = GRAIN * bound + setting.n * setting.sizes.error / setting.sizes.Rmin**2
    return at_most("n max_k |<x_i, x_k>| < slope^2 |x_i|^2 for all i", value, bound, room)


def fact_e7_orthogonality(run: AnalyzedRun) -> Claim:
    """Gradients are nearly orthogonal when the inputs are."""
    setting = setting_of(run)

    def measure(each: Array) -> float:
        N = tangent_kernel(setting.sizes.gram, each) / setting.m  # <grad f_i, grad f_k>
        others = np.abs(N)
        np.fill_diagonal(others, 0.0)
        return float((setting.n * others.max(axis=1) / np.diag(N)).max())

    statement = (
        "n max_k |<grad f_i, grad f_k>| <= |grad f_i|^2 / C' for all i, C' = slope^2 times the constant of the inputs: "
        "the largest ratio"
    )
    conclusion = _worst(run, measure, _crowding(setting) / setting.slope**2)
    return Claim("frei.factE7", statement, "rows", (_crowded(setting),), conclusion)


def fact_e7_persistence(run: AnalyzedRun) -> Claim:
    """Gradients of the output are bounded from below: |grad f_i| >= slope |x_i|."""
    bound = setting_of(run).slope ** -2
    conclusion = _worst(run, lambda slopes: 1.0 / float((slopes**2).mean(axis=0).min()), bound)
    statement = "|grad f_i|_F^2 >= slope^2 |x_i|^2 for all i: the largest |x_i|^2 / |grad f_i|^2"
    return Claim("frei.factE7.persistence", statement, "rows", (), conclusion)


def fact_e7_norm(run: AnalyzedRun) -> Claim:
    """Gradients are at most as long as the inputs."""
    conclusion = _worst(run, lambda slopes: float(np.sqrt((slopes**2).mean(axis=0).max())), 1.0)
    return Claim("frei.factE7.norm", "|grad f_i|_F <= |x_i| for all i: the largest ratio", "rows", (), conclusion)


Pair = Callable[[FreiSetting, SmoothLeaky, AnalyzedRun, int, Array, Array], float]


def _on_pairs(run: AnalyzedRun, id: str, statement: str, ratio: Pair) -> Claim:
    """A ratio that is at most 1 at any two weights, smooth activations only; tried on successive rows."""
    setting, smoothing = setting_of(run), run.problem.network.smoothing
    smooth = condition("smooth activation", isinstance(smoothing, SmoothLeaky))
    if not isinstance(smoothing, SmoothLeaky) or run.trajectory.n_rows < 2:
        return Claim(id, statement, "rows", (smooth,), None)
    worst, v = 0.0, 0.0
    V = run.trajectory.read("inner", 0)
    for row, W in enumerate(run.values("inner")):
        found = ratio(setting, smoothing, run, row, V, W) if row else 0.0
        if found > worst:
            worst, v = found, float(run.log1p_time[row])
        V = W
    return Claim(id, statement, "rows", (smooth,), below(worst, 1.0, v, ROUNDING))


def curvature(smoothing: SmoothLeaky) -> float:
    """H, the largest |phi''|."""
    return 0.25 * (1.0 - smoothing.slope)


def _spectral(D: Array) -> float:
    return float(np.linalg.norm(D, ord=2))


def _linearisation(setting: FreiSetting, phi: SmoothLeaky, run: AnalyzedRun, row: int, V: Array, W: Array) -> float:
    a = setting.sign / np.sqrt(setting.m)
    before, after = V @ setting.C.T, W @ setting.C.T
    terms = phi.value(after) - phi.value(before) - phi.derivative(before) * (after - before)
    rounding = GRAIN * (np.abs(a) @ (np.abs(after) + np.abs(before)))
    squares = np.diag(setting.sizes.gram)
    bound = curvature(phi) * squares / (2.0 * np.sqrt(setting.m)) * _spectral(W - V) ** 2
    left = np.maximum(np.abs(a @ terms) - rounding, 0.0)
    return float((left[bound > 0.0] / bound[bound > 0.0]).max(initial=0.0))


def lemma_e2(run: AnalyzedRun) -> Claim:
    """The output is nearly linear in the weights."""
    statement = (
        "|f(x; W) - f(x; V) - <grad f(x; V), W - V>| <= H |x|^2 |W - V|_2^2 / (2 sqrt(m)) for successive rows V, W and "
        "every sample, H = (1 - slope) / 4: the largest ratio"
    )
    return _on_pairs(run, "frei.lemE2", statement, _linearisation)


def _gradient(run: AnalyzedRun, row: int) -> Array:
    """grad L (m, r); below float64's range it is 0, which satisfies every bound here."""
    point = point_of(run.problem, run.state(row))
    return np.asarray(-np.exp(log_mean(point.log_g)) * point.velocity.inner)


def _lipschitz(setting: FreiSetting, phi: SmoothLeaky, run: AnalyzedRun, row: int, V: Array, W: Array) -> float:
    before, after = _gradient(run, row - 1), _gradient(run, row)
    rounding = GRAIN * float(np.linalg.norm(before) + np.linalg.norm(after))
    bound = setting.sizes.Rmax**2 * (1.0 + curvature(phi) / np.sqrt(setting.m)) * _spectral(W - V)
    left = max(float(np.linalg.norm(after - before)) - rounding, 0.0)
    return float(left / bound) if bound > 0.0 else 0.0


def lemma_e3_lipschitz(run: AnalyzedRun) -> Claim:
    """The gradient is Lipschitz."""
    statement = (
        "|grad L(W) - grad L(V)|_F <= Rmax^2 (1 + H / sqrt(m)) |W - V|_2 for successive rows V, W, "
        "H = (1 - slope) / 4: the largest ratio"
    )
    return _on_pairs(run, "frei.lemE3.lip", statement, _lipschitz)


CLAIMS: tuple[Judge, ...] = (
    lemma_e2,
    lemma_e3_lipschitz,
    fact_e7_orthogonality,
    fact_e7_persistence,
    fact_e7_norm,
    fact_e9_sigmoid,
    fact_e9_exponential,
    lemma_e11a,
)
