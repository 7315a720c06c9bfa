"""What does an event cost, and how does that grow with samples, neurons and sliding pairs?

Gaussian data, d = 10 n, Frei's outer layer, Glorot-sized start, logistic loss, to T = 20, in one process without the
compilation: m = 128 at n = 20 to 160, n = 40 at m = 32 to 512, slopes 0.1 and 0 (with sliding pairs).  CPU seconds over
events (medians of the repetitions), with exponents fitted to them.  Beside it scikit-learn's `lars_path`, the
best-known code that goes from breakpoint to breakpoint, on a Gaussian design of 512 x 100.  JSON lines on stdout and in
outputs/bench/cost_per_event.jsonl, and a figure beside them.

    python scripts/bench/cost_per_event.py [--repeat 3]
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from plain_field import Case
from sklearn.linear_model import lars_path
from threadpoolctl import threadpool_limits

from gflow.flow.state import Event, Finish, Outcome
from gflow.flow.steps import steps
from gflow.flow.stopping import Until
from gflow.flow_time import log1p_of_time
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem

PLACE = Path("outputs/bench/cost_per_event.jsonl")
SAMPLES, NEURONS = (20, 40, 80, 160), (32, 64, 128, 256, 512)
AXES = {"n": [(n, 128) for n in SAMPLES], "m": [(40, m) for m in NEURONS]}

Line = dict[str, Any]  # Any: JSON values


def flow(n: int, m: int, slope: float) -> Line:
    """CPU seconds of a flow, its events, and the pairs that slide at its end."""
    case = Case.gaussian(slope, n=n, d=10 * n, m=m)
    problem = Problem.of(case.X, case.y, Network(case.a, case.slope), LOSSES["logistic"])
    start, events = time.process_time(), 0
    for item in steps(problem, case.W, Until(log1p_of_time(20.0), Outcome.TIME, None)):
        events += isinstance(item, Event)
    assert isinstance(item, Finish)
    seconds = time.process_time() - start
    return {"seconds": seconds, "events": events, "sliding": int((item.state.side == 0).sum())}


def lars() -> Line:
    """CPU seconds of a path of scikit-learn, and its breakpoints."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((512, 100)), rng.standard_normal(512)
    start = time.process_time()
    breakpoints = len(lars_path(X, y, method="lasso")[0])
    return {"seconds": time.process_time() - start, "events": breakpoints}


def measured(once: Callable[[], Line], repeat: int) -> Line:
    """The counts of a run, with the median of the milliseconds that an event took."""
    runs = [once() for _ in range(repeat)]
    seconds = statistics.median(run["seconds"] for run in runs)
    return runs[0] | {"seconds": round(seconds, 4), "ms_an_event": round(1e3 * seconds / runs[0]["events"], 4)}


def lines(repeat: int) -> Iterator[Line]:
    """Every case, then the exponents fitted to each axis, then `lars_path`."""
    flow(4, 8, 0.1)  # the entry is compiled, or read
    for slope in (0.1, 0.0):
        for axis, sizes in AXES.items():
            found = [{"n": n, "m": m} | measured(partial(flow, n, m, slope), repeat) for n, m in sizes]
            for each in found:
                yield {"axis": axis, "slope": slope, **each}
            along, costs = (np.log([each[key] for each in found]) for key in (axis, "ms_an_event"))
            yield {"axis": axis, "slope": slope, "exponent": round(float(np.polyfit(along, costs, 1)[0]), 2)}
    yield {"axis": "lars_path", "n": 512, "m": 100, **measured(lars, repeat)}


def drawn(found: list[Line]) -> Figure:
    """Milliseconds an event against n and against m, with the cost of a breakpoint of `lars_path`."""
    figure = Figure(figsize=(8.0, 3.4), layout="constrained")
    others = [line["ms_an_event"] for line in found if line["axis"] == "lars_path"]
    axes = figure.subplots(1, 2, sharey=True)
    for place, (axis, name) in zip(axes, {"n": "samples n (m = 128)", "m": "neurons m (n = 40)"}.items(), strict=True):
        for slope, mark in ((0.1, "o-"), (0.0, "s--")):
            mine = [line for line in found if line["axis"] == axis and line["slope"] == slope]
            shown, (fitted,) = mine[:-1], [line["exponent"] for line in mine if "exponent" in line]
            label = f"slope {slope:g}: exponent {fitted:g}"
            place.loglog([each[axis] for each in shown], [each["ms_an_event"] for each in shown], mark, label=label)
        place.axhline(others[0], color="0.5", linestyle=":", label="lars_path, 512 x 100: a breakpoint")
        place.set_xticks([each[axis] for each in shown], [str(each[axis]) for each in shown])
        place.xaxis.set_minor_locator(NullLocator())
        place.set_xlabel(name)
        place.legend(fontsize="small")
    axes[0].yaxis.set_major_formatter("{x:g}")
    axes[0].yaxis.set_minor_formatter("{x:g}")
    axes[0].set_ylabel("CPU milliseconds an event")
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    PLACE.parent.mkdir(parents=True, exist_ok=True)
    found = []
    with PLACE.open("w") as file, threadpool_limits(limits=1, user_api="blas"):
        for line in lines(options.repeat):
            found.append(line)
            text = json.dumps(line | {"repeat": options.repeat, "machine": f"{platform.machine()}, 1 BLAS thread"})
            print(text, flush=True)
            file.write(text + "\n")
    drawn(found).savefig(PLACE.with_suffix(".png"), dpi=150)


if __name__ == "__main__":
    main()
