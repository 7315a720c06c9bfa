"""Claims on Huberized ReLU networks: on runs that meet the hypotheses, on runs that do not, and with wrong numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

import gflow
from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.gradient import Along, along
from gflow.claims.chatterji import CLAIMS, applies, pointwise
from gflow.claims.chatterji.descent import hessian_ratio
from gflow.claims.chatterji.setting import setting
from gflow.claims.chatterji.small_loss import CONCAVE_UNTIL, concave_bound, predicate
from gflow.claims.claim import Claim
from gflow.problem.activation import Huberized
from gflow.scenario import parse_scenario

Array = NDArray[np.float64]

HUBERIZED = """
gflow: 1
name: huberized
data: {{kind: file, path: {data}}}
model:
  kind: two_layer
  width: 16
  activation: {{kind: huberized_relu, h: inverse_half_width}}
  outer: {{values: signs, scale: one}}
  bias: true
init: {{kind: gaussian, std: 0.3, bias: same}}
loss: logistic
flow: {{rtol: 1.0e-7, atol: 1.0e-9, until: {{log_time: 40.0}}}}
record: {{times: {{spacing: log, count: 40}}}}
"""


def run(folder: Path, norm: float = 1.0, *overrides: str) -> AnalyzedRun:
    """XOR of four clusters on the circle of this radius: positives near 135 and 315 degrees, negatives 45 and 225."""
    rng = np.random.default_rng(3)
    angle = np.deg2rad(np.repeat([135.0, 315.0, 45.0, 225.0], 3)) + 0.1 * rng.normal(size=12)
    np.savez(folder / "data.npz", X=norm * np.stack([np.cos(angle), np.sin(angle)], 1), y=np.repeat([1.0, -1.0], 6))
    text = HUBERIZED.format(data=folder / "data.npz")
    return AnalyzedRun.of(gflow.simulate(parse_scenario(text, overrides=overrides), out=folder / "run"))


@pytest.fixture(scope="module")
def xor(tmp_path_factory: pytest.TempPathFactory) -> AnalyzedRun:
    return run(tmp_path_factory.mktemp("xor"))


def judged(analyzed: AnalyzedRun) -> dict[str, Claim]:
    return {claim.id: claim for claim in (judge(analyzed) for judge in CLAIMS)}


def with_rows(analyzed: AnalyzedRun, change: Callable[[Along], Along]) -> AnalyzedRun:
    """The same analyzed with other numbers along its rows, and none of the running extremes."""
    other = AnalyzedRun(analyzed.trajectory, analyzed.problem)
    vars(other)["along"] = change(along(analyzed))
    object.__setattr__(other, "extreme", lambda name: None)
    return other


def test_every_claim_holds_where_its_hypotheses_do(xor: AnalyzedRun) -> None:
    assert applies(xor)
    verdicts = {name: claim.verdict for name, claim in judged(xor).items()}
    assert verdicts == dict.fromkeys(verdicts, "holds")
    assert len(verdicts) == len(CLAIMS) == 15


def test_the_hessian_is_that_of_autograd(xor: AnalyzedRun) -> None:
    """The operator norm over L at the middle row, from the dense weak Hessian."""
    row = xor.trajectory.n_rows // 2
    X, y = torch.tensor(xor.trajectory.X), torch.tensor(xor.trajectory.y)
    a, h = torch.tensor(xor.trajectory.outer), 1.0 / 8.0

    def loss(flat: torch.Tensor) -> torch.Tensor:
        z = flat.reshape(16, 3) @ X.T
        phi = torch.where(z < 0.0, 0.0 * z, torch.where(z < h, z**2 / (2.0 * h), z - 0.5 * h))
        return torch.nn.functional.softplus(-y * (a @ phi)).mean()

    W = torch.tensor(xor.trajectory.weights(row)).ravel()
    dense = torch.autograd.functional.hessian(loss, W).numpy()  # type: ignore[no-untyped-call]
    expected = np.abs(np.linalg.eigvalsh(dense)).max() / float(loss(W))
    assert hessian_ratio(xor, row) == pytest.approx(expected, rel=1e-6)


def test_the_reduction_scales_hessian_and_gradient(xor: AnalyzedRun) -> None:
    """In the form without biases gradients are those of the run over sqrt(2), norms those times sqrt(2)."""
    claims, rows = judged(xor), along(xor)
    rows_of_lemma_6 = np.unique(np.linspace(0, rows.v.size - 1, 5).round().astype(int))
    own = max(hessian_ratio(xor, int(row)) for row in rows_of_lemma_6)
    conclusion = claims["chat.lem6"].conclusion
    assert conclusion is not None and conclusion.value == pytest.approx(0.5 * own) and conclusion.bound == 40.0
    assert setting(xor).norms == pytest.approx(1.0)


def test_equation_5_from_the_weights(xor: AnalyzedRun) -> None:
    """<-grad L, V> by a directional derivative of the loss along V."""
    X, y, a = xor.trajectory.X, xor.trajectory.y, xor.trajectory.outer
    W, activation = xor.trajectory.weights(20), Huberized(1.0 / 8.0)

    def loss(scale: float) -> float:
        return float(np.mean(np.logaddexp(0.0, -y * (a @ activation.value(scale * W @ X.T)))))

    inward = -(loss(1.0 + 1e-6) - loss(1.0 - 1e-6)) / 2e-6
    rows, n = along(xor), y.size
    ours = np.exp(rows.log_mean_slope[20]) * rows.dual[20] @ rows.euler[20]
    assert ours == pytest.approx(inward, rel=1e-6)
    total = n * loss(1.0)
    assert total <= CONCAVE_UNTIL
    bound = (1.0 - np.exp(-total)) / n * np.log(1.0 / np.expm1(total)) - loss(1.0)
    assert concave_bound(rows)[20] - 1.0 == pytest.approx(bound / loss(1.0), rel=1e-9)


@pytest.mark.parametrize(
    "names, change",
    [
        (["chat.lem7"], lambda r: replace(r, gradient_ratio=20.0 * r.gradient_ratio)),
        (["chat.lem10"], lambda r: replace(r, gradient_ratio=0.7 * r.gradient_ratio)),
        (["chat.lem5"], lambda r: replace(r, step=1.5 * r.step)),
        (["chat.lem5"], lambda r: replace(r, log_loss=r.log_loss + np.where(np.arange(r.v.size) == 30, 9.0, 0.0))),
        (["chat.eq5"], lambda r: replace(r, euler=0.5 * r.euler)),
        (["chat.lem9"], lambda r: replace(r, smoothed=1.5 * r.smoothed)),
        (["chat.eq8.GF"], lambda r: replace(r, gradient_ratio=0.7 * r.gradient_ratio)),
        (["chat.thm1.GF"], lambda r: replace(r, log_loss=np.maximum(r.log_loss, r.log_loss[30]))),
        (["chat.thm1.GF"], lambda r: replace(r, v=r.v + np.where(r.v > 20.0, 9.0, 0.0))),
        (["chat.I3.GF"], lambda r: replace(r, size=r.size * np.exp(np.arange(r.v.size)))),
    ],
)
def test_wrong_numbers_violate_the_claims(xor: AnalyzedRun, names: list[str], change: Callable[[Along], Along]) -> None:
    found = judged(with_rows(xor, change))
    for name in names:
        assert found[name].verdict == "violated", name


def test_theorem_1_against_an_equation_that_attains_it(xor: AnalyzedRun) -> None:
    """du/dt = (25/36) J^2 / log^2 u at fixed J, integrated by itself: both sides are equal, and 1 % slower violates."""
    rows = along(xor)
    first = int(np.flatnonzero(predicate(rows) >= 5.0 / 6.0)[0])
    J = rows.log_loss[first] ** 2 / rows.size[first]

    def slope(log_t: float, log_u: Array, rate: float) -> Array:
        return np.asarray(rate * 25.0 / 36.0 * J**2 * np.exp(log_t - log_u) / log_u**2)

    for rate, verdict in ((1.0 + 1e-5, "holds"), (0.99, "violated")):
        v, start = rows.v[first:], -rows.log_loss[first]
        log_t = np.log(np.expm1(v))
        solved = solve_ivp(slope, log_t[[0, -1]], [start], "LSODA", log_t, args=(rate,), rtol=1e-10, atol=1e-10)
        attained = np.append(rows.log_loss[:first], -solved.y[0])
        claim = judged(with_rows(xor, lambda r, by=attained: replace(r, log_loss=by)))["chat.thm1.GF"]  # type: ignore[misc]
        assert claim.verdict == verdict
        assert claim.conclusion is not None and abs(claim.conclusion.value or 0.0) < 0.02


def test_theorem_1_is_silent_while_the_loss_is_large(xor: AnalyzedRun) -> None:
    large = judged(with_rows(xor, lambda r: replace(r, log_loss=np.maximum(r.log_loss, -1.0))))
    assert large["chat.thm1.GF"].verdict == large["chat.eq8.GF"].verdict == "not applicable"
    assert large["chat.thm1.GF"].conclusion is None


def test_a_larger_bandwidth_breaks_the_huber_inequality(xor: AnalyzedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: the inequality with a fifth of the run's own h."""
    own = setting(xor)
    monkeypatch.setattr(pointwise, "setting", lambda _: replace(own, h=0.2 * own.h))
    assert pointwise.huber(xor).verdict == "violated"


