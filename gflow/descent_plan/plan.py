"""The plan of runs of gradient descent: step sizes and seeds, how far, which steps are rows, and the words for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gflow.arrays import Bools, Integers
from gflow.descent_plan.record import DEFAULT_STEPS, horizon, record_steps
from gflow.errors import GflowError
from gflow.scenario.schema import Descent
from gflow.trajectory import Trajectory


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One run: its step size (the first one, of a schedule), its seed where there are several, and the steps (T,) that
    become rows."""

    eta: float
    seed: int | None
    steps: Integers

    @property
    def name(self) -> str:
        """`eta = 0.1, seed 3`."""
        return f"eta = {self.eta:g}" + ("" if self.seed is None else f", seed {self.seed}")

    def rows(self, descent: Trajectory, count: int) -> Bools:
        """Which of the first `count` rows of a file are of this run, (count,)."""
        counted = slice(count)
        own = descent.read("eta", counted) == self.eta
        return np.asarray(own if self.seed is None else own & (descent.read("seed", counted) == self.seed))


@dataclass(frozen=True, slots=True)
class Option:
    """One option as it is given: the facts of `descent.h5` that keep it (None: it has no such fact), and the words that
    ask for it again, empty where it is the default."""

    name: str
    facts: dict[str, str | float | int | None]
    words: str


@dataclass(frozen=True, slots=True)
class DescentPlan:
    """Runs for every step size, largest first, and every seed.

    asked: all that a scenario or a command line says; end: t at the end of constant steps, None where `asked` counts
    steps; batch_seed: the seed of the batches where `asked` names none.
    """

    asked: Descent
    end: float | None
    batch_seed: int
    device: str
    runs: tuple[PlannedRun, ...]

    @classmethod
    def of(cls, asked: Descent, flow_end: float, batch_seed: int, device: str) -> DescentPlan:
        """The runs that are asked for; flow_end: t where the flow beside them ends.  Raises GflowError."""
        until = asked.until
        etas = sorted(asked.etas, reverse=True)
        if until is not None and until.time is None or asked.schedule is not None:
            end, steps = None, [record_steps([1.0], float(_count(asked)))[0]] * len(etas)
        else:
            end = horizon(None if until is None else until.time, flow_end, etas)
            steps = record_steps(etas, end)
        runs = [
            PlannedRun(eta, seed, each)
            for eta, each in zip(etas, steps, strict=True)
            for seed in asked.seeds or (None,)
        ]
        return cls(asked, end, batch_seed, device, tuple(runs))

    @property
    def etas(self) -> tuple[float, ...]:
        """The step sizes, largest first."""
        return tuple(dict.fromkeys(run.eta for run in self.runs))

    @property
    def rows(self) -> int:
        """The number of rows of all runs together."""
        return sum(len(run.steps) for run in self.runs)

    @property
    def kind(self) -> str:
        """`gd` or `sgd`."""
        return "gd" if self.asked.batch is None else "sgd"

    @property
    def seed(self) -> int | None:
        """The one seed of random batches; None without such batches, and where every run has its own."""
        asked = self.asked
        return None if asked.batch is None or asked.stream or asked.seeds is not None else self.batch_seed

    @property
    def watches(self) -> bool:
        """Are losses watched at every step?"""
        return self.asked.batch is None if self.asked.watch is None else self.asked.watch.losses

    def options(self, batch_option: str = "--batch") -> tuple[Option, ...]:
        """All options; the command that resumes descent must have the same.  batch_option: the word for a batch."""
        asked, seed = self.asked, self.seed
        return (
            self._sizes(),
            *self._ends(),
            Option(batch_option, {"descent": self.kind, "batch": asked.batch}, _words(batch_option, asked.batch)),
            Option("--seed", {"batch_seed": seed}, _words("--seed", seed)),
            _choice("--device", "device", self.device, "cpu"),
            _choice("--precision", "precision", asked.precision or "double", "double"),
            *self._more(),
        )

    def _sizes(self) -> Option:
        etas, schedule = {"etas": json.dumps(self.etas)}, self.asked.schedule
        if schedule is None:
            return Option("--eta", {**etas, "schedule": None}, " ".join(f"--eta {eta!r}" for eta in self.etas))
        text = f"{schedule.kind}:first={schedule.first!r},factor={schedule.factor!r},loss_guard={schedule.loss_guard!r}"
        return Option("--schedule", {**etas, "schedule": text}, _words("--schedule", text))

    def _ends(self) -> tuple[Option, ...]:
        log_loss = None if self.asked.until is None else self.asked.until.log_loss
        steps = None if self.end is not None else _count(self.asked)
        return (
            Option("--until-time", {"until_time": self.end}, _words("--until-time", self.end)),
            Option("--steps", {"until_steps": steps}, _words("--steps", steps)),
            Option("--until-log-loss", {"until_log_loss": log_loss}, _words("--until-log-loss", log_loss)),
        )

    def _more(self) -> tuple[Option, ...]:
        asked, watch = self.asked, self.asked.watch
        drawn = asked.starts if asked.starts == "drawn" else None
        unseen = 1 if watch is not None and not watch.losses else None
        bound, seeds = None if watch is None else watch.bound, asked.seeds
        listed = None if seeds is None else ",".join(str(seed) for seed in seeds)
        return (
            _flag("--replacement", "replacement", 1 if asked.replacement else None),
            _flag("--stream", "stream", 1 if asked.stream else None),
            Option("--momentum", {"momentum": asked.momentum}, _words("--momentum", asked.momentum)),
            Option(
                "--weight-decay", {"weight_decay": asked.weight_decay}, _words("--weight-decay", asked.weight_decay)
            ),
            Option("--at-kink", {"at_kink": asked.at_kink}, _words("--at-kink", asked.at_kink)),
            Option("--seeds", {"seeds": listed}, _words("--seeds", listed)),
            Option("--starts", {"starts": drawn}, _words("--starts", drawn)),
            Option("--no-watch", {"unwatched": unseen}, "" if unseen is None else "--no-watch"),
            Option("--watch-bound", {"watch_bound": bound}, _words("--watch-bound", bound)),
        )

    @property
    def facts(self) -> dict[str, str | float | int]:
        """What `descent.h5` keeps of the options."""
        return kept_facts(self.options())

    def command(self, folder: str) -> str:
        """The command line that gives the same descent into a folder, whose name is quoted."""
        return " ".join(["gflow descend", folder, *(option.words for option in self.options() if option.words)])


def kept_facts(options: Sequence[Option]) -> dict[str, str | float | int]:
    """The facts of these options that there are."""
    kept = [fact for option in options for fact in option.facts.items()]
    return {name: value for name, value in kept if value is not None}


def _words(option: str, value: str | float | int | None) -> str:
    if value is None:
        return ""
    return f"{option} {value if isinstance(value, str) else repr(value)}"


def _flag(option: str, fact: str, value: int | None) -> Option:
    return Option(option, {fact: value}, "" if value is None else option)


def _choice(option: str, fact: str, value: str, default: str) -> Option:
    return Option(option, {fact: value}, "" if value == default else f"{option} {value}")


def _count(asked: Descent) -> int:
    """The steps of every run, where steps are counted."""
    until = asked.until
    if until is None or (until.steps is None and until.log_loss is None):
        raise GflowError("--schedule: no end is given; add for example --steps 10000")
    return DEFAULT_STEPS if until.steps is None else until.steps
