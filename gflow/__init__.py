"""gflow: gradient flow of (leaky) ReLU networks, exact through kinks and to infinite time.

    scenario = gflow.load_scenario("scenarios/gaussian-leaky.yaml")
    trajectory = gflow.simulate(scenario, out="outputs/gaussian-leaky")
    trajectory.series["stable_rank"]
    gflow.analyze(trajectory)["freezing"].summary
    gflow.compare(trajectory, [0.1, 0.01]).summary
    gflow.descend(scenario, [0.1], steps=10_000, batch=5, seeds="0..9").summary
    gflow.verify(trajectory).passed
    gflow.sweep("sweep.yaml", out="outputs/phase").to_xarray()

and without files, from arrays:

    flow = gflow.integrate(X, y, W, a, activation="relu", until=gflow.log_time(100.0))
    flow.margins, flow.events, gflow.analyze(flow)["limit"].summary

or step by step, each step with its states inside:

    problem, start = gflow.from_arrays(X, y, W, a, activation="relu")
    for item in gflow.steps(problem, start, gflow.time(20.0)):
        if isinstance(item, gflow.items.Advance):
            item.log1p_time([0.0, 0.5, 1.0]), item.margins([0.0, 0.5, 1.0])

Names are loaded when they are first used, so that `import gflow` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gflow.errors import GflowError, ScenarioError, TrajectoryError
    from gflow.flow import items
    from gflow.pipeline.analysis import analyze
    from gflow.pipeline.arrays import from_arrays
    from gflow.pipeline.comparison import compare
    from gflow.pipeline.descent.alone import descend
    from gflow.pipeline.ends import certified, log_loss, log_time, time
    from gflow.pipeline.integration import integrate, steps
    from gflow.pipeline.simulation import simulate
    from gflow.pipeline.verification import verify
    from gflow.report.sweep_plot import plot_sweep
    from gflow.scenario import Scenario, load_scenario
    from gflow.sweeps.opened import Sweep, open_sweep
    from gflow.sweeps.pilot import forecast_sweep
    from gflow.sweeps.sweeping import sweep
    from gflow.trajectory import Flow, Trajectory, open_trajectory

__all__ = [
    "Flow",
    "GflowError",
    "Scenario",
    "ScenarioError",
    "Sweep",
    "Trajectory",
    "TrajectoryError",
    "analyze",
    "certified",
    "compare",
    "descend",
    "forecast_sweep",
    "from_arrays",
    "integrate",
    "items",
    "load_scenario",
    "log_loss",
    "log_time",
    "open_sweep",
    "open_trajectory",
    "plot_sweep",
    "simulate",
    "steps",
    "sweep",
    "time",
    "verify",
]

_HOME = {
    "GflowError": "gflow.errors",
    "ScenarioError": "gflow.errors",
    "TrajectoryError": "gflow.errors",
    "Scenario": "gflow.scenario",
    "load_scenario": "gflow.scenario",
    "Flow": "gflow.trajectory",
    "Trajectory": "gflow.trajectory",
    "open_trajectory": "gflow.trajectory",
    "analyze": "gflow.pipeline.analysis",
    "certified": "gflow.pipeline.ends",
    "compare": "gflow.pipeline.comparison",
    "descend": "gflow.pipeline.descent.alone",
    "from_arrays": "gflow.pipeline.arrays",
    "integrate": "gflow.pipeline.integration",
    "items": "gflow.flow.items",
    "log_loss": "gflow.pipeline.ends",
    "log_time": "gflow.pipeline.ends",
    "simulate": "gflow.pipeline.simulation",
    "steps": "gflow.pipeline.integration",
    "Sweep": "gflow.sweeps.opened",
    "forecast_sweep": "gflow.sweeps.pilot",
    "open_sweep": "gflow.sweeps.opened",
    "plot_sweep": "gflow.report.sweep_plot",
    "sweep": "gflow.sweeps.sweeping",
    "time": "gflow.pipeline.ends",
    "verify": "gflow.pipeline.verification",
}


def __getattr__(name: str) -> Any:  # Any: whatever the public name stands for
    if name not in _HOME:
        raise AttributeError(f"module 'gflow' has no attribute {name!r}")
    home = import_module(_HOME[name])
    return home if home.__name__.endswith(f".{name}") else getattr(home, name)


def __dir__() -> list[str]:
    return __all__
