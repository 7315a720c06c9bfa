"""The values of one axis: a list, a range such as `0..24` or `0..1..30`, or {log: [low, high], count: n}."""

from __future__ import annotations

import re

import numpy as np

from gflow.scenario.tree import FLOAT, Leaf, Listing, Node, Table, plain, shown
from gflow.sweeps.plan.reading import integer_of, items_of, number_of, refuse, table_of

MOST_VALUES = 1_000_000
SPACINGS = ("linear", "log")
FORM = "[values], low..high of integers, low..high..count, or {log: [low, high], count: n}"
INTEGERS = re.compile(r"(-?[0-9]{1,18})\.\.(-?[0-9]{1,18})")
COUNTED = re.compile(r"([^\s]+?)\.\.([^\s]+?)\.\.([0-9]{1,9})")
NEAR_INTEGER = 1e-9  # relative; what a logarithmic range of integers misses them by is rounding

Bounds = tuple[float | int, float | int]


def values_of(node: Node, key: str) -> tuple[Node, ...]:
    """The values of the axis of a key, in their order, each with the place where it was written.

    Raises ScenarioError for what is no range, for no values, too many, and a value listed twice.
    """
    if isinstance(node, Listing):
        return _listed(node, key)
    if isinstance(node, Table):
        spacing, bounds, count = spaced(node, key, counted=True)
        return _spread(node, spacing, bounds, count)
    text = node.value if isinstance(node.value, str) else ""
    if found := INTEGERS.fullmatch(text):
        return _integers(node, key, int(found[1]), int(found[2]))
    if (found := COUNTED.fullmatch(text)) and FLOAT.fullmatch(found[1]) and FLOAT.fullmatch(found[2]):
        ends = _ordered(node, key, _number(found[1]), _number(found[2]))
        return _spread(node, "linear", ends, _count(node, key, int(found[3])))
    alone = f" (write [{shown(node)}] for a single value)" if text == "" else ""
    refuse(node, key, f"is no axis{alone}; write {FORM}")


def spaced(table: Table, key: str, counted: bool) -> tuple[str, Bounds, int]:
    """Spacing, ends and count of {log: [low, high], count: n}; counted: whether there is a count (else it is 0)."""
    known = (*SPACINGS, "count") if counted else SPACINGS
    form = "{log: [low, high], count: n}" if counted else "{log: [low, high]}"
    table_of(table, key, form, known)
    given = [name for name in SPACINGS if name in table.entries]
    if len(given) != 1 or (counted and "count" not in table.entries):
        refuse(
            table, key, f"must have one of {' and '.join(SPACINGS)}{' and a count' if counted else ''}; write {form}"
        )
    ends = table.entries[given[0]]
    what = f"{key}.{given[0]}"
    if not isinstance(ends, Listing) or len(ends.items) != 2:
        refuse(ends, what, "must be the two ends [low, high]")
    low, high = (number_of(end, what) for end in ends.items)
    if given[0] == "log" and not low > 0:
        refuse(ends, what, "the ends of a logarithmic range must be above 0; use linear")
    bounds = _ordered(ends, what, low, high)
    return given[0], bounds, integer_of(table.entries["count"], f"{key}.count", 2, MOST_VALUES) if counted else 0


def _listed(node: Listing, key: str) -> tuple[Node, ...]:
    items = items_of(node, key, FORM)
    seen: dict[str, Node] = {}
    for item in items:
        word = repr(plain(item))
        if word in seen:
            refuse(item, key, f"is listed twice; remove one of them ({seen[word].place} is the first)")
        seen[word] = item
    return items


def _integers(node: Leaf, key: str, low: int, high: int) -> tuple[Node, ...]:
    if high < low:
        refuse(node, key, f"runs down; write {high}..{low}")
    _count(node, key, high - low + 1)
    return tuple(Leaf(node.place, value, str(value)) for value in range(low, high + 1))


def _count(node: Node, key: str, count: int) -> int:
    if not 1 <= count <= MOST_VALUES:
        refuse(node, key, f"has {count} values; an axis has 1 to {MOST_VALUES}")
    return count


def _ordered(node: Node, what: str, low: float | int, high: float | int) -> Bounds:
    if not low < high:
        refuse(node, what, f"its low end {low} is not below its high end {high}")
    return low, high


def _number(text: str) -> float | int:
    return int(text) if re.fullmatch(r"[-+]?[0-9]+", text) else float(text)


def _spread(node: Node, spacing: str, ends: Bounds, count: int) -> tuple[Node, ...]:
    """Evenly spread values from end to end, both exact; integers where the ends and all values are integers."""
    low, high = ends
    spread = np.linspace(low, high, count) if spacing == "linear" else np.geomspace(low, high, count)
    values: list[float | int] = spread.tolist()
    values[0], values[-1] = float(low), float(high) if count > 1 else float(low)
    if isinstance(low, int) and isinstance(high, int) and all(_is_near_integer(value) for value in values):
        values = [round(value) for value in values]
    return tuple(Leaf(node.place, value, repr(value)) for value in values)


def _is_near_integer(value: float) -> bool:
    return abs(value - round(value)) <= NEAR_INTEGER * max(abs(value), 1.0)
