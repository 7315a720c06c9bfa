"""Quantities that the theorems of Frei et al. bound at all times, measured in the rows of a run, in the units of the
paper.

Rates are in tau, d tau = Ghat dt with Ghat = mean_i g_i, and so free of underflow: dW/dtau = -grad L / Ghat.  (The tau
of the file counts live samples only, `field.clock`: with leaky slopes all, unless every neuron slides on one.)
"""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.arrays import Array
from gflow.claims.frei.setting import FreiSetting, setting_of
from gflow.problem.loss import log_mean
from gflow.problem.parameters import Parameters
from gflow.reference.mode import ReferenceMode
from gflow.reference.point import Point
from gflow.trajectory import Record


@dataclass(frozen=True, slots=True)
class Measures:
    """Quantities of the T rows of a run, (T,) each.

    log_ghat: log Ghat; log_g_ratio: max log g_i - min log g_i; margin_gap: max M_i - min M_i; least_margin: min M_i;
    gradient: |grad L|_F / Ghat; neuron_gradient: max_j |grad_{w_j} L| / (|a_j| Ghat); margin_speed: min_i dM_i/dtau;
    reach_rate: min_j sign(a_j) <dw_j/dtau, mu> / |a_j|; reach: the least sign(a_j) <w_j, mu> / |a_j|;
    neuron_norm: min_j |w_j| / |a_j|; neuron_growth: max_j (|w_j| - |w_j(0)|) / |a_j|;
    output_ratio: max_i |f(x_i)| / (|W|_F |x_i|);
    ratio_drift: max_ik of d log(exp(-M_i) / exp(-M_k))/dtau + (slope^2 Rmin^2 g_i - Rmax^2 g_k) / (n Ghat).
    """

    log_ghat: Array
    log_g_ratio: Array
    margin_gap: Array
    least_margin: Array
    gradient: Array
    neuron_gradient: Array
    margin_speed: Array
    reach_rate: Array
    reach: Array
    neuron_norm: Array
    neuron_growth: Array
    output_ratio: Array
    ratio_drift: Array


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a run, with times and weights in the units of the paper.

    v = log(1 + t) (T,); tau (T,); log_loss (T,), log L; norm (T,), |W|_F; spectral (T,), the spectral norm;
    stable_rank (T,).
    """

    v: Array
    tau: Array
    log_loss: Array
    norm: Array
    spectral: Array
    stable_rank: Array
    measures: Measures


_known: WeakKeyDictionary[Record, Rows] = WeakKeyDictionary()


def rows_of(run: AnalyzedRun) -> Rows:
    """The rows of a run with their measures, computed once per trajectory."""
    if run.trajectory not in _known:
        _known[run.trajectory] = _rows(run, setting_of(run))
    return _known[run.trajectory]


def paper_time(v: Array | float, scale: float) -> Array:
    """log(1 + scale^2 t) (T,) from v = log(1 + t) (T,), without overflow for any v."""
    v = np.asarray(v, dtype=np.float64)
    if scale == 1.0:
        return v
    log_t = np.where(v > 30.0, v, np.log(np.maximum(np.expm1(np.minimum(v, 30.0)), 1e-300)))
    return np.asarray(np.logaddexp(0.0, log_t + 2.0 * np.log(scale)))


def _rows(run: AnalyzedRun, setting: FreiSetting) -> Rows:
    probe = _Probe(run, setting)
    read = run.trajectory.read
    margins, patterns = run.values("margins"), run.values("pattern")
    each = [probe.measures(U, pattern, p) for U, pattern, p in zip(run.values("inner"), patterns, margins, strict=True)]
    s = setting.scale
    return Rows(
        paper_time(run.log1p_time, s),
        s**2 * read("tau"),
        read("log_loss"),
        s * read("series/weight_norm"),
        s * read("series/spectral_norm"),
        read("series/stable_rank"),
        Measures(*np.array(each).T),
    )


class _Probe:
    """Measures one state after the other; what holds a sliding neuron is reused while the mode stays the same."""

    def __init__(self, run: AnalyzedRun, setting: FreiSetting) -> None:
        self.problem, self.setting = run.problem, setting
        self.outside = setting.scale * run.outside_norms
        self.sample_norms = np.linalg.norm(setting.C, axis=1)
        self.start = self._norms(setting.scale * run.trajectory.read("inner", 0))
        self.mode: ReferenceMode | None = None

    def _norms(self, W: Array) -> Array:
        return np.asarray(np.hypot(self.outside, np.linalg.norm(W, axis=1)))

    def measures(self, inner: Array, pattern: Array, p: Array) -> tuple[float, ...]:
        """The fields of `Measures` at U (m, r), pattern (m, n) and margins (n,) as in the file."""
        setting, network = self.setting, self.problem.network
        W, root = setting.scale * inner, np.sqrt(setting.m)
        log_g = self.problem.loss.log_slope(p)
        log_ghat = log_mean(log_g)
        q = np.exp(log_g - log_ghat)
        velocity, speed = self._motion(inner, pattern, p)
        lengths, norms = np.linalg.norm(velocity, axis=1), self._norms(W)
        size = float(np.linalg.norm(norms))
        low, high = (network.slope * setting.sizes.Rmin) ** 2, setting.sizes.Rmax**2
        values = (
            log_ghat,
            np.ptp(log_g),
            np.ptp(p),
            p.min(),
            np.linalg.norm(velocity),
            root * lengths.max(),
            speed.min(),
            root * (setting.sign * (velocity @ setting.mu)).min(),
            root * (setting.sign * (W @ setting.mu)).min(),
            root * norms.min(),
            root * (norms - self.start).max(),
            (np.abs(p) / self.sample_norms).max() / size if size > 0.0 else 0.0,
            (speed - high * q / setting.n).max() - (speed - low * q / setting.n).min(),
        )
        return tuple(float(value) for value in values)

    def _motion(self, inner: Array, pattern: Array, p: Array) -> tuple[Array, Array]:
        """dW/dtau (m, r), of least norm at kinks, and dM/dtau (n,)."""
        side = pattern[:, self.problem.surfaces.first_sample].astype(np.int8)
        self.mode = ReferenceMode.of(self.problem, side, self.mode)
        at = Point(self.problem, Parameters(inner, self.problem.network.outer), self.mode, p)
        return at.velocity.inner / self.setting.scale, at.rates / self.setting.scale**2
