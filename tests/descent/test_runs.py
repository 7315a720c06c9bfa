"""Many runs as one program: the same numbers as alone, each with its own steps, rows, start, batches and end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from gflow.descent import (
    Constant,
    Coordinates,
    DescentFinish,
    DescentOutcome,
    DescentProgress,
    DescentRun,
    FullBatch,
    Iterate,
    LossReport,
    LossWatch,
    Options,
    RandomBatches,
    descend,
    loop,
    program,
    record_steps,
)
from gflow.descent.coordinates import SampleInner, SpanInner, inner_of
from gflow.errors import ScenarioError
from gflow.problem.parameters import Parameters
from tests.descent.cases import DEVICES, KINDS, Case, Plain, case, gap, rows


def ladder(chosen: Case, batches: bool = False) -> list[DescentRun]:
    """Five runs to t = 20 with steps 0.1, 0.05, ..., from different starts and with different seeds."""
    network = chosen.problem.network
    runs = []
    for k in range(5):
        first = chosen.weights()
        moved = Parameters(first.U * (1.0 + 0.1 * k), network.outer * (1.0 - 0.1 * k), network.output_bias)
        record = record_steps(200 * (k + 1), 6 + k)
        schedule = Constant(0.1 / (k + 1))
        runs.append(
            DescentRun(moved, schedule, record, RandomBatches(2, False, k))
            if batches
            else DescentRun(moved, schedule, record)
        )
    return runs


def same(a: Iterate, b: Iterate) -> bool:
    assert (a.step, a.t) == (b.step, b.t)
    assert np.array_equal(a.pattern, b.pattern)
    return (
        gap(a.U, b.U) < 1e-13 and gap(a.outer, b.outer) < 1e-13 and bool(np.allclose(a.p, b.p, rtol=1e-12, atol=1e-13))
    )


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("batches", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_together_as_alone(kind: str, batches: bool, device: str) -> None:
    chosen, options = case(kind, "logistic"), Options(device=device)
    runs = ladder(chosen, batches)
    together = rows(chosen, *runs, options=options)
    for number, run in enumerate(runs):
        alone = rows(chosen, run, options=options)
        own = [row for row in together if row.run == number]
        assert [row.step for row in own] == run.record.tolist()
        assert len(alone) == len(own)
        assert all(same(a, b) for a, b in zip(own, alone, strict=True))
        assert own[-1].t == pytest.approx(20.0, rel=1e-15)


def test_groups_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for two runs at a time the five give the same rows."""
    chosen = case("leaky", "logistic")
    runs = ladder(chosen)
    once = {(row.run, row.step): row for row in rows(chosen, *runs)}
    monkeypatch.setitem(loop.TOGETHER, "cpu", 2 * 8 * 9)
    split = {(row.run, row.step): row for row in rows(chosen, *runs)}
    assert once.keys() == split.keys()
    assert all(same(once[key], split[key]) for key in once)


