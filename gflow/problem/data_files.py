"""Readers of .npz and .csv files that may be missing, damaged or hostile; every fault becomes a ScenarioError."""

from __future__ import annotations

import csv
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from gflow.arrays import Array
from gflow.errors import ScenarioError
from gflow.problem.dataset import Dataset, checked_dataset
from gflow.problem.first_line import is_number, starts_with_names

# All errors that numpy and zipfile raise on damaged archives, as cutting and corrupting files in tests shows.
DAMAGED = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    MemoryError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    TypeError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_dataset(path: Path, outputs: int = 1, bias: bool = False) -> Dataset:
    """The data set of a file: .npz with arrays X (n, d) and y (n,), or .csv with the label in its last column.

    The number of outputs and the bias of the network decide which labels and whether zero samples are allowed
    (`checked_dataset`).  Raises ScenarioError.
    """
    path = Path(path)
    check_regular_file(path, "data")
    if path.suffix.lower() == ".npz":
        arrays = read_npz(path, ("X", "y"))
        X, y = float_array(arrays, "X", path), float_array(arrays, "y", path)
        return checked_dataset(X, y, str(path), outputs=outputs, bias=bias)
    if path.suffix.lower() == ".csv":
        return _read_csv(path, outputs, bias)
    raise ScenarioError(f"{path}: data files end in .npz (arrays X and y) or .csv, not in {path.suffix!r}")


def check_regular_file(path: Path, role: str) -> None:
    """Raise ScenarioError unless the path leads to a regular file; role: what the file is for, in messages."""
    try:
        if path.is_dir():
            raise ScenarioError(f"{path}: is a folder; name the {role} file in it")
        if not path.exists():
            raise ScenarioError(f"{path}: no such {role} file; a relative path is relative to the scenario file")
        if not path.is_file():
            raise ScenarioError(f"{path}: is not a regular file; save the {role} to a file first")
    except (OSError, ValueError) as error:  # a name that is too long, or holds a NUL
        raise ScenarioError(f"{path}: cannot be read ({error}); check the path") from None


def read_npz(path: Path, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """The named arrays of an .npz file, of whatever shape (...) and type they have; nothing is unpickled.

    Raises ScenarioError where the file is damaged or a required array is missing.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            present = [name[: -len(".npy")] for name in archive.namelist() if name.endswith(".npy")]
    except DAMAGED as error:
        raise ScenarioError(f"{path}: no readable .npz archive ({error}); write it with numpy.savez") from None
    for name in required:
        if name not in present:
            raise ScenarioError(
                f"{path}: the array {name} is missing; the file holds {', '.join(present) or 'no array'}"
            )
    return {name: _read_array(path, name) for name in (*required, *optional) if name in present}


def _read_array(path: Path, name: str) -> np.ndarray:
    try:
        # numpy warns about headers written by Python 2, Python about the syntax of damaged ones: no help to a user.
        with warnings.catch_warnings(action="ignore"), np.load(path, allow_pickle=False) as archive:
            array: np.ndarray = archive[name]
    except DAMAGED as error:
        cause = "it holds Python objects" if "pickle" in str(error) else f"it is damaged: {error}"
        raise ScenarioError(
            f"{path}: the array {name} cannot be read ({cause}); write float64 arrays with numpy.savez"
        ) from None
    return array


def float_array(arrays: Mapping[str, np.ndarray], name: str, source: str | Path) -> Array:
    """The named array as float64, in its own shape (...).

    Raises ScenarioError for booleans, complex numbers, text and records.
    """
    array = arrays[name]
    if array.dtype.kind not in "fiu":
        hint = " (write labels as -1 and +1, or as classes 0, 1, 2, ...)" if name == "y" else ""
        raise ScenarioError(f"{source}: {name} has dtype {array.dtype}; it must hold real numbers{hint}")
    with np.errstate(over="ignore"):  # a longdouble beyond float64 becomes inf, which is refused with its place
        return array.astype(np.float64)


def _read_csv(path: Path, outputs: int, bias: bool) -> Dataset:
    """The data set of rows of numbers with the label last; a first line of names is skipped (`starts_with_names`)."""
    rows = list(_csv_rows(path))
    if rows:
        _check_separator(rows[0][1], f"{path}:{rows[0][0]}")
    if rows and starts_with_names(rows, path):
        rows = rows[1:]
    if not rows:
        raise ScenarioError(f"{path}: has no samples; write one row a sample: its inputs, then its label")
    first, columns = rows[0][0], len(rows[0][1])
    if columns < 2:
        raise ScenarioError(f"{path}:{first}: has one column; separate inputs by commas, the label last")
    table = np.empty((len(rows), columns))
    for i, (line, cells) in enumerate(rows):
        if len(cells) != columns:
            raise ScenarioError(
                f"{path}:{line}: has {len(cells)} columns, and line {first} has {columns}; "
                "every row needs the same number"
            )
        table[i] = _numbers(cells, f"{path}:{line}")
    return checked_dataset(table[:, :-1], table[:, -1], str(path), lambda i: f"{path}:{rows[i][0]}", outputs, bias)


def _csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each row that is neither blank nor a comment (#)."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            for cells in reader:
                if any(cell.strip() for cell in cells) and not cells[0].lstrip().startswith("#"):
                    yield reader.line_num, cells
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{path}: byte {error.start} is not UTF-8 text; save the file as UTF-8") from None
    except csv.Error as error:
        raise ScenarioError(f"{path}:{reader.line_num}: no readable CSV ({error}); repair the line") from None
    except (OSError, MemoryError) as error:
        raise ScenarioError(f"{path}: cannot be read ({error}); check the file") from None


SEPARATORS = {";": "';'", "\t": "tabs", " ": "blanks"}


def _check_separator(cells: list[str], where: str) -> None:
    """Raise ScenarioError where another separator than the comma splits the first row.

    That is the case where the row is one cell that a semicolon, tab or blank splits, or where a semicolon or tab splits
    its cells into numbers, whose commas are decimal ones.
    """
    for separator, name in SEPARATORS.items():
        parted = [part for cell in cells for part in cell.strip().split(separator)]
        decimal_commas = separator != " " and all(is_number(part) for part in parted)
        if len(parted) > len(cells) and (len(cells) == 1 or decimal_commas):
            raise ScenarioError(f"{where}: is separated by {name}; use commas, and points for decimals")


def _numbers(cells: list[str], where: str) -> list[float]:
    for column, cell in enumerate(cells, start=1):
        if not is_number(cell):
            raise ScenarioError(f"{where}: column {column} is {cell[:40]!r}, not a number; repair the cell")
    return [float(cell) for cell in cells]
