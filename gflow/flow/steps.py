"""The entrance to a flow: from a problem, a start and an end to the stream of items that the loop hands over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gflow.arrays import Array
from gflow.field.branch import Tolerances
from gflow.flow.budget import Account
from gflow.flow.choice import Choice, has_series, method_for
from gflow.flow.dual import dual_engine, has_dual
from gflow.flow.engine import Engine
from gflow.flow.items import Item
from gflow.flow.simulate import flow_items
from gflow.flow.state import Checkpoint, FlowState
from gflow.flow.stopping import Until
from gflow.problem.problem import Problem


@dataclass(frozen=True, slots=True)
class Manner:
    """How a flow is integrated.

    engine: `dual`, `primal`, or `auto`, which is dual where the network has dual coordinates; method: `taylor` (where
    the activation is piecewise linear and the network not scalar), `DOP853-Radau`, a name of `ode.methods`, or `auto`,
    which is the first where it applies, else the second; device: that of torch, for the steppers of the primal engine.
    """

    engine: str = "auto"
    method: str = "auto"
    tolerances: Tolerances = Tolerances(1e-8, 1e-10)
    device: str = "cpu"

    def is_dual(self, problem: Problem) -> bool:
        """Whether the flow of this problem is integrated in dual coordinates."""
        return self.engine == "dual" or (self.engine == "auto" and has_dual(problem.network))


AS_USUAL = Manner()


def steps(
    problem: Problem,
    inner: Array,
    until: Until,
    manner: Manner = AS_USUAL,
    rows: Iterable[float] = (),
    origin: FlowState | Checkpoint | None = None,
    account: Account | None = None,
    advances: bool = False,
) -> Iterator[Item]:
    """The flow of a problem, item by item, in the order of `flow.items`; the engine is made at once, not at the first
    item.

    inner: W (m, d) at t = 0, or b (m, 1) of the scalar network; rows, origin, account, advances: as in
    `flow_items`.
    """
    series = has_series(problem.network) and manner.device == "cpu"
    engine, choice = engine_of(problem, inner, manner), Choice(method_for(manner.method, series))
    return flow_items(engine, until, iter(rows), choice, origin, account, advances)


def engine_of(problem: Problem, inner: Array, manner: Manner = AS_USUAL) -> Engine:
    """The engine of a manner, for callers that need the field at states of their own; inner: W (m, d) or b (m, 1), as
    in `steps`.
    """
    if manner.is_dual(problem):
        return dual_engine(problem, inner, manner.tolerances)
    from gflow.flow.primal import primal_engine, use_one_thread  # loads torch

    use_one_thread()
    return primal_engine(problem, inner, manner.tolerances, manner.device)
