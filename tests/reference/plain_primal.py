"""The flow once more, as plainly as it can be said: W-space, the clock t, one kink after another, no gflow.

The velocity is minus the minimum-norm Clarke gradient.  Which mode follows a kink is found by brute force: every
assignment of sides to the kinks of the neuron is tried for a short time, and the one that agrees with itself is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.optimize import lsq_linear

from tests.reference.plain_hull import dependent, room_in_hull, seen_cells
from tests.reference.setting import Setting

Array = NDArray[np.float64]
Sides = NDArray[np.int64]

# A guard that starts below this is lifted to it, so that the kink just decided is not found again.
LIFT = 1e-11
# How long a candidate mode is tried: first-order effects are then 1e-4, second-order ones 1e-8, noise 1e-13.
TRIAL = 1e-4
# Two guards this close at an event are events of one instant.
TOGETHER = 1e-12


class AmbiguousKinkError(Exception):
    """No assignment of sides agrees with itself, or several do."""


@dataclass(frozen=True, slots=True)
class PlainEvent:
    """Neuron and surface, and `cross`, `slide` or `leave` towards side +1, 0 or -1, at time t."""

    t: float
    neuron: int
    surface: int
    kind: str
    side: int


@dataclass(frozen=True, slots=True)
class PlainRecord:
    """Weights (m, d), sides (m, H) and the integral of |grad L|^2 dt up to t."""

    t: float
    W: Array
    side: Sides
    descent: float


class PlainPrimal:
    """One setting with its surfaces: unit normals (H, d), and x_i = alpha_i normal_{surface of i}."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        normals: list[Array] = []
        self.surface_of: list[int] = []
        self.alpha: list[float] = []
        for x in setting.X:
            unit = x / np.linalg.norm(x)
            same = [h for h, u in enumerate(normals) if abs(abs(float(u @ unit)) - 1.0) < 1e-13]
            if not same:
                normals.append(unit)
            self.surface_of.append(same[0] if same else len(normals) - 1)
            self.alpha.append(float(normals[self.surface_of[-1]] @ x))
        self.normals = np.array(normals)
        self.cells: dict[tuple[int, ...], Sides] = {}

    def sides(self, W: Array) -> Sides:
        """Sides (m, H) of weights that lie on no surface."""
        return np.where(W @ self.normals.T > 0.0, 1, -1).astype(np.int64)

    def branches(self, side: Sides) -> tuple[Array, Array]:
        """phi' (m, n) with sliding samples on the - branch, and the same with 0 for them (phi is 0 there)."""
        sample_side = side[:, self.surface_of] * np.sign(self.alpha)
        on_minus = np.where(side == 0, -1, side)[:, self.surface_of] * np.sign(self.alpha)
        slopes = np.where(on_minus > 0, 1.0, self.setting.slope)
        return slopes, np.where(sample_side == 0, 0.0, slopes)

    def jump(self, neuron: int, surface: int, pull: Array) -> float:
        """What the + branch of the surface adds to the rate of the neuron's switching function."""
        s = self.setting
        on = [i for i in range(s.y.size) if self.surface_of[i] == surface]
        return float((1.0 - s.slope) * s.outer[neuron] / s.y.size * sum(pull[i] * abs(self.alpha[i]) for i in on))

    def on_minus(self, W: Array, side: Sides) -> tuple[Array, Array]:
        """Velocities (m, d) with every sliding surface on its - branch, and the signed pulls y_i g_i (n,)."""
        s = self.setting
        slopes, values = self.branches(side)
        pull = s.pulls(s.y * (s.outer @ (values * (W @ s.X.T)))) * s.y
        return (s.outer[:, None] / s.y.size) * (slopes * pull) @ s.X, pull

    def velocity(self, W: Array, side: Sides) -> Array:
        """dW/dt (m, d) on a mode: sliding neurons keep to their surfaces."""
        V, _ = self.on_minus(W, side)
        for j in np.flatnonzero((side == 0).any(axis=1)):
            N = self.normals[side[j] == 0]
            V[j] -= np.linalg.lstsq(N, N @ V[j], rcond=1e-9)[0]
        return V

    def patterns(self, held: list[int]) -> Sides:
        """Sign patterns (c, k) attained near these surfaces, found once."""
        if tuple(held) not in self.cells:
            self.cells[tuple(held)] = seen_cells(self.normals[held])
        return self.cells[tuple(held)]

    def rooms(self, W: Array, side: Sides) -> dict[tuple[int, int], float]:
        """How far each sliding pair is from coming free: min(s, 1 - s) of its share, or the room in the hull."""
        V, pull = self.on_minus(W, side)
        rooms: dict[tuple[int, int], float] = {}
        for j in np.flatnonzero((side == 0).any(axis=1)).tolist():
            held = np.flatnonzero(side[j] == 0).tolist()
            N = self.normals[held]
            jumps = np.array([self.jump(j, h, pull) for h in held])
            if dependent(N):
                inside = np.linalg.pinv(N, rcond=1e-9) @ N
                patterns = self.patterns(held)
                room = room_in_hull((V[j] + np.where(patterns > 0, jumps, 0.0) @ N) @ inside)
                rooms |= {(j, h): room for h in held}
                continue
            for h, force, jump in zip(held, np.linalg.solve(N @ N.T, -N @ V[j]), jumps, strict=True):
                share = force / jump if jump != 0.0 else np.inf  # nothing there could hold it
                rooms[j, h] = float(min(share, 1.0 - share))
        return rooms

    def least_norm_velocity(self, W: Array, side: Sides) -> Array:
        """The same velocity (m, d) by another road: least squares over the box of shares, neuron by neuron.

        Only where the normals of the kinks are independent: then the box is the Clarke set.
        """
        V, pull = self.on_minus(W, side)
        for j in np.flatnonzero((side == 0).any(axis=1)):
            held = np.flatnonzero(side[j] == 0)
            columns = np.array([self.jump(int(j), int(h), pull) * self.normals[h] for h in held]).T
            size = float(np.abs(columns).max())
            best = lsq_linear(columns / size, -V[j] / size, bounds=(0.0, 1.0), method="bvls", tol=1e-14)
            V[j] += columns @ best.x
        return V

    def guards(self, W: Array, side: Sides) -> dict[tuple[int, int], float]:
        """What stays positive while the mode is right: side * zeta, or the room of the share."""
        rooms, zeta = self.rooms(W, side), W @ self.normals.T
        return {
            (j, h): rooms[j, h] if side[j, h] == 0 else float(side[j, h] * zeta[j, h])
            for j, h in np.ndindex(*side.shape)
        }

    def guard(self, side: Sides, j: int, h: int, lift: float) -> Callable[[float, Array], float]:
        """One guard as a terminal event of solve_ivp, falling through zero."""

        def value(_: float, state: Array) -> float:
            W = state[:-1].reshape(side.shape[0], -1)
            if side[j, h] == 0:
                return self.rooms(W, side)[j, h] + lift
            return float(side[j, h] * (W[j] @ self.normals[h])) + lift

        value.terminal, value.direction = True, -1.0  # type: ignore[attr-defined]
        return value

    def field(self, side: Sides) -> Callable[[float, Array], Array]:
        """d(vec W, integral of |dW/dt|^2)/dt."""

        def rate(_: float, state: Array) -> Array:
            V = self.velocity(state[:-1].reshape(side.shape[0], -1), side)
            return np.append(V.ravel(), np.sum(V**2))

        return rate

    def agrees(self, W: Array, side: Sides, neuron: int, zero: Sequence[int]) -> bool:
        """Does the mode hold a moment later: off its kinks on the sides it claims, shares inside [0, 1]?"""
        field = self.field(side)
        state = np.append(W.ravel(), 0.0)
        middle = state + 0.5 * TRIAL * field(0.0, state)
        later = (state + TRIAL * field(0.0, middle))[:-1].reshape(W.shape)
        moved = self.normals @ (later[neuron] - W[neuron])
        if any(side[neuron, h] * moved[h] <= 1e-14 for h in zero if side[neuron, h] != 0):
            return False
        rooms = self.rooms(later, side)
        return all(rooms[neuron, h] >= -1e-10 for h in zero if side[neuron, h] == 0)

    def continuation(self, W: Array, side: Sides, neuron: int, zero: Sequence[int]) -> Sides:
        """The only assignment of sides to the kinks `zero` of the neuron that agrees with itself."""
        found = []
        for assignment in product((-1, 0, 1), repeat=len(zero)):
            candidate = side.copy()
            candidate[neuron, list(zero)] = assignment
            if self.agrees(W, candidate, neuron, zero):
                found.append(candidate)
        if len(found) != 1:
            raise AmbiguousKinkError(f"neuron {neuron}: {len(found)} continuations on surfaces {zero}")
        return found[0]

    def turn(self, t: float, W: Array, side: Sides, fired: set[tuple[int, int]]) -> tuple[Sides, list[PlainEvent]]:
        """The mode after the pairs `fired`, and what each changed pair did."""
        events = []
        for neuron in sorted({j for j, _ in fired}):
            zero = sorted({h for j, h in fired if j == neuron} | set(np.flatnonzero(side[neuron] == 0).tolist()))
            after = self.continuation(W, side, neuron, zero)
            for h in np.flatnonzero(after[neuron] != side[neuron]):
                old, new = int(side[neuron, h]), int(after[neuron, h])
                kind = "slide" if new == 0 else "leave" if old == 0 else "cross"
                events.append(PlainEvent(t, neuron, int(h), kind, new))
            side = after
        return side, events

    def stretch(self, t: float, state: Array, side: Sides, end: float) -> tuple[float, Array, set[tuple[int, int]]]:
        """Integrate one mode until `end` or the first guard; the time, the state, and the guards at zero."""
        shape = (side.shape[0], -1)
        lifts = {pair: max(0.0, LIFT - g) for pair, g in self.guards(state[:-1].reshape(shape), side).items()}
        watch = [self.guard(side, j, h, lift) for (j, h), lift in lifts.items()]
        found = solve_ivp(
            self.field(side), (t, end), state, method="DOP853", rtol=3e-13, atol=1e-14, events=watch, max_step=0.1
        )
        if found.status < 0:
            raise RuntimeError(found.message)
        t, state = float(found.t[-1]), np.array(found.y[:, -1])
        now = self.guards(state[:-1].reshape(shape), side)
        fired = {pair for pair, g in now.items() if g + lifts[pair] < TOGETHER} if found.status == 1 else set()
        return t, state, fired


def plain_flow(setting: Setting, W: Array, times: Sequence[float]) -> tuple[list[PlainRecord], list[PlainEvent]]:
    """Records at the increasing times (after 0) and all events, from weights W (m, d) on no kink."""
    primal = PlainPrimal(setting)
    t, state, side = 0.0, np.append(W.ravel(), 0.0), primal.sides(W)
    records, events = [], []
    for end in times:
        while t < end:
            t, state, fired = primal.stretch(t, state, side, end)
            side, new = primal.turn(t, state[:-1].reshape(W.shape), side, fired)
            events += new
        records.append(PlainRecord(t, state[:-1].reshape(W.shape).copy(), side.copy(), float(state[-1])))
    return records, events
