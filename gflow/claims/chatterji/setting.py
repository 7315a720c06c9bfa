"""The setting of Chatterji, Long and Bartlett: the runs that their lemmas are about, in the letters of the paper."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.gradient import Along
from gflow.arrays import Array
from gflow.claims.claim import Hypothesis, at_least, at_most, condition, covered
from gflow.problem.activation import Huberized
from gflow.problem.span import row_norms

ROUNDING = 1e-9  # relative error of sums over neurons and samples


def applies(run: AnalyzedRun) -> bool:
    """Is this one output of Huberized ReLU neurons under a fixed outer layer?"""
    network = run.problem.network
    fixed = not network.trains_outer and network.outputs == 1 and network.directions is None
    return fixed and isinstance(network.smoothing, Huberized)


@dataclass(frozen=True, slots=True)
class ChatterjiSetting:
    """The run in the paper's letters: P neurons of each sign, bandwidth h, factor = |x~| / |x| of the reduced form."""

    P: float
    h: float
    factor: float
    logistic: bool
    signs: bool
    norms: Array
    """|x~_s| (n,)"""

    @property
    def widest(self) -> float:
        """1 / P, the widest bandwidth; infinite where all outer weights are 0."""
        return 1.0 / self.P if self.P else np.inf

    def network(self) -> tuple[Hypothesis, ...]:
        """Outer weights +-1, as many of each; h <= 1 / P; logistic loss."""
        return (
            condition("outer weights are P times +1 and P times -1", self.signs),
            covered(at_most("bandwidth h against 1 / P", self.h, self.widest, ROUNDING * self.h)),
            condition("logistic loss", self.logistic),
        )

    def bandwidth(self) -> Hypothesis:
        """h = 1 / P, which the bound on the Hessian needs from below."""
        return covered(at_least("bandwidth h against 1 / P", self.h, self.widest, ROUNDING * self.h))

    def inputs(self) -> Hypothesis:
        """Inputs on the unit sphere, of which only |x~| <= 1 is needed."""
        return covered(at_most("largest norm of a reduced input", float(self.norms.max()), 1.0, ROUNDING))


def setting(run: AnalyzedRun) -> ChatterjiSetting:
    """Read off the run; a fact says whether the last input is the constant 1 of the biases."""
    network, smoothing = run.problem.network, run.problem.network.smoothing
    assert isinstance(smoothing, Huberized), "applies() was not asked"
    positive, negative = int((network.outer > 0.0).sum()), int((network.outer < 0.0).sum())
    signs = bool((np.abs(network.outer) == 1.0).all()) and positive == negative
    factor = float(np.sqrt(0.5)) if run.trajectory.facts.get("bias") else 1.0
    logistic = run.problem.loss.name == "logistic"
    return ChatterjiSetting(
        max(positive, negative), smoothing.bandwidth, factor, logistic, signs, factor * row_norms(run.problem.X)
    )


def total_loss(rows: Along) -> Array:
    """n L (T,)."""
    return np.asarray(np.exp(rows.log_loss) * rows.margins.shape[1])
