"""The first line of a .csv file: names of the columns or a sample; a line that may be either is refused.

A header taken for a sample, or an index of the rows taken for an input, silently changes the problem: every result is
then right, but about other data.  So nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gflow.errors import ScenarioError

NumberedLine = tuple[int, list[str]]
"""The number of a line in its file, and the cells of the line."""

UNNAMED = ("", "unnamed: 0")  # what pandas and R call a column without a name
INDEX_NAMES = ("index", "id", "row")  # of a column that is an index if its values count the rows
LEAST_ROWS = 3  # from which a column without a name can be an index: 0, 1 may be the inputs of two samples
SHOWN = 40  # characters of a line in a message


def starts_with_names(lines: Sequence[NumberedLine], path: Path) -> bool:
    """Whether the first of the lines is a line of names, which has no number in it.

    Raises ScenarioError where that line numbers the columns, as pandas writes them without names, since it could be a
    sample as well; where the first column is an index of the rows; and where there are more or fewer names than
    columns.
    """
    number, cells = lines[0]
    where, names = f"{path}:{number}", [cell.strip() for cell in cells]
    named = not any(is_number(name) for name in names)
    if names[0].lower() in UNNAMED and len(names) > 1:
        raise ScenarioError(
            f"{where}: column 1 has no name, as the index that pandas and R write; leave it out "
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
    """Raise ScenarioError where column 1 counts the rows and no name says that it is an input."""
    is_input = names is not None and names[0].lower() not in INDEX_NAMES
    by_chance = names is None and (len(rows) < LEAST_ROWS or len(rows[0]) < 3)
    if rows and not is_input and not by_chance and counts([row[0] for row in rows]):
        raise ScenarioError(
            f"{where}: column 1 runs through the numbers of the rows, as an index does: leave it out, "
            "or write a line of names (x1,...,y) on top if it is an input"
        )


def counts(cells: Sequence[str]) -> bool:
    """Whether the cells are the numbers 0, 1, 2, ... or 1, 2, 3, ...."""
    if len(cells) < 2 or not all(is_number(cell) for cell in cells):
        return False
    numbers = [float(cell) for cell in cells]
    return any(numbers == list(range(first, first + len(cells))) for first in (0, 1))


def is_number(cell: str) -> bool:
    """Whether Python reads the cell as a number written without underscores."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell  # Python reads 1_0 as 10
