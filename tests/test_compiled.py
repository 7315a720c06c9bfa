"""The door of numba: what is compiled is the source as it is now, for one signature, and the source runs by itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest

from gflow.compiled import compiled_for

KERNEL = """
from gflow.compiled import kernel

@kernel
def grown(x: float) -> float:
    return {factor} * x
"""
CALLER = """
from kernels import grown
from gflow.compiled import entry

@entry(example=lambda: (1.0,), what="a test")
def twice(x: float) -> float:
    return grown(grown(x))

print(twice(1.0), twice.function(1.0), sorted(file.name for file in twice.files))
assert twice(1) == twice(1.0) and isinstance(twice(1), float)
try:
    twice("1")
except TypeError:
    print("refused")
"""


def ran(folder: Path, factor: float, **variables: str) -> tuple[list[str], list[str]]:
    """The lines that a process prints, and what it tells its user, that finds the kernel with this factor in its file;
    variables: of its environment.
    """
    (folder / "kernels.py").write_text(KERNEL.format(factor=factor))
    (folder / "caller.py").write_text(CALLER)
    environment = os.environ | {"NUMBA_CACHE_DIR": str(folder / "cache"), "NUMBA_DISABLE_JIT": "0"} | variables
    command = [sys.executable, "-c", "import sys; sys.path.insert(0, '.'); import caller"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines(), done.stderr.splitlines()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compiled")


FILES = "['caller.py', 'compiled.py', 'kernels.py']"
ONCE = ["gflow: compiling a test, once"]


def grown(factor: float) -> list[str]:
    return [f"{factor**2} {factor**2} {FILES}", "refused"]


def test_a_kernel_that_changed_in_another_file_is_compiled_anew(folder: Path) -> None:
    """numba's own cache asks for the file of the caller only, which is as before.  Who waits is told why, and once."""
    assert ran(folder, 2.0) == (grown(2.0), ONCE)
    assert ran(folder, 2.0) == (grown(2.0), [])
    assert ran(folder, 3.0) == (grown(3.0), ONCE)


def test_without_compilation_the_source_runs_as_it_is(folder: Path) -> None:
    printed, said = ran(folder, 5.0, NUMBA_DISABLE_JIT="1")
    assert printed[0] == grown(5.0)[0] and said == []


def test_where_no_folder_takes_it_it_is_compiled_each_time_and_said_so(folder: Path, tmp_path: Path) -> None:
    """A folder that cannot be made, since a file has its name, as in an installation that is read only."""
    (tmp_path / "file").write_text("")
    nowhere = {
        "NUMBA_CACHE_DIR": str(tmp_path / "file" / "x"),
        "NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator",
    }
    for _ in range(2):
        printed, said = ran(folder, 2.0, **nowhere)
        assert printed == grown(2.0)
        assert said == ["gflow: compiling a test; no folder takes the result: let NUMBA_CACHE_DIR name one"]


def test_a_folder_of_the_user_takes_the_place_of_one_that_is_read_only(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    elsewhere = {"NUMBA_CACHE_DIR": str(tmp_path / "file" / "x"), "XDG_CACHE_HOME": str(tmp_path / "home")}
    elsewhere["NUMBA_CACHE_LOCATOR_CLASSES"] = "UserProvidedCacheLocator,UserWideCacheLocator"
    assert ran(folder, 2.0, **elsewhere) == (grown(2.0), ONCE)
    assert ran(folder, 2.0, **elsewhere) == (grown(2.0), [])
    assert list((tmp_path / "home").rglob("*.nbi"))


def test_a_file_that_was_cut_short_is_compiled_anew(tmp_path: Path) -> None:
    ran(tmp_path, 2.0)
    for kept in (tmp_path / "cache").rglob("*.nb?"):
        kept.write_bytes(kept.read_bytes()[:-20])
    assert ran(tmp_path, 2.0) == (grown(2.0), ONCE)
    assert ran(tmp_path, 2.0) == (grown(2.0), [])


def test_what_compiled_it_is_named() -> None:
    found = compiled_for()
    assert found["numba"] == numba.__version__ and set(found) == {"numba", "llvm", "processor", "features"}
    assert compiled_for() == found
