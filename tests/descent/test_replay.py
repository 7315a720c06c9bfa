"""Graphs of steps, with a stand-in for CUDA that holds launches back while it records: each step once, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch

from gflow.descent.replay import RECORDED, WORTH_RECORDING, Feed, Replay


class Recording:
    """What CUDA does to launches: kept while a graph is recorded, done at once otherwise."""

    def __init__(self) -> None:
        self.kept: list[Callable[[], None]] | None = None
        self.eager = self.replays = 0

    def launch(self, kernel: Callable[[], None]) -> None:
        if self.kept is not None:
            self.kept.append(kernel)
        else:
            self.eager += 1
            kernel()


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> Recording:
    made = Recording()

    class Graph:
        kernels: list[Callable[[], None]]

        def replay(self) -> None:
            made.replays += 1
            for kernel in self.kernels:
                kernel()

    @contextmanager
    def record(graph: Graph) -> Iterator[None]:
        made.kept = []
        yield
        graph.kernels, made.kept = made.kept, None

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", record)
    return made


def program(recording: Recording) -> tuple[Callable[[Feed, int], None], list[float]]:
    """A step that reads its feed when it is executed, as kernels do; and what it has read."""
    seen: list[float] = []

    def step(feed: Feed, number: int) -> None:
        recording.launch(lambda: seen.append(float(len(seen)) if feed is None else float(feed[1][number, 0, 0])))

    return step, seen


@pytest.mark.parametrize("fed", [True, False])
@pytest.mark.parametrize("steps", [1, RECORDED, WORTH_RECORDING, WORTH_RECORDING + 1, 12 * RECORDED + 3])
def test_every_step_is_taken_once_and_in_order(steps: int, fed: bool, recording: Recording) -> None:
    step, seen = program(recording)
    replay = Replay(step, torch.device("cuda"))
    for start in (0, steps):  # two chunks, the second with a graph at hand
        weights = torch.arange(start, start + steps, dtype=torch.float64).reshape(steps, 1, 1)
        replay.run((torch.zeros(steps, 1, 1, dtype=torch.int64), weights) if fed else None, steps)
    assert seen == list(range(2 * steps))
    assert recording.eager + RECORDED * recording.replays == 2 * steps
    assert recording.eager <= WORTH_RECORDING + 2 * RECORDED
    assert (recording.replays > 0) == (2 * steps >= WORTH_RECORDING + RECORDED)


def test_after_a_change_of_tensors_the_graph_is_recorded_anew(recording: Recording) -> None:
    step, seen = program(recording)
    replay = Replay(step, torch.device("cuda"))
    for run in (1, 2):
        replay.run(None, WORTH_RECORDING + 3 * RECORDED)
        assert (recording.eager, recording.replays) == (run * WORTH_RECORDING, run * 3)
        replay.forget()
    assert len(seen) == 2 * (WORTH_RECORDING + 3 * RECORDED)


def test_where_recording_fails_steps_are_launched_one_by_one(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def refuse(graph: object) -> Iterator[None]:
        raise RuntimeError("operation not permitted when stream is capturing")
        yield

    monkeypatch.setattr(torch.cuda, "graph", refuse)
    step, seen = program(recording)
    Replay(step, torch.device("cuda")).run(None, 500)
    assert seen == list(range(500)) and recording.replays == 0


def test_on_a_cpu_nothing_is_recorded(recording: Recording) -> None:
    step, seen = program(recording)
    Replay(step, torch.device("cpu")).run(None, 500)
    assert recording.eager == 500 and recording.replays == 0
