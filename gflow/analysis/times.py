"""Times in words."""

from __future__ import annotations

from gflow.flow.stopping import log_time_of


def time_text(v: float) -> str:
    """`log t = 4191` from v = log(1 + t); `t = 0` at the start."""
    value = log_time_of(v)
    return "t = 0" if value is None else f"log t = {value:.4g}"
