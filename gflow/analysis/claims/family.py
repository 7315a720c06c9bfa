"""All claims that apply to a run's network and data."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from gflow.analysis.claims import chatterji, kou, telgarsky
from gflow.analysis.claims.claim import Claim, Judge, blamed, in_float64
from gflow.analysis.claims.frei import bounds, example, theorems
from gflow.analysis.subject import Subject


class Family(Protocol):
    """A module with claims that apply to the same runs."""

    @property
    def CLAIMS(self) -> tuple[Judge, ...]:  # noqa: N802 (a constant of the module)
        """In the order of the paper."""

    def applies(self, subject: Subject, /) -> bool:
        """Do the claims speak of this network and these data?"""


FAMILIES: tuple[Family, ...] = (theorems, bounds, example, kou, chatterji, telgarsky)


def claims(subject: Subject) -> tuple[Claim, ...]:
    """One entry a claim, in the order of the papers."""
    with np.errstate(all="ignore"):  # what leaves float64 is seen in the claim itself
        judges = [judge for family in FAMILIES if family.applies(subject) for judge in family.CLAIMS]
        return tuple(blamed(in_float64(judge(subject))) for judge in judges)
