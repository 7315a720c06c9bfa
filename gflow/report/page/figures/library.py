"""The import of matplotlib, made to work whatever a user has configured; it comes before every module that draws.

matplotlib reads its settings when it is first imported, and the import fails where they are unusable: `MPLBACKEND` may
name a backend of a notebook that is not installed here, `MATPLOTLIBRC` a file that does not exist.  A report needs
neither.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SETTINGS = "matplotlibrc"


def load() -> None:
    """Import matplotlib: with the user's settings, which the rest of a program may want, else with its own."""
    try:
        importlib.import_module("matplotlib")
    except Exception:  # each kind of unusable settings raises something else
        for name in [name for name in sys.modules if name.startswith("matplotlib.")]:
            del sys.modules[name]  # parts of the module that did not come to be: the new one would miss them
        with _own_settings():
            importlib.import_module("matplotlib")


@contextmanager
def _own_settings() -> Iterator[None]:
    """The environment without a backend, and with the settings that come with matplotlib; afterwards as it was."""
    before = {name: os.environ.pop(name, None) for name in ("MPLBACKEND", "MATPLOTLIBRC")}
    found = importlib.util.find_spec("matplotlib")
    for folder in (found and found.submodule_search_locations) or ():
        os.environ["MATPLOTLIBRC"] = str(Path(folder, "mpl-data", SETTINGS))
    try:
        yield
    finally:
        os.environ.pop("MATPLOTLIBRC", None)
        os.environ.update({name: value for name, value in before.items() if value is not None})


load()
