"""The tree of a scenario file: values with the places where they were written, and overrides applied to them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from gflow.errors import ScenarioError

Value = str | int | float | bool | None
Keys = tuple[str | int, ...]

# YAML 1.2 core schema; PyYAML's own rules (YAML 1.1) read 1e-6 as text and `no` as false.
NULLS = {"", "~", "null", "Null", "NULL"}
BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
INTEGER = re.compile(r"[-+]?[0-9]+")
OTHER_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
INF_OR_NAN = re.compile(r"([-+]?)\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
LONGEST_INTEGER = 4000  # digits; Python refuses to convert more than 4300


@dataclass(frozen=True, slots=True)
class Place:
    """The place where a value was written: a line (from 1) of a file or, without a line, an override `--set key`."""

    source: str
    line: int | None

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"


@dataclass(frozen=True, slots=True)
class Leaf:
    """One scalar, with its text as written."""

    place: Place
    value: Value
    text: str


@dataclass(frozen=True, slots=True)
class Listing:
    """A YAML sequence."""

    place: Place
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A YAML mapping; the place of an entry is that of its key."""

    place: Place
    entries: dict[str, Node]


Node = Leaf | Listing | Table


def scalar(text: str) -> Value:
    """The value of an unquoted YAML scalar by the core schema of YAML 1.2."""
    if text in NULLS:
        return None
    if text in BOOLEANS:
        return BOOLEANS[text]
    if INTEGER.fullmatch(text) and len(text) < LONGEST_INTEGER:
        return int(text)
    if OTHER_BASE.fullmatch(text) and len(text) < LONGEST_INTEGER:
        return int(text, 0)
    if FLOAT.fullmatch(text):
        return float(text)
    if INF_OR_NAN.fullmatch(text):
        return float(text.replace(".", ""))
    return text


def plain(node: Node) -> Any:  # Any: what the validation of pydantic takes
    """The tree as nested dicts, lists and scalars."""
    if isinstance(node, Table):
        return {key: plain(entry) for key, entry in node.entries.items()}
    if isinstance(node, Listing):
        return [plain(item) for item in node.items]
    return node.value


def tree_of(value: Any, place: Place) -> Node:  # Any: what `plain` returns
    """The tree of nested dicts, lists and scalars that a program gives, all at one place."""
    if isinstance(value, dict):
        return Table(place, {key: tree_of(entry, place) for key, entry in value.items()})
    if isinstance(value, list | tuple):
        return Listing(place, tuple(tree_of(item, place) for item in value))
    return Leaf(place, value, str(value))


def node_at(tree: Node, keys: Keys) -> Node | None:
    """The node at a path, or None where the tree has none."""
    node: Node | None = tree
    for key in keys:
        if isinstance(node, Table) and isinstance(key, str):
            node = node.entries.get(key)
        elif isinstance(node, Listing) and isinstance(key, int) and key < len(node.items):
            node = node.items[key]
        else:
            return None
    return node


def with_value(tree: Node, keys: tuple[str, ...], value: Node) -> Node:
    """The tree with `value` at a path of mapping keys; missing mappings on the way are made.

    Raises ScenarioError where the path leads through a value that is no mapping.
    """
    if not keys:
        return value
    if isinstance(tree, Leaf) and tree.value is None:
        tree = Table(value.place, {})
    if not isinstance(tree, Table):
        raise ScenarioError(
            f"{value.place}: the path leads through {shown(tree)} ({tree.place}), which is not a mapping; "
            "set the whole value instead"
        )
    below = tree.entries.get(keys[0], Leaf(value.place, None, ""))
    return replace(tree, entries={**tree.entries, keys[0]: with_value(below, keys[1:], value)})


def shown(node: Node) -> str:
    """The value as a message shows it: as written and on one line, at most 60 characters."""
    if isinstance(node, Leaf):
        text = node.text
    elif isinstance(node, Listing):
        text = "[" + ", ".join(shown(item) for item in node.items[:20]) + "]"
    else:
        text = "{" + ", ".join(f"{key}: {shown(entry)}" for key, entry in node.entries.items()) + "}"
    text = text if text.isprintable() else repr(text)
    return text if len(text) <= 60 else text[:57] + "..."


def dotted(keys: Keys) -> str:
    """A path as a message shows it, for example `descent.eta[1]`."""
    path = ""
    for key in keys:
        if isinstance(key, int):
            path += f"[{key}]"
        else:
            path += ("." if path else "") + (key if key.isprintable() and key else repr(key))
    return path
