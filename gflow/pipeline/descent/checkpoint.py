"""Where descent goes on after a stop: a file beside `descent.h5`, replaced in one step, gone when all is done."""

from __future__ import annotations

import json
import os
import zipfile
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gflow.descent import Checkpoint, LossReport
from gflow.errors import TrajectoryError

CHECKPOINT_FILE_NAME = "descent.checkpoint.npz"
ABOUT, STATE = "about", "state_"
# What numpy and zipfile raise for a file that is not what was written.
DAMAGE = (ValueError, KeyError, TypeError, RuntimeError, EOFError, MemoryError, zipfile.BadZipFile)


@dataclass(frozen=True, slots=True)
class Ended:
    """How one run ended."""

    step: int
    diverged: bool
    losses: LossReport | None


@dataclass(slots=True)
class Account:
    """What is known of the runs so far beside their rows; runs by their number."""

    n_rows: int = 0
    largest_margin: float = 0.0
    ended: dict[int, Ended] = field(default_factory=dict)
    lost: dict[int, int] = field(default_factory=dict)
    """the step at which a run had left all scales"""
    clock: dict[int, tuple[float, float, float]] = field(default_factory=dict)
    """t, mean g and tau at the last row of a run"""

    def to_json(self) -> dict[str, Any]:  # Any: JSON values
        """Plain JSON values, numbers in full."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Account:  # Any: JSON values
        """What `to_json` gave; KeyError, TypeError or ValueError for anything else."""
        account = cls(int(content["n_rows"]), float(content["largest_margin"]))
        for run, end in content["ended"].items():
            losses = None if end["losses"] is None else LossReport(**end["losses"])
            account.ended[int(run)] = Ended(end["step"], end["diverged"], losses)
        account.lost = {int(run): int(step) for run, step in content["lost"].items()}
        account.clock = {int(run): (t, rate, tau) for run, (t, rate, tau) in content["clock"].items()}
        return account


@dataclass(frozen=True, slots=True)
class Saved:
    """The account of the rows so far, and the point of descent that they lead to."""

    account: Account
    origin: Checkpoint


def save(path: Path, identity: str, saved: Saved) -> None:
    """Put it in the place of the one before, on disk also if the power fails.  TrajectoryError if the disk refuses: the
    one before stays."""
    origin = saved.origin
    about = {
        "identity": identity,
        "account": saved.account.to_json(),
        "taken": origin.taken,
        "group": origin.group,
        "alive": origin.alive,
        "step": origin.step,
    }
    arrays = {ABOUT: np.array(json.dumps(about))} | {STATE + name: array for name, array in origin.state.items()}
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]  # for mypy one of them could be `allow_pickle`
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise TrajectoryError(
            f"{path} could not be saved: {error}: free disk space; the rows saved before stay readable, and the same "
            "command with --resume goes on"
        ) from error


def load(path: Path, identity: str, n_rows: int) -> Saved:
    """The checkpoint of the descent with this identity, of which so many rows are on disk.

    TrajectoryError, with the reason, where there is none, or none that can be used.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # the checksums of all its parts
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = json.loads(str(arrays[ABOUT]))
        state = {name.removeprefix(STATE): array for name, array in arrays.items() if name != ABOUT}
        group, alive = tuple(about["group"]), tuple(about["alive"])
        origin = Checkpoint(int(about["taken"]), group, alive, int(about["step"]), state)
        saved = Saved(Account.from_json(about["account"]), origin)
    except OSError as error:
        raise TrajectoryError(f"{path} cannot be read ({error.strerror})") from error
    except DAMAGE as error:
        raise TrajectoryError(f"{path} is damaged ({error})") from error
    if damaged is not None:
        raise TrajectoryError(f"{path} is damaged (checksum of {damaged})")
    if about["identity"] != identity:
        raise TrajectoryError(f"{path} is of another descent")
    if saved.account.n_rows > n_rows:
        raise TrajectoryError(f"{path} counts {saved.account.n_rows} rows, of which {n_rows} are there")
    return saved


def remove(path: Path) -> None:
    """It is not needed any more, and one that stays does no harm."""
    with suppress(OSError):
        path.unlink(missing_ok=True)
