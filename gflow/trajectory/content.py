"""The content of an open file: its datasets, dimensions and attributes, created, copied and checked."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from h5py import h5d, h5s
from numpy.typing import NDArray

from gflow.errors import TrajectoryError
from gflow.trajectory import layout
from gflow.trajectory.layout import OUTER, OUTPUT_BIAS, UNLIMITED, Form, Variable
from gflow.trajectory.rows import Fact, Header

HdfFile = Any  # an open h5py.File; h5py carries no types
HdfDataset = Any  # an h5py.Dataset


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes of a copy of a file against the original: attributes (None: removed) and `layout.TEXTS`."""

    attributes: Mapping[str, Fact | None] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


def create_datasets(file: HdfFile, form: Form, sizes: Mapping[str, int], capacity: Mapping[str, int]) -> None:
    """Empty datasets of the given sizes, chunked for the given capacities, with units and dimensions."""
    for variable in form.variables:
        dataset = create_dataset(file, variable, sizes, capacity)
        dataset.attrs.update(units="1", long_name=variable.long_name)
        if variable in form.dimensions:
            dataset.make_scale(variable.name)
    for variable in form.variables:
        if variable not in form.dimensions:
            for axis, name in enumerate(variable.dims):
                file[variable.name].dims[axis].attach_scale(file[name])


def create_dataset(
    file: HdfFile, variable: Variable, sizes: Mapping[str, int], capacity: Mapping[str, int]
) -> HdfDataset:
    """Create one dataset, extensible along rows or events; capacity: how many of these are expected."""
    shape = tuple(sizes[name] for name in variable.dims)
    axis, rest = variable.dims[0], shape[1:]
    if axis not in UNLIMITED:
        return file.create_dataset(variable.name, shape, variable.dtype)
    length = layout.chunk_length(capacity[axis], np.dtype(variable.dtype).itemsize * math.prod(rest))
    return file.create_dataset(variable.name, shape, variable.dtype, maxshape=(None, *rest), chunks=(length, *rest))


def write_header(file: HdfFile, header: Header, form: Form) -> None:
    """Attributes, texts and fixed arrays of a file that has no rows yet; TrajectoryError: a fact's name is
    taken.
    """
    clash = sorted(header.facts.keys() & layout.ATTRIBUTES)
    if clash:
        raise TrajectoryError(f"facts {', '.join(clash)}: the names are taken by the format: choose others")
    file.attrs.update(
        {
            "format": layout.FORMAT,
            "format_version": layout.FORMAT_VERSION,
            "kind": header.kind,
            "gflow_version": header.gflow_version,
            "scenario_sha256": header.scenario_sha256,
            layout.N_COMMITTED: np.int64(0),
            **header.facts,
        }
    )
    write_text(file, "scenario", header.scenario)
    write_text(file, "scenario_resolved", header.scenario_resolved)
    write_text(file, "provenance", json.dumps([header.provenance]))
    for variable in form.fixed:
        file[variable.name][...] = getattr(header, variable.name)
    for name, size in header.sizes().items():
        file[name][...] = np.arange(size)


def write_text(file: HdfFile, name: str, text: str) -> None:
    """A scalar UTF-8 dataset: attributes end at 64 KiB, a scenario may not."""
    file[name] = text
    file[name].attrs["long_name"] = layout.TEXTS[name]


def append(file: HdfFile, name: str, first: int, block: NDArray[Any]) -> None:
    """Write a block (k, ...) at entry `first` of a dataset, over what an interrupted block may have left there.

    A file has some seventy datasets: by h5py's own calls each of them takes three times as long.
    """
    dataset = h5d.open(file.id, name.encode())
    dataset.set_extent((first + len(block), *block.shape[1:]))
    place = dataset.get_space()
    place.select_hyperslab((first, *(0 for _ in block.shape[1:])), block.shape)
    dataset.write(h5s.create_simple(block.shape), place, np.ascontiguousarray(block))


def copy_content(old: HdfFile, new: HdfFile, form: Form, changes: Changes) -> None:
    """Fill the datasets of `new`, as far as they go, from `old`; its attributes and texts, with some changes."""
    attributes = dict(old.attrs) | dict(changes.attributes)
    new.attrs.update({name: value for name, value in attributes.items() if value is not None})
    for name in layout.TEXTS:
        write_text(new, name, changes.texts.get(name) or old[name].asstr()[()])
    for variable in form.variables:
        copy_dataset(old[variable.name], new[variable.name])


def copy_dataset(old: HdfDataset, new: HdfDataset) -> None:
    """A few chunks at a time: the whole may not fit into memory."""
    length = 16 * new.chunks[0] if new.chunks else max(len(new), 1)
    for first in range(0, len(new), length):
        last = min(first + length, len(new))
        new[first:last] = old[first:last]


def check_format(path: Path, file: HdfFile) -> None:
    """TrajectoryError unless gflow wrote the file, in a format that this version knows."""
    if file.attrs.get("format") != layout.FORMAT:
        raise TrajectoryError(f"{path} was not written by gflow: its root attribute `format` is not 'gflow'")
    version = int(file.attrs["format_version"])
    if version > layout.FORMAT_VERSION:
        raise TrajectoryError(
            f"{path} has format version {version}, newer than {layout.FORMAT_VERSION}: update gflow to read it"
        )


def form_of(file: HdfFile) -> Form:
    """The form of a file that was written earlier; ValueError for an outer layer of no form."""
    outer = file[OUTER.name]
    trains_outer = None in outer.maxshape  # rows can be appended
    axes = len(outer.shape) - trains_outer
    if axes not in (1, 2):
        raise ValueError(f"{OUTER.name} has shape {outer.shape}")
    return Form(
        series=tuple(file["series"]),
        neuron_series=tuple(file["neurons"]) if "neurons" in file else (),
        records_events="events" in file,
        trains_outer=trains_outer,
        has_outputs=axes == 2,
        has_output_bias=OUTPUT_BIAS.name in file,
        has_directions="directions" in file,
        has_runs="eta" in file,
        has_seeds="seed" in file,
        has_decay="outside" in file,
        has_test="X_test" in file,
        resumable="resume" in file and set(file["resume"]) >= {variable.field for variable in layout.RESUME},
    )


def check_rows(path: Path, file: HdfFile, form: Form) -> None:
    """TrajectoryError unless all datasets are as long as the committed rows, and those are not none."""
    committed = int(file.attrs[layout.N_COMMITTED])
    if committed == 0:
        again = "begin again, without --resume" if form.has_runs else "run it again with --overwrite"
        raise TrajectoryError(f"{path} holds no rows: the run has just begun or was killed early: {again}")
    names = [layout.ROW, *(variable.name for variable in form.rows)]
    names += [f"series/{name}" for name in form.series] + [f"neurons/{name}" for name in form.neuron_series]
    names += [variable.name for variable in form.resume]
    short = [name for name in names if file[name].len() < committed]
    if short:
        raise TrajectoryError(f"{path} is damaged: {committed} rows committed, fewer in {', '.join(short)}")


def plain(value: Any) -> Fact:  # h5py yields numpy scalars of any dtype
    """A fact of an attribute as Python's own number or text."""
    fact: Fact = value.item() if isinstance(value, np.generic) else value
    return fact
