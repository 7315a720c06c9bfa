"""The engine that needs nothing: all runs in this process, one after the other."""

from __future__ import annotations

from collections.abc import Callable

from gflow.sweeps.engine.batch import Ended, Terms, runs_of
from gflow.sweeps.engine.queue import Queue


def carry_out(terms: Terms, queue: Queue, tell: Callable[[Ended], None]) -> None:
    """Carry out what is in the queue; tell: called after every run."""
    for batch in queue:
        for ended in runs_of(terms, batch, "this process"):
            queue.learn(ended)
            tell(ended)
