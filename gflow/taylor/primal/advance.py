"""The compiled loop of trained outer layers: a step of the series up to the first guard; decide it; go on.

As in `taylor.advance` a step is tried, can wait for Python to read rows off it, and is then taken.
"""

from __future__ import annotations

from pathlib import Path

from gflow.compiled import entry, kernel, referred
from gflow.taylor.local import DECIDED, NO_SLOT
from gflow.taylor.loop import (
    CANCELLED,
    GOES_ON,
    KINKS,
    LOG_FULL,
    NO_PROGRESS,
    SLOTS_FULL,
    STEPS_DONE,
    has_room,
    unnoticed,
    waits_for,
)
from gflow.taylor.model import CAP, DEGREE, END, EVENTS, SIZE, STALLED, STEPS, TAU, WAITS, WINNER
from gflow.taylor.primal.firing import fire
from gflow.taylor.primal.model import PrimalModel, example
from gflow.taylor.primal.series import start
from gflow.taylor.primal.step import attempt, lost, measure, take_step

# Whence the loop has types and constants.
FILES = [
    Path(__file__).with_name("model.py"),
    Path(__file__).parents[1] / "model.py",
    Path(__file__).parents[2] / "field/clarke.py",
]


@kernel
def go(model: PrimalModel, stalled: int) -> int:
    """Take the step that was tried, and decide the neurons at its end."""
    elapsed = model.step[END] * model.step[SIZE]
    take_step(model)
    start(model, model.now[CAP])
    measure(model)
    if model.tried[WINNER] < 0:
        model.counts[STALLED] = 0
        return CANCELLED if unnoticed(model) else lost(model)
    events = model.counts[EVENTS]
    result = fire(model, elapsed)
    if result != DECIDED:
        model.tried[DEGREE] = 0
        return SLOTS_FULL if result == NO_SLOT else KINKS
    if model.counts[EVENTS] != events:
        start(model, model.now[CAP])
    measure(model)
    return NO_PROGRESS if model.counts[STALLED] > stalled else lost(model)


@entry(example=lambda: (example(), 1.0, 1.0, 1, 1, 1, 1.0), files=FILES, what="the engine of trained outer layers")
def advance(
    arrays: PrimalModel, clock: float, log_loss: float, until: int, stalled: int, events: int, tau: float
) -> int:
    """Go on until log(1 + t) or the log of the loss would pass these, or Python is needed otherwise: why.

    until, stalled, events, tau: as in `taylor.advance`.
    """
    model = referred(arrays)
    while True:
        if model.tried[WAITS] == 0:
            if model.counts[STEPS] >= until or model.counts[EVENTS] >= events or model.now[TAU] >= tau:
                return STEPS_DONE
            if not has_room(model):
                return LOG_FULL
            tried = attempt(model)
            if tried != GOES_ON:
                return tried
        said = waits_for(model, clock, log_loss)
        if said == GOES_ON:
            said = go(model, stalled)
        if said != GOES_ON:
            return said
