"""Claims of Kou et al.: they hold where their hypotheses do, in both scalings, and fail on doctored runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import gflow
from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.claims import kou
from tests.analysis.runs import file_of
from tests.claims.kou.runs import GAUSSIAN, RELU, judge, run, with_limit, with_start

MARGINS = ("lem5.9", "lem5.9.gap", "lem5.9.start", "lem5.9.rise", "eq5.12", "lemG3", "lemG3.weights", "lemG4")
ALWAYS = ("lem5.2", "lem5.2.sign", "C16.tri", "lemF1.gram", "lemF1.norm", "lemB1.beta", "lem5.8", "lemH4", "lemH5")
LEAKY = (
    "C4.elementary",
    "lemC1",
    "lemC2",
    "lemC3",
    "lemC4",
    "lem5.6",
    "lem5.6.certificate",
    "lem5.7",
    "lemD12",
    "lemG5",
)
THEOREM_LEAKY = tuple(f"thm4.1.{part}" for part in ("norm", "SR", "SR.rate", "margin", "kkt", "loss"))
ACTIVE = ("lemE1.a", "lemE1.b", "lemE1.c", "lemE2", "lemF1", "draft.loss")


def test_everything_that_applies_holds(explicit: AnalyzedRun) -> None:
    claims = judge(explicit)
    assert kou.applies(explicit)
    assert not [each.id for each in claims.values() if each.verdict == "violated"]
    expected = MARGINS + ALWAYS + (LEAKY + THEOREM_LEAKY if explicit.problem.network.slope else ACTIVE[:-1])
    missing = {name: claims[name] for name in expected if claims[name].verdict != "holds"}
    assert not missing


@pytest.mark.parametrize("activation", ["model.activation={kind: leaky_relu, slope: 0.3}", RELU])
def test_both_scalings_get_the_same_verdicts_and_numbers(tmp_path: Path, activation: str) -> None:
    """W_Frei(c^2 t) = c W_Kou(t), c = sqrt(2/m) = (1/20) / (1/sqrt 40), and log c^2 is negative."""
    c = np.sqrt(40.0) / 20.0
    end = 40.0 + 2.0 * np.log(c)
    in_kou = judge(run(tmp_path / "kou", activation))
    frei = ("model.outer={values: signs, scale: inverse_sqrt_width}", f"init.std={c * 1e-2}")
    in_frei = judge(run(tmp_path / "frei", activation, *frei, f"flow.until={{log_time: {end}}}"))
    assert {name: each.verdict for name, each in in_kou.items()} == {n: each.verdict for n, each in in_frei.items()}
    for name in (
        "eq5.12",
        "lemG3",
        "lem5.9.gap",
        "C16.tri",
        "lemF1",
        "lemB1.beta",
        "lem5.6",
        "thm4.1.norm",
        "thm4.3.norm",
    ):
        if name in in_kou and (one := in_kou[name].conclusion) is not None:
            other = in_frei[name].conclusion
            assert other is not None
            for field in ("value", "bound", "constant"):
                found = getattr(one, field)
                assert found is None or getattr(other, field) == pytest.approx(found, rel=0.02, abs=1e-6)


def test_crowded_inputs_meet_no_hypothesis_and_violate_nothing(tmp_path: Path) -> None:
    claims = judge(run(tmp_path, GAUSSIAN, "init.std=0.5", "flow.until={log_time: 300.0}"))
    assert not [each.id for each in claims.values() if each.verdict == "violated"]
    for name in (*MARGINS, "lem5.8", "lemC3", "thm4.1.SR"):
        assert claims[name].verdict == "not applicable"
    assert claims["C4.elementary"].verdict == claims["lem5.2"].verdict == "holds"


def test_other_networks_are_left_alone(tmp_path: Path) -> None:
    short = "flow.until={time: 0.1}"
    for k, change in enumerate(
        ("model.activation={kind: linear}", "model.outer.train=true", "model.bias=true", "init.std=0.1")
    ):
        assert kou.applies(run(tmp_path / str(k), change, short)) == (change == "init.std=0.1")


def test_a_wrong_limit_is_no_kkt_point(explicit: AnalyzedRun) -> None:
    limit = explicit.limit
    assert limit is not None
    turned = limit.U.copy()
    turned[0] *= 1.01
    assert judge(with_limit(explicit, replace(limit, U=turned)))["thm4.1.kkt"].verdict == "violated"
    assert (
        judge(with_limit(explicit, replace(limit, multipliers=1.01 * limit.multipliers)))["thm4.1.kkt"].verdict
        == "violated"
    )


def test_without_a_limit_nothing_is_said_of_it(explicit: AnalyzedRun) -> None:
    blind = judge(with_limit(explicit, None)).values()
    assert {each.verdict for each in blind if each.checked == "limit"} == {"not applicable"}


def test_doctored_slopes_and_labels_violate_the_identities(tmp_path: Path) -> None:
    path = file_of(run(tmp_path)).path
    steep = AnalyzedRun.of(gflow.open_trajectory(path))
    steep = AnalyzedRun(steep.trajectory, replace(steep.problem, network=replace(steep.problem.network, slope=0.5)))
    claims = judge(steep)
    assert {claims[name].verdict for name in ("lem5.2", "C4.elementary", "lem5.7")} == {"violated"}
    flipped = AnalyzedRun.of(gflow.open_trajectory(path))
    flipped = AnalyzedRun(flipped.trajectory, replace(flipped.problem, y=-flipped.problem.y))
    assert judge(flipped)["lem5.2.sign"].verdict == "violated"


def test_the_bound_of_the_stable_rank(tmp_path: Path) -> None:
    """Lemma D.4 at the last row; rows of one norm meet Lemma B.1 whatever the dimension is."""
    W = np.random.default_rng(2).standard_normal((40, 12))
    W *= 0.02 / np.linalg.norm(W, axis=1, keepdims=True)
    analyzed = run(tmp_path, with_start(tmp_path, W), "flow.until={log_time: 400.0}")
    claim = judge(analyzed)["lemD4"]
    assert claim.verdict == "holds" and claim.conclusion is not None
    excesses = []
    for sign in (1.0, -1.0):
        mine = analyzed.trajectory.weights(analyzed.trajectory.n_rows - 1)[analyzed.trajectory.outer == sign / 20.0]
        singular = np.linalg.svd(mine, compute_uv=False)
        excesses.append((singular[1:] ** 2).sum() / singular[0] ** 2)
    value, bound = claim.conclusion.value, claim.conclusion.bound
    assert value is not None and bound is not None and 0.0 < value < bound < 0.1
    assert min(abs(value / each - 1.0) for each in excesses) < 1e-6


def test_the_sign_rule_is_measured_per_sample(explicit: AnalyzedRun) -> None:
    """max over rows and samples of -rho_ji sign(a_j) y_i / max_j |rho_ji|, by least squares from full weights."""
    trajectory = explicit.trajectory
    X, signs = trajectory.X, np.sign(trajectory.outer)[:, None] * trajectory.y
    unit = X / np.linalg.norm(X, axis=1, keepdims=True) ** 2
    worst = -np.inf
    for row in range(1, trajectory.n_rows):
        moved = trajectory.weights(row) - trajectory.W_initial
        rho = np.linalg.lstsq(unit.T, moved.T, rcond=None)[0].T
        if np.abs(rho).max() > 1e-3:
            worst = max(worst, float((-(rho * signs).min(axis=0) / np.abs(rho).max(axis=0)).max()))
    claim = judge(explicit)["lem5.2.sign"]
    assert "of the same sample" in claim.statement and claim.conclusion is not None
    assert claim.conclusion.value == pytest.approx(worst, abs=1e-6)


def test_signs_inferred_from_the_limit_say_so(tmp_path: Path) -> None:
    """At the start the last flips are ahead: nothing but the limit knows of them.  Later they are in the events."""
    early = judge(run(tmp_path / "early", "flow.until={time: 1.0e-3}", "record.times.count=3"))["lem5.6"]
    assert early.verdict == "holds" and early.checked == "limit"
    assert "inferred from the proved limit" in early.statement
    assert early.conclusion is not None and early.conclusion.constant is None
    late = judge(run(tmp_path / "late"))["lem5.6"]
    assert late.verdict == "holds" and late.checked == "every step" and "inferred" not in late.statement
    assert late.conclusion is not None and late.conclusion.constant is not None


def test_signs_that_are_not_those_of_the_limit_are_not_final(tmp_path: Path) -> None:
    """All pairs have their sign at the last row, but a limit with another one says that it will not stay."""
    analyzed = run(tmp_path)
    limit = analyzed.limit
    assert limit is not None
    side = limit.side.copy()
    side[0, 0] *= -1
    claim = judge(with_limit(analyzed, replace(limit, side=side)))["lem5.6"]
    assert claim.conclusion is not None and not claim.conclusion.holds and claim.verdict == "not applicable"


@pytest.mark.parametrize("activation", ["model.activation={kind: leaky_relu, slope: 0.3}", RELU])
def test_a_loss_that_has_not_begun_to_fall_is_no_evidence(tmp_path: Path, activation: str) -> None:
    """L = log 2 and the limit known: a constant was made of it, 414 or any other.  Later there is one near 1."""
    short = judge(run(tmp_path / "short", activation, "flow.until={time: 0.5}", "record.times.count=5"))
    name = "thm4.3.loss" if activation == RELU else "thm4.1.loss"
    for claim in (short[name], short["draft.loss"]):
        assert claim.verdict == "not applicable" and claim.conclusion is None
        assert any(h.name.startswith("a row in the later half") and not h.holds for h in claim.hypotheses)
    assert short["lemF1"].verdict == "not applicable"
    late = judge(run(tmp_path / "late", activation, "flow.until={log_time: 60.0}"))[name]
    assert late.verdict == "holds" and late.conclusion is not None and late.conclusion.constant is not None
    assert 1.0 <= late.conclusion.constant < 5.0


def test_a_claim_at_an_expected_limit_confirms_but_does_not_refute(explicit: AnalyzedRun) -> None:
    limit = explicit.limit
    assert limit is not None
    turned = limit.U.copy()
    turned[0] *= 1.01
    wrong = with_limit(explicit, replace(limit, U=turned), "expected")
    assert judge(with_limit(explicit, limit, "expected"))["thm4.1.kkt"].verdict == "holds"
    claim = judge(wrong)["thm4.1.kkt"]
    assert claim.verdict == "not applicable"
    assert [h.name for h in claim.hypotheses if not h.holds] == ["limit of the flow known (expected)"]


def test_sums_over_the_neurons_of_a_sign_need_as_many_of_each(tmp_path: Path) -> None:
    """All a_j = 1: twice as many neurons add up to F_1 as the bound counts, whose start alone exceeds it."""
    W = np.array([[1.0, 0.0], [1.0, 0.0]])
    np.savez(tmp_path / "data.npz", X=np.eye(2), y=np.array([1.0, -1.0]))
    np.savez(tmp_path / "start.npz", W=W, a=np.ones(2))
    files = [
        f"{kind}={{kind: file, path: {tmp_path / name}}}"
        for kind, name in (("data", "data.npz"), ("init", "start.npz"))
    ]
    claim = judge(run(tmp_path / "run", *files, "model.width=2", "model.outer={train: false}"))["C16.tri"]
    assert claim.conclusion is not None and not claim.conclusion.holds
    assert claim.verdict != "violated", claim
