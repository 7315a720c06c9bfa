"""Frei et al., Theorem 3.4: the data are fitted within an explicit time, since mu separates them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.arrays import Index
from gflow.claims.claim import Checked, Claim, Conclusion, Judge, above, below, condition
from gflow.claims.frei.checks import ROUNDING, least
from gflow.claims.frei.rows import paper_time, rows_of
from gflow.claims.frei.setting import FreiSetting, both_signs, near_orthogonal, setting_of
from gflow.flow_time import log_times


def _log_time_bound(run: AnalyzedRun, setting: FreiSetting) -> float:
    """log of 85 L(0) R^2 n^3 / (slope^2 Rmin^2)."""
    sizes = setting.sizes
    log_start = float(run.trajectory.read("log_loss", 0))
    return float(np.log(85.0 * setting.n**3) + log_start + 2.0 * np.log(sizes.R / (setting.slope * sizes.Rmin)))


def _arrival(run: AnalyzedRun, id: str, statement: str, rows: Index, name: str) -> Claim:
    """A level is passed by the time bound.  rows: those beyond the level; name: of the extreme that has the time.

    The time lies between the last row before the level and the first known one beyond it: where the bound lies there
    too, the rows are too few to decide.
    """
    setting, extreme = setting_of(run), run.extreme(name)
    v, first = run.log1p_time, int(rows[0]) if rows.size else run.trajectory.n_rows
    times = [float(v[first])] if rows.size else []
    times += [extreme[0]] if extreme is not None and rows.size else []
    before = float(paper_time(float(v[first - 1]) if first else 0.0, setting.scale))
    after = float(paper_time(min(times, default=float(v[-1])), setting.scale))
    log_bound = _log_time_bound(run, setting)
    log_before, log_after = (float(log_t) for log_t in log_times(np.array([before, after])))
    reached, passed = bool(times) and log_after <= log_bound, log_before > log_bound
    decided = condition("the run reaches the level by the bound on its time, or misses it", reached or passed)
    log1p_bound = float(np.logaddexp(0.0, log_bound))
    slack = float(np.exp(min(log_bound - log_after, 700.0))) if times else None
    conclusion = Conclusion(reached, after, log1p_bound, slack, log1p_time=after)
    checked: Checked = "rows" if extreme is None else "every step"
    return Claim(id, statement, checked, (near_orthogonal(setting), both_signs(setting), decided), conclusion)


def theorem_34(run: AnalyzedRun) -> Claim:
    """The flow fits the data within an explicit time."""
    bound = np.log(np.log(2.0) / run.problem.samples)
    statement = (
        "L < log(2) / n from some t0 <= 85 L(0) R^2 n^3 / (slope^2 Rmin^2) on: log(1 + t0), at most, in the units of "
        "the paper"
    )
    rows = np.flatnonzero(run.trajectory.log_loss < bound)
    return _arrival(run, "frei.thm3.4", statement, rows, "last_unfitted")


def _below_third(run: AnalyzedRun) -> Index:
    """Rows where Ghat < log(2) / (3 n)."""
    return np.flatnonzero(rows_of(run).measures.log_ghat < np.log(np.log(2.0) / (3.0 * run.problem.samples)))


def theorem_34_tau(run: AnalyzedRun) -> Claim:
    """The mean weight Ghat falls within the same time."""
    statement = "the first time with Ghat < log(2) / (3 n) is at most the bound of Theorem 3.4: its log(1 + t), at most"
    return _arrival(run, "frei.thm3.4.tau", statement, _below_third(run), "last_unfitted_g")


def _at_third(run: AnalyzedRun, part: str, statement: str, judge: Callable[[Index], Conclusion]) -> Claim:
    rows = _below_third(run)
    hypotheses = (condition("Ghat < log(2) / (3 n) in some row", rows.size > 0),)
    return Claim(f"frei.thm3.4.tau.{part}", statement, "rows", hypotheses, judge(rows) if rows.size else None)


def theorem_34_tau_margins(run: AnalyzedRun) -> Claim:
    """All samples are fitted where Ghat < log(2) / (3 n)."""

    def judge(rows: Index) -> Conclusion:
        margins = rows_of(run).measures.least_margin[rows]
        worst = int(np.argmin(margins))
        value = float(margins[worst])
        return Conclusion(value > 0.0, value, 0.0, log1p_time=float(run.log1p_time[rows[worst]]))

    return _at_third(run, "margins", "all M_i > 0 where Ghat < log(2) / (3 n): the least of them", judge)


def theorem_34_tau_loss(run: AnalyzedRun) -> Claim:
    """The loss is at most twice the mean weight Ghat where Ghat < log(2) / (3 n)."""

    def judge(rows: Index) -> Conclusion:
        measured = rows_of(run)
        ratio = np.exp(measured.log_loss[rows] - measured.measures.log_ghat[rows])
        worst = int(np.argmax(ratio))
        return below(float(ratio[worst]), 2.0, float(run.log1p_time[rows[worst]]), ROUNDING)

    return _at_third(run, "loss", "L / Ghat <= 2 where Ghat < log(2) / (3 n)", judge)


def _on_data(run: AnalyzedRun, part: str, statement: str, conclusion: Conclusion) -> Claim:
    id = f"frei.thm3.4.{part}"
    return Claim(id, statement, "data", (near_orthogonal(setting_of(run)),), conclusion)


def separation(run: AnalyzedRun) -> Claim:
    """mu separates the samples."""
    setting = setting_of(run)
    value = float((setting.y * (setting.C @ setting.mu)).min())
    conclusion = above(value, 2.0 / 3.0 * setting.sizes.Rmin**2, rounding=ROUNDING)
    return _on_data(run, "sep", "<mu, y_k x_k> >= 2/3 Rmin^2 for all k, mu = sum_i y_i x_i", conclusion)


def separation_norm(run: AnalyzedRun) -> Claim:
    """The norm of mu is bounded: |mu|^2 <= 2 n Rmax^2."""
    setting = setting_of(run)
    conclusion = below(float(setting.mu @ setting.mu), 2.0 * setting.n * setting.sizes.Rmax**2, rounding=ROUNDING)
    return _on_data(run, "sep.norm", "|mu|^2 <= 2 n Rmax^2", conclusion)


def separation_margin(run: AnalyzedRun) -> Claim:
    """The linear margin of mu."""
    setting = setting_of(run)
    size = float(np.linalg.norm(setting.mu))
    value = float((setting.y * (setting.C @ setting.mu)).min()) / size if size > 0.0 else 0.0
    conclusion = above(value, proxy_constant(setting) / setting.slope, rounding=ROUNDING)
    return _on_data(run, "sep.margin", "<mu / |mu|, y_k x_k> >= sqrt(2) Rmin / (3 R sqrt(n)) for all k", conclusion)


def proxy_constant(setting: FreiSetting) -> float:
    """sqrt(2) Rmin slope / (3 R sqrt(n))."""
    return float(np.sqrt(2.0 / setting.n) * setting.sizes.Rmin * setting.slope / (3.0 * setting.sizes.R))


def proxy_pl(run: AnalyzedRun) -> Claim:
    """The gradient is never small against the mean weight."""
    setting = setting_of(run)
    value, v, checked = least(run, "inf_gradient_ratio", rows_of(run).measures.gradient, setting.scale)
    statement = "|grad L|_F >= sqrt(2) Rmin slope / (3 R sqrt(n)) Ghat at all times: the least |grad L|_F / Ghat"
    conclusion = above(value, proxy_constant(setting), v, ROUNDING)
    return Claim("frei.thm3.4.proxyPL", statement, checked, (near_orthogonal(setting),), conclusion)


CLAIMS: tuple[Judge, ...] = (
    theorem_34,
    separation,
    separation_norm,
    separation_margin,
    proxy_pl,
    theorem_34_tau,
    theorem_34_tau_margins,
    theorem_34_tau_loss,
)
