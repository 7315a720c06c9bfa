"""The hypothesis that all claims on the limit of the flow share: that the limit is known, and what this rests on."""

from __future__ import annotations

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.claims.claim import Hypothesis, condition


def standing_of(run: AnalyzedRun) -> str:
    """What the limit rests on, as the analyzers call it, in words: `proved`, `expected`, ...; `none` without one."""
    return run.standing.replace("_", " ")


def limit_known(run: AnalyzedRun) -> Hypothesis:
    """The limit of the flow is known.  Only what is proved of the flow itself can refute a theorem about it."""
    standing = standing_of(run)
    return condition(f"limit of the flow known ({standing})", run.limit is not None, firm=standing == "proved")
