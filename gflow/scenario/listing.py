"""The scenario files in a folder, each with what it shows: the first comment line of the file."""

from __future__ import annotations

from pathlib import Path

from gflow.errors import ScenarioError


def listed(folder: Path | None = None) -> list[tuple[Path, str]]:
    """(path, title) of every .yaml file of the folder, by name; None stands for the scenarios that come with gflow.

    Raises ScenarioError where there is no such folder.
    """
    place = shipped() if folder is None else folder
    if not place.is_dir():
        raise ScenarioError(f"{place}: no such folder: name one that holds scenario files")
    shown = Path.cwd()
    paths = sorted(place.glob("*.yaml"))
    return [(p.relative_to(shown) if p.is_relative_to(shown) else p, _title(p)) for p in paths]


def shipped() -> Path:
    """The folder of the scenarios that come with gflow: in the installed package, or beside it in a checkout."""
    here = Path(__file__).resolve()
    installed = here.with_name("shipped")
    return installed if installed.is_dir() else here.parents[2] / "scenarios"


def _title(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    comments = (line.lstrip("# ").rstrip() for line in lines if line.startswith("#"))
    return next((line for line in comments if line), "(no description)")
