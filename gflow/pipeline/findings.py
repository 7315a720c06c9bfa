"""All analyzers by name, and their results as plain JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from gflow.analysis.alignment import alignment
from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.direction import direction
from gflow.analysis.failure import Failed, failed
from gflow.analysis.freezing import freezing
from gflow.analysis.kkt import kkt
from gflow.analysis.limit import limit
from gflow.analysis.margins import margins
from gflow.analysis.progress import Tell, untold
from gflow.analysis.rank import rank
from gflow.analysis.rho import rho
from gflow.claims.claim import Claim
from gflow.claims.family import claims
from gflow.errors import GflowError
from gflow.trajectory import Record

Result = Any  # the frozen result of one analyzer, or `Failed`; for `claims` a tuple of `Claim`

ANALYZERS: dict[str, Callable[[AnalyzedRun], Result]] = {
    "freezing": freezing,
    "limit": limit,
    "direction": direction,
    "kkt": kkt,
    "rank": rank,
    "margins": margins,
    "alignment": alignment,
    "rho": rho,
    "claims": claims,
}


class Findings(Mapping[str, Result]):
    """Results by the name of their analyzer; all but `claims` have a `verdict` and a `summary`."""

    def __init__(self, results: Mapping[str, Result]) -> None:
        self._results = dict(results)

    def __getitem__(self, name: str) -> Result:
        return self._results[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)

    @property
    def failed(self) -> tuple[str, ...]:
        """The names of analyzers and ids of claims that ended in an error of gflow's own."""
        claims = self._results.get("claims")
        of_claims = () if claims is None or isinstance(claims, Failed) else claims
        names = [name for name, result in self.items() if isinstance(result, Failed)]
        return (*names, *(claim.id for claim in of_claims if claim.verdict == "failed"))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; nothing in it is NaN or infinite."""
        return {name: plain(result) for name, result in self.items()}


def findings(trajectory: Record, names: Sequence[str], tell: Tell = untold) -> Findings:
    """The results of the analyzers of these names on a trajectory; one that fails does not affect the others.

    tell: called while the flow is followed.
    """
    run = AnalyzedRun.of(trajectory, tell)
    return Findings({name: _found(name, run) for name in names})


def _found(name: str, run: AnalyzedRun) -> Result:
    """The result of one analyzer, which JSON can hold; a refusal passes, any other error is the result."""
    try:
        result = ANALYZERS[name](run)
        plain(result)
    except GflowError:
        raise
    except Exception as error:
        return failed(name, error)
    return result


def plain(value: Any) -> Any:  # Any: mirrors whatever JSON can hold
    """Frozen results, arrays and tuples in JSON's own types; ValueError for a number that JSON cannot hold."""
    if isinstance(value, Claim):
        return _fields(value) | {"verdict": value.verdict}
    if is_dataclass(value) and not isinstance(value, type):
        return _fields(value)
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is no result")
    return value


def _fields(value: Any) -> dict[str, Any]:  # Any: a frozen result, and JSON values
    return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
