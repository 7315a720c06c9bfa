"""The reader and writer of scenarios in YAML.  No other file knows YAML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from gflow.errors import ScenarioError
from gflow.scenario.messages import refusal
from gflow.scenario.schema import Origin, Scenario
from gflow.scenario.schema_locations import fields_of_kind
from gflow.scenario.tree import Leaf, Listing, Node, Place, Table, node_at, plain, scalar, tree_of, with_value

MAX_BYTES = 1_000_000
MAX_NODES = 200_000  # with aliases written out: a few lines of nested aliases can stand for 10^9 values
MAX_DEPTH = 30
OVERRIDE = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)\s*=(.*)", re.DOTALL)


def load_scenario(path: str | Path, overrides: Sequence[str] = ()) -> Scenario:
    """Read a scenario file and apply overrides such as "flow.rtol=1e-10".

    Relative paths in it are relative to its folder.  Raises ScenarioError, with file:line where there is one.
    """
    path = Path(path)
    text = read_text(path)
    scenario = parse_scenario(text, str(path), path.parent, overrides)
    return scenario.located(Origin(path, text, tuple(overrides)), path.parent)


def parse_scenario(
    text: str,
    name_for_messages: str = "scenario",
    folder: Path | None = None,
    overrides: Sequence[str] = (),
) -> Scenario:
    """The scenario of a YAML text; relative paths in it are relative to `folder` (None: the current one).

    Raises ScenarioError.
    """
    tree = composed(text, name_for_messages)
    if tree is None:
        raise ScenarioError(f"{name_for_messages}: is empty; begin with `gflow: 1` and a name")
    for override in overrides:
        tree = _overridden(tree, override)
    return scenario_of_tree(tree).located(Origin(None, text, tuple(overrides)), folder)


def composed(text: str, name_for_messages: str) -> Node | None:
    """The tree of a YAML text, None when it is empty.  Raises ScenarioError."""
    return _compose(text, Place(name_for_messages, 1), name_for_messages)


def scenario_of_tree(tree: Node) -> Scenario:
    """The scenario of a tree, whose places are those of messages.  Raises ScenarioError."""
    try:
        return Scenario.model_validate(plain(tree))
    except ValidationError as error:
        raise refusal(error, Scenario, tree) from None


def with_key(tree: Node, keys: tuple[str, ...], value: Node) -> Node:
    """The tree with another value of one key.  A new `kind` takes along keys of the file that belong to the old one.

    Raises ScenarioError where the path leads through a value that is no mapping.
    """
    if keys[-1] == "kind":
        tree = _without_old_kind(tree, keys[:-1], value)
    return with_value(tree, keys, value)


def scenario_of(content: dict[str, Any], source: str) -> Scenario:  # Any: nested dicts, lists and scalars
    """The scenario of values that a program gives instead of a file; `source` names them in messages.

    Raises ScenarioError.
    """
    try:
        return Scenario.model_validate(content)
    except ValidationError as error:
        raise refusal(error, Scenario, tree_of(content, Place(source, None))) from None


def resolved_yaml(scenario: Scenario) -> str:
    """The scenario as YAML with every default filled in; parsing it gives an equal scenario.

    Keys that are not given and have no default (None) are left out.
    """
    content = _kind_first(scenario.model_dump(mode="json", exclude_none=True))
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def _kind_first(content: Any) -> Any:  # Any: nested dicts, lists and scalars
    """The same content with the key `kind` first, since it decides what the other keys mean."""
    if not isinstance(content, dict):
        return content
    return {key: _kind_first(content[key]) for key in sorted(content, key=lambda key: key != "kind")}


def read_text(path: Path) -> str:
    """The text of a regular UTF-8 file of at most MAX_BYTES."""
    try:
        if path.is_dir():
            raise ScenarioError(f"{path}: is a folder; name the scenario file in it")
        if not path.exists():
            raise ScenarioError(f"{path}: no such file; check the path (now in {Path.cwd()})")
        if not path.is_file():
            raise ScenarioError(f"{path}: is not a regular file; save the scenario to a file first")
        if path.stat().st_size > MAX_BYTES:
            raise ScenarioError(
                f"{path}: has {path.stat().st_size} bytes, and a scenario has at most {MAX_BYTES}; "
                "put data and weights in files of their own"
            )
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{path}: byte {error.start} is not UTF-8 text; save the file as UTF-8") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise ScenarioError(f"{path}: cannot be read ({error}); check the path and its permissions") from None


class _Loader(yaml.SafeLoader):
    """PyYAML's parser without its rules for values: an implicit tag is empty, so that an explicit one can be told from
    it.

    The faster C parser is not used: 10^5 open brackets overflow its stack and end the program.
    """

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:  # Any: PyYAML's own signature
        return ""


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]  # the C form where there is one
    """Quotes every text that this module would read back as something else."""

    def ignore_aliases(self, data: Any) -> bool:  # Any: PyYAML's own signature
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = None if scalar(text) == text else '"'
    node: yaml.ScalarNode = dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)
    return node


_Dumper.add_representer(str, _represent_text)


def _compose(text: str, place: Place, source: str) -> Node | None:
    """The tree of a YAML text, None when it is empty; `place` is that of its first line."""
    try:
        root = yaml.compose(text, Loader=_Loader)
        return None if root is None else _node(root, place, iter(range(MAX_NODES)), 0)
    except RecursionError:
        raise ScenarioError(f"{source}: is nested more than {MAX_DEPTH} levels deep; flatten it") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ScenarioError(
            f"{_at(place, line)}: character {chr(error.character)!r} is not allowed in YAML; remove it"
        ) from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ScenarioError(f"{_at(place, line)}: not valid YAML: {_syntax(error)}") from None


def _syntax(error: yaml.MarkedYAMLError) -> str:
    """PyYAML's words for a syntax error, and the remedy for the frequent ones."""
    problem = " ".join(part for part in (error.context, error.problem) if part)
    if "'\\t'" in problem:
        return f"{problem}; indent with spaces, not with tabs"
    if "single document" in problem:
        return "a second document begins; keep one scenario a file"
    return f"{problem}; check the indentation, brackets, quotes and colons on and above this line"


