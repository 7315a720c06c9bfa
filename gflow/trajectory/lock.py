"""The lock of a run folder, which admits one writer at a time; a killed run leaves no lock behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gflow.errors import TrajectoryError

try:
    import fcntl
except ModuleNotFoundError:  # not a POSIX system: a second writer is then noticed at its first commit
    fcntl = None  # type: ignore[assignment]


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Make the folder and hold it.  TrajectoryError where another run holds it, or it cannot be made.

    The lock is on the folder itself, not on a file in it; the system releases it with the process, however that ends.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise TrajectoryError(f"{folder} cannot be used: {error}: choose another folder with --out") from error
    try:
        _lock(folder, descriptor)
        yield
    finally:
        os.close(descriptor)


def _lock(folder: Path, descriptor: int) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise TrajectoryError(
            f"{folder} is being written by another run of gflow: wait for it to end, or use another folder"
        ) from error
    except OSError:
        return  # a file system without such locks, as where there is no fcntl
