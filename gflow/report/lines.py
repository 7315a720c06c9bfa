"""Building blocks of the texts about a trajectory: times, sizes, and one line on each of its aspects."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gflow.console import printable
from gflow.flow_time import time_text
from gflow.problem.activation import SMOOTHINGS
from gflow.trajectory import DESCENT, Trajectory

LABEL_WIDTH = 12
NOT_ENDED = "none yet: the run goes on, or was stopped from outside"
BALANCE = {"balancedness_drift": "drift", "median_rotation": "median rotation cosine"}
PREDICTIONS = {"test_accuracy": "accuracy", "train_accuracy": "in training", "test_log_loss": "log L"}
STABLE_RANKS = {"stable_rank": "W", "stable_rank_plus": "W+", "stable_rank_minus": "W-"}


def labelled(lines: Mapping[str, str]) -> str:
    """One line each, its label in front; without those that are empty."""
    return "\n".join(f"{label:<{LABEL_WIDTH}} {text}" for label, text in lines.items() if text)


def outcome_text(trajectory: Trajectory) -> str:
    """How the run ended, or that it has not."""
    return trajectory.outcome_sentence or NOT_ENDED


# Activations without a kink: their signs may change, but no event marks it.
SMOOTH = {"linear", *SMOOTHINGS}


def pattern_text(trajectory: Trajectory) -> str:
    """When the pattern last changed, and how many pairs slide at the end; empty for descent."""
    if trajectory.kind == DESCENT:
        return ""  # several runs, and none of them slides
    last = trajectory.read("pattern", -1)
    if trajectory.facts.get("activation") in SMOOTH:
        turned = np.count_nonzero(last != trajectory.read("pattern", 0))
        return f"no kinks to cross; {turned} of {last.size} pre-activations ended with the other sign"
    sliding = f"{np.count_nonzero(last == 0)} of {last.size} pairs slide"
    if not trajectory.records_events:
        return sliding
    changes = trajectory.events.log1p_time
    return f"{f'last change at {time_text(changes[-1])}' if len(changes) else 'never changed'}; {sliding}"


def margins_text(trajectory: Trajectory) -> str:
    """The least margin over the power of the parameters' norm that its homogeneity asks for: |W|, or |theta|^2."""
    degree = float(trajectory.facts.get("homogeneity", 1))
    norm = "|W|" if degree == 1.0 else f"|theta|^{degree:g}"
    names = {"normalized_margin": f"min/{norm} =", "margin_spread": "spread"}
    return values_text(last_values(trajectory, names))


def stable_rank_text(trajectory: Trajectory) -> str:
    """Stable ranks in the last row: `W 1.027, W+ 1, W- 1`."""
    return values_text(last_values(trajectory, STABLE_RANKS))


def predictions_text(trajectory: Trajectory) -> str:
    """Accuracy and loss of the test samples in the last row; empty without them."""
    values = values_text(last_values(trajectory, PREDICTIONS))
    return f"{values}; {trajectory.sizes['test_sample']} samples" if trajectory.form.has_test else values


def balance_text(trajectory: Trajectory) -> str:
    """How exactly a_j^2 - |w_j|^2 stays, and how far the neurons have turned."""
    return values_text(last_values(trajectory, BALANCE), "; ")


def values_text(values: Mapping[str, float], separator: str = ", ") -> str:
    # Adding 0 turns the -0 of floating point, which would only puzzle readers, into 0.
    """Each text with its value in four digits."""
    return separator.join(f"{text} {value + 0.0:.4g}" for text, value in values.items())


def last_values(trajectory: Trajectory, names: Mapping[str, str]) -> dict[str, float]:
    """Values in the last row of the series that this run has, under the given texts."""
    return {
        text: float(trajectory.read(f"series/{name}", -1)) for name, text in names.items() if name in trajectory.series
    }


def saved_text(trajectory: Trajectory) -> str:
    """The file, its rows and its size."""
    rows = f"{trajectory.n_rows} row{'s' if trajectory.n_rows != 1 else ''}"
    return f"{printable(trajectory.path)}  ({rows}, {size_text(trajectory.path.stat().st_size)})"


def size_text(size: int) -> str:
    """Three digits, in powers of 1000 bytes."""
    value = float(size)
    for unit in ("bytes", "kB", "MB"):
        if value < 999.5:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} GB"
