"""What the README says is so: its commands are those of the checks, its snippets run, nothing is left to fill in."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import gflow
from gflow.scenario import parse_scenario
from tests.test_pipeline import SMALL

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHECKS = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
EXAMPLE = "outputs/digits-3-vs-5"


def section(title: str) -> str:
    """The text of one section, up to the next of its level."""
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def installed(text: str) -> list[str]:
    """What is handed to pip, in order."""
    return re.findall(r"pip install (?:--quiet )?('[^']+'|\S+(?: '[^']+')?)", text)


def test_nothing_is_left_to_fill_in() -> None:
    assert not re.findall(r"BENCH_ROWS|COST_D|TODO|TBD", README)


def test_the_commands_are_those_of_the_checks() -> None:
    simulate, test = [command.strip() for command in blocks(section("Install and run"), "")]
    pin, *_ = wanted = installed(CHECKS)
    assert wanted == [pin, "-e '.[test]'"] and re.fullmatch(r"torch==[0-9.]+", pin)
    assert installed(simulate) == [pin, "-e '.[data]'"]
    assert installed(test) == wanted
    assert test.endswith(".venv/bin/python -m pytest") and "\npython -m pytest\n" in CHECKS
    main = re.search(r"gflow simulate \S+", simulate)
    assert main is not None and main[0] in CHECKS and (ROOT / main[0].split()[-1]).is_file()


def test_each_promise_names_a_test_that_there_is() -> None:
    """The table of promises has a figure in each row, and its tests, or files of tests, exist."""
    rows = [line.strip("| ").split(" | ") for line in section("Promises").splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 15 and all(len(row) == 3 and re.search(r"[0-9]", row[2]) for row in rows)
    for _, tests, _ in rows:
        named = re.findall(r"`([^`]+)`", tests)
        assert named, tests
        for test in named:
            file, _, function = test.partition("::")
            text = (ROOT / "tests" / file).read_text(encoding="utf-8")
            assert f"def {function}(" in text if function else "def test_" in text, test


def test_the_extras_and_the_pin_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {name for group in re.findall(r"(?:\.|gflow)\[([a-z,]+)\]'", README) for name in group.split(",")}
    assert named == {"data", "sweep", "test", "xarray"} <= set(project["optional-dependencies"])
    version = re.findall(r"torch==([0-9]+\.[0-9]+)", README)
    assert version and all(f"torch>={found}," in " ".join(project["dependencies"]) + "," for found in version)


@pytest.mark.parametrize("number", range(3), ids=["gflow", "h5py", "xarray"])
def test_the_snippets_run(tmp_path: Path, number: int) -> None:
    code = blocks(section("Reading a trajectory"), "python")
    assert len(code) == 3 and all(EXAMPLE in block for block in code)
    if number == 2:
        pytest.importorskip("h5netcdf")
    run = gflow.simulate(parse_scenario(SMALL, overrides=["record.times.count=5"]), out=tmp_path)
    names: dict[str, object] = {}
    exec(compile(code[number].replace(EXAMPLE, str(tmp_path)), "README.md", "exec"), names)
    if number == 1:
        assert names["W_last"] == pytest.approx(run.weights(run.n_rows - 1), abs=1e-14)


def test_the_snippets_for_arrays_run() -> None:
    """To an earlier end; the last step of the stream ends where the flow in memory does."""
    code = blocks(section("From arrays, without files"), "python")
    assert len(code) == 2 and "gflow.log_time(100.0)" in code[0] and "gflow.time(20.0)" in code[1]
    names: dict[str, Any] = {}
    for block in code:
        early = re.sub(r"gflow\.(log_time\(100|time\(20)\.0\)", "gflow.time(1.0)", block)
        exec(compile(early, "README.md", "exec"), names)
    assert names["v"].shape == (3,) and names["p"].shape == (3, 20)
    assert names["last"][0] == pytest.approx(names["flow"].weights(-1 % names["flow"].n_rows), abs=1e-8)
