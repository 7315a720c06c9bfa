"""Frei et al., Theorem 4.2 and Lemmas E.12 to E.14 for gradient flow: how the loss falls and the weights grow."""

from __future__ import annotations

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.arrays import Bools
from gflow.claims.claim import Claim, Hypothesis, Judge, above, at_most, condition
from gflow.claims.data import loss_ratio_bound
from gflow.claims.frei.checks import (
    ROUNDING,
    bounded_ratio,
    least,
    logistic,
    nearly_orthogonal,
    no_less,
    no_more,
    no_more_log,
    small_start,
    uncrowded,
)
from gflow.claims.frei.rows import Rows, rows_of
from gflow.claims.frei.setting import FreiSetting, setting_of
from gflow.flow_time import log_times

SEEN = 10.0  # times the error of the weights: growth beyond it is the flow's


def _started(run: AnalyzedRun) -> Bools:
    """Rows (T,) where the start is negligible: its components against mu are at most half of the growth along mu.

    The growth must be seen, too: weights are known to atol.
    """
    setting, rows = setting_of(run), rows_of(run)
    growth = 0.25 * setting.slope * setting.sizes.Rmin**2 * rows.tau
    error = float(run.trajectory.facts["atol"]) * setting.scale * np.sqrt(setting.m) * float(np.linalg.norm(setting.mu))
    return np.asarray((growth > SEEN * error) & (-rows.measures.reach[0] <= growth))


def _short_start(setting: FreiSetting, rows: Rows) -> Bools:
    """Rows (T,) where |W(0)|_F is at most the growth of the upper bound of |W|_F."""
    return np.asarray(rows.norm[0] <= _growth(setting) * rows.tau)


def _growth(setting: FreiSetting) -> float:
    """sqrt(2 C_R / n) Rmax, the bound of |grad L|_F / Ghat."""
    return float(np.sqrt(2.0 * loss_ratio_bound(setting.sizes, setting.slope) / setting.n) * setting.sizes.Rmax)


def _some_row(rows: Bools) -> Hypothesis:
    return condition("the start is negligible, and the growth above atol, from some row on", bool(rows.any()))


def theorem_42_loss(run: AnalyzedRun) -> Claim:
    """The rate of the loss, as logs."""
    setting, rows = setting_of(run), rows_of(run)
    v = rows.v[1:]
    log_time = log_times(v)
    log_factor = np.log(64.0 * setting.n) + 2.0 * np.log(setting.sizes.R / (setting.slope * setting.sizes.Rmin))
    log_bound = 0.5 * (rows.log_loss[0] + log_factor - log_time)
    conclusion = no_more_log(run, rows.log_loss[1:], log_bound)
    hypotheses = (nearly_orthogonal(setting), small_start(run), logistic(run))
    statement = "L(t) <= sqrt(C1 n / (Rmin^2 t)), C1 = 64 L(0) R^2 / slope^2: both as logs, at the least slack"
    return Claim("frei.thm4.2.item1", statement, "rows", hypotheses, conclusion)


def theorem_42_neurons(run: AnalyzedRun) -> Claim:
    """Every neuron grows without bound."""
    setting, rows = setting_of(run), rows_of(run)
    sizes, started = setting.sizes, _started(run)
    rate = setting.slope * sizes.Rmin**2 / (4.0 * np.sqrt(2.0 * setting.n) * sizes.Rmax)
    conclusion = no_less(run, rows.measures.neuron_norm, rate * rows.tau, started)
    statement = "|w_j(t)| / |a_j| >= slope Rmin^2 / (4 sqrt(2 n) Rmax) tau for every neuron: the least"
    hypotheses = (nearly_orthogonal(setting), small_start(run), _some_row(started))
    return Claim("frei.thm4.2.item2", statement, "rows", hypotheses, conclusion)


def theorem_42_rank(run: AnalyzedRun) -> Claim:
    """The stable rank stays bounded."""
    setting, rows = setting_of(run), rows_of(run)
    chosen = _started(run) & _short_start(setting, rows)
    bound = 256.0 * loss_ratio_bound(setting.sizes, setting.slope) * setting.sizes.R**4 / setting.slope**2
    conclusion = no_more(run, rows.stable_rank, bound, chosen)
    hypotheses = (nearly_orthogonal(setting), bounded_ratio(run), _some_row(chosen))
    statement = "SR(W(t)) <= 256 C_R R^4 / slope^2 from when the start is negligible: the largest"
    return Claim("frei.thm4.2.item3", statement, "rows", hypotheses, conclusion)


