"""A proof that a mode of a network with fixed outer layer stays for ever, in float64 with error bounds.

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
whose rate may become negative is still safe if it cannot come as far as its kink:

*Excursion.*  Let S be the support, N the rest, r the rate, b = K_SS^-1 r_S, c the masses (dc = q dtau).  From
p_i = -log pi_i + P and the change K c of p,
    r.c = -b.(change of log pi_S) + (b.1) (change of P) + (r_N - K_NS b).c_N .
The first term is bounded through the ball, the second is >= 0 when b.1 = r_S.q_inf / kappa is (and outweighs the
rounding of b: |r_S - K_SS b|_inf <= (b.1) kappa / 2), and s.c_N <= (D(0) + k e^-2P / kappa) / (1 - e^-P), by
integrating dD/dtau.

*Dead samples* (no neuron is active on them; ReLU only) have margin 0 for ever, so that their g = g(0) outgrows all
others.  They add to a room the sum of the coefficients of the dead samples on the kink, times g(0) / sum of live g.
That ratio never falls below 1 - 2 e^-P times its present value.  A negative sum means that the pair must leave.

*Ties.*  All of this holds for every q_inf = lambda / sum(lambda) with K q_inf = kappa + s, s >= 0 and s.q_inf = 0, also
where multipliers are not unique or a sample has margin 1 with multiplier 0.  Then q_inf is the one that the mode tends
to from the state (`optimal_set`), so that D falls to 0, replaced by a point of the polytope next to it that is exact in
rational arithmetic (`exact`).  K_SS may be singular: any b is valid, as its residual is bounded, and vectors in the
range of K_SS are measured there.  Where ties are not exact, or not known to be, there is no proof.

*Errors.*  Coefficients and K carry error bounds; p is taken with its rounding; q_inf stands for an exact solution x
within `shift` (K positive definite on the support, lambda > error there, s > error elsewhere), whose divergence is
bounded by KL(x || pi) = KL(x || q_inf) + KL(q_inf || pi) + sum_i (x - q_inf)_i log(q_inf_i / pi_i); bounds over the
ball around q_inf are widened by |x - q_inf|.  Samples that coincide count as one with a weight; where they do so to
rounding only, their margins part in the end, and there is no proof.  What is proved concerns the exact flow that starts
in the given floating-point state, with sliding pairs exactly on their kinks (and, where a kink that pushes is slid on,
the solution of the policy); samples that are parallel to rounding have one kink, exactly.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from gflow.arrays import EPS, Array, Bools, Index
from gflow.field.clock import LARGEST_SHARE
from gflow.field.mode import DualMode
from gflow.limit.ball import Ball, rounding_of
from gflow.limit.classes import classes_of
from gflow.limit.divergence import divergence
from gflow.limit.exact import ExactKernel
from gflow.limit.features import features_of
from gflow.limit.hard_margin import HardMargin, least_margin, margin_of_features, opposed
from gflow.limit.limit_point import LimitPoint, limit_point
from gflow.limit.optimal_set import OptimalSet
from gflow.limit.pairs import DOUBTFUL, Group, Near, Pairs, groups, pairs_at, pairs_for_all
from gflow.problem.loss import Exponential
from gflow.problem.problem import Problem
from gflow.problem.span import row_norms

# The search for an exact solution near a limit of q is not repeated until that limit has moved by more than this; any
# point of the set serves for a proof.
SETTLED = 1e-7
NO_MARGINS = "no weights of this mode have all margins positive: the loss does not go to 0 in it"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known about one state on its mode.

    pending (k, 2): pairs (neuron, surface) that cannot keep their side while the rest of the mode stays, so that the
    mode must change, however flat the curves look (another change may come first and settle the pair).  This is so for
    the limit to which the mode tends from this state or, where that is not known, for every admissible one.  undecided:
    the number of functions whose limit is zero to rounding or not known.  proved: the mode stays for ever.  reason: why
    that is not proved, else empty.  divergence: a bound of KL(q_inf || q) from now on.  tightest: over the pairs that
    needed a bound, the least ratio of the bound of a rate or room to its value in the limit (1: it is as good as the
    limit).  wandering: a bound of |W - W_now - kappa (tau - tau_now) W*| for all later time.  hard: the limit from this
    state; where it is None, no_limit tells why.
    """

    pending: Index
    undecided: int
    proved: bool
    reason: str
    divergence: float | None = None
    tightest: float | None = None
    wandering: float | None = None
    hard: HardMargin | None = None
    no_limit: str = ""


@dataclass(frozen=True, slots=True)
class StateBounds:
    """A state on a mode, with bounds of rounding.

    margins p (n,) off by at most p_error; room (m, H) = side * zeta, off by at most room_error (m, 1).
    """

    p: Array
    p_error: float
    room: Array
    room_error: Array


