"""Weights at the start of a flow: Gaussian ones in the units of two libraries, frozen directions, or from a file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gflow.arrays import Array
from gflow.errors import ScenarioError
from gflow.problem.data_files import check_regular_file, float_array, read_npz
from gflow.problem.dataset import LARGEST_SIZE, check_entries

UNIT_NORM_ERROR = 1e-12  # allowed for directions from a file: the rounding of v / |v| in float64


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """W (m, d) and the further weights that a file gives; None for those that it does not give."""

    W: Array
    outer: Array | None
    """a (m,), or (K, m) for K >= 3 outputs"""
    bias: Array | None
    """b (m,)"""
    output_bias: Array | None
    """c (K,)"""


@dataclass(frozen=True, slots=True, eq=False)
class ScalarStart:
    """The start of the scalar network sum_j outer_j phi(inner_j <v_j, x>).

    |outer_j| = |inner_j|, so that the flow never changes a sign (Telgarsky, Theorem 3.3).
    """

    directions: Array
    """v (m, d), rows of norm 1"""
    outer: Array
    """a (m,)"""
    inner: Array
    """b (m,)"""


def gaussian(width: int, d: int, std: float, rng: np.random.Generator) -> Array:
    """W (m, d) with independent entries N(0, std^2), m = width; std >= 0."""
    check_entries(width, d, "model.width x data.d")
    return std * rng.standard_normal((width, d))


def uniform(rows: int, columns: int, bound: float, rng: np.random.Generator) -> Array:
    """Weights (rows, columns), independent and uniform on [-bound, bound), bound >= 0; the rows are neurons."""
    check_entries(rows, columns, "model.width x data.d")
    return bound * rng.uniform(-1.0, 1.0, size=(rows, columns))


def sphere(m: int, d: int, rng: np.random.Generator) -> Array:
    """Directions (m, d), independent and uniform on the unit sphere of R^d."""
    check_entries(m, d, "model.width x data.d")
    rows = rng.standard_normal((m, d))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def balanced(m: int, d: int, size: float, rng: np.random.Generator) -> ScalarStart:
    """Directions (m, d) uniform on the sphere; a_j and b_j, (m,) each, independent and uniform on {-size, +size}.

    Source: Telgarsky, Theorem 3.3.
    """
    directions = sphere(m, d, rng)
    a, b = np.where(rng.integers(0, 2, size=(2, m)) == 1, size, -size)
    return ScalarStart(directions, a, b)


def tensorflow_std(width: int, d: int) -> float:
    """sqrt(2 / (m + d)): the standard deviation of Keras' `Dense` (Glorot; w_TF in Frei et al.), m = width.

    For the outer layer d is the number of outputs.
    """
    return math.sqrt(2.0 / (width + d))


def pytorch_std(d: int) -> float:
    """1 / sqrt(3 d): the standard deviation of PyTorch's default for `Linear`, which is uniform on +-1/sqrt(d)."""
    return 1.0 / math.sqrt(3.0 * d)


def tensorflow_bound(width: int, d: int) -> float:
    """sqrt(6 / (m + d)): Keras' `Dense` draws uniform on +- it (`glorot_uniform`), with standard deviation
    `tensorflow_std`; biases are 0.
    """
    return math.sqrt(6.0 / (width + d))


def pytorch_bound(d: int) -> float:
    """1 / sqrt(d): PyTorch's `Linear` draws weights and biases uniform on +- it, with standard deviation `pytorch_std`;
    d: the number of its inputs.
    """
    return 1.0 / math.sqrt(d)


def read_file(path: str | Path, width: int, d: int, outputs: int = 1, bias: bool = False) -> Start:
    """The start of a two-layer network from an .npz file with the arrays of `start_of`.

    The outer layer a is optional for one output.  Raises ScenarioError, also for missing arrays.
    """
    path = _npz(path, "W, and optionally a")
    required = ("W",) + ("a",) * (outputs > 1) + ("b",) * bias
    arrays = read_npz(path, required, tuple(name for name in ("a", "b", "c") if name not in required))
    return start_of(arrays, width, d, outputs, bias, str(path))


