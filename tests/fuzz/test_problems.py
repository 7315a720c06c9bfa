"""Small hostile problems by hypothesis: named outcomes, finite rows, a loss that never rises, engines that agree."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gflow.errors import ScenarioError
from gflow.flow.budget import Budget
from gflow.flow.choice import SWITCHING, TAYLOR
from gflow.flow.state import Outcome
from gflow.problem.loss import LOSSES
from tests.fuzz.agreement import AGREED, gap
from tests.fuzz.judge import followed
from tests.fuzz.problems import LABELS, LOG_TIMES, OFF_KINKS, OUTERS, SCALES, SHAPES, SLOPES, STARTS, Recipe, drawn

PROFILE = settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
SMALL = Budget(events=300, steps=300)  # counts, not seconds: the same on every machine

RECIPES = st.builds(
    Recipe,
    n=st.integers(1, 6),
    d=st.integers(1, 4),
    m=st.integers(1, 5),
    shape=st.sampled_from(SHAPES),
    labels=st.sampled_from(LABELS),
    start=st.sampled_from(STARTS),
    outer=st.sampled_from(OUTERS),
    slope=st.sampled_from(SLOPES),
    loss=st.sampled_from(sorted(LOSSES)),
    scales=st.tuples(*[st.sampled_from(sorted(set(SCALES)))] * 3),
    log_time=st.sampled_from(LOG_TIMES),
    seed=st.integers(0, 10**6),
)
MODERATE = st.builds(
    lambda recipe, scales: replace(recipe, scales=scales, log_time=1.0),
    RECIPES,
    st.tuples(*[st.sampled_from([0.1, 1.0, 3.0])] * 3),
)


@settings(PROFILE, max_examples=60)
@given(RECIPES)
def test_any_sizes_end_by_a_named_outcome(recipe: Recipe) -> None:
    try:
        finish = followed(recipe, SMALL)
    except ScenarioError as refusal:
        assert "fit float64" in str(refusal)
    else:
        assert finish.outcome in Outcome


@settings(PROFILE, max_examples=20)
@given(MODERATE)
def test_both_engines_agree(recipe: Recipe) -> None:
    """Starts off the kinks: on them solutions are not unique, and rounding decides which kinks a start is on."""
    assume(recipe.start in OFF_KINKS)
    apart = gap(recipe, SMALL)
    assume(apart is not None)
    assert apart is not None and max(apart) <= AGREED


# Seeds of `drawn` that failed once, and what was wrong.
REGRESSIONS = {
    203: "rounding of the guards, set by a bound on the motion, swallowed weights of a neuron with a tiny slope",
    261: "likewise, with long steps",
    206: "a record time met to rounding only",
    307: "at rest after a leap: the clock of the measure ran ahead of the rows, and the sentence named its time",
    475: "likewise",
    423: "margins that cancel out of terms of 1e30 were taken for exact",
    776: "likewise",
    37: "a start that float64 does not resolve ended at the time the clock had leapt to",
    693: "time within rounding of 0",
    5219: "an event a rounding before t = 0",
    2627: "a record time met to the tolerance of the clock only",
    5735: "likewise",
    7599: "likewise",
    2488: "a singular matrix inside Radau was a warning",
    9508: "margins out of the rounding of pre-activations near a kink: the loss rose where they were worked out anew",
    143: "guards that fire without a change of sides, at which no budget was looked at: the run never ended",
    7983: "a look ahead by derivatives whose squares are 0 in float64 left the other way",
    2318: "a sample whose part of q is 0 in float64 woke inside a step of the series: the loss rose",
    6576: "likewise",
    289: "a step of the series after an implicit one, so long that its terms left float64",
    3000: "a step was handed over at a start whose clock had leapt over the end",
    6664: "a stride before the clock moves: log(1 + t) was no number",
    3330: "the cells around a start at zero were enumerated ray by ray, independent normals included",
}


@pytest.mark.parametrize("seed", REGRESSIONS)
def test_what_failed_once(seed: int) -> None:
    assert followed(drawn(seed), SMALL).outcome is not Outcome.STEP_UNDERFLOW


def test_kinks_without_progress_do_not_go_on_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twins of opposite labels with slope 1e-12 hovered once; where none counts as progress, a run ends in words."""
    assert followed(drawn(1690), Budget(steps=500)).outcome is Outcome.LOG_TIME
    assert followed(drawn(143), Budget(steps=150)).outcome is not Outcome.EVENTS_ACCUMULATE
    for loop in ("ending", "taylor"):
        monkeypatch.setattr(f"gflow.flow.{loop}.MOST_STALLED", 1)
    monkeypatch.setattr("gflow.flow.one_stretch.STALLED", float("inf"))
    # Steps of the series are shorter.
    for method, most in ((SWITCHING, 100), (TAYLOR, 500)):
        finish = followed(drawn(143), Budget(), method=method)
        assert finish.outcome is Outcome.EVENTS_ACCUMULATE and finish.steps < most
    assert "1 kinks in a row" in finish.sentence  # at which neuron, rounding decides
    assert "try a smaller flow.rtol" in finish.sentence


def test_shares_that_hover_at_their_ends_reach_the_end() -> None:
    """Three neurons slide with a share that relaxes to its end: the error of the integrator takes it there and back."""
    assert followed(drawn(143), Budget(steps=2000)).outcome is Outcome.LOG_TIME


def test_a_budget_is_looked_at_where_guards_change_nothing() -> None:
    assert followed(drawn(143), Budget(steps=70)).outcome is Outcome.BUDGET


def test_weights_that_do_not_resolve_the_margins_are_said_to() -> None:
    """A start on kinks, outer weights of 1e30: z is known to the rounding of |w| |x|, and margins to 1e6."""
    finish = followed(drawn(9508), SMALL)
    assert finish.outcome is Outcome.PRECISION and finish.steps == 0
    assert "stopped at t = 0" in finish.sentence and "scale the outer layer" in finish.sentence
