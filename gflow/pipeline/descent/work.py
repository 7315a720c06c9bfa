"""The work of descent, which writes `descent.h5` and its checkpoint: the same for `gflow descend` and `gflow compare`.
Loads torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from gflow.assembly import Setup, check_room, drawn_start, provenance, row_bytes
from gflow.descent import DescentCheckpoint, Iterate
from gflow.descent.loop import DescentItem
from gflow.descent_plan.ledger import Ledger
from gflow.descent_plan.plan import Option, kept_facts
from gflow.descent_plan.runs import descent_items, iterates_of
from gflow.pipeline.descent.checkpoint import CHECKPOINT_FILE_NAME, remove, save
from gflow.pipeline.descent.file import DescentFile
from gflow.pipeline.descent.resumption import Asked, Kept, identity_of, kept_descent
from gflow.pipeline.descent.store import DescentStore
from gflow.pipeline.flow_file import header
from gflow.scenario import Scenario
from gflow.trajectory import DESCENT, Header, Trajectory

FLOW_FACTS = ("engine", "method", "rtol", "atol")
GO_ON = "go on with the same command and --resume"
Told = Callable[[int, int], None]
"""Told steps taken and asked for."""


class DescentWork:
    """Runs of descent as asked for, with their file at `path` and its checkpoint beside it."""

    def __init__(self, path: Path, scenario: Scenario, setup: Setup, asked: Asked) -> None:
        self.path, self.asked = path, asked
        self._scenario, self._setup = scenario, setup
        self._items: Iterator[DescentItem]

    def setup_of(self, seed: int | None) -> Setup:
        """The problem and the start of the runs with a seed; drawn anew each time, since starts may be large."""
        if seed is None or self.asked.plan.asked.starts != "drawn":
            return self._setup
        return drawn_start(self._scenario, self._setup, seed)

    def kept(self) -> Kept:
        """What is on disk of it, to go on with.  TrajectoryError where there is nothing that fits."""
        return kept_descent(self.path, self.asked, self._iterates)

    def prepare(self, kept: Kept | None) -> None:
        """Make the runs, or what is left of them.  Raises ScenarioError for what cannot be done; nothing is written."""
        origin = None if kept is None else kept.origin
        self._items = descent_items(self.setup_of, self.asked.plan, origin)

    def check_room(self, key: str, remedy: str) -> None:
        """Raise ScenarioError where the rows will not fit on the disk; key: named in the message."""
        problem = self._setup.problem
        row = row_bytes(self._scenario, problem.samples, problem.coordinates().shape[-1])
        check_room(key, self.asked.plan.rows, row, self.path, True, remedy)

    def carry_out(self, kept: Kept | None, alive: Callable[[], None], progress: Told) -> Ledger:
        """Run descent to its end, or to an interruption; then its rows so far are on disk.

        alive: called where descent could be resumed; it may raise KeyboardInterrupt.
        """
        file = self._file(kept, progress)
        if kept is not None and kept.complete:
            return file.ledger
        try:
            file.follow(self._items, alive)
        except KeyboardInterrupt as stop:
            file.settle()
            rows = (
                f"{self.path} keeps {file.n_rows} rows of descent; {GO_ON}"
                if file.n_rows
                else "nothing was written yet"
            )
            stop.args = (f"interrupted; {rows}",)
            raise
        return file.ledger

    def clear(self) -> None:
        """Remove the checkpoint of what is complete."""
        remove(self.path.with_name(CHECKPOINT_FILE_NAME))

    def _iterates(self, origin: DescentCheckpoint) -> Sequence[Iterate]:
        return iterates_of(self.setup_of, self.asked.plan, origin)

    def _file(self, kept: Kept | None, progress: Told) -> DescentFile:
        rows, ledger = (None, Ledger()) if kept is None else (kept.rows, kept.ledger)
        plan, made = self.asked.plan, self.asked.made
        store = DescentStore(self.path, made, plan.rows, rows, self.asked.words.anew)
        place, identity = self.path.with_name(CHECKPOINT_FILE_NAME), identity_of(made)
        return DescentFile(
            self.setup_of, plan.runs, store, lambda saved: save(place, identity, saved), ledger, progress
        )


def descent_header(scenario: Scenario, setup: Setup, options: Sequence[Option], of: Trajectory | None = None) -> Header:
    """The header of `descent.h5`: that of a flow's file, with the facts of descent; of: the file whose scenario it
    has."""
    flow = header(scenario, setup)
    facts = {name: value for name, value in flow.facts.items() if name not in FLOW_FACTS}
    same = flow if of is None else of
    return replace(
        flow,
        kind=DESCENT,
        scenario=same.scenario,
        scenario_resolved=same.scenario_resolved,
        scenario_sha256=same.scenario_sha256,
        provenance=provenance(scenario),
        facts=facts | kept_facts(options),
    )


@contextmanager
def interrupted(what: str) -> Iterator[None]:
    """Adds to an interruption inside a sentence on what it leaves."""
    try:
        yield
    except KeyboardInterrupt as stop:
        stop.args = (f"interrupted; {what}",)
        raise
