"""What the compiled loop of trained outer layers works on: the weights themselves, as series of the step.

Neurons are seen in span coordinates, w_j in R^r and c_i in R^r; sides, slots and forces as in `taylor.model`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gflow.arrays import Array
from gflow.taylor.model import Data, Found, Log, Mode, Scratch, found_of, log_of, mode_of, scratch_of
from gflow.taylor.polynomial import MOST, Roots, roots
from gflow.taylor.primal.outputs import Outputs, outputs_of
from gflow.taylor.series import LEAST, Counts, Series, series

# The step that was tried, `PrimalModel.step`, beside what `taylor.model` names: log of the largest live g, the rounding
# of margins, and a bound of the rate at which margins return (-1: not known yet).
TOP, LOSES, BOUND = range(8, 11)
# Among `PrimalModel.counts`: the degree from which a step looks for guards, and how old the rate of return is.
FROM, KNOWN = 8, 9
# The age at which the rate of return is found anew.
OLD = 16
# Highest degree of a step: a pass over all neurons a degree is what costs here.
HIGHEST = 16


class Span(NamedTuple):
    """The samples as neurons see them, and what is trained."""

    C: Array  # (n, r)
    normals: Array  # (H, r)
    y: Array  # (n,) labels of one output; 1 for several
    squares: Array  # (n,) |c_i|^2
    outside: Array  # (m,) |w_j| outside the span, which never changes
    initial: Array  # (m,) |w_j| at the start of the run
    trains: bool  # the outer layer
    atol: float


class Neurons(NamedTuple):
    """Coefficients of u^k of every neuron in row k of axis 1; those of k = 0 are the weights now.

    V: what the samples pull by each output, P_j sum_i phi'_ji y_i T_ik c_i, so that w' = sum_k a_k V_k and a_k' =
    <w, V_k>.
    """

    W: Array  # (m, HIGHEST + 1, r)
    a: Array  # (m, HIGHEST + 1, K)
    V: Array  # (m, HIGHEST + 1, K, r)
    size: Array  # (m, HIGHEST + 1) |(w, a)_k|
    way: Array  # (m, HIGHEST + 1) |w_k|
    allowed: Array  # (m,) what (w_j, a_j) may be off over a doubling of tau
    balance: Array  # (m,) |a_j|^2 - |w_j|^2, which the flow keeps


class Tables(NamedTuple):
    """What slides need: sigma = across v are the forces that hold a neuron against v; the room of a share to either
    end is <ends, q>, up to its orientation, and moves by at most `reach` times what q does.
    """

    across: Array  # (m, k, r)
    ends: Array  # (m, k, 2, n)
    reach: Array  # (m, k, 2)


class Watched(NamedTuple):
    """How near to their kinks neurons are: `room` (m,) is less than every |zeta_j|, lifts and `fresh` as in
    `taylor.model.Lazy`."""

    room: Array  # (m,)
    band: Array  # (m,) the rounding of zeta_j
    lift: Array  # (m, H)
    share_lift: Array  # (m, k, 2)
    fresh: Counts  # (m, 2)


class Buffers(NamedTuple):
    """For products with all neurons at once."""

    pulled: Array  # (n, K r)
    pushed: Array  # (m, K r)
    outputs: Array  # (n, K r)
    slow: Array  # (n, K) the direction of pulls that returned fastest so far
    returned: Array  # (n, K)
    gradients: Array  # (K, n) bounds of |df / dtheta|^2
    bare: Array  # (HIGHEST + 1, n) the pull of several outputs on one neuron, of which its shares are linear forms
    worst: Array  # (HIGHEST + 1,) the terms of each degree, in units of what they may be off
    zeta: Array  # (H,)


class PrimalModel(NamedTuple):
    """All of it; the names that `taylor.model.Model` has as well mean the same."""

    data: Data
    span: Span
    mode: Mode
    neurons: Neurons
    tables: Tables
    watched: Watched
    log: Log
    found: Found
    scratch: Scratch
    buffers: Buffers
    outputs: Outputs
    terms: Series
    roots: Roots
    p: Array  # (n,)
    now: Array
    counts: Counts
    step: Array
    tried: Counts
    hull: Array


def neurons_of(W: Array, a: Array, allowed: Array) -> Neurons:
    """Neurons at W (m, r), a (m, K)."""
    (m, r), K = W.shape, a.shape[1]
    series_W, series_a = np.zeros((m, HIGHEST + 1, r)), np.zeros((m, HIGHEST + 1, K))
    V = np.zeros((m, HIGHEST + 1, K, r))
    series_W[:, 0], series_a[:, 0] = W, a
    size, way = np.zeros((m, HIGHEST + 1)), np.zeros((m, HIGHEST + 1))
    return Neurons(series_W, series_a, V, size, way, np.array(allowed), (a**2).sum(axis=1) - (W**2).sum(axis=1))


def buffers_of(surfaces: int, neurons: int, samples: int, rank: int, outputs: int) -> Buffers:
    """Room for the products."""
    n, wide = samples, outputs * rank
    products = np.zeros((n, wide)), np.zeros((neurons, wide)), np.zeros((n, wide))
    slow, returned, rows = np.zeros((n, outputs)), np.zeros((n, outputs)), HIGHEST + 1
    return Buffers(
        *products, slow, returned, np.zeros((outputs, n)), np.zeros((rows, n)), np.zeros(rows), np.zeros(surfaces)
    )


def assembled(
    data: Data, span: Span, mode: Mode, neurons: Neurons, outputs: Outputs, room: tuple[int, int, int]
) -> PrimalModel:
    """A model at tau = v = 0.  room: for events, instants and guards."""
    (m, H), slots, (n, r) = mode.side.shape, mode.slots.shape[1], span.C.shape
    tables = Tables(np.zeros((m, slots, r)), np.zeros((m, slots, 2, n)), np.zeros((m, slots, 2)))
    fresh = np.ones((m, 2), dtype=np.int64)
    watched = Watched(np.full(m, -np.inf), np.zeros(m), np.zeros((m, H)), np.zeros((m, slots, 2)), fresh)
    return PrimalModel(
        data,
        span,
        mode,
        neurons,
        tables,
        watched,
        log_of(room[0], room[1], n, columns=5),
        found_of(room[2]),
        scratch_of(H, n),
        buffers_of(H, m, n, r, neurons.a.shape[2]),
        outputs,
        series(n),
        roots(),
        np.zeros(n),
        np.zeros(10),
        np.array([0, 0, 0, 0, 0, 0, 0, 0, LEAST, OLD], dtype=np.int64),
        np.zeros(11),
        np.array([0, 0, -1, 0], dtype=np.int64),
        np.full(2, np.inf),
    )


def example() -> PrimalModel:
    """A small model, for its types."""
    one, row = np.ones(1), np.ones((1, 1))
    whole, ends = np.zeros(1, dtype=np.int64), np.array([0, 1], dtype=np.int64)
    data = Data(np.eye(1), whole, ends, whole, one, one, one, 0.0, True, True, 1.0, 1.0, 1e-6, 1e-2, 1e-8)
    span = Span(row, row, one, one, one, one, True, 1e-10)
    mode = mode_of(np.ones((1, 1), np.int8), 1, 1)
    outputs = outputs_of(whole, np.zeros(1), False, HIGHEST + 1)
    return assembled(data, span, mode, neurons_of(row, row, one), outputs, (1, 1, 1))


assert HIGHEST <= MOST, "series of margins have room for no more"
