"""The resumption of an interrupted comparison: the point from which its descent goes on, or the reason why it
cannot."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gflow.comparison.ledger import Ledger
from gflow.comparison.plan import Plan
from gflow.descent import DescentCheckpoint, Iterate
from gflow.errors import CheckpointError, TrajectoryError
from gflow.pipeline.descent.checkpoint import CHECKPOINT_FILE_NAME, Saved, load
from gflow.pipeline.resumption import check_version
from gflow.trajectory import Header, Trajectory, open_trajectory

ANEW = "compare anew, without --resume"
ARRAYS = ("X", "y", "W_initial", "basis", "directions")


@dataclass(frozen=True, slots=True)
class Kept:
    """The rows on disk, and the checkpoint; saved None: no checkpoint can be used, for the reason given."""

    rows: Trajectory
    saved: Saved | None
    reason: str = ""

    @property
    def origin(self) -> DescentCheckpoint | None:
        """Where descent goes on; None: at its start."""
        return None if self.saved is None else self.saved.origin

    @property
    def ledger(self) -> Ledger:
        """The ledger of the rows up to that point."""
        return Ledger() if self.saved is None else self.saved.ledger

    @property
    def complete(self) -> bool:
        """Is descent finished, and is it recorded how all its runs ended?"""
        asked = json.loads(str(self.rows.facts["etas"]))
        return self.rows.outcome is not None and len(self.ledger.ended) == len(asked)

    def sentence(self) -> str:
        """A sentence for users on what a resume does."""
        if self.complete:
            return f"{self.rows.path} is complete; what is left is the flow beside it"
        if self.origin is None:
            return (
                f"{self.reason}: descent starts again at its first step, and the {self.rows.n_rows} rows of "
                f"{self.rows.path} are checked against it"
            )
        return f"going on after {self.origin.taken} steps of descent; {self.rows.path} has {self.rows.n_rows} rows"


def kept_descent(
    path: Path, made: Header, plan: Plan, iterates: Callable[[DescentCheckpoint], Sequence[Iterate]]
) -> Kept:
    """The stored part of the descent of this plan, whose header would be `made`.  TrajectoryError where there is none.

    iterates: the runs as they would go on from a checkpoint; CheckpointError for one from which they cannot.
    """
    if not path.exists():
        raise TrajectoryError(f"{path}: there is no comparison to resume; leave --resume away to start one")
    rows = open_trajectory(path)
    check_version(rows, ANEW)
    _check_asked(rows, plan)
    _check_start(rows, made)
    place = path.with_name(CHECKPOINT_FILE_NAME)
    try:
        saved = load(place, identity_of(made), rows.n_rows)
        _check_point(rows, saved, iterates(saved.origin), place)
    except (TrajectoryError, CheckpointError) as error:
        return Kept(rows, None, str(error))
    return Kept(rows, saved)


def _check_point(rows: Trajectory, saved: Saved, iterates: Sequence[Iterate], place: Path) -> None:
    """TrajectoryError unless a run that has a row at the checkpoint goes on from there with the bits of that row."""
    counted = slice(saved.ledger.n_rows)
    etas, eta, step = json.loads(str(rows.facts["etas"])), rows.read("eta", counted), rows.read("step", counted)
    for at in iterates:
        numbers = {"inner": at.U}
        numbers |= {"outer": at.outer} if rows.trains_outer else {}
        numbers |= {} if at.output_bias is None else {"output_bias": at.output_bias}
        for row in np.flatnonzero((eta == etas[at.run]) & (step == at.step)):
            if any(_bits(rows.read(name, int(row))) != _bits(array) for name, array in numbers.items()):
                raise TrajectoryError(f"{place} does not go on from row {row}, to which it leads")


def identity_of(made: Header) -> str:
    """The identity of a descent, in hexadecimal digits: a checkpoint fits only the descent with the same identity."""
    known = hashlib.sha256(json.dumps([made.scenario_sha256, sorted(made.facts.items())]).encode())
    for name in (*ARRAYS, "outer"):
        known.update(_bits(getattr(made, name)))
    return known.hexdigest()


def _check_asked(rows: Trajectory, plan: Plan) -> None:
    """TrajectoryError unless the same runs are asked for."""
    if "until_time" not in rows.facts:
        raise TrajectoryError(f"{rows.path} does not say what was asked for: it is of an earlier version; {ANEW}")
    for option in plan.options:
        for name, asked in option.facts.items():
            stored = rows.facts.get(name)
            if stored != asked:
                why = ": the rows lie at times that depend on the end" if name == "until_time" else ""
                raise TrajectoryError(
                    f"--resume: {option.name} is {_shown(asked)}, and {rows.path} was begun with {_shown(stored)}"
                    f"{why}; descent goes on as it began: ask for the same, or {ANEW}"
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
