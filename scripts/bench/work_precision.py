"""How long does a delivered error take, in gflow and in integrators that do not know the kinks?

n = 20, d = 400, m = 64, logistic loss, T = 20, slopes 0.1 and 0.  Delivered error: |W(T) - W*(T)| / |W*(T)|, W* by
gflow's steppers at rtol 1e-12 (whose error is bounded by the independent tests).  One JSON line a solver and
tolerance, medians of the repetitions, on stdout and in outputs/bench/work_precision.jsonl.

    python scripts/bench/work_precision.py [--repeat 3] [--skip-slow]
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from plain_field import Case
from scipy.integrate import solve_ivp
from threadpoolctl import threadpool_limits

from gflow.field.branch import Tolerances
from gflow.flow.choice import SWITCHING
from gflow.flow.state import Event, Finish, Outcome
from gflow.flow.steps import Manner, steps
from gflow.flow.stopping import Until
from gflow.flow_time import log1p_of_time
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem

Array = NDArray[np.float64]
Solver = Callable[[Case, float], tuple[Array, dict[str, Any]]]
HORIZON = 20.0


def gflow(case: Case, rtol: float, method: str = "auto") -> tuple[Array, dict[str, Any]]:
    problem = Problem.of(case.X, case.y, Network(case.a, case.slope), LOSSES["logistic"])
    manner = Manner("dual", method, tolerances=Tolerances(rtol, 1e-2 * rtol))
    items = list(steps(problem, case.W, Until(log1p_of_time(HORIZON), Outcome.TIME, None), manner))
    finish = items[-1]
    assert isinstance(finish, Finish)
    events = sum(isinstance(item, Event) for item in items)
    return problem.weights(finish.state.U, case.W), {"events": events, "steps": finish.steps}


def gflow_by_steppers(case: Case, rtol: float) -> tuple[Array, dict[str, Any]]:
    return gflow(case, rtol, SWITCHING)


def scipy_dop853(case: Case, rtol: float) -> tuple[Array, dict[str, Any]]:
    done = solve_ivp(case.velocity, (0.0, HORIZON), case.W.ravel(), "DOP853", rtol=rtol, atol=1e-2 * rtol)
    return done.y[:, -1].reshape(case.W.shape), {"field_calls": done.nfev}


def torchdiffeq_dopri5(case: Case, rtol: float) -> tuple[Array, dict[str, Any]]:
    import torch
    from torchdiffeq import odeint

    X, y, a = (torch.from_numpy(v) for v in (case.X, case.y, case.a))
    calls = 0

    def velocity(_: torch.Tensor, W: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        z = W @ X.T
        slopes = torch.where(z > 0.0, 1.0, case.slope)
        g = y * torch.sigmoid(-y * (a @ (slopes * z))) / y.numel()
        return (a[:, None] * slopes * g) @ X

    times = torch.tensor([0.0, HORIZON], dtype=torch.float64)
    W = odeint(velocity, torch.from_numpy(case.W), times, rtol=rtol, atol=1e-2 * rtol, method="dopri5")[-1]
    return W.numpy(), {"field_calls": calls}


def diffrax_tsit5(case: Case, rtol: float) -> tuple[Array, dict[str, Any]]:
    import diffrax
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    X, y, a = jnp.asarray(case.X), jnp.asarray(case.y), jnp.asarray(case.a)

    def flow(W: Any) -> Any:
        def velocity(_: Any, W: Any, __: Any) -> Any:
            z = W @ X.T
            slopes = jnp.where(z > 0.0, 1.0, case.slope)
            g = y * jax.nn.sigmoid(-y * (a @ (slopes * z))) / y.size
            return (a[:, None] * slopes * g) @ X

        return diffrax.diffeqsolve(
            diffrax.ODETerm(velocity), diffrax.Tsit5(), 0.0, HORIZON, None, W, max_steps=2_000_000,
            stepsize_controller=diffrax.PIDController(rtol=rtol, atol=1e-2 * rtol),
        )  # fmt: skip

    key = (rtol, case.slope)
    compiled = _COMPILED.setdefault(key, jax.jit(flow))
    solution = compiled(jnp.asarray(case.W))
    return np.asarray(solution.ys[-1]), {"steps": int(solution.stats["num_steps"])}


_COMPILED: dict[tuple[float, float], Any] = {}
SOLVERS: dict[str, tuple[Solver, tuple[float, ...]]] = {
    "gflow": (gflow, (1e-4, 1e-6, 1e-8, 1e-10)),
    "gflow by steppers": (gflow_by_steppers, (1e-4, 1e-6, 1e-8, 1e-10)),
    "torchdiffeq dopri5": (torchdiffeq_dopri5, (1e-3, 1e-4, 1e-5, 1e-6)),
    "scipy DOP853": (scipy_dop853, (1e-3, 1e-4, 1e-5, 1e-6)),
    "diffrax Tsit5": (diffrax_tsit5, (1e-3, 1e-4, 1e-5, 1e-6)),
}


def installed(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name.split()[0]) is not None


def measure(solver: Solver, case: Case, rtol: float, repeat: int) -> tuple[list[float], Array, dict[str, Any]]:
    """Seconds of each repetition after one that warms up (compiles), the last result and its counts."""
    seconds = []
    W, counts = solver(case, rtol)
    for _ in range(repeat):
        start = time.perf_counter()
        W, counts = solver(case, rtol)
        seconds.append(time.perf_counter() - start)
    return seconds, W, counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--skip-slow", action="store_true", help="leave out the tightest tolerance of the peers")
    options = parser.parse_args()
    place = Path("outputs/bench/work_precision.jsonl")
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("w") as file, threadpool_limits(limits=1, user_api="blas"):
        for slope in (0.1, 0.0):
            case = Case.gaussian(slope)
            exact, _ = gflow_by_steppers(case, 1e-12)
            for name, (solver, tolerances) in SOLVERS.items():
                if not installed(name):
                    continue
                for rtol in tolerances[: -1 if options.skip_slow and not name.startswith("gflow") else None]:
                    seconds, W, counts = measure(solver, case, rtol, options.repeat)
                    line = {
                        "solver": name, "slope": slope, "rtol": rtol,
                        "error": float(np.linalg.norm(W - exact) / np.linalg.norm(exact)),
                        "seconds": round(statistics.median(seconds), 4), "repeat": options.repeat, **counts,
                        "machine": f"{platform.machine()}, 1 BLAS thread",
                    }  # fmt: skip
                    print(json.dumps(line), flush=True)
                    file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
