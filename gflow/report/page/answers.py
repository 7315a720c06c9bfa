"""The table that opens a report: the questions that a reader of a run has, and how the run answers them."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gflow.console import printable

Json = Mapping[str, Any]
Tone = Literal["good", "open", "bad", "plain"]

TONES: dict[str, Tone] = {
    "proved": "good",
    "holds": "good",
    "low rank": "good",
    "observed": "open",
    "expected": "open",
    "proved_from_state": "open",
    "pending": "open",
    "approaching": "open",
    "undecided": "open",
    "not decided": "open",
    "last row only": "open",
    "violated": "bad",
    "failed": "bad",
    "pass": "good",
    "fail": "bad",
}
"""How a verdict is coloured; whatever else an analyzer says is plain."""

NOT_ANALYSED, ANALYSE = "not analysed", "Run gflow analyze, then gflow report."
NOT_VERIFIED = "not verified"
NOT_COMPARED, COMPARE = "not compared", "Run gflow compare with step sizes, then gflow report."
CLAIM_VERDICTS = ("failed", "violated", "holds", "not applicable")
QUESTIONS = {
    "freezing": "Is the activation pattern frozen for ever?",
    "direction": "Does the direction of the weights converge, and to what?",
    "kkt": "Is the limit a KKT point of the margin problem?",
    "rank": "Does the network become one of low rank?",
}
OTHERS = {"margins": "Margins", "alignment": "Alignment and balance", "rho": "Data-correlated decomposition"}
"""Analyzers beside the questions: what the page calls them."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One row: a question, the verdict that answers it, its colour, and a sentence."""

    question: str
    verdict: str
    tone: Tone
    sentence: str


def answers(
    run: Path, analysis: Json | None, comparison: Json | None, verification: Json | None = None
) -> list[Answer]:
    """One row for each question; the first is whether the run can be trusted.  run: its folder or file."""
    found: Json = {} if analysis is None else analysis
    rows = [_answer(question, *_results(name, found)) for name, question in QUESTIONS.items()]
    return [_trust_answer(run, verification), *rows, _claims_answer(found.get("claims")), _descent_answer(comparison)]


def other_findings(analysis: Json | None) -> list[Answer]:
    """What the analyzers beside the questions say; those that were run."""
    found: Json = {} if analysis is None else analysis
    return [_answer(title, found[name]) for name, title in OTHERS.items() if name in found]


def verified(verification: Json | None) -> list[Answer]:
    """The checks of `gflow verify`, with what was measured and its bound."""
    checks = [] if verification is None else verification["checks"]
    return [
        Answer(f"{check['group']}: {check['name']}", check["verdict"], tone_of(check["verdict"]), _measured(check))
        for check in checks
    ]


def _measured(check: Json) -> str:
    sentence = sentence_of(check["sentence"])
    if check["value"] is None or check["bound"] is None:
        return sentence
    return f"{sentence} Measured {check['value'] + 0.0:.2g}, bound {check['bound']:.2g}."


def _results(name: str, found: Json) -> list[Json]:
    """What answers a question: its analyzer, and for the direction the limit that it goes to."""
    results = [found[name]] if name in found else []
    if name == "direction" and results and found.get("limit", {}).get("verdict", "none") != "none":
        results.append(found["limit"])
    return results


def tone_of(verdict: str) -> Tone:
    """The colour of a verdict."""
    return TONES.get(verdict, "plain")


def _answer(question: str, *results: Json) -> Answer:
    """The verdict of the first result, the sentences of all."""
    if not results:
        return Answer(question, NOT_ANALYSED, "plain", ANALYSE)
    verdict: str = results[0]["verdict"]
    return Answer(question, verdict, tone_of(verdict), " ".join(sentence_of(result["summary"]) for result in results))


def sentence_of(summary: str) -> str:
    """The summary as a sentence, with a capital and a full stop."""
    summary = summary.strip()
    return summary[:1].upper() + summary[1:] + ("" if summary.endswith(".") else ".")


def claim_counts(claims: Sequence[Json]) -> dict[str, int]:
    """How many claims have each verdict."""
    counts = Counter(claim["verdict"] for claim in claims)
    return {verdict: counts[verdict] for verdict in CLAIM_VERDICTS}


def _trust_answer(run: Path, verification: Json | None) -> Answer:
    """What `gflow verify` found, with the names of the checks that fail."""
    question = "Can this run be trusted?"
    if verification is None:
        command = f"gflow verify {shlex.quote(printable(run))}"
        sentence = f"Nothing has checked it as it is: run {command}, then gflow report."
        return Answer(question, NOT_VERIFIED, "plain", sentence)
    failed = [f"{check['group']}: {check['name']}" for check in verification["checks"] if check["verdict"] == "fail"]
    if not failed:
        return Answer(question, verification["verdict"], "good", sentence_of(verification["summary"]))
    verdict = "1 check fails" if len(failed) == 1 else f"{len(failed)} checks fail"
    sentence = f"No, and so nor can what follows: {', '.join(failed)} (of {len(verification['checks'])} checks)."
    return Answer(question, verdict, "bad", sentence)


def _claims_answer(claims: Sequence[Json] | Json | None) -> Answer:
    question = "Do the theorems that apply hold on this run?"
    if claims is None:
        return Answer(question, NOT_ANALYSED, "plain", ANALYSE)
    if isinstance(claims, Mapping):  # no claims, but why there are none
        return _answer(question, claims)
    failed, violated, held, rest = claim_counts(claims).values()
    if failed:
        counts = f"{failed} of {len(claims)} claims could not be judged"
        sentence = f"{counts}, by an error of gflow; {violated} are violated."
        return Answer(question, "failed", "bad", sentence)
    if not violated + held:
        return Answer(question, "none applies", "plain", f"None of {rest} claims has its hypotheses fulfilled.")
    sentence = (
        f"Of {len(claims)} claims {held} hold, {violated} are violated; {rest} have a hypothesis that this run fails."
    )
    return Answer(question, "violated" if violated else "holds", "bad" if violated else "good", sentence)


def _descent_answer(comparison: Json | None) -> Answer:
    question = "Until when does gradient descent follow the flow?"
    if comparison is None:
        return Answer(question, NOT_COMPARED, "plain", COMPARE)
    runs = comparison["etas"]
    diverged = sum(run["outcome"] == "diverged" for run in runs)
    verdict = "1 step size" if len(runs) == 1 else f"{len(runs)} step sizes"
    if diverged:
        verdict = f"{diverged} of {len(runs)} {'diverges' if diverged == 1 else 'diverge'}"
    return Answer(question, verdict, "bad" if diverged else "plain", sentence_of(comparison["summary"]))
