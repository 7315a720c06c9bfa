"""Initial weights: the two library defaults, and files."""

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
    read, outer = initialisation.read_file(path, 2, 3)
    assert np.array_equal(read, W) and read.flags.c_contiguous and outer is None
    np.savez(path, W=W.astype(np.float32), a=A, b=np.zeros(2))
    read, outer = initialisation.read_file(str(path), 2, 3)
    assert np.array_equal(read, W) and outer is not None and np.array_equal(outer, A)
    assert read.dtype == outer.dtype == np.float64


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
    ("biases", {"W": W, "b": A}, "b holds biases, which are not available in this version"),
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
