"""Initial first layers W(0) (m, d): Gaussian, in the units of two libraries, or from a file."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from gflow.errors import ScenarioError
from gflow.problem.data_files import check_regular_file, float_array, read_npz
from gflow.problem.dataset import LARGEST_SIZE, Array, check_entries


def gaussian(width: int, d: int, std: float, rng: np.random.Generator) -> Array:
    """W (m, d) with independent entries N(0, std^2), m = width; std >= 0."""
    check_entries(width, d, "model.width x data.d")
    return std * rng.standard_normal((width, d))


def tensorflow_std(width: int, d: int) -> float:
    """sqrt(2 / (m + d)): the standard deviation of Keras' `Dense` (Glorot; w_TF in Frei et al.)."""
    return math.sqrt(2.0 / (width + d))


def pytorch_std(d: int) -> float:
    """1 / sqrt(3 d): the standard deviation of the default of PyTorch's `Linear`, uniform on +-1/sqrt(d)."""
    return 1.0 / math.sqrt(3.0 * d)


def read_file(path: str | Path, width: int, d: int) -> tuple[Array, Array | None]:
    """W (m, d) and, if the file has it, the outer layer a (m,) of an .npz file.

    Raises ScenarioError for missing, misshapen, non-real, non-finite or huge (> 1e150) arrays and for biases.
    """
    path = Path(path)
    check_regular_file(path, "initialisation")
    if path.suffix.lower() != ".npz":
        raise ScenarioError(f"{path}: initialisation files end in .npz (W, and optionally a), not {path.suffix!r}")
    arrays = read_npz(path, ("W",), ("a", "b"))
    if "b" in arrays and np.any(float_array(arrays, "b", path) != 0):
        raise ScenarioError(f"{path}: b holds biases, which are not available in this version; remove b")
    W = _checked(float_array(arrays, "W", path), "W", (width, d), path)
    if "a" not in arrays:
        return W, None
    return W, _checked(float_array(arrays, "a", path), "a", (width,), path)


def _checked(array: Array, name: str, shape: tuple[int, ...], path: Path) -> Array:
    """The array, C-contiguous.  Raises ScenarioError for another shape and for unusable entries."""
    if array.shape != shape:
        hint = "; it is transposed, save W.T" if array.ndim == 2 and array.shape == shape[::-1] else ""
        layout = "(width, d)" if name == "W" else "(width,)"
        raise ScenarioError(f"{path}: {name} has shape {array.shape}; it must be {layout} = {shape}{hint}")
    bad = np.argwhere(~(np.abs(array) <= LARGEST_SIZE))  # NaN compares false
    if bad.size:
        index = tuple(int(k) for k in bad[0])
        raise ScenarioError(
            f"{path}: {name}[{', '.join(map(str, index))}] is {array[index]}; every entry must be finite and "
            f"at most {LARGEST_SIZE:g} in size"
        )
    return np.ascontiguousarray(array)
