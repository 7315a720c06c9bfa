"""Random starts, unspecified constants, and numbers that only their logarithms can hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gflow.claims.claim import Conclusion, at_least, condition
from gflow.claims.kou import start
from gflow.claims.kou.setting import clipped_exp, judged, worst_of
from tests.claims.kou.runs import run, with_start


def test_a_wide_gaussian_start(tmp_path: Path) -> None:
    """Lemmas B.1 and B.2 at m = 450 >= 50 log(2 n / delta); a start from a file has no such law."""
    short = ("flow.until={time: 0.01}", "record.times={at: [0.005]}")
    data = "data={kind: gram, n: 4, d: 200, labels: balanced, norms: [0.95, 1.05], coherence: 2.0e-5}"
    wide = run(tmp_path / "wide", "model.width=900", data, *short)
    assert [claim(wide).verdict for claim in start.CLAIMS] == ["holds"] * 3
    uniform = with_start(tmp_path, np.random.default_rng(1).uniform(size=(40, 12)))
    given = run(tmp_path / "given", uniform, *short)
    assert [claim(given).verdict for claim in start.CLAIMS] == ["not applicable"] * 3
    nothing = run(tmp_path / "nothing", "init.std=0.0", *short)
    assert [claim(nothing).verdict for claim in start.CLAIMS] == ["not applicable"] * 3


def test_an_unspecified_constant_takes_the_blame() -> None:
    wide, failed = at_least("C_eff >= C", 5.0, 1.0), Conclusion(False)
    claim = judged("kou.x", "x", "rows", (condition("h", True),), failed, (wide,))
    assert claim.verdict == "not applicable" and not claim.hypotheses[1].holds
    assert judged("kou.x", "x", "rows", (condition("h", True),), failed).verdict == "violated"
    assert judged("kou.x", "x", "rows", (), Conclusion(True), (wide,)).verdict == "holds"


def test_slacks_stay_in_logarithms() -> None:
    worst = worst_of(np.array([1e5, -1e5, 3.0]), np.array([1.0, 2.0, 3.0]))
    assert not worst.holds and worst.log1p_time == 2.0 and worst.value == clipped_exp(1e5) < np.inf
