"""The shipped scenarios: each parses, starts, and shows what its comment promises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gflow

FOLDER = Path(__file__).resolve().parents[1] / "scenarios"
FILES = sorted(FOLDER.glob("*.yaml"))


def run(name: str, folder: Path, *overrides: str) -> gflow.Trajectory:
    return gflow.simulate(gflow.load_scenario(FOLDER / f"{name}.yaml", overrides), out=folder)


@pytest.mark.sample(
    "kou-orthogonal", "digits-3-vs-5", "gaussian-*", "parity-*", "scalar-parity", "mixture-smooth", "frei-*"
)
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_every_scenario_runs(path: Path, tmp_path: Path) -> None:
    """A first stretch of each, with the name of the file and a comment that says what it shows."""
    assert path.read_text().startswith("# ")
    scenario = gflow.load_scenario(path, ["flow.until={time: 1.0}", "record.times.count=5"])
    assert scenario.name == path.stem
    trajectory = gflow.simulate(scenario, out=tmp_path)
    assert trajectory.outcome == "time" and trajectory.n_rows == 5


@pytest.mark.slow
@pytest.mark.parametrize("name, sliding", [("gaussian-leaky", (40, 400)), ("gaussian-relu", (200, 500))])
def test_reach(name: str, sliding: tuple[int, int], tmp_path: Path) -> None:
    """n = 20, d = 400, m = 64 to log t = 1e6: equal margins, no overflow or NaN (warnings are errors here)."""
    trajectory = run(name, tmp_path)
    assert trajectory.log1p_time[-1] == 1e6 and trajectory.outcome == "log_time"
    assert trajectory.series["margin_spread"][-1] < 1e-5
    assert sliding[0] < trajectory.series["sliding"][-1] < sliding[1]
    # t L -> |W*|^2: log L + log t settles.
    assert np.ptp((trajectory.log_loss + trajectory.log1p_time)[-20:]) < 1e-3
    assert trajectory.events.log1p_time.max() < 1e5
    assert np.isfinite(trajectory.inner).all() and np.isfinite(trajectory.margins).all()


def test_frei_hypothesis_and_conclusions(tmp_path: Path) -> None:
    """NO32 >= 1; every pair ends on its side, margins agree, two rows remain, and K^-1 1 gives the margin."""
    trajectory = run("frei-corollary-3.5", tmp_path)
    X, y, a, lk = trajectory.X, trajectory.y, trajectory.outer, 0.5
    G = X @ X.T
    squared, coherence = np.diag(G), np.abs(G - np.diag(np.diag(G))).max()
    R2 = squared.max() / squared.min()
    assert squared.min() / (3.0 * lk**-3 * R2 * y.size * coherence) >= 1.5
    assert (trajectory.pattern[-1] == np.sign(np.outer(a, y))).all()
    assert trajectory.series["margin_spread"][-1] < 1e-4
    assert trajectory.series["stable_rank_plus"][-1] - 1.0 < 1e-6
    K = G * np.where(np.equal.outer(y, y), (1.0 + lk**2) / 2.0, -lk)
    assert trajectory.series["normalized_margin"][-1] == pytest.approx(
        np.linalg.solve(K, np.ones(y.size)).sum() ** -0.5, rel=1e-3
    )


@pytest.mark.slow
def test_kou_absorption_and_stable_rank(tmp_path: Path) -> None:
    """Pairs of the wrong sign that start active end on the kink; the others keep their first sign for ever."""
    trajectory = run("kou-orthogonal", tmp_path, "record.times.count=20")
    first, last = trajectory.pattern[0], trajectory.pattern[-1]
    wrong = np.outer(np.sign(trajectory.outer), trajectory.y) < 0
    assert (last[wrong & (first > 0)] == 0).all()
    assert (last[~wrong | (first < 0)] == first[~wrong | (first < 0)]).all()
    # kou.lemF3: the limit of W+ is (m / |S_i|) 1[active], here from the initial signs alone.
    for sign, name in ((1.0, "stable_rank_plus"), (-1.0, "stable_rank_minus")):
        A = (first[np.sign(trajectory.outer) == sign][:, trajectory.y == sign] > 0).astype(float)
        A /= A.sum(axis=0)
        singular = np.linalg.svd(A, compute_uv=False)
        assert trajectory.series[name][-1] == pytest.approx((singular**2).sum() / singular[0] ** 2, rel=2e-2)
