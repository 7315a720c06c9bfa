"""The comparison, bit for bit, of rows that were computed again with the rows that a file holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gflow.trajectory.columns import row_columns
from gflow.trajectory.reader import Trajectory
from gflow.trajectory.rows import Row


def first_difference(kept: Trajectory, rows: Sequence[Row], first: int) -> int | None:
    """Number of the first of `rows`, to be rows `first`, `first + 1`, ... of a file, that is another there; None: none.

    TrajectoryError for a row that does not fit the file at all.
    """
    differs = np.zeros(len(rows), dtype=bool)
    for name, block in row_columns(rows, kept.form, kept.sizes, first).items():
        stored = kept.read(name, slice(first, first + len(rows)))
        differs |= (_bytes(stored) != _bytes(block)).any(axis=1)
    return first + int(np.argmax(differs)) if differs.any() else None


def _bytes(block: NDArray[Any]) -> NDArray[np.uint8]:
    """(T, bytes of a row): -0.0 is not 0.0 here, as it may not be for what follows."""
    return np.ascontiguousarray(block).reshape(len(block), -1).view(np.uint8)