def test_longer_inputs_are_outside_the_theorems(tmp_path: Path) -> None:
    """Inputs of norm 2: bounds that need the sphere are not applicable, whatever their numbers; the others hold."""
    found = judged(run(tmp_path, 2.0, "flow.until={time: 5.0}"))
    outside = {"chat.redA", "chat.lem21", "chat.lem6", "chat.lem7"}
    assert {name for name in outside if found[name].verdict != "not applicable"} == set()
    assert found["chat.huber"].verdict == found["chat.lem5"].verdict == "holds"


def test_other_outer_weights_are_outside_the_theorems(tmp_path: Path) -> None:
    found = judged(
        run(tmp_path, 1.0, "model.outer={values: signs, scale: inverse_sqrt_width}", "flow.until={time: 1.0}")
    )
    assert found["chat.eq5"].verdict == found["chat.lem7"].verdict == "not applicable"
    # L is not small after t = 1: no row meets the predicate.
    assert [h.holds for h in found["chat.lem10"].hypotheses if h.name.startswith("1 - (1 + log 2n)")] == [False]


@pytest.mark.parametrize("largest, checked", [(2.0, "every step"), (100.0, "rows")])
def test_a_running_extreme_proves_lemma_7_and_never_refutes_it(xor: AnalyzedRun, largest: float, checked: str) -> None:
    """mean g <= min(L, 1), so a ratio to mean g beyond the bound says nothing: then the rows decide."""
    other = AnalyzedRun(xor.trajectory, xor.problem)
    object.__setattr__(other, "extreme", lambda name: (largest, 0.5))
    claim = judged(other)["chat.lem7"]
    assert claim.verdict == "holds" and claim.checked == checked


def test_a_rise_between_the_rows_violates_lemma_5(xor: AnalyzedRun) -> None:
    other = AnalyzedRun(xor.trajectory, xor.problem)
    object.__setattr__(other, "extreme", lambda name: (1e-4, 0.5))
    claim = judged(other)["chat.lem5"]
    assert claim.verdict == "violated" and claim.conclusion is not None and claim.conclusion.log1p_time == 0.5


def test_the_worst_row_is_the_one_that_is_named(xor: AnalyzedRun) -> None:
    rows = along(xor)
    value = rows.gradient_ratio / np.sqrt(2.0) * np.exp(rows.log_mean_slope - np.minimum(rows.log_loss, 0.0))
    conclusion = judged(with_rows(xor, lambda each: each))["chat.lem7"].conclusion
    assert conclusion is not None
    assert conclusion.value == pytest.approx(value.max()) and conclusion.log1p_time == rows.v[value.argmax()]
