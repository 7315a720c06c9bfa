"""gflow: gradient flow of (leaky) ReLU networks, exact through kinks and to infinite time.

    scenario = gflow.load_scenario("scenarios/gaussian-leaky.yaml")
    trajectory = gflow.simulate(scenario, out="outputs/gaussian-leaky")
    trajectory.series["stable_rank"]
    gflow.analyze(trajectory)["freezing"].summary
    gflow.compare(trajectory, [0.1, 0.01]).summary
    gflow.verify(trajectory).passed

Names are loaded when they are first used, so that `import gflow` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gflow.errors import GflowError, ScenarioError, TrajectoryError
    from gflow.pipeline import analyze, compare, simulate, verify
    from gflow.scenario import Scenario, load_scenario
    from gflow.trajectory import Trajectory, open_trajectory

__all__ = [
    "GflowError",
    "Scenario",
    "ScenarioError",
    "Trajectory",
    "TrajectoryError",
    "analyze",
    "compare",
    "load_scenario",
    "open_trajectory",
    "simulate",
    "verify",
]

_HOME = {
    "GflowError": "gflow.errors",
    "ScenarioError": "gflow.errors",
    "TrajectoryError": "gflow.errors",
    "Scenario": "gflow.scenario",
    "load_scenario": "gflow.scenario",
    "Trajectory": "gflow.trajectory",
    "open_trajectory": "gflow.trajectory",
    "analyze": "gflow.pipeline",
    "compare": "gflow.pipeline",
    "simulate": "gflow.pipeline",
    "verify": "gflow.pipeline",
}


def __getattr__(name: str) -> Any:  # Any: whatever the public name stands for
    if name not in _HOME:
        raise AttributeError(f"module 'gflow' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
