"""Sentences for the errors of validation, each with the place, the value, the bound and the remedy."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gflow.errors import ScenarioError
from gflow.scenario.schema.base import Spec
from gflow.scenario.schema_locations import SchemaLocation, locate
from gflow.scenario.tree import FLOAT, Keys, Leaf, Node, Place, Table, dotted, node_at, shown

# What is wrong, by the name pydantic gives the error; {...} are its bounds.
WRONG = {
    "float_type": "must be a number",
    "int_type": "must be an integer",
    "int_from_float": "must be an integer",
    "int_parsing_size": "is too large",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "finite_number": "must be a finite number",
    "greater_than": "must be above {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be below {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "tuple_type": "must be a list",
    "too_short": "must have at least {min_length} entries, not {actual_length}",
    "too_long": "must have at most {max_length} entries, not {actual_length}",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "must not hold a NUL character",
    "model_type": "must be a mapping of keys to values",
    "model_attributes_type": "must be a mapping of keys to values",
    "union_tag_not_found": "has the wrong type",
    "union_tag_invalid": "has the wrong type",
}
NOT_ITS_OWN = {"default_factory_not_called"}  # follows from another error, which is reported


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that is wrong, and where."""

    place: Place
    text: str
    missing: Keys | None = None
    """the key that is missing, if that is the complaint"""
    meant: Keys | None = None
    """the key that an unknown key was probably meant to be"""


def refusal(error: ValidationError, root: type[Spec], tree: Node) -> ScenarioError:
    """The error to raise: the first complaint (overrides, then by line), and how many more."""
    found = [_complaint(detail, root, tree) for detail in error.errors() if detail["type"] not in NOT_ITS_OWN]
    meant = {complaint.meant for complaint in found} - {None}
    found = [complaint for complaint in found if complaint.missing not in meant]  # one slip, one complaint
    found.sort(key=lambda complaint: complaint.place.line or 0)
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return ScenarioError(f"{found[0].place}: {found[0].text}{more}")


