"""The one place that wires the parts: what the command line and `import gflow` call."""

from gflow.comparison.plan import CompareProgress
from gflow.pipeline.analysis import analyze
from gflow.pipeline.comparison import compare, run_of
from gflow.pipeline.integration import End, certified, integrate, log_loss, log_time, time
from gflow.pipeline.simulation import simulate, stopped_by_limit
from gflow.pipeline.verification import verify
from gflow.verification.ladder import LadderProgress

__all__ = [
    "CompareProgress",
    "End",
    "LadderProgress",
    "analyze",
    "certified",
    "compare",
    "integrate",
    "log_loss",
    "log_time",
    "run_of",
    "simulate",
    "stopped_by_limit",
    "time",
    "verify",
]
