"""What analyzers and comparisons hand to a report, made up: the forms of analysis.json and comparison.json."""

from __future__ import annotations

from typing import Any

import numpy as np

from gflow.trajectory import Trajectory, file_sha256

Json = dict[str, Any]  # a JSON object


def analysis_of(trajectory: Trajectory) -> Json:
    """All analyzers; every verdict has a tone of its own, one claim of each verdict."""
    v = trajectory.log1p_time
    n = trajectory.sizes["sample"]
    return {
        "trajectory": identity(trajectory),
        "freezing": {
            "verdict": "pending",
            "summary": "not proved to be frozen: 2 pairs cannot keep their side",
            "log1p_time": float(v[-1] / 2),
            "sliding": 3,
            "pending": 2,
            "proved_log1p_time": float(v[-1] * 2),
        },
        "limit": {
            "verdict": "expected",
            "summary": "expected limit: normalised margin 0.31",
            "normalized_margin": 0.31,
            "stable_rank": 1.5,
            "support": n,
        },
        "direction": {
            "verdict": "expected",
            "summary": "the direction of W is expected to converge",
            "angle_to_limit": 0.25,
            "angle_bound": 0.3,
            "log1p_time": v.tolist(),
            "angle": np.linspace(1.0, 0.25, len(v)).tolist(),
            "velocity_angles": np.geomspace(1.0, 1e-12, len(v)).tolist(),
        },
        "kkt": {"verdict": "holds", "summary": "Stationarity 1e-15 at the limit.", "multipliers": [0.5] * n},
        "rank": {"verdict": "higher rank", "summary": "The stable rank of W is 1.5."},
        "margins": {"verdict": "holds", "summary": "The normalised margin is 0.3."},
        "claims": [
            claim("frei.thm3.1.kkt", "holds", value=1e-15, bound=1e-6, slack=1e9),
            claim("frei.thm3.2.item2", "not applicable", value=0.6, bound=1e-6, slack=1.7e-6),
            claim("kou.lem5.2", "violated", value=0.5, bound=0.25, slack=0.5),
            claim("kou.sec5.3.LL", "holds", constant=1.5),
        ],
    }


def identity(trajectory: Trajectory) -> Json:
    return {
        "scenario_sha256": trajectory.scenario_sha256,
        "trajectory_sha256": file_sha256(trajectory.path),
        "n_rows": trajectory.n_rows,
    }


def claim(name: str, verdict: str, **conclusion: float) -> Json:
    """One claim of two hypotheses, of which the second holds where the claim applies."""
    numbers = dict.fromkeys(("value", "bound", "slack", "constant", "log1p_time")) | conclusion
    return {
        "id": name,
        "statement": "the largest <x_i, x_k> & more is small",
        "checked": "rows",
        "hypotheses": [
            {"name": "neurons of both signs", "holds": True, "value": None, "bound": None, "slack": None},
            {"name": "small <= large", "holds": verdict != "not applicable", "value": 1.0, "bound": 2.0, "slack": 2.0},
        ],
        "conclusion": {"holds": verdict != "violated"} | numbers,
        "verdict": verdict,
    }


def comparison_of(trajectory: Trajectory, etas: tuple[float, ...] = (0.1, 0.05, 0.025), diverged: bool = True) -> Json:
    """Gaps of order 1; the largest step size diverges if asked for, with every number that it then lacks null."""
    runs = [_run(trajectory, eta) for eta in etas]
    if diverged:
        runs.insert(0, _run(trajectory, 10.0) | _without_end())
    return {
        "gflow": "0.1.0",
        "trajectory": identity(trajectory) | {"name": "made up", "outcome": "time"},
        "horizon_log1p_time": float(trajectory.log1p_time[-1]),
        "etas": runs,
        "fitted_order": 1.02,
        "fitted_order_interval": [0.97, 1.07],
        "fitted_order_points": len(etas),
        "events": [
            {"neuron": 1, "sample": 2, "flow_log1p_time": 0.5, "descent_log1p_time": [None] * len(runs)},
            {"neuron": 0, "sample": 1, "flow_log1p_time": None, "descent_log1p_time": [0.7] * len(runs)},
        ],
        "summary": "descent follows the flow with order 1.02",
        "command": "gflow compare run --eta 0.1 --eta 0.05",
    }


def _run(trajectory: Trajectory, eta: float) -> Json:
    v = np.linspace(0.0, float(trajectory.log1p_time[-1]), 40)
    gap: list[float | None] = (0.02 * eta * (1.0 + np.sin(3.0 * v) ** 2) * np.minimum(v, 3.0)).tolist()
    gap[0] = None  # nothing has moved yet
    agreement = (1.0 - 0.3 * eta * np.tanh(v)).tolist()
    return {
        "eta": eta,
        "kind": "gd",
        "seed": None,
        "steps": round(20.0 / eta),
        "outcome": "time",
        "max_relative_gap": 0.06 * eta,
        "max_relative_gap_time": 7.0,
        "max_margin_gap": 0.1 * eta,
        "final_direction_angle": 0.01 * eta,
        "angle_to_limit": None,
        "pattern_agreement": agreement[-1],
        "pattern_agreement_all": agreement[-1],
        "first_pattern_disagreement_time": 1.2,
        "first_pattern_disagreement_log1p_time": 0.788,
        "first_pattern_disagreement": {"neuron": 1, "sample": 2, "flow": 1, "descent": -1},
        "sharpness_times_eta": 0.4 * eta,
        "stability_threshold": None,
        "loss_rises": 0,
        "largest_loss_rise": 0.0,
        "verdict": "follows the flow within 1 % to the horizon",
        "series": {
            "log1p_time": v.tolist(),
            "relative_gap": gap,
            "pattern_agreement": agreement,
            "pattern_agreement_all": agreement,
            "sharpness_times_eta": (0.4 * eta * np.exp(-v)).tolist(),
            "stable_rank": (1.0 + 3.0 * np.exp(-v) * (1.0 + eta)).tolist(),
            "stable_rank_flow": (1.0 + 3.0 * np.exp(-v)).tolist(),
        },
    }


def _without_end() -> Json:
    names = ("max_relative_gap", "max_relative_gap_time", "final_direction_angle", "pattern_agreement")
    empty: dict[str, list[float]] = {name: [] for name in ("log1p_time", "relative_gap", "pattern_agreement")}
    return dict.fromkeys(names) | {"outcome": "diverged", "steps": 3, "verdict": "diverges", "series": empty}
