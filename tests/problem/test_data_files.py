"""Data files that are right are read exactly; any other is refused with its place, and nothing else happens."""

# ruff: noqa: E501  (one case a line reads as a table)
from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gflow.errors import ScenarioError
from gflow.problem.data_files import read_dataset

X = np.array([[1.0, 2.0], [3.0, -4.0], [5.0, 6.5]])
Y = np.array([1.0, -1.0, 1.0])


def with_entry(i: int, k: int, value: float) -> np.ndarray:
    changed = X.copy()
    changed[i, k] = value
    return changed


# id, arrays of the file, what the message holds
ARRAYS: list[tuple[str, dict[str, object], str]] = [
    ("no X", {"x": X, "y": Y}, "the array X is missing; the file holds x, y"),
    ("no y", {"X": X}, "the array y is missing"),
    ("no array", {}, "the array X is missing; the file holds no array"),
    ("X is a vector", {"X": X[:, 0], "y": Y}, "X has shape (3,); it must be a matrix"),
    ("X is a number", {"X": 3.0, "y": Y}, "X has shape (); it must be a matrix"),
    ("X is a cube", {"X": X[None], "y": Y}, "X has shape (1, 3, 2)"),
    ("y is a column", {"X": X, "y": Y[:, None]}, "y has shape (3, 1); it must be a vector (n,), use y.ravel()"),
    ("y too short", {"X": X, "y": Y[:2]}, "X has 3 samples and y has 2 labels"),
    ("y too long", {"X": X[:2], "y": Y}, "X has 2 samples and y has 3 labels"),
    ("no samples", {"X": X[:0], "y": Y[:0]}, "X has shape (0, 2); it needs at least one sample"),
    ("no inputs", {"X": X[:, :0], "y": Y}, "X has shape (3, 0); it needs at least one sample"),
    ("complex", {"X": X + 1j, "y": Y}, "X has dtype complex128; it must hold real numbers"),
    ("text", {"X": X.astype(str), "y": Y}, "X has dtype <U"),
    ("booleans", {"X": X > 0, "y": Y}, "X has dtype bool"),
    ("boolean labels", {"X": X, "y": Y > 0}, "y has dtype bool; it must hold real numbers (write labels as -1 and +1,"),
    ("times", {"X": X.astype("M8[s]"), "y": Y}, "X has dtype datetime64[s]"),
    ("records", {"X": X, "y": np.zeros(3, dtype=[("a", "f8")])}, "y has dtype [('a', '<f8')]"),
    ("objects", {"X": X.astype(object), "y": Y}, "the array X cannot be read (it holds Python objects)"),
    ("NaN", {"X": with_entry(1, 0, np.nan), "y": Y}, "sample 1: input 0 is nan; every input must be a finite number"),
    ("inf", {"X": with_entry(2, 1, np.inf), "y": Y}, "sample 2: input 1 is inf"),
    ("-inf", {"X": with_entry(0, 1, -np.inf), "y": Y}, "sample 0: input 1 is -inf"),
    ("NaN label", {"X": X, "y": np.array([1, np.nan, 1])}, "sample 1: the label is nan; it must be -1 or +1"),
    ("labels 0 and 1", {"X": X, "y": np.array([1, 0, 1])}, "sample 1: the label is 0; it must be -1 or +1; turn"),
    ("labels 1 and 2", {"X": X, "y": np.array([1, 2, 1])}, "sample 1: the label is 2; it must be -1 or +1"),
    ("unsigned labels", {"X": X, "y": np.array([1, 255, 1], dtype=np.uint8)}, "sample 1: the label is 255"),
    ("soft labels", {"X": X, "y": 0.9 * Y}, "sample 0: the label is 0.9"),
    ("zero sample", {"X": X * [[1], [0], [1]], "y": Y}, "sample 1: the sample is the zero vector, so its margin is 0"),
    ("negative zeros", {"X": X * [[1], [1], [-0.0]], "y": Y}, "sample 2: the sample is the zero vector"),
    ("too small", {"X": X * [[1], [1e-160], [1]], "y": Y}, "sample 1: the largest input is 4e-160 in size"),
    (
        "too large",
        {"X": 1e160 * X, "y": Y},
        "sample 0: the largest input is 2e+160 in size; it must lie in [1e-150, 1e",
    ),
    ("beyond float64", {"X": np.longdouble("1e4000") * X, "y": Y}, "sample 0: input 0 is inf"),
]


@pytest.mark.parametrize("arrays, fragment", [case[1:] for case in ARRAYS], ids=[case[0] for case in ARRAYS])
def test_a_malformed_npz_is_refused(tmp_path: Path, arrays: dict[str, np.ndarray], fragment: str) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    with pytest.raises(ScenarioError) as caught:
        read_dataset(path)
    assert str(caught.value).startswith(f"{path}: ") and fragment in str(caught.value)


