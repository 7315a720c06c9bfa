"""The limit of the flow in the units of Frei et al.; claims on the limit are judged there, never at the last row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.gradient import limit_slopes
from gflow.arrays import Array
from gflow.claims.claim import Claim, Conclusion
from gflow.claims.frei.setting import FreiSetting, both_signs, near_orthogonal, setting_of
from gflow.claims.known_limit import limit_known
from gflow.limit.limit_point import LimitPoint
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from gflow.reference.margins import hidden

# A limit point is known to about this, relative to its size.
LIMIT_ERROR = 1e-6


@dataclass(frozen=True, slots=True)
class Limit:
    """The limit point in the units of the paper: W (m, r), multipliers (n,), slopes phi' (m, n).

    v, u (r,): the mean positive and the mean negative row; z = (m1 v - m2 u) / sqrt(m).
    """

    W: Array
    multipliers: Array
    slopes: Array
    v: Array
    u: Array
    z: Array
    network: Network

    @classmethod
    def of(cls, setting: FreiSetting, problem: Problem, point: LimitPoint) -> Limit:
        """Weights scale like the outer layer, multipliers like its square."""
        W = setting.scale * point.U
        v, u = W[setting.sign > 0.0].mean(axis=0), W[setting.sign < 0.0].mean(axis=0)
        m1, m2 = setting.counts
        z = (m1 * v - m2 * u) / np.sqrt(setting.m)
        return cls(W, setting.scale**2 * point.multipliers, limit_slopes(problem, point), v, u, z, problem.network)

    def output(self, setting: FreiSetting, points: Array) -> Array:
        """f (k,) at points (k, r)."""
        return np.asarray(hidden(self.network, points @ self.W.T) @ setting.sign / np.sqrt(setting.m))


OfLimit = Callable[[FreiSetting, Limit], Conclusion]


def at_limit(run: AnalyzedRun, id: str, statement: str, judge: OfLimit) -> Claim:
    """A claim on the limit under NO32; judged for information where NO32 fails."""
    setting, point = setting_of(run), run.limit
    hypotheses = (near_orthogonal(setting), both_signs(setting), limit_known(run))
    known = point is not None and hypotheses[1].holds
    conclusion = judge(setting, Limit.of(setting, run.problem, point)) if known and point is not None else None
    return Claim(id, statement, "limit", hypotheses, conclusion)


def infeasible() -> Conclusion:
    """No weights have positive margins, so there is nothing to compare the limit with."""
    return Conclusion(False)
