"""Running extremes along a run, over every accepted step and event, by which claims about all t are judged.

The stable rank is not among them: it needs the weights at every step, which costs more than the step (see `spectrum`).
Rows have it.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, log

import numpy as np

from gflow.arrays import EPS, Array
from gflow.field.branch import Measure
from gflow.problem.loss import log_mean
from gflow.problem.problem import Problem
from gflow.problem.span import row_norms
from gflow.trajectory.layout import EXTREMES, UNBOUNDED, UNTIL

LOG_UNBOUNDED = log(UNBOUNDED) - 1e-9
RELATIVE_RATES = {"inf_relative_margin_rate", "sup_relative_margin_rate"}
HOMOGENEOUS = {"sup_normalized_smoothed_margin", "sup_margin_fall", "sup_fitted_norm", "sup_norm_fall"}


class Extremes:
    """The extremes of `layout.EXTREMES` that a network has, and the times of `layout.UNTIL`.

    Relative rates of margins are for one output and a fixed outer layer (Kou et al., Eq. 5.12); normalised margins and
    norms for networks that are homogeneous in what is trained (Lyu and Li).
    """

    def __init__(self, problem: Problem) -> None:
        network = problem.network
        self._loss, self._network, self._log_n = problem.loss, network, log(problem.samples)
        self._squared = row_norms(problem.span.C) ** 2
        self._relative = network.outputs == 1 and not network.trains_outer and network.directions is None
        absent = (set() if self._relative else RELATIVE_RATES) | (set() if network.homogeneous else HOMOGENEOUS)
        self._names = [name for name in EXTREMES if name not in absent]
        self._values: dict[str, float] = {}
        self._at: dict[str, float] = {}
        self._until = dict.fromkeys(UNTIL, 0.0)
        self._beyond = dict.fromkeys(UNTIL, False)  # did the step that ends next begin above its bound?

    def update(self, measure: Measure) -> None:
        """Take one instant of the flow into account; instants come in the order of time."""
        log_g = self._loss.log_slope(measure.p)
        log_mean_g = log_mean(log_g)
        for name, beyond in self._beyond.items():
            if beyond:
                self._until[name] = measure.v
        self._begin(measure.log_loss, log_mean_g)
        self._margins(measure, log_g, log_mean_g)
        self._keep("inf_log_loss", measure.log_loss, measure.v)
        self._keep("sup_loss_rise", measure.log_loss - self._values["inf_log_loss"], measure.v)
        if self._network.homogeneous:
            self._homogeneous(measure)

    def values(self) -> dict[str, float]:
        """The series of a row, by name.  There are none before the first `update` (or `restore`)."""
        values = {name: self._values[name] for name in self._names}
        return values | {f"{name}_at": self._at[name] for name in self._names} | self._until

    def at_row(self, p: Array, log_loss: float) -> None:
        """Take a row with margins p (n,) as the beginning of a step: a resumed run knows no more about the step."""
        self._begin(log_loss, log_mean(self._loss.log_slope(p)))

    def _begin(self, log_loss: float, log_mean_g: float) -> None:
        self._beyond = {
            "last_unfitted": log_loss >= log(log(2.0)) - self._log_n,
            "last_unfitted_g": log_mean_g >= log(log(2.0) / 3.0) - self._log_n,
        }

    def restore(self, values: Mapping[str, float]) -> None:
        """Go on from the series of a row; `at_row`, or the measure of the state that it shows, has to come next."""
        self._values = {name: float(values[name]) for name in self._names}
        self._at = {name: float(values[f"{name}_at"]) for name in self._names}
        self._until = {name: float(values[name]) for name in UNTIL}
        self._beyond = dict.fromkeys(UNTIL, False)

    def _keep(self, name: str, value: float, v: float) -> None:
        """Make `value`, met at v, the extreme `name` unless one as extreme came before."""
        best = self._values.get(name)
        if best is None or (value > best if name.startswith("sup") else value < best):
            self._values[name], self._at[name] = value, v

    def _margins(self, measure: Measure, log_g: Array, log_mean_g: float) -> None:
        v, p, rates = measure.v, measure.p, measure.margin_rates
        low, high = p.argmin(), p.argmax()  # g falls as p grows
        self._keep("sup_log_g_ratio", float(log_g[low] - log_g[high]), v)
        self._keep("sup_margin_gap", float(p[high] - p[low]), v)
        self._keep("inf_min_margin", float(p[low]), v)
        self._keep("inf_margin_rate", float(rates[rates.argmin()]), v)
        ratio = measure.speed * exp(min(measure.log_clock - log_mean_g, 0.0))  # d tau counts the live g only
        self._keep("inf_gradient_ratio", ratio, v)
        self._keep("sup_gradient_ratio", ratio, v)
        if self._relative:
            relative = _relative(rates, np.log(self._squared) - self._log_n - measure.log_clock + log_g)
            self._keep("inf_relative_margin_rate", float(relative[relative.argmin()]), v)
            self._keep("sup_relative_margin_rate", float(relative[relative.argmax()]), v)

    def _homogeneous(self, measure: Measure) -> None:
        """Normalised margin and norm, which may only rise once the smoothed margin is positive (Lyu and Li, Lemma
        B.1; Telgarsky, Lemma A.4).  A margin that is near 0, of weights of whatever size, is not known to be positive
        yet, nor to fall."""
        smoothed, rounding = (
            self._loss.margin_at(measure.log_loss + self._log_n),
            smoothing_doubt(measure.p, measure.rounding),
        )
        scale = measure.norm**self._network.homogeneity
        least, most = (normalized(value, scale) for value in (smoothed - rounding, smoothed + rounding))
        self._keep("sup_normalized_smoothed_margin", least, measure.v)
        fall = _fall(most, self._values["sup_normalized_smoothed_margin"])
        self._keep("sup_margin_fall", max(fall, 0.0), measure.v)
        fitted = smoothed > rounding or self._values.get("sup_fitted_norm", 0.0) > 0.0
        self._keep("sup_fitted_norm", measure.norm if fitted else 0.0, measure.v)
        self._keep("sup_norm_fall", _fall(measure.norm, self._values["sup_fitted_norm"]), measure.v)


def smoothing_doubt(p: Array, rounding: float) -> float:
    """Bound of the absolute rounding error of l^-1(sum_i l(p_i)), from the p_i and from log L, whose size is near 1 at
    p = 0.  p (n,): margins; rounding: the error of the terms that the p_i are sums of."""
    return float(8.0 * EPS * (1.0 + np.abs(p).max())) + rounding


def normalized(margin: float, scale: float) -> float:
    """margin / scale; 0 where the scale is 0."""
    return margin / scale if scale > 0.0 else 0.0


def _relative(rates: Array, log_unit: Array) -> Array:
    """rates / e^log_unit (n,); `UNBOUNDED`, with its sign, where that is no float64: a sample without any g to speak
    of has no rate relative to it."""
    with np.errstate(divide="ignore"):
        log_size = np.log(np.abs(rates)) - log_unit
    fits = log_size < LOG_UNBOUNDED
    return np.sign(rates) * np.where(fits, np.exp(np.where(fits, log_size, 0.0)), UNBOUNDED)


def _fall(value: float, largest: float) -> float:
    """How far below `largest` the value is, relative to it; 0 where there is nothing to fall from."""
    return (largest - value) / largest if largest > 0.0 else 0.0
