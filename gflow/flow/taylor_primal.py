"""The compiled loop of trained outer layers as Python sees it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gflow.arrays import Array, Bools
from gflow.field.branch import Measure
from gflow.field.clock import dual_variables
from gflow.field.mode import Mode
from gflow.flow.choice import has_series
from gflow.flow.engine import Engine, Stretch
from gflow.flow.state import Checkpoint, FlowState
from gflow.flow.taylor_advance import StepShown
from gflow.flow.taylor_ahead import Ahead, Ends, Leave
from gflow.flow.taylor_hulls import Hulls, are_clear
from gflow.flow.taylor_judge import HullJudge
from gflow.flow.taylor_primal_arrays import PrimalGround, model_of, with_slots
from gflow.ode.bernstein import from_nodes, nodes
from gflow.ode.step import DenseStep
from gflow.problem.loss import log_mean
from gflow.problem.parameters import Layout, Parameters
from gflow.taylor.loop import CLOCK_PASSED, GUARDS_FULL, HULL, LOG_FULL, SLOTS_FULL
from gflow.taylor.model import CAP, CLOCK, SIZE, STALLED, STEPS, TAU, UNIT, WAITS, found_of
from gflow.taylor.primal.advance import advance
from gflow.taylor.primal.model import HIGHEST, LOSES, PrimalModel
from gflow.taylor.series import Series, clock_after


class StepKept(NamedTuple):
    """A step before it is taken: coefficients of W (m, N + 1, r), a (m, N + 1, K), the output bias (N + 1, K), and its
    clock; N, its size, its end.
    """

    W: Array
    a: Array
    bias: Array
    terms: Series
    v: float
    log_unit: float
    degree: int
    size: float
    end: float


class PrimalAhead(Ahead):
    """The compiled loop of trained outer layers: steps of the series, early and late."""

    def __init__(
        self, ground: PrimalGround, mode: Mode, norms: Array, at: Checkpoint, keeps: bool, hulls: Hulls
    ) -> None:
        """mode: that of the state, with the hulls of its neurons on dependent kinks; norms (m,): |w_j| there; keeps:
        each step is kept, for whoever asks for it.
        """
        super().__init__(ground.problem)
        self._model = model_of(ground, at.state, mode, norms)
        self._model.counts[STEPS], self._model.counts[STALLED] = at.steps, at.stalled
        self._keeps, self._judge = keeps, HullJudge(hulls, self._problem.loss, self._model, at.state)
        self.kept: StepKept | None = None

    @property
    def model(self) -> PrimalModel:
        """The arrays as they are now."""
        return self._model

    def go(self, row: float, ends: Ends, leave: Leave) -> int:
        """Why the loop came back, with arrays that are full made larger, and hulls judged."""
        leave = leave._replace(step=min(leave.step, self._judge.leaves(self.model)))
        if self._keeps and not self.model.tried[WAITS]:
            status = int(advance(self.model, -np.inf, -np.inf, *leave))
            if status == CLOCK_PASSED:
                self._keep()
                status = int(advance(self.model, min(row, ends.v), ends.log_loss, *leave))
        else:
            status = int(advance(self.model, min(row, ends.v), ends.log_loss, *leave))
        if status == SLOTS_FULL:
            self._model = with_slots(self.model, min(2 * self.model.mode.slots.shape[1], self._problem.span.rank))
        elif status == GUARDS_FULL:
            self._model = self.model._replace(found=found_of(2 * self.model.found.which.shape[0]))
        goes_on = status in (SLOTS_FULL, GUARDS_FULL) or (status == HULL and self._judge.grants(self.model))
        return LOG_FULL if goes_on else status

    def _keep(self) -> None:
        model, N = self.model, self._degree
        inverse = model.terms._replace(inverse=model.terms.inverse.copy())
        W, a = model.neurons.W[:, : N + 1].copy(), model.neurons.a[:, : N + 1].copy()
        bias = model.outputs.bias[: N + 1].copy()
        self.kept = StepKept(W, a, bias, inverse, self.v, float(model.step[UNIT]), N, float(model.step[SIZE]), self.end)

    def passed(self, v: float) -> tuple[FlowState, Measure]:
        """No stride passes a row."""
        raise AssertionError("the series waits at every row")

    def _parameters(self, u: float) -> Parameters:
        """All weights at u of the step that waits, balanced as the loop does at its end, or now."""
        neurons, N, shape = self.model.neurons, self._degree if u > 0.0 else 0, self._problem.network.outer.shape
        powers = u ** np.arange(N + 1.0)
        W = np.asarray(np.einsum("jkr,k->jr", neurons.W[:, : N + 1], powers))
        a = neurons.a[:, 0]
        if self.model.span.trains and N:
            a = np.einsum("jko,k->jo", neurons.a[:, : N + 1], powers)
            inner, outer = (W**2).sum(axis=1), (a**2).sum(axis=1)
            size = np.maximum(outer + inner, np.finfo(float).tiny)
            part = (0.5 * (neurons.balance - (outer - inner)) / size)[:, None]
            W, a = W - part * W, a + part * a
        outputs = self.model.outputs
        bias = powers @ outputs.bias[: N + 1] if outputs.biased else None
        return Parameters(W, np.array(a.T).reshape(shape), bias)

    def measure(self, u: float, v: float) -> Measure:
        """The flow at u of the step that waits, or now with u = 0, where log(1 + t) = v."""
        model, problem, parameters, p = self.model, self._problem, self._parameters(u), self.margins_at(u)
        C, slopes, U, a = problem.span.C, model.mode.slopes, parameters.U, np.atleast_2d(parameters.outer)
        live = model.mode.live > 0
        q, log_total = dual_variables(problem.loss, p, live)
        signs = model.span.y[:, None] * self._signs(parameters)
        T = (live * q)[:, None] * signs
        V = [self._projected((slopes * T[:, o]) @ C) for o in range(a.shape[0])]
        moved = np.einsum("oj,ojr->jr", a, V)
        turned = np.einsum("jr,ojr->oj", U, V) if model.span.trains else np.zeros(a.shape)
        shift = T.sum(axis=0) if parameters.output_bias is not None else np.zeros(a.shape[0])
        both = a[:, :, None] * moved + turned[:, :, None] * U
        rates = np.einsum("io,oir,ir->i", signs, slopes.T @ both, C) + signs @ shift
        squared = (U**2).sum() + (model.span.outside**2).sum() + (a**2).sum() * model.span.trains
        squared += 0.0 if parameters.output_bias is None else (parameters.output_bias**2).sum()
        speed = float(np.sqrt((moved**2).sum() + (turned**2).sum() + (shift**2).sum()))
        log_loss, log_n = log_mean(problem.loss.log_value(p)), float(np.log(p.size))
        rounding = max(problem.margin_rounding(U, parameters.outer), float(model.step[LOSES]))
        return Measure(v, p, log_loss, float(np.sqrt(squared)), speed, rates, float(log_total) - log_n, rounding)

    def _signs(self, parameters: Parameters) -> Array:
        """dp / df (n, K) at these weights, but for the label of one output."""
        model, outputs = self.model, self.model.outputs
        A, C = np.atleast_2d(parameters.outer), self._problem.span.C
        if A.shape[0] == 1:
            return np.ones((C.shape[0], 1))
        own = outputs.own[:, None] == np.arange(A.shape[0])
        f = (model.mode.slopes * (C @ parameters.U.T).T).T @ A.T
        f = np.where(own, -np.inf, f if parameters.output_bias is None else f + parameters.output_bias)
        others = np.exp(f - f.max(axis=1, keepdims=True))
        return np.asarray(np.where(own, 1.0, -others / others.sum(axis=1, keepdims=True)))

    def _projected(self, V: Array) -> Array:
        """P_j V_j, (m, r)."""
        mode, across = self.model.mode, self.model.tables.across
        for j in np.flatnonzero(mode.held):
            k, normals = int(mode.held[j]), self.model.span.normals
            for _ in range(2):
                V[j] -= (across[j, :k] @ V[j]) @ normals[mode.slots[j, :k]]
        return V

    def state(self, u: float = 0.0, v: float | None = None) -> FlowState:
        """The state now or, with u > 0, at u of the step that waits, where log(1 + t) = v."""
        model, now = self.model, self.model.now
        tau, clock = float(now[TAU] + u * model.step[SIZE]), float(now[CLOCK]) if v is None else v
        parameters, side = self._parameters(u), model.mode.side.copy()
        return FlowState.of(self._problem, tau, clock, parameters, side, float(now[CAP]))


class PrimalStepShown(StepShown):
    """A step of the series as a polynomial of its own degree, in the coordinates of the primal branch."""

    def __init__(self, engine: Engine, ahead: PrimalAhead, inexact: Bools) -> None:
        super().__init__(engine, ahead, inexact)
        self._primal, self._layout = ahead, Layout.of(engine.problem)

    def dense(self) -> DenseStep:
        """The step in units of the branch: all that is trained, and the clock."""
        kept, unit = self._primal.kept, self._stretch.branch.unit
        assert kept is not None, "a step is kept before it is taken"
        u = kept.end * nodes(HIGHEST)
        powers = u[:, None] ** np.arange(kept.degree + 1.0)
        W = np.einsum("jkr,uk->ujr", kept.W, powers)
        rows = [W.reshape(u.size, -1)]
        if self._layout.outer is not None:
            rows.append(np.einsum("jko,uk->uoj", kept.a, powers).reshape(u.size, -1))
        if self._layout.bias is not None:
            rows.append(powers @ kept.bias)
        clock = [clock_after(kept.v, kept.log_unit, kept.terms, kept.degree, float(each)) for each in u]
        y = np.column_stack([*rows, clock])
        return DenseStep(0.0, kept.end * kept.size / unit, from_nodes(HIGHEST) @ y)


class PrimalSeries:
    """The series of trained outer layers, for the loop that both kinds share."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._ground = PrimalGround.of(engine.problem, engine.tolerances, engine.norms_initial, engine.outside)

    def suits(self, state: FlowState) -> bool:
        """Can the compiled loop go on from a state, whose mode is the current one?  Not where no sample moves anything,
        nor where several outputs pull on neurons on dependent kinks, whose hulls are judged for one, and not of a
        network whose series is not known.
        """
        mode, network = self._engine.mode, self._engine.problem.network
        clear = are_clear(mode) if network.outputs == 1 else not mode.dependent
        return has_series(network) and bool(mode.live.any()) and clear

    def ahead(self, stretch: Stretch, at: Checkpoint, keeps: bool) -> PrimalAhead:
        """The compiled loop from a checkpoint on; stretch: that which begins there."""
        engine, parameters = self._engine, at.state.parameters
        moves = (np.atleast_2d(parameters.outer) != 0.0).any(axis=0)
        if engine.problem.network.trains_outer:
            moves |= (parameters.U != 0.0).any(axis=1)
        hulls = Hulls.of(engine.mode, moves)
        return PrimalAhead(self._ground, engine.mode, engine.weight_norms(at.state.U), at, keeps, hulls)

    def shown(self, ahead: Ahead, inexact: Bools) -> PrimalStepShown:
        """The step that comes next, for whoever asks for it."""
        assert isinstance(ahead, PrimalAhead)
        return PrimalStepShown(self._engine, ahead, inexact)
