"""What an earlier analysis of the same rows says of the limit, so that the flow need not be followed ahead again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gflow.arrays import Sides
from gflow.limit.limit_point import LimitPoint
from gflow.problem.surfaces import Surfaces

Change = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Foreknown:
    """side (m, H): the mode of the limit that is proved for the flow from the last row; None: no limit is proved."""

    side: Sides | None

    @classmethod
    def of(cls, entry: Mapping[str, Any], last: Sides, surfaces: Surfaces) -> Foreknown | None:  # Any: JSON values
        """From the entry `limit` of an analysis, and the sides (m, H) of the last row; None where it does not say."""
        verdict, changes = entry.get("verdict"), entry.get("changes")
        if verdict in ("expected", "none"):
            return cls(None)
        if verdict not in ("proved", "proved_from_state") or not isinstance(changes, list):
            return None
        try:
            neuron, sample, side = np.array(changes, dtype=np.intp).reshape(-1, 3).T
            moved = last.copy()
            moved[neuron, surfaces.of_sample[sample]] = side
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
        return cls(moved) if np.isin(moved, (-1, 0, 1)).all() else None


def changes_of(point: LimitPoint, last: Sides, surfaces: Surfaces) -> tuple[Change, ...]:
    """(neuron, first sample of the surface, side) of the pairs whose side in a limit is not that in the last row."""
    pairs = np.argwhere(point.side != last)
    return tuple((int(j), int(surfaces.first_sample[h]), int(point.side[j, h])) for j, h in pairs)
