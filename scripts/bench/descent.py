"""How fast is descent beside the loop everyone writes, and what do many runs cost as one program?

First the same run twice, n = 100, d = 10^4, m = 512, slope 0.1, logistic loss, float64: autograd in W-space with
torch's SGD, and `descend`; the weights reached must agree.  Then 64 pairs of a step size and a start to one time,
together and one by one, at two sizes.  JSON lines on stdout and in outputs/bench/descent.jsonl; best of the repetitions
of `descend`, the loop and the runs one by one are timed once.

    python scripts/bench/descent.py [--repeat 3] [--threads 1] [--steps 60]
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from plain_field import Case
from threadpoolctl import threadpool_limits

from gflow.descent import Constant, DescentRun, Iterate, descend, record_steps
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.parameters import Parameters
from gflow.problem.problem import Problem

Array = NDArray[np.float64]
ETA = 0.01


def problem_of(case: Case) -> Problem:
    return Problem.of(case.X, case.y, Network(case.a, case.slope), LOSSES["logistic"])


def best(work: Callable[[], Any], repeat: int) -> tuple[float, Any]:
    """Least seconds of the repetitions, and the last result."""
    seconds, result = [], None
    for _ in range(repeat):
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    return min(seconds), result


def plain(case: Case, steps: int) -> Array:
    """W after so many steps of autograd and torch.optim.SGD."""
    X, y, a = (torch.from_numpy(values) for values in (case.X, case.y, case.a))
    W = torch.from_numpy(case.W.copy()).requires_grad_()
    optimizer = torch.optim.SGD([W], lr=ETA)
    for _ in range(steps):
        optimizer.zero_grad()
        p = y * (a @ torch.nn.functional.leaky_relu(W @ X.T, case.slope))
        torch.nn.functional.softplus(-p).mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return W.detach().numpy()


def last(problem: Problem, runs: list[DescentRun]) -> list[Iterate]:
    """The last row of each run."""
    rows = [item for item in descend(problem, runs) if isinstance(item, Iterate)]
    return sorted((row for row in rows if row.step == runs[row.run].steps), key=lambda row: row.run)


def beside_autograd(steps: int, repeat: int) -> dict[str, Any]:
    """Steps a second of both, and the distance of their weights after `steps` steps."""
    drawn = Case.gaussian(0.1, n=100, d=10_000, m=512)
    case = Case(drawn.X, drawn.y, drawn.a, drawn.W / 50.0, drawn.slope)
    slow, W = best(lambda: plain(case, steps), 1)
    factoring, problem = best(lambda: problem_of(case), 1)
    start = Parameters.of(problem, case.W)
    many = 20 * steps
    fast, rows = best(lambda: last(problem, [DescentRun(start, Constant(ETA), np.array([0, steps, many]))]), repeat)
    (same,) = last(problem, [DescentRun(start, Constant(ETA), np.array([0, steps]))])
    moved = (same.U - start.U) @ problem.span.B
    return {
        "case": "n = 100, d = 10000, m = 512",
        "autograd_steps_per_second": round(steps / slow, 1),
        "descend_steps_per_second": round(many / fast, 1),
        "ratio": round(many / fast * slow / steps, 1),
        "factoring_seconds": round(factoring, 3),
        "relative_gap": float(np.linalg.norm(case.W + moved - W) / np.linalg.norm(W - case.W)),
    }


def together(n: int, d: int, m: int, horizon: float, repeat: int) -> dict[str, Any]:
    """64 runs, 8 step sizes and 8 starts, to one time: as one program, and one by one."""
    case = Case.gaussian(0.1, n=n, d=d, m=m)
    problem = problem_of(case)
    etas = [0.4 / (1 + k) for k in range(8)]
    starts = [Parameters.of(problem, Case.gaussian(0.1, n=n, d=d, m=m, seed=seed).W) for seed in range(8)]
    runs = [
        DescentRun(start, Constant(eta), record_steps(round(horizon / eta), 10)) for start in starts for eta in etas
    ]
    batched, rows = best(lambda: last(problem, runs), repeat)
    single, alone = best(lambda: [last(problem, [run])[0] for run in runs], 1)
    steps = sum(run.steps for run in runs)
    return {
        "case": f"n = {n}, d = {d}, m = {m}",
        "runs": len(runs),
        "steps_of_all": steps,
        "together_microseconds_per_step": round(1e6 * batched / steps, 1),
        "one_by_one_microseconds_per_step": round(1e6 * single / steps, 1),
        "ratio": round(single / batched, 2),
        "largest_gap": max(float(np.abs(a.U - b.U).max()) for a, b in zip(rows, alone, strict=True)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of torch, for both")
    parser.add_argument("--steps", type=int, default=60, help="of the autograd loop; descend takes 20 times as many")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    place = Path("outputs/bench/descent.jsonl")
    place.parent.mkdir(parents=True, exist_ok=True)
    measurements: tuple[Callable[[], dict[str, Any]], ...] = (
        lambda: beside_autograd(options.steps, options.repeat),
        lambda: together(20, 400, 64, 100.0, options.repeat),
        lambda: together(100, 1000, 512, 10.0, options.repeat),
    )
    with place.open("w") as file, threadpool_limits(limits=options.threads, user_api="blas"):
        for measure in measurements:
            machine = f"{platform.machine()}, threads: {options.threads}"
            line = json.dumps({**measure(), "repeat": options.repeat, "machine": machine})
            print(line, flush=True)
            file.write(line + "\n")


if __name__ == "__main__":
    main()
