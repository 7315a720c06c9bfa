"""Where the flow starts: the two library defaults, frozen directions, and files."""

# ruff: noqa: E501  (one case a line reads as a table)
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gflow.errors import ScenarioError
from gflow.problem import initialisation

W = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])  # width 2, d = 3; a zero neuron is ordinary
A = np.array([0.5, -0.5])


def test_gaussian_weights() -> None:
    weights = initialisation.gaussian(200, 300, 0.1, np.random.default_rng(0))
    assert weights.shape == (200, 300)
    assert abs(weights.std() - 0.1) < 4 * 0.1 / np.sqrt(2 * 60_000)
    assert np.array_equal(weights, initialisation.gaussian(200, 300, 0.1, np.random.default_rng(0)))
    assert not initialisation.gaussian(2, 3, 0.0, np.random.default_rng(0)).any()
    with pytest.raises(ScenarioError, match="model.width x data.d"):
        initialisation.gaussian(10_000_000, 10_000_000, 1.0, np.random.default_rng(0))


def test_library_defaults() -> None:
    # Both defaults are uniform, on +-sqrt(6 / (m + d)) and on +-1/sqrt(d): L / sqrt(3) is the deviation on +-L.
    assert initialisation.tensorflow_std(512, 10_000) == pytest.approx(np.sqrt(6 / 10_512) / np.sqrt(3), rel=1e-14)
    uniform = np.random.default_rng(0).uniform(-0.1, 0.1, size=100_000)
    assert initialisation.pytorch_std(100) == pytest.approx(uniform.std(), rel=0.01)


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "init.npz"
    np.savez(path, W=np.asfortranarray(W))
    start = initialisation.read_file(path, 2, 3)
    assert np.array_equal(start.W, W) and start.W.flags.c_contiguous
    assert start.outer is None and start.bias is None and start.output_bias is None
    np.savez(path, W=W.astype(np.float32), a=A, b=np.zeros(2), c=np.zeros(1))
    start = initialisation.read_file(str(path), 2, 3)
    assert np.array_equal(start.W, W) and start.outer is not None and np.array_equal(start.outer, A)
    assert start.W.dtype == start.outer.dtype == np.float64
    assert start.bias is None and start.output_bias is None  # zeros, of a network that has none


def test_a_file_with_biases_and_several_outputs_is_read(tmp_path: Path) -> None:
    path = tmp_path / "init.npz"
    np.savez(path, W=W, b=A)
    start = initialisation.read_file(path, 2, 3, bias=True)
    assert start.bias is not None and np.array_equal(start.bias, A) and start.outer is None
    outer, c = np.arange(6.0).reshape(3, 2), np.array([1.0, 0.0, -1.0])
    np.savez(path, W=W, a=np.asfortranarray(outer), b=A, c=c)
    start = initialisation.read_file(path, 2, 3, outputs=3, bias=True)
    assert start.outer is not None and np.array_equal(start.outer, outer) and start.outer.flags.c_contiguous
    assert start.output_bias is not None and np.array_equal(start.output_bias, c)
    np.savez(path, W=W, a=outer)
    assert initialisation.read_file(path, 2, 3, outputs=3).output_bias is None


# id, arrays, outputs, bias, how the message begins
MISFITS: list[tuple[str, dict[str, object], int, bool, str]] = [
    ("no b", {"W": W, "a": A}, 1, True, "the array b is missing; the file holds W, a"),
    ("long b", {"W": W, "b": np.ones(3)}, 1, True, "b has shape (3,); it must be (width,) = (2,)"),
    ("NaN in b", {"W": W, "b": A * np.nan}, 1, True, "b[0] is nan"),
    ("text in b", {"W": W, "b": A.astype(str)}, 1, True, "b has dtype <U"),
    ("no a", {"W": W}, 3, False, "the array a is missing"),
    ("flat a", {"W": W, "a": A}, 3, False, "a has shape (2,); it must be (outputs, width) = (3, 2)"),
    ("transposed a", {"W": W, "a": np.ones((2, 3))}, 3, False, "a has shape (2, 3); it must be (outputs, width) = (3, 2); it is transposed, save a.T"),
    ("inf in a", {"W": W, "a": np.full((3, 2), np.inf)}, 3, False, "a[0, 0] is inf"),
    ("short c", {"W": W, "a": np.ones((3, 2)), "c": np.ones(2)}, 3, False, "c has shape (2,); it must be (outputs,) = (3,)"),
    ("huge c", {"W": W, "a": np.ones((3, 2)), "c": np.full(3, 1e151)}, 3, False, "c[0] is 1e+151"),
    ("c of one output", {"W": W, "c": np.ones(1)}, 1, False, "c holds biases, and one output has no bias of its own"),
    ("matrix for one output", {"W": W, "a": np.ones((3, 2))}, 1, False, "a has shape (3, 2); it must be (width,) = (2,)"),
]  # fmt: skip


