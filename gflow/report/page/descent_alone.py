"""What the page says of gradient descent without a flow beside it: the answers, and one line for each run."""

from __future__ import annotations

from dataclasses import dataclass

from gflow.descent_plan.result import DescentResult, RunResult
from gflow.flow_time import time_text
from gflow.report.descent import ENDED
from gflow.report.page.answers import Answer, sentence_of
from gflow.report.page.tables import number

TITLES = (
    "Steps",
    "log L",
    "Least margin",
    "Normalized margin",
    "Stable rank",
    "Loss rises",
    "Largest rise",
    "Above bound",
)
TEST_TITLES = ("Training accuracy", "Test accuracy")
MOST_ROWS = 200
UNFINISHED = Answer(
    "How did the runs end?", "not finished", "open", "Descent goes on, or was stopped: gflow descend --resume ends it."
)


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run; numbers under `run_titles`."""

    name: str
    ended: str
    time: str
    numbers: tuple[str, ...]


def descent_answers(result: DescentResult | None) -> list[Answer]:
    """How the runs ended, whether they fit the data, and whether their losses fell all the way."""
    return [UNFINISHED] if result is None else [_ends(result), _fit(result), _falls(result)]


def run_titles(result: DescentResult | None) -> tuple[str, ...]:
    """The titles of the numbers of every run."""
    return TITLES + TEST_TITLES if _tested(result) else TITLES


def run_rows(result: DescentResult | None) -> list[RunRow]:
    """One row for each of the first `MOST_ROWS` runs."""
    return [] if result is None else [_run_row(run, _tested(result)) for run in result.runs[:MOST_ROWS]]


def _tested(result: DescentResult | None) -> bool:
    """Are there test samples?"""
    return result is not None and any(run.test_accuracy is not None for run in result.runs)


def _ends(result: DescentResult) -> Answer:
    diverged = sum(run.outcome == "diverged" for run in result.runs)
    verdict = f"{diverged} of {len(result.runs)} diverged" if diverged else "all ended"
    return Answer("How did the runs end?", verdict, "bad" if diverged else "plain", sentence_of(result.summary))


def _fit(result: DescentResult) -> Answer:
    fitted = sum(run.min_margin > 0.0 for run in result.runs)
    sentence = f"At the end {fitted} of {len(result.runs)} runs have all margins above 0."
    return Answer("Do the runs fit all samples?", f"{fitted} of {len(result.runs)}", "plain", sentence)


def _falls(result: DescentResult) -> Answer:
    question, watched = "Did the loss fall at every step?", [run for run in result.runs if run.loss_rises is not None]
    if not watched:
        return Answer(question, "not watched", "plain", "Losses are known at every step of full batches only.")
    risen = [run for run in watched if run.loss_rises]
    if not risen:
        return Answer(question, "yes", "good", f"No step of {len(watched)} runs raised the loss.")
    largest = max(run.largest_loss_rise or 0.0 for run in risen)
    sentence = f"In {len(risen)} of {len(watched)} runs it rose at some steps, by {largest:.3g} in log L at most."
    return Answer(question, "no", "open", sentence)


def _run_row(run: RunResult, tested: bool) -> RunRow:
    name = f"η = {run.eta:g}" + ("" if run.seed is None else f", seed {run.seed}")
    counts = (run.loss_rises, run.largest_loss_rise, run.steps_above_bound)
    predicted = (run.train_accuracy, run.test_accuracy) if tested else ()
    values = (run.log_loss, run.min_margin, run.normalized_margin, run.stable_rank, *counts, *predicted)
    return RunRow(name, ENDED[run.outcome], time_text(run.log1p_time), (str(run.steps), *(number(x) for x in values)))
