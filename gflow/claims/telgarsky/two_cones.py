"""Telgarsky, Proposition 2.6: data on which the best linear classifier is a KKT point, and the flow does better."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls
from scipy.sparse.csgraph import connected_components

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.gradient import along
from gflow.arrays import Array
from gflow.claims.claim import Claim, Hypothesis, Judge, above, below, condition
from gflow.claims.telgarsky.data import separation, separator
from gflow.claims.telgarsky.setting import normalized, relu, standard_start, two_layers
from gflow.problem.span import row_norms

EXACT = 1e-6  # of directions and coordinates
MOST = 100  # samples among which x' is looked for


def _positive(run: AnalyzedRun) -> Hypothesis:
    return condition("all labels are +1", bool((run.problem.y == 1.0).all()))


def _separable(run: AnalyzedRun) -> Hypothesis:
    return condition("linearly separable data", separation(run)[0] > 0.0)


def least_alpha(C: Array) -> float | None:
    """The least alpha with which the samples C (n, r), all of label +1, are those of the proposition; None without one.

    The others are unit vectors in S1 and S2 with products <= -1/sqrt(2) between the two, separated best by u; and
    x' = alpha v_0 - sqrt(1 - alpha^2) v_1, alpha > 0, with a support vector v_1 and v_0 along u - <u, v_1> v_1.
    """
    if not 3 <= C.shape[0] <= MOST or np.abs(row_norms(C) - 1.0).max() > EXACT:
        return None
    products = C @ C.T
    linked, found = products > -np.sqrt(0.5) + EXACT, list[float]()
    for i in range(C.shape[0]):
        rest = np.delete(np.arange(C.shape[0]), i)
        if connected_components(linked[np.ix_(rest, rest)], directed=False)[0] < 2:
            continue
        u = separator(np.ones(rest.size), C[rest])
        reached = C[rest] @ u
        if reached.min() <= 0.0:
            continue
        for k in rest[reached <= reached.min() + EXACT]:
            across = u - (u @ C[k]) * C[k]
            size = float(np.linalg.norm(across))
            alpha = float(C[i] @ across) / size if size > EXACT else 0.0
            if alpha > EXACT and abs(products[i, k] + np.sqrt(max(1.0 - alpha**2, 0.0))) <= EXACT:
                found.append(alpha)
    return min(found, default=None)


def linear_kkt(run: AnalyzedRun) -> Claim:
    """One neuron along u is a KKT point: u = sum lambda_i x_i over its support vectors, lambda >= 0."""
    gh, z = separation(run)
    conclusion = None
    if gh > 0.0 and _positive(run).holds:
        C = run.problem.span.C
        support = C[z <= gh * (1.0 + EXACT)]
        conclusion = below(float(nnls(support.T, separator(run.problem.y, C))[1]), EXACT)
    return Claim(
        "tel.prop2.6.kkt",
        "The linear classifier u of largest margin, as one neuron, is a KKT point; the value is the least "
        "|u - sum lambda_i x_i| over lambda >= 0 of its support vectors.",
        "data",
        (_positive(run), _separable(run), relu(run)),
        conclusion,
    )


def proposition_2_6(run: AnalyzedRun) -> Claim:
    """The flow from a random start goes to a larger margin than that of the linear classifier, which is a KKT point.

    The normalised smoothed margin never falls once the data are fitted, so one above gh decides; one below does not.
    """
    gh, _ = separation(run)
    alpha = least_alpha(run.problem.span.C) if _positive(run).holds else None
    kind = alpha is not None
    hypotheses = (
        _positive(run),
        condition(f"S1, S2 and x' of the proposition (looked for among at most {MOST} samples)", kind),
        condition(
            "alpha is small and the width large enough for the proposition, which leaves open how much", kind, False
        ),
        two_layers(run),
        relu(run),
        standard_start(run),
    )
    rows = along(run)
    return Claim(
        "tel.prop2.6",
        "The limit of the normalised smoothed margin is above gh, the margin of the best linear classifier, which as a "
        "network is a KKT point of margin gh/2; the value is that of the last row, and never falls.",
        "last row",
        hypotheses,
        above(float(normalized(rows)[-1]), gh, float(rows.v[-1])) if gh > 0.0 else None,
    )


CLAIMS: tuple[Judge, ...] = (
    linear_kkt,
    proposition_2_6,
)