@pytest.mark.parametrize(
    "arrays, outputs, bias, begins", [case[1:] for case in MISFITS], ids=[case[0] for case in MISFITS]
)
def test_a_file_for_another_network_is_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray], outputs: int, bias: bool, begins: str
) -> None:
    path = tmp_path / "init.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    with pytest.raises(ScenarioError) as caught:
        initialisation.read_file(path, 2, 3, outputs, bias)
    assert str(caught.value).startswith(f"{path}: {begins}")


def test_directions_are_uniform_on_the_sphere() -> None:
    m, d = 20_000, 3
    v = initialisation.sphere(m, d, np.random.default_rng(0))
    assert v.shape == (m, d) and np.allclose(np.linalg.norm(v, axis=1), 1.0, rtol=1e-14)
    assert np.abs(v.mean(axis=0)).max() < 4 / np.sqrt(d * m)
    assert np.abs(v.T @ v / m - np.eye(d) / d).max() < 4 / np.sqrt(m)
    # Archimedes: a coordinate of a uniform point on the sphere of R^3 is uniform on [-1, 1].
    shares = np.histogram(v[:, 0], bins=10, range=(-1, 1))[0] / m
    assert np.abs(shares - 0.1).max() < 4 * 0.3 / np.sqrt(m)
    assert set(initialisation.sphere(20, 1, np.random.default_rng(0)).ravel()) == {-1.0, 1.0}
    with pytest.raises(ScenarioError, match="model.width x data.d"):
        initialisation.sphere(10_000_000, 10_000_000, np.random.default_rng(0))


def test_a_balanced_start() -> None:
    start = initialisation.balanced(4000, 5, 0.25, np.random.default_rng(1))
    assert np.array_equal(start.directions, initialisation.sphere(4000, 5, np.random.default_rng(1)))
    assert np.all(np.abs(start.outer) == 0.25) and np.all(np.abs(start.inner) == 0.25)
    quarters = [np.mean((np.sign(start.outer) == s) & (np.sign(start.inner) == t)) for s in (1, -1) for t in (1, -1)]
    assert np.abs(np.array(quarters) - 0.25).max() < 4 * 0.44 / np.sqrt(4000)  # independent signs


V = np.array([[0.6, 0.8, 0.0], [0.0, 0.0, -1.0]])


def test_a_scalar_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "init.npz"
    np.savez(path, v=np.asfortranarray(V), a=A, b=-A)
    start = initialisation.read_scalar_file(path, 2, 3)
    assert np.array_equal(start.directions, V) and start.directions.flags.c_contiguous
    assert np.array_equal(start.outer, A) and np.array_equal(start.inner, -A)
    rows = initialisation.sphere(500, 30, np.random.default_rng(0))
    np.savez(path, v=rows, a=np.zeros(500), b=np.zeros(500))  # a zero neuron is ordinary
    assert np.array_equal(initialisation.read_scalar_file(path, 500, 30).directions, rows)


SCALAR: list[tuple[str, dict[str, object], str]] = [
    ("no v", {"a": A, "b": A}, "the array v is missing; the file holds a, b"),
    ("no a", {"v": V, "b": A}, "the array a is missing"),
    ("no b", {"v": V, "a": A}, "the array b is missing"),
    ("two-layer file", {"W": W, "a": A}, "the array v is missing; the file holds W, a"),
    ("transposed", {"v": V.T, "a": A, "b": A}, "v has shape (3, 2); it must be (width, d) = (2, 3); it is transposed"),
    ("long a", {"v": V, "a": np.ones(3), "b": A}, "a has shape (3,); it must be (width,) = (2,)"),
    ("long b", {"v": V, "a": A, "b": np.ones(3)}, "b has shape (3,); it must be (width,) = (2,)"),
    ("not unit", {"v": V * [[1], [2]], "a": A, "b": A}, "v[1] has norm 2; directions have norm 1, give v / |v|"),
    ("float32", {"v": (V / 3).astype("f4") * 3, "a": A, "b": A}, "v[0] has norm 1.000000"),
    ("zero direction", {"v": V * [[0], [1]], "a": A, "b": A}, "v[0] has norm 0"),
    ("NaN", {"v": V * [[np.nan], [1]], "a": A, "b": A}, "v[0, 0] is nan"),
    ("unbalanced", {"v": V, "a": A, "b": A * [1, 1.5]}, "a[1] is -0.5 and b[1] is -0.75; |a_j| = |b_j| is required"),
]  # fmt: skip


