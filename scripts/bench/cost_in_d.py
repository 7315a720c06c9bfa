"""Does the cost of the flow depend on the number of inputs once the data are factored?

n = 20, m = 64, slope 0.1, T = 20 for d = 400, 4000, 40000 with one Gram matrix and the same pre-activations, so that
the three runs have the same events; 100 evaluations of the plain field in W-space are timed beside them.  JSON lines
on stdout and in outputs/bench/cost_in_d.jsonl, medians of the repetitions.

    python scripts/bench/cost_in_d.py [--repeat 5]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
from plain_field import Case
from threadpoolctl import threadpool_limits

from gflow.flow.state import Event, Outcome
from gflow.flow.steps import steps
from gflow.flow.stopping import Until
from gflow.flow_time import log1p_of_time
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem


def embedded(case: Case, d: int, seed: int = 1) -> Case:
    """The case isometrically embedded in R^d: the same Gram matrix and pre-activations, dense inputs."""
    Q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((d, case.X.shape[1])))
    return Case(case.X @ Q.T, case.y, case.a, case.W @ Q.T, case.slope)


def once(case: Case) -> dict[str, float]:
    """Seconds of the factorisation, of the flow, and of 100 evaluations of the plain field; events of the flow."""
    start = time.perf_counter()
    problem = Problem.of(case.X, case.y, Network(case.a, case.slope), LOSSES["logistic"])
    factored = time.perf_counter()
    items = list(steps(problem, case.W, Until(log1p_of_time(20.0), Outcome.TIME, None)))
    flowed = time.perf_counter()
    for _ in range(100):
        case.velocity(0.0, case.W.ravel())
    plain = time.perf_counter()
    return {
        "factor_seconds": factored - start,
        "flow_seconds": flowed - factored,
        "plain_100_fields_seconds": plain - flowed,
        "events": float(sum(isinstance(item, Event) for item in items)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    place = Path("outputs/bench/cost_in_d.jsonl")
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("w") as file, threadpool_limits(limits=1, user_api="blas"):
        base = Case.gaussian(0.1)
        for d in (400, 4000, 40000):
            case = base if d == 400 else embedded(base, d)
            runs = [once(case) for _ in range(options.repeat)]
            medians = {key: round(statistics.median(run[key] for run in runs), 4) for key in runs[0]}
            line = json.dumps({"d": d, "repeat": options.repeat, **medians})
            print(line, flush=True)
            file.write(line + "\n")


if __name__ == "__main__":
    main()