def _at(place: Place, line: int) -> Place:
    """The same source at another line; an override has no lines."""
    return place if place.line is None else Place(place.source, line)


def _node(node: yaml.Node, place: Place, budget: Iterator[int], depth: int) -> Node:
    """One YAML node with all below it; `place` is where a message about it points."""
    if depth > MAX_DEPTH:
        raise ScenarioError(
            f"{place}: is nested over {MAX_DEPTH} levels deep, or an alias (*name) holds itself; flatten it"
        )
    if next(budget, None) is None:
        raise ScenarioError(f"{place}: over {MAX_NODES} values with aliases (*name) written out; shorten it")
    if node.tag:
        raise ScenarioError(f"{place}: the tag {node.tag!r} is refused; write the plain value without a tag")
    if isinstance(node, yaml.MappingNode):
        return Table(place, _entries(node, place, budget, depth))
    if isinstance(node, yaml.SequenceNode):
        places = (_at(place, item.start_mark.line + 1) for item in node.value)
        items = (_node(item, at, budget, depth + 1) for item, at in zip(node.value, places, strict=True))
        return Listing(place, tuple(items))
    if isinstance(node, yaml.ScalarNode) and node.style is None:
        return Leaf(place, scalar(node.value), node.value)
    return Leaf(place, node.value, repr(node.value))  # quoted, or a block of text


def _entries(node: yaml.MappingNode, place: Place, budget: Iterator[int], depth: int) -> dict[str, Node]:
    """The entries of a mapping.  Raises ScenarioError for a repeated key and for one that is no text."""
    entries: dict[str, Node] = {}
    lines: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        here = _at(place, line)
        if not isinstance(key, yaml.ScalarNode) or key.tag:
            raise ScenarioError(f"{here}: a key must be plain text; write `key: value`")
        if key.value in entries:
            raise ScenarioError(
                f"{here}: {key.value} is given twice, first on line {lines[key.value]}; keep one of the two"
            )
        lines[key.value] = line
        entries[key.value] = _node(value, here, budget, depth + 1)
    return entries


def _overridden(tree: Node, override: str) -> Node:
    """The tree with one override `key.path=value`, its value read as YAML."""
    match = OVERRIDE.fullmatch(override)
    if match is None:
        raise ScenarioError(f"--set {override!r}: not of the form key.path=value, for example flow.rtol=1e-10")
    keys = tuple(match[1].split("."))
    place = Place(f"--set {match[1]}", None)
    value = _compose(match[2].strip(), place, place.source)
    if value is None:
        raise ScenarioError(f"{place}: has no value; write for example {match[1]}=1, or =null to unset it")
    return with_key(tree, keys, value)


def _without_old_kind(tree: Node, keys: tuple[str, ...], new: Node) -> Node:
    """The tree without the keys of the file that belong to the old kind of a mapping and not to the new one.

    So that `model.activation.kind=relu` needs no second override that removes the slope.
    """
    table = node_at(tree, keys)
    if not isinstance(table, Table) or "kind" not in table.entries:
        return tree
    old_fields = fields_of_kind(Scenario, keys, plain(table.entries["kind"]))
    outdated = old_fields - fields_of_kind(Scenario, keys, plain(new))
    kept = {key: entry for key, entry in table.entries.items() if key not in outdated or entry.place.line is None}
    return with_value(tree, keys, Table(table.place, kept))
