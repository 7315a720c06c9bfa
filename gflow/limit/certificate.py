"""Does a mode of a fixed-outer-layer network stay for ever?  A proof, in float64 with error margins.

*Setting.*  Inside the mode the margins of the live samples follow dp/dtau = K q, q_i = g_i / sum_k g_k, and tau runs
to infinity with t, because dt/dtau = n / sum_k g_k is finite at finite tau.  Let lambda solve the hard-margin problem
of K, q_inf = lambda / sum(lambda), kappa = 1 / sum(lambda), s = K q_inf - kappa >= 0 (0 on the support).  Write
pi = softmax(-p) and P = -log sum_i exp(-p_i) <= min_i p_i.

*Exponential loss*, q = pi.  For D = KL(q_inf || pi), since K q_inf = kappa 1 + s and (pi - q_inf).1 = 0,
    dD/dtau = -(pi - q_inf)^T K pi = -|pi - q_inf|_K^2 - pi.s <= 0 .
Non-support samples and singular K are covered; D(0) bounds D for ever.  P grows: dP/dtau = pi^T K pi >= kappa, the
minimum of q^T K q over the simplex.

*Logistic loss*, q_i = pi_i f_i / sum_k pi_k f_k with f_i = 1 / (1 + e^-p_i).  All f lie in [1 - eps, 1] with
eps / (1 - eps) = e^-(min p), hence |q - pi|_1 <= 2 e^-(min p) <= 2 e^-P.  With k = max_i K_ii and delta = q - pi,
    dD/dtau = -|pi - q_inf|_K^2 - pi.s - (pi - q_inf)^T K delta <= -pi.s + |delta|_K^2 / 4 <= -pi.s + k e^-2P ,
    dP/dtau = pi^T K (pi + delta) >= kappa - 2 k e^-P .
If 4 k e^-P(0) <= kappa, then P' >= kappa / 2 for ever and D <= D(0) + k e^-2P(0) / kappa; every linear function of q
differs from that of pi by at most 2 e^-P(0) times its largest coefficient.

*Mode.*  The mode stays as long as a family of linear functions F.q stays positive (`switches`): rooms of sliding
pairs, and rates of the others.  `lower_bounds` gives their least value over the divergence ball.  A pair off its kink
whose rate may become negative is safe all the same if it cannot lose what it has:

*Excursion.*  Let S be the support, N the rest, r the rate, b = K_SS^-1 r_S, c the masses (dc = q dtau).  From
p_i = -log pi_i + P and the change K c of p,
    r.c = -b.(change of log pi_S) + (b.1) (change of P) + (r_N - K_NS b).c_N .
The first term is bounded through the ball, the second is >= 0 when b.1 = r_S.q_inf / kappa is (and outweighs the
rounding of b: |r_S - K_SS b|_inf <= (b.1) kappa / 2), and s.c_N <= (D(0) + k e^-2P / kappa) / (1 - e^-P), by
integrating dD/dtau.

*Dead samples* (no neuron is active on them; ReLU only) have margin 0 for ever, so that their g = g(0) outgrows all
others: what they add to a room is a coefficient, summed over the dead samples of the kink, times g(0) / sum of live g,
which is at least its present value, less a factor 1 - 2 e^-P, for ever.  A negative sum means that the pair must leave.

*Errors.*  Coefficients and K carry error bounds; p is taken with its rounding; q_inf stands for an exact solution x
within `shift` (K positive definite on the support, lambda > error there, s > error elsewhere), whose divergence is
bounded by KL(x || pi) = KL(x || q_inf) + KL(q_inf || pi) + sum_i (x - q_inf)_i log(q_inf_i / pi_i); bounds over the
ball around q_inf are widened by |x - q_inf|.  Samples that coincide count as one with a weight.  What is proved
concerns the exact flow that starts in the given floating-point state, with sliding pairs exactly on their kinks (and,
where a kink that pushes is slid on, the solution of the policy).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gflow.field.clock import LARGEST_SHARE
from gflow.field.mode import DualMode
from gflow.limit.ball import Ball
from gflow.limit.classes import classes_of
from gflow.limit.hard_margin import HardMargin, hard_margin
from gflow.limit.kernel import kernel_error
from gflow.limit.switches import EPS, Switches, switches
from gflow.problem.loss import Exponential
from gflow.problem.problem import Problem

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of one state on its mode.

    pending (k, 2): pairs (neuron, surface) that cannot keep their side while the rest of the mode stays, so that the
    mode must change, however flat the curves look (another change may settle a pair before it switches itself);
    undecided: pairs whose limiting rate or room is zero to rounding; proved: the mode stays for ever; reason: why not,
    else empty; divergence: the bound of KL(q_inf || q) from now on; tightest: the least bound of a rate or room over
    its value in the limit (1: no doubt), over pairs that needed one; wandering: bound of |W - W_now - kappa (tau -
    tau_now) W*| for ever after.
    """

    pending: NDArray[np.intp]
    undecided: int
    proved: bool
    reason: str
    divergence: float | None = None
    tightest: float | None = None
    wandering: float | None = None
    hard: HardMargin | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """A state on a mode: margins p (n,) with their rounding, side * zeta (m, H) with its rounding (m, 1)."""

    p: Array
    p_error: float
    room: Array
    room_error: Array


