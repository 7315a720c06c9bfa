"""The flow of a scenario: how it is integrated, where it ends, and when rows are recorded."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import dropwhile
from pathlib import Path

from gflow.assembly.capacity import peak_memory
from gflow.assembly.engine_name import engine_name, method_name
from gflow.assembly.setup import Setup
from gflow.errors import ScenarioError
from gflow.field.branch import Tolerances
from gflow.flow.budget import Account, Budget
from gflow.flow.choice import SWITCHING, TAYLOR
from gflow.flow.items import Item
from gflow.flow.state import Checkpoint, Outcome
from gflow.flow.steps import Manner, steps
from gflow.flow.stopping import Until, spaced
from gflow.flow_time import log1p_of_log_time, log1p_of_time
from gflow.scenario import Scenario
from gflow.scenario.schema import GivenTimes


def build_flow(
    scenario: Scenario,
    setup: Setup,
    until: Until,
    device: str = "cpu",
    path: Path | None = None,
    after: tuple[float, Checkpoint] | None = None,
    advances: bool = False,
) -> Iterator[Item]:
    """The flow of a scenario to its end, with its rows and its budget, which counts from here.

    device: `cpu` or `cuda` (primal engine); path: of the file that is written; after: v of the row after which it goes
    on, with the checkpoint of that row; advances: as in `flow_items`.  Raises ScenarioError.
    """
    manner, account = build_manner(scenario, device), _account(scenario, path)
    v, checkpoint = (0.0, None) if after is None else after
    rows = dropwhile(lambda row: row <= v, _rows(scenario, until))
    return steps(setup.problem, setup.inner, until, manner, rows, checkpoint, account, advances)


def build_manner(scenario: Scenario, device: str = "cpu") -> Manner:
    """How the flow is integrated.

    Raises ScenarioError for a device (`cpu`, `cuda`) that the engine cannot have.
    """
    flow, engine, remedy = scenario.flow, engine_name(scenario), f"--set flow.method={SWITCHING}"
    if engine == "dual" and device != "cpu":
        remedy = f"use --set flow.engine=primal {remedy}"
        raise ScenarioError(f"--device {device}: the dual engine runs on the CPU; {remedy}")
    if device != "cpu" and method_name(scenario) == TAYLOR:
        raise ScenarioError(f"--device {device}: the Taylor engine runs on the CPU; use {remedy}")
    if device != "cpu":
        from gflow.flow.primal import has_device  # loads torch

        if not has_device(device):
            raise ScenarioError(f"--device {device}: torch finds no such device here; use --device cpu")
    return Manner(engine, method_name(scenario), Tolerances(flow.rtol, flow.atol), device)


def build_until(scenario: Scenario) -> Until:
    """The ends of the run on the clock v = log(1 + t) and on the loss."""
    until = scenario.flow.until
    ends = []
    if until.time is not None:
        ends.append((log1p_of_time(until.time), Outcome.TIME))
    if until.log_time is not None:
        ends.append((log1p_of_log_time(until.log_time), Outcome.LOG_TIME))
    v_end, outcome = min(ends, key=lambda end: end[0]) if ends else (None, Outcome.TIME)
    return Until(v_end, outcome, until.log_loss, bool(until.certified))


def _account(scenario: Scenario, path: Path | None) -> Account:
    """The account of what a run may cost, opened now; path: of the file that it writes."""
    given = scenario.flow.budget
    if given is None:
        return Account(Budget())
    budget = Budget(given.wall_time, given.events, given.steps, given.memory, given.disk)

    def on_disk() -> int:
        return path.stat().st_size if path is not None and path.exists() else 0

    return Account(budget, gauges={"memory": peak_memory, "disk": on_disk})


def _rows(scenario: Scenario, until: Until) -> Iterator[float]:
    """Record times v after the start.  Raises ScenarioError for a time after the end of the run."""
    times = scenario.record.times
    if not isinstance(times, GivenTimes):
        return spaced(times.spacing, times.count, until)
    values = [(t, log1p_of_time(t)) for t in times.at if t > 0.0]
    for t, v in values:
        if until.v_end is not None and v > until.v_end:
            raise ScenarioError(
                f"record.times.at: {t!r} is after the end of the run ({_end_as_given(scenario, until)}): "
                "remove it from record.times.at or let the run go on longer"
            )
    return iter([v for _, v in values])


def _end_as_given(scenario: Scenario, until: Until) -> str:
    """The end on the clock that counts, in the unit in which the scenario gives it."""
    given = scenario.flow.until
    return (
        f"flow.until.log_time: {given.log_time!r}"
        if until.outcome is Outcome.LOG_TIME
        else f"flow.until.time: {given.time!r}"
    )
