"""Descent that goes on from a checkpoint has the bits of one that was not stopped."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np
import pytest

from gflow.descent import (
    Constant,
    Coordinates,
    DescentCheckpoint,
    DescentFinish,
    DescentProgress,
    DescentRun,
    GivenBatches,
    Iterate,
    LogSquared,
    LossWatch,
    Options,
    Precision,
    RandomBatches,
    descend,
    iterates_at,
    loop,
    record_steps,
)
from gflow.descent.batches import Stream
from gflow.descent.loop import DescentItem
from gflow.errors import CheckpointError
from tests.descent.cases import BOTH, DEVICES, KINDS, Case, case
from tests.descent.test_runs import ladder

Found = list[tuple[DescentItem, DescentCheckpoint | None]]


def followed(
    chosen: Case, runs: Sequence[DescentRun], options: Options, origin: DescentCheckpoint | None = None
) -> Found:
    """All items, with the checkpoint where there is one."""
    return [
        (item, item.checkpoint() if isinstance(item, DescentProgress) else None)
        for item in descend(chosen.problem, runs, options, origin)
    ]


def same_bits(a: DescentItem, b: DescentItem) -> bool:
    """Rows, ends and progress alike, in every bit."""
    if isinstance(a, Iterate) and isinstance(b, Iterate):
        pairs = [(getattr(a, field.name), getattr(b, field.name)) for field in fields(a)]
        return all(np.asarray(x).tobytes() == np.asarray(y).tobytes() for x, y in pairs if x is not None)
    return a == b


def check_all_cuts(chosen: Case, runs: Sequence[DescentRun], options: Options) -> Found:
    """Go on from the first, the last and some checkpoints between: the rest of the items has the same bits."""
    whole = followed(chosen, runs, options)
    cuts = [place for place, (_, checkpoint) in enumerate(whole) if checkpoint is not None]
    for place in {cuts[0], *cuts[1 :: max(1, len(cuts) // 3)], cuts[-1]}:
        rest = followed(chosen, runs, options, copy.deepcopy(whole[place][1]))
        assert len(rest) == len(whole) - place - 1
        assert all(same_bits(a, b) for (a, _), (b, _) in zip(rest, whole[place + 1 :], strict=True)), place
    return whole


CASES = [*((kind, Coordinates.CHEAPEST) for kind in KINDS), *(("leaky", each) for each in BOTH)]


@pytest.mark.sample("*-True-*", "leaky-*", "both layers-*", "classes-*")
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("batches", [False, True])
@pytest.mark.parametrize(("kind", "coordinates"), CASES)
def test_every_network_goes_on(kind: str, coordinates: Coordinates, batches: bool, device: str) -> None:
    chosen = case(kind, "logistic")
    watch = None if batches else LossWatch(0.01)
    options = Options(coordinates=coordinates, device=device, watch=watch)
    check_all_cuts(chosen, ladder(chosen, batches), options)


@pytest.mark.parametrize("precision", Precision)
def test_groups_go_on(monkeypatch: pytest.MonkeyPatch, precision: Precision) -> None:
    """Two runs at a time, so that a checkpoint lies in the first, a middle or the last group."""
    chosen = case("both layers", "logistic")
    monkeypatch.setitem(loop.TOGETHER, "cpu", 2 * 8 * 9)
    whole = check_all_cuts(chosen, ladder(chosen), Options(precision=precision, watch=LossWatch()))
    assert len({checkpoint.group for _, checkpoint in whole if checkpoint is not None}) == 3


def test_a_run_that_diverges_is_found_at_the_same_step(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = case("both layers", "exponential")
    monkeypatch.setattr(loop, "CHUNK", 7)
    runs = [DescentRun(chosen.weights(), Constant(eta), record_steps(60, 5)) for eta in (50.0, 0.1, 0.05)]
    whole = check_all_cuts(chosen, runs, Options(watch=LossWatch()))
    ends = {item.run: item for item, _ in whole if isinstance(item, DescentFinish)}
    assert ends[0].outcome is loop.DescentOutcome.DIVERGED and ends[1].outcome is loop.DescentOutcome.STEPS


def test_steps_that_follow_the_loss_go_on() -> None:
    """Their sum is the clock."""
    chosen = case("both layers", "logistic")
    runs = [DescentRun(chosen.weights(), LogSquared(0.1, q), record_steps(300, 9)) for q in (0.2, 0.5)]
    check_all_cuts(chosen, runs, Options())


def test_a_state_that_is_off_in_its_last_bit_is_seen() -> None:
    """Negative control."""
    chosen = case("leaky", "logistic")
    runs = ladder(chosen)
    whole = followed(chosen, runs, Options())
    place, origin = [(k, checkpoint) for k, (_, checkpoint) in enumerate(whole) if checkpoint is not None][5]
    moved = {**origin.state, "inner": np.nextafter(origin.state["inner"], 9.0)}
    rest = followed(chosen, runs, Options(), replace(origin, state=moved))
    assert not all(same_bits(a, b) for (a, _), (b, _) in zip(rest, whole[place + 1 :], strict=True))


@pytest.mark.parametrize("size", [1, 4, 9])
@pytest.mark.parametrize("replacement", [False, True])
def test_batches_that_are_skipped_are_those_not_taken(size: int, replacement: bool) -> None:
    for batches in (RandomBatches(size, replacement, 3), GivenBatches(np.arange(90_000).reshape(-1, size) % 9)):
        for count in (0, 1, 2000, 9001):
            one, other = Stream(batches, 9), Stream(batches, 9)
            one.take(count)
            other.skip(count)
            for _ in range(2):
                assert all(np.array_equal(a, b) for a, b in zip(one.take(400), other.take(400), strict=True))


def test_a_checkpoint_of_other_runs_is_refused() -> None:
    chosen = case("leaky", "logistic")
    runs = ladder(chosen)
    origin = next(checkpoint for _, checkpoint in followed(chosen, runs, Options()) if checkpoint is not None)
    for wrong in (
        replace(origin, group=(0, 1)),
        replace(origin, alive=(7,)),
        replace(origin, alive=origin.alive[1:]),
        replace(origin, step=origin.step + 1),
        replace(origin, state={}),
        replace(origin, state={**origin.state, "inner": origin.state["inner"].astype(np.float32)}),
    ):
        for going_on in (descend, iterates_at):
            with pytest.raises(CheckpointError, match="^descent: a (checkpoint|state) of"):
                going_on(chosen.problem, runs, Options(), wrong)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", Precision)
def test_a_checkpoint_comes_after_the_rows_of_its_step(kind: str, precision: Precision) -> None:
    """Each run alive there has the bits of its last row, if that is of this step."""
    chosen = case(kind, "logistic")
    runs, options = ladder(chosen), Options(precision=precision)
    rows, compared, first = dict[int, Iterate](), 0, None
    for item, origin in followed(chosen, runs, options):
        first = first or origin
        if isinstance(item, Iterate):
            rows[item.run] = item
        if origin is None:
            continue
        for at in iterates_at(chosen.problem, runs, options, origin):
            assert at.run in origin.alive and at.step == origin.step >= rows[at.run].step
            if rows[at.run].step == at.step:
                assert same_bits(at, rows[at.run])
                compared += 1
    assert compared > len(runs) and first is not None and first.step == 0


def test_batches_that_are_skipped_are_drawn_when_the_next_is_taken() -> None:
    """So that a look at a checkpoint after many steps costs none of them."""
    stream = Stream(RandomBatches(4, False, 3), 9)
    stream.skip(10**15)
    stream.skip(0)
