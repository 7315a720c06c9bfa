"""The result of a comparison, with the names of `comparison.json`; numbers are finite or None."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Self

from gflow.comparison.events import SettledPair
from gflow.comparison.patterns import SlidingShares

COMPARISON_FILE_NAME = "comparison.json"

Numbers = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class RunSeries:
    """Along the rows of one run, each (T,); `_flow`: of the flow at the same times."""

    log1p_time: Numbers
    relative_gap: Numbers
    margin_gap: Numbers
    direction_angle: Numbers
    pattern_agreement: Numbers
    pattern_agreement_all: Numbers
    stable_rank: Numbers
    stable_rank_flow: Numbers
    min_normalized_margin: Numbers
    min_normalized_margin_flow: Numbers
    log_loss: Numbers
    log_loss_flow: Numbers
    log_g_ratio: Numbers
    """max_ik log g_i - log g_k of descent"""
    sharpness_times_eta: Numbers
    angle_to_limit: Numbers | None
    test_accuracy: Numbers | None = None
    """of the test samples, here and below; None where there are none"""
    test_accuracy_flow: Numbers | None = None
    test_log_loss: Numbers | None = None
    test_log_loss_flow: Numbers | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """A pair on opposite sides."""

    neuron: int
    sample: int
    flow: int
    descent: int


@dataclass(frozen=True, slots=True)
class RunComparison:
    """One step size.

    steps: asked for; outcome `time`, or `diverged` (then the rows end before).  max_relative_gap: over the rows from
    the first tenth of the horizon on; max_margin_gap: over all rows; final_direction_angle, angle_to_limit,
    pattern_agreement and pattern_agreement_all: at the last row that both have.  sharpness_times_eta: the largest over
    the rows (`sharpness`).  stability_threshold: 8 n / lambda_max(K) on the flow's pattern at the end, None where no
    such bound is known.  loss_rises and largest_loss_rise (of log L in one step): None for SGD, where they say nothing.
    """

    eta: float
    kind: str
    seed: int | None
    steps: int
    outcome: str
    max_relative_gap: float | None
    max_relative_gap_time: float | None
    max_margin_gap: float
    final_direction_angle: float | None
    angle_to_limit: float | None
    pattern_agreement: float
    pattern_agreement_all: float
    first_pattern_disagreement_time: float | None
    first_pattern_disagreement_log1p_time: float | None
    first_pattern_disagreement: Pair | None
    sliding_pairs: SlidingShares
    sharpness_times_eta: float | None
    stability_threshold: float | None
    loss_rises: int | None
    largest_loss_rise: float | None
    verdict: str
    series: RunSeries


@dataclass(frozen=True, slots=True)
class ModifiedGap:
    """The largest gap of one step size to the flow of L + (eta / 4) |grad L|^2, over the same rows."""

    eta: float
    max_relative_gap: float | None


@dataclass(frozen=True, slots=True)
class ModifiedComparison:
    """Descent beside the modified flows: the gap falls like eta^2 if all is well."""

    etas: tuple[ModifiedGap, ...]
    fitted_order: float | None
    fitted_order_interval: tuple[float, float] | None
    fitted_order_points: int
    summary: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """All runs beside one flow; step sizes from the largest to the smallest.

    gflow: version; trajectory: what it is about; flow_outcome: how the flow, integrated anew, ended; events: pairs that
    settle (`events`), the last 200 of them; warnings: what to know before believing the numbers.
    """

    gflow: str
    trajectory: dict[str, Any]  # Any: JSON values
    horizon_log1p_time: float
    flow_outcome: str
    etas: tuple[RunComparison, ...]
    fitted_order: float | None
    fitted_order_interval: tuple[float, float] | None
    fitted_order_points: int
    modified: ModifiedComparison | None
    events: tuple[SettledPair, ...]
    warnings: tuple[str, ...]
    summary: str
    command: str

    @property
    def stopped_early(self) -> bool:
        """Did the flow end before descent did, at a limit?"""
        return self.flow_outcome != "time"

    def to_json(self) -> dict[str, Any]:  # Any: JSON values
        """Plain JSON values."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:  # Any: JSON values
        """What `to_json` gave; KeyError or TypeError for anything else."""
        modified = content["modified"]
        return cls(
            **{
                **content,
                "etas": tuple(_run_of(run) for run in content["etas"]),
                "fitted_order_interval": _numbers(content["fitted_order_interval"]),
                "modified": None if modified is None else _modified_of(modified),
                "events": tuple(_settled_of(pair) for pair in content["events"]),
                "warnings": tuple(content["warnings"]),
            }
        )


def _run_of(content: dict[str, Any]) -> RunComparison:  # Any: JSON values
    pair = content["first_pattern_disagreement"]
    parts = {
        "first_pattern_disagreement": None if pair is None else Pair(**pair),
        "sliding_pairs": SlidingShares(**content["sliding_pairs"]),
        "series": RunSeries(**{name: _numbers(values) for name, values in content["series"].items()}),
    }
    return RunComparison(**{**content, **parts})


def _modified_of(content: dict[str, Any]) -> ModifiedComparison:  # Any: JSON values
    etas = tuple(ModifiedGap(**each) for each in content["etas"])
    interval = _numbers(content["fitted_order_interval"])
    return ModifiedComparison(**{**content, "etas": etas, "fitted_order_interval": interval})


def _settled_of(content: dict[str, Any]) -> SettledPair:  # Any: JSON values
    return SettledPair(**{**content, "descent_log1p_time": _numbers(content["descent_log1p_time"])})


def _numbers(values: Any) -> Any:  # Any: a list of JSON or None, and a tuple or None
    return None if values is None else tuple(values)


def _plain(value: Any) -> Any:  # Any: a frozen result, and JSON values
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value
