"""From what an interrupted comparison left to the point where its descent goes on, or the reason why it cannot."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gflow.descent import Checkpoint
from gflow.errors import TrajectoryError
from gflow.pipeline.descent.checkpoint import CHECKPOINT_FILE_NAME, Account, Saved, load
from gflow.pipeline.resumption import check_version
from gflow.trajectory import Header, Trajectory, open_trajectory

ANEW = "compare anew, without --resume"
# Facts of a file of descent that say what was asked for, and the option that asks.
ASKED = {
    "etas": "--eta",
    "until_time": "--until-time",
    "descent": "--sgd",
    "batch": "--sgd",
    "batch_seed": "--seed",
    "precision": "--precision",
    "device": "--device",
}
ARRAYS = ("X", "y", "W_initial", "basis", "directions")


@dataclass(frozen=True, slots=True)
class Kept:
    """Rows on disk, and a checkpoint (None: there is none that can be used, for this reason)."""

    rows: Trajectory
    saved: Saved | None
    reason: str = ""

    @property
    def origin(self) -> Checkpoint | None:
        """Where descent goes on; None: at its start."""
        return None if self.saved is None else self.saved.origin

    @property
    def account(self) -> Account:
        """Of the rows up to there."""
        return Account() if self.saved is None else self.saved.account

    @property
    def complete(self) -> bool:
        """Is nothing left of descent, and is known how its runs ended?"""
        asked = json.loads(str(self.rows.facts["etas"]))
        return self.rows.outcome is not None and len(self.account.ended) == len(asked)

    def sentence(self) -> str:
        """What a resume does, for people."""
        if self.complete:
            return f"{self.rows.path} is complete; what is left is the flow beside it"
        if self.origin is None:
            return (
                f"{self.reason}: descent starts again at its first step, and the {self.rows.n_rows} rows of "
                f"{self.rows.path} are checked against it"
            )
        return f"going on after {self.origin.taken} steps of descent; {self.rows.path} has {self.rows.n_rows} rows"


def kept_descent(path: Path, made: Header) -> Kept:
    """What there is of the descent that would have the header `made`.  TrajectoryError where that is none."""
    if not path.exists():
        raise TrajectoryError(f"{path}: there is no comparison to resume; leave --resume away to start one")
    rows = open_trajectory(path)
    check_version(rows, ANEW)
    _check_asked(rows, made)
    _check_start(rows, made)
    try:
        return Kept(rows, load(path.with_name(CHECKPOINT_FILE_NAME), identity_of(made), rows.n_rows))
    except TrajectoryError as error:
        return Kept(rows, None, str(error))


def identity_of(made: Header) -> str:
    """A checkpoint fits the descent with the same identity only."""
    known = hashlib.sha256(json.dumps([made.scenario_sha256, sorted(made.facts.items())]).encode())
    for name in (*ARRAYS, "outer"):
        known.update(_bits(getattr(made, name)))
    return known.hexdigest()


def _check_asked(rows: Trajectory, made: Header) -> None:
    """TrajectoryError unless the same runs are asked for."""
    if "until_time" not in rows.facts:
        raise TrajectoryError(f"{rows.path} does not say what was asked for: it is of an earlier version; {ANEW}")
    for name, option in ASKED.items():
        stored, asked = rows.facts.get(name), made.facts.get(name)
        if stored != asked:
            why = ": the rows lie at times that depend on the end" if name == "until_time" else ""
            raise TrajectoryError(
                f"--resume: {option} is {_shown(asked)}, and {rows.path} was begun with {_shown(stored)}{why}; descent "
                f"goes on as it began: ask for the same, or {ANEW}"
            )


def _check_start(rows: Trajectory, made: Header) -> None:
    """TrajectoryError unless scenario, data and start are those of the run, bit for bit."""
    stored = {name: getattr(rows, name) for name in ARRAYS} | {"outer": rows.outer_at(0)}
    differs = [name for name, array in stored.items() if _bits(array) != _bits(getattr(made, name))]
    if rows.scenario_sha256 != made.scenario_sha256:
        differs.insert(0, "scenario")
    if differs:
        raise TrajectoryError(
            f"--resume: {rows.path} is of another run than the one beside it ({', '.join(differs)} differ): {ANEW}"
        )


def _bits(array: NDArray[Any] | None) -> bytes:
    return b"" if array is None else f"{array.shape}".encode() + np.ascontiguousarray(array, dtype=float).tobytes()


def _shown(value: object) -> str:
    return "not given" if value is None else str(value).strip("[]")
