"""The table of a sweep: a row for every point whose run has ended, in csv and Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from gflow.sweeps.run.columns import Row, Value
from gflow.sweeps.store.folder import replace_file

CSV, PARQUET = "summary.csv", "summary.parquet"
LAST = "wall_time"


def points_of(manifest: Mapping[str, Any]) -> list[Row]:  # Any: JSON values
    """The axis values at every point, in the order of the ids."""
    steps = [[dict(zip(each["keys"], step, strict=True)) for step in each["steps"]] for each in manifest["dimensions"]]
    return [{key: _flat(value) for part in parts for key, value in part.items()} for parts in product(*steps)]


def _flat(value: Any) -> Value:  # Any: values of the scenario
    """An axis value as a cell: mappings and lists as text."""
    return json.dumps(value) if isinstance(value, dict | list) else value


def table_of(manifest: Mapping[str, Any], rows: Mapping[str, Row]) -> list[Row]:
    """The rows of all points whose run has ended: its axis values, its id, and what it gave."""
    found = zip(points_of(manifest), manifest["ids"], strict=True)
    return [point | {"id": run} | rows[run] for point, run in found if run in rows]


def columns_of(table: Sequence[Row]) -> dict[str, list[Value]]:
    """The same by columns, all as long as the table; where a row has no value, None.

    A column holds one type: whole numbers become floats beside floats, and everything text beside text.
    """
    names = dict.fromkeys(name for row in table for name in row)
    ordered = sorted(names, key=lambda name: name == LAST)
    return {name: _one_type([row.get(name) for row in table]) for name in ordered}


def _one_type(values: list[Value]) -> list[Value]:
    types = {type(value) for value in values if value is not None}
    if len(types) < 2:
        return values
    if types == {int, float}:
        return [None if value is None else float(value) for value in values]
    return [None if value is None else str(value) for value in values]


def write_tables(folder: Path, columns: Mapping[str, list[Value]]) -> list[Path]:
    """Write `summary.csv`, and `summary.parquet` where pyarrow is installed, each in one step.

    In csv an absent value is empty, and a float has all its digits.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in zip(*columns.values(), strict=True))
    replace_file(folder / CSV, text.getvalue().encode("utf-8"))
    content = _parquet(columns)
    if content is None:
        return [folder / CSV]
    replace_file(folder / PARQUET, content)
    return [folder / CSV, folder / PARQUET]


def _cell(value: Value) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else repr(value) if isinstance(value, float) else str(value)


def _parquet(columns: Mapping[str, list[Value]]) -> bytes | None:
    """The bytes of the Parquet file; None without pyarrow."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError:
        return None
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.table({name: pyarrow.array(values) for name, values in columns.items()}), sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content
