"""The setting of Frei et al.: the runs that their theorems are about, their units, and the convex programs of their
limit."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from scipy.optimize import nnls

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.arrays import Array
from gflow.claims.claim import Hypothesis, condition
from gflow.claims.data import Sizes, near_orthogonal_32, sizes_of
from gflow.claims.network import equal_modulus, unbiased
from gflow.problem.activation import SmoothLeaky
from gflow.problem.initialisation import pytorch_std, tensorflow_std
from gflow.scenario import Scenario, parse_scenario
from gflow.scenario.schema import GaussianData, GaussianInit
from gflow.trajectory import Record


@dataclass(frozen=True, slots=True)
class FreiSetting:
    """A run in the units of the paper, where a_j = +-1/sqrt(m).

    sign (m,) of a_j, slope: the lower bound of phi', C (n, r) and y (n,) the samples, mu (r,) = sum_i y_i x_i.
    With |a_j| = c instead, scale = c sqrt(m): the weights of the paper are W = scale W_run, its time scale^2 t,
    which is exact for leaky ReLU; smooth activations have no such covariance, there scale is 1.
    """

    sign: Array
    slope: float
    scale: float
    C: Array
    y: Array
    mu: Array
    sizes: Sizes
    input_dimension: int

    @property
    def m(self) -> int:
        """The number m of neurons."""
        return int(self.sign.size)

    @property
    def n(self) -> int:
        """The number n of samples."""
        return int(self.y.size)

    @property
    def counts(self) -> tuple[int, int]:
        """m1 and m2, neurons with a_j > 0 and with a_j < 0."""
        positive = int((self.sign > 0.0).sum())
        return positive, self.m - positive

    @property
    def own_slopes(self) -> tuple[Array, Array]:
        """phi' (n,) of positive and of negative neurons on each sample when every pair has sign(a_j) y_i."""
        return np.where(self.y > 0.0, 1.0, self.slope), np.where(self.y > 0.0, self.slope, 1.0)


_known: WeakKeyDictionary[Record, FreiSetting] = WeakKeyDictionary()


def setting_of(run: AnalyzedRun) -> FreiSetting:
    """The setting of a run with `equal_modulus` and a slope in (0, 1), computed once per trajectory."""
    if run.trajectory not in _known:
        problem, a = run.problem, run.problem.network.outer
        C, y = problem.span.C, problem.y
        scale = float(np.abs(a).mean() * np.sqrt(a.size))
        if abs(scale - 1.0) < 1e-12:
            scale = 1.0
        sizes, d = sizes_of(run), int(problem.X.shape[1])
        _known[run.trajectory] = FreiSetting(np.sign(a), problem.network.slope, scale, C, y, y @ C, sizes, d)
    return _known[run.trajectory]


def is_leaky(run: AnalyzedRun) -> bool:
    """The networks of their Section 3: leaky ReLU, slope in (0, 1), no bias, a fixed outer layer of one size."""
    network = run.problem.network
    leaky = network.smoothing is None and 0.0 < network.slope < 1.0
    return leaky and equal_modulus(network) and unbiased(run)


def is_smooth(run: AnalyzedRun) -> bool:
    """The networks of their Section 4: a smooth leaky activation, no bias, a_j = +-1/sqrt(m)."""
    network = run.problem.network
    smooth = isinstance(network.smoothing, SmoothLeaky) and network.slope > 0.0
    return smooth and equal_modulus(network) and unbiased(run) and setting_of(run).scale == 1.0


def scenario_of(run: AnalyzedRun) -> Scenario:
    """The scenario of the run with its defaults, which says how data and start were drawn."""
    return parse_scenario(run.trajectory.scenario_resolved)


def standard_gaussian(run: AnalyzedRun) -> bool:
    """Were the inputs drawn from N(0, I_d)?"""
    data = scenario_of(run).data
    return isinstance(data, GaussianData) and data.std == 1.0


def start_std(run: AnalyzedRun) -> float | None:
    """w_init in the units of the paper, of a start W(0) with independent entries N(0, w_init^2); None for others."""
    init, setting = scenario_of(run).init, setting_of(run)
    if not isinstance(init, GaussianInit):
        return None
    d = setting.input_dimension
    if init.scale is not None:
        unit = pytorch_std(d) if init.relative_to == "pytorch" else tensorflow_std(setting.m, d)
        return setting.scale * init.scale * unit
    return setting.scale * (init.std if isinstance(init.std, float) else d**-0.5)


def both_signs(setting: FreiSetting) -> Hypothesis:
    """m1, m2 >= 1."""
    return condition("neurons of both signs", min(setting.counts) >= 1)


def near_orthogonal(setting: FreiSetting) -> Hypothesis:
    """NO32 at the slope of the run."""
    return near_orthogonal_32(setting.sizes, setting.slope)


def least_distance(A: Array) -> Array | None:
    """Multipliers lambda (n,) >= 0 of min |w| subject to A w >= 1, A (n, k); w = A^T lambda.  None if infeasible.

    Least-distance programming by nonnegative least squares (Lawson and Hanson, chapter 23), scaled so that |w| is
    about 1.
    """
    scale = float(np.sqrt((1.0 / (A**2).sum(axis=1)).sum()))
    E = np.vstack([scale * A.T, np.ones(A.shape[0])])
    target = np.zeros(E.shape[0])
    target[-1] = 1.0
    weights, _ = nnls(E, target, maxiter=100 * A.shape[0])
    left = 1.0 - float(weights.sum())
    return None if left <= 1e-12 else np.asarray(scale**2 * weights / left)


def two_row_features(setting: FreiSetting) -> Array:
    """A (n, 2r) with margins A (sqrt(m1) v, sqrt(m2) u) when positive rows are v, negative u, and the slopes final.

    A A^T is the kernel of the limit in closed form; A w >= 1 with |w| least is the program of Theorem 3.2, item 5.
    """
    m1, m2 = setting.counts
    plus, minus = setting.own_slopes
    positive = np.sqrt(m1 / setting.m) * (setting.y * plus)[:, None] * setting.C
    negative = -np.sqrt(m2 / setting.m) * (setting.y * minus)[:, None] * setting.C
    return np.hstack([positive, negative])


def optimum(setting: FreiSetting) -> tuple[Array, Array] | None:
    """v and u (r,) of the convex program of Theorem 3.2, item 5; None where it is infeasible."""
    A = two_row_features(setting)
    multipliers = least_distance(A)
    if multipliers is None:
        return None
    m1, m2 = setting.counts
    w = A.T @ multipliers
    half = setting.C.shape[1]
    return w[:half] / np.sqrt(m1), w[half:] / np.sqrt(m2)


def linear_svm(setting: FreiSetting) -> Array | None:
    """z* (r,), the hard-margin linear classifier without bias; None where no line through 0 separates."""
    A = setting.y[:, None] * setting.C
    multipliers = least_distance(A)
    return None if multipliers is None else A.T @ multipliers
