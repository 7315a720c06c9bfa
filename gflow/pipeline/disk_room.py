"""The size of the file of a run, known before the run begins, and the room that there is for it."""

from __future__ import annotations

import json
from pathlib import Path

from gflow.assembly import check_room, expected_rows
from gflow.scenario import Scenario
from gflow.scenario.schema import GivenTimes
from gflow.trajectory import Header, Trajectory
from gflow.trajectory.layout import Form
from gflow.trajectory.space import file_bytes, row_bytes


def predicted_bytes(scenario: Scenario, made: Header, form: Form) -> int:
    """The most that the file of a run takes, without its events: nobody knows how many, each takes 25 bytes more."""
    texts = (made.scenario, made.scenario_resolved, json.dumps([made.provenance]))
    return file_bytes(form, made.sizes(), expected_rows(scenario), sum(len(text.encode()) for text in texts))


def check_disk(scenario: Scenario, made: Header, form: Form, path: Path, replaced: bool) -> None:
    """Raise ScenarioError if the file will not fit; replaced: the one that is there goes first."""
    size, row, rows = predicted_bytes(scenario, made, form), row_bytes(form, made.sizes()), expected_rows(scenario)
    remedy = "record fewer rows or choose another --out"
    check_room(_key(scenario), rows, row, path, replaced, remedy, size - rows * row)


def check_disk_again(scenario: Scenario, kept: Trajectory) -> None:
    """Raise ScenarioError if the rows that are to come will not fit beside those that are there."""
    row = row_bytes(kept.form, kept.sizes)
    check_room(_key(scenario), expected_rows(scenario), row, kept.path, False, "free disk space")


def _key(scenario: Scenario) -> str:
    return "record.times.at" if isinstance(scenario.record.times, GivenTimes) else "record.times.count"