class ModeLimit:
    """The limit of one mode, computed once; `finding` judges states on it.

    hard: the solution of its hard-margin problem, any of the admissible ones where multipliers are not unique; None
    where none was found.
    """

    def __init__(self, problem: Problem, mode: DualMode) -> None:
        self.problem, self.mode = problem, mode
        self.live, self._dead = np.flatnonzero(mode.live), np.flatnonzero(~mode.live)
        self.classes = classes_of(problem, self.live)
        self.samples = self.live[self.classes.first]  # one of each class of samples that coincide
        self.features = features_of(mode, self.samples)
        self.K, self.K_error = self.features.kernel
        lengths = row_norms(self.features.rows)
        positive = self.samples.size > 0 and (lengths > self.features.error).all()
        self.hard = margin_of_features(self.features.rows, self.features.error) if positive else None
        self._sought: Array | None = None  # the limit of q at which an exact solution was looked for last
        self._settled: HardMargin | None = None
        self._unproved: tuple[Array, Group] | None = None  # functions that were not proved last, and their limit of q
        if self.hard is not None and not self.hard.certain and self._ties is not None and self._ties.single:
            self.hard = self._exactly(self.hard, self._ties.member) or self.hard

    @cached_property
    def _ties(self) -> OptimalSet | None:
        assert self.hard is not None
        return OptimalSet.of(self.hard, self.features.rows)

    @cached_property
    def _coincide(self) -> bool:
        """Whether the samples of each class coincide exactly."""
        X = self.problem.X
        return np.array_equal(X[self.live], X[self.samples[self.classes.of]])

    @cached_property
    def _kernel(self) -> ExactKernel | None:
        """The exact kernel; None also where samples coincide only to rounding, or where the exact kernel is another
        one.
        """
        if not self._coincide:
            return None
        found = ExactKernel.of(self.mode, self.samples)
        near = found is not None and (np.abs(found.rounded - self.K) <= self.K_error + EPS * np.abs(self.K)).all()
        return found if near else None

    def _exactly(self, hard: HardMargin, q: Array) -> HardMargin | None:
        """The exact solution near q (n,), rounded once; None where ties are not exact, or not known to be."""
        if self._kernel is None or self._ties is None:
            return None
        found = self._kernel.solution(q / hard.kappa, 1)
        if found is None or found.rank != self._ties.rank:
            return None
        return replace(
            hard,
            multipliers=found.x,
            error=2.0 * EPS * found.x,
            margins=found.margins,
            margin_error=2.0 * EPS * found.margins * ~found.binding,
            support=found.x > 0.0,
            rank=found.rank,
            binding=found.binding,
            unique=hard.unique or self._kernel.independent(found.binding),
            certain=True,
        )

    @property
    def pending(self) -> Index:
        """The pairs (k, 2) that are pending in every state of this mode."""
        return np.zeros((0, 2), dtype=np.intp) if self.hard is None else self._pairs.pending

    @property
    def undecided(self) -> int:
        """The number of functions whose sign in the limit is not known, or depends on the state."""
        return 0 if self.hard is None else self._pairs.undecided

    @cached_property
    def _pairs(self) -> Pairs:
        """The pairs that are pending or undecided in every state."""
        assert self.hard is not None
        if self.hard.certain or self._ties is None:
            return self._pairs_at(self.hard, 0.0 if self.hard.certain else float(self.hard.shift.sum()))
        every = self._groups(self._ties.member)
        return pairs_for_all(every, self._ties, float(self.hard.shift.sum()) + DOUBTFUL)

    def _pairs_at(self, hard: HardMargin, distance: float = 0.0) -> Pairs:
        return pairs_at(self._groups(hard.dual), Near(hard.dual, hard.shift, distance))

    def _groups(self, q: Array) -> Iterable[Group]:
        """The switching functions that could end the mode, at q (k,); none without kinks."""
        return groups(self.mode, self.samples, self._dead, q) if self.problem.network.kinked else ()

    def finding(self, at: StateBounds) -> Finding:
        """Judge a state."""
        if self.hard is None:
            kinked = self.problem.network.kinked
            reason = self._no_limit
            return Finding(self.pending, 0, not kinked, reason if kinked else "", no_limit=reason)
        hard, pairs = self._towards(at, self.hard)
        ball = self._obstacle(at, hard, pairs) or self._ball(at, hard)
        if isinstance(ball, str):
            stays = not self.problem.network.kinked
            return Finding(pairs.pending, pairs.undecided, stays, "" if stays else ball, hard=hard)
        tightest, open_pairs = np.inf, 0
        for group in self._groups(hard.dual):
            tight, unproved = self._judged(group, ball, at)
            tightest, open_pairs = min(tightest, tight), open_pairs + int(unproved.sum())
        reason = f"{open_pairs} pairs are not yet known to stay (divergence {ball.D:.3g})" if open_pairs else ""
        measured = float(tightest) if np.isfinite(tightest) else None
        wandering = None if open_pairs else ball.wandering()
        return Finding(pairs.pending, pairs.undecided, not open_pairs, reason, ball.D, measured, wandering, hard)

    def stays(self, at: StateBounds) -> bool:
        """Whether the mode is proved to stay from a state on, as in its `finding`, for less work.

        The functions that were not proved at the last state come first, and the first that is not ends the search.
        """
        if self.hard is None or not self.problem.network.kinked:
            return not self.problem.network.kinked
        hard, pairs = self._towards(at, self.hard)
        ball = self._obstacle(at, hard, pairs) or self._ball(at, hard)
        if isinstance(ball, str):
            return False
        last = self._unproved
        if last is not None and np.array_equal(last[0], hard.dual) and self._judged(last[1], ball, at)[1].any():
            return False
        for group in self._groups(hard.dual):
            unproved = self._judged(group, ball, at)[1]
            if unproved.any():
                self._unproved = hard.dual, group.of(unproved)
                return False
        return True

    def _judged(self, group: Group, ball: Ball, at: StateBounds) -> tuple[float, Bools]:
        """`Ball.judge` on a group of functions."""
        weight = self._dead_weight(at.p) * (1.0 - ball.off)
        constant = weight * np.where(group.dead > group.dead_error, group.dead - group.dead_error, 0.0)
        return ball.judge(group.live, constant, at.room, at.room_error)

    def _towards(self, at: StateBounds, hard: HardMargin) -> tuple[HardMargin, Pairs]:
        """The solution to which the mode tends from a state, and the pairs that it leaves pending or undecided."""
        ties = None if hard.certain else self._ties
        found = None if ties is None else ties.limit(self._shifted(at))
        if ties is None or found is None:
            return hard, self._pairs
        q, log_e = found
        if self._sought is None or np.abs(self._sought - q).sum() > SETTLED:
            self._sought, self._settled = q, self._exactly(hard, q)
        exact = self._settled
        if exact is None:
            return replace(hard, multipliers=q / hard.kappa, support=q > 0.0, rank=ties.rank), self._pairs
        gap = np.sqrt(divergence(exact.dual, log_e)) + rounding_of(at.p, at.p_error)
        return exact, self._pairs_at(exact, float(np.sqrt(2.0) * gap))

    def _obstacle(self, at: StateBounds, hard: HardMargin, pairs: Pairs) -> str:
        """Why no certificate is possible here, else empty; without kinks nothing could end a mode."""
        if not self.problem.network.kinked:
            return ""
        if (at.room < -at.room_error).any():
            return "the state is not on this mode"
        if len(pairs.pending):
            return f"{len(pairs.pending)} pairs cannot keep their side"
        if self.mode.dependent:
            return f"{len(self.mode.dependent)} neurons rest on dependent kinks"
        if not self._coincide:
            return "samples coincide to rounding only"
        if pairs.mixed:
            return f"{pairs.mixed} shares on samples that no neuron is active on are zero to rounding"
        return ""

    @cached_property
    def _no_limit(self) -> str:
        """Why there is no limit with positive margins: this is proved in rational arithmetic, or none was found.

        Where sum_i mu_i h_i = 0 for some mu >= 0 that is not 0, no W has positive margins (Gordan 1873).
        """
        if not self.samples.size:
            return NO_MARGINS
        lengths = row_norms(self.features.rows)
        zero = lengths <= self.features.error
        mu = zero.astype(float) if zero.any() else opposed(self.features.rows) / lengths
        if self._kernel is not None and self._kernel.solution(mu, 0) is not None:
            return NO_MARGINS
        if zero.any():
            return f"the margins of {int(zero.sum())} samples do not move in this mode, to rounding"
        least = least_margin(self.features.error / lengths)
        return f"no weights of this mode were found with all unit margins above {least:.1g}"

    @staticmethod
    def _ambiguity(hard: HardMargin) -> str:
        """Why the exact solution of the hard-margin problem is not known to be near the computed one, else empty."""
        if hard.certain:
            return ""
        if not hard.unique:
            return "the multipliers are not unique (features with margin 1 are dependent, to rounding)"
        return "a sample has margin 1 with multiplier 0, to rounding"

    def _shifted(self, at: StateBounds) -> Array:
        return np.asarray(at.p[self.samples] - np.log(self.classes.weight))

    def _ball(self, at: StateBounds, hard: HardMargin) -> Ball | str:
        if reason := self._ambiguity(hard):
            return reason
        exponential = isinstance(self.problem.loss, Exponential)
        ball = Ball.of(hard, self.K, self.K_error, self._shifted(at), at.p_error, exponential)
        return ball or "margins are still too small for the logistic loss to be close to the exponential one"

    def _dead_weight(self, p: Array) -> float:
        """g(0) over the sum of live g, which never falls; capped."""
        loss = self.problem.loss
        log_total = float(np.logaddexp.reduce(loss.log_slope(p[self.live])))
        return float(np.exp(min(float(loss.log_slope(np.zeros(1))[0]) - log_total, LARGEST_SHARE)))

    def point(self, hard: HardMargin) -> LimitPoint:
        """The limit with its multipliers, shared equally among samples that coincide; 0 where no neuron is active."""
        n, of = self.problem.samples, self.classes.of
        multipliers, margins, binding = np.zeros(n), np.zeros(n), np.zeros(n, dtype=bool)
        multipliers[self.live] = (hard.multipliers / self.classes.weight)[of]
        margins[self.live], binding[self.live] = hard.margins[of], hard.binding[of]
        U = self.features.weights(hard.w)
        return limit_point(self.mode, U, hard.w_error, multipliers, margins, binding, hard.unique)
