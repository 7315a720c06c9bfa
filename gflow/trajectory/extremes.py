"""Running extremes along a run, over every accepted step and event, by which claims about all t are judged.

The stable rank is not among them: it needs the weights at every step, which costs more than the step (see `spectrum`).
Rows have it.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log

import numpy as np

from gflow.arrays import EPS, Array, Bools
from gflow.field.branch import Measure, Measures
from gflow.problem.loss import log_means
from gflow.problem.problem import Problem
from gflow.problem.span import row_norms
from gflow.trajectory.layout import EXTREMES, UNBOUNDED, UNTIL

# Margins of instants that wait to be worked out together.
WAITING = 1 << 16
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
        self._waiting: list[Measure] = []
        self._most_waiting = max(1, WAITING // problem.samples)

    def update(self, measures: Measure | Measures) -> None:
        """Take one or more instants of the flow into account; instants come in the order of time.

        Many are worked out at once in a tenth of the time, to the same bits: single ones wait until they are many, or
        somebody asks.
        """
        if isinstance(measures, Measure):
            self._waiting.append(measures)
            if len(self._waiting) >= self._most_waiting:
                self._settle()
        else:
            self._settle()
            if len(measures):
                self._take(measures)

    def _settle(self) -> None:
        """Work out the instants that wait."""
        if self._waiting:
            measures, self._waiting = Measures.of(self._waiting), []
            self._take(measures)

    def _take(self, measures: Measures) -> None:
        log_g = self._loss.log_slope(measures.p)
        log_mean_g = log_means(log_g)
        self._steps(measures.v, self._above(measures.log_loss, log_mean_g))
        self._margins(measures, log_g, log_mean_g)
        lowest = self._keep("inf_log_loss", measures.log_loss, measures.v)
        self._keep("sup_loss_rise", measures.log_loss - lowest, measures.v)
        if self._network.homogeneous:
            self._homogeneous(measures)

    def values(self) -> dict[str, float]:
        """The series of a row, by name.  There are none before the first `update` (or `restore`)."""
        self._settle()
        values = {name: self._values[name] for name in self._names}
        return values | {f"{name}_at": self._at[name] for name in self._names} | self._until

    def at_row(self, p: Array, log_loss: float) -> None:
        """Take a row with margins p (n,) as the beginning of a step: a resumed run knows no more about the step."""
        self._settle()
        above = self._above(np.array([log_loss]), log_means(self._loss.log_slope(p[None])))
        self._beyond = {name: bool(each[-1]) for name, each in above.items()}

    def _above(self, log_loss: Array, log_mean_g: Array) -> dict[str, Bools]:
        """Whether steps that begin at these instants (k,) begin above the bounds."""
        return {
            "last_unfitted": log_loss >= log(log(2.0)) - self._log_n,
            "last_unfitted_g": log_mean_g >= log(log(2.0) / 3.0) - self._log_n,
        }

    def _steps(self, v: Array, above: dict[str, Bools]) -> None:
        """The ends of steps, of which the first began at the instant before these (k,)."""
        for name, each in above.items():
            ends = v[np.append(self._beyond[name], each[:-1])]
            self._until[name] = float(ends[-1]) if ends.size else self._until[name]
            self._beyond[name] = bool(each[-1])

    def restore(self, values: Mapping[str, float]) -> None:
        """Go on from the series of a row; `at_row`, or the measure of the state that it shows, has to come next."""
        self._waiting = []
        self._values = {name: float(values[name]) for name in self._names}
        self._at = {name: float(values[f"{name}_at"]) for name in self._names}
        self._until = {name: float(values[name]) for name in UNTIL}
        self._beyond = dict.fromkeys(UNTIL, False)

    def _keep(self, name: str, values: Array, v: Array) -> Array:
        """Let the most extreme of the values (k,), met at v (k,), be the extreme `name` unless one as extreme is known.

        Returns the extreme up to each instant (k,).
        """
        further = np.fmax if name.startswith("sup") else np.fmin
        so_far = further.accumulate(values if name not in self._values else np.append(self._values[name], values))
        if name not in self._values or so_far[-1] != self._values[name]:
            first = int((values == so_far[-1]).argmax())
            self._values[name], self._at[name] = float(values[first]), float(v[first])
        return np.asarray(so_far[-len(values) :])

    def _margins(self, measures: Measures, log_g: Array, log_mean_g: Array) -> None:
        v, p, rates, each = measures.v, measures.p, measures.margin_rates, np.arange(len(measures))
        low, high = p.argmin(axis=1), p.argmax(axis=1)  # g falls as p grows
        self._keep("sup_log_g_ratio", log_g[each, low] - log_g[each, high], v)
        self._keep("sup_margin_gap", p[each, high] - p[each, low], v)
        self._keep("inf_min_margin", p[each, low], v)
        self._keep("inf_margin_rate", rates[each, rates.argmin(axis=1)], v)
        ratio = measures.speed * np.exp(
            np.minimum(measures.log_clock - log_mean_g, 0.0)
        )  # d tau counts the live g only
        self._keep("inf_gradient_ratio", ratio, v)
        self._keep("sup_gradient_ratio", ratio, v)
        if self._relative:
            log_unit = np.log(self._squared) - self._log_n - measures.log_clock[:, None] + log_g
            relative = _relative(rates, log_unit)
            self._keep("inf_relative_margin_rate", relative[each, relative.argmin(axis=1)], v)
            self._keep("sup_relative_margin_rate", relative[each, relative.argmax(axis=1)], v)

    def _homogeneous(self, measures: Measures) -> None:
        """Normalised margin and norm, which may only rise once the smoothed margin is positive (Lyu and Li, Lemma
        B.1; Telgarsky, Lemma A.4).  A margin that is near 0, of weights of whatever size, is not known to be positive
        yet, nor to fall."""
        v, norm = measures.v, measures.norm
        smoothed = self._loss.margin_at(measures.log_loss + self._log_n)
        rounding = smoothing_doubt(measures.p, measures.rounding)
        scale = np.float_power(norm, self._network.homogeneity)
        least, most = (normalized(value, scale) for value in (smoothed - rounding, smoothed + rounding))
        largest = self._keep("sup_normalized_smoothed_margin", least, v)
        self._keep("sup_margin_fall", np.maximum(_fall(most, largest), 0.0), v)
        positive = np.where(smoothed > rounding, norm, 0.0)
        began = np.logical_or.accumulate(np.append(self._values.get("sup_fitted_norm", 0.0), positive) > 0.0)[1:]
        largest = self._keep("sup_fitted_norm", np.where(began, norm, 0.0), v)
        self._keep("sup_norm_fall", _fall(norm, largest), v)


def smoothing_doubt(p: Array, rounding: Array | float) -> Array:
    """Bound of the absolute rounding error (...) of l^-1(sum_i l(p_i)), from the p_i and from log L, whose size is near
    1 at p = 0.  p (..., n): margins; rounding (...): the error of the terms that the p_i are sums of."""
    return np.asarray(8.0 * EPS * (1.0 + np.abs(p).max(axis=-1)) + rounding)


def normalized(margin: Array, scale: Array) -> Array:
    """margin / scale (k,); 0 where the scale is 0."""
    return np.divide(margin, scale, out=np.zeros_like(scale), where=scale > 0.0)


def _relative(rates: Array, log_unit: Array) -> Array:
    """rates / e^log_unit (k, n); `UNBOUNDED`, with its sign, where that is no float64: a sample without any g to speak
    of has no rate relative to it."""
    with np.errstate(divide="ignore"):
        log_size = np.log(np.abs(rates)) - log_unit
    fits = log_size < LOG_UNBOUNDED
    return np.sign(rates) * np.where(fits, np.exp(np.where(fits, log_size, 0.0)), UNBOUNDED)


def _fall(value: Array, largest: Array) -> Array:
    """How far below `largest` the values are (k,), relative to it; 0 where there is nothing to fall from."""
    return np.divide(largest - value, largest, out=np.zeros_like(largest), where=largest > 0.0)
