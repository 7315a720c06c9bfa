"""How much faster is `method: taylor` than the steppers of `auto`, and do both find the same?

Gaussian data, Frei's outer layer, logistic loss: n = 20, d = 400, m = 64 to T = 20 and to log t = 1e6, and n = 100,
d = 1000, m = 512, where `auto` stops after some events.  CPU seconds of this process without the compilation, medians
of the repetitions; whether the events are the same, as far as both go, and how far the weights are apart at the end.
JSON lines on stdout and in outputs/bench/old_and_taylor.jsonl.

    python scripts/bench/old_and_taylor.py [--repeat 3]
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from plain_field import Case
from threadpoolctl import threadpool_limits

from gflow.compiled import compiled_for
from gflow.flow.budget import Account, Budget
from gflow.flow.choice import SWITCHING
from gflow.flow.state import Event, Finish, Outcome
from gflow.flow.steps import Manner, steps
from gflow.flow.stopping import Until
from gflow.flow_time import log1p_of_log_time, log1p_of_time
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem


@dataclass(frozen=True, slots=True)
class Run:
    """CPU seconds of a flow, its events (neuron, surface, kind) in order, and how it ended."""

    seconds: float
    events: list[tuple[int, int, int]]
    finish: Finish


def run(problem: Problem, case: Case, v_end: float, method: str, most: int | None) -> Run:
    """The flow to log(1 + t) = v_end, or some events after `most`."""
    start, events = time.process_time(), []
    until, account = Until(v_end, Outcome.LOG_TIME, None), Account(Budget(events=most))
    for item in steps(problem, case.W, until, Manner("dual", method), account=account):
        if isinstance(item, Event):
            events.append((item.neuron, item.surface, int(item.kind)))
        if isinstance(item, Finish):
            return Run(time.process_time() - start, events, item)
    raise AssertionError("the flow ended without saying how")


def compared(case: Case, v_end: float, most: int | None, repeat: int) -> dict[str, Any]:  # Any: JSON values
    """Both methods on one case; most: events after which `auto` stops."""
    problem = Problem.of(case.X, case.y, Network(case.a, case.slope), LOSSES["logistic"])
    ours, theirs = (
        [run(problem, case, v_end, method, limit) for _ in range(repeat)]
        for method, limit in (("taylor", None), (SWITCHING, most))
    )
    shared = min(len(ours[0].events), len(theirs[0].events))
    found: dict[str, Any] = {}
    for name, runs in (("taylor", ours), (SWITCHING, theirs)):
        seconds = statistics.median(each.seconds for each in runs)
        events = len(runs[0].events)
        found[name] = {
            "cpu_seconds": round(seconds, 4),
            "events": events,
            "steps": runs[0].finish.steps,
            "cpu_milliseconds_an_event": round(1e3 * seconds / max(events, 1), 4),
        }
    found["same_events"] = ours[0].events[:shared] == theirs[0].events[:shared]
    if theirs[0].finish.outcome is ours[0].finish.outcome:
        U, V = ours[0].finish.state.U, theirs[0].finish.state.U
        found["weights_apart"] = float(np.linalg.norm(U - V) / np.linalg.norm(V))
    return found


def cases() -> Iterator[tuple[str, Case, float, int | None]]:
    """Name, case, end, and after how many events `auto` stops."""
    for slope in (0.1, 0.0):
        small, large = Case.gaussian(slope), Case.gaussian(slope, n=100, d=1000, m=512)
        yield f"n=20 m=64 slope {slope:g} T=20", small, log1p_of_time(20.0), None
        yield f"n=20 m=64 slope {slope:g} log t=1e6", small, log1p_of_log_time(1e6), None
        yield f"n=100 m=512 slope {slope:g} T=20", large, log1p_of_time(20.0), 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    place = Path("outputs/bench/old_and_taylor.jsonl")
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("w") as file, threadpool_limits(limits=1, user_api="blas"):
        made = {"machine": platform.machine(), **compiled_for()}
        small = Case.gaussian(0.1, n=4, d=6, m=4)
        compared(small, log1p_of_log_time(100.0), None, 1)  # both entries are compiled, or read
        for name, case, v_end, most in cases():
            line = json.dumps(
                {"case": name, "repeat": options.repeat, **compared(case, v_end, most, options.repeat), **made}
            )
            print(line, flush=True)
            file.write(line + "\n")


if __name__ == "__main__":
    main()
