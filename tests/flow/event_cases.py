"""The table of the event catalogue: problems with all their events, and the state after them, by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp, log, log1p, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gflow.field.transition import EventKind
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from tests.flow.tracers import FAR, HOLDING, PUSHING, SIZE, SPECTATOR, TRAPPING, Drive

Array = NDArray[np.float64]
UP, DOWN, SLIDE = EventKind.CROSS_UP, EventKind.CROSS_DOWN, EventKind.SLIDE
LEAVE_UP, LEAVE_DOWN = EventKind.LEAVE_UP, EventKind.LEAVE_DOWN
Told = tuple[float, int, int, EventKind]
"""An event as (t, neuron, surface, kind)."""


def problem(X: ArrayLike, y: ArrayLike, outer: ArrayLike, slope: float) -> Problem:
    inputs, labels, a = (np.asarray(part, dtype=float) for part in (X, y, outer))
    return Problem.of(inputs, labels, Network(a, slope), LOSSES["exponential"])


@dataclass(frozen=True)
class Case:
    """A problem with all its events until `end`, and pre-activations z_ji there, in units of `unit`, by (j, i).

    sides: those that row 0 shows, by (neuron, surface).  within: error of event times.
    """

    setting: tuple[Problem, Array]
    end: float
    events: list[Told]
    z: dict[tuple[int, int], float]
    sides: dict[tuple[int, int], int] = field(default_factory=dict)
    unit: float = 1.0
    within: float = 1e-7


def clock(p0: float, k: float, tau: float) -> float:
    """t in which Phi = int g / n dt reaches tau while p = p_0 + k Phi (n = 1, or n equal samples and k over n)."""
    return (exp(p0 + k * tau) - exp(p0)) / k


def passed(p0: float, k: float, t: float) -> float:
    """Phi at t, the inverse of `clock`."""
    return log1p(k * t * exp(-p0)) / k


def at_one_instant(slope: float, z: list[float], outer: list[float], copies: int = 1) -> Case:
    """Neurons of outer weights -|a_j| and z_j = |a_j| / 2, all at 0 when Phi = 1/2, and one of 1 that stays active.

    One sample, `copies` times: p = p_0 + k Phi, k = sum of a_j^2 phi'^2.
    """
    a, meet = np.array(outer), 0.5
    p0, k = float(a @ z), float(a @ a)
    t_meet, after = clock(p0, k, meet), float(slope**2 * (a[:-1] @ a[:-1]) + 1.0)
    late = passed(p0 + k * meet, after, 1.0)
    events = [(t_meet, j, 0, DOWN if slope else SLIDE) for j in range(a.size - 1)]
    final = {(j, i): slope * a[j] * late for j in range(a.size - 1) for i in range(copies)}
    setting = problem(np.ones((copies, 1)), np.ones(copies), a, slope), np.array(z)[:, None]
    return Case(setting, t_meet + 1.0, events, final | {(a.size - 1, 0): z[-1] + meet + late})


def antipodal(slope: float) -> Case:
    """x and -x with labels 1 and -1; neurons (1, z) and (-1, -z): f = (1 + slope) z on both sides, p_1 = p_2.

    The pulls of the two samples cancel in the jump, so it is 0, and p = log(e^{p_0} + (1 + slope)^2 t / 2).
    """
    gain, z0 = 1.0 + slope, -0.5
    meet, end = (1.0 - exp(gain * z0)) * 2.0 / gain**2, 4.0
    z = log(exp(gain * z0) + gain**2 * end / 2.0) / gain
    setting = problem([[1.0], [-1.0]], [1, -1], [1, -1], slope), np.array([[z0], [-z0]])
    return Case(setting, end, [(meet, 0, 0, UP), (meet, 1, 0, DOWN)], {(0, 0): z, (0, 1): -z, (1, 0): -z, (1, 1): z})


def three_surfaces(slope: float) -> Case:
    """Orthonormal samples: neurons 0 and 1 of outer weight -1 meet all three at Phi = 0.4; p = 0.2 + 3 Phi."""
    W = np.array([[0.4] * 3, [0.4] * 3, [1.0] * 3])
    meet, kind = 3.0 * clock(0.2, 3.0, 0.4), DOWN if slope else SLIDE
    late = passed(1.4, 1.0 + 2.0 * slope**2, 1.0 / 3.0)
    final = {(j, i): -slope * late for j in (0, 1) for i in range(3)} | {(2, i): 1.4 + late for i in range(3)}
    events = [(meet, j, h, kind) for j in (0, 1) for h in range(3)]
    return Case((problem(np.eye(3), [1, 1, 1], [-1, -1, 1], slope), W), meet + 1.0, events, final)


def traced(
    drive: Drive, zeta: float, end: float, events: list[tuple[float, EventKind]], z: float, **more: float
) -> Case:
    """One tracer that starts at z_3 = zeta and ends at z; all its events are on the surface of x_3."""
    on_third = [(t, 0, 2, kind) for t, kind in events]
    return Case(drive.problem([FAR, FAR, zeta]), end, on_third, {(0, 2): z}, unit=SIZE, **more)  # type: ignore[arg-type]


def returning(drive: Drive, first: float) -> float:
    """When a tracer that crossed down at `first` is back: h(t) = h(first) below, without its root `first`.

    (21 + t)^c / (6 + t) = q is a quadratic for c = 2; for c = 3 a cubic, from which `first` is divided out.
    """
    if drive.c[0] == 2.0:
        return (21.0 + first) ** 2 / (6.0 + first) - 42.0 - first
    q, b = (21.0 + first) ** 3 / (6.0 + first), 63.0 + first
    return 0.5 * (-b + sqrt(b**2 - 4.0 * (6.0 * q - 9261.0) / first))


def sliding() -> Case:
    """Trapped at t = 2 from above, while the - rate points up; at t = 3 the + rate does too, and it leaves."""
    events = [(2.0, SLIDE), (3.0, LEAVE_UP)]
    return traced(TRAPPING, -TRAPPING.above(2.0), 10.0, events, TRAPPING.above(10.0) - TRAPPING.above(3.0))


def crossing_and_back(first: float, within: float = 1e-7) -> Case:
    """A trapping surface met from above while both rates point down: crossed; then back while they trap: slides.

    At t = 3 the + rate turns up, and it leaves.
    """
    events = [(first, DOWN), (returning(TRAPPING, first), SLIDE), (3.0, LEAVE_UP)]
    final = TRAPPING.above(10.0) - TRAPPING.above(3.0)
    return traced(TRAPPING, -TRAPPING.above(first), 10.0, events, final, within=within)


def started(drive: Drive, end: float, back: float) -> Case:
    """On the kink of x_3 at t0 while both rates point down: row 0 is below, and it crosses up when it is back."""
    case = traced(drive, 0.0, end, [(back, UP)], drive.above(end) - drive.above(back))
    case.sides[0, 2] = -1
    return case


def leaving_as_it_crosses() -> Case:
    """A tracer slides on x_3 from the start, and along it z_2 = zeta_2 + log(1 + t/21) / 3 rises to 0 at t = 3.

    There x_2 becomes active: its pull takes the - rate on x_3 below 0, so the tracer leaves downwards while it crosses.
    Below, z_3 = h(t) - h(3), back at 0 where (21 + t)^2 = 64 (6 + t): at t = 19, trapped again.
    """
    events = [(3.0, 0, 1, UP), (3.0, 0, 2, LEAVE_DOWN), (19.0, 0, 2, SLIDE)]
    setting = HOLDING.problem([FAR, -log(8.0 / 7.0) / 3.0, 0.0])
    return Case(setting, 20.0, events, {(0, 2): 0.0}, {(0, 0): 1, (0, 1): -1, (0, 2): 0}, SIZE)


CASES = {
    "two of different speed at one instant, leaky": at_one_instant(0.5, [0.5, 0.25, 1.0], [-1.0, -0.5, 1.0]),
    "two of different speed at one instant, dying": at_one_instant(0.0, [0.5, 0.25, 1.0], [-1.0, -0.5, 1.0]),
    "32 at one instant, leaky": at_one_instant(0.5, [1 / 64] * 32 + [1.0], [-1 / 32] * 32 + [1.0]),
    "32 at one instant, dying": at_one_instant(0.0, [1 / 64] * 32 + [1.0], [-1 / 32] * 32 + [1.0]),
    "a sample three times": at_one_instant(0.5, [0.5, 1.0], [-1.0, 1.0], copies=3),
    "a sample three times, dying": at_one_instant(0.0, [0.5, 1.0], [-1.0, 1.0], copies=3),
    "antipodal samples, leaky": antipodal(0.5),
    "antipodal samples": antipodal(0.0),
    "two on three surfaces, leaky": three_surfaces(0.5),
    "two on three surfaces, dying": three_surfaces(0.0),
    "down and up": traced(
        SPECTATOR, log(24.5 / 22.5), 40.0, [(1.5, DOWN), (24.0, UP)], log(24.5 / 22.5) + SPECTATOR.above(40.0)
    ),
    "down and up on a pushing surface": traced(
        PUSHING, -PUSHING.above(5.0), 20.0, [(5.0, DOWN), (159 / 11, UP)], PUSHING.above(20.0) - PUSHING.above(159 / 11)
    ),
    "slide and leave": sliding(),
    "across a trapping surface and back": crossing_and_back(1.0),
    "back right after an event": crossing_and_back(1.49, within=3e-6),
    "crosses from the kink at t0": started(SPECTATOR, 40.0, 31.5),
    "crosses from a trapping kink at t0": started(TRAPPING, 10.0, 0.5 * (sqrt(4851.0) - 63.0)),
    "slides from t0, leaves as it crosses": leaving_as_it_crosses(),
}  # fmt: skip
