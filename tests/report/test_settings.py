"""A report looks the same whatever a user has set for matplotlib, and leaves those settings as they were."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest

from gflow.report.page import write_figures, write_page
from gflow.trajectory import Trajectory

ROOT = Path(__file__).parents[2]
ODD = """\
text.usetex: true
axes.facecolor: black
font.size: 30
figure.dpi: 30
savefig.bbox: tight
svg.fonttype: path
lines.linestyle: --
axes.prop_cycle: cycler(color=["r"])
"""
DRAW = """
import sys
from pathlib import Path
import gflow
from gflow.report.page import write_page
trajectory, out = gflow.open_trajectory(sys.argv[1]), Path(sys.argv[2])
write_page(trajectory, None, None, out / "report.html")
import matplotlib
assert matplotlib.__version__ and "matplotlib.pyplot" not in sys.modules
"""


def sums(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.is_file()}


def drawn(trajectory: Trajectory, folder: Path) -> dict[str, str]:
    write_page(trajectory, None, None, folder / "report.html")
    write_figures(trajectory, None, None, folder, "png")
    return sums(folder)


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Two things at once that keep matplotlib from being imported."""
    file = tmp_path_factory.mktemp("settings") / "matplotlibrc"
    file.write_bytes(b"\xff\xfe: nonsense")
    return {"MPLBACKEND": "module://matplotlib_inline.nowhere", "MATPLOTLIBRC": str(file)}


def test_settings_that_keep_matplotlib_from_being_imported(
    tiny: Trajectory, tmp_path: Path, broken: dict[str, str]
) -> None:
    alone = subprocess.run([sys.executable, "-c", "import matplotlib"], env=os.environ | broken, capture_output=True)
    assert alone.returncode == 1, "the control: these settings do no harm"
    command = [sys.executable, "-W", "error", "-c", DRAW, str(tiny.path), str(tmp_path / "odd")]
    subprocess.run(command, env=os.environ | broken | {"PYTHONPATH": str(ROOT)}, check=True, timeout=300)
    write_page(tiny, None, None, tmp_path / "plain" / "report.html")
    assert sums(tmp_path / "odd") == sums(tmp_path / "plain")


@pytest.mark.slow
def test_a_style_of_ones_own_is_neither_used_nor_changed(tiny: Trajectory, tmp_path: Path) -> None:
    plain = drawn(tiny, tmp_path / "plain")
    file = tmp_path / "odd.mplstyle"
    file.write_text(ODD)
    with matplotlib.rc_context(fname=file):
        before = dict(matplotlib.rcParams)
        assert before["text.usetex"] and before["font.size"] == 30.0
        assert drawn(tiny, tmp_path / "odd") == plain
        assert dict(matplotlib.rcParams) == before


def test_a_figure_of_ones_own_stays_the_current_one(tiny: Trajectory, tmp_path: Path) -> None:
    from matplotlib import pyplot

    backend = matplotlib.get_backend()
    mine = pyplot.figure()
    try:
        write_page(tiny, None, None, tmp_path / "report.html")
        assert pyplot.get_fignums() == [mine.number] and pyplot.gcf() is mine and matplotlib.get_backend() == backend
    finally:
        pyplot.close(mine)


def test_the_environment_is_as_it_was(monkeypatch: pytest.MonkeyPatch, broken: dict[str, str]) -> None:
    from gflow.report.page.figures.library import _own_settings

    monkeypatch.setenv("MPLBACKEND", broken["MPLBACKEND"])
    monkeypatch.delenv("MATPLOTLIBRC", raising=False)
    before = dict(os.environ)
    with _own_settings():
        assert "MPLBACKEND" not in os.environ and Path(os.environ["MATPLOTLIBRC"]).is_file()
    assert dict(os.environ) == before
