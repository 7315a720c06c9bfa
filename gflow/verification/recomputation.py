"""The check of the rows against themselves: what follows from the stored weights is computed again, from the full W and
X.

Margins come from max(z, slope z) at z = W X^T, not from span coordinates and sides, as the run has them; norms and
ranks from eigenvalues of a Gram matrix.  Pre-activations are measured by the terms that they were made of
(`rounding_scales`): a neuron at rest at w_j = 0 holds the rounding of where it was.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gflow.arrays import Array, Bools
from gflow.flow.state import Outcome
from gflow.problem.loss import log_mean
from gflow.problem.span import row_norms
from gflow.reference.margins import hidden, lead, margins, outputs
from gflow.trajectory.layout import EXTREMES, UNTIL
from gflow.trajectory.recorded_run import RecordedRow, RecordedRun
from gflow.verification.check import Check, Worst, bounded
from gflow.verification.rounding_scales import RoundingScales
from gflow.verification.velocity import Field, weights_at

GROUP = "rows"

# Relative to the sizes of what is added up; thousands of events leave 1e-12 in weights, runs measured 1e-14 at most.
ROUNDING = 1e-11
SENTENCES = {
    "margins": "margins, from the stored weights and all inputs, relative to the terms that they are made of",
    "pattern": "depth of a pre-activation on another side than the stored one (sliding: off zero), over its terms",
    "loss": "log L, from the stored margins, over 1 + max |p_i|",
    "norms and ranks": "norms and stable ranks, from the eigenvalues of Gram matrices, relative",
    "margin series": "least, normalised and smoothed margins and their spread, from the stored margins, relative",
    "counts": "pairs on the + side, on the - side, and sliding, against the stored pattern",
    "test": "log L of the test samples over the terms of their margins, and accuracies, from the stored weights",
    "neurons": "balancedness, rotation and norms of the neurons, from the stored weights, relative",
}


def soundness(recorded: RecordedRun) -> list[Check]:
    """Are all numbers finite, and the rows in order?  The other checks are only possible where they are."""
    return [_finite(recorded), _order(recorded)]


def recomputation(recorded: RecordedRun) -> list[Check]:
    """The checks of every row, computed again one after the other."""
    again = _Again(recorded)
    worst = {name: Worst() for name in again.gaps}
    for at in recorded.each_row():
        W = again.at(at)
        for name, gap in again.gaps.items():
            worst[name].see(gap(at, W), at.row)
    found = [
        bounded(GROUP, name, seen.value, 0.0 if name == "counts" else ROUNDING, f"{SENTENCES[name]}; {seen.place}")
        for name, seen in worst.items()
    ]
    return [*found, _extremes(recorded)]


class _Again:
    """The gaps between what a row stores and what its weights imply, by the name of their check."""

    def __init__(self, recorded: RecordedRun) -> None:
        self._problem, self._weights = recorded.problem, recorded.weights
        self._network, self._trajectory = recorded.problem.network, recorded.trajectory
        self._series = dict(recorded.trajectory.series)
        self._X_norms = row_norms(self._trajectory.X)
        self._start = self._trajectory.W_initial
        self._sizes, self._pieces = RoundingScales(recorded), np.empty(0)
        self._unit = float(np.abs(recorded.outside).max())
        outside = recorded.outside / (self._unit or 1.0)  # squares of 1e-200 are 0
        self._gram_outside = outside @ outside.T if self._wide else np.zeros((0, 0))
        self._balance = self._balanced(self._trajectory.outer_at(0), self._start)
        self.gaps: dict[str, Callable[[RecordedRow, Array], float]] = {
            "margins": self._margins,
            "pattern": self._pattern,
            "loss": self._loss,
            "norms and ranks": self._norms,
            "margin series": self._margin_series,
            "counts": self._counts,
        }
        self._test = recorded.test
        if self._test is not None:
            self.gaps["test"] = self._predictions
        if self._trajectory.neurons:
            self.gaps["neurons"] = self._neurons
            self._stored_neurons = {name: recorded.values(f"neurons/{name}") for name in self._trajectory.neurons}

    def at(self, at: RecordedRow) -> Array:
        """W (m, d) of a row, to be asked for one row after the other."""
        W = self._weights(at.U)
        self._pieces = self._sizes.at(at, W)
        return W

    @property
    def _wide(self) -> bool:
        """Has W no more rows than columns, and a span?"""
        m, d = self._start.shape
        return bool(m <= d) and self._network.directions is None

    def _margins(self, at: RecordedRow, W: Array) -> float:
        f, scale = self._outputs(at, W, self._problem.X)
        gap = np.abs(margins(self._problem.y, f) - at.p)
        return float(np.divide(gap, scale, out=gap, where=scale > 0.0).max())

    def _outputs(self, at: RecordedRow, W: Array, X: Array) -> tuple[Array, Array]:
        """f (K, k) on samples X (k, d), whatever side the run saw, and the sizes (k,) of the terms that they are of."""
        phi = hidden(self._network, W @ X.T)
        sizes = np.atleast_2d(np.abs(at.outer)) @ (np.abs(phi) + self._pieces[:, None] * row_norms(X))
        scale = sizes.max(axis=0) + (0.0 if at.bias is None else np.abs(at.bias).max())
        return outputs(at.outer, phi, at.bias), scale

    def _predictions(self, at: RecordedRow, W: Array) -> float:
        """An accuracy is off by the share of the samples that it counts otherwise and that rounding does not decide."""
        assert self._test is not None
        gaps = []
        for name, X, y in (("test", self._test.X, self._test.y), ("train", self._problem.X, self._problem.y)):
            f, scale = self._outputs(at, W, X)
            ahead, stored = lead(y, f), self._stored(f"{name}_accuracy", at.row)
            open_ = np.abs(ahead) <= ROUNDING * scale
            right = ahead > 0.0
            gaps += [float(np.mean(right & ~open_)) - stored, stored - float(np.mean(right | open_)), 0.0]
            if name == "test":
                log_loss = log_mean(self._problem.loss.log_value(margins(y, f)))
                gaps.append(abs(log_loss - self._stored("test_log_loss", at.row)) / (1.0 + float(scale.max())))
        return max(gaps)

    def _pattern(self, at: RecordedRow, W: Array) -> float:
        sizes = self._pieces[:, None] * self._X_norms
        depth = np.divide(W @ self._problem.X.T, sizes, out=np.zeros_like(sizes), where=sizes > 0.0)
        wrong = np.where(at.pattern == 0, np.abs(depth), -at.pattern * depth)
        return max(float(wrong.max()), 0.0)

    def _loss(self, at: RecordedRow, _: Array) -> float:
        again = log_mean(self._problem.loss.log_value(at.p))
        return abs(again - at.log_loss) / (1.0 + float(np.abs(at.p).max()))

    def _counts(self, at: RecordedRow, _: Array) -> float:
        names = {"active": 1, "inactive": -1, "sliding": 0}
        return max(abs(int((at.pattern == s).sum()) - self._stored(name, at.row)) for name, s in names.items())

    def _norms(self, at: RecordedRow, W: Array) -> float:
        groups = {"": np.full(self._network.width, True)}
        if self._network.outputs == 1:
            groups |= {"_plus": self._network.outer > 0.0, "_minus": self._network.outer < 0.0}
        expected: dict[str, float] = {}
        for name, rows in groups.items():
            if rows.any():
                frobenius, spectral = self._spectrum(at, W, rows)
                expected[f"stable_rank{name}"] = (frobenius / spectral) ** 2 if spectral > 0.0 else 0.0
                if not name:
                    expected |= {"weight_norm": frobenius, "spectral_norm": spectral}
        if "parameter_norm" in self._series:
            expected["parameter_norm"] = self._size(at, W)
        return float(np.max([self._relative(name, value, at.row) for name, value in expected.items()]))

    def _spectrum(self, at: RecordedRow, W: Array, rows: Bools) -> tuple[float, float]:
        """Frobenius and spectral norm of some rows of W."""
        scale = float(np.abs(W[rows]).max())
        if not scale > 0.0:
            return 0.0, 0.0
        if self._wide:
            U = at.U[rows] / scale
            gram = self._gram_outside[np.ix_(rows, rows)] * (self._unit / scale) ** 2 + U @ U.T
        else:
            gram = (W[rows] / scale).T @ (W[rows] / scale)
        top = float(np.linalg.eigvalsh(gram)[-1]) if np.isfinite(gram).all() else np.nan
        return float(np.linalg.norm(W[rows] / scale)) * scale, scale * float(np.sqrt(top))

    def _size(self, at: RecordedRow, W: Array) -> float:
        """|theta| of all that is trained."""
        parts = [float(np.linalg.norm(W))]
        parts += [float(np.linalg.norm(at.outer))] if self._network.trains_outer else []
        parts += [] if at.bias is None else [float(np.linalg.norm(at.bias))]
        return float(np.hypot.reduce(parts))

    def _margin_series(self, at: RecordedRow, W: Array) -> float:
        """Relative to the largest margin, normalised where the series is."""
        p, scale = at.p, self._size(at, W) ** self._network.homogeneity
        smoothed, largest = self._problem.loss.smoothed_margin(p), float(np.abs(p).max())
        per = 1.0 / scale if scale > 0.0 else 0.0
        expected = {
            "min_margin": (float(p.min()), 1.0),
            "smoothed_margin": (smoothed, 1.0),
            "normalized_margin": (float(p.min()) * per, per),
            "normalized_smoothed_margin": (smoothed * per, per),
        }
        size = max(largest, abs(smoothed))
        spread = (float(p.max()) - float(p.min())) / largest if largest > 0.0 else 0.0
        gaps = [abs(spread - self._stored("margin_spread", at.row)) * min(largest, 1.0)]
        for name, (value, unit) in expected.items():
            gaps.append(abs(value - self._stored(name, at.row)) / (size * unit) if size * unit > 0.0 else 0.0)
        return float(np.max(gaps))

    def _neurons(self, at: RecordedRow, W: Array) -> float:
        stored = {name: next(rows) for name, rows in self._stored_neurons.items()}
        norms, starts = row_norms(W), row_norms(self._start)
        squares = np.sum(np.atleast_2d(at.outer) ** 2, axis=0)
        sizes = norms * starts
        turned = np.divide(np.sum(W * self._start, axis=1), sizes, out=np.ones_like(sizes), where=sizes > 0.0)
        balance = self._balanced(at.outer, W)
        size = float((squares + norms**2).max()) + float(np.abs(self._balance).max())
        gaps = [
            np.abs(balance - stored["balancedness"]).max() / size,
            np.abs(turned - stored["rotation"]).max(),
            np.abs(np.sqrt(squares) * norms - stored["norm"]).max() / size,
            abs(float(np.abs(balance - self._balance).max()) - self._stored("balancedness_drift", at.row)) / size,
            abs(float(np.median(turned)) - self._stored("median_rotation", at.row)),
        ]
        return float(np.max(gaps))

    @staticmethod
    def _balanced(outer: Array, W: Array) -> Array:
        """sum_k A_kj^2 - |w_j|^2 (m,)."""
        return np.asarray(np.sum(np.atleast_2d(outer) ** 2, axis=0) - row_norms(W) ** 2)

    def _stored(self, name: str, row: int) -> float:
        return float(self._series[name][row])

    def _relative(self, name: str, value: float, row: int) -> float:
        stored = self._stored(name, row)
        size = max(abs(value), abs(stored))
        return abs(value - stored) / size if size != 0.0 else 0.0


def _finite(recorded: RecordedRun) -> Check:
    """Every number of every row."""
    trajectory = recorded.trajectory
    names = ["log1p_time", "tau", "inner", "margins", "log_loss"]
    names += [name for name, there in (("outer", trajectory.trains_outer),) if there]
    names += ["output_bias"] if trajectory.output_bias is not None else []
    names += [f"series/{name}" for name in trajectory.series] + [f"neurons/{name}" for name in trajectory.neurons]
    bad = {name: sum(int((~np.isfinite(block)).sum()) for block in recorded.blocks(name)) for name in names}
    where = ", ".join(name for name, count in bad.items() if count)
    sentence = f"numbers that are not finite, in {where or f'{len(names)} sets'}"
    return bounded(GROUP, "finite", sum(bad.values()), 0.0, sentence)


def _order(recorded: RecordedRun) -> Check:
    """log(1 + t) grows from row to row, tau and the counts do not fall; a flow at rest at the start ends there."""
    passed = np.diff(recorded.log1p_time)
    rests = recorded.trajectory.outcome == Outcome.STATIONARY.value and recorded.trajectory.n_rows == 2
    wrong = int((~(passed >= 0.0)).sum()) + int(recorded.log1p_time[0] != 0.0)
    wrong += sum(not (rests or _too_short(recorded, int(row))) for row in np.flatnonzero(passed == 0.0))
    wrong += int((~(np.diff(recorded.tau) >= 0.0)).sum()) + int(recorded.tau[0] != 0.0)
    for name in ("events", "steps"):
        counts = recorded.trajectory.series[name]
        wrong += int((np.diff(counts) < 0.0).sum()) + int((counts != np.rint(counts)).sum())
    return bounded(GROUP, "order", wrong, 0.0, "rows where t does not grow, or tau or a count falls, or t = 0 is not")


def _too_short(recorded: RecordedRun, row: int) -> bool:
    """Does tau grow until the next row, in a time that log(1 + t) does not resolve?  At a loss of e^1000 it is so."""
    field, passed = Field(recorded.problem), float(recorded.tau[row + 1] - recorded.tau[row])
    slowest = np.inf
    for at in (recorded.row(row), recorded.row(row + 1)):
        field.take(at.side(recorded.problem))
        slowest = min(slowest, float(field.at(weights_at(at), field.live).log_clock[0]))
    v = float(recorded.log1p_time[row])
    return passed > 0.0 and np.log(passed) - slowest - v <= np.log(np.spacing(v))


def _extremes(recorded: RecordedRun) -> Check:
    """The check that running extremes are monotone, and no less extreme than the values in the rows."""
    series, worst = recorded.trajectory.series, Worst()
    for name in [name for name in (*EXTREMES, *UNTIL) if name in series]:
        values = series[name]
        steps = np.diff(values) * (1.0 if name.startswith("inf") else -1.0)
        worst.see(float(max(steps.max(initial=0.0), 0.0)), int(steps.argmax()) + 1 if steps.size else 0)
    log_loss, least = recorded.log_loss, series["min_margin"]
    for values, extreme in ((log_loss, series["inf_log_loss"]), (least, series["inf_min_margin"])):
        above = (extreme - values) / (1.0 + np.abs(values)) - 10.0 * recorded.rtol
        worst.see(float(np.maximum(above, 0.0).max()), int(above.argmax()))
    return bounded(GROUP, "extremes", worst.value, ROUNDING, f"running extremes going back, or passed; {worst.place}")