# Labels that one output takes and three do not, and the reverse: id, labels, what the message holds.
CLASSES: list[tuple[str, list[float], str]] = [
    ("signs", [1, -1, 1], "sample 1: the label is -1; with outputs = 3 it must be a class, an integer 0, ..., 2; classes -1"),
    ("counted from 1", [1, 2, 3], "sample 2: the label is 3; with outputs = 3 it must be a class, an integer 0, ..., 2; classes count"),
    ("too large", [0, 7, 1], "sample 1: the label is 7; with outputs = 3 it must be a class, an integer 0, ..., 2"),
    ("a fraction", [0, 1.5, 1], "sample 1: the label is 1.5"),
    ("NaN", [0, np.nan, 1], "sample 1: the label is nan"),
    ("inf", [np.inf, 0, 1], "sample 0: the label is inf"),
]  # fmt: skip


@pytest.mark.parametrize("labels, fragment", [case[1:] for case in CLASSES], ids=[case[0] for case in CLASSES])
def test_a_label_that_is_no_class_is_refused(tmp_path: Path, labels: list[float], fragment: str) -> None:
    np.savez(tmp_path / "d.npz", X=X, y=labels)
    with pytest.raises(ScenarioError) as caught:
        read_dataset(tmp_path / "d.npz", outputs=3)
    assert str(caught.value).startswith(f"{tmp_path / 'd.npz'}: {fragment}")


def test_classes_are_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", X=X, y=np.array([2, 0, 1], dtype=np.uint8))
    (tmp_path / "d.csv").write_text("a,b,class\n1,2,2\n3,-4,0\n5,6.5,1.0\n")
    for name in ("d.npz", "d.csv"):
        sample = read_dataset(tmp_path / name, outputs=3)
        assert np.array_equal(sample.X, X) and np.array_equal(sample.y, [2.0, 0.0, 1.0])
        assert sample.y.dtype == np.float64 and sample.y.flags.c_contiguous
    (tmp_path / "d.csv").write_text("1,2,2\n3,-4,4\n")
    with pytest.raises(ScenarioError, match=r"d.csv:2: the label is 4; with outputs = 4 it .* count from 0$"):
        read_dataset(tmp_path / "d.csv", outputs=4)


def test_a_zero_sample_is_legal_with_a_bias(tmp_path: Path) -> None:
    (tmp_path / "xor.csv").write_text("0,0,-1\n0,1,1\n1,0,1\n1,1,-1\n")
    assert not read_dataset(tmp_path / "xor.csv", bias=True).X[0].any()
    with pytest.raises(ScenarioError, match=r"xor.csv:1: the sample is the zero vector.*without a bias; remove it"):
        read_dataset(tmp_path / "xor.csv")
    (tmp_path / "xor.csv").write_text("0,0,-1\n0,1e-200,1\n")
    with pytest.raises(ScenarioError, match=r"xor.csv:2: the largest input is 1e-200"):
        read_dataset(tmp_path / "xor.csv", bias=True)


CSV: list[tuple[str, str | bytes, str]] = [
    ("empty", "", ": has no samples"),
    ("only a header", "x1,x2,label\n", ": has no samples"),
    ("only comments", "# a\n\n#b\n", ": has no samples"),
    ("ragged", "x1,x2,label\n1,2,1\n3,4\n", ":3: has 2 columns, and line 2 has 3"),
    ("ragged after a blank line", "1,2,1\n\n\n3,4,5,1\n", ":4: has 4 columns, and line 1 has 3"),
    ("a word", "1,2,1\n3,four,1\n", ":2: column 2 is 'four', not a number"),
    ("an empty cell", "1,2,1\n3,,1\n", ":2: column 2 is '', not a number"),
    ("underscore", "1_0,2,1\n", ":1: column 1 is '1_0', not a number"),
    ("two headers", "a,b\nc,d\n1,1\n", ":2: column 1 is 'c', not a number"),
    ("half a header", "0,1,label\n1,2,1\n", ":1: column 3 is 'label', not a number"),
    ("text labels", "1,2,cat\n1,2,dog\n", ":1: column 3 is 'cat', not a number"),
    ("one column", "1\n-1\n", ":1: has one column; separate inputs by commas"),
    ("semicolons", "1;2;1\n3;4;-1\n", ":1: is separated by ';'; use commas, and points for decimals"),
    ("semicolons below a header", "# no comma\n\nx1;x2;y\n3;4;-1\n", ":3: is separated by ';'; use commas"),
    ("decimal commas", "1,5;2,5;1\n", ":1: is separated by ';'; use commas, and points for decimals"),
    ("tabs", "x1\tx2\ty\n1\t2\t1\n", ":1: is separated by tabs; use commas"),
    ("blanks", "1  2 1\n", ":1: is separated by blanks; use commas"),
    ("NaN", "a,b,y\n1,2,1\n1,nan,1\n", ":3: input 1 is nan"),
    ("inf", "1,2,1\n\n-inf,2,1\n", ":3: input 0 is -inf"),
    ("label 0", "1,2,1\n3,4,0\n", ":2: the label is 0; it must be -1 or +1; turn labels 0 and 1"),
    ("label NaN", "1,2,1\n3,4,nan\n", ":2: the label is nan"),
    ("zero sample", "1,2,1\n0,-0.0,1\n", ":2: the sample is the zero vector"),
    ("not UTF-8", b"1,2,1\n\xff,2,1\n", ": byte 6 is not UTF-8 text"),
    ("binary", bytes(range(256)), ""),
]


