"""One step of the series: terms until the next guard lies where they hold; the state at its end."""

from __future__ import annotations

import numpy as np

from gflow.arrays import Array
from gflow.compiled import kernel
from gflow.taylor.hulls import bound_path, hulls_hold, pass_path
from gflow.taylor.loop import CANCELLED, GOES_ON, GUARDS_FULL, HULL, LONGEST, SHARE, SHRUNK, THIN, live_samples
from gflow.taylor.model import (
    CAP,
    CLOCK,
    DEGREE,
    END,
    INSTANTS,
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
)
from gflow.taylor.polynomial import value
from gflow.taylor.primal.guards import dot, look, path_of
from gflow.taylor.primal.model import BOUND, FROM, HIGHEST, KNOWN, LOSES, OLD, TOP, PrimalModel
from gflow.taylor.primal.neurons import outputs_from, pull_all
from gflow.taylor.primal.outputs import class_grows_unseen, returned_rates
from gflow.taylor.primal.series import (
    bound_gradients,
    grow,
    grow_duals,
    holds,
    start,
)
from gflow.taylor.series import LEAST, clock_after, grows_unseen

# A step of the series is at most so many times what its coefficients are counted in.
FARTHEST = 16.0
# Where terms of so short a step are no numbers, the weights are none.
SMALLEST = 1e-290
# Products with K from which the largest rate of return is found; each step begins where the one before ended.
PRODUCTS = 4
# Margins that are not known to this are told apart by their rounding alone (`flow.ending.UNRESOLVED`).
UNRESOLVED = 1e-3


@kernel
def rates_by(model: PrimalModel, x: Array, f: Array) -> None:
    """f (n, K), the rates of the outputs where samples pull by x (n, K)."""
    span, neurons, pushed = model.span, model.neurons, model.buffers.pushed
    r, K = span.C.shape[1], x.shape[1]
    pull_all(model, x)
    moved = np.zeros(r)
    for j in range(pushed.shape[0]):
        w, a, V = neurons.W[j, 0], neurons.a[j, 0], pushed[j]
        for c in range(r):
            moved[c] = 0.0
            for o in range(K):
                moved[c] += a[o] * V[o * r + c]
        for o in range(K):
            own = V[o * r : (o + 1) * r]
            turned = dot(w, own) if span.trains else 0.0
            for c in range(r):
                own[c] = a[o] * moved[c] + turned * w[c]
    outputs_from(span, model.mode, model.buffers, f)
    if model.outputs.biased:
        for o in range(K):
            total = x[:, o].sum()
            for i in range(f.shape[0]):
                f[i, o] += total


@kernel
def norm_of(x: Array) -> float:
    """|x|_2 of an array (n, K)."""
    squared = 0.0
    for row in x:
        squared += dot(row, row)
    return float(np.sqrt(squared))


@kernel
def fastest(model: PrimalModel) -> float:
    """The largest rate at which pulls return, that of dT/df times the kernel of the outputs, to some per cent."""
    x, image, terms, size = model.buffers.slow, model.buffers.returned, model.terms, 0.0
    n, K = x.shape
    for i in range(n):
        for o in range(K):
            x[i, o] += 0.1 * np.cos(i + 1.0 + o * n)  # so that no direction is left out for ever
    for _ in range(PRODUCTS):
        rates_by(model, x, image)
        returned_rates(model.outputs, model.span.y, terms.q[0], terms.s[0], model.mode.live, image)
        before, after = norm_of(x), norm_of(image)
        size = after / before if before > 0.0 else 0.0
        if after == 0.0:
            break
        for i in range(n):
            for o in range(K):
                x[i, o] = image[i, o] / after
    return float(size)


@kernel
def stable(model: PrimalModel, u: float) -> float:
    """u, or the longest at which the series makes what returns no worse.

    The rate that was found a few steps ago counts where half the room would do, but not behind an event.
    """
    step = model.step
    if step[BOUND] < 0.0:
        _, step[BOUND] = bound_gradients(model)
    if step[BOUND] * u * step[SIZE] <= LONGEST:
        return u
    age = model.counts[KNOWN]
    if age >= OLD or (age > 0 and 2.0 * step[STIFFNESS] * u * step[SIZE] > LONGEST):
        step[STIFFNESS], model.counts[KNOWN] = fastest(model), 0
    return min(u, LONGEST / (step[STIFFNESS] * step[SIZE])) if step[STIFFNESS] > 0.0 else u


@kernel
def reach(model: PrimalModel, N: int) -> float:
    """How far the series of degree N holds, in u: by its last terms, by what they cannot see, and by stability."""
    u = min(holds(model, N), FARTHEST)
    while grows_unseen(model.terms, model.data.logistic, model.step[TOP], N, u, SHARE * model.data.rtol):
        u *= 0.8
    while class_grows_unseen(model.outputs, model.terms.q[0], N, u, SHARE * model.data.rtol):
        u *= 0.8
    return stable(model, u)


