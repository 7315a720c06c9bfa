"""Stability of the path from the start of a run to the state of its proof.

A certificate is a proof about the flow *from a state*.  That the flow from the start comes to this state rests on
numerical integration.  That is as good as its tolerance where the path is stable, that is, where flows that are near to
each other stay near.  They do not

* at a kink that pushes (jump > 0): solutions leave it to both sides, at any time.  A start on one, an arrival at
  dependent kinks that can be left in several ways, and a pair that is held on one are choices of the policy;
* where a neuron passes so near to a kink, or to the end of a slide, that an error decides whether it reaches it.  Such
  a tie leaves no event in the run, but runs on its two sides take different paths.

So the flow is followed again from the start until its mode is proved to stay.  Once this is done with tolerances 100
times tighter; that run has to meet the same events.  Twice it is done from a start that is changed a little, to
opposite sides of the given one; both have to come to the same pattern, and so to the same limit W*, which is a function
of the pattern (multipliers that are not unique move a little with the start).  A start on a tie lies between these two,
whichever way the tie goes.  The change is far larger than the tolerance, so near ties are found too, which an exact
flow would just pass: data are never known so exactly that a result which depends on such a tie should count as proved.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gflow.analysis.followed_flow import Allowance, FollowedFlow, followed
from gflow.analysis.progress import Tell, untold
from gflow.arrays import Array, Sides
from gflow.field.branch import Tolerances
from gflow.field.clarke import ROUNDING
from gflow.flow.state import Event, Notes
from gflow.flow_time import time_text
from gflow.problem.problem import Problem
from gflow.problem.span import row_norms

Pair = tuple[int, int]

# Tolerances are tightened by this factor, but never below the last value.
TIGHTER, TIGHTEST = 100.0, 1e-13
# A start is changed by this part of |w_j|, in a direction of its own for every neuron, and by the tolerance if that is
# larger; it is followed with tolerances far below the change.
CHANGE, SEED = 1e-6, 0
LOOSER = Tolerances(1e-9, 1e-11)
# No proof is expected before this part of the tau of the one that was found; before that most of the work would be to
# look for one.
EXPECTED = 0.5
# The budget of following the flow again: a multiple of the steps of the run, plus what a short run needs.
STEP_FACTOR, STEPS_TO_START = 20, 200


@dataclass(frozen=True, slots=True)
class PathTaken:
    """The path that a run took, and its path ahead.

    W (m, d): the first layer at its start; notes: decisions at kinks; events: None where they are not kept; side (m, H)
    and p (n,): sides and margins at the state of its proof; steps, tau: taken until there.
    """

    W: Array
    tolerances: Tolerances
    notes: Notes
    events: Sequence[Event] | None
    side: Sides
    p: Array
    steps: int
    tau: float


@dataclass(frozen=True, slots=True)
class PathStability:
    """Whether the path is stable, and why.

    reasons: why the path is not known to be stable, in words; empty where it is.  held: the number of pairs that are
    held, at its end, on a kink that pushes: a proof there is about the solution that the policy takes, not about all
    solutions.  seen: what shows that the path is stable, in words; empty where it is not, or where no event could make
    two flows differ.
    """

    reasons: tuple[str, ...] = ()
    held: int = 0
    seen: str = ""

    @property
    def stable(self) -> bool:
        """Is there no reason against stability?"""
        return not self.reasons

    @property
    def reason(self) -> str:
        """All reasons as one text, empty where the path is stable."""
        return "; ".join(self.reasons)

    @property
    def whose(self) -> str:
        """What a proof from the state at the end is about."""
        return "the solution of the policy" if self.held else "the flow"


def path_stability_of(problem: Problem, taken: PathTaken, tell: Tell = untold) -> PathStability:
    """Judge the way of a run with linear modes; the flow is followed again only where nothing else is against it."""
    if not problem.network.kinked:
        return PathStability()  # one mode for ever, and a smooth flow in it
    held = repelling(problem, taken.side, taken.p)
    reasons = tuple(_choices(problem, taken.notes, held)) or tuple(_departures(problem, taken, tell))
    return PathStability(reasons, len(held), "" if reasons else _seen(problem, taken))


def _seen(problem: Problem, taken: PathTaken) -> str:
    names = [name for name, *_ in _again(problem, taken)]
    return f"the flow, followed again {names[-1]} and {names[0]} to either side, comes to the same pattern"


def _choices(problem: Problem, notes: Notes, pairs: Sequence[Pair]) -> Iterator[str]:
    """The decisions of the policy where other solutions exist.  pairs: those held on a kink that pushes."""
    if note := notes.sentence().removeprefix("; "):
        yield note
    if pairs:
        j, h = pairs[0]
        many = "1 pair is" if len(pairs) == 1 else f"{len(pairs)} pairs are"
        where = f"neuron {j}, sample {problem.surfaces.first_sample[h]}"
        yield f"{many} held on a kink that pushes ({where}), where other solutions leave at any time"


def repelling(problem: Problem, side: Sides, p: Array) -> list[Pair]:
    """Pairs (neuron, surface) that slide (side (m, H) 0) on a kink that pushes at margins p (n,): whose jump
    (1 - slope) a_j sum_{i on h} |alpha_i| y_i q_i is positive.  Weights are taken relative to the largest on the kink,
    so that a sign is known however small they are."""
    log_g, surfaces = problem.loss.log_slope(p), problem.surfaces
    largest = np.full(surfaces.count, -np.inf)
    np.maximum.at(largest, surfaces.of_sample, log_g)
    sizes = np.abs(surfaces.alpha) * np.exp(log_g - largest[surfaces.of_sample])
    pull = np.bincount(surfaces.of_sample, problem.y * sizes, surfaces.count)
    doubt = ROUNDING * np.bincount(surfaces.of_sample, sizes, surfaces.count)
    pushes = np.sign(problem.network.outer)[:, None] * pull > doubt
    return [(int(j), int(h)) for j, h in np.argwhere((side == 0) & pushes)]


def _departures(problem: Problem, taken: PathTaken, tell: Tell) -> Iterator[str]:
    """Where the flow, followed again, differs from the path that was taken: the first difference found."""
    for name, W, tolerances, strictly in _again(problem, taken):
        most, expected = STEPS_TO_START + STEP_FACTOR * taken.steps, EXPECTED * taken.tau
        allowed = Allowance(f"the way from the start, {name},", most, expected=expected)
        again = followed(problem, W, tolerances, allowed, tell=tell)
        if difference := _departure(problem, taken, again, strictly):
            yield f"{name}, {difference}"
            return


def _again(problem: Problem, taken: PathTaken) -> Iterator[tuple[str, Array, Tolerances, bool]]:
    """How the flow is followed again: name, start W, tolerances, and whether its events are compared too."""
    own = taken.tolerances
    change = max(CHANGE, own.rtol)
    looser = Tolerances(max(own.rtol, LOOSER.rtol), max(own.atol, LOOSER.atol))
    by = changed_by(problem, taken.W, change)
    for sign in (1.0, -1.0):
        yield f"from a start changed by a part of {change:.0e}", taken.W + sign * by, looser, False
    tighter = Tolerances(*(min(max(each / TIGHTER, TIGHTEST), each) for each in (own.rtol, own.atol)))
    yield f"with rtol = {tighter.rtol:.0e}", taken.W, tighter, True


def changed_by(problem: Problem, W: Array, part: float) -> Array:
    """A change (m, d) of W (m, d) of size part |w_j|, the same at every call.

    Neurons on a kink stay on it: to move one off its kink changes its side, and so the flow by more than this size.
    """
    U, sizes = W @ problem.span.B.T, row_norms(W)
    noise = np.random.default_rng(SEED).standard_normal(U.shape)
    change = part * sizes[:, None] * noise / row_norms(noise)[:, None]
    on_kink = np.abs(U @ problem.surfaces.normals.T) <= ROUNDING * sizes[:, None]
    for j in np.flatnonzero(on_kink.any(axis=1)):
        normals = problem.surfaces.normals[on_kink[j]]
        change[j] -= np.linalg.pinv(normals) @ (normals @ change[j])
    return np.asarray(change @ problem.span.B)


def _departure(problem: Problem, taken: PathTaken, again: FollowedFlow, strictly: bool) -> str:
    """Where the flow followed again differs from the path that was taken, in words; empty where it does not."""
    if strictly and taken.events is not None and (parting := _parting(taken.events, again.events)):
        j, h = parting.neuron, problem.surfaces.first_sample[parting.surface]
        return f"the flow parts from it at neuron {j}, sample {h}, {time_text(parting.v)}"
    differ = int((again.end.side != taken.side).sum())
    if again.proved and differ:
        return f"the flow comes to another pattern ({differ} pairs differ)"
    if note := again.notes.sentence():
        return note.removeprefix("; ")
    if not again.proved:
        return again.stopped or "no proof closes"
    return ""


def _parting(events: Sequence[Event], others: Sequence[Event]) -> Event | None:
    """The first event of one that the other lacks, compared pair by pair: events of two pairs may change places."""
    one, other = _by_pair(events), _by_pair(others)
    parting = [event for pair in one.keys() | other.keys() for event in _first_odd(one[pair], other[pair])]
    return min(parting, key=lambda event: event.v, default=None)


def _by_pair(events: Sequence[Event]) -> dict[Pair, list[Event]]:
    found: dict[Pair, list[Event]] = defaultdict(list)
    for event in events:
        found[event.neuron, event.surface].append(event)
    return found


def _first_odd(events: Sequence[Event], others: Sequence[Event]) -> list[Event]:
    """The first event at which two courses of one pair differ, as a list of at most one event."""
    for event, other in zip(events, others, strict=False):
        if event.kind != other.kind:
            return [event]
    common = min(len(events), len(others))
    return list([*events[common:], *others[common:]][:1])
