"""Summaries of all analyzers in one style: they follow `name: ` in a list, so they are no sentences of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from gflow.pipeline.findings import ANALYZERS
from tests.analysis.runs import gaussian

LEAKY = "model.activation={kind: leaky_relu, slope: 0.1}"
BOTH = "model.outer={train: true}"
SMOOTH = "model.activation={kind: smooth_leaky_relu, slope: 0.1}"


@pytest.mark.parametrize(("change", "end"), [(LEAKY, 1.0), (LEAKY, 200.0), (BOTH, 8.0), (SMOOTH, 4.0)])
def test_summaries_are_in_one_style(tmp_path: Path, change: str, end: float) -> None:
    """Before and after the data are fitted, with a known limit and without one."""
    run = gaussian(tmp_path / "run", end, 0, 0.1, change)
    for name, analyzer in ANALYZERS.items():
        if name == "claims":
            continue
        summary = analyzer(run).summary
        assert summary[0].islower() or summary[0].isdigit() or summary.startswith("a_j"), (name, summary)
        assert not summary.endswith(".") and "None" not in summary and "at most 0 " not in summary, (name, summary)
