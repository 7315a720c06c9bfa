"""What the compiled loop works on: arrays with names, made by Python, changed in place by the kernels.

Everything is in coordinates of surfaces (MATHEMATICS 2): zeta_jh = <w_j, u_h> with unit normals u_h, and the weights
are w_j = w_j(start) + sum_h rho_jh u_h, so that neither d nor the rank of the data is seen.  A sample i lies on surface
h(i) with c_i = alpha_i u_h(i).
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from gflow.arrays import Array
from gflow.taylor.polynomial import MOST, Roots, roots
from gflow.taylor.series import Counts, Series, series

Sides = NDArray[np.int8]

# Numbers that change, `Model.now`: tau and v = log(1 + t); the 2-norm path of q, and its relative one, which due times
# count; the spacing of events in tau, the last event, and the longest step that the series allows; |W|^2; log of the
# sum of g; the next implicit step.
TAU, CLOCK, PATH, RELATIVE, GAP, LAST, CAP, SQUARED, LOG_TOTAL, STRIDE = range(10)
# Counts that change, `Model.counts`: events and instants in their logs; accepted steps; guards in a row without
# progress; neurons looked at, for pairs and for shares; guards made polynomials; terms; steps in a row held back by
# stability.
EVENTS, INSTANTS, STEPS, STALLED, LOOKS, SHARE_LOOKS, GUARDS, TERMS, HELD_BACK = range(9)
# The step that was tried, `Model.tried` and `Model.step`: its degree, the number of guards, the one that fires first
# (-1: none), whether it waits to be taken; its size in tau, the u at which it ends, log(n h / largest g), how far q
# moves in it, how far the series holds in u, the largest rate that it has to follow, and the fastest that a margin can
# move on the mode at its end.
DEGREE, FOUND, WINNER, WAITS = range(4)
SIZE, END, UNIT, MOVES, MOVES_RELATIVE, REACH, STIFFNESS, FASTEST = range(8)


class Data(NamedTuple):
    """What does not change in a run: H surfaces, n samples, m neurons."""

    gram: Array  # (H, H) <u_h, u_k>, 1 on the diagonal
    surface: Counts  # (n,) h(i)
    first: Counts  # (H + 1,) where the samples of each surface begin in `sample`
    sample: Counts  # (n,)
    alpha: Array  # (n,)
    push: Array  # (n,) y_i alpha_i
    outer: Array  # (m,)
    slope: float
    logistic: bool
    kinked: bool
    reach: float  # largest singular value of the samples
    longest: float  # max |c_i|
    loose: float  # what the integrator may be off where errors add up, relative
    tolerance: float  # of a step
    rtol: float


class Mode(NamedTuple):
    """The side of every pair and what follows from it; k_j = held[j] surfaces slide, in the order of slots[j].

    force (k_j, H): G_SS^-1 G_S, so that what moves neuron j along surfaces is G v - G_:S (force v).  lever (k_j,): the
    root of the diagonal of G_SS^-1, at least 1, times the longest sample: the largest force of a pull of 1-norm 1.
    """

    side: Sides  # (m, H)
    slopes: Array  # (m, n) phi', 0 on sliding surfaces
    slots: Counts  # (m, k)
    held: Counts  # (m,)
    force: Array  # (m, k, H)
    lever: Array  # (m, k)
    turned: Array  # (m, k) the sign of the jump of each slot where the slide began
    live: Counts  # (n,) how many neurons that move are active on each sample
    by_hull: Counts  # (m,) 1 for neurons on dependent kinks: their slots are a basis, and Python judges their shares


class Kernel(NamedTuple):
    """K of the mode, with fixed outer layers."""

    K: Array  # (n, n)
    highest: Array  # (n,) the largest K_ii since K was made from scratch
    free: Array  # (n,) K_ii without the projections


class Lazy(NamedTuple):
    """Neurons as they were when they were last looked at, and when they have to be looked at again.

    A neuron is due when tau, the path of q or (shares) its relative path reach these bounds.  Lifts are what is added
    to guards that began within rounding of zero; `fresh` asks for new ones.
    """

    zeta: Array  # (m, H)
    rho: Array  # (m, H)
    base: Array  # (m, n) masses c at that time
    due: Array  # (m,) in tau
    due_path: Array  # (m,)
    due_share: Array  # (m,)
    lift: Array  # (m, H)
    share_lift: Array  # (m, k, 2)
    fresh: Counts  # (m, 2)
    scale: Array  # (m,) |w_j| at the start of the run and of the arrays, and its way since: the rounding of zeta_j


class Log(NamedTuple):
    """What happened: events, and instants at which the flow is measured."""

    when: Array  # (E,) v
    what: Counts  # (E, 4): neuron, surface, kind, how many instants came before
    measured: Array  # (I, 4): v, log of the sum of g, |W|^2, |dW/dtau|^2; (I, 5) with the rounding of the margins
    margins: Array  # (I, n)
    rates: Array  # (I, n) dp/dtau


class Found(NamedTuple):
    """Guards that may fire in the step: polynomial, lift and band; (neuron, surface, which, slot).

    which: 0 for a pair off its kink, 1 and 2 for the lower and the upper end of a share.
    """

    guard: Array  # (F, MOST + 3)
    which: Counts  # (F, 4)


class Scratch(NamedTuple):
    """Buffers of the kernels."""

    moved: Array  # (H,)
    turned: Array  # (H,)
    forces: Array  # (H,)
    column: Array  # (H,)
    matrix: Array  # (H + 1, H + 1)
    row: Array  # (n,)
    p: Array  # (n,)
    q: Array  # (n,)
    q_rate: Array  # (n,)
    q_terms: Array  # (n,)
    rates: Array  # (n,) K q
    g: Array  # (n,)
    s: Array  # (n,)
    scale: Array  # (n + 1,)


class Model(NamedTuple):
    """All of it."""

    data: Data
    mode: Mode
    kernel: Kernel
    lazy: Lazy
    log: Log
    found: Found
    scratch: Scratch
    terms: Series
    roots: Roots
    c: Array  # (n,) masses since the start of the arrays
    p: Array  # (n,)
    now: Array
    counts: Counts
    step: Array
    tried: Counts
    weight_error: Array  # (1,) min over neurons of what w_j may be off over |a_j|
    hull: Array  # (2,) the path of q, and its relative one, one of which may not be passed while hulls are not judged


class AnyModel(Protocol):
    """What the models of both engines have."""

    @property
    def data(self) -> Data:
        """What does not change."""

    @property
    def mode(self) -> Mode:
        """The sides, and what follows from them."""

    @property
    def log(self) -> Log:
        """What happened."""

    @property
    def found(self) -> Found:
        """Guards in the step that was tried."""

    @property
    def scratch(self) -> Scratch:
        """Buffers."""

    @property
    def terms(self) -> Series:
        """The series of that step."""

    @property
    def roots(self) -> Roots:
        """The workspace of its roots."""

    @property
    def p(self) -> Array:
        """Margins now, (n,)."""

    @property
    def now(self) -> Array:
        """Numbers that change."""

    @property
    def counts(self) -> Counts:
        """Counts that change."""

    @property
    def step(self) -> Array:
        """The step that was tried: numbers."""

    @property
    def tried(self) -> Counts:
        """The step that was tried: counts."""

    @property
    def hull(self) -> Array:
        """How far q may move while hulls are not judged."""


def log_of(events: int, instants: int, samples: int, columns: int = 4) -> Log:
    """Empty logs."""
    measured, margins = np.zeros((instants, columns)), np.zeros((instants, samples))
    return Log(np.zeros(events), np.zeros((events, 4), np.int64), measured, margins, margins.copy())


def found_of(most: int) -> Found:
    """Room for so many guards in a step."""
    return Found(np.zeros((most, MOST + 3)), np.zeros((most, 4), np.int64))


def scratch_of(surfaces: int, samples: int) -> Scratch:
    """Buffers for H surfaces and n samples."""
    H, n = surfaces, samples
    moved, turned, forces, column = (np.zeros(H) for _ in range(4))
    row, p, q, q_rate, q_terms, rates, g, s = (np.zeros(n) for _ in range(8))
    matrix, scale = np.zeros((H + 1, H + 1)), np.zeros(n + 1)
    return Scratch(moved, turned, forces, column, matrix, row, p, q, q_rate, q_terms, rates, g, s, scale)


def mode_of(side: Sides, samples: int, slots: int) -> Mode:
    """Arrays for a mode, of which only the sides are filled in, as a copy."""
    m, H = side.shape
    return Mode(
        np.array(side, dtype=np.int8, order="C"),
        np.zeros((m, samples)),
        np.full((m, slots), -1, dtype=np.int64),
        np.zeros(m, dtype=np.int64),
        np.zeros((m, slots, H)),
        np.ones((m, slots)),
        np.ones((m, slots)),
        np.zeros(samples, dtype=np.int64),
        np.zeros(m, dtype=np.int64),
    )


def kernel_of(samples: int) -> Kernel:
    """Room for K."""
    return Kernel(np.zeros((samples, samples)), np.zeros(samples), np.zeros(samples))


def lazy_of(zeta: Array, scale: Array, samples: int, slots: int) -> Lazy:
    """Neurons at zeta (m, H), all of them due."""
    m, H = zeta.shape
    return Lazy(
        np.array(zeta, order="C"),
        np.zeros((m, H)),
        np.zeros((m, samples)),
        np.full(m, -np.inf),
        np.full(m, -np.inf),
        np.full(m, -np.inf),
        np.zeros((m, H)),
        np.zeros((m, slots, 2)),
        np.ones((m, 2), dtype=np.int64),
        np.array(scale),
    )


def assembled(
    data: Data, mode: Mode, K: Kernel, lazy: Lazy, p: Array, weight_error: float, room: tuple[int, int, int]
) -> Model:
    """A model at tau = v = 0.  room: for events, instants and guards."""
    H, n = data.gram.shape[0], data.surface.size
    return Model(
        data,
        mode,
        K,
        lazy,
        log_of(room[0], room[1], n),
        found_of(room[2]),
        scratch_of(H, n),
        series(n),
        roots(),
        np.zeros(n),
        np.array(p),
        np.zeros(10),
        np.zeros(9, dtype=np.int64),
        np.zeros(8),
        np.array([0, 0, -1, 0], dtype=np.int64),
        np.array([weight_error]),
        np.full(2, np.inf),
    )


def example() -> Model:
    """A small model, for its types."""
    one = np.ones(1)
    whole = np.zeros(1, dtype=np.int64)
    ends = np.array([0, 1], dtype=np.int64)
    data = Data(np.eye(1), whole, ends, whole, one, one, one, 0.0, True, True, 1.0, 1.0, 1e-6, 1e-2, 1e-8)
    mode, lazy = mode_of(np.ones((1, 1), np.int8), 1, 1), lazy_of(np.ones((1, 1)), one, 1, 1)
    return assembled(data, mode, kernel_of(1), lazy, one, 1.0, (1, 1, 1))
