"""Claims of Kou et al.: they hold where their hypotheses do, in both scalings, and fail on doctored runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import gflow
from gflow.analysis.claims import kou
from gflow.analysis.subject import Subject
from tests.analysis.claims.kou.runs import GAUSSIAN, RELU, judge, run, with_limit, with_start

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


def test_everything_that_applies_holds(explicit: Subject) -> None:
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


def test_a_wrong_limit_is_no_kkt_point(explicit: Subject) -> None:
    limit = explicit.limit
    assert limit is not None
    turned = limit.U.copy()
    turned[0] *= 1.01
    assert judge(with_limit(explicit, replace(limit, U=turned)))["thm4.1.kkt"].verdict == "violated"
    assert (
        judge(with_limit(explicit, replace(limit, multipliers=1.01 * limit.multipliers)))["thm4.1.kkt"].verdict
        == "violated"
    )


def test_without_a_limit_nothing_is_said_of_it(explicit: Subject) -> None:
    blind = judge(with_limit(explicit, None)).values()
    assert {each.verdict for each in blind if each.checked == "limit"} == {"not applicable"}


def test_doctored_slopes_and_labels_violate_the_identities(tmp_path: Path) -> None:
    path = run(tmp_path).trajectory.path
    steep = Subject.of(gflow.open_trajectory(path))
    steep = Subject(steep.trajectory, replace(steep.problem, network=replace(steep.problem.network, slope=0.5)))
    claims = judge(steep)
    assert {claims[name].verdict for name in ("lem5.2", "C4.elementary", "lem5.7")} == {"violated"}
    flipped = Subject.of(gflow.open_trajectory(path))
    flipped = Subject(flipped.trajectory, replace(flipped.problem, y=-flipped.problem.y))
    assert judge(flipped)["lem5.2.sign"].verdict == "violated"


def test_the_bound_of_the_stable_rank(tmp_path: Path) -> None:
    """Lemma D.4 at the last row; rows of one norm meet Lemma B.1 whatever the dimension is."""
    W = np.random.default_rng(2).standard_normal((40, 12))
    W *= 0.02 / np.linalg.norm(W, axis=1, keepdims=True)
    subject = run(tmp_path, with_start(tmp_path, W), "flow.until={log_time: 400.0}")
    claim = judge(subject)["lemD4"]
    assert claim.verdict == "holds" and claim.conclusion is not None
    excesses = []
    for sign in (1.0, -1.0):
        mine = subject.trajectory.weights(subject.trajectory.n_rows - 1)[subject.trajectory.outer == sign / 20.0]
        singular = np.linalg.svd(mine, compute_uv=False)
        excesses.append((singular[1:] ** 2).sum() / singular[0] ** 2)
    value, bound = claim.conclusion.value, claim.conclusion.bound
    assert value is not None and bound is not None and 0.0 < value < bound < 0.1
    assert min(abs(value / each - 1.0) for each in excesses) < 1e-6
