"""Requirements of the papers on fixed outer layers: outer weights of one size, and no biases."""

from __future__ import annotations

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.problem.network import Network


def equal_modulus(network: Network) -> bool:
    """One output, and an outer layer that is fixed and of one size |a_j| > 0."""
    if network.trains_outer or network.outputs != 1 or network.directions is not None:
        return False
    size = np.abs(network.outer)
    return bool(size.min() > 0.0 and np.ptp(size) <= 1e-12 * size.max())


def unbiased(run: AnalyzedRun) -> bool:
    """Neither neurons nor the output have a bias."""
    return not run.trajectory.facts.get("bias", 0) and run.problem.network.output_bias is None
