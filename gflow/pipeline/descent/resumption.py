"""The resumption of an interrupted descent: the point from which it goes on, or the reason why it cannot."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gflow.descent import DescentCheckpoint, Iterate
from gflow.descent_plan.ledger import Ledger
from gflow.descent_plan.plan import DescentPlan, Option
from gflow.errors import CheckpointError, TrajectoryError
from gflow.pipeline.descent.checkpoint import CHECKPOINT_FILE_NAME, Saved, load
from gflow.pipeline.resumption import check_version
from gflow.trajectory import Header, Trajectory, open_trajectory

ARRAYS = ("X", "y", "W_initial", "basis", "directions", "X_test", "y_test")


@dataclass(frozen=True, slots=True)
class Words:
    """How messages call what goes on: `comparison`; how it is begun anew; and what is left when descent is complete."""

    what: str
    anew: str
    left: str


@dataclass(frozen=True, slots=True)
class Kept:
    """The rows on disk, with the ledger of those up to where descent goes on, and that point; origin None: it is the
    start, for the reason given, or there is nothing left to do."""

    rows: Trajectory
    runs: int
    ledger: Ledger
    origin: DescentCheckpoint | None
    reason: str = ""

    @property
    def complete(self) -> bool:
        """Is descent finished, and is it recorded how all its runs ended?"""
        return self.rows.outcome is not None and len(self.ledger.ended) == self.runs

    def sentence(self, words: Words) -> str:
        """A sentence for users on what a resume does."""
        if self.complete:
            return f"{self.rows.path} is complete; what is left is {words.left}"
        if self.origin is None:
            return (
                f"{self.reason}: descent starts again at its first step, and the {self.rows.n_rows} rows of "
                f"{self.rows.path} are checked against it"
            )
        return f"going on after {self.origin.taken} steps of descent; {self.rows.path} has {self.rows.n_rows} rows"


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for: the plan, its options as the caller knows them, the header of its file, and its words."""

    plan: DescentPlan
    options: Sequence[Option]
    made: Header
    words: Words


def kept_descent(path: Path, asked: Asked, iterates: Callable[[DescentCheckpoint], Sequence[Iterate]]) -> Kept:
    """The stored part of the descent asked for.  TrajectoryError where there is none.

    iterates: the runs as they would go on from a checkpoint; CheckpointError for one from which they cannot.
    """
    if not path.exists():
        raise TrajectoryError(f"{path}: there is no {asked.words.what} to resume; leave --resume away to start one")
    rows = open_trajectory(path)
    check_version(rows, asked.words.anew)
    _check_asked(rows, asked)
    _check_start(rows, asked)
    place, runs = path.with_name(CHECKPOINT_FILE_NAME), len(asked.plan.runs)
    try:
        saved = load(place, identity_of(asked.made), rows.n_rows)
        _check_point(rows, saved, iterates(saved.origin), asked.plan, place)
    except (TrajectoryError, CheckpointError) as error:
        return Kept(rows, runs, Ledger(), None, str(error))
    return Kept(rows, runs, saved.ledger, saved.origin)


def fits(rows: Trajectory, asked: Asked) -> bool:
    """Does this file hold the descent asked for, to its end?"""
    try:
        _check_asked(rows, asked)
        _check_start(rows, asked)
    except TrajectoryError:
        return False
    return rows.outcome is not None


def _check_point(rows: Trajectory, saved: Saved, iterates: Sequence[Iterate], plan: DescentPlan, place: Path) -> None:
    """TrajectoryError unless a run that has a row at the checkpoint goes on from there with the bits of that row."""
    step = rows.read("step", slice(saved.ledger.n_rows))
    for at in iterates:
        numbers = {"inner": at.U}
        numbers |= {"outer": at.outer} if rows.trains_outer else {}
        numbers |= {} if at.output_bias is None else {"output_bias": at.output_bias}
        for row in np.flatnonzero(plan.runs[at.run].rows(rows, len(step)) & (step == at.step)):
            if any(_bits(rows.read(name, int(row))) != _bits(array) for name, array in numbers.items()):
                raise TrajectoryError(f"{place} does not go on from row {row}, to which it leads")


def identity_of(made: Header) -> str:
    """The identity of a descent, in hexadecimal digits: a checkpoint fits only the descent with the same identity."""
    known = hashlib.sha256(json.dumps([made.scenario_sha256, sorted(made.facts.items())]).encode())
    for name in (*ARRAYS, "outer"):
        known.update(_bits(getattr(made, name)))
    return known.hexdigest()


def _check_asked(rows: Trajectory, about: Asked) -> None:
    """TrajectoryError unless the same runs are asked for."""
    if not {"until_time", "until_steps"} & rows.facts.keys():
        raise TrajectoryError(
            f"{rows.path} does not say what was asked for: it is of an earlier version; {about.words.anew}"
        )
    for option in about.options:
        for name, asked in option.facts.items():
            stored = rows.facts.get(name)
            if stored != asked:
                why = ": the rows lie at times that depend on the end" if name == "until_time" else ""
                raise TrajectoryError(
                    f"--resume: {option.name} is {_shown(asked)}, and {rows.path} was begun with {_shown(stored)}"
                    f"{why}; descent goes on as it began: ask for the same, or {about.words.anew}"
                )


def _check_start(rows: Trajectory, about: Asked) -> None:
    """TrajectoryError unless scenario, data and start are those of the run, bit for bit."""
    made = about.made
    stored = {name: getattr(rows, name) for name in ARRAYS} | {"outer": rows.outer_at(0)}
    if rows.facts.get("starts") == "drawn":
        del stored["outer"]  # that of the first seed, where the header has the scenario's
    differs = [name for name, array in stored.items() if _bits(array) != _bits(getattr(made, name))]
    if rows.scenario_sha256 != made.scenario_sha256:
        differs.insert(0, "scenario")
    if differs:
        raise TrajectoryError(
            f"--resume: {rows.path} is of another run than the one beside it ({', '.join(differs)} differ): "
            f"{about.words.anew}"
        )


def _bits(array: NDArray[Any] | None) -> bytes:
    return b"" if array is None else f"{array.shape}".encode() + np.ascontiguousarray(array, dtype=float).tobytes()


def _shown(value: object) -> str:
    return "not given" if value is None else str(value).strip("[]")
