"""How the parts of a sweep file are read: mappings, lists and numbers, refused with file:line, value and remedy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from gflow.errors import ScenarioError
from gflow.scenario.messages import nearest
from gflow.scenario.tree import Leaf, Listing, Node, Table, shown


def refuse(node: Node, what: str, reason: str) -> NoReturn:
    """Raise the ScenarioError `file:line: what = value: reason`."""
    value = "" if isinstance(node, Table) else f" = {shown(node) or 'nothing'}"
    raise ScenarioError(f"{node.place}: {what}{value}: {reason}")


def table_of(node: Node, what: str, form: str, known: Sequence[str] = ()) -> Table:
    """A mapping, of known keys where some are given; what: its key, "" for the whole; form: what to write instead."""
    if not isinstance(node, Table):
        refuse(node, what or "the sweep", f"must be a mapping; write {form}")
    for key, entry in node.entries.items():
        if known and key not in known:
            guess = nearest(key, known)
            remedy = f"did you mean `{guess}`?" if guess else "remove it."
            refuse(entry, f"{what}.{key}" if what else key, f"unknown key; {remedy} Known here: {', '.join(known)}")
    return node


def items_of(node: Node, what: str, form: str) -> tuple[Node, ...]:
    """The entries of a list that has some."""
    if not isinstance(node, Listing):
        refuse(node, what, f"must be a list; write {form}")
    if not node.items:
        refuse(node, what, f"has no entries; write {form}")
    return node.items


def integer_of(node: Node, what: str, least: int, most: int) -> int:
    """An integer within bounds."""
    value = node.value if isinstance(node, Leaf) else None
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        refuse(node, what, f"must be an integer from {least} to {most}")
    return value


def number_of(node: Node, what: str) -> float | int:
    """A finite number."""
    value = node.value if isinstance(node, Leaf) else None
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < float("inf"):
        refuse(node, what, "must be a finite number")
    return value


def word_of(node: Node, what: str, known: Sequence[str]) -> str:
    """One of the known words."""
    value = node.value if isinstance(node, Leaf) else None
    if not isinstance(value, str) or value not in known:
        guess = nearest(value, known) if isinstance(value, str) else None
        refuse(node, what, f"{f'did you mean `{guess}`? ' if guess else ''}use one of {', '.join(known)}")
    return value