@pytest.mark.parametrize("arrays, begins", [case[1:] for case in SCALAR], ids=[case[0] for case in SCALAR])
def test_a_malformed_scalar_file_is_refused(tmp_path: Path, arrays: dict[str, np.ndarray], begins: str) -> None:
    path = tmp_path / "init.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    with pytest.raises(ScenarioError) as caught:
        initialisation.read_scalar_file(path, 2, 3)
    assert str(caught.value).startswith(f"{path}: {begins}")


def test_a_missing_scalar_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="no such initialisation file"):
        initialisation.read_scalar_file(tmp_path / "init.npz", 2, 3)
    (tmp_path / "init.csv").write_text("1,2\n")
    with pytest.raises(ScenarioError, match=r"initialisation files end in .npz \(v, a and b\)"):
        initialisation.read_scalar_file(tmp_path / "init.csv", 2, 3)


MALFORMED: list[tuple[str, dict[str, object], str]] = [
    ("no W", {"a": A}, "the array W is missing; the file holds a"),
    ("wrong width", {"W": W[:1]}, "W has shape (1, 3); it must be (width, d) = (2, 3)"),
    ("wrong d", {"W": W[:, :2]}, "W has shape (2, 2); it must be (width, d) = (2, 3)"),
    ("transposed", {"W": W.T}, "W has shape (3, 2); it must be (width, d) = (2, 3); it is transposed, save W.T"),
    ("flat", {"W": W.ravel()}, "W has shape (6,)"),
    ("NaN", {"W": np.where(W == 3, np.nan, W)}, "W[0, 2] is nan; every entry must be finite"),
    ("inf", {"W": np.where(W == 2, -np.inf, W)}, "W[0, 1] is -inf"),
    ("too large", {"W": 1e151 * W}, "W[0, 0] is 1e+151; every entry must be finite and at most 1e+150"),
    ("complex", {"W": W * 1j}, "W has dtype complex128"),
    ("objects", {"W": W.astype(object)}, "the array W cannot be read (it holds Python objects)"),
    ("wrong a", {"W": W, "a": A[:1]}, "a has shape (1,); it must be (width,) = (2,)"),
    ("NaN in a", {"W": W, "a": A * np.nan}, "a[0] is nan"),
    ("text in a", {"W": W, "a": A.astype(str)}, "a has dtype <U"),
    ("biases", {"W": W, "b": A}, "b holds biases, and model.bias is false; set `bias: true` or remove b"),
]


@pytest.mark.parametrize("arrays, fragment", [case[1:] for case in MALFORMED], ids=[case[0] for case in MALFORMED])
def test_a_malformed_file_is_refused(tmp_path: Path, arrays: dict[str, np.ndarray], fragment: str) -> None:
    path = tmp_path / "init.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    with pytest.raises(ScenarioError) as caught:
        initialisation.read_file(path, 2, 3)
    assert str(caught.value).startswith(f"{path}: {fragment}")


def test_a_missing_or_unreadable_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="no such initialisation file"):
        initialisation.read_file(tmp_path / "init.npz", 2, 3)
    with pytest.raises(ScenarioError, match="is a folder"):
        initialisation.read_file(tmp_path, 2, 3)
    (tmp_path / "init.csv").write_text("1,2\n")
    with pytest.raises(ScenarioError, match="initialisation files end in .npz"):
        initialisation.read_file(tmp_path / "init.csv", 2, 3)
    (tmp_path / "init.npz").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(ScenarioError, match="no readable .npz archive"):
        initialisation.read_file(tmp_path / "init.npz", 2, 3)