class ModeLimit:
    """The limit of one mode, worked out once; `finding` judges states on it."""

    def __init__(self, problem: Problem, mode: DualMode) -> None:
        """mode: with a kernel that has not been through many turns, whose rounding it would carry."""
        self.problem, self.mode = problem, mode
        self.live, self._dead = np.flatnonzero(mode.live), np.flatnonzero(~mode.live)
        self.classes = classes_of(problem, self.live)
        self.samples = self.live[self.classes.first]  # one of every class of coinciding samples
        chosen = np.ix_(self.samples, self.samples)
        self.K, self.K_error = mode.K[chosen], kernel_error(mode)[chosen]
        positive = self.samples.size > 0 and (np.diag(self.K) > np.diag(self.K_error)).all()
        self.hard = hard_margin(self.K, self.K_error) if positive else None
        self.pending, self.undecided, self._mixed = np.zeros((0, 2), dtype=np.intp), 0, 0
        if self.hard is not None:
            self._count(self.hard)

    def _count(self, hard: HardMargin) -> None:
        """Which pairs cannot stay, and how many are in doubt."""
        pending = [self.pending]
        for block, dead, dead_error in self._blocks():
            value = block.F @ hard.dual
            doubt = block.error.max(axis=1, initial=0.0) + hard.shift.sum() * np.abs(block.F).max(axis=1, initial=0.0)
            mixed = (np.abs(dead) <= dead_error) & (dead_error > 0.0)
            lighter = (dead == 0.0) & ~mixed
            wrong = (dead < -dead_error) | (lighter & (value < -doubt))
            pending.append(np.column_stack([block.neuron[wrong], block.surface[wrong]]))
            self._mixed += int(mixed.sum())
            self.undecided += int((mixed | (lighter & (np.abs(value) <= doubt) & ~block.safe)).sum())
        self.pending = np.unique(np.concatenate(pending), axis=0)

    def _blocks(self) -> Iterator[tuple[Switches, Array, Array]]:
        """Switching functions over the classes of live samples; the sum (k,) of their coefficients of dead samples and
        its rounding.  Neurons on dependent kinks have no shares of their own, and no rooms."""
        assert self.hard is not None
        if not self.problem.network.curved:
            return
        q = np.zeros(self.problem.samples)
        q[self.samples] = self.hard.dual
        resting = list(self.mode.dependent)
        for block in switches(self.mode, self.problem.network.outer, q, self._dead):
            judged = block.of(~(block.slides & np.isin(block.neuron, resting)))
            dead = judged.F[:, self._dead]
            yield judged.on(self.samples), dead.sum(axis=1), 8.0 * EPS * np.abs(dead).sum(axis=1)

    def finding(self, at: Standing) -> Finding:
        """Judge a state."""
        said = self._obstacle(at)
        if said or self.hard is None:
            return Finding(self.pending, self.undecided, not said, said, hard=self.hard)
        ball = self._ball(at)
        if isinstance(ball, str):
            stays = not self.problem.network.curved
            return Finding(self.pending, self.undecided, stays, "" if stays else ball, hard=self.hard)
        tightest, open_pairs = np.inf, 0
        weight = self._dead_weight(at.p) * (1.0 - ball.off)
        for block, dead, dead_error in self._blocks():
            constant = weight * np.where(dead > dead_error, dead - dead_error, 0.0)
            tight, unproved = ball.judge(block, constant, at.room, at.room_error)
            tightest, open_pairs = min(tightest, tight), open_pairs + unproved
        reason = f"{open_pairs} pairs are not yet known to stay (divergence {ball.D:.3g})" if open_pairs else ""
        measured = float(tightest) if np.isfinite(tightest) else None
        wandering = None if open_pairs else ball.wandering()
        return Finding(self.pending, self.undecided, not open_pairs, reason, ball.D, measured, wandering, self.hard)

    def _obstacle(self, at: Standing) -> str:
        """Why no certificate can close here, or nothing; without kinks there is nothing that could end a mode."""
        if not self.problem.network.curved:
            return ""
        if self.hard is None:
            return "no weights of this mode have all margins positive: the loss does not go to 0 in it"
        if (at.room < -at.room_error).any():
            return "the state is not on this mode"
        if len(self.pending):
            return f"{len(self.pending)} pairs cannot keep their side"
        if self.mode.dependent:
            return f"{len(self.mode.dependent)} neurons rest on dependent kinks"
        if self._mixed:
            return f"{self._mixed} shares on samples that no neuron is active on are zero to rounding"
        return self._ambiguity(self.hard)

    @staticmethod
    def _ambiguity(hard: HardMargin) -> str:
        """Why the exact solution of the hard-margin problem is not known to be near the computed one, or nothing."""
        if not hard.unique:
            return "the multipliers are not unique (the kernel is singular on the support)"
        off = ~hard.support
        if (hard.margins[off] - 1.0 <= hard.margin_error[off]).any():
            return "a sample has margin 1 with multiplier 0, to rounding"
        return ""

    def _ball(self, at: Standing) -> Ball | str:
        assert self.hard is not None
        if said := self._ambiguity(self.hard):  # of a network without kinks
            return said
        shifted = at.p[self.samples] - np.log(self.classes.weight)
        exponential = isinstance(self.problem.loss, Exponential)
        ball = Ball.of(self.hard, self.K, self.K_error, shifted, at.p_error, exponential)
        return ball or "margins are still too small for the logistic loss to be close to the exponential one"

    def _dead_weight(self, p: Array) -> float:
        """g(0) over the sum of live g, which only grows; capped."""
        loss = self.problem.loss
        log_total = float(np.logaddexp.reduce(loss.log_slope(p[self.live])))
        return float(np.exp(min(float(loss.log_slope(np.zeros(1))[0]) - log_total, LARGEST_SHARE)))

    @property
    def multipliers(self) -> Array | None:
        """lambda (n,), shared evenly among samples that coincide; 0 for samples on which no neuron is active."""
        if self.hard is None:
            return None
        shared = np.zeros(self.problem.samples)
        shared[self.live] = (self.hard.multipliers / self.classes.weight)[self.classes.of]
        return shared
