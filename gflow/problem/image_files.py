"""Readers of MNIST (IDX files, plain or gzip) and of CIFAR-10 (its binary version) from a folder.

IDX, as LeCun's page of MNIST describes it: big-endian 32-bit integers, a magic number (2051 of images, 2049 of labels),
the number of samples, of images also rows and columns; then one byte a pixel or label.  MD5 of the files of MNIST:

    f68b3c2dcbeaaa9fbdd348bbdeb94873  train-images-idx3-ubyte.gz
    d53e105ee54ea40749a09fcbcd1e9432  train-labels-idx1-ubyte.gz
    9fb629c4189551a2d022fa330f9573f3  t10k-images-idx3-ubyte.gz
    ec29112dd5afa0611ce80d1b7f02629c  t10k-labels-idx1-ubyte.gz

CIFAR-10, as Krizhevsky's page of it describes it: records of 3,073 bytes, a label and the red, green and blue planes of
32 x 32 pixels.  MD5 of the archive cifar-10-binary.tar.gz: c32a1d4ab5d03f1284b67883e8d87530.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gflow.errors import ScenarioError

IMAGES, LABELS = 2051, 2049
SIDE = 28  # pixels of an MNIST image
TARGETS = 10
MOST_SAMPLES = 10_000_000  # of a file: its header is not trusted with memory before its length is known
RECORD = 1 + 3 * 32 * 32
TRAINING_BATCHES = tuple(f"data_batch_{k}.bin" for k in range(1, 6))
TEST_BATCHES = ("test_batch.bin",)
DAMAGED = (OSError, EOFError, zlib.error, struct.error)


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """Pixels (N, d) and targets (N,) in 0..9, one byte each; kind: `mnist` or `cifar10`."""

    pixels: NDArray[np.uint8]
    targets: NDArray[np.uint8]
    kind: str


def read_mnist(folder: Path, part: str) -> Images:
    """The images of `part`, `train` or `t10k`: d = 784.  Raises ScenarioError for files that are missing or damaged."""
    images, labels = (_idx_file(folder, f"{part}-{name}") for name in ("images-idx3-ubyte", "labels-idx1-ubyte"))
    n, rows, columns = _idx_header(images, IMAGES, 3)
    if (rows, columns) != (SIDE, SIDE):
        raise ScenarioError(f"{images}: has images of {rows} x {columns} pixels; those of MNIST have {SIDE} x {SIDE}")
    (count,) = _idx_header(labels, LABELS, 1)
    if n != count:
        raise ScenarioError(f"{labels}: has {count} labels, and {images.name} has {n} images; they must be as many")
    pixels, targets = _idx_body(images, 16, n * SIDE * SIDE), _idx_body(labels, 8, n)
    _check_targets(targets, labels)
    return Images(pixels.reshape(n, SIDE * SIDE), targets, "mnist")


def read_cifar10(folder: Path, test: bool) -> Images:
    """The images of the five training batches, or of the test batch: d = 3072.

    Raises ScenarioError for files that are missing or damaged.
    """
    _check_folder(folder)
    batches = [_batch(folder / name) for name in (TEST_BATCHES if test else TRAINING_BATCHES)]
    records = batches[0] if len(batches) == 1 else np.concatenate(batches)
    return Images(records[:, 1:], records[:, 0], "cifar10")


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        what = "is a file; name the folder that it is in" if folder.exists() else "no such folder"
        raise ScenarioError(f"{folder}: {what}; a relative path is relative to the scenario file")


def _idx_file(folder: Path, name: str) -> Path:
    """The file of this name, plain or gzip, also as `train-images.idx3-ubyte`, as it is called in some copies."""
    _check_folder(folder)
    other = name.replace("-idx", ".idx")
    names = (name, f"{name}.gz", other, f"{other}.gz")
    found = next((folder / each for each in names if (folder / each).is_file()), None)
    if found is None:
        raise ScenarioError(f"{folder}: has no file {name} (or {name}.gz); put the files of MNIST there")
    return found


def _idx_header(path: Path, magic: int, sizes: int) -> tuple[int, ...]:
    """The sizes that the header names.  Raises ScenarioError for another magic number, for no or too many samples."""
    header = _bytes(path, 4 * (1 + sizes))
    if len(header) < 4 * (1 + sizes):
        raise ScenarioError(f"{path}: has {len(header)} bytes, fewer than its header; download it again")
    found, *rest = struct.unpack(f">{1 + sizes}i", header)
    if found != magic:
        raise ScenarioError(f"{path}: begins with the magic number {found}, not {magic}; this is no such IDX file")
    if not 1 <= rest[0] <= MOST_SAMPLES:
        raise ScenarioError(f"{path}: says that it has {rest[0]} samples; 1 to {MOST_SAMPLES} are possible")
    return tuple(rest)


def _idx_body(path: Path, header: int, size: int) -> NDArray[np.uint8]:
    """The `size` bytes after the header, and none more."""
    content = _bytes(path, header + size + 1)
    if len(content) != header + size:
        more = "more" if len(content) > header + size else f"{len(content)}"
        raise ScenarioError(f"{path}: has {more} bytes, and its header says {header + size}; download it again")
    return np.frombuffer(content, dtype=np.uint8, offset=header)


def _batch(path: Path) -> NDArray[np.uint8]:
    """The records (N, 3073) of a batch of CIFAR-10."""
    if not path.is_file():
        raise ScenarioError(f"{path.parent}: has no file {path.name}; put the binary version of CIFAR-10 there")
    content = _bytes(path, None)
    if len(content) % RECORD or not content:
        raise ScenarioError(f"{path}: has {len(content)} bytes, no multiple of the {RECORD} of a record; is it whole?")
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, RECORD)
    _check_targets(records[:, 0], path)
    return records


def _check_targets(targets: NDArray[np.uint8], path: Path) -> None:
    bad = np.flatnonzero(targets >= TARGETS)
    if bad.size:
        raise ScenarioError(
            f"{path}: sample {bad[0]} has the label {targets[bad[0]]}; labels are 0, ..., {TARGETS - 1}"
        )


def _bytes(path: Path, most: int | None) -> bytes:
    """The first bytes of a file, plain or gzip by its name; None: all."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return file.read(-1 if most is None else most)
    except DAMAGED as error:
        raise ScenarioError(f"{path}: cannot be read ({error}); download it again") from None
