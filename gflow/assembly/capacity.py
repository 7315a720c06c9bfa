"""The memory and disk that a run needs, checked before it starts, so that it is not killed hours later."""

from __future__ import annotations

import os
import resource
import shutil
import sys
from pathlib import Path

from gflow.assembly.engine_name import engine_name
from gflow.errors import ScenarioError
from gflow.scenario import Scenario
from gflow.scenario.schema import (
    BreastCancerData,
    Cifar10Data,
    ClustersData,
    DigitsData,
    FileData,
    GivenTimes,
    GramData,
    MnistData,
    TwoConesData,
    TwoLayerModel,
)

# The share of the physical memory that the arrays of a run may take.
USABLE = 0.8
# Matrices (n, n) alive at once.  Dual: Gram matrix, K, normals on samples (twice), lengths, Jacobian; primal: lengths.
SQUARES = {"dual": 6, "primal": 1}
# Matrices (m, n) alive at once: slopes, pushes, pre-activations, sides and their temporaries.
PAIRS = 6
# Matrices (m, k) alive at once for k test samples: what is fixed of their pre-activations, those, hidden values.
TEST_PAIRS = 4
NUMBER = 8  # bytes


def check_memory(scenario: Scenario, n: int, d: int, flow: bool = True, test: int = 0) -> None:
    """Raise ScenarioError if the arrays of n samples with d inputs exceed 80 % of the physical memory.

    flow: a flow is integrated, which has matrices (n, n); descent has none.  test: how many test samples there are
    beside them.

    The estimate is low: a run that it refuses cannot work, a run that it lets through may still be slow.
    """
    memory = physical_memory()
    if memory is None:
        return
    m, squares = scenario.model.width, SQUARES[engine_name(scenario)] if flow else 0
    needs = {
        f"{squares} of {n} x {n}": NUMBER * squares * n * n,
        f"{PAIRS} of {m} x {n}": NUMBER * PAIRS * m * n + m * n,
        f"{n} x {d} and {m} x {d}": NUMBER * (n + m) * d,
        f"{test} x {d} and {TEST_PAIRS} of {m} x {test} (test samples)": NUMBER * test * (d + TEST_PAIRS * m),
    }
    total = sum(needs.values())
    if total <= USABLE * memory:
        return
    largest = max(needs, key=lambda shape: needs[shape])
    fewer = "samples" if needs[largest] == NUMBER * squares * n * n else "samples, inputs or neurons"
    fewer = "test samples" if "test" in largest else fewer
    raise ScenarioError(
        f"data with n = {n}, d = {d} and model.width: {m} need at least {_gigabytes(total)} of arrays (most of it for "
        f"{largest} numbers), over {USABLE:.0%} of this machine's memory of {_gigabytes(memory)}; use fewer {fewer}"
    )


def known_sizes(scenario: Scenario) -> tuple[int, int, int] | None:
    """n, d and the number of test samples where the scenario itself says them; None for data that are read."""
    spec = scenario.data
    if isinstance(spec, FileData | DigitsData | BreastCancerData | MnistData | Cifar10Data):
        return None
    if isinstance(spec, TwoConesData):
        return spec.n, 2, 0
    test = 0 if isinstance(spec, GramData) else spec.test or 0
    return spec.n, len(spec.means_plus[0]) if isinstance(spec, ClustersData) else spec.d, test


def expected_rows(scenario: Scenario) -> int:
    """How many rows a run will have at most, where its end is on the clock."""
    times = scenario.record.times
    return len(times.at) + 2 if isinstance(times, GivenTimes) else times.count + 1


def row_bytes(scenario: Scenario, n: int, rank: int) -> int:
    """The bytes that one row of descent takes on disk, at least."""
    return NUMBER * scenario.model.width * rank + scenario.model.width * n + NUMBER * n + _outer_bytes(scenario)


def check_room(key: str, rows: int, row: int, path: Path, replaced: bool, remedy: str, beside: int = 0) -> None:
    """Raise ScenarioError if `rows` rows of `row` bytes, and `beside` bytes of other content, will not fit beside
    `path`; key: named in the message.

    Its old content goes first if it is `replaced`.  The file is copied once, when its outcome is stored, so twice its
    size has to be free.
    """
    free, size = shutil.disk_usage(existing_parent(path)).free, rows * row + beside
    if replaced and path.is_file():
        free += path.stat().st_size
    if 2 * size > free:
        raise ScenarioError(
            f"{key}: {rows} rows of {row} bytes make a file of {_gigabytes(size)}, and while it is finished "
            f"twice that is needed; {_gigabytes(free)} are free for {path}; {remedy}"
        )


def existing_parent(path: Path) -> Path:
    """The nearest folder, or file, on the way to `path` that there is."""
    return next(parent for parent in path.absolute().parents if parent.exists())


def physical_memory() -> int | None:
    """Bytes of memory of this machine; None where the system does not tell."""
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
    return size if size > 0 else None


def peak_memory() -> int:
    """The most memory that this process has had at once so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _outer_bytes(scenario: Scenario) -> int:
    model = scenario.model
    if not isinstance(model, TwoLayerModel):
        return NUMBER * model.width
    return NUMBER * model.outputs * model.width if model.outer.train else 0


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.3g} GB"
