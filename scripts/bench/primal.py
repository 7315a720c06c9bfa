"""How long does an event take with trained outer layers, by the series and by the steppers, and do both find the same?

2-sparse parity on d = 20 bits with both layers trained from Gaussian starts, logistic loss, for some m and n.  CPU
seconds of this process without the compilation, medians of the repetitions; steppers stop after some events, and the
series at the same time.  JSON lines on stdout and in outputs/bench/primal.jsonl.

    python scripts/bench/primal.py [--repeat 3] [--events 100]
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from gflow.compiled import compiled_for
from gflow.flow.budget import Account, Budget
from gflow.flow.choice import SWITCHING
from gflow.flow.state import Event, Finish, Outcome
from gflow.flow.steps import Manner, steps
from gflow.flow.stopping import Until
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem

SIZES = ((16, 64), (64, 64), (256, 64), (256, 256), (1024, 64))
INPUTS = 20


@dataclass(frozen=True, slots=True)
class Run:
    """CPU seconds of a flow, its events (neuron, surface, kind) in order, and how it ended."""

    seconds: float
    events: list[tuple[int, int, int]]
    finish: Finish


def parity(m: int, n: int) -> tuple[Problem, NDArray[np.float64]]:
    """The problem, and W (m, d) at its start."""
    rng = np.random.default_rng(0)
    X = rng.choice([-1.0, 1.0], size=(n, INPUTS)) / np.sqrt(INPUTS)
    a, W = rng.normal(size=m) / np.sqrt(m), rng.normal(size=(m, INPUTS)) / np.sqrt(INPUTS)
    return Problem.of(X, INPUTS * X[:, 0] * X[:, 1], Network(a, 0.0, True), LOSSES["logistic"]), W


def run(problem: Problem, W: NDArray[np.float64], method: str, v_end: float, most: int | None) -> Run:
    """The flow to log(1 + t) = v_end, or some events after `most`."""
    start, events = time.process_time(), []
    until, account = Until(v_end, Outcome.LOG_TIME, None), Account(Budget(events=most))
    for item in steps(problem, W, until, Manner("primal", method), account=account):
        if isinstance(item, Event):
            events.append((item.neuron, item.surface, int(item.kind)))
        if isinstance(item, Finish):
            return Run(time.process_time() - start, events, item)
    raise AssertionError("the flow ended without saying how")


def compared(m: int, n: int, most: int, repeat: int) -> dict[str, Any]:  # Any: JSON values
    """Both methods on one problem, to where the steppers have met so many events."""
    problem, W = parity(m, n)
    theirs = run(problem, W, SWITCHING, 10.0, most)
    ours = [run(problem, W, "taylor", theirs.finish.state.v, None) for _ in range(repeat)]
    found: dict[str, Any] = {}
    for name, runs in (("taylor", ours), (SWITCHING, [theirs])):
        seconds, events = statistics.median(each.seconds for each in runs), len(runs[0].events)
        found[name] = {
            "cpu_seconds": round(seconds, 4),
            "events": events,
            "steps": runs[0].finish.steps,
            "cpu_milliseconds_an_event": round(1e3 * seconds / max(events, 1), 4),
        }
    U, V = ours[0].finish.state.U, theirs.finish.state.U
    found["same_events"] = ours[0].events == theirs.events
    found["weights_apart"] = float(np.linalg.norm(U - V) / np.linalg.norm(V))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--events", type=int, default=100)
    options = parser.parse_args()
    place = Path("outputs/bench/primal.jsonl")
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("w") as file, threadpool_limits(limits=1, user_api="blas"):
        made = {"machine": platform.machine(), **compiled_for()}
        run(*parity(4, 6), "taylor", 1.0, None)  # the entry is compiled, or read
        for m, n in SIZES:
            case = {"m": m, "n": n, "d": INPUTS, "repeat": options.repeat}
            line = json.dumps({**case, **compared(m, n, options.events, options.repeat), **made})
            print(line, flush=True)
            file.write(line + "\n")


if __name__ == "__main__":
    main()
