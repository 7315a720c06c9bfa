"""Verdicts as sentences: how long descent follows the flow, and what breaks first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gflow.comparison.order import Order

# "Follows" means: within this relative gap.
CLOSE = 0.01
# eta times the sharpness beyond which a step along its direction overshoots by more than it corrects.
EDGE = 2.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the verdict on one run rests on; times are t.

    times, gaps, losses, edges (T,): t, relative gap, log L and eta times sharpness at the rows; first: where the
    horizon's first tenth ends.  diverged: the step at which an iterate was not finite, at the latest.
    """

    eta: float
    times: Sequence[float]
    gaps: Sequence[float | None]
    edges: Sequence[float | None]
    first: float
    diverged: int | None
    threshold: float | None
    loss_rises: int | None
    differs: tuple[float, int, int] | None
    """t, neuron and sample of the first disagreement of patterns"""
    agreement: float
    """share of the pairs, without those that slide, that agree at the end"""


def verdict(evidence: Evidence) -> str:
    """`follows the flow within 1 % until t = 3e4; then ...`."""
    parts = [_following(evidence), *_reasons(evidence)]
    return "; ".join(part for part in parts if part)


def follows_until(times: Sequence[float], gaps: Sequence[float | None]) -> float | None:
    """The time of the last row before the first gap over `CLOSE`, 0 if that is the first one; None: there is none."""
    known = [(t, gap) for t, gap in zip(times, gaps, strict=True) if gap is not None]
    before = 0.0
    for t, gap in known:
        if gap > CLOSE:
            return before
        before = t
    return None


def _following(evidence: Evidence) -> str:
    known = [(t, gap) for t, gap in zip(evidence.times, evidence.gaps, strict=True) if gap is not None]
    if not known:
        return _diverges(evidence) or "the flow does not move: there is nothing to follow"
    end = evidence.times[-1]
    until, diverges = follows_until(evidence.times, evidence.gaps), _diverges(evidence)
    late = [(gap, t) for t, gap in known if t >= evidence.first]
    top, at = max(late or [(gap, t) for t, gap in known])
    if diverges:
        followed = f"follows the flow within 1 % until t = {until:.4g}; then " if until else ""
        return followed + diverges
    if until is None:
        whole = f"follows the flow within 1 % until the end, t = {end:.4g}"
        return f"{whole}; the gap is at most {percent(top)}, at t = {at:.4g}"
    if late and top <= CLOSE:
        early, when = max((gap, t) for t, gap in known if t < evidence.first)
        return (
            f"follows the flow within 1 % from t = {evidence.first:.4g} to the end, t = {end:.4g} (gap at most "
            f"{percent(top)}), after a gap of {percent(early)} at t = {when:.4g}"
        )
    start = f"follows the flow within 1 % until t = {until:.4g}; then" if until > 0.0 else "does not follow the flow:"
    return f"{start} the gap reaches {percent(top)} at t = {at:.4g}"


def _diverges(evidence: Evidence) -> str:
    if evidence.diverged is None:
        return ""
    return f"diverges, at step {evidence.diverged} (t = {evidence.eta * evidence.diverged:.4g}) at the latest"


def _reasons(evidence: Evidence) -> list[str]:
    """The reasons why descent departs, in the order of time; those without a time come last."""
    dated: list[tuple[float, str]] = []
    if evidence.differs is not None:
        t, neuron, sample = evidence.differs
        later = "later agrees" if evidence.agreement == 1.0 else f"agrees on {percent(evidence.agreement)} at the end"
        dated.append((t, f"the pattern differs first at t = {t:.4g} (neuron {neuron}, sample {sample}), and {later}"))
    edge = next((t for t, x in zip(evidence.times, evidence.edges, strict=True) if x is not None and x > EDGE), None)
    if edge is not None:
        top = max(x for x in evidence.edges if x is not None)
        where = f"from t = {edge:.4g}" if edge > 0.0 else "from the start"
        dated.append((edge, f"eta times the sharpness exceeds 2, the edge of stability, {where} (up to {top:.3g})"))
    reasons = [text for _, text in sorted(dated)]
    if evidence.threshold is not None and evidence.eta >= evidence.threshold:
        reasons.append(f"the step is above the stability threshold 8 n / lambda_max(K) = {evidence.threshold:.4g}")
    if evidence.loss_rises:
        times = "once" if evidence.loss_rises == 1 else f"{evidence.loss_rises} times"
        reasons.append(f"the loss rises {times}")
    return reasons


def follows(diverged: bool, max_gap: float | None) -> bool:
    """Does a run follow the flow, by its largest gap from the first tenth of the horizon on?"""
    return not diverged and max_gap is not None and max_gap <= CLOSE


def summary(etas: Sequence[float], follow: Sequence[bool], order: Order, stopped: str) -> str:
    """The sentence on all runs; follow: which of them follow the flow; stopped: why the flow ended early, or empty.

    A step size follows the flow if it does from every seed.
    """
    off = {eta for eta, one in zip(etas, follow, strict=True) if not one}
    etas = tuple(dict.fromkeys(etas))
    good = [eta for eta in etas if eta not in off]
    where = "every step size" if len(good) == len(etas) else f"{len(good)} of {len(etas)} step sizes"
    where = where if good else "no step size"
    text = f"descent stays within 1 % of the flow from the first tenth of the horizon on at {where}"
    below = [eta for eta in etas if good and eta <= max(good)]
    if good and len(good) < len(etas) and len(below) == len(good):
        text += f" (eta <= {max(good):g})"
    return text + order_text(order) + (f"; the flow was stopped early: {stopped}" if stopped else "")


def order_text(order: Order) -> str:
    """`; the gap falls like eta^1.00 [0.98, 1.02]`, or why no order is known."""
    if order.slope is None:
        return ""
    interval = "" if order.interval is None else " (95 %: {:.2f} to {:.2f})".format(*order.interval)
    return f"; the gap falls like eta^{order.slope:.2f}{interval}"


def percent(value: float) -> str:
    """`0.017 %`; beyond a factor 10 as a factor."""
    return f"{100.0 * value:.3g} %" if value < 10.0 else f"{value:.3g} times the way gone"
