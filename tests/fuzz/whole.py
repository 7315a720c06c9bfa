"""A hostile problem through simulate, analyze and verify, each answer judged by what the tests compute on their own."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import numpy as np

import gflow
from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.errors import GflowError
from gflow.flow.state import Outcome
from gflow.trajectory import Trajectory
from tests.fuzz.problems import SHAPES, TIED, Picker, drawn
from tests.fuzz.scenarios import Hostile
from tests.reference.frozen_mode import FrozenMode

ENDS = ("{certified: true}", "{certified: true}", "{log_time: 100}", "{log_time: 1e4}", "{time: 20}")
SCALES = (1e-30, 1e-8, 0.1, 0.1, 1.0, 1.0, 1.0, 1.0, 3.0, 3.0, 1e3, 1e8)
PATIENCE = 300  # seconds of this process for one problem: most take ten; verify may go twenty times as far as the run
FURTHER = 1000.0  # how many times further in log t, and in the least margin, a frozen mode is followed
AGREED = 1e-6  # relative, of two computations of a normalised margin
PROVED = ("proved", "proved_from_state")  # either is a proof of what follows from the last row


@dataclass
class Judged:
    """How the run ended, what was said with certainty and could be judged, and what is wrong with it."""

    end: str = "refused"
    said: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def count(self, what: str) -> None:
        self.said[what] = self.said.get(what, 0) + 1


def drawn_whole(seed: int) -> Hostile:
    """The scenario of a seed: ties, cancellation, starts on kinks and twins are the rule."""
    rng = np.random.default_rng([seed, 3])
    one_of, recipe = Picker(rng), drawn(seed)
    recipe = replace(
        recipe,
        shape=one_of((*SHAPES, *TIED, *TIED)),
        slope=one_of((0.0, 0.0, 0.01, 0.1, 0.5, 0.99)),
        scales=(one_of(SCALES), one_of(SCALES), one_of(SCALES)),
    )
    return Hostile(
        recipe,
        data=None,
        zero_row=False,
        activation=one_of(("kinked",) * 8 + ("smooth_leaky_relu",)) if recipe.slope else "kinked",
        trained=bool(rng.random() < 0.15),
        bias=bool(rng.random() < 0.15),
        engine=one_of(("auto", "auto", "auto", "primal")),
        method="auto",
        end=one_of(ENDS),
        spacing="loglog",
        budget="{steps: 1000, events: 300}",
    )


def judged(case: Hostile) -> Judged:
    """All three commands on a case; what is wrong is listed, not raised."""
    found = Judged()
    try:
        with TemporaryDirectory() as folder, limited(PATIENCE):
            _judge(case, Path(folder), found)
    except GflowError as refusal:
        if found.end != "refused" or len(str(refusal)) <= 20:
            found.wrong.append(f"refused after the run, or without words: {refusal}")
    except Exception as error:  # a traceback, in whichever of the three
        found.wrong.append(f"{type(error).__name__}: {str(error)[:200]}")
    return found


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """TimeoutError after so many seconds of this process, however many others share the machine."""

    def late(_: int, __: FrameType | None) -> None:
        raise TimeoutError(f"not done after {seconds:g} s")

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)


def _judge(case: Hostile, folder: Path, found: Judged) -> None:
    trajectory = gflow.simulate(gflow.load_scenario(case.write(folder)), out=folder / "run")
    found.end = Outcome(trajectory.outcome).value
    said = gflow.analyze(trajectory).to_json()
    _judge_analysis(said, found)
    if said["freezing"]["verdict"] in PROVED and not trajectory.trains_outer and trajectory.facts["slope"] != 1.0:
        _judge_proof(trajectory, said, found)
    if said["kkt"]["point"] == "limit" and not trajectory.trains_outer and trajectory.facts["slope"] != 1.0:
        _judge_kkt(mode_of_limit(trajectory), said["kkt"], found)
    checks = gflow.verify(trajectory).to_json()["checks"]
    for check in checks:
        found.count(f"verify {check['verdict']}")
        if check["verdict"] == "fail":
            found.wrong.append(f"verify: {check['group']}: {check['name']}: {check['value']} of {check['bound']}")


def _judge_analysis(said: dict[str, Any], found: Judged) -> None:  # Any: what analysis.json holds
    """No analyzer fails, and no theorem, and no limit of a flow, is violated."""
    for name, result in said.items():
        if isinstance(result, dict) and "verdict" in result:
            found.count(f"{name} {result['verdict']}")
            if result["verdict"] in ("failed", "violated"):
                found.wrong.append(f"{name} {result['verdict']}: {result['summary'][:200]}")
    for claim in said["claims"]:
        found.count(f"claim {claim['verdict']}")
        if claim["verdict"] == "violated":
            found.wrong.append(f"claim violated: {claim['id']}: {claim['conclusion']}")


def _judge_proof(trajectory: Trajectory, said: dict[str, Any], found: Judged) -> None:
    """The mode of the last row, followed a thousandfold further, and its limit found in another way."""
    mode = last_mode(trajectory)
    if not mode.live.any():
        return  # at rest for ever
    nearest, largest = mode.hull_distance(), float(np.linalg.norm(mode.features, axis=(1, 2)).max())
    if said["limit"]["verdict"] in PROVED:
        found.count("limit judged")
        for name, value in margins_said(said["limit"], bool(mode.live.all())).items():
            if not abs(value / nearest - 1.0) <= AGREED:
                found.wrong.append(f"limit: {name} is {value:.9g}, and {nearest:.9g} by all subsets")
    if nearest < 1e-6 * largest:
        return  # the way ahead is then a matter of rounding, for this computation as well
    log_t = max(float(trajectory.read("log1p_time", -1)), 1.0)
    departure = mode.first_departure(*mode.followed(FURTHER * log_t))
    found.count("mode followed")
    if departure:
        found.wrong.append(f"proved to be frozen, but {departure}")


def _judge_kkt(mode: FrozenMode, said: dict[str, Any], found: Judged) -> None:  # Any: what analysis.json holds
    """The direction that the mode of the limit tends to, against the cone of the gradients there; what may be rounding
    of its kinks and margins is granted to either verdict."""
    if not mode.live.all() or mode.hull_distance() < 1e-6 * np.linalg.norm(mode.features, axis=(1, 2)).max():
        return
    if said["verdict"] == "violated" and mode.off_the_cone(mode.limit, 1e-10) < 1e-7:
        found.wrong.append("kkt violated, but the direction is in the cone of its gradients")
    if said["verdict"] == "holds" and (off := mode.off_the_cone(mode.limit, 1e-5)) > 1e-5:
        found.wrong.append(f"kkt holds, but the direction is {off:.3g} off the cone of its gradients")
    found.count("kkt judged")


def margins_said(limit: dict[str, Any], all_live: bool) -> dict[str, float]:  # Any: what analysis.json holds
    """The normalised margin of the limit, over all samples, and 1 / |W| by its multipliers, over the live ones."""
    said = {"1 / |W| of its multipliers": float(np.sum(limit["multipliers"])) ** -0.5}
    return said | ({"normalized_margin": limit["normalized_margin"]} if all_live else {})


def mode_of_limit(trajectory: Trajectory) -> FrozenMode:
    """The mode whose limit is spoken of, which may lie ahead of the last row, even with the same margin."""
    run = AnalyzedRun.of(trajectory)
    assert run.limit is not None
    return replace(last_mode(trajectory), pattern=run.problem.sample_sides(run.limit.side))


def last_mode(trajectory: Trajectory) -> FrozenMode:
    facts = trajectory.facts
    return FrozenMode(
        W=trajectory.weights(-1),
        X=trajectory.X,
        y=trajectory.y,
        a=trajectory.outer_at(-1),
        slope=float(facts["slope"]),
        pattern=trajectory.read("pattern", -1),
        loss=str(facts["loss"]),
    )
