"""An exact KKT point whose multipliers are not unique once samples off the margin are let in."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import gflow
from tests.cases.runs import INPUTS, simulated


@pytest.mark.sample("overrides0", "overrides1")
@pytest.mark.parametrize("overrides", [(), ("flow.until={log_time: 200}",), ("flow.engine=primal",)])
def test_it_is_a_kkt_point(tmp_path: Path, overrides: tuple[str, ...]) -> None:
    found = gflow.analyze(simulated("kkt-nonunique/full", tmp_path, *overrides))
    kkt, limit = found["kkt"], found["limit"]
    assert kkt.verdict == "holds" and kkt.complementarity < 1e-12 and kkt.stationarity < 1e-12
    assert kkt.on_margin == 4 and "4 of 9 samples on the margin" in kkt.summary
    np.testing.assert_allclose(kkt.multipliers, limit.multipliers, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(kkt.multipliers, [0.25, 0.5, 0.0, 0.5, 0.25, 0.0, 0.0, 0.0, 0.0], atol=1e-12)


def test_the_multipliers_in_rational_arithmetic() -> None:
    """w_j = a_j sum_i lambda_i s_ji y_i x_i with the slopes 1 and 1/2, margins 1 on four samples, by hand."""
    data = np.load(INPUTS / "kkt-nonunique" / "full.npz")
    X = [[Fraction(int(x)) for x in row] for row in data["X"]]
    y = [Fraction(int(label)) for label in data["y"]]
    quarter, half, one = Fraction(1, 4), Fraction(1, 2), Fraction(1)
    lam = {0: quarter, 1: half, 3: half, 4: quarter}
    slopes = [{3: one, 4: one}, {1: one, 4: one}, {0: one, 1: half, 3: half}, {0: one, 1: half, 3: half}]
    outer = [1, 1, -1, -1]
    W = [
        [a * sum(lam[i] * s * y[i] * X[i][k] for i, s in own.items()) for k in range(2)]
        for a, own in zip(outer, slopes, strict=True)
    ]
    assert W == [[3 * quarter, -quarter], [-quarter, 3 * quarter], [-quarter, -quarter], [-quarter, -quarter]]
    z = [[sum(w * x for w, x in zip(row, each, strict=True)) for row in W] for each in X]
    margins = [
        label * sum(a * max(value, Fraction(0)) for a, value in zip(outer, row, strict=True))
        for label, row in zip(y, z, strict=True)
    ]
    assert [i for i, margin in enumerate(margins) if margin == 1] == sorted(lam) and min(margins) == 1
    for j, own in enumerate(slopes):  # on a kink any slope, else that of its side
        assert all(z[i][j] == 0 if s == half else z[i][j] > 0 for i, s in own.items())
