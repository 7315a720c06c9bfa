"""Ends of a flow from arrays, as its caller writes them: `gflow.time(20.0) | gflow.log_loss(-10.0)`."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from gflow.errors import ScenarioError

WAYS = "gflow.time(t), gflow.log_time(v), gflow.log_loss(value), gflow.certified(), or several joined by |"


@dataclass(frozen=True, slots=True)
class End:
    """An end of a flow; `|` joins two into the one that comes first."""

    time: float | None = None
    log_time: float | None = None
    log_loss: float | None = None
    certified: bool | None = None

    def __or__(self, other: End) -> End:
        one, two = asdict(self), asdict(other)
        if both := [name for name in one if one[name] is not None and two[name] is not None]:
            raise ScenarioError(f"until names {both[0]} twice; keep one of them")
        return End(**{name: two[name] if one[name] is None else one[name] for name in one})


def time(t: float) -> End:
    """The flow ends at time t > 0."""
    return End(time=number(t, "gflow.time: t"))


def log_time(log_t: float) -> End:
    """The flow ends at time t = e^log_t, log_t > 0; e^log_t itself may lie far beyond float64."""
    return End(log_time=number(log_t, "gflow.log_time: log_t"))


def log_loss(value: float) -> End:
    """The flow ends when the logarithm of the mean loss has fallen to `value`."""
    return End(log_loss=number(value, "gflow.log_loss: value"))


def certified() -> End:
    """The flow ends when its activation pattern is proved to stay for ever (fixed outer layer, one output)."""
    return End(certified=True)


def number(value: float, name: str) -> float:
    """The value as a float.  Raises ScenarioError, which begins with the name, where it is none."""
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise ScenarioError(f"{name} = {value!r}: must be a number") from error
