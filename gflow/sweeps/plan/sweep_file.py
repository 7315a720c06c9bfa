"""The sweep file: a base scenario, the axes over its keys, what is run and what is kept of every run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from gflow.errors import ScenarioError
from gflow.scenario import Scenario
from gflow.scenario.load import composed, read_text, scenario_of_tree
from gflow.scenario.schema.descent import MOST_STEPS
from gflow.scenario.tree import Leaf, Listing, Node, Place, Table, plain, tree_of, with_value
from gflow.sweeps.plan.dimensions import Dimension, dimensions_of
from gflow.sweeps.plan.reading import integer_of, items_of, number_of, refuse, table_of, word_of
from gflow.trajectory.layout import SERIES

KNOWN = ("name", "base", "axes", "zip", "random", "analyses", "descent", "series", "keep")
Keep = Literal["summary", "rows", "all"]
LOG_LOSS = "log_loss"  # has a column of its own at the end, and may be asked for at given times
DEFAULT_SERIES = ("min_margin", "normalized_margin", "stable_rank", "weight_norm")
NAMES = (LOG_LOSS, *SERIES)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is kept of every run beside its verdicts.

    keep: `summary` (one row of the table), `rows` (also its series, margins and losses over time) or `all` (a run
    folder).  series: names of series, or `log_loss`, whose value at the end is in the table, for the flow and for
    descent; at: times t at which it is there too; steps: of descent, likewise.
    """

    keep: Keep = "summary"
    series: tuple[str, ...] = DEFAULT_SERIES
    at: tuple[float, ...] = ()
    steps: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class SweepSpec:
    """A sweep as asked for.

    base: the scenario that the axes change, with the analyses and descent of the sweep; folder: of its relative paths;
    source: the sweep file (None: made by a program); text: what is kept of it in the folder of the sweep.
    """

    name: str
    base: Node
    folder: Path
    dimensions: tuple[Dimension, ...]
    wanted: Wanted
    source: Path | None
    text: str


def load_sweep(path: str | Path) -> SweepSpec:
    """Read a sweep file.  Raises ScenarioError, with file:line where there is one."""
    path = Path(path)
    text = read_text(path)
    tree = composed(text, str(path))
    if tree is None:
        raise ScenarioError(f"{path}: is empty; begin with `base:` and the scenario that the axes change")
    return _spec(tree, path.stem, path.parent, path, text)


def sweep_of(content: Mapping[str, Any]) -> SweepSpec:  # Any: nested dicts, lists and scalars
    """The sweep of values that a program gives under the same keys; base may be a Scenario.  Raises ScenarioError."""
    base, folder = content.get("base"), Path.cwd()
    if isinstance(base, Scenario):
        folder, base = base.folder, base.model_dump(mode="json", exclude_none=True)
    elif isinstance(base, Path):
        base = str(base)
    tree = tree_of({**content, **({} if base is None else {"base": base})}, Place("gflow.sweep", None))
    return _spec(tree, "sweep", folder, None, "")


def sweep_of_tree(tree: Node, name: str, folder: Path) -> SweepSpec:
    """The sweep of a part of a file, whose relative paths are relative to `folder`.  Raises ScenarioError."""
    return _spec(tree, name, folder, None, "")


def _spec(tree: Node, name: str, folder: Path, source: Path | None, text: str) -> SweepSpec:
    table = table_of(tree, "", "base:, axes: and so on", KNOWN)
    given = {key: node for key, node in table.entries.items() if not _is_nothing(node)}
    base, folder = _base(given.get("base"), table, folder)
    base = _with_sections(base, given)
    wanted = _wanted(given)
    if wanted.at:
        base = with_value(base, ("record", "times"), _times(given["series"], wanted.at))
    dimensions = dimensions_of(given.get("axes"), given.get("zip"), given.get("random"))
    if not dimensions:
        refuse(table, "the sweep", "has no axes; add `axes: {seeds: 0..9}`, `zip` or `random`")
    return SweepSpec(_name(given, name), base, folder, dimensions, wanted, source, text)


def _is_nothing(node: Node) -> bool:
    return isinstance(node, Leaf) and node.value is None


def _base(node: Node | None, table: Table, folder: Path) -> tuple[Node, Path]:
    """The tree of the base scenario, and the folder of its relative paths."""
    if node is None:
        refuse(table, "the sweep", "has no base; add `base:` with the path of a scenario file, or with a scenario")
    if isinstance(node, Table):
        return node, folder
    if not isinstance(node, Leaf) or not isinstance(node.value, str):
        refuse(node, "base", "must be the path of a scenario file, or a scenario")
    path = folder / node.value
    try:
        tree = composed(read_text(path), str(path))
    except ScenarioError as error:
        raise ScenarioError(f"{error} (base in {node.place})") from None
    if tree is None:
        raise ScenarioError(f"{path}: is empty; begin with `gflow: 1` and a name (base in {node.place})")
    if isinstance(tree, Table) and "axes" in tree.entries and "base" in tree.entries:
        refuse(node, "base", "is a sweep itself; name the scenario that is its own base")
    return tree, path.parent


def _with_sections(base: Node, given: Mapping[str, Node]) -> Node:
    """The base with the analyses and descent of the sweep, which replace its own; it must be a scenario as it is."""
    for section in ("analyses", "descent"):
        if section in given:
            base = with_value(base, (section,), given[section])
    scenario_of_tree(base)
    return base


def _wanted(given: Mapping[str, Node]) -> Wanted:
    keep = word_of(given["keep"], "keep", get_args(Keep)) if "keep" in given else "summary"
    names, at, steps = _series(given["series"]) if "series" in given else (DEFAULT_SERIES, (), ())
    return Wanted(keep, names, at, steps)  # type: ignore[arg-type]  # one of the words of `Keep`


def _series(node: Node) -> tuple[tuple[str, ...], tuple[float, ...], tuple[int, ...]]:
    """Names, times and steps, where there are some beside the names: [names], or {names:, at: [times], steps: [k]}."""
    form = "[stable_rank], or {names: [stable_rank], at: [1.0, 20.0]}, or {names: [stable_rank], steps: [1, 10]}"
    if isinstance(node, Listing):
        return tuple(word_of(name, "series", NAMES) for name in items_of(node, "series", form)), (), ()
    given = table_of(node, "series", form, ("names", "at", "steps")).entries
    if "names" not in given or len(given) < 2:
        refuse(node, "series", f"needs names, and at or steps; write {form}")
    names = tuple(word_of(name, "series.names", NAMES) for name in items_of(given["names"], "series.names", form))
    times = [number_of(t, "series.at") for t in _items(given, "at", form)]
    steps = tuple(integer_of(k, "series.steps", 0, MOST_STEPS) for k in _items(given, "steps", form))
    return names, tuple(map(float, times)), steps


def _items(given: Mapping[str, Node], key: str, form: str) -> tuple[Node, ...]:
    return items_of(given[key], f"series.{key}", form) if key in given else ()


def _times(series: Node, at: tuple[float, ...]) -> Node:
    """The row times of a run from which values at given times are wanted."""
    return Table(series.place, {"at": tree_of(at, series.place)})


def _name(given: Mapping[str, Node], default: str) -> str:
    """The name of the sweep: the same rules as for scenarios, by the folder that is called by it."""
    if "name" not in given:
        return default
    value = plain(given["name"])
    if not isinstance(value, str) or not value or "/" in value or value.startswith("."):
        refuse(given["name"], "name", "must be a name for a folder, such as phase-picture")
    return value
