"""One step of the series: how far it holds, the first guard in it, the state at its end, and what has to hold there."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gflow.arrays import EPS
from gflow.compiled import kernel
from gflow.field.clarke import ROUNDING
from gflow.field.mode import FALLEN
from gflow.field.mode import THIN as THIN_PART
from gflow.taylor.guards import dual_at, look
from gflow.taylor.hulls import bound_path, hulls_hold, pass_path
from gflow.taylor.loop import CANCELLED, GOES_ON, GUARDS_FULL, HULL, LONGEST, REST, SHARE, SHRUNK, THIN
from gflow.taylor.model import (
    CAP,
    CLOCK,
    DEGREE,
    END,
    GAP,
    HELD_BACK,
    INSTANTS,
    LAST,
    LOG_TOTAL,
    MOVES,
    MOVES_RELATIVE,
    REACH,
    SIZE,
    SQUARED,
    STEPS,
    STIFFNESS,
    TAU,
    TERMS,
    UNIT,
    WAITS,
    WINNER,
    Model,
)
from gflow.taylor.polynomial import MOST
from gflow.taylor.series import LARGEST_SHARE, clock_after, evaluate, expand, fastest, grows_unseen

# Whence the loop has types and constants.
FILES = [
    Path(__file__).with_name("model.py"),
    *(Path(__file__).parents[1] / f"field/{name}.py" for name in ("clarke", "mode")),
]
# Part of the spacing of events so far that a step looks ahead.
AHEAD = 3.0
# What moves by e^(-h |lambda|) in each of so many steps in a row, and meets no event, is at rest to the flow: it only
# holds the steps back, and an implicit method pays.  So it does where t grows by such a factor in each of them: the
# series of the clock is no longer then, whatever the masses do.
HELD, PATIENCE = 1.0, 12


@kernel
def allow(model: Model, h: float) -> float:
    """terms.allowed for a step h; what the clock may be off.

    An error e of the masses moves w_j by at most |a_j| sum_i |c_i| e_i and margin k by (K e)_k.
    """
    data, K, n = model.data, model.kernel.K, model.p.size
    part = data.tolerance * min(1.0, h / (model.now[TAU] + h))
    for i in range(n):
        coupling = 0.0
        for k in range(n):
            coupling += abs(K[i, k])
        room = model.weight_error[0] / abs(data.alpha[i])
        if coupling > 0.0:
            room = min(room, data.rtol / coupling)
        model.terms.allowed[i] = max(min(part * room, h * SHARE * data.rtol), EPS * h)
    return float(max(part * data.rtol, EPS))


@kernel
def reach(model: Model, h: float, ratio: float, top: float) -> float:
    """How far the series holds, in u: by its last terms, by what they cannot see, and by the stability of a step."""
    terms, scratch, N = model.terms, model.scratch, model.tried[DEGREE]
    u = 1.0 if ratio <= 1.0 else 0.9 * ratio ** (-1.0 / (N - 1))
    while grows_unseen(terms, model.data.logistic, top, N, u, SHARE * model.data.rtol):
        u *= 0.8
    enough = HELD / (u * h)
    model.step[STIFFNESS] = fastest(model.kernel.K, model.mode.live, terms, enough, scratch.row, scratch.rates)
    if model.step[STIFFNESS] * u * h > LONGEST:
        u = LONGEST / (model.step[STIFFNESS] * h)
    return u


@kernel
def attempt(model: Model) -> int:
    """Try a step: its series, how far it holds, and the first guard in it; why it cannot be, or `GOES_ON`."""
    now, step, tried, terms = model.now, model.step, model.tried, model.terms
    h = min(now[CAP], AHEAD * max(now[GAP], now[TAU] - now[LAST], 1e-12 * now[CAP]))
    clock = allow(model, h)
    N, ratio, top = expand(model.kernel.K, model.p, model.mode.live, model.data.logistic, h, clock, MOST, terms)
    while ratio == np.inf:
        h *= SHRUNK
        now[CAP], clock = h, allow(model, h)
        N, ratio, top = expand(model.kernel.K, model.p, model.mode.live, model.data.logistic, h, clock, MOST, terms)
    tried[DEGREE] = N
    u = reach(model, h, ratio, top)
    step[SIZE], step[REACH], step[END] = h, u, u
    step[UNIT] = np.log(model.p.size * h) - top
    step[MOVES], step[MOVES_RELATIVE] = bound_path(model, N, u)
    model.counts[TERMS] += N
    if not hulls_hold(model):
        return HULL
    if not look(model, u * h):
        return GUARDS_FULL
    if tried[WINNER] >= 0:
        share = step[END] / u  # the bounds are sums of powers of u
        step[MOVES] *= share
        step[MOVES_RELATIVE] = step[MOVES_RELATIVE] * share if step[MOVES_RELATIVE] < np.inf else np.inf
    tried[WAITS] = 1
    return GOES_ON


@kernel
def clock_holds(model: Model) -> bool:
    """Does t, which is no longer small, grow by such a factor in the step, and dt / dtau as well?"""
    now, step, terms = model.now, model.step, model.terms
    speed = np.exp(min(np.log(model.p.size) - now[LOG_TOTAL] - now[CLOCK], LARGEST_SHARE))
    growth = abs(terms.inverse[1]) / terms.inverse[0]  # of dt / dtau, as a logarithm, in a unit of u
    return bool(min(speed * step[SIZE], growth) * step[END] > HELD)


@kernel
def pace(model: Model) -> None:
    """The longest step that the series allows next, and the spacing of events."""
    now, step = model.now, model.step
    if step[REACH] < 1.0:
        now[CAP] = step[SIZE] * step[REACH]
    elif step[SIZE] >= now[CAP]:
        now[CAP] *= 2.0
    if model.tried[WINNER] >= 0:
        gap = now[TAU] - now[LAST]
        now[GAP] = 0.8 * now[GAP] + 0.2 * gap
        now[LAST] = now[TAU]
        model.counts[HELD_BACK] = 0
    else:
        held = step[STIFFNESS] * step[END] * step[SIZE] > HELD or clock_holds(model)
        model.counts[HELD_BACK] = model.counts[HELD_BACK] + 1 if held else 0


@kernel
def take_step(model: Model) -> None:
    """The state at the end of the step that was tried."""
    now, step, terms, N = model.now, model.step, model.terms, model.tried[DEGREE]
    u, passed = step[END], model.scratch.row
    evaluate(terms.c, N, u, passed)
    now[LOG_TOTAL] = dual_at(model, u)
    for i in range(passed.size):
        now[SQUARED] += (model.p[i] + model.scratch.p[i]) * passed[i]
        model.c[i] += passed[i]
        model.p[i] = model.scratch.p[i]
    now[CLOCK] = clock_after(now[CLOCK], step[UNIT], terms, N, u)
    now[TAU] += u * step[SIZE]
    if not pass_path(model):
        for j in range(model.lazy.due_share.size):
            model.lazy.due_share[j] = -np.inf
    model.counts[STEPS] += 1
    model.tried[WAITS] = 0
    pace(model)


@kernel
def measure(model: Model) -> None:
    """Log the instant reached, on the mode as it is: clock, log of the sum of g, squares, margins and their rates."""
    log, scratch, x = model.log, model.scratch, model.counts[INSTANTS]
    speed = 0.0
    for i in range(model.p.size):
        log.margins[x, i], log.rates[x, i] = model.p[i], scratch.rates[i]
        if model.mode.live[i] > 0:
            speed += scratch.q[i] * scratch.rates[i]
    log.measured[x, 0], log.measured[x, 1] = model.now[CLOCK], model.now[LOG_TOTAL]
    log.measured[x, 2], log.measured[x, 3] = model.now[SQUARED], speed
    model.counts[INSTANTS] = x + 1


@kernel
def thin(model: Model) -> bool:
    """Has a diagonal entry of K lost too many digits to differences (`field.mode.DualMode`)?"""
    kernel, any_ = model.kernel, False
    for i in range(kernel.highest.size):
        own = kernel.K[i, i]
        kernel.highest[i] = max(kernel.highest[i], own)
        any_ = any_ or own < FALLEN * kernel.highest[i] or own < THIN_PART * kernel.free[i]
    return any_


@kernel
def lost(model: Model) -> int:
    """A status where numbers have lost too many digits, or nothing moves; `GOES_ON` where all is well."""
    K, n = model.kernel.K, model.p.size
    largest, masses, margin, moved = 0.0, 0.0, 0.0, 0.0
    for i in range(n):
        largest = max(largest, K[i, i])
        masses += model.c[i]
        margin = max(margin, abs(model.p[i]))
        moved = max(moved, abs(model.scratch.rates[i]))
    if not largest > 0.0:
        return THIN
    if 2.0 * EPS * largest * masses > max(model.data.rtol, 1e3 * EPS * margin):
        return CANCELLED
    return REST if moved <= ROUNDING * largest else GOES_ON
