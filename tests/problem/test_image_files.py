"""MNIST and CIFAR-10 are read from files of their formats, written here byte by byte; damaged ones are refused."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import gflow
from gflow.assembly.dataset import build_data
from gflow.errors import ScenarioError
from gflow.problem.image_files import read_cifar10, read_mnist
from gflow.scenario import Scenario, parse_scenario

Bytes = NDArray[np.uint8]
PARTS = {"train": 40, "t10k": 24}
BASE = """
gflow: 1
name: images
seed: 1
data: {{kind: {kind}, path: {path}, {keys}}}
model: {{kind: two_layer, width: 4, outputs: {outputs}, activation: {{kind: relu}}, outer: {{train: {train}}}}}
init: {{kind: gaussian, std: 0.01{outer}}}
loss: logistic
flow: {{until: {{time: 1.0}}}}
record: {{times: {{count: 3}}}}
"""


def scenario(kind: str, path: Path, keys: str, outputs: int = 1) -> Scenario:
    train, outer = ("true", ", outer: {std: 0.1}") if outputs > 1 else ("false", "")
    return parse_scenario(BASE.format(kind=kind, path=path, keys=keys, outputs=outputs, train=train, outer=outer))


def pixels_of(n: int, d: int, seed: int) -> tuple[Bytes, Bytes]:
    """Random images, of which none is black, and targets of which each class has some."""
    rng = np.random.default_rng(seed)
    targets = rng.permutation(np.arange(n) % 10).astype(np.uint8)
    return rng.integers(0, 256, size=(n, d), dtype=np.uint8), targets


def write_idx(folder: Path, name: str, magic: int, sizes: list[int], content: bytes, zipped: bool = False) -> Path:
    data = struct.pack(f">{1 + len(sizes)}I", magic, *sizes) + content
    path = folder / (name + (".gz" if zipped else ""))
    path.write_bytes(gzip.compress(data) if zipped else data)
    return path


def write_mnist(folder: Path, zipped: bool = False, dotted: bool = False) -> None:
    for seed, (part, n) in enumerate(PARTS.items()):
        pixels, targets = pixels_of(n, 784, seed)
        names = [f"{part}-{name}" for name in ("images-idx3-ubyte", "labels-idx1-ubyte")]
        images, labels = [name.replace("-idx", ".idx") if dotted else name for name in names]
        write_idx(folder, images, 2051, [n, 28, 28], pixels.tobytes(), zipped)
        write_idx(folder, labels, 2049, [n], targets.tobytes(), zipped)


def write_cifar10(folder: Path) -> None:
    for seed, name in enumerate([*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]):
        pixels, targets = pixels_of(10, 3072, seed)
        (folder / f"{name}.bin").write_bytes(np.hstack([targets[:, None], pixels]).tobytes())


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("dotted", [False, True])
def test_mnist_is_read(tmp_path: Path, zipped: bool, dotted: bool) -> None:
    write_mnist(tmp_path, zipped, dotted)
    for seed, (part, n) in enumerate(PARTS.items()):
        found, (pixels, targets) = read_mnist(tmp_path, part), pixels_of(n, 784, seed)
        assert np.array_equal(found.pixels, pixels) and np.array_equal(found.targets, targets)


def test_cifar10_is_read(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    train, test = read_cifar10(tmp_path, test=False), read_cifar10(tmp_path, test=True)
    expected = [pixels_of(10, 3072, seed) for seed in range(6)]
    assert np.array_equal(train.pixels, np.concatenate([pixels for pixels, _ in expected[:5]]))
    assert np.array_equal(train.targets, np.concatenate([targets for _, targets in expected[:5]]))
    assert np.array_equal(test.pixels, expected[5][0]) and np.array_equal(test.targets, expected[5][1])


def test_two_classes_and_groups_of_them(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    pixels, targets = pixels_of(40, 784, 0)
    pair = build_data(scenario("mnist", tmp_path, "classes: [7, 2]"))
    wanted = np.isin(targets, [7, 2])
    assert pair.test is None and np.array_equal(pair.train.X, pixels[wanted] / 255.0)
    assert np.array_equal(pair.train.y, np.where(targets[wanted] == 7, 1.0, -1.0))
    parity = "classes: [[0, 2, 4, 6, 8], [1, 3, 5, 7, 9]], test: all"
    split = build_data(scenario("mnist", tmp_path, parity))
    test, tested = pixels_of(24, 784, 1)
    assert np.array_equal(split.train.y, np.where(targets % 2 == 0, 1.0, -1.0)) and split.test is not None
    assert np.array_equal(split.test.X, test / 255.0) and np.array_equal(split.test.y, 1.0 - 2.0 * (tested % 2))


def test_subsets_follow_from_the_seed_and_test_samples_leave_them_alone(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    keys = "classes: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], n: 20, scaling: unit"
    alone = build_data(scenario("cifar10", tmp_path, keys, outputs=10)).train
    split = build_data(scenario("cifar10", tmp_path, keys + ", test: 4", outputs=10))
    assert np.array_equal(alone.X, split.train.X) and np.bincount(alone.y.astype(int)).tolist() == [2] * 10
    assert split.test is not None and split.test.y.size == 4
    raw = read_cifar10(tmp_path, test=True).pixels / 255.0
    products = split.test.X @ (raw / np.linalg.norm(raw, axis=1, keepdims=True)).T
    assert np.allclose(products.max(axis=1), 1.0, rtol=1e-12)  # each is one of them
    other = build_data(scenario("cifar10", tmp_path, keys + ", seed: 9", outputs=10)).train
    assert not np.array_equal(other.X, alone.X)


def test_test_images_are_scaled_by_the_statistics_of_the_training_images(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    split = build_data(scenario("mnist", tmp_path, "classes: [3, 5], scaling: standard, test: all"))
    raw = build_data(scenario("mnist", tmp_path, "classes: [3, 5], test: all"))
    assert split.test is not None and raw.test is not None
    centre, spread = raw.train.X.mean(axis=0), raw.train.X.std(axis=0)
    assert np.allclose(split.test.X, (raw.test.X - centre) / spread, rtol=1e-12)


def test_a_run_keeps_its_images_and_needs_the_files_no_more(tmp_path: Path) -> None:
    write_mnist(tmp_path, zipped=True)
    run = gflow.simulate(scenario("mnist", tmp_path, "classes: [3, 5], test: all"), out=tmp_path / "run")
    for path in tmp_path.glob("*.gz"):
        path.unlink()
    assert run.X_test is not None and run.X_test.shape == (5, 784)
    found = gflow.descend(gflow.open_trajectory(tmp_path / "run"), [0.1], steps=3)
    assert found.run(0.1).test_accuracy is not None


def spoiled(folder: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    (folder / name).write_bytes(change((folder / name).read_bytes()))


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
DAMAGES: list[tuple[str, Callable[[bytes], bytes], str]] = [
    (IMAGES, lambda b: b[:-1], f"{IMAGES}: has 31375 bytes, and its header says 31376"),
    (IMAGES, lambda b: b + b"x", f"{IMAGES}: has more bytes, and its header says 31376"),
    (IMAGES, lambda b: b[:10], f"{IMAGES}: has 10 bytes, fewer than its header"),
    (IMAGES, lambda b: b[:3] + b"\x01" + b[4:], f"{IMAGES}: begins with the magic number 2049, not 2051"),
    (
        IMAGES,
        lambda b: b[:11] + b"\x1d" + b[12:],
        f"{IMAGES}: has images of 29 x 28 pixels; those",
    ),
    (IMAGES, lambda b: b[:4] + b"\x7f" + b[5:], f"{IMAGES}: says that it has 2130706472 samples"),
    (IMAGES, lambda b: b[:4] + b"\xff" + b[5:], f"{IMAGES}: says that it has -16777176 samples"),
    (IMAGES, lambda b: b[:7] + b"\x00" + b[8:], f"{IMAGES}: says that it has 0 samples"),
    (LABELS, lambda b: b[:7] + b"\x27" + b[8:-1], f"{LABELS}: has 39 labels, and {IMAGES} has 40 images"),
    (LABELS, lambda b: b[:8] + b"\x0a" + b[9:], f"{LABELS}: sample 0 has the label 10; labels are 0, ..., 9"),
]


@pytest.mark.parametrize("name, change, message", DAMAGES, ids=range(len(DAMAGES)))
def test_damaged_files_of_mnist(tmp_path: Path, name: str, change: Callable[[bytes], bytes], message: str) -> None:
    write_mnist(tmp_path)
    spoiled(tmp_path, name, change)
    with pytest.raises(ScenarioError) as refused:
        build_data(scenario("mnist", tmp_path, "classes: [3, 5]"))
    assert message in str(refused.value) and "(data.path" in str(refused.value)


@pytest.mark.parametrize(
    "change", [lambda b: b[:100], lambda b: b[:40] + bytes([b[40] ^ 255]) + b[41:], lambda b: b"no"]
)
def test_damaged_gzip_files(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    write_mnist(tmp_path, zipped=True)
    spoiled(tmp_path, f"{IMAGES}.gz", change)
    with pytest.raises(ScenarioError, match=r"images-idx3-ubyte.gz: cannot be read .*; download it again"):
        read_mnist(tmp_path, "train")


def test_damaged_files_of_cifar10(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    spoiled(tmp_path, "data_batch_3.bin", lambda b: b[:-1])
    with pytest.raises(ScenarioError, match=r"data_batch_3.bin: has 30729 bytes, no multiple of the 3073 of a record"):
        read_cifar10(tmp_path, test=False)
    spoiled(tmp_path, "test_batch.bin", lambda b: b[:3073] + b"\x0b" + b[3074:])
    with pytest.raises(ScenarioError, match=r"test_batch.bin: sample 1 has the label 11"):
        read_cifar10(tmp_path, test=True)
    (tmp_path / "data_batch_2.bin").unlink()
    with pytest.raises(ScenarioError, match=r"has no file data_batch_2.bin; put the binary version of CIFAR-10 there"):
        read_cifar10(tmp_path, test=False)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"none: no such folder; a relative path .*\(data.path"):
        build_data(scenario("mnist", tmp_path / "none", "classes: [3, 5]"))
    (tmp_path / "file").write_text("")
    with pytest.raises(ScenarioError, match=r"file: is a file; name the folder that it is in"):
        read_cifar10(tmp_path / "file", test=False)
    with pytest.raises(ScenarioError, match=r"has no file train-images-idx3-ubyte \(or train-images-idx3-ubyte.gz\)"):
        read_mnist(tmp_path, "train")
    write_mnist(tmp_path)
    with pytest.raises(ScenarioError, match=r"data.n = 9: only 8 samples are there"):
        build_data(scenario("mnist", tmp_path, "classes: [3, 5], n: 9"))
    with pytest.raises(ScenarioError, match=r"data.test = 6: only 5 samples are left to test on"):
        build_data(scenario("mnist", tmp_path, "classes: [3, 5], test: 6"))


@pytest.mark.parametrize(
    "keys, outputs, message",
    [
        ("classes: [3, 3]", 1, r"data.classes = \[3, 3\]: names one digit twice"),
        ("classes: [[3, 1], [4, 1]]", 1, "names one digit twice"),
        ("classes: [[3, 1], 4]", 1, "data.classes\\[1\\] = 4: must be a list"),
        ("classes: [3, [4]]", 1, "data.classes\\[1\\] = .*: must be an integer"),
        ("classes: [3, 11]", 1, "data.classes\\[1\\] = 11: must be at most 9"),
        ("classes: [3]", 1, "must have at least 2 entries"),
        ("classes: [3, 4, 5]", 1, "names 3 classes, and one output tells two apart"),
        ("classes: [3, 4]", 3, "names 2 classes, and model.outputs = 3 needs 3"),
        ("classes: [3, 4], test: some", 1, "data.test = some: .*all.* or a number"),
    ],
)
def test_classes_that_do_not_fit(tmp_path: Path, keys: str, outputs: int, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        scenario("mnist", tmp_path, keys, outputs)
