"""The pipeline, the one place that wires the rooms together; the command line and `import gflow` call it."""

from gflow.comparison.plan import CompareProgress
from gflow.flow import items
from gflow.pipeline.analysis import analyze
from gflow.pipeline.arrays import from_arrays
from gflow.pipeline.comparison import compare, run_of
from gflow.pipeline.ends import End, certified, log_loss, log_time, time
from gflow.pipeline.integration import integrate, steps
from gflow.pipeline.simulation import simulate, stopped_by_limit
from gflow.pipeline.verification import verify
from gflow.verification.reintegration import LadderProgress

__all__ = [
    "CompareProgress",
    "End",
    "LadderProgress",
    "analyze",
    "certified",
    "compare",
    "from_arrays",
    "integrate",
    "items",
    "log_loss",
    "log_time",
    "run_of",
    "simulate",
    "steps",
    "stopped_by_limit",
    "time",
    "verify",
]
