"""What hypotheses ask of a data set, against loops over the samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gflow.analysis.claims import data
from tests.analysis.claims.frei.runs import simulated


def test_predicates_of_the_data_against_loops(tmp_path: Path) -> None:
    leaky = simulated(tmp_path)
    X, n = leaky.trajectory.X, 6
    norms = [float(np.linalg.norm(x)) for x in X]
    products = [[abs(float(X[i] @ X[k])) for k in range(n) if k != i] for i in range(n)]
    sizes = data.sizes_of(leaky)
    assert data.sizes_of(leaky) is sizes
    Rmin, Rmax, coherence = min(norms), max(norms), max(map(max, products))
    R = Rmax / Rmin
    assert (sizes.Rmin, sizes.Rmax, sizes.coherence) == pytest.approx((Rmin, Rmax, coherence))
    assert sizes.crowd == pytest.approx([sum(row) for row in products])
    assert sizes.nearest == pytest.approx([max(row) for row in products])
    C_R = 10.0 * R**2 / 0.25 + 10.0
    assert data.near_orthogonal_32(sizes, 0.5).slack == pytest.approx(Rmin**2 / (24.0 * R**2 * n * coherence))
    assert data.near_orthogonal_42(sizes, 0.5).slack == pytest.approx(Rmin**2 / (20.0 * C_R * n * coherence))
    assert data.kou_constant(sizes, 0.5) == pytest.approx(Rmin**2 / (16.0 * R**2 * n * coherence))
    assert data.kou_constant(sizes, 0.0) == pytest.approx(Rmin**2 / (R**2 * n * coherence))
    one = data.Sizes.of(np.eye(4))
    assert one.coherence == 0.0 and data.kou_constant(one, 0.5) is None
    assert data.near_orthogonal_32(one, 0.5).holds and data.near_orthogonal_32(one, 0.5).slack is None
    near = np.eye(4) + 1e-5 * (1.0 - np.eye(4))
    explicit = data.explicit_kou(data.Sizes.of(np.asarray(np.linalg.cholesky(near), dtype=np.float64)))
    assert explicit.slack == pytest.approx(1.0 / (3282.0 * 4.0 * 1e-5), rel=1e-3)
