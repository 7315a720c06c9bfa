"""Claims on the inputs in the reduced form (without biases), and on the start."""

from __future__ import annotations

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.arrays import Array
from gflow.claims.chatterji.setting import ROUNDING, setting
from gflow.claims.claim import Claim, Conclusion, Judge, condition


def reduction(run: AnalyzedRun) -> Claim:
    """<x~_s, x~_q> = (1 + <x_s, x_q>) / 2 >= 0 for inputs on the sphere."""
    setup = setting(run)
    X = run.problem.X
    raw = np.linalg.norm(X[:, :-1], axis=1)
    unit = condition("biases, and inputs of norm 1", setup.factor < 1.0 and bool(np.abs(raw - 1.0).max() < 1e-9))
    least = float((0.5 * X @ X.T).min())
    return Claim(
        "chat.redA",
        "Reduced inputs (x, 1)/sqrt(2) have nonnegative inner products; the value is the least.",
        "data",
        (unit,),
        Conclusion(least >= -ROUNDING, least, 0.0),
    )


def lemma21(run: AnalyzedRun) -> Claim:
    """Products of reduced inputs of four clusters: opposite labels <= (1 + Delta)/2 + 2r, one cluster >= 1 - 2r."""
    setup, y = setting(run), run.problem.y
    raw = run.problem.X[:, :-1]
    unit = setup.factor < 1.0 and bool(np.abs(np.linalg.norm(raw, axis=1) - 1.0).max() < 1e-9)
    both = bool((y > 0.0).any() and (y < 0.0).any())
    conclusion = None
    if unit and both:
        conclusion = _cluster_products(raw, y)
    return Claim(
        "chat.lem21",
        "Reduced inputs: <x_s, x_q> <= (1 + Delta)/2 + 2r for opposite labels, >= 1 - 2r in a cluster; the least room.",
        "data",
        (condition("biases, and inputs of norm 1", unit), condition("both labels", both)),
        conclusion,
    )


def _cluster_products(raw: Array, y: Array) -> Conclusion:
    """Two clusters a label, split along the label's first principal direction; centres are their unit means."""
    cluster = np.zeros(y.size, dtype=np.intp)
    for k, sign in enumerate((1.0, -1.0)):
        own = raw[y == sign]
        leading = np.linalg.svd(own - own.mean(axis=0), full_matrices=False)[2][0]
        cluster[y == sign] = 2 * k + ((own - own.mean(axis=0)) @ leading > 0.0)
    present = [k for k in range(4) if (cluster == k).any()]
    means = np.array([raw[cluster == k].mean(axis=0) for k in present])
    centres = means / np.linalg.norm(means, axis=1, keepdims=True)
    place = np.searchsorted(present, cluster)
    r = float(np.linalg.norm(raw - centres[place], axis=1).max())
    labels = np.array([y[cluster == k][0] for k in present])
    delta = float((centres @ centres.T)[labels[:, None] != labels[None, :]].max())
    products = 0.5 * (1.0 + raw @ raw.T)
    opposite, same = y[:, None] != y[None, :], place[:, None] == place[None, :]
    room = min(0.5 * (1.0 + delta) + 2.0 * r - products[opposite].max(), products[same].min() - 1.0 + 2.0 * r)
    return Conclusion(bool(room >= -ROUNDING), float(room), 0.0)


def lemma15_3(run: AnalyzedRun) -> Claim:
    """g_s(0) = 1/2 up to o(1): how far it is."""
    log_g = run.problem.loss.log_slope(run.state(0).p)
    return Claim(
        "chat.lem15.3",
        "At the start every g_s is 1/2 up to o(1); the constant is the largest |g_s - 1/2|.",
        "start",
        setting(run).network(),
        Conclusion(True, constant=float(np.abs(np.exp(log_g) - 0.5).max())),
    )


CLAIMS: tuple[Judge, ...] = (
    reduction,
    lemma21,
    lemma15_3,
)
