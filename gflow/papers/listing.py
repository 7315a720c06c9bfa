"""Which experiments there are: the files `<paper>/<experiment>.yaml` beside the shipped scenarios."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from gflow.errors import ScenarioError
from gflow.scenario.listing import shipped

FOLDER, ALL = "papers", "all"


def experiment_files(folder: Path | None = None) -> dict[str, Path]:
    """The files of all experiments by their names, `frei/fig1`; None: those that come with gflow."""
    place = shipped() / FOLDER if folder is None else folder
    paths = sorted(place.glob("*/*.yaml"))
    return {f"{path.parent.name}/{path.stem}": path for path in paths}


def chosen(names: Sequence[str], known: Sequence[str]) -> list[str]:
    """The names of the experiments that are meant by papers, experiments and `all`, each once, in the order of `known`.

    Raises ScenarioError for a name that means none.
    """
    papers = list(dict.fromkeys(name.partition("/")[0] for name in known))
    meant = set[str]()
    for name in names:
        found = [each for each in known if name in (ALL, each, each.partition("/")[0])]
        if not found:
            guesses = get_close_matches(name, [*papers, *known, ALL], n=3, cutoff=0.5)
            remedy = f"did you mean {' or '.join(guesses)}?" if guesses else f"the papers are {', '.join(papers)}."
            raise ScenarioError(f"{name!r}: is no paper and no experiment; {remedy} See gflow reproduce --list")
        meant.update(found)
    return [name for name in known if name in meant]
