"""Running extremes: against an evaluation of dense rows by definition, their invariants, and going on from a row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from gflow.field.branch import Measure, Measures, Tolerances
from gflow.flow.items import Item
from gflow.flow.state import Event, FlowRow
from gflow.flow.steps import Manner, steps
from gflow.flow.stopping import Until, spaced
from gflow.problem.activation import SmoothLeaky
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from gflow.trajectory.extremes import Extremes
from gflow.trajectory.layout import EXTREMES, SERIES, UNBOUNDED, UNTIL
from tests.flow.definitions import plain_measure
from tests.flow.driver import problem_of, until_log_time, until_time
from tests.primal.driver import parity
from tests.reference.setting import Setting, drawn

Array = NDArray[np.float64]
METHODS = {"dual": "auto", "primal": "DOP853"}
FINE = Tolerances(1e-10, 1e-12)


def said(
    problem: Problem, W: Array, until: Until, engine: str, tolerances: Tolerances, rows: Sequence[float] = ()
) -> list[Item]:
    return list(steps(problem, W, until, Manner(engine, METHODS[engine], tolerances), rows, advances=True))


def taken(problem: Problem, items: Iterable[Item | Measure]) -> Extremes:
    extremes = Extremes(problem)
    for item in items:
        if isinstance(item, Measure):
            extremes.update(item)
    return extremes


@pytest.mark.sample("*-dual")
@pytest.mark.parametrize("engine", METHODS)
@pytest.mark.parametrize(("slope", "loss"), [(0.2, "logistic"), (0.0, "exponential")])
def test_dense_rows_find_the_same_extremes(engine: str, slope: float, loss: str) -> None:
    """n = 6, d = 20, m = 8: a run with no row in between has the extremes of 1000 rows evaluated by definition.

    Half of those rows lie right before and right after the events, where rates jump.
    """
    setting, W = drawn("wide", slope, loss, seed=3)
    problem, until = problem_of(setting), until_time(8.0)
    coarse = said(problem, W, until, engine, FINE)
    events = np.array([item.v for item in coarse if isinstance(item, Event)])
    dense = np.unique(np.concatenate([np.linspace(0.0, np.log(9.0), 600), events - 1e-7, events + 1e-7]))
    inside = [float(v) for v in dense if 0.0 < v < np.log(9.0)]
    fine = said(problem, W, until, engine, FINE, inside)
    states = [item.state for item in fine if isinstance(item, FlowRow)]
    full = [problem.weights(state.U, W) for state in states]
    rows = [plain_measure(setting, weights, state) for weights, state in zip(full, states, strict=True)]
    values, finer = taken(problem, coarse).values(), taken(problem, fine).values()
    for name, expected in by_definition(setting, rows).items():
        assert finer[name] == pytest.approx(expected, rel=1e-5, abs=1e-5), name
        assert values[name] == pytest.approx(expected, rel=2e-3, abs=2e-3), name


def by_definition(setting: Setting, rows: list[Measure]) -> dict[str, float]:
    """Extremes over rows with g, L and times as they are."""
    v, norm, speed = (np.array([getattr(row, name) for row in rows]) for name in ("v", "norm", "speed"))
    p, rates = np.array([row.p for row in rows]), np.array([row.margin_rates for row in rows])
    g, L, n = setting.pulls(p), setting.losses(p).mean(axis=1), setting.y.size
    clock = np.exp([row.log_clock for row in rows])
    ratio = speed * clock / g.mean(axis=1)
    relative = n * rates * clock[:, None] / (g * (setting.X**2).sum(axis=1))
    smoothed = -np.log(n * L) if setting.loss == "exponential" else -np.log(np.expm1(n * L))
    return {
        "sup_log_g_ratio": float(np.log(g.max(axis=1) / g.min(axis=1)).max()),
        "sup_margin_gap": float(np.ptp(p, axis=1).max()),
        "inf_min_margin": float(p.min()),
        "inf_gradient_ratio": float(ratio.min()),
        "sup_gradient_ratio": float(ratio.max()),
        "inf_margin_rate": float(rates.min()),
        "inf_relative_margin_rate": float(relative.min()),
        "sup_relative_margin_rate": float(relative.max()),
        "inf_log_loss": float(np.log(L.min())),
        "sup_normalized_smoothed_margin": float((smoothed / norm).max()),
        "sup_fitted_norm": float(norm[smoothed > 0.0].max(initial=0.0)),
    }


@pytest.mark.parametrize("engine", METHODS)
def test_the_last_time_above_a_bound_is_bracketed_by_dense_rows(engine: str) -> None:
    """The end of the step that crosses log(2) / n: not before the crossing, and at most one step after it."""
    setting, W = drawn("wide", 0.2, "logistic", seed=3)
    problem, until = problem_of(setting), until_time(60.0)
    items = said(problem, W, until, engine, FINE)
    measures = [item for item in items if isinstance(item, Measure)]
    values = taken(problem, items).values()
    n, v = setting.y.size, np.array([measure.v for measure in measures])
    p = np.array([measure.p for measure in measures])
    for name, above in {
        "last_unfitted": setting.losses(p).mean(axis=1) >= np.log(2.0) / n,
        "last_unfitted_g": setting.pulls(p).mean(axis=1) >= np.log(2.0) / (3.0 * n),
    }.items():
        crossed = int(np.flatnonzero(above)[-1])
        assert 0 < crossed < v.size - 1
        assert v[crossed] < values[name] == v[crossed + 1]


@pytest.mark.sample("dual*", "primal, kinks")
@pytest.mark.parametrize("name", ["dual", "dual, late", "primal, both layers", "primal, kinks"])
def test_what_may_only_rise_or_fall_does_up_to_rounding(name: str) -> None:
    """L, and from L < l(0) / n on the normalised smoothed margin and |theta| (claims 3.A.12, Lyu and Li)."""
    setting, W = drawn("wide", 0.0, "logistic", seed=3)
    problem, tolerances = problem_of(setting), Tolerances(1e-8, 1e-10)
    if name == "primal, both layers":
        problem, W = parity(24, 10, 32, 0)
    until = until_log_time(1e4 if name == "dual, late" else 12.0)
    values = taken(problem, said(problem, W, until, name.split(",")[0], tolerances)).values()
    assert 0.0 < values["last_unfitted"] < 12.0 and values["sup_normalized_smoothed_margin"] > 0.0
    assert 0.0 <= values["sup_loss_rise"] < 1e-9
    assert 0.0 <= values["sup_margin_fall"] < 1e-11
    assert 0.0 <= values["sup_norm_fall"] < 1e-13


def measures_of(log_losses: Sequence[float], norms: Sequence[float], n: int) -> list[Measure]:
    """Hand-made: equal margins of the exponential loss at v = 0, 1, 2, ..."""
    return [
        Measure(float(k), np.full(n, -log_loss), log_loss, norm, 1.0, np.full(n, 0.5), log_loss)
        for k, (log_loss, norm) in enumerate(zip(log_losses, norms, strict=True))
    ]


def by_hand(outer: Array, smoothing: SmoothLeaky | None = None, trains_outer: bool = False) -> Problem:
    """Two samples, exponential loss: l(0) / n = 1/2."""
    network = Network(outer, 0.2, trains_outer, smoothing)
    return Problem.of(np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([1.0, -1.0]), network, LOSSES["exponential"])


def test_a_rise_of_the_loss_is_caught_with_its_time() -> None:
    """Negative control: what must not happen is seen, also where it is made good later."""
    values = taken(by_hand(np.ones(1)), measures_of([0.0, -2.0, -1.5, -5.0, -4.9, -6.0], [1.0] * 6, 2)).values()
    assert values["sup_loss_rise"] == 0.5 and values["sup_loss_rise_at"] == 2.0
    assert values["inf_log_loss"] == -6.0 and values["inf_log_loss_at"] == 5.0
    # The normalised margin is here -log L - log 2: 2 - log 2 fell by 1/2; likewise 5 - log 2 by 1/10.
    assert values["sup_margin_fall"] == pytest.approx(0.5 / (2.0 - np.log(2.0))) and values["sup_margin_fall_at"] == 2.0


def test_falls_of_the_norm_count_from_the_first_fit_on() -> None:
    norms, losses = [4.0, 3.0, 2.0, 1.8, 2.5, 2.4], [0.0, -0.5, -1.0, -1.5, -2.0, -2.5]
    values = taken(by_hand(np.ones(1)), measures_of(losses, norms, 2)).values()
    assert values["sup_norm_fall"] == pytest.approx(0.1) and values["sup_norm_fall_at"] == 3.0
    assert values["sup_fitted_norm"] == 2.5 and values["sup_fitted_norm_at"] == 4.0
    # log L: 0 and -0.5 are above log(log(2) / 2) = -1.06, and so is -1; the step from there ends at v = 3.
    assert values["last_unfitted"] == 3.0


def test_a_relative_rate_far_beyond_floats_is_a_number_all_the_same() -> None:
    """Margins 0 and 2e4: g_2 is e^-20000 of g_1; its margin rises infinitely fast by that measure."""
    measure = Measure(0.0, np.array([0.0, 2e4]), -np.log(2.0), 1.0, 1.0, np.array([0.5, -0.5]), -np.log(2.0))
    values = taken(by_hand(np.ones(1)), [measure]).values()
    assert values["sup_relative_margin_rate"] == pytest.approx(0.5)  # n = 2, d tau / dt = 1/2
    assert values["inf_relative_margin_rate"] == -UNBOUNDED
    assert values["sup_log_g_ratio"] == 2e4
    near = Measure(0.0, np.array([0.0, 700.0]), -np.log(2.0), 1.0, 1.0, np.array([0.5, -0.5]), -np.log(2.0))
    rate = taken(by_hand(np.ones(1)), [near]).values()["inf_relative_margin_rate"]
    assert np.log(-rate) == pytest.approx(700.0 + np.log(0.125), rel=1e-13)  # |x_2| = 2


def test_a_margin_that_is_rounding_does_not_fall() -> None:
    """Weights of 1e28 with margins of 1e-16: log L = log(log(2)) to rounding, whatever the margin is."""
    losses = np.log(np.log(2.0)) - np.array([2.2e-16, 1.1e-16, 0.0])
    measures = [Measure(v, np.zeros(1), loss, 1.0, 1e28, np.ones(1), 0.0) for v, loss in enumerate(losses)]
    assert taken(by_hand(np.ones(1)), measures).values()["sup_margin_fall"] == 0.0


def test_mean_g_counts_samples_that_nothing_moves() -> None:
    """A ReLU neuron that is off on sample 2: g_2 = 1 for ever, while |grad L| = g_1 / 2 falls."""
    problem = Problem.of(np.eye(2), np.ones(2), Network(np.ones(1), 0.0), LOSSES["exponential"])
    items = said(problem, np.array([[0.5, -1.0]]), until_time(50.0), "dual", Tolerances(1e-9, 1e-11))
    g = 1.0 / (np.exp(0.5) + 25.0)  # e^p grows by t / n
    assert taken(problem, items).values()["inf_gradient_ratio"] == pytest.approx(g / (g + 1.0), rel=1e-7)


def test_a_run_goes_on_from_a_row() -> None:
    """Restored from the series of each of its rows, the extremes of the rest of the run are the same, bit for bit."""
    setting, W = drawn("wide", 0.2, "logistic", seed=3)
    problem, until = problem_of(setting), until_time(20.0)
    rows = list(spaced("log", 12, until))[:-1]
    items = said(problem, W, until, "dual", Tolerances(1e-8, 1e-10), rows)
    whole = taken(problem, items).values()
    cuts = [k for k, item in enumerate(items) if isinstance(item, FlowRow)]
    for cut in cuts:
        resumed = Extremes(problem)
        resumed.restore(taken(problem, items[:cut]).values())
        for item in items[cut:]:
            if isinstance(item, Measure):
                resumed.update(item)
            elif isinstance(item, FlowRow):
                resumed.at_row(item.state.p, item.state.log_loss)
        assert resumed.values() == whole
    assert whole["last_unfitted"] > min(rows)


@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
@pytest.mark.parametrize(("slope", "loss"), [(0.2, "logistic"), (0.0, "exponential")])
def test_batches_have_the_bits_of_one_instant_after_the_other(slope: float, loss: str, size: int) -> None:
    """Handed over one by one and asked for after each, or in arrays of any number of instants."""
    setting, W = drawn("wide", slope, loss, seed=3)
    problem = problem_of(setting)
    items = said(problem, W, until_time(8.0), "dual", Tolerances(1e-8, 1e-10))
    measures = [item for item in items if isinstance(item, Measure)]
    single, batched = Extremes(problem), Extremes(problem)
    for first in range(0, len(measures), size):
        block = measures[first : first + size]
        for each in block:
            single.update(each)
            single.values()
        batched.update(Measures.of(block))
        assert batched.values() == single.values()
    assert len(measures) > 20
    assert single.values() == taken(problem, items).values()


def test_a_network_has_the_extremes_that_mean_something_for_it() -> None:
    measures = measures_of([0.0, -1.0], [1.0, 1.0], 2)
    plain, trained, smooth = (
        set(taken(problem, measures).values())
        for problem in (
            by_hand(np.ones(1)),
            by_hand(np.ones(1), trains_outer=True),
            by_hand(np.ones(1), SmoothLeaky(0.2)),
        )
    )
    assert plain == set(EXTREMES) | {f"{name}_at" for name in EXTREMES} | set(UNTIL) <= set(SERIES)
    assert {name for name in plain - trained if not name.endswith("_at")} == {
        "inf_relative_margin_rate",
        "sup_relative_margin_rate",
    }
    assert {name for name in plain - smooth if not name.endswith("_at")} == {
        "sup_normalized_smoothed_margin",
        "sup_margin_fall",
        "sup_fitted_norm",
        "sup_norm_fall",
    }
