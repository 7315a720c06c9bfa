"""The opening of a trajectory for reading, which waits for a run that is writing and explains what is wrong with a
file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from gflow.errors import TrajectoryError
from gflow.trajectory import layout
from gflow.trajectory.content import HdfFile

# The errors of h5py for a damaged file: unreadable, or with an object of another type, shape or encoding.
DAMAGE = (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError, MemoryError)
LOCK_PATIENCE = 2.0  # seconds; a writer holds the file for milliseconds a block


def located(path: Path) -> Path:
    """The file of a run folder, or the file itself.  TrajectoryError: there is none."""
    file = path / layout.FILE_NAME if path.is_dir() else path
    if path.is_dir() and not file.exists() and (path / layout.DESCENT_FILE_NAME).is_file():
        return path / layout.DESCENT_FILE_NAME  # of descent alone
    if not file.is_file():
        raise TrajectoryError(f"{file}: no such file: give a run folder or its {layout.FILE_NAME}")
    return file


@contextmanager
def opened(path: Path) -> Iterator[HdfFile]:
    """The open file; every error that HDF5 raises about it becomes a TrajectoryError."""
    try:
        with unlocked(path) as file:
            yield file
    except BlockingIOError as error:
        raise TrajectoryError(
            f"{path} is locked by another program ({error}): close it there, or set HDF5_USE_FILE_LOCKING=FALSE"
        ) from error
    except DAMAGE as error:
        raise TrajectoryError(explained(path, error)) from error


def unlocked(path: Path) -> HdfFile:
    """Open for reading, after the block that a run may be writing just now."""
    deadline = time.monotonic() + LOCK_PATIENCE
    while True:
        try:
            return h5py.File(path, "r")
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def explained(path: Path, error: Exception) -> str:
    """The message on an error of h5py: what it means for the file, and what to do."""
    if not path.is_file():
        return f"{path}: no such file any more: it was moved or removed meanwhile"
    if isinstance(error, PermissionError):
        return f"{path} may not be read: {error}: ask its owner, or copy it"
    if not h5py.is_hdf5(path):
        return f"{path} is not an HDF5 file: give a run folder or its {layout.FILE_NAME}"
    if "truncated file" in str(error):
        return f"{path} is cut off ({error}): copy it again from where it was written, or run anew"
    return f"{path} is damaged or incomplete ({error}): copy it again from where it was written, or run anew"
