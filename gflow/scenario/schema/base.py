"""The base of all parts of a scenario: strict models, number types, and refusals that name a key."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, Tag
from pydantic_core import PydanticCustomError


class Spec(BaseModel):
    """A frozen part of a scenario; unknown keys, strings or booleans for numbers, inf and NaN are refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


Count = Annotated[int, Field(ge=1, le=10_000_000)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0, le=1e150)]
Size = Annotated[float, Field(ge=1e-150, le=1e150)]  # squares and sums of squares fit float64
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Labels = Literal["rademacher", "balanced"]
FilePath = Annotated[str, Field(min_length=1, pattern=r"^[^\x00]+$")]

# YAML sequences arrive as lists; a strict tuple would refuse them (its items stay strict).
PositiveList = Annotated[tuple[Positive, ...], Field(strict=False, min_length=1)]
SizeList = Annotated[tuple[Size, ...], Field(strict=False, min_length=1)]
FiniteList = Annotated[tuple[float, ...], Field(strict=False, min_length=1)]

NUMBER, NAME, LIST, NOTHING = Tag("number"), Tag("name"), Tag("list"), Tag("nothing")


def shape_of(value: Any) -> str | None:  # Any: whatever the YAML file holds at this key
    """The tag of a value that may be a number, a name, a list or null: it decides which rule judges the value."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "name"
    return "list" if isinstance(value, list | tuple) else None


def refuse(reason: str, *keys: str | int) -> NoReturn:
    """Refuse the value at `keys`, counted from the field or model under validation.

    Raises PydanticCustomError, whose context tells `messages.py` which line of the file is meant.
    """
    raise PydanticCustomError("refused", "{reason}", {"reason": reason, "keys": keys})


def exactly_one(model: Spec, first: str, second: str) -> None:
    """Refuse a model in which both or neither of two alternative keys are given."""
    given = [key for key in (first, second) if getattr(model, key) is not None]
    if len(given) == 2:
        refuse(f"`{first}` and `{second}` are both given, and exclude each other; keep one of them")
    if not given:
        refuse(f"neither `{first}` nor `{second}` is given; add one of them")
