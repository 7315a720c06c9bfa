"""Many steps with few launches: on CUDA a fixed number of steps is recorded once as a graph and then replayed.

A step must not launch copies from the CPU, so scalars enter kernels as arguments (masked_fill, not where).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Feed = tuple[Tensor, Tensor] | None
"""Indices and weights of the batches of T steps, (T, B, k) each; None for full batches."""

# The number of steps in one graph; fewer steps are launched one by one.
RECORDED = 32
# Recording costs about as much as launching this many steps, so it waits until as many were launched one by one: the
# total is then at most twice that of the better choice.  At least 1, so that libraries have set themselves up before.
WORTH_RECORDING = 256


class Replay:
    """Steps of a program that works in place, taken one by one on a CPU, by graphs where CUDA can record them."""

    def __init__(self, step: Callable[[Feed, int], None], device: torch.device) -> None:
        self._step = step
        self._records = device.type == "cuda"
        self.forget()

    def forget(self) -> None:
        """Drop what was recorded, since the program has new tensors."""
        self._graph: torch.cuda.CUDAGraph | None = None
        self._feed: Feed = None
        self._launched = 0  # steps taken one by one since then

    def run(self, feed: Feed, steps: int) -> None:
        """Take the steps 0..steps - 1 of the feed."""
        taken = 0
        while taken < steps:
            if self._records and steps - taken >= RECORDED and self._has_graph(feed):
                self._replay(feed, taken)
                taken += RECORDED
            else:
                self._step(feed, taken)
                self._launched += 1
                taken += 1

    def _has_graph(self, feed: Feed) -> bool:
        """Whether there is a graph; where it is time to record one, that is tried first."""
        return self._graph is not None or (self._launched >= WORTH_RECORDING and self._record(feed))

    def _record(self, feed: Feed) -> bool:
        """Record the graph, which takes no step.  False, also at all later times, where CUDA cannot."""
        self._feed = None if feed is None else (feed[0][:RECORDED].clone(), feed[1][:RECORDED].clone())
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                for number in range(RECORDED):
                    self._step(self._feed, number)
        except RuntimeError:
            self._records = False
            return False
        self._graph = graph
        return True

    def _replay(self, feed: Feed, start: int) -> None:
        assert self._graph is not None
        if feed is not None and self._feed is not None:
            for held, given in zip(self._feed, feed, strict=True):
                held.copy_(given[start : start + RECORDED])
        self._graph.replay()
