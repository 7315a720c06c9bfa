"""All claims that apply to the network and the data of a run."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.failure import error_text, place_of
from gflow.claims import chatterji, kou, telgarsky
from gflow.claims.claim import Claim, Judge, blamed, in_float64
from gflow.claims.frei import bounds, example, mixture, theorems
from gflow.errors import GflowError


class Family(Protocol):
    """A module with claims that apply to the same runs."""

    @property
    def CLAIMS(self) -> tuple[Judge, ...]:  # noqa: N802 (a constant of the module)
        """The claims of the family, in the order of the paper."""

    def applies(self, run: AnalyzedRun, /) -> bool:
        """Do the claims speak of this network and these data?"""


FAMILIES: tuple[Family, ...] = (theorems, bounds, mixture, example, kou, chatterji, telgarsky)


def claims(run: AnalyzedRun) -> tuple[Claim, ...]:
    """One entry a claim, in the order of the papers."""
    with np.errstate(all="ignore"):  # what leaves float64 is seen in the claim itself
        judges = [judge for family in FAMILIES if family.applies(run) for judge in family.CLAIMS]
        return tuple(_judged(judge, run) for judge in judges)


def _judged(judge: Judge, run: AnalyzedRun) -> Claim:
    """The claim; where judging it ends in an error of gflow it says so, and the others stand."""
    try:
        return blamed(in_float64(judge(run)))
    except GflowError:
        raise
    except Exception as error:
        paper, module = judge.__module__.split(".")[-2:]
        statement = f"not judged, an error of gflow to be reported: {error_text(error)}, at {place_of(error)}"
        return Claim(f"{paper}.{module}.{judge.__name__}", statement, "data", (), None, error_text(error))
