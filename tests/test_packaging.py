"""What is installed: the built wheel holds the scenarios, the page's files and the licence, and needs no checkout.

Built without a network by the setuptools of this environment, from a copy of the files that are in the repository.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from gflow.scenario import load_scenario
from gflow.scenario.listing import listed, shipped

ROOT = Path(__file__).resolve().parents[1]
TOP_FILES = ("pyproject.toml", "setup.py", "README.md", "LICENSE")
SCENARIOS = sorted(path.name for path in (ROOT / "scenarios").glob("*.yaml"))
BUILD = "import sys, setuptools.build_meta as b; print(getattr(b, 'build_' + sys.argv[1])(sys.argv[2]))"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A source distribution of a copy of the checkout, and a wheel of what is in that distribution."""
    if find_spec("setuptools") is None:
        pytest.skip("no setuptools here to build with")
    place = tmp_path_factory.mktemp("packaging")
    copy = place / "checkout"
    unwanted = shutil.ignore_patterns("__pycache__", "shipped")
    for folder in ("gflow", "scenarios"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=unwanted)
    for name in TOP_FILES:
        shutil.copy(ROOT / name, copy / name)
    distribution = build("sdist", copy, place)
    with tarfile.open(distribution) as archive:
        archive.extractall(place / "unpacked", filter="data")
    (unpacked,) = (place / "unpacked").iterdir()
    return {"sdist": unpacked, "wheel": build("wheel", unpacked, place), "checkout": copy}


def build(what: str, source: Path, place: Path) -> Path:
    done = subprocess.run([sys.executable, "-c", BUILD, what, str(place)], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return place / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def installed(built: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a plain install, far from the checkout."""
    target = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(built["wheel"]) as wheel:
        wheel.extractall(target)
    return target


def files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_the_wheel_has_all_that_is_needed(installed: Path) -> None:
    there = installed / "gflow"
    modules = {path.relative_to(ROOT) for path in (ROOT / "gflow").rglob("*.py")}
    assert modules == {path.relative_to(installed) for path in there.rglob("*.py")}
    assert files_below(there / "scenario" / "shipped") == files_below(ROOT / "scenarios")
    assert (there / "report" / "papers" / "outcomes.html").is_file()
    assert all((there / "report" / "page" / name).is_file() for name in ("page.css", "template.html"))
    (licence,) = installed.glob("gflow-*.dist-info/licenses/LICENSE")
    assert licence.read_text() == (ROOT / "LICENSE").read_text()
    (metadata,) = installed.glob("gflow-*.dist-info/METADATA")
    assert {"License-Expression: MIT", "License-File: LICENSE"} <= set(metadata.read_text().splitlines())
    assert not list(installed.glob("scenarios")) and not list(installed.glob("tests"))


def test_the_source_distribution_has_the_scenarios_once(built: dict[str, Path]) -> None:
    assert files_below(built["sdist"] / "scenarios") == files_below(ROOT / "scenarios")
    assert not (built["sdist"] / "gflow" / "scenario" / "shipped").exists()


def test_gflow_scenarios_after_a_plain_install(installed: Path, tmp_path: Path) -> None:
    """Each path that is printed is one that `gflow simulate` takes."""
    command = [sys.executable, "-m", "gflow", "scenarios"]
    environment = os.environ | {"PYTHONPATH": str(installed)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    paths = [Path(line) for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert [path.name for path in paths] == SCENARIOS
    assert all(path.is_file() and path.is_relative_to(installed) for path in paths)
    assert {load_scenario(path).name for path in paths} == {name.removesuffix(".yaml") for name in SCENARIOS}


@pytest.mark.slow
def test_an_editable_install_shows_those_of_the_checkout(built: dict[str, Path], tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(tmp_path), "-e", str(built["checkout"])], check=True, timeout=300)
    code = (
        f"import site; site.addsitedir({str(tmp_path)!r}); from gflow.scenario.listing import shipped; print(shipped())"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    probe = [sys.executable, "-S", "-c", f"import site; site.main(); {code}"]
    shown = subprocess.run(probe, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() in (str(built["checkout"] / "scenarios"), str(ROOT / "scenarios"))
    assert not (built["checkout"] / "gflow" / "scenario" / "shipped").exists()


def test_the_shelf_of_a_checkout() -> None:
    assert shipped() == ROOT / "scenarios"
    assert [path.name for path, _ in listed()] == SCENARIOS
    assert all(title != "(no description)" for _, title in listed())


def test_a_shelf_in_the_package_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "gflow" / "scenario" / "shipped"
    place.mkdir(parents=True)
    (place / "one.yaml").write_text("# What it shows\ngflow: 1\n")
    monkeypatch.setattr("gflow.scenario.listing.__file__", str(place.with_name("shelf.py")))
    assert listed() == [(place / "one.yaml", "What it shows")]
