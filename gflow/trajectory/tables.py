"""A record as tables of other libraries: xarray, with named dimensions, and pandas, a row a record time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gflow.errors import TrajectoryError
from gflow.trajectory.layout import EVENTS, ROW, Variable

if TYPE_CHECKING:
    import pandas
    import xarray

    from gflow.trajectory.record import Record


def tree_of(record: Record) -> xarray.DataTree:
    """All that a record holds, in memory; see `Record.to_xarray`.

    Times alone are a coordinate: what only counts, of samples or neurons, would be inherited by every group, and a
    table of a series would have a row for each combination.
    """
    try:
        import xarray
    except ModuleNotFoundError as error:
        raise TrajectoryError("to_xarray needs xarray: pip install 'gflow[xarray]'") from error
    root = {v.name: (v.dims, record.read(v.name), attributes_of(v)) for v in record.form.rows}
    root |= {v.name: (v.dims, record.whole(v.name), attributes_of(v)) for v in record.form.fixed}
    events = record.events
    groups = {
        "/": xarray.Dataset(root, {ROW: record.log1p_time}, record.attributes),
        "series": xarray.Dataset({name: (ROW, values) for name, values in record.series.items()}),
        "events": xarray.Dataset({v.field: (v.dims, getattr(events, v.field), attributes_of(v)) for v in EVENTS}),
    }
    if record.neurons:
        groups["neurons"] = xarray.Dataset({name: ((ROW, "neuron"), each) for name, each in record.neurons.items()})
    if record.resumable:
        resume = {v.field: (v.dims, record.read(v.name), attributes_of(v)) for v in record.form.resume}
        groups["resume"] = xarray.Dataset(resume)
    return xarray.DataTree.from_dict(groups)


def frame_of(record: Record) -> pandas.DataFrame:
    """The series of a record; see `Record.to_pandas`."""
    try:
        import pandas
    except ModuleNotFoundError as error:
        raise TrajectoryError("to_pandas needs pandas: pip install 'gflow[sweep]'") from error
    columns = {"t": record.t, "log_loss": record.log_loss, **record.series}
    return pandas.DataFrame(columns, index=pandas.Index(record.log1p_time, name=ROW))


def attributes_of(variable: Variable) -> dict[str, str]:
    """The attributes of a dataset in netCDF."""
    return {"units": "1", "long_name": variable.long_name}
