"""Disk space, reserved before HDF5 needs it, and the detection of writes that HDF5 lost.

A full disk damages an HDF5 file: the part of its index that was written may point to data that were not.  So the space
of a block is reserved before the file is opened.  And where a write fails while h5py closes a dataset, no exception
reaches the caller; only Python's hook for errors that cannot be raised (`sys.unraisablehook`) is called.  That hook is
watched here, since otherwise a row would count as saved that is not on disk.
"""

from __future__ import annotations

import errno
import math
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from gflow.errors import TrajectoryError
from gflow.trajectory import layout
from gflow.trajectory.layout import EVENT, ROW, Form

PAGE = layout.PAGES["alignment_interval"]
# Pages of index nodes and headers: of one dataset, and of the file without its datasets.
PAGES_A_DATASET, PAGES_A_FILE = 2, 16
FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
CLOSED = {errno.EROFS, errno.EACCES, errno.EPERM, errno.EISDIR}
FREE_SPACE = "free disk space, as much as the file takes; the rows saved before stay readable, and --resume goes on"
MAKE_WRITABLE = "make the file and its folder writable, or copy the run to where they are"


def bytes_needed(
    form: Form, before: Mapping[str, int], after: Mapping[str, int], capacity: Mapping[str, int], texts: int = 0
) -> int:
    """Upper bound of the bytes that a file grows by when its dimensions grow from `before` to `after`, plus `texts`."""
    pages = PAGES_A_FILE + math.ceil(texts / PAGE)
    for variable in form.variables:
        entry = np.dtype(variable.dtype).itemsize * math.prod(after[name] for name in variable.dims[1:])
        axis = variable.dims[0]
        length = layout.chunk_length(capacity[axis], entry) if axis in capacity else 1
        chunks = math.ceil(after[axis] / length) - math.ceil(before.get(axis, 0) / length)
        if chunks:
            pages += PAGES_A_DATASET + (chunks if axis in capacity else 1) * math.ceil(
                (length if axis in capacity else chunks) * entry / PAGE
            )
    return pages * PAGE


def row_bytes(form: Form, sizes: Mapping[str, int]) -> int:
    """The bytes of one row in all datasets along the rows; sizes: of the other dimensions."""
    rows = [variable for variable in form.variables if variable.dims[0] == ROW]
    return sum(np.dtype(each.dtype).itemsize * math.prod(sizes[name] for name in each.dims[1:]) for each in rows)


def file_bytes(form: Form, sizes: Mapping[str, int], rows: int, texts: int) -> int:
    """Upper bound of the size of a file with so many rows and bytes of texts, before its events: each of them takes 25
    bytes more.
    """
    capacity = {ROW: max(rows, layout.MAX_CHUNKS), EVENT: 1}
    return bytes_needed(form, {}, {**sizes, ROW: rows, EVENT: 0}, capacity, texts)


def reserve(path: Path, size: int) -> None:
    """Let the file system set `size` more bytes aside for a file; HDF5 gives back what it does not use.

    OSError if the disk or a quota has no room for them, or the file may not become that large.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    with path.open("r+b") as file:
        before = path.stat().st_size
        try:
            os.posix_fallocate(file.fileno(), 0, before + size)
        except OSError as error:
            os.ftruncate(file.fileno(), before)
            if error.errno in FULL:
                raise


class Losses:
    """The errors of one `noticing_losses` block that h5py could not raise."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []

    def check(self) -> None:
        """Raises OSError if anything was lost."""
        if self.errors:
            raise OSError(str(self.errors[0]).split("\n")[0]) from self.errors[0]


@contextmanager
def noticing_losses() -> Iterator[Losses]:
    """Errors while h5py closes its objects, which it cannot raise, are collected instead of printed."""
    losses, hook = Losses(), sys.unraisablehook

    def notice(unraisable: sys.UnraisableHookArgs) -> None:
        if "h5py" in str(unraisable.object) and unraisable.exc_value is not None:
            losses.errors.append(unraisable.exc_value)
        else:
            hook(unraisable)

    sys.unraisablehook = notice
    try:
        yield losses
    finally:
        sys.unraisablehook = hook


@contextmanager
def refusals(what: str, remedy: str | None = None, full: type[TrajectoryError] = TrajectoryError) -> Iterator[None]:
    """Turns errors of the disk, the file system or HDF5 into a TrajectoryError, and that of a full disk into `full`.

    remedy: by default what helps against the error.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        number = getattr(error, "errno", None)
        remedy = remedy or (MAKE_WRITABLE if number in CLOSED else FREE_SPACE)
        raise (full if number in FULL else TrajectoryError)(f"{what}: {error}: {remedy}") from error
