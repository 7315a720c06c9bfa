"""float32: close to float64 early, and a warning in words where it is not enough."""

from __future__ import annotations

import numpy as np
import pytest

from gflow.descent import Constant, Coordinates, DescentRun, LogSquared, Options, Precision, single_precision_warning
from tests.descent.cases import DEVICES, KINDS, case, gap, rows


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", KINDS)
def test_float32_is_close_early(kind: str, device: str) -> None:
    chosen = case(kind, "logistic")
    run = DescentRun(chosen.weights(), Constant(0.1), np.array([0, 50]))
    single = rows(chosen, run, options=Options(precision=Precision.SINGLE, device=device))[-1]
    double = rows(chosen, run, options=Options(device=device))[-1]
    assert 1e-12 < gap(single.U, double.U) < 1e-5
    assert single.U.dtype == single.p.dtype == np.float64
    assert single.t == double.t


def test_float32_loses_steps_that_float64_takes() -> None:
    """Steps below 6e-8 of the weights vanish in U: the run stands still where float64 moves."""
    chosen = case("leaky", "logistic")
    run = DescentRun(chosen.weights(), Constant(1e-8), np.array([0, 100]))
    moved = {}
    for precision in Precision:
        first, last = rows(chosen, run, options=Options(precision=precision, coordinates=Coordinates.SPAN))
        moved[precision] = float(np.abs(last.p - first.p).max())
    assert moved[Precision.SINGLE] < 0.1 * moved[Precision.DOUBLE]


def test_times_of_schedules_stay_float64() -> None:
    chosen = case("huberized", "logistic")
    run = DescentRun(chosen.weights(), LogSquared(0.1, 0.1), np.array([0, 1]))
    assert rows(chosen, run, options=Options(precision=Precision.SINGLE))[-1].t == 0.1


@pytest.mark.parametrize(
    "margin, words", [(1.0, None), (20.0, "float32 rounds"), (200.0, "underflow"), (-200.0, "200")]
)
def test_the_warning(margin: float, words: str | None) -> None:
    warning = single_precision_warning(margin)
    assert (warning is None) if words is None else (warning is not None and words in warning)
