"""The text of an analysis: a paragraph for every analyzer, and the claims of the papers as a table."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence

from gflow.analysis.failure import Failed
from gflow.claims.claim import Claim, Conclusion
from gflow.pipeline.findings import Findings

VERDICTS = {"violated": "violated", "holds": "hold", "not applicable": "not applicable"}
# Verdicts of claims that are always shown, also where other analyzers were asked for.
ALARMING = ("failed", "violated")


def findings_text(found: Findings, columns: int = 120) -> str:
    """A paragraph for every analyzer, then the claims: counts, and each one when nothing else was asked for."""
    width = max(len(name) for name in found)
    verdicts = {name: result.verdict for name, result in found.items() if not isinstance(result, tuple)}
    second = max((len(verdict) for verdict in verdicts.values()), default=0)
    lines = []
    for name, verdict in verdicts.items():
        start = f"{name:<{width}}  {verdict:<{second}}  "
        lines += textwrap.wrap(start + found[name].summary, columns, subsequent_indent=" " * len(start))
    if "claims" in found and not isinstance(found["claims"], Failed):
        claims: Sequence[Claim] = found["claims"]
        lines.append(f"{'claims':<{width}}  {claims_summary(claims)}")
        shown = claims if not verdicts else [claim for claim in claims if claim.verdict in ALARMING]
        lines += [claim_text(claim) for claim in shown]
    return "\n".join(lines)


def claims_summary(claims: Sequence[Claim]) -> str:
    """`0 violated, 31 hold, 12 not applicable`; failed ones, if any, before all."""
    counts = Counter(str(claim.verdict) for claim in claims)
    if not claims:
        return "no paper of gflow's is about a network of this kind"
    failed = [f"{counts['failed']} failed"] if counts["failed"] else []
    return ", ".join([*failed, *(f"{counts[verdict]} {name}" for verdict, name in VERDICTS.items())])


def claim_text(claim: Claim) -> str:
    """Verdict, id, value against bound, where it was looked at; which hypotheses fail, or what went wrong."""
    failed = [each for each in claim.hypotheses if not each.holds]
    line = f"  {claim.verdict:<14}  {claim.id:<24}  "
    if claim.error is not None:
        return line + claim.statement
    if failed:
        slacks = ["" if each.slack is None else f" (slack {each.slack:.3g})" for each in failed]
        return f"{line}fails: {', '.join(each.name + slack for each, slack in zip(failed, slacks, strict=True))}"
    return line + (conclusion_text(claim.conclusion) if claim.conclusion else "") + f"  ({claim.checked})"


def conclusion_text(conclusion: Conclusion) -> str:
    """`value 0.3, bound 1.2, slack 4`, or `constant 1.7`."""
    numbers = {
        "value": conclusion.value,
        "bound": conclusion.bound,
        "slack": conclusion.slack,
        "constant": conclusion.constant,
    }
    return ", ".join(f"{name} {number:.4g}" for name, number in numbers.items() if number is not None)