@kernel
def look_from(model: PrimalModel, N: int) -> None:
    """The degree from which the next step looks for guards, after one of degree N: less where the first look found one,
    more where none did, since a look costs as much as a degree."""
    first = model.counts[FROM]
    if model.tried[WINNER] < 0:
        model.counts[FROM] = min(first + 2, HIGHEST)
    else:
        model.counts[FROM] = max(first - 1, LEAST) if N == first else min(N, HIGHEST)


@kernel
def add_degree(model: PrimalModel, N: int) -> int:
    """The series of degree N made longer; the degree then: N + 1, or 1 of a shorter step where terms leave float64."""
    worst, size = model.buffers.worst, model.step[SIZE]
    if worst[N] < np.inf:
        grow_duals(model, N)
        grow(model, N, size)
        N += 1
    if not worst[N] < np.inf:
        start(model, size * SHRUNK)
        N = 1
    return N


@kernel
def stay_by_hull(model: PrimalModel, N: int) -> bool:
    """Do all neurons on dependent kinks surely stay there in the step, of degree N?"""
    if model.hull[0] == np.inf:
        return True
    model.step[MOVES], model.step[MOVES_RELATIVE] = bound_path(model, N, model.step[END])
    return hulls_hold(model)


@kernel
def attempt(model: PrimalModel) -> int:
    """Try a step: terms until a guard lies where they hold, or the last; why it cannot be, or `GOES_ON`."""
    step, tried = model.step, model.tried
    if tried[DEGREE] != 1:
        start(model, model.now[CAP])
    N = 1
    while N < HIGHEST:
        N = add_degree(model, N)
        if N == 1 and step[SIZE] < SMALLEST:
            return CANCELLED
        if N >= model.counts[FROM]:
            step[REACH], tried[DEGREE] = reach(model, N), N
            if not look(model, step[REACH]):
                return GUARDS_FULL
            if tried[WINNER] >= 0 or step[REACH] == FARTHEST:
                break
    if not stay_by_hull(model, N):
        return HULL
    look_from(model, N)
    model.counts[TERMS] += N
    tried[WAITS] = 1
    return GOES_ON


@kernel
def move_neuron(model: PrimalModel, j: int, N: int, u: float) -> None:
    """Neuron j to u of the step, with |a_j|^2 - |w_j|^2 as it was: the terms left out would let it drift."""
    neurons, w, squared = model.neurons, model.neurons.W[j, 0], 0.0
    model.watched.room[j] -= path_of(neurons.way[j], N, u)
    for c in range(w.size):
        x = 0.0
        for k in range(N, -1, -1):
            x = x * u + neurons.W[j, k, c]
        w[c] = x
        squared += x * x
    if model.span.trains:
        outer, a = 0.0, neurons.a[j, 0]
        for o in range(a.size):
            a[o] = value(neurons.a[j, :, o], N, u)
            outer += a[o] * a[o]
        size = outer + squared
        part = 0.5 * (neurons.balance[j] - (outer - squared)) / size if size > 0.0 else 0.0
        for o in range(a.size):
            a[o] += part * a[o]
        for c in range(w.size):
            w[c] -= part * w[c]


@kernel
def take_step(model: PrimalModel) -> None:
    """The weights at the end of the step that was tried, of which all coefficients but the first are kept."""
    now, step, N = model.now, model.step, model.tried[DEGREE]
    u = step[END]
    for j in range(model.mode.held.size):
        move_neuron(model, j, N, u)
    if model.outputs.biased:
        for o in range(model.outputs.bias.shape[1]):
            model.outputs.bias[0, o] = value(model.outputs.bias[:, o], N, u)
    now[CLOCK] = clock_after(now[CLOCK], step[UNIT], model.terms, N, u)
    now[TAU] += u * step[SIZE]
    now[CAP] = step[SIZE] * step[REACH]
    pass_path(model)
    model.counts[STEPS] += 1
    model.counts[KNOWN] += 1 if model.tried[WINNER] < 0 else OLD
    model.tried[WAITS], model.tried[DEGREE] = 0, 1


@kernel
def measure(model: PrimalModel) -> None:
    """Log the instant reached, at which a series was begun on the mode as it is."""
    log, x, h, speed = model.log, model.counts[INSTANTS], model.step[SIZE], 0.0
    for i in range(model.p.size):
        log.margins[x, i], log.rates[x, i] = model.p[i], model.terms.p[1, i] / h
    for j in range(model.mode.held.size):
        rate = model.neurons.size[j, 1] / h
        speed += rate * rate
    for each in model.outputs.bias[1]:
        speed += (each / h) * (each / h)
    log.measured[x, 0], log.measured[x, 1] = model.now[CLOCK], model.now[LOG_TOTAL]
    log.measured[x, 2], log.measured[x, 3], log.measured[x, 4] = model.now[SQUARED], speed, model.step[LOSES]
    model.counts[INSTANTS] = x + 1


@kernel
def lost(model: PrimalModel) -> int:
    """A status where nothing moves, or float64 no longer tells margins apart; `GOES_ON` where all is well."""
    if live_samples(model) == 0:
        return THIN
    return CANCELLED if model.step[LOSES] > UNRESOLVED else GOES_ON
