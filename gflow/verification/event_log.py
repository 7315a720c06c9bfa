"""The check of the event log against the pattern: replayed from row 0 on, the events must give the pattern of every
row.

Sliding pairs are checked, too: the share of the + branch that holds a neuron on its kink must lie in [0, 1], since the
neuron leaves the kink otherwise.  (`recomputation` checks that these pairs lie on their kink.)
"""

from __future__ import annotations

import numpy as np

from gflow.arrays import Index, Sides
from gflow.trajectory import Events
from gflow.trajectory.recorded_run import RecordedRun
from gflow.verification.check import STEPS, Check, Worst, bounded, not_applicable
from gflow.verification.velocity import Field, weights_at

GROUP = "events"

FROM = {1: (-1,), 2: (1,), 3: (-1, 1), 4: (0,), 5: (0,)}
"""The sides from which each kind of event starts."""
AFTER = np.array([0, 1, -1, 0, 1, -1], dtype=np.int8)
"""The side after an event, by its kind."""

# Event times and record times are each located to rounding, independently of each other.
ROUNDING = 1e-13


def event_log(recorded: RecordedRun) -> list[Check]:
    """Counts, order, alternation and replay of the events, and shares; not applicable where no kink is followed."""
    names = ("log", "sides", "replay")
    if not recorded.problem.network.kinked:
        return [not_applicable(GROUP, name, "the network has no kinks to cross") for name in (*names, "shares")]
    return [*_log(recorded, names), _shares(recorded)]


def _log(recorded: RecordedRun, names: tuple[str, ...]) -> list[Check]:
    """Everything about the entries."""
    if not recorded.trajectory.records_events:
        return [not_applicable(GROUP, name, "this run does not keep its events (record.events)") for name in names]
    events = recorded.trajectory.events
    wrong = impossible(recorded, events)
    order = _order(recorded, events)
    log = bounded(GROUP, "log", wrong + order, 0.0, f"of {len(events)} entries: no such pair or kind, or out of order")
    if wrong:
        return [log, *(not_applicable(GROUP, name, "the log has entries that cannot be") for name in names[1:])]
    surface = recorded.problem.surfaces.of_sample[events.sample]
    return [log, _sides(recorded, events, surface), _replay(recorded, events, surface)]


def _start(recorded: RecordedRun) -> Sides:
    """Sides (m, H) at row 0."""
    pattern = recorded.trajectory.read("pattern", 0)
    return np.asarray(np.sign(pattern[:, recorded.problem.surfaces.first_sample]))


def impossible(recorded: RecordedRun, events: Events) -> int:
    """The number of entries whose neuron, sample or kind does not exist, and of entries that are missing."""
    m, n = recorded.problem.network.width, recorded.problem.samples
    good = (events.neuron >= 0) & (events.neuron < m) & (events.sample >= 0) & (events.sample < n)
    good &= (events.kind >= 1) & (events.kind <= 5)
    sample = np.clip(events.sample, 0, n - 1)
    surfaces = recorded.problem.surfaces
    good &= surfaces.first_sample[surfaces.of_sample[sample]] == sample
    return int((~good).sum()) + abs(len(events) - int(recorded.event_counts[-1]))


def _order(recorded: RecordedRun, events: Events) -> int:
    """The number of entries before their predecessor, or on the wrong side of a row by its event count."""
    v, counts = events.log1p_time, recorded.event_counts
    wrong = int((~(np.diff(v) >= 0.0)).sum())
    room = ROUNDING * (1.0 + recorded.log1p_time)
    row = np.searchsorted(counts, np.arange(len(v)), side="right")  # the first row that counts the entry
    row = np.minimum(row, counts.size - 1)
    wrong += int((~(v <= recorded.log1p_time[row] + room[row])).sum())
    return wrong + int((~(v >= recorded.log1p_time[np.maximum(row - 1, 0)] - room[row])).sum())


def _sides(recorded: RecordedRun, events: Events, surface: Index) -> Check:
    """Each pair's events in turn: across or onto its kink from where the one before left it."""
    start = _start(recorded)
    pair = events.neuron.astype(np.int64) * start.shape[1] + surface
    turn = np.argsort(pair, kind="stable")
    after = AFTER[events.kind[turn]]
    before = np.empty_like(after)
    before[1:] = after[:-1]
    first = np.ones(pair.size, dtype=bool)
    first[1:] = np.diff(pair[turn]) != 0
    before[first] = start.ravel()[pair[turn][first]]
    allowed = np.zeros((6, 3), dtype=bool)
    for kind, sides in FROM.items():
        allowed[kind, np.array(sides) + 1] = True
    wrong = int((~allowed[events.kind[turn], before + 1]).sum())
    return bounded(GROUP, "sides", wrong, 0.0, f"of {pair.size} events: from another side than the pair had")


def _replay(recorded: RecordedRun, events: Events, surface: Index) -> Check:
    """Pairs (neuron, sample) of a row that differ from the replay; the largest number in a row."""
    side, counts, worst, done = _start(recorded).copy(), recorded.event_counts, Worst(), 0
    for row, pattern in enumerate(recorded.values("pattern")):
        part = slice(done, int(counts[row]))
        side[events.neuron[part], surface[part]] = AFTER[events.kind[part]]  # of repeated pairs the last one stays
        done = max(done, int(counts[row]))
        worst.see(float((recorded.problem.sample_sides(side) != pattern).sum()), row)
    return bounded(GROUP, "replay", worst.value, 0.0, f"pairs of a row off the replay from row 0 on; {worst.place}")


def _shares(recorded: RecordedRun) -> Check:
    """The check of the shares of every row; where normals are dependent, shares are not unique and not checked."""
    problem, field = recorded.problem, Field(recorded.problem)
    worst, pairs, left = Worst(), 0, 0
    for at in recorded.each_row():
        field.take(np.sign(at.pattern[:, problem.surfaces.first_sample]))
        if not field.held.neurons.size:
            continue
        shares = field.shares(field.at(weights_at(at), field.live))
        sliding = (field.held.surfaces >= 0).sum(axis=1)
        pairs, left = pairs + int(sliding[shares.unique].sum()), left + int(sliding[~shares.unique].sum())
        worst.see(float(shares.excess[shares.unique].max(initial=0.0)), at.row)
    if not pairs:
        why = (
            "no neuron ever slides"
            if not left
            else "neurons slide on dependent kinks only, where shares are not unique"
        )
        return not_applicable(GROUP, "shares", f"{why} (in the rows)")
    sentence = f"of {pairs} sliding pairs: force beyond what a share in [0, 1] of the + branch gives, over all forces"
    sentence += f" ({left} on dependent kinks are left out)" if left else ""
    return bounded(GROUP, "shares", worst.value, STEPS * recorded.rtol, f"{sentence}; {worst.place}")
