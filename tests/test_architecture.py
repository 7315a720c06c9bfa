"""The house as a test: imports go down, and each third party is let in at one door."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "gflow"

# A part may import parts of lower floors only; neighbours on one floor do not know each other.
FLOORS = {
    "errors": 1,
    "arrays": 1,
    "analyzer_names": 1,
    "console": 1,
    "compiled": 1,
    "flow_time": 2,
    "scenario": 2,
    "problem": 2,
    "ode": 2,
    "field": 3,
    "descent": 3,
    "reference": 3,
    "limit": 4,
    "taylor": 4,
    "flow": 5,
    "assembly": 6,
    "trajectory": 6,
    "analysis": 7,
    "verification": 7,
    "descent_plan": 7,
    "claims": 8,
    "comparison": 8,
    "pipeline": 9,
    "sweeps": 10,
    "papers": 11,
    "report": 12,
    "cli": 13,
    "__main__": 14,
}

# Who may import what, besides the standard library and numpy.
DOORS = {
    "click": {"gflow/cli"},
    "yaml": {"gflow/scenario/load.py"},
    "pydantic": {"gflow/scenario"},
    "pydantic_core": {"gflow/scenario"},
    "h5py": {"gflow/trajectory/writer.py", "gflow/trajectory/opening.py", "gflow/trajectory/content.py"},
    "xarray": {"gflow/trajectory/tables.py", "gflow/trajectory/record.py", "gflow/sweeps/opened.py"},
    "pandas": {"gflow/trajectory/tables.py", "gflow/trajectory/record.py", "gflow/sweeps/opened.py"},
    "pyarrow": {"gflow/sweeps/store/table.py"},
    "dask": {"gflow/sweeps/engine/cluster.py"},
    "distributed": {"gflow/sweeps/engine/cluster.py"},
    "sklearn": {"gflow/problem/real_data.py"},
    "torch": {
        "gflow/ode/torchdiffeq_methods.py",
        "gflow/field/tensors.py",
        "gflow/field/primal.py",
        "gflow/flow/primal.py",
        "gflow/descent",
    },
    "torchdiffeq": {"gflow/ode/torchdiffeq_methods.py"},
    "scipy": {
        "gflow/ode",
        "gflow/field",
        "gflow/limit",
        "gflow/flow",
        "gflow/analysis",
        "gflow/claims",
        "gflow/trajectory/spectrum.py",
        "gflow/comparison/order.py",
        "gflow/comparison/modified.py",
    },
    "threadpoolctl": {"gflow/pipeline"},
    "numba": {"gflow/compiled.py"},
    "llvmlite": {"gflow/compiled.py"},
    "matplotlib": {"gflow/report/page/figures"},
    "jinja2": {"gflow/report/template.py"},
    "markupsafe": {"gflow/report/template.py"},
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imports_of(path: Path) -> Iterator[str]:
    """Every module name the file imports, lazily or not; nothing is run."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_only_go_down(path: Path) -> None:
    if path == PACKAGE / "__init__.py":
        return  # the public face names everything, and imports it only when asked
    importer = part_of(path)
    for name in imports_of(path):
        if name == "gflow" or not name.startswith("gflow."):
            continue
        imported = name.split(".")[1]
        assert imported == importer or FLOORS[imported] < FLOORS[importer], (
            f"{path.relative_to(ROOT)} may not import {name}: {importer} is on floor {FLOORS[importer]}, "
            f"{imported} on floor {FLOORS[imported]}"
        )


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_third_parties_come_in_at_one_door(path: Path) -> None:
    place = path.relative_to(ROOT).as_posix()
    allowed = set(sys.stdlib_module_names) | {"numpy", "gflow"}
    for name in imports_of(path):
        top = name.split(".")[0]
        if top in allowed:
            continue
        doors = DOORS.get(top, set())
        assert any(place == door or place.startswith(door + "/") for door in doors), (
            f"{place} may not import {top}: only {', '.join(sorted(doors)) or 'nobody'} may"
        )


def reached_from(parts: set[str]) -> set[str]:
    """Every module that files of these parts import, and what those import in turn, nothing being run."""
    known = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in modules()}
    found: set[str] = set()
    to_read = [name for name, path in known.items() if path != PACKAGE / "__init__.py" and part_of(path) in parts]
    while to_read:
        name = to_read.pop()
        if name in known and name not in found:
            found.add(name)
            for imported in imports_of(known[name]):
                to_read += [imported, imported.rpartition(".")[0]]
    return found


def test_no_engine_and_no_descent_knows_the_reference() -> None:
    """What is worked out twice and agrees is right twice only if the one writing does not use the other, not even
    through a third; and the reference uses neither."""
    writings = {"field", "flow", "limit", "ode", "descent"}
    assert not {name for name in reached_from(writings) if name.startswith("gflow.reference")}
    used = {name.split(".")[1] for name in reached_from({"reference"})}
    assert used <= {"reference", "problem", "arrays", "errors", "console"}
    assert "gflow.reference.point" in reached_from({"verification"}) & reached_from({"analysis"})  # it can fail


def test_every_part_has_a_floor() -> None:
    parts = {part_of(path) for path in modules() if path != PACKAGE / "__init__.py"}
    assert parts == set(FLOORS)


def test_the_map_names_what_is_there() -> None:
    """`gflow/README.md`: every file it names exists, and every room stands on its floor there."""
    text = (PACKAGE / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_/0-9]+(?:\.py|/))`", text))
    assert {name for name in named if not (PACKAGE / name).exists() and not (ROOT / name).exists()} == set()
    told = {
        room: int(floor)
        for floor, rooms in re.findall(r"^\| (\d+) \| ([^|]+) \|", text, flags=re.MULTILINE)
        for room in re.findall(r"`(\w+)(?:/|\.py)`", rooms)
    }
    assert told == {part: floor for part, floor in FLOORS.items() if part != "__main__"}


def test_the_check_can_fail(tmp_path: Path) -> None:
    """Negative control: the reader of imports sees lazy and nested ones."""
    file = tmp_path / "x.py"
    file.write_text("def f():\n    from gflow.cli import main\n    import torch.nn\n")
    assert list(imports_of(file)) == ["gflow.cli.main", "torch.nn"]


@pytest.mark.parametrize("code", ["import gflow", "import gflow.cli", "import gflow; gflow.load_scenario"])
def test_light_imports(code: str) -> None:
    """`import gflow`, `gflow --help` and reading a scenario load none of torch, matplotlib, jinja2, scipy."""
    probe = f"{code}; import sys; print(sorted({{'torch', 'matplotlib', 'jinja2', 'scipy'}} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, cwd=ROOT)
    assert shown.stdout.strip() == "[]"


def test_configured_folders_exist() -> None:
    import tomllib

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    folders = settings["mypy"]["files"] + settings["pytest"]["ini_options"]["testpaths"]
    assert all((ROOT / folder).is_dir() for folder in folders)


def test_console_script_help_is_fast_and_torch_free() -> None:
    probe = (
        "import sys; from gflow.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as e: code = e.code\n"
        "assert code == 0 and not {'torch', 'matplotlib', 'jinja2'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "simulate" in done.stdout
