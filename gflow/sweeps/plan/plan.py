"""The plan of a sweep: the scenario of every run and its id, all judged before anything is run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

from gflow.errors import ScenarioError
from gflow.scenario import Scenario, sha256
from gflow.scenario.load import scenario_of_tree, with_key
from gflow.scenario.tree import Node, Place, node_at
from gflow.sweeps.plan.dimensions import Dimension
from gflow.sweeps.plan.sweep_file import SweepSpec, Wanted

MOST_RUNS = 1_000_000
ID_LENGTH = 16  # hexadecimal digits; two of a million runs share one with probability 3e-8
NAMED_FILES = (("data", "path"), ("init", "path"))


@dataclass(frozen=True, slots=True)
class Plan:
    """All runs of a sweep.  A point is one step along every dimension, counted with the last dimension fastest.

    ids: the run of each point; two points whose scenarios are equal share one.  files: SHA-256 of the data and
    initialisation files that scenarios name, by their paths.
    """

    spec: SweepSpec
    ids: tuple[str, ...]
    files: dict[str, str]

    def content(self, point: int) -> dict[str, Any]:  # Any: values of the scenario
        """The scenario of a point with every default filled in."""
        return scenario_of_tree(tree_at(self.spec, point)).model_dump(mode="json", exclude_none=True)


def plan_of(spec: SweepSpec) -> Plan:
    """Judge the scenario of every run.  Raises ScenarioError for the first that is not usable, and for too many."""
    count = prod(len(dimension) for dimension in spec.dimensions)
    if count > MOST_RUNS:
        sizes = " x ".join(f"{len(dimension)} ({dimension.name})" for dimension in spec.dimensions)
        raise ScenarioError(f"{_named(spec)}: asks for {count} runs, {sizes}; a sweep has at most {MOST_RUNS}")
    ids, files = [], dict[str, str]()
    for point in range(count):
        tree = tree_at(spec, point)
        scenario = scenario_of_tree(tree)
        ids.append(run_id(scenario, spec.wanted))
        for path, place in _named_files(scenario, tree, spec.folder):
            if path not in files:
                files[path] = _digest(path, place)
    return Plan(spec, tuple(ids), files)


def steps_at(dimensions: tuple[Dimension, ...], point: int) -> tuple[int, ...]:
    """The step along every dimension at a point."""
    steps = []
    for dimension in reversed(dimensions):
        point, step = divmod(point, len(dimension))
        steps.append(step)
    return tuple(reversed(steps))


def tree_at(spec: SweepSpec, point: int) -> Node:
    """The tree of the scenario at a point, whose values have the places where they were written."""
    tree = spec.base
    steps = zip(spec.dimensions, steps_at(spec.dimensions, point), strict=True)
    values = [pair for along, step in steps for pair in zip(along.keys, along.steps[step], strict=True)]
    for key, node in sorted(
        values, key=lambda pair: not pair[0].endswith("kind")
    ):  # a kind decides what keys there are
        tree = with_key(tree, tuple(key.split(".")), node)
    return tree


def run_id(scenario: Scenario, wanted: Wanted) -> str:
    """The id of a run: of its scenario, and of what is kept of it, so that a run with more to keep is a new one."""
    kept = {name: value for name, value in asdict(wanted).items() if name != "steps" or value}  # as before there were
    text = json.dumps([sha256(scenario), kept], sort_keys=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:ID_LENGTH]


def _named(spec: SweepSpec) -> str:
    return "gflow.sweep" if spec.source is None else str(spec.source)


def _named_files(scenario: Scenario, tree: Node, folder: Path) -> Iterator[tuple[str, Place | None]]:
    """The files that a scenario names, and where."""
    for section, key in NAMED_FILES:
        path = getattr(getattr(scenario, section), key, None)
        if path is not None:
            node = node_at(tree, (section, key))
            yield str((folder / path).absolute()), None if node is None else node.place


def _digest(path: str, place: Place | None) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise ScenarioError(f"{place}: {path}: cannot be read ({error.strerror}); check the path") from None
