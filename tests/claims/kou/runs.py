"""Small runs that meet every explicit hypothesis of Kou et al., and runs with another start or limit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

import gflow
from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.claims import kou
from gflow.claims.claim import Claim
from gflow.limit.limit_point import LimitPoint
from gflow.scenario import parse_scenario

NEARLY_ORTHOGONAL = """
gflow: 1
name: kou
seed: 10
data: {kind: gram, n: 4, d: 12, labels: balanced, norms: [0.95, 1.05], coherence: 2.0e-5}
model:
  kind: two_layer
  width: 40
  activation: {kind: leaky_relu, slope: 0.3}
  outer: {train: false, values: signs, scale: inverse_half_width}
init: {kind: gaussian, std: 1.0e-2}
loss: logistic
flow: {until: {log_time: 40.0}}
record: {times: {spacing: log, count: 60}}
"""
RELU = "model.activation={kind: relu}"
ORTHOGONAL = "data={kind: orthogonal, n: 6, d: 12, labels: balanced, norm: 1.3}"
GAUSSIAN = "data={kind: gaussian, n: 6, d: 12}"


def run(folder: Path, *overrides: str) -> AnalyzedRun:
    return AnalyzedRun.of(gflow.simulate(parse_scenario(NEARLY_ORTHOGONAL, overrides=overrides), out=folder))


def judge(analyzed: AnalyzedRun) -> dict[str, Claim]:
    """Every claim by its name without the paper."""
    claims = [claim(analyzed) for claim in kou.CLAIMS]
    assert len({each.id for each in claims}) == len(claims)
    return {each.id.removeprefix("kou."): each for each in claims}


def with_start(folder: Path, W: np.ndarray) -> str:
    np.savez(folder / "start.npz", W=W)
    return f"init={{kind: file, path: {folder / 'start.npz'}}}"


def with_limit(
    analyzed: AnalyzedRun, limit: LimitPoint | None, standing: Literal["proved", "expected", "none"] = "proved"
) -> AnalyzedRun:
    """The same run with another limit in its continuation, proved unless said otherwise."""
    other = AnalyzedRun(analyzed.trajectory, analyzed.problem)
    assert analyzed.continuation is not None
    standing = "none" if limit is None else standing
    other.__dict__["continuation"] = replace(analyzed.continuation, standing=standing, limit=limit)
    return other
