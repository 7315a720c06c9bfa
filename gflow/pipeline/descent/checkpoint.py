"""The checkpoint from which descent goes on after a stop: a file beside `descent.h5`, replaced in one step, and removed
when all runs are done."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gflow.descent import DescentCheckpoint
from gflow.descent_plan.ledger import Ledger
from gflow.errors import NoRoomError, TrajectoryError
from gflow.trajectory.space import refusals

CHECKPOINT_FILE_NAME = "descent.checkpoint.npz"
PART = ".part"  # of a name, while the file is made; one is left by a kill only
ABOUT, STATE, DIGEST = "about", "state_", "sha256"
# What numpy and zipfile raise for a file that is not what was written.
DAMAGE = (ValueError, KeyError, TypeError, RuntimeError, EOFError, MemoryError, zipfile.BadZipFile)


@dataclass(frozen=True, slots=True)
class Saved:
    """The ledger of the rows so far, and the point of descent that they lead to."""

    ledger: Ledger
    origin: DescentCheckpoint


def save(path: Path, identity: str, saved: Saved) -> None:
    """Replace the previous checkpoint by this one, which is then on disk also if the power fails.

    TrajectoryError if the disk refuses; the previous checkpoint stays.
    """
    origin = saved.origin
    about = {
        "identity": identity,
        "ledger": saved.ledger.to_json(),
        "taken": origin.taken,
        "group": origin.group,
        "alive": origin.alive,
        "step": origin.step,
    }
    arrays = {ABOUT: np.array(json.dumps(about))} | {STATE + name: array for name, array in origin.state.items()}
    arrays[DIGEST] = np.array(_digest(arrays))
    part = _part_of(path)
    try:
        with refusals(f"{path} could not be saved", full=NoRoomError):
            with part.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]  # for mypy one of them could be `allow_pickle`
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
    finally:  # after an interruption, too; where all went well there is none
        with suppress(OSError):
            part.unlink(missing_ok=True)


def load(path: Path, identity: str, n_rows: int) -> Saved:
    """The checkpoint of the descent with this identity, of which `n_rows` rows are on disk.

    TrajectoryError, with the reason, where there is none, or none that can be used.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # the checksums of all its parts
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        intact = str(arrays.pop(DIGEST)) == _digest(arrays)
        about = json.loads(str(arrays[ABOUT]))
        state = {name.removeprefix(STATE): array for name, array in arrays.items() if name != ABOUT}
        group, alive = tuple(about["group"]), tuple(about["alive"])
        origin = DescentCheckpoint(int(about["taken"]), group, alive, int(about["step"]), state)
        saved = Saved(Ledger.from_json(about["ledger"]), origin)
    except OSError as error:
        raise TrajectoryError(f"{path} cannot be read ({error.strerror})") from error
    except DAMAGE as error:
        raise TrajectoryError(f"{path} is damaged ({error})") from error
    if damaged is not None:
        raise TrajectoryError(f"{path} is damaged (checksum of {damaged})")
    if not intact:
        raise TrajectoryError(f"{path} is damaged (its numbers are not those that were saved)")
    if about["identity"] != identity:
        raise TrajectoryError(f"{path} is of another descent")
    if saved.ledger.n_rows > n_rows:
        raise TrajectoryError(f"{path} counts {saved.ledger.n_rows} rows, of which {n_rows} are there")
    return saved


def remove(path: Path) -> None:
    """Remove the checkpoint, and any unfinished one, when they are not needed any more; one that stays does no harm."""
    with suppress(OSError):
        clear(path)


def clear(path: Path) -> None:
    """Remove the checkpoint and any unfinished one.  OSError where that fails."""
    for each in (path, _part_of(path)):
        each.unlink(missing_ok=True)


def _part_of(path: Path) -> Path:
    return path.with_name(path.name + PART)


def _digest(arrays: dict[str, NDArray[Any]]) -> str:  # Any: dtypes differ
    """SHA-256 of names, shapes, dtypes and numbers."""
    known = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        known.update(f"{name} {array.shape} {array.dtype.str} ".encode())
        known.update(np.ascontiguousarray(array).tobytes())
    return known.hexdigest()
