"""What the loops of both engines ask after a step was tried or taken, and why they come back to Python."""

from __future__ import annotations

import numpy as np

from gflow.arrays import EPS, Array
from gflow.compiled import kernel
from gflow.taylor.guards import BAND, LIFT
from gflow.taylor.model import CLOCK, DEGREE, END, EVENTS, INSTANTS, SIZE, TAU, UNIT, WINNER, AnyModel
from gflow.taylor.series import Counts, clock_after, evaluate

# Why the loop comes back: the step that waits passes the clock, or the loss, that was asked for; as many steps as asked
# for are done; a log is full; more guards may fire in a step than there is room for; a neuron needs more slots, or lies
# on kinks that Python decides; the margins move no more, to rounding; masses, margins, or the kernel of the mode, have
# lost too many digits, or no sample moves anything; steps are held back by stability; guards fire without progress;
# hulls have to be judged.
CLOCK_PASSED, LOSS_PASSED, STEPS_DONE, LOG_FULL, GUARDS_FULL, SLOTS_FULL = range(6)
KINKS, REST, CANCELLED, THIN, STIFF, NO_PROGRESS, HULL = range(6, 13)
GOES_ON = -1

# By so much a step becomes shorter whose terms leave float64.
SHRUNK = 1e-3
# Part of rtol that q may be off.
SHARE = 1e-2
# A guard that fires no further in tau (relative) behind the one before made no progress.
SAME = 1e-13
# h |lambda| beyond which the series, a polynomial in it, makes e^(-h |lambda|) worse than a step may be off.
LONGEST = 6.0


@kernel
def log_mean_loss(p: Array, logistic: bool) -> float:
    """log of the mean loss at margins p (n,)."""
    low = p.min()
    total = 0.0
    for each in p:
        x = np.exp(low - each)
        if logistic:
            small = np.exp(-abs(each))
            loss = np.log1p(small) + max(-each, 0.0)
            x = loss * np.exp(low) if abs(low) < 300.0 else x
        total += x
    return float(np.log(total / p.size) - low)


@kernel
def has_room(model: AnyModel) -> bool:
    """Do the logs have room for what one step may bring?"""
    log, count = model.log, model.counts
    events, instants = log.when.size - count[EVENTS], log.measured.shape[0] - count[INSTANTS]
    return bool(events >= model.mode.side.size and instants >= 2)


@kernel
def waits_for(model: AnyModel, clock: float, log_loss: float) -> int:
    """Does the step that was tried pass the clock or the loss?"""
    step, N = model.step, model.tried[DEGREE]
    if clock_after(model.now[CLOCK], step[UNIT], model.terms, N, step[END]) >= clock:
        return CLOCK_PASSED
    if log_loss > -np.inf:
        evaluate(model.terms.p, N, step[END], model.scratch.p)
        if log_mean_loss(model.scratch.p, model.data.logistic) <= log_loss:
            return LOSS_PASSED
    return GOES_ON


@kernel
def unnoticed(model: AnyModel) -> bool:
    """Is the step that was tried below the rounding of tau?  Behind many of them tau would still be the same."""
    return bool(model.step[END] * model.step[SIZE] <= EPS * model.now[TAU])


@kernel
def live_samples(model: AnyModel) -> int:
    """How many samples some neuron moves on."""
    count = 0
    for each in model.mode.live:
        count += 1 if each > 0 else 0
    return count


@kernel
def by_neuron(found: Counts, count: int) -> Counts:
    """Numbers of the first `count` guards that were found, those of one neuron together and as they were."""
    order = np.zeros(count, np.int64)
    for at in range(count):
        to = at
        while to > 0 and found[order[to - 1], 0] > found[at, 0]:
            order[to] = order[to - 1]
            to -= 1
        order[to] = at
    return order


@kernel
def fires(model: AnyModel, order: Counts, start: int, stop: int, values: Array, level: float) -> tuple[bool, float]:
    """Do guards order[start:stop], those of one neuron, fire; and what the shares among them are off their ends."""
    fired, slop = False, 0.0
    for x in range(start, stop):
        at = order[x]
        if values[at] <= level or at == model.tried[WINNER]:
            fired = True
            guard = model.found.guard[at]
            if model.found.which[at, 2] > 0:
                slop = max(slop, abs(values[at] * guard[BAND] - guard[LIFT]))
    return fired, slop


@kernel
def level_of(values: Array) -> float:
    """Up to which guards are at zero where one fired: half a band above the lowest."""
    lowest = np.inf
    for value_ in values:
        lowest = min(lowest, value_)
    return (lowest if 0.0 < lowest < np.inf else 0.0) + 0.5