def lemma_e12(run: AnalyzedRun) -> Claim:
    """The weights grow at most linearly in tau."""
    setting, rows = setting_of(run), rows_of(run)
    conclusion = no_more(run, rows.norm, rows.norm[0] + _growth(setting) * rows.tau, rows.tau > 0.0)
    statement = "|W(t)|_F <= |W(0)|_F + sqrt(2 C_R / n) Rmax tau at all times"
    return Claim("frei.lemE12", statement, "rows", (nearly_orthogonal(setting), bounded_ratio(run)), conclusion)


def lemma_e12_neurons(run: AnalyzedRun) -> Claim:
    """Every neuron grows at most linearly in tau."""
    setting, rows = setting_of(run), rows_of(run)
    conclusion = no_more(run, rows.measures.neuron_growth, _growth(setting) * rows.tau, rows.tau > 0.0)
    statement = "(|w_j(t)| - |w_j(0)|) / |a_j| <= sqrt(2 C_R / n) Rmax tau for every neuron: the largest"
    hypotheses = (nearly_orthogonal(setting), bounded_ratio(run))
    return Claim("frei.lemE12.neurons", statement, "rows", hypotheses, conclusion)


def lemma_e12_rate(run: AnalyzedRun) -> Claim:
    """The speed of every neuron is bounded: Lemma E.12 as a rate."""
    setting, rows = setting_of(run), rows_of(run)
    conclusion = no_more(run, rows.measures.neuron_gradient, _growth(setting))
    statement = "|grad_{w_j} L| <= |a_j| Rmax sqrt(2 C_R / n) Ghat for every neuron: the largest ratio"
    hypotheses = (nearly_orthogonal(setting), bounded_ratio(run))
    return Claim("frei.lemE12.rate", statement, "rows", hypotheses, conclusion)


def lemma_e13(run: AnalyzedRun) -> Claim:
    """The spectral norm grows at least linearly in tau."""
    setting, rows = setting_of(run), rows_of(run)
    started = _started(run)
    rate = setting.slope * setting.sizes.Rmin / (4.0 * np.sqrt(2.0 * setting.n) * setting.sizes.R)
    conclusion = no_less(run, rows.spectral, rate * rows.tau, started)
    statement = "|W(t)|_2 >= slope Rmin / (4 sqrt(2 n) R) tau from when the start is negligible"
    return Claim("frei.lemE13", statement, "rows", (uncrowded(setting), _some_row(started)), conclusion)


def lemma_e13_neurons(run: AnalyzedRun) -> Claim:
    """Every neuron moves along mu."""
    setting, rows = setting_of(run), rows_of(run)
    started = _started(run)
    bound = 0.25 * setting.slope * setting.sizes.Rmin**2 * rows.tau
    conclusion = no_less(run, rows.measures.reach, bound, started)
    statement = "sign(a_j) <w_j(t), mu> / |a_j| >= slope Rmin^2 tau / 4 for every neuron: the least"
    return Claim("frei.lemE13.neurons", statement, "rows", (uncrowded(setting), _some_row(started)), conclusion)


def lemma_e13_rate(run: AnalyzedRun) -> Claim:
    """The speed of every neuron along mu is bounded from below: Lemma E.13 as a rate."""
    setting, rate = setting_of(run), rows_of(run).measures.reach_rate
    bound = np.full(rate.size, 0.5 * setting.slope * setting.sizes.Rmin**2)
    statement = "sign(a_j) <dw_j/dt, mu> >= slope |a_j| Rmin^2 Ghat / 2 for every neuron: the least ratio"
    return Claim("frei.lemE13.inc", statement, "rows", (uncrowded(setting),), no_less(run, rate, bound))


def lemma_e14(run: AnalyzedRun) -> Claim:
    """The gradient is never small against the mean weight."""
    setting = setting_of(run)
    sizes = setting.sizes
    value, v, checked = least(run, "inf_gradient_ratio", rows_of(run).measures.gradient, setting.scale)
    bound = setting.slope * sizes.Rmin / (2.0 * np.sqrt(2.0 * setting.n) * sizes.R)
    short = at_most("|mu|^2 <= 2 n Rmax^2", float(setting.mu @ setting.mu), 2.0 * setting.n * sizes.Rmax**2)
    statement = "|grad L|_F >= slope Rmin / (2 sqrt(2 n) R) Ghat at all times: the least |grad L|_F / Ghat"
    return Claim(
        "frei.lemE14", statement, checked, (uncrowded(setting), short), above(value, float(bound), v, ROUNDING)
    )


CLAIMS: tuple[Judge, ...] = (
    theorem_42_loss,
    theorem_42_neurons,
    theorem_42_rank,
    lemma_e12,
    lemma_e12_neurons,
    lemma_e12_rate,
    lemma_e13,
    lemma_e13_neurons,
    lemma_e13_rate,
    lemma_e14,
)
