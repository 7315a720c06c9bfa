"""The compiled loop: a step of the series, up to the first guard that fires; decide it; go on, until Python is needed.

A step is tried (`attempt`), then taken (`take_step`).  In between it can wait for Python to read rows off it.
"""

from __future__ import annotations

import numpy as np

from gflow.compiled import entry, kernel, referred
from gflow.taylor.firing import fire_neuron, guard_at, margin_rates, rates_of_duals
from gflow.taylor.guards import dual_of
from gflow.taylor.hulls import ask_hulls
from gflow.taylor.local import DECIDED, NO_SLOT
from gflow.taylor.loop import (
    CANCELLED,
    GOES_ON,
    KINKS,
    LOG_FULL,
    NO_PROGRESS,
    SAME,
    SLOTS_FULL,
    STEPS_DONE,
    STIFF,
    THIN,
    by_neuron,
    fires,
    has_room,
    level_of,
    live_samples,
    unnoticed,
    waits_for,
)
from gflow.taylor.model import (
    END,
    EVENTS,
    FOUND,
    HELD_BACK,
    LOG_TOTAL,
    SIZE,
    STALLED,
    STEPS,
    TAU,
    WAITS,
    WINNER,
    Model,
    example,
)
from gflow.taylor.step import FILES, PATIENCE, attempt, lost, measure, take_step, thin


@kernel
def renew(model: Model) -> None:
    """Where another sample is live q is another, and every neuron due."""
    model.now[LOG_TOTAL] = dual_of(model)
    for j in range(model.lazy.due.size):
        model.lazy.due[j] = -np.inf
        model.lazy.due_share[j] = -np.inf
    ask_hulls(model)


@kernel
def fire(model: Model) -> int:
    """Decide all neurons with a guard at zero, in their order, all at the q that was reached."""
    tried, found = model.tried, model.found.which
    events, live, tau = model.counts[EVENTS], live_samples(model), model.now[TAU]
    values = np.zeros(tried[FOUND])
    for at_ in range(tried[FOUND]):
        values[at_] = guard_at(model, at_, model.step[END])
    level = level_of(values)
    order = by_neuron(found, tried[FOUND])
    start, result = 0, DECIDED
    while start < order.size:
        j, stop = found[order[start], 0], start
        while stop < order.size and found[order[stop], 0] == j:
            stop += 1
        fired, slop = fires(model, order, start, stop, values, level)
        if fired:
            outcome = fire_neuron(model, j, slop)
            result = outcome if result == DECIDED else result
        start = stop
    if live_samples(model) != live:
        renew(model)
    idle = model.counts[EVENTS] == events or model.step[END] * model.step[SIZE] <= SAME * tau
    model.counts[STALLED] = model.counts[STALLED] + 1 if idle else 0
    return result


@kernel
def go(model: Model, stalled: int) -> int:
    """Take the step that was tried, and decide the neurons at its end."""
    take_step(model)
    margin_rates(model)
    measure(model)
    if model.tried[WINNER] < 0:
        model.counts[STALLED] = 0
        if unnoticed(model):
            return CANCELLED
        return STIFF if model.counts[HELD_BACK] > PATIENCE else lost(model)
    rates_of_duals(model)
    result = fire(model)
    if result != DECIDED:
        return SLOTS_FULL if result == NO_SLOT else KINKS
    margin_rates(model)
    measure(model)
    if thin(model):
        return THIN
    return NO_PROGRESS if model.counts[STALLED] > stalled else lost(model)


@entry(example=lambda: (example(), 1.0, 1.0, 1, 1, 1, 1.0), files=FILES)
def advance(arrays: Model, clock: float, log_loss: float, until: int, stalled: int, events: int, tau: float) -> int:
    """Go on until log(1 + t) or the log of the loss would pass these, or Python is needed otherwise: why.

    until: number of the step behind which to come back; stalled: how many guards in a row may fire without progress;
    events: how many in the log make it come back; tau: behind which it does.
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
