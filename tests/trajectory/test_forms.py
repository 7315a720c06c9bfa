"""Trained outer layers, several outputs, biases of outputs, scalar networks, series of neurons: as written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray

from gflow.errors import TrajectoryError
from gflow.trajectory import FILE_NAME, Header, Row, Trajectory, layout, open_trajectory, writer
from tests.trajectory.appending import append_blocks
from tests.trajectory.synthetic import (
    CASES,
    DIRECTIONS,
    HEADER,
    PLAIN,
    TRAINED,
    Case,
    D,
    K,
    M,
    R,
    assert_committed_content,
    events_up_to,
    row,
)

T = "log1p_time"
OUTER_DIMS = {
    "plain": ("neuron",),
    "trained": (T, "neuron"),
    "outputs": ("output", "neuron"),
    "trained outputs": (T, "output", "neuron"),
    "one output with a bias": (T, "neuron"),
    "tested": ("neuron",),
    "scalar": (T, "neuron"),
    "descent": ("neuron",),
    "resumable": ("neuron",),
    "resumable, all trained": (T, "output", "neuron"),
}


def written(folder: Path, case: Case) -> Trajectory:
    """6 rows in 3 blocks, and the outcome."""
    append_blocks(str(folder / FILE_NAME), 3, case)
    return open_trajectory(folder)


@pytest.mark.parametrize("name", CASES)
def test_every_form_returns_bit_for_bit(tmp_path: Path, name: str) -> None:
    trajectory = written(tmp_path, CASES[name])
    assert trajectory.n_rows == 6 and trajectory.format_version == 1
    assert_committed_content(trajectory, CASES[name])
    assert trajectory.sizes == CASES[name].header.sizes()


@pytest.mark.parametrize("name", CASES)
def test_growth_and_the_outcome_keep_every_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(layout, "CHUNK_LENGTH", 1)
    monkeypatch.setattr(writer, "EVENT_CAPACITY", 64)
    case = CASES[name]
    growing = case.create(tmp_path / "t.h5", expected_rows=1)
    for first in range(0, 100, 20):
        numbers = range(first, first + 20)
        growing.commit([row(k, case) for k in numbers], [entry for k in numbers for entry in events_up_to(k)])
    growing.finish("HORIZON", "reached the end")
    assert_committed_content(open_trajectory(tmp_path / "t.h5"), case)
    with h5py.File(tmp_path / "t.h5") as file:
        chunked = [name for name in every_dataset(file) if file[name].chunks]
        assert all(file[name].id.get_num_chunks() <= layout.MAX_CHUNKS for name in chunked)
        assert {f"neurons/{name}" for name in case.neuron_series} < set(chunked)


def every_dataset(file: h5py.File) -> list[str]:
    names: list[str] = []
    file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    return names


def test_what_has_no_rows_beyond_the_plain_form_is_not_in_its_file(tmp_path: Path) -> None:
    trajectory = written(tmp_path, PLAIN)
    assert trajectory.output_bias is None and trajectory.directions is None and not trajectory.trains_outer
    assert dict(trajectory.neurons) == {} and "output" not in trajectory.sizes
    with h5py.File(trajectory.path) as file:
        assert not {"neurons", "output", "output_bias", "directions"} & set(file)
    with pytest.raises(KeyError, match="no series 'norm' in neurons of .*: it has none"):
        trajectory.neurons["norm"]


@pytest.mark.parametrize("name", CASES)
def test_the_outer_layer_at_a_row(tmp_path: Path, name: str) -> None:
    trajectory, case = written(tmp_path, CASES[name]), CASES[name]
    for number in (0, 3, -1):
        expected = row(range(6)[number], case).outer if case.header.trains_outer else case.header.outer
        np.testing.assert_array_equal(trajectory.outer_at(number), expected)
    with pytest.raises(IndexError):
        trajectory.outer_at(6)


def test_rows_of_a_trained_run_that_are_not_committed_are_not_seen(tmp_path: Path) -> None:
    growing = TRAINED.create(tmp_path / "t.h5")
    growing.commit([row(0, TRAINED)])
    before = open_trajectory(tmp_path / "t.h5")
    growing.commit([row(1, TRAINED)], events_up_to(1))
    assert before.outer.shape == (1, M) and before.neurons["norm"].shape == (1, M)
    assert_committed_content(before, TRAINED)
    assert_committed_content(open_trajectory(tmp_path / "t.h5"), TRAINED)


def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    trajectory = written(tmp_path, TRAINED)
    with h5py.File(trajectory.path, "r+") as file:
        file["outer"][2], file["neurons/norm"][2] = 7.0, 8.0
    assert np.all(trajectory.outer[2] == 7.0) and np.all(trajectory.outer_at(2) == 7.0)
    assert np.all(trajectory.neurons["norm"][2] == 8.0)


def test_the_weights_of_a_scalar_network_keep_their_directions(tmp_path: Path) -> None:
    trajectory = written(tmp_path, CASES["scalar"])
    assert trajectory.inner.shape == (6, M, 1)
    np.testing.assert_array_equal(trajectory.weights(0), trajectory.W_initial)
    np.testing.assert_array_equal(trajectory.weights(4), row(4, CASES["scalar"]).inner * DIRECTIONS)


def test_the_meanings_follow_the_form(tmp_path: Path) -> None:
    def long_names(name: str) -> dict[str, str]:
        with h5py.File(written(tmp_path / name, CASES[name]).path) as file:
            return {each: str(file[each].attrs["long_name"]) for each in ("y", "margins", "inner", "basis")}

    plain, outputs, scalar = long_names("plain"), long_names("trained outputs"), long_names("scalar")
    assert plain["y"] == "labels, -1 or +1" and plain["inner"] == "U = W B^T"
    assert outputs["y"] == "labels, class indices 0 .. K-1" and "f_{y_i}" in outputs["margins"]
    assert scalar["inner"] == "inner weights b, w_j = b_j v_j" and "zeros" in scalar["basis"]
    assert long_names("one output with a bias")["y"] == plain["y"] == scalar["y"]


@pytest.mark.parametrize("name", CASES)
def test_xarray_finds_named_dimensions_in_every_form(tmp_path: Path, name: str) -> None:
    trajectory, case = written(tmp_path, CASES[name]), CASES[name]
    with xarray.open_datatree(trajectory.path, engine="h5netcdf") as tree:
        assert tree["outer"].dims == OUTER_DIMS[name]
        if case.header.has_output_bias:
            assert tree["output_bias"].dims == (T, "output")
        if case.header.directions is not None:
            assert tree["directions"].dims == ("neuron", "input")
        if case.header.X_test is not None:
            assert tree["X_test"].dims == ("test_sample", "input") and tree["y_test"].dims == ("test_sample",)
        if case.neuron_series:
            neurons = tree["neurons"].to_dataset(inherit=False)
            assert {each: neurons[each].dims for each in neurons} == dict.fromkeys(case.neuron_series, (T, "neuron"))
        assert not any("phony" in str(size) for size in tree.sizes)


@pytest.mark.parametrize("name", CASES)
def test_to_xarray_equals_what_xarray_reads_in_every_form(tmp_path: Path, name: str) -> None:
    trajectory = written(tmp_path, CASES[name])
    ours = trajectory.to_xarray()
    with xarray.open_datatree(trajectory.path, engine="h5netcdf") as theirs:
        assert set(ours.groups) == set(theirs.groups)
        for path in ours.groups:
            own, kept = ours[path].to_dataset(inherit=False), theirs[path].to_dataset(inherit=False)
            assert set(own.data_vars) == set(kept.data_vars) - set(layout.TEXTS)
            for each, values in own.data_vars.items():
                assert values.dims == kept[each].dims
                np.testing.assert_array_equal(values, kept[each])


@pytest.mark.parametrize("name", CASES)
def test_to_pandas_has_a_row_a_record_time(tmp_path: Path, name: str) -> None:
    trajectory = written(tmp_path, CASES[name])
    frame = trajectory.to_pandas()
    assert list(frame.columns) == ["t", "log_loss", *trajectory.series]
    assert frame.index.name == T and np.array_equal(frame.index, trajectory.log1p_time)
    for each, values in trajectory.series.items():
        assert np.array_equal(frame[each], values)
    assert np.array_equal(frame["t"], trajectory.t)
    table = trajectory.to_xarray()["series"].to_dataset().to_dataframe()  # what only counts is no coordinate of it
    assert len(table) == trajectory.n_rows


def wrong_row(**changes: Any) -> Row:  # Any: the values of fields of different types
    return replace(row(2, CASES["trained outputs"]), **changes)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (wrong_row(outer=None), "row 2: outer is missing"),
        (wrong_row(output_bias=None), "row 2: output_bias is missing"),
        (wrong_row(outer=np.zeros(M)), r"row 2: outer has shape \(4,\) where the header implies \(6, 4\)"),
        (wrong_row(outer=np.full((K, M), np.nan)), "row 2: outer is NaN"),
        (wrong_row(output_bias=np.zeros(1)), r"row 2: output_bias has shape \(1,\) .* \(6,\)"),
        (wrong_row(neurons={}), "row 2: series of neurons norm missing or not announced"),
        (wrong_row(neurons={"norm": np.ones(M), "rotation": np.ones(M)}), "row 2: series of neurons rotation"),
        (wrong_row(neurons={"norm": np.ones(1)}), r"row 2: norm has shape \(1,\) .* \(4,\)"),
        (wrong_row(neurons={"norm": np.full(M, np.nan)}), "row 2: neurons/norm is NaN"),
    ],
)
def test_a_trained_row_that_does_not_fit_leaves_the_file_as_it_was(tmp_path: Path, wrong: Row, message: str) -> None:
    case = CASES["trained outputs"]
    made = case.create(tmp_path / "t.h5")
    made.commit([row(0, case), row(1, case)], events_up_to(1))
    before = (tmp_path / "t.h5").read_bytes()
    with pytest.raises(TrajectoryError, match=message):
        made.commit([wrong], events_up_to(2))
    assert (tmp_path / "t.h5").read_bytes() == before
    made.commit([row(2, case)], events_up_to(2))
    assert_committed_content(open_trajectory(tmp_path / "t.h5"), case)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"outer": np.ones(M)}, "row 0: outer is given, but by the header it is not trained"),
        ({"output_bias": np.ones(1)}, "row 0: output_bias is given"),
        ({"neurons": {"norm": np.ones(M)}}, "row 0: series of neurons norm missing or not announced"),
    ],
)
def test_a_plain_file_takes_no_trained_row(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TrajectoryError, match=message):
        PLAIN.create(tmp_path / "t.h5").commit([replace(row(0), **changes)])


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (replace(HEADER, outer=np.ones(1)), r"header: outer has shape \(1,\), the other arrays imply \(4,\)"),
        (replace(HEADER, outer=np.ones(1), trains_outer=True), r"header: outer has shape \(1,\)"),
        (replace(HEADER, outer=np.ones((K, 1)), trains_outer=True), r"header: outer has shape \(6, 1\)"),
        (replace(HEADER, y=np.ones(1)), r"header: y has shape \(1,\), the other arrays imply \(3,\)"),
        (replace(HEADER, basis=np.eye(R, 1)), r"header: basis has shape \(2, 1\), .* \(2, 5\)"),
        (replace(HEADER, directions=np.ones((M, 1)), basis=np.zeros((1, D))), r"header: directions has shape \(4, 1\)"),
        (replace(HEADER, X_test=np.ones((2, 1)), y_test=np.ones(2)), r"header: X_test has shape \(2, 1\), .* \(2, 5\)"),
        (replace(HEADER, X_test=np.ones((2, D))), r"header: y_test has shape \(\), the other arrays imply \(2,\)"),
        (replace(HEADER, directions=DIRECTIONS), "with directions, basis must be one row of zeros"),
        (replace(HEADER, directions=DIRECTIONS, basis=np.ones((1, D))), "with directions, basis must be one row"),
    ],
)
def test_a_header_whose_arrays_do_not_fit_makes_no_file(tmp_path: Path, header: Header, message: str) -> None:
    with pytest.raises(TrajectoryError, match=message):
        Case(header).create(tmp_path / "t.h5")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("names", [("norm", "norm"), ("rotatoin",), ("stable_rank",)])
def test_series_of_neurons_are_those_of_the_layout(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(TrajectoryError, match="see layout.NEURON_SERIES"):
        Case(HEADER, names).create(tmp_path / "t.h5")


@pytest.mark.parametrize("name", ["outer", "output_bias", "neurons/norm"])
def test_a_trained_dataset_shorter_than_the_committed_rows_is_damage(tmp_path: Path, name: str) -> None:
    trajectory = written(tmp_path, CASES["trained outputs"])
    with h5py.File(trajectory.path, "r+") as file:
        file[name].resize(4, axis=0)
    with pytest.raises(TrajectoryError, match=f"damaged: 6 rows committed, fewer in {name}"):
        open_trajectory(trajectory.path)


@pytest.mark.parametrize("name", ["outer", "output", "output_bias", "neurons"])
@pytest.mark.parametrize("other", ["group", "text"])
def test_damage_of_the_new_datasets_gives_no_other_error(tmp_path: Path, name: str, other: str) -> None:
    trajectory = written(tmp_path, CASES["trained outputs"])
    with h5py.File(trajectory.path, "r+") as file:
        del file[name]
        if other == "text":
            file[name] = "not what belongs here"
        else:
            file.create_group(name).create_group("norm")
    with pytest.raises(TrajectoryError, match="damaged"):
        open_trajectory(trajectory.path)


def test_a_plain_file_is_read_with_h5py_alone_as_before(tmp_path: Path) -> None:
    trajectory = written(tmp_path, PLAIN)
    with h5py.File(trajectory.path) as file:
        moved = file["inner"][5] - file["inner"][0]
        np.testing.assert_array_equal(file["W_initial"][:] + moved @ file["basis"][:], trajectory.weights(5))
        np.testing.assert_array_equal(file["outer"][:], HEADER.outer)


def test_descent_tells_its_runs_apart(tmp_path: Path) -> None:
    trajectory = written(tmp_path, CASES["descent"])
    assert trajectory.kind == "descent"
    assert trajectory.read("eta").tolist() == [0.5**k for k in range(6)]
    assert trajectory.read("step").tolist() == [3 * k for k in range(6)] and trajectory.read("step").dtype == np.int64
    assert trajectory.to_xarray()["eta"].dims == (T,)


def test_rows_are_read_by_their_numbers(tmp_path: Path) -> None:
    trajectory = written(tmp_path, CASES["descent"])
    for rows in ([1, 4], [0], [], [0, 1, 2, 3, 4, 5]):
        for name in ("step", "inner", "series/stable_rank"):
            whole = trajectory.read(name)
            assert np.array_equal(trajectory.read(name, np.array(rows, dtype=np.intp)), whole[rows]), (name, rows)
    for wrong in ([6], [-1, 2]):
        with pytest.raises(IndexError, match="which has 6"):
            trajectory.read("step", np.array(wrong))


@pytest.mark.parametrize("kind, other", [("plain", "descent"), ("descent", "plain")])
def test_rows_of_flow_and_descent_are_not_mixed(tmp_path: Path, kind: str, other: str) -> None:
    file = CASES[kind].create(tmp_path / FILE_NAME)
    with pytest.raises(TrajectoryError, match="row 0: eta is given exactly in files of descent"):
        file.commit([row(0, CASES[other])])
