"""The door of numba: what is compiled is the source as it is now, for one signature, and the source runs by itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

KERNEL = """
from gflow.compiled import kernel

@kernel
def grown(x: float) -> float:
    return {factor} * x
"""
CALLER = """
from kernels import grown
from gflow.compiled import entry

@entry(example=lambda: (1.0,))
def twice(x: float) -> float:
    return grown(grown(x))

print(twice(1.0), twice.function(1.0), sorted(file.name for file in twice.files))
assert twice(1) == twice(1.0) and isinstance(twice(1), float)
try:
    twice("1")
except TypeError:
    print("refused")
"""


def told(folder: Path, factor: float, *, jit: bool = True) -> list[str]:
    """What a process says that finds the kernel with this factor in its file."""
    (folder / "kernels.py").write_text(KERNEL.format(factor=factor))
    (folder / "caller.py").write_text(CALLER)
    environment = os.environ | {"NUMBA_CACHE_DIR": str(folder / "cache"), "NUMBA_DISABLE_JIT": "0" if jit else "1"}
    command = [sys.executable, "-c", "import sys; sys.path.insert(0, '.'); import caller"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compiled")


FILES = "['caller.py', 'compiled.py', 'kernels.py']"


def test_a_kernel_that_changed_in_another_file_is_compiled_anew(folder: Path) -> None:
    """numba's own cache asks for the file of the caller only, which is as before."""
    assert told(folder, 2.0) == [f"4.0 4.0 {FILES}", "refused"]
    assert told(folder, 2.0) == [f"4.0 4.0 {FILES}", "refused"]
    assert told(folder, 3.0) == [f"9.0 9.0 {FILES}", "refused"]


def test_without_compilation_the_source_runs_as_it_is(folder: Path) -> None:
    assert told(folder, 5.0, jit=False)[0] == f"25.0 25.0 {FILES}"
