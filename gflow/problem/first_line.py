"""What the first line of a .csv is: names of the columns, or a sample; refused where it may be either.

A header that is taken for a sample, or an index that is taken for an input, changes the problem without a word: every
result is then right and about something else.  So nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gflow.errors import ScenarioError

NumberedLine = tuple[int, list[str]]
"""The number of a line in its file, and its cells."""

UNNAMED = ("", "unnamed: 0")  # what pandas and R call a column without a name
INDEX_NAMES = ("index", "id", "row")  # of an index, if its values run like one
LEAST_ROWS = 3  # of an index without a name: 0, 1 may be the inputs of two samples
SHOWN = 40  # characters of a line in a message


def starts_with_names(lines: Sequence[NumberedLine], path: Path) -> bool:
    """Is the first of the lines, which has no number in it, a line of names?

    ScenarioError: it numbers the columns, as pandas does where they have no names, and could be a sample as well; the
    first column is an index of the rows; there are not as many names as columns.
    """
    number, cells = lines[0]
    where, names = f"{path}:{number}", [cell.strip() for cell in cells]
    named = not any(is_number(name) for name in names)
    if names[0].lower() in UNNAMED and len(names) > 1:
        raise ScenarioError(
            f"{where}: column 1 has no name, as the index that pandas and R write: leave it out "
            "(to_csv(index=False), row.names=FALSE), or name it if it is an input"
        )
    if counts(names):
        raise ScenarioError(
            f"{where}: {','.join(names)[:SHOWN]} numbers the columns, or is a sample: delete the line if it is a "
            "header; write names above it (x1,...,y) if it is a sample"
        )
    if named and len(lines) > 1 and len(lines[1][1]) != len(names):
        raise ScenarioError(
            f"{where}: has {len(names)} names, and line {lines[1][0]} has {len(lines[1][1])} columns; "
            "name every column once (R: row.names=FALSE)"
        )
    _check_index(names if named else None, [line[1] for line in lines[int(named) :]], where)
    return named


def _check_index(names: list[str] | None, rows: list[list[str]], where: str) -> None:
    """Raise ScenarioError where column 1 runs through the row numbers and no name says that it is an input."""
    told = names is not None and names[0].lower() not in INDEX_NAMES
    by_chance = names is None and (len(rows) < LEAST_ROWS or len(rows[0]) < 3)
    if rows and not told and not by_chance and counts([row[0] for row in rows]):
        raise ScenarioError(
            f"{where}: column 1 runs through the numbers of the rows, as an index does: leave it out, "
            "or write a line of names (x1,...,y) on top if it is an input"
        )


def counts(cells: Sequence[str]) -> bool:
    """Are these the numbers 0, 1, 2, ... or 1, 2, 3, ...?"""
    if len(cells) < 2 or not all(is_number(cell) for cell in cells):
        return False
    numbers = [float(cell) for cell in cells]
    return any(numbers == list(range(first, first + len(cells))) for first in (0, 1))


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell  # Python reads 1_0 as 10
