"""Gradient descent beside the flow: GD and SGD of every network, many runs in one program, on a CPU or on CUDA.

On a CPU torch should run on one thread: on a busy machine its thread pool makes these small tensors 10 times slower.
"""

from gflow.descent.batches import Batches, FullBatch, GivenBatches, RandomBatches, StreamedBatches
from gflow.descent.loop import (
    DescentCheckpoint,
    DescentFinish,
    DescentOutcome,
    DescentProgress,
    Iterate,
    descend,
    iterates_at,
)
from gflow.descent.modified import ModifiedFlow
from gflow.descent.plan import (
    Coordinates,
    DescentRun,
    LossWatch,
    Options,
    Precision,
    record_steps,
    single_precision_warning,
)
from gflow.descent.schedule import Constant, LogSquared, Schedule
from gflow.descent.watch import LossReport

__all__ = [
    "Batches",
    "DescentCheckpoint",
    "Constant",
    "Coordinates",
    "DescentFinish",
    "FullBatch",
    "GivenBatches",
    "Iterate",
    "LogSquared",
    "LossReport",
    "LossWatch",
    "ModifiedFlow",
    "Options",
    "DescentOutcome",
    "Precision",
    "DescentProgress",
    "RandomBatches",
    "DescentRun",
    "Schedule",
    "StreamedBatches",
    "descend",
    "iterates_at",
    "record_steps",
    "single_precision_warning",
]
