"""A sweep on disk, finished or still going on: its table, as pandas or xarray, and what was kept of single runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gflow.arrays import Array
from gflow.errors import SweepError
from gflow.scenario.messages import nearest
from gflow.sweeps.run.columns import Row, Value
from gflow.sweeps.run.row import ROWS_FOLDER, RUNS_FOLDER
from gflow.sweeps.store.folder import manifest_of, rows_by_id
from gflow.sweeps.store.table import CSV, columns_of, table_of
from gflow.trajectory import Trajectory, open_trajectory

if TYPE_CHECKING:
    import pandas
    import xarray

INSTALL = "pip install 'gflow[sweep]'"


class Sweep:
    """The rows of one sweep that had ended when it was opened; made by `open_sweep`."""

    def __init__(self, path: Path, manifest: dict[str, Any], rows: dict[str, Row]) -> None:  # Any: JSON values
        self.path = path
        self._manifest = manifest
        self._rows = rows
        self.table = table_of(manifest, rows)
        """a row for every point whose run has ended: axis values by their keys, id, failure, and all else"""
        self.columns = columns_of(self.table)
        """the same by columns; None where a row has no value"""
        self.total = len(set(manifest["ids"]))
        """runs of the sweep"""

    @property
    def name(self) -> str:
        """Its name."""
        return str(self._manifest["name"])

    @property
    def axes(self) -> tuple[str, ...]:
        """The keys of the scenario that the axes change."""
        return tuple(key for dimension in self._manifest["dimensions"] for key in dimension["keys"])

    @property
    def done(self) -> int:
        """Runs that have ended, of `total`."""
        return len(self._rows.keys() & set(self._manifest["ids"]))

    @property
    def failures(self) -> dict[str, str]:
        """The reasons of runs that failed, by id."""
        return {str(row["id"]): str(row["failure"]) for row in self.table if row["failure"] is not None}

    def column(self, name: str) -> str:
        """The full name of a column of which `name` is the end: `slope` for `model.activation.slope`.

        Raises SweepError for a name that no column has, or more than one.
        """
        if name in self.columns:
            return name
        fitting = [full for full in self.columns if full.endswith(f".{name}")]
        if len(fitting) == 1:
            return fitting[0]
        among = [full for full in fitting if full in self.axes]
        if len(among) == 1:
            return among[0]
        if fitting:
            raise SweepError(f"column {name!r} means {', '.join(fitting)}; write one of them")
        by_end = {full.rpartition(".")[2]: full for full in self.columns}
        close = nearest(name, tuple(self.columns)) or by_end.get(nearest(name, tuple(by_end)) or "")
        guess = f"did you mean `{close}`?" if close else "there is none of this name."
        raise SweepError(f"column {name!r}: {guess} All {len(self.columns)} are in the first line of {CSV}")

    def to_pandas(self) -> pandas.DataFrame:
        """The table, one column an axis or result, one row a point."""
        try:
            import pandas
        except ModuleNotFoundError:
            raise SweepError(f"to_pandas needs pandas: {INSTALL}") from None
        return pandas.DataFrame(self.columns)

    def to_xarray(self) -> xarray.Dataset:
        """The table over the axes: one dimension an axis, keys that move together on one, random draws on `draw`.

        Where a run has not ended, or has no such value, numbers are NaN and texts empty.
        """
        try:
            import xarray
        except ModuleNotFoundError:
            raise SweepError(f"to_xarray needs xarray: {INSTALL}") from None
        dimensions = self._manifest["dimensions"]
        names, shape = [each["name"] for each in dimensions], [len(each["steps"]) for each in dimensions]
        coordinates = {}
        for each in dimensions:
            for index, key in enumerate(each["keys"]):
                coordinates[key] = (each["name"], _array([_cell(step[index]) for step in each["steps"]]))
        results = {name: (names, _array(values).reshape(shape)) for name, values in self._everywhere().items()}
        return xarray.Dataset(results, coordinates, {"name": self.name})

    def _everywhere(self) -> dict[str, list[Value]]:
        """The columns of results at every point, also where no run has ended."""
        absent: Row = {}
        rows = [self._rows.get(run, absent) | {"id": run} for run in self._manifest["ids"]]
        columns = columns_of(rows)
        return columns | {"failure": ["" if value is None else value for value in columns.get("failure", [])]}

    def trajectory(self, run: str) -> Trajectory:
        """The trajectory of a run (keep: all).  SweepError where it was not kept."""
        folder = self.path / RUNS_FOLDER / run
        if not folder.is_dir():
            raise SweepError(f"{folder}: was not kept; sweep with keep: all")
        return open_trajectory(folder)

    def rows(self, run: str) -> dict[str, Array]:
        """Series (T,), `margins` (T, n) and `log_loss` (T,) of a run over `log1p_time` (T,) (keep: rows).

        Those of its descent have names that begin with `descent.`; see `gflow.sweeps.run.kept_rows`.
        """
        path = self.path / ROWS_FOLDER / f"{run}.npz"
        if not path.exists():
            raise SweepError(f"{path}: was not kept; sweep with keep: rows")
        with np.load(path, allow_pickle=False) as content:
            return dict(content)

    def __repr__(self) -> str:
        return f"<Sweep {self.name}: {self.done} of {self.total} runs over {', '.join(self.axes)}>"


def open_sweep(path: str | Path) -> Sweep:
    """The sweep in a folder, also while it goes on.  SweepError where there is none."""
    folder = Path(path)
    return Sweep(folder, manifest_of(folder), rows_by_id(folder))


def _cell(value: Any) -> Value:  # Any: values of the scenario
    return str(value) if isinstance(value, dict | list) else value


def _array(values: Sequence[Value]) -> NDArray[Any]:
    """Numbers as they are, with NaN for None; texts as objects, with "" for None."""
    types = {type(value) for value in values if value is not None}
    if types <= {int, float, bool}:
        if None in values and values:
            return np.array([np.nan if value is None else float(value) for value in values])
        return np.array(values)
    return np.array(["" if value is None else str(value) for value in values], dtype=object)