def nearest(word: str, known: Sequence[str]) -> str | None:
    """The known word closest to a mistyped one, whatever its case, or None when none is close."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    close = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.5)
    return by_lower[close[0]] if close else None


def _complaint(detail: ErrorDetails, root: type[Spec], tree: Node) -> Complaint:
    keys = detail.get("ctx", {}).get("keys", ())
    spot = locate(root, (*detail["loc"], *keys))
    node = node_at(tree, spot.keys)
    if node is None:
        return Complaint(_place_above(tree, spot.keys), _about_missing(detail, spot), missing=spot.keys)
    if detail["type"] in ("union_tag_not_found", "union_tag_invalid") and spot.kinds:
        return _about_kind(node, spot)
    if detail["type"] == "extra_forbidden":
        return _about_unknown(node, spot, tree)
    return Complaint(node.place, f"{_equation(spot.keys, node)}: {_wrong(detail, spot, node)}")


def _equation(keys: Keys, node: Node) -> str:
    """KEY.PATH = VALUE, without the value for a mapping; the root has no path."""
    if not keys:
        return "the scenario" if isinstance(node, Table) else f"the scenario = {shown(node)}"
    return dotted(keys) if isinstance(node, Table) else f"{dotted(keys)} = {shown(node) or 'nothing'}"


def _place_above(tree: Node, keys: Keys) -> Place:
    """The place of the innermost mapping on the path that is there."""
    while (node := node_at(tree, keys)) is None:
        keys = keys[:-1]
    return node.place


def _about_missing(detail: ErrorDetails, spot: SchemaLocation) -> str:
    path = dotted(spot.keys)
    if detail["type"] == "missing":
        return f"{path} is missing; {_meaning(spot)}"
    # A default does not fit what is given, for example too few neurons for a default number of signs.
    return f"{path} (by default): {detail.get('ctx', {}).get('reason', detail['msg'])}"


def _about_kind(node: Node, spot: SchemaLocation) -> Complaint:
    """A mapping with a wrong or missing `kind`, or no mapping."""
    path = dotted(spot.keys)
    options = ", ".join(spot.kinds)
    if not isinstance(node, Table):
        return Complaint(node.place, f"{_equation(spot.keys, node)}: must be a mapping; {_meaning(spot)}")
    kind = node.entries.get("kind")
    if kind is None:
        return Complaint(node.place, f"{path}.kind is missing; add one of {options}")
    return Complaint(kind.place, f"{path}.kind = {shown(kind)}: {_choice(kind, spot.kinds)}")


def _choice(node: Node, known: Sequence[str]) -> str:
    """A value that is none of the known ones."""
    guess = nearest(str(node.value), known) if isinstance(node, Leaf) else None
    question = f"did you mean `{guess}`? Available:" if guess else "use one of" if len(known) > 1 else "use"
    return f"is not available; {question} {', '.join(known)}"


def _name_or_number(node: Node, known: Sequence[str]) -> str:
    """A text that is none of the known ones, where a number may stand too."""
    hint = _hint("float_type", node)
    return f"must be a number{hint} or {', '.join(known)}" if hint else f"{_choice(node, known)} or a number"


def _about_unknown(node: Node, spot: SchemaLocation, tree: Node) -> Complaint:
    """A key that is not known at its place."""
    unknown = f"{_equation(spot.keys, node)}: unknown key"
    if spot.keys[-1] == "<<":
        remedy = "merge keys are not part of YAML 1.2, write the keys out"
        return Complaint(node.place, f"{unknown}; {remedy}")
    guess = nearest(str(spot.keys[-1]), spot.known)
    kind = node_at(tree, (*spot.keys[:-1], "kind"))
    where = "here" if kind is None else f"for kind {shown(kind)}"
    remedy = f"did you mean `{guess}`?" if guess else "remove it."
    text = f"{unknown}; {remedy} Known {where}: {', '.join(spot.known)}"
    return Complaint(node.place, text, meant=(*spot.keys[:-1], guess) if guess else None)


def _wrong(detail: ErrorDetails, spot: SchemaLocation, node: Node) -> str:
    context = detail.get("ctx", {})
    if detail["type"] == "refused":
        reason = str(context["reason"])
        return reason if ";" in reason else f"{reason}; {_meaning(spot)}"
    if detail["type"] == "literal_error":
        options = re.findall(r"'([^']*)'", str(context["expected"])) or [str(context["expected"])]
        return _choice(node, options) if not spot.numeric else _name_or_number(node, options)
    template = WRONG.get(detail["type"])
    reason = template.format(**context) if template else detail["msg"]
    return f"{reason}{_hint(detail['type'], node)}; {_meaning(spot)}"


def _hint(kind: str, node: Node) -> str:
    """What a frequent slip should have been, in brackets."""
    if not isinstance(node, Leaf):
        return ""
    value = node.value
    if kind in ("float_type", "int_type") and isinstance(value, str):
        digits = value.replace("_", "")
        return f" (write {digits})" if FLOAT.fullmatch(digits) else ""
    if kind in ("int_type", "int_from_float") and isinstance(value, float) and value.is_integer():
        return f" (write {int(value)})" if abs(value) < 1e15 else ""
    if kind == "bool_type" and str(value).lower() in ("yes", "no", "on", "off"):
        return " (YAML 1.2 reads yes, no, on and off as text)"
    if kind == "string_type" and value is not None:
        return f' (put it in quotes: "{node.text}")'
    return f" (write [{node.text}])" if kind == "tuple_type" and isinstance(value, float | int) else ""


def _meaning(spot: SchemaLocation) -> str:
    """What the key holds, in the words of the schema."""
    names = [key for key in spot.keys if isinstance(key, str)]
    return f"{names[-1]} is {spot.description}" if names and spot.description else "see `gflow schema`"
