"""Rounding scales: the size, row by row, to which the rounding of each neuron's weights is relative.

w_j is the sum of its start and of all that was added since; its rounding error is relative to the largest of these.  So
a neuron that came to rest at w_j = 0 has the rounding error of its earlier, larger weights.  As sum_i q_i = 1 over the
samples that tau counts, and as a projection lengthens nothing, what is added in dtau is at most |a_j| dtau times the
largest |x_i| of the samples that neuron j is active on, |a_j| = sum_k |A_kj|.  A neuron that is active on no sample at
a row and does not switch before the next one keeps its weights and their rounding scale.
"""

from __future__ import annotations

import numpy as np

from gflow.arrays import Array, Bools
from gflow.problem.span import row_norms
from gflow.reference.dual import active_pairs
from gflow.trajectory.recorded_run import RecordedRow, RecordedRun
from gflow.verification.event_log import impossible


class RoundingScales:
    """Asked for one row after the other, from row 0 on."""

    def __init__(self, recorded: RecordedRun) -> None:
        self._recorded, self._norms = recorded, row_norms(recorded.problem.X)
        events = recorded.trajectory.events if recorded.trajectory.records_events else None
        self._events = None if events is None or impossible(recorded, events) else events
        self._before: RecordedRow | None = None
        self._largest = row_norms(recorded.trajectory.W_initial)

    def at(self, now: RecordedRow, W: Array) -> Array:
        """(m,): a bound of |w_j| until now, W (m, d): the last bound plus what was added since, at least |w_j|."""
        if self._before is not None:
            self._largest = self._largest + self._added(self._before, now)
        self._largest = np.maximum(self._largest, row_norms(W))
        self._before = now
        return self._largest

    def _added(self, before: RecordedRow, now: RecordedRow) -> Array:
        """Upper bound of what was added between two rows; all samples count for a neuron that may have switched."""
        pushed = active_pairs(self._recorded.problem.network, before.pattern) | self._switched(before, now)[:, None]
        outer = np.maximum(*(np.atleast_2d(np.abs(at.outer)).sum(axis=0) for at in (before, now)))
        passed = float(self._recorded.tau[now.row] - self._recorded.tau[before.row])
        return np.asarray(outer * passed * np.max(pushed * self._norms, axis=1))

    def _switched(self, before: RecordedRow, now: RecordedRow) -> Bools:
        """(m,): neurons with an event between the rows; all of them where that is not known."""
        counts, first, last = self._recorded.event_counts, before.row, now.row
        if counts[first] == counts[last]:
            return np.zeros(before.pattern.shape[0], dtype=bool)
        if self._events is None:
            return np.ones(before.pattern.shape[0], dtype=bool)
        found = np.zeros(before.pattern.shape[0], dtype=bool)
        found[self._events.neuron[int(counts[first]) : int(counts[last])]] = True
        return found
