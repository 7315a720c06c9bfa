"""The ends of a run on the clock and on the loss, and its record times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np

from gflow.flow.state import Outcome
from gflow.flow_time import log_expm1

# log t by which most flows of (leaky) ReLU networks have long been proved to stay in their mode.
DISTANT = 1e4


@dataclass(frozen=True, slots=True)
class Until:
    """The ends of a run, of which the first to come counts.

    v_end = log(1 + t_end), or None; log_loss: log L at the end, or None; certified: end as soon as the mode is proved
    to stay for ever; expected: the tau before which no such proof is expected, and looked for rarely.
    """

    v_end: float | None
    outcome: Outcome
    log_loss: float | None
    certified: bool = False
    expected: float = 0.0

    def share(self, v: float, log_loss: float, first_log_loss: float, spacing: str = "log") -> float | None:
        """The part of the way that is done, in [0, 1], towards the nearest end; None where only a proof would end the
        run.

        spacing: as in `spaced`; the way is measured as the rows are spread, so that rows and share grow alike.  The way
        to an end of the loss is measured like v, since log L falls like -v.
        """
        if self.v_end is None and self.log_loss is None:
            return None
        shares = [0.0]
        if self.v_end is not None:
            shares.append(_passed(v, self.v_end, spacing))
        if self.log_loss is not None:
            fallen, fall = first_log_loss - log_loss, first_log_loss - self.log_loss
            shares.append(_passed(fallen, fall, "loglog" if spacing == "loglog" else "log"))
        return float(np.clip(max(shares), 0.0, 1.0))


def _passed(done: float, whole: float, spacing: str) -> float:
    """The part `done` of the way `whole`, measured in itself (`log`), in log(1 + way), or for `linear` in t."""
    if done <= 0.0 or whole <= 0.0:
        return float(whole <= 0.0)
    if spacing == "linear":
        return float(np.exp(min(log_expm1(done) - log_expm1(whole), 0.0)))
    return float(np.log1p(done) / np.log1p(whole)) if spacing == "loglog" else done / whole


def spaced(spacing: str, number: int, until: Until) -> Iterator[float]:
    """Record times v after the start: `log` uniform in v, `linear` in t, `loglog` in log(1 + v); endless where needed.

    Without an end on the clock the loss sets the spacing (log L falls like -log t), and rows continue until it is
    reached.  Where only a proof ends the run, they are spread as for `loglog` with an end at log t = `DISTANT`.
    """
    if until.v_end is None and until.log_loss is None:
        gap = float(np.log1p(DISTANT)) / (number - 1)
        return (float(np.expm1(gap * k)) for k in count(1))
    if until.v_end is None:
        assert until.log_loss is not None
        gap = max(abs(until.log_loss), 1.0) / (number - 1)
        return (gap * k for k in count(1))
    grid = np.linspace(0.0, 1.0, number)[1:]
    if spacing == "linear":
        # log(1 + s t) without forming t = e^v - 1, which overflows beyond v = 709.
        values = [float(np.logaddexp(0.0, np.log(s) + log_expm1(until.v_end))) for s in grid]
    elif spacing == "loglog":
        values = [float(np.expm1(s * np.log1p(until.v_end))) for s in grid]
    else:
        values = [float(s * until.v_end) for s in grid]
    return iter([*values[:-1], until.v_end])
