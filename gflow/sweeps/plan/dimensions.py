"""The dimensions of a sweep: one for each axis of the grid, one for keys that move together, one for random draws."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gflow.errors import ScenarioError
from gflow.scenario.tree import Leaf, Listing, Node, Table, plain
from gflow.sweeps.plan.reading import integer_of, refuse, table_of
from gflow.sweeps.plan.values import INTEGERS, MOST_VALUES, spaced, values_of

KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
NO_AXIS = {
    "gflow": "is the version of the scenario format",
    "name": "names the runs and changes nothing in them",
    "analyses": "must be the same for all runs of a table; give it beside `axes`",
}
DRAW = "draw"


@dataclass(frozen=True, slots=True)
class Dimension:
    """One dimension of the table.  keys: of the scenario, which move together along it; steps: their values at each
    step, (steps, keys), with the places where they were written."""

    name: str
    keys: tuple[str, ...]
    steps: tuple[tuple[Node, ...], ...]

    def __len__(self) -> int:
        return len(self.steps)

    def values(self, step: int) -> dict[str, Any]:  # Any: values of the scenario
        """The values of the keys at one step."""
        return {key: plain(node) for key, node in zip(self.keys, self.steps[step], strict=True)}


def dimensions_of(axes: Node | None, zipped: Node | None, random: Node | None) -> tuple[Dimension, ...]:
    """The dimensions that the keys `axes`, `zip` and `random` of a sweep file give, the last one changing fastest.

    Raises ScenarioError, also where two of them set the same value.
    """
    grid = list(_grid(axes))
    together = [] if zipped is None else [_zipped(each) for each in _groups(zipped)]
    draws = [] if random is None else [_random(random)]
    found = tuple(grid + together + draws)
    _check_clashes(found)
    return found


def _grid(axes: Node | None) -> Iterator[Dimension]:
    if axes is None:
        return
    for written, node in table_of(axes, "axes", "axes: {key: [values]}").entries.items():
        key = _key(written, node)
        yield Dimension(key, (key,), tuple((value,) for value in values_of(node, f"axes.{written}")))


def _groups(zipped: Node) -> Sequence[Node]:
    """`zip` is one group of keys, or a list of groups."""
    return zipped.items if isinstance(zipped, Listing) else [zipped]


def _zipped(group: Node) -> Dimension:
    """Keys that move together: the first names the dimension."""
    table = table_of(group, "zip", "zip: {key: [values], key: [values]}")
    if len(table.entries) < 2:
        refuse(table, "zip", "needs at least two keys that move together; a single one belongs in `axes`")
    columns = {_key(written, node): values_of(node, f"zip.{written}") for written, node in table.entries.items()}
    first, *_ = columns
    for key, values in columns.items():
        if len(values) != len(columns[first]):
            refuse(
                table, f"zip.{key}", f"has {len(values)} values, and {first} has {len(columns[first])}; make them equal"
            )
    return Dimension(first, tuple(columns), tuple(zip(*columns.values(), strict=True)))


def _random(random: Node) -> Dimension:
    """Independent draws of some keys, the same for the same seed; more draws keep the earlier ones."""
    form = "random: {count: 100, seed: 0, keys: {init.std: {log: [1e-3, 1]}}}"
    table = table_of(random, "random", form, ("count", "seed", "keys"))
    for needed in ("count", "keys"):
        if needed not in table.entries:
            refuse(table, "random", f"has no {needed}; write {form}")
    count = integer_of(table.entries["count"], "random.count", 1, MOST_VALUES)
    seed = integer_of(table.entries["seed"], "random.seed", 0, 2**63 - 1) if "seed" in table.entries else 0
    keys = table_of(table.entries["keys"], "random.keys", form)
    if not keys.entries:
        refuse(keys, "random.keys", f"has no keys; write {form}")
    # A stream for each key by its name: adding a key, or a draw, leaves the other draws as they are.
    columns = {_key(written, node): _drawn(written, node, count, seed) for written, node in keys.entries.items()}
    return Dimension(DRAW, tuple(columns), tuple(zip(*columns.values(), strict=True)))


def _drawn(key: str, node: Node, count: int, seed: int) -> list[Node]:
    generator = np.random.default_rng([seed, *key.encode("ascii")])
    what = f"random.keys.{key}"
    if isinstance(node, Listing):
        choices = values_of(node, what)
        return [choices[index] for index in generator.integers(len(choices), size=count)]
    if isinstance(node, Leaf) and (found := INTEGERS.fullmatch(str(node.value))):
        low, high = int(found[1]), int(found[2])
        if not low <= high:
            refuse(node, what, f"runs down; write {high}..{low}")
        return [_leaf(node, value) for value in generator.integers(low, high, size=count, endpoint=True).tolist()]
    if not isinstance(node, Table):
        refuse(
            node, what, "is nothing to draw from; write {log: [low, high]}, {linear: [low, high]}, [choices] or 0..9"
        )
    spacing, (low_end, high_end), _ = spaced(node, what, counted=False)
    share = generator.random(count)
    if spacing == "linear":
        return [_leaf(node, value) for value in (low_end + (high_end - low_end) * share).tolist()]
    return [_leaf(node, value) for value in (low_end * (high_end / low_end) ** share).tolist()]


def _leaf(node: Node, value: float | int) -> Leaf:
    return Leaf(node.place, value, repr(value))


def _key(written: str, node: Node) -> str:
    """The key of the scenario; `seeds` is the plural of `seed`."""
    key = "seed" if written == "seeds" else written
    if not KEY.fullmatch(key):
        refuse(node, repr(key), "is no key of a scenario; write it with dots, for example model.activation.slope")
    if key in NO_AXIS:
        refuse(node, key, f"is no axis: it {NO_AXIS[key]}")
    return key


def _check_clashes(dimensions: Sequence[Dimension]) -> None:
    """Refuse two axes of one key, and one whose key is part of another's."""
    seen: dict[str, Node] = {}
    for dimension in dimensions:
        for key, node in zip(dimension.keys, dimension.steps[0], strict=True):
            for other, first in seen.items():
                if key == other or key.startswith(f"{other}.") or other.startswith(f"{key}."):
                    which = "is an axis twice" if key == other else f"clashes with the axis {other}"
                    raise ScenarioError(f"{node.place}: {key}: {which} ({first.place}); keep one of them")
            seen[key] = node