def start_of(
    arrays: Mapping[str, np.ndarray], width: int, d: int, outputs: int = 1, bias: bool = False, source: str = "start"
) -> Start:
    """The start of a two-layer network from arrays by name; `source` says in messages who gave them.

    W (m, d); b (m,) with a bias; the outer layer a (m,) for one output, (K, m) for K outputs; for K outputs optionally
    c (K,).  Raises ScenarioError for arrays that are misshapen, not real, not finite or huge (> 1e150), and for biases
    that the network does not have.
    """
    if not bias:
        _refuse_biases(arrays, "b", "model.bias is false; set `bias: true`", source)
    if outputs == 1:
        _refuse_biases(arrays, "c", "one output has no bias of its own; use it with outputs >= 3", source)
    shape_of_a = (width,) if outputs == 1 else (outputs, width)
    return Start(
        checked_array(arrays, "W", (width, d), source),
        checked_array(arrays, "a", shape_of_a, source) if "a" in arrays else None,
        checked_array(arrays, "b", (width,), source) if bias else None,
        checked_array(arrays, "c", (outputs,), source) if outputs > 1 and "c" in arrays else None,
    )


def read_scalar_file(path: str | Path, width: int, d: int) -> ScalarStart:
    """The start of a scalar network from an .npz file (`scalar_start_of`).  Raises ScenarioError."""
    path = _npz(path, "v, a and b")
    return scalar_start_of(read_npz(path, ("v", "a", "b")), width, d, str(path))


def scalar_start_of(arrays: Mapping[str, np.ndarray], width: int, d: int, source: str = "start") -> ScalarStart:
    """The start of a scalar network from arrays: unit directions v (m, d), a (m,) and b (m,) with |a_j| = |b_j|.

    Raises ScenarioError where the arrays do not satisfy this.
    """
    v = checked_array(arrays, "v", (width, d), source)
    a, b = (checked_array(arrays, name, (width,), source) for name in ("a", "b"))
    norms = np.linalg.norm(v, axis=1)
    for j in np.flatnonzero(np.abs(norms - 1.0) > UNIT_NORM_ERROR)[:1]:
        remedy = "directions have norm 1, give v / |v| in float64"
        raise ScenarioError(f"{source}: v[{j}] has norm {norms[j]:.17g}; {remedy}")
    for j in np.flatnonzero(np.abs(a) != np.abs(b))[:1]:
        raise ScenarioError(
            f"{source}: a[{j}] is {a[j]:.17g} and b[{j}] is {b[j]:.17g}; |a_j| = |b_j| is required, change one of them"
        )
    return ScalarStart(v, a, b)


def _npz(path: str | Path, content: str) -> Path:
    """The path of an existing .npz file."""
    path = Path(path)
    check_regular_file(path, "initialisation")
    if path.suffix.lower() != ".npz":
        raise ScenarioError(f"{path}: initialisation files end in .npz ({content}), not {path.suffix!r}")
    return path


def _refuse_biases(arrays: Mapping[str, np.ndarray], name: str, reason: str, source: str) -> None:
    """Raise ScenarioError unless the array is absent or zero."""
    if name in arrays and np.any(float_array(arrays, name, source) != 0):
        raise ScenarioError(f"{source}: {name} holds biases, and {reason} or remove {name}")


LAYOUTS = {
    ("W", 2): "(width, d)",
    ("v", 2): "(width, d)",
    ("start", 2): "(width, inputs)",
    ("a", 2): "(outputs, width)",
    ("c", 1): "(outputs,)",
}


def checked_array(arrays: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...], source: str) -> Array:
    """The named array of this shape (...), float64 and C-contiguous.

    Raises ScenarioError for another shape, and for entries that are not real, not finite or larger than 1e150.
    """
    array = float_array(arrays, name, source)
    if array.shape != shape:
        transposed = array.ndim == 2 and array.shape == shape[::-1]
        hint = f"; it is transposed, save {name}.T" if transposed else ""
        layout = LAYOUTS.get((name, len(shape)), "(width,)")
        raise ScenarioError(f"{source}: {name} has shape {array.shape}; it must be {layout} = {shape}{hint}")
    bad = np.argwhere(~(np.abs(array) <= LARGEST_SIZE))  # NaN compares false
    if bad.size:
        index = tuple(int(k) for k in bad[0])
        raise ScenarioError(
            f"{source}: {name}[{', '.join(map(str, index))}] is {array[index]}; every entry must be finite and "
            f"at most {LARGEST_SIZE:g} in size"
        )
    return np.ascontiguousarray(array)