@pytest.mark.parametrize("content, fragment", [case[1:] for case in CSV], ids=[case[0] for case in CSV])
def test_a_malformed_csv_is_refused_with_its_line(tmp_path: Path, content: str | bytes, fragment: str) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ScenarioError) as caught:
        read_dataset(path)
    assert str(caught.value).startswith(f"{path}{fragment}")


def save_valid(path: Path) -> None:
    np.savez(path, X=X, y=Y)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(1000))


def pickled(path: Path) -> None:
    path.write_bytes(b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94.")


def single_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, X)


def truncated(path: Path) -> None:
    save_valid(path)
    path.write_bytes(path.read_bytes()[:-30])


def lying_header(path: Path) -> None:
    """An array that claims 10^15 numbers and holds none."""
    with zipfile.ZipFile(path, "w") as archive:
        header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 1000), }"
        size = 118 - len(header) - 1
        archive.writestr("X.npy", b"\x93NUMPY\x01\x00\x76\x00" + header + b" " * size + b"\n")
        archive.writestr("y.npy", b"")


def folder(path: Path) -> None:
    path.mkdir()


def nothing(path: Path) -> None:
    """No file at all."""


DAMAGED: list[tuple[Callable[[Path], None], str, str]] = [
    (empty, "d.npz", "no readable .npz archive"),
    (noise, "d.npz", "no readable .npz archive"),
    (pickled, "d.npz", "no readable .npz archive"),
    (single_array, "d.npz", "no readable .npz archive"),
    (truncated, "d.npz", "no readable .npz archive"),
    (lying_header, "d.npz", "the array X cannot be read"),
    (folder, "d.npz", "is a folder"),
    (folder, "d.csv", "is a folder"),
    (nothing, "d.npz", "no such data file"),
    (nothing, "d.csv", "no such data file"),
    (nothing, 300 * "x" + ".npz", "cannot be read"),
    (empty, "d.txt", "data files end in .npz"),
    (empty, "d", "data files end in .npz"),
]


@pytest.mark.parametrize("make, name, fragment", DAMAGED, ids=[f"{case[0].__name__} {case[1][:8]}" for case in DAMAGED])
def test_a_damaged_file_is_refused(tmp_path: Path, make: Callable[[Path], None], name: str, fragment: str) -> None:
    path = tmp_path / name
    make(path)
    with pytest.raises(ScenarioError) as caught:
        read_dataset(path)
    assert str(caught.value).startswith(f"{path}: {fragment}")


@pytest.mark.parametrize("compressed", [False, True])
def test_no_damage_to_an_archive_causes_another_error(tmp_path: Path, compressed: bool) -> None:
    path = tmp_path / "d.npz"
    (np.savez_compressed if compressed else np.savez)(path, X=X, y=Y)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    damaged = [whole[:cut] for cut in range(0, len(whole), 7)]
    for _ in range(300):
        content = bytearray(whole)
        for position in rng.integers(0, len(whole), size=rng.integers(1, 4)):
            content[position] = rng.integers(0, 256)
        damaged.append(bytes(content))
    for content_ in damaged:
        path.write_bytes(content_)
        try:
            read_dataset(path)
        except ScenarioError as error:
            assert str(error).startswith(str(path))


@pytest.mark.parametrize("scale", [1e-149, 1e-20, 1.0, 1e149])
def test_extreme_values_are_legal(tmp_path: Path, scale: float) -> None:
    np.savez(tmp_path / "d.npz", X=scale * X, y=Y)
    assert np.array_equal(read_dataset(tmp_path / "d.npz").X, scale * X)


def test_other_dtypes_orders_and_arrays_are_read(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    np.savez(path, X=np.asfortranarray(X.astype(np.float32)), y=Y.astype(np.int8), X_test=X, note="text")
    sample = read_dataset(path)
    assert np.array_equal(sample.X, X) and np.array_equal(sample.y, Y)
    assert sample.X.flags.c_contiguous and sample.X.dtype == np.float64 and sample.y.dtype == np.float64


@pytest.mark.parametrize(
    "text",
    [
        "1,2,1\n3,-4,-1\n5,6.5,1\n",
        "x1,x2,label\n1,2,1\n3,-4,-1\n5,6.5,1",
        "width; in mm,,the label\n1,2,1\n3,-4,-1\n5,6.5,1",
        "\ufeff# exported\r\n'a','b','y'\r\n\r\n 1, 2 ,+1\r\n3e0,-.4e1,-1.0\r\n\"5\",6.5,1\r\n",
    ],
    ids=["plain", "header", "header with signs and gaps", "Windows"],
)
def test_csv_forms(tmp_path: Path, text: str) -> None:
    path = tmp_path / "D.CSV"
    path.write_bytes(text.encode())
    sample = read_dataset(path)
    assert np.array_equal(sample.X, X) and np.array_equal(sample.y, Y)
    assert sample.X.flags.c_contiguous and sample.y.flags.c_contiguous