def test_rows_do_not_change_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking more often, or in smaller chunks, gives the same bits, drawn batches included."""
    chosen = case("relu", "logistic")
    start, schedule = chosen.weights(), Constant(0.1)
    batches = RandomBatches(2, True, 3)
    few = rows(chosen, DescentRun(start, schedule, np.array([0, 300]), batches))[-1]
    monkeypatch.setattr(loop, "CHUNK", 7)
    many = rows(chosen, DescentRun(start, schedule, np.arange(301), batches))[-1]
    assert np.array_equal(few.U, many.U)


def test_progress_and_ends_are_told() -> None:
    chosen = case("leaky", "logistic")
    runs = ladder(chosen)
    items = list(descend(chosen.problem, runs))
    progress = [item for item in items if isinstance(item, DescentProgress)]
    assert (progress[-1].taken, progress[-1].total) == (3000, 3000)
    assert all(a.taken <= b.taken for a, b in zip(progress, progress[1:], strict=False))
    ends = {item.run: item for item in items if isinstance(item, DescentFinish)}
    assert {run: end.step for run, end in ends.items()} == {k: 200 * (k + 1) for k in range(5)}
    assert {end.outcome for end in ends.values()} == {DescentOutcome.STEPS}


@pytest.mark.parametrize("device", DEVICES)
def test_a_run_that_diverges_ends_alone(device: str) -> None:
    """Both layers at eta = 50 blow up; its neighbour is untouched, and no row holds a number that is not finite."""
    chosen = case("both layers", "exponential")
    tame, wild = (DescentRun(chosen.weights(), Constant(eta), record_steps(3000, 40)) for eta in (0.01, 50.0))
    items = list(descend(chosen.problem, [wild, tame], Options(device=device)))
    ends = {item.run: item for item in items if isinstance(item, DescentFinish)}
    assert (ends[0].outcome, ends[1].outcome) == (DescentOutcome.DIVERGED, DescentOutcome.STEPS)
    found = [item for item in items if isinstance(item, Iterate)]
    assert all(np.isfinite([*row.U.ravel(), *row.outer, *row.p, row.log_loss, row.t]).all() for row in found)
    assert max(row.step for row in found if row.run == 0) < ends[0].step <= 3000
    alone = rows(chosen, tame, options=Options(device=device))
    assert all(same(a, b) for a, b in zip([row for row in found if row.run == 1], alone, strict=True))
    assert isinstance(items[-1], DescentProgress) and items[-1].taken < items[-1].total


def test_rows_are_what_they_say() -> None:
    """p, log L and the pattern of a row are those of its weights, and zero steps are a run."""
    chosen = case("classes", "logistic")
    problem = chosen.problem
    for row in rows(chosen, DescentRun(chosen.weights(), Constant(0.2), np.array([0, 17]))) + rows(
        chosen, DescentRun(chosen.weights(), Constant(0.2), np.array([0]))
    ):
        z = problem.preactivations(row.U)
        assert np.array_equal(row.pattern, np.sign(z).astype(np.int8))
        p = problem.margins(row.U, row.pattern, row.outer, row.output_bias)
        assert row.p == pytest.approx(p, rel=1e-12, abs=1e-14)
        assert row.log_loss == pytest.approx(np.log(np.log1p(np.exp(-p)).mean()), rel=1e-12)
        assert row.U.dtype == row.p.dtype == np.float64


def test_rows_are_copies() -> None:
    """A row kept by the caller is not overwritten by later steps."""
    chosen = case("scalar", "logistic")
    kept, before = [], []
    for item in descend(chosen.problem, [DescentRun(chosen.weights(), Constant(0.1), np.arange(4))]):
        if isinstance(item, Iterate):
            kept.append(item)
            before.append((item.U.copy(), item.outer.copy(), item.p.copy(), item.pattern.copy()))
    for row, (U, outer, p, pattern) in zip(kept, before, strict=True):
        assert np.array_equal(row.U, U) and np.array_equal(row.outer, outer)
        assert np.array_equal(row.p, p) and np.array_equal(row.pattern, pattern)
    assert not np.array_equal(kept[0].U, kept[1].U)


@pytest.mark.parametrize("total, count", [(0, 2), (1, 2), (5, 100), (1000, 2), (1000, 3), (10**6, 50)])
def test_record_steps(total: int, count: int) -> None:
    steps = record_steps(total, count)
    assert steps[0] == 0 and steps[-1] == total
    assert np.all(np.diff(steps) > 0) and steps.size <= count
    if total == 5:
        assert steps.tolist() == [0, 1, 2, 3, 4, 5]
    if total == 10**6:
        late = steps[steps > 100]
        assert np.diff(np.log(late)) == pytest.approx(np.log(10**6) / 48, rel=0.02)


@pytest.mark.parametrize("eta, rises, above", [(0.1, False, 0), (40.0, True, 200)])
def test_losses_are_watched(eta: float, rises: bool, above: int) -> None:
    """Counts equal those of plain descent; a small step never lets the loss rise, a large one does."""
    chosen = case("both layers", "logistic")
    plain = Plain(chosen)
    losses = [plain.step(eta) for _ in range(200)] + [float(plain.loss().detach())]
    change = np.diff(np.log(losses))
    bound = 2.0 * 0.1 * losses[0] if eta < 1.0 else 1e-300
    watch = Options(watch=LossWatch(bound))
    run = DescentRun(chosen.weights(), Constant(eta), record_steps(200, 5))
    end = next(item for item in descend(chosen.problem, [run], watch) if isinstance(item, DescentFinish))
    assert end.losses is not None
    assert end.losses.rises == int((change > 1e-13).sum())
    assert (end.losses.rises > 0) == rises
    assert end.losses.largest_rise == pytest.approx(max(0.0, float(change.max())) if rises else 0.0, rel=1e-9)
    assert end.losses.above_bound == above


def test_a_step_above_the_bound_is_counted_once() -> None:
    """eta L falls through the bound after as many steps as plain descent says."""
    chosen = case("leaky", "exponential")
    plain = Plain(chosen)
    losses = np.array([plain.step(0.5) for _ in range(300)])
    bound = 0.5 * float(np.sqrt(losses[100] * losses[101]))
    run = DescentRun(chosen.weights(), Constant(0.5), np.array([0, 300]))
    end = next(
        item
        for item in descend(chosen.problem, [run], Options(watch=LossWatch(bound)))
        if isinstance(item, DescentFinish)
    )
    assert end.losses is not None and end.losses.above_bound == 101


def test_watched_runs_together_as_alone() -> None:
    """Counts stay with their runs when others end, and the last step of each is among them."""
    chosen = case("both layers", "logistic")
    plain = Plain(chosen)
    losses = [plain.step(40.0) for _ in range(60)]
    ends = [k + 1 for k in range(59) if losses[k + 1] > losses[k]]  # runs that end on a rise
    runs = [DescentRun(chosen.weights(), Constant(eta), np.array([0, end])) for end in ends[:3] for eta in (40.0, 10.0)]

    def reports(*runs: DescentRun) -> list[LossReport]:
        items = descend(chosen.problem, runs, Options(watch=LossWatch(0.5)))
        finished = {item.run: item.losses for item in items if isinstance(item, DescentFinish)}
        return [report for number in range(len(runs)) if (report := finished[number]) is not None]

    together = reports(*runs)
    assert [report.rises for report in together[::2]] == [1, 2, 3]
    alone = [reports(run)[0] for run in runs]
    assert [replace(report, largest_rise=0.0) for report in together] == [
        replace(report, largest_rise=0.0) for report in alone
    ]
    largest = [np.array([report.largest_rise for report in each]) for each in (together, alone)]
    np.testing.assert_allclose(largest[0], largest[1], rtol=1e-13)  # one product and six at once may round otherwise
    assert len(set(together)) >= 4


def test_margins_that_overflow_are_no_row() -> None:
    """Finite weights of 1e200 in both layers: the product is not finite, so the run has diverged where it starts."""
    chosen = case("both layers", "logistic")
    start = chosen.weights()
    huge = Parameters(1e200 * start.U, 1e200 * start.outer)
    items = list(descend(chosen.problem, [DescentRun(huge, Constant(0.1), np.array([0, 5]))]))
    assert [type(item) for item in items] == [DescentFinish, DescentProgress]
    assert isinstance(items[0], DescentFinish) and (items[0].outcome, items[0].step) == (DescentOutcome.DIVERGED, 0)


@pytest.mark.parametrize(
    "d, batches, cheapest", [(14, 0, SampleInner), (5, 0, SampleInner), (4, 0, SpanInner), (14, 2, SpanInner)]
)
def test_the_cheapest_coordinates(d: int, batches: int, cheapest: type) -> None:
    """One product with (n, n) or two with (n, r): n = 9 against r = min(n, d)."""
    chosen = case("leaky", "logistic", d=d)
    drawn = RandomBatches(batches, True, 0) if batches else FullBatch()
    run = DescentRun(chosen.weights(), Constant(0.1), np.array([0]), drawn)
    U = torch.from_numpy(chosen.weights().U)[None]
    assert isinstance(inner_of(chosen.problem, run, Coordinates.CHEAPEST, U), cheapest)


@pytest.mark.parametrize(
    "wrong, message",
    [
        (lambda c: [], "no runs"),
        (lambda c: [DescentRun(c.weights(), Constant(0.1), np.array([1, 2]))], "increase from 0"),
        (lambda c: [DescentRun(c.weights(), Constant(0.1), np.array([0, 2, 2]))], "increase from 0"),
        (
            lambda c: [
                DescentRun(Parameters(c.weights().U[:3], c.problem.network.outer), Constant(0.1), np.array([0]))
            ],
            "shapes",
        ),
        (lambda c: [*ladder(c), *ladder(c, batches=True)], "kind of schedule or batches"),
        (lambda c: [DescentRun(c.weights(), Constant(0.1), np.array([0, 1]), RandomBatches(10, False, 0))], "1..9"),
    ],
)
def test_wrong_requests_are_refused_at_once(wrong: Callable[[Case], list[DescentRun]], message: str) -> None:
    chosen = case("leaky", "logistic")
    with pytest.raises(ScenarioError, match=message):
        descend(chosen.problem, wrong(chosen))


def test_a_device_that_is_not_there_is_refused() -> None:
    chosen = case("leaky", "logistic")
    with pytest.raises(ScenarioError, match="use cpu"):
        descend(chosen.problem, ladder(chosen), Options(device="meta"))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("batches", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_many_runs_at_once_are_those_of_each(
    monkeypatch: pytest.MonkeyPatch, kind: str, batches: bool, device: str
) -> None:
    """In blocks of one, of two (the last one filled up) and of all: the same bits, whichever runs have a row."""
    chosen, found = case(kind, "logistic"), []
    for size in (1, 2, 16):
        monkeypatch.setitem(program.TOGETHER, device, size)
        found.append(rows(chosen, *ladder(chosen, batches), options=Options(device=device)))
    for others in found[1:]:
        for a, b in zip(found[0], others, strict=True):
            assert (a.run, a.step, a.t, a.log_loss) == (b.run, b.step, b.t, b.log_loss)
            for name in ("U", "outer", "p", "pattern"):
                assert np.array_equal(getattr(a, name), getattr(b, name)), name


def test_rows_are_the_sums_that_they_stand_for() -> None:
    """U = U(0) + R C of each run, by numpy from the state, to the rounding of one product."""
    chosen = case("both layers", "logistic")
    for item in descend(chosen.problem, ladder(chosen)):
        if isinstance(item, Iterate):
            seen = item
        elif isinstance(item, DescentProgress) and item.taken:
            at = item.checkpoint()
            if seen.run in at.alive and seen.step == at.step:
                R, C = at.state["inner"][at.alive.index(seen.run)], chosen.problem.span.C
                start = ladder(chosen)[seen.run].start.U
                rounding = np.abs(start) + np.abs(R) @ np.abs(C)
                assert (np.abs(seen.U - (start + R @ C)) <= 10.0 * np.finfo(float).eps * rounding).all()
                return
    raise AssertionError("no checkpoint at a row")
