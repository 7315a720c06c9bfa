"""The reader of the files of experiments, which refuses in words, with file:line, what cannot be carried out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

from gflow.errors import ScenarioError
from gflow.papers.experiment import (
    CLOCKS,
    LEAST,
    MOST,
    NEURONS,
    Bounds,
    Experiment,
    Figure,
    Panel,
    ShareStatement,
    Statement,
    TrendStatement,
    ValueStatement,
    Where,
)
from gflow.papers.quantity import WRITE, Quantity, quantity_of
from gflow.scenario.load import composed, read_text
from gflow.scenario.tree import Leaf, Listing, Node, Table, plain
from gflow.sweeps.plan.reading import items_of, number_of, refuse, table_of, word_of
from gflow.sweeps.plan.sweep_file import KNOWN as SWEEP_KEYS
from gflow.sweeps.plan.sweep_file import SweepSpec, sweep_of_tree
from gflow.sweeps.run.columns import Value

Size = Literal["quick", "full"]
KNOWN = ("title", "source", "states", "unstated", "needs", "sweeps", "figures", "outcomes")
PANEL_KEYS = ("sweep", "title", "x", "x_label", "y_label", "lines", "by", "by_label", "at", "log", "band")
OUTCOME_KEYS = (
    *("stated", "sweep", "value", "share", "among", "at", "against", "within", "direction"),
    *("falls_along", "rises_along", "note"),
)
DESCENT, SEED, QUICK = "descent", "seed", "quick"
BOUNDS_FORM = "[least, most], null where there is none"


class Axis(NamedTuple):
    """An axis of a sweep: its key, and its values in their order."""

    name: str
    values: tuple[Value, ...]


def load_experiment(path: Path, size: Size) -> Experiment:
    """Read a file `<paper>/<experiment>.yaml` in one of its sizes.  Raises ScenarioError."""
    tree = composed(read_text(path), str(path))
    if tree is None:
        raise ScenarioError(f"{path}: is empty; begin with `title:`")
    table = _table(tree, "", "title:, sweeps: and so on", KNOWN, "the experiment", ("title", "source", "states"))
    needs = _text(table, "needs")
    given = table.entries.get("sweeps")
    if (given is None) == (not needs):
        refuse(table, "the experiment", "must have either `sweeps`, or `needs` with the data that are not there")
    sweeps = {} if given is None else _sweeps(given, path.parent, size)
    return Experiment(
        name=f"{path.parent.name}/{path.stem}",
        title=_text(table, "title"),
        source=_text(table, "source"),
        states=_text(table, "states"),
        unstated=_text(table, "unstated"),
        needs=needs,
        size=size,
        sweeps=sweeps,
        figures=tuple(_figure(node, sweeps) for node in _list(table, "figures")),
        statements=tuple(_statement(node, sweeps) for node in _list(table, "outcomes")),
    )


def axes_of(spec: SweepSpec) -> dict[str, Axis]:
    """The axes of a sweep by their keys."""
    return {
        key: Axis(key, tuple(plain(step[k]) for step in each.steps))
        for each in spec.dimensions
        for k, key in enumerate(each.keys)
    }


def _sweeps(node: Node, folder: Path, size: Size) -> dict[str, SweepSpec]:
    table = table_of(node, "sweeps", "sweeps: {name: {base:, axes:}}")
    return {name: _sweep(name, each, folder, size) for name, each in table.entries.items()}


def _sweep(name: str, node: Node, folder: Path, size: Size) -> SweepSpec:
    """The sweep in its full size, or with what `quick` changes."""
    table = table_of(node, f"sweeps.{name}", "base:, axes: and so on", (*SWEEP_KEYS, QUICK))
    entries = dict(table.entries)
    changes = entries.pop(QUICK, None)
    whole: Node = replace(table, entries=entries)
    return sweep_of_tree(whole if changes is None or size == "full" else _merged(whole, changes), name, folder)


def _merged(tree: Node, changes: Node) -> Node:
    """The tree with other values: mappings are merged, all else is replaced."""
    if not isinstance(tree, Table) or not isinstance(changes, Table):
        return changes
    below = {key: _merged(tree.entries[key], node) for key, node in changes.entries.items() if key in tree.entries}
    return replace(tree, entries={**tree.entries, **changes.entries, **below})


def _figure(node: Node, sweeps: Mapping[str, SweepSpec]) -> Figure:
    table = _table(node, "figures", "title: and panels:", ("title", "panels"), "a figure", ("title", "panels"))
    return Figure(_text(table, "title"), tuple(_panel(each, sweeps) for each in _list(table, "panels")))


def _panel(node: Node, sweeps: Mapping[str, SweepSpec]) -> Panel:
    table = _table(node, "panels", "sweep:, x:, lines: and so on", PANEL_KEYS, "a panel", ("x", "y_label", "lines"))
    name, axes = _sweep_named(table, sweeps)
    given = table.entries
    x = _axis(given["x"], "x", axes, (*CLOCKS, NEURONS))
    lines = {
        label: _quantity(each) for label, each in table_of(given["lines"], "lines", "{words: column}").entries.items()
    }
    if x == "step" and not all(each.first.startswith(DESCENT) for each in lines.values()):
        refuse(given["x"], "x", "only descent has steps; use t or log1p_time for the flow")
    by = _axis(given["by"], "by", axes) if "by" in given else None
    where = _where(table, "at", axes, {x, by, SEED})
    log = _text(table, "log")
    if log not in ("", "x", "y", "xy"):
        refuse(given["log"], "log", "must be x, y or xy")
    return Panel(
        sweep=name,
        title=_text(table, "title"),
        x=x,
        x_label=_text(table, "x_label") or CLOCKS.get(x, x),
        y_label=_text(table, "y_label"),
        lines=lines,
        by=by,
        by_label=_text(table, "by_label") or (by or "").rpartition(".")[2],
        where=where,
        log=log,
        deviations=float(number_of(given["band"], "band")) if "band" in given else 1.0,
    )


def _statement(node: Node, sweeps: Mapping[str, SweepSpec]) -> Statement:
    table = _table(node, "outcomes", "stated:, sweep:, value: and so on", OUTCOME_KEYS, "an outcome", ("stated",))
    name, axes = _sweep_named(table, sweeps)
    kinds = [key for key in ("value", "share") if key in table.entries]
    if len(kinds) != 1:
        refuse(table, "an outcome", "must have one of value and share")
    along = [key for key in ("falls_along", "rises_along") if key in table.entries]
    if kinds == ["share"]:
        what: ValueStatement | TrendStatement | ShareStatement = _share(table, axes)
    elif along:
        what = _trend(table, along[0], axes)
    else:
        what = _value(table, axes)
    return Statement(_text(table, "stated"), name, what, _text(table, "note"))


def _value(table: Table, axes: Mapping[str, Axis]) -> ValueStatement:
    given = table.entries
    against = _where(table, "against", axes, {SEED}) if "against" in given else None
    within, direction = _all_bounds(table)
    return ValueStatement(_quantity(given["value"]), _where(table, "at", axes, {SEED}), against, within, direction)


def _trend(table: Table, key: str, axes: Mapping[str, Axis]) -> TrendStatement:
    given = table.entries
    along = _axis(given[key], key, axes)
    where = _where(table, "at", axes, {along, SEED})
    return TrendStatement(_quantity(given["value"]), where, along, key == "rises_along")


def _share(table: Table, axes: Mapping[str, Axis]) -> ShareStatement:
    given = table.entries
    column, equals, word = str(plain(given["share"])).partition(" = ")
    if not equals:
        refuse(given["share"], "share", "must be a column and a word, for example freezing.verdict = proved")
    among = tuple(str(plain(each)) for each in _list(table, "among"))
    within, direction = _all_bounds(table)
    return ShareStatement(column, word, among, _where(table, "at", axes, set(axes)), within, direction)


def _all_bounds(table: Table) -> tuple[Bounds, Bounds | None]:
    given = table.entries
    if "within" not in given:
        refuse(table, "an outcome", f"has no bounds; add within: {BOUNDS_FORM}, or falls_along or rises_along an axis")
    return _bounds(given["within"], "within"), _bounds(
        given["direction"], "direction"
    ) if "direction" in given else None


def _bounds(node: Node, what: str) -> Bounds:
    ends = items_of(node, what, BOUNDS_FORM)
    if len(ends) != 2:
        refuse(node, what, f"must be {BOUNDS_FORM}")
    least, most = (None if plain(end) is None else float(number_of(end, what)) for end in ends)
    return least, most


def _sweep_named(table: Table, sweeps: Mapping[str, SweepSpec]) -> tuple[str, dict[str, Axis]]:
    """The sweep that a panel or an outcome is of: the only one, where none is named."""
    if "sweep" in table.entries:
        name = word_of(table.entries["sweep"], "sweep", tuple(sweeps))
    elif len(sweeps) == 1:
        (name,) = sweeps
    else:
        refuse(table, "sweep", f"must be named: one of {', '.join(sweeps) or 'none'}")
    return name, axes_of(sweeps[name])


def _axis(node: Node, what: str, axes: Mapping[str, Axis], others: Sequence[str] = ()) -> str:
    return word_of(node, what, (*axes, *others))


def _where(holder: Table, what: str, axes: Mapping[str, Axis], free: set[str | None]) -> Where:
    """The values of axes under the key `what`; every axis that has several and is not free must have one."""
    where: dict[str, Value] = {}
    given = holder.entries.get(what)
    entries = {} if given is None else table_of(given, what, "{axis: value}", tuple(axes)).entries
    for name, entry in entries.items():
        where[name] = _place(entry, f"{what}.{name}", axes[name])
    for axis in axes.values():
        if axis.name not in where and axis.name not in free and len(axis.values) > 1:
            refuse(holder, what, f"must name a value of {axis.name}, which has {len(axis.values)}; for example most")
    return where


def _place(node: Node, what: str, axis: Axis) -> Value:
    value: Value = plain(node)
    numbers = [each for each in axis.values if isinstance(each, int | float)]
    if value in (LEAST, MOST) and numbers:
        return min(numbers) if value == LEAST else max(numbers)
    if value not in axis.values:
        refuse(node, what, f"is no value of the axis; use one of {', '.join(map(str, axis.values))}")
    return value


def _quantity(node: Node) -> Quantity:
    found = quantity_of(str(node.value)) if isinstance(node, Leaf) else None
    if found is None:
        refuse(node, "quantity", f"is none; {WRITE}")
    return found


def _table(node: Node, what: str, form: str, known: Sequence[str], who: str, needed: Sequence[str]) -> Table:
    table = table_of(node, what, form, known)
    for key in needed:
        if key not in table.entries:
            refuse(table, who, f"has no {key}; write {form}")
    return table


def _text(table: Table, key: str) -> str:
    """A text on one line; "" where there is none."""
    node = table.entries.get(key)
    if node is None:
        return ""
    if not isinstance(node, Leaf) or not isinstance(node.value, str):
        refuse(node, key, "must be text")
    return " ".join(node.value.split())


def _list(table: Table, key: str) -> tuple[Node, ...]:
    node = table.entries.get(key)
    if node is None:
        return ()
    if not isinstance(node, Listing):
        refuse(node, key, "must be a list")
    return node.items
