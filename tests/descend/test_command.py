"""`gflow descend`: files, text, exit codes, refusals that write nothing, and what compare, inspect and report make of
it."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import gflow
from gflow.cli import main
from gflow.descent_plan.result import DescentResult
from gflow.pipeline.descent.checkpoint import CHECKPOINT_FILE_NAME
from gflow.scenario import json_schema
from gflow.scenario.schema import Descent
from tests.descend.cases import TEXT, descended, scenario
from tests.descending import found as contents_of
from tests.resumed import contents

DONE = {"descent.h5", "descent.json", "scenario.yaml"}


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A scenario in a folder of its own, which is the present one."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "small.yaml"
    path.write_text(TEXT + "descent: {eta: [0.2, 0.1], until: {steps: 60}}\n")
    return path


def test_a_scenario_then_inspect_then_report(file: Path) -> None:
    folder = file.parent / "outputs" / "small"
    done = call("descend", "small.yaml")
    assert done.exit_code == 0 and done.stderr == "", done.stderr
    for words in ("n = 12, d = 5", "all steps", "Summary      gradient descent, 2 runs: 2 ended", "next: gflow report"):
        assert words in done.stdout
    assert names(folder) == DONE and (folder / "scenario.yaml").read_bytes() == file.read_bytes()
    content = json.loads((folder / "descent.json").read_text())
    assert [(run["eta"], run["seed"], run["steps"]) for run in content["runs"]] == [(0.2, None, 60), (0.1, None, 60)]
    assert content["command"] == "gflow descend small.yaml --eta 0.2 --eta 0.1 --steps 60"
    assert DescentResult.from_json(content, folder / "descent.h5").to_json() == content
    again = call(*content["command"].split()[1:], "--out", "again", "--json")
    assert json.loads(again.stdout)["runs"] == content["runs"]
    assert contents(folder / "descent.h5") == contents(Path("again") / "descent.h5")
    shown = call("inspect", folder)
    assert shown.exit_code == 0 and "gradient descent, eta = 0.2, 0.1; double precision on cpu" in shown.stdout
    report = call("report", folder)
    assert report.exit_code == 0 and names(folder) == DONE | {"descent.html"}
    page = (folder / "descent.html").read_text()
    for words in ("Report of gradient descent", "How did the runs end?", "fig-descent-loss", "η = 0.2", "all steps"):
        assert words.replace(" = ", "\u00a0=\u00a0") in page or words in page
    assert "gflow analyze" not in page and "Descent beside the flow" not in page


def test_options_take_the_place_of_keys(file: Path) -> None:
    assert call("descend", file, "--eta", "0.3", "--until-time", "6", "--batch", "4", "--seeds", "0..2").exit_code == 0
    found = json.loads(Path("outputs/small/descent.json").read_text())
    assert [(run["eta"], run["seed"], run["steps"]) for run in found["runs"]] == [(0.3, seed, 20) for seed in range(3)]
    assert found["command"].endswith("--eta 0.3 --until-time 6.0 --batch 4 --seeds 0,1,2") and found["kind"] == "sgd"
    rows = gflow.open_trajectory("outputs/small/descent.h5")
    assert set(rows.read("seed")) == {0, 1, 2} and rows.to_xarray()["seed"].dims == ("log1p_time",)
    text = call("inspect", "outputs/small").stdout
    assert "stochastic descent, batches of 4, seeds 0,1,2, eta = 0.3" in text
    report = call("report", "outputs/small")
    assert report.exit_code == 0 and "the mean of 3 seeds" in Path("outputs/small/descent.html").read_text()


def test_every_key_has_its_option_and_its_words() -> None:
    """What a scenario can ask for, the command line can; and the schema says it."""
    options = {option.name for option in main.commands["descend"].params}
    named = {"etas", "steps", "until_time", "until_log_loss", "watch_bound", "no_watch"}
    assert (set(Descent.model_fields) - {"eta", "until", "watch"}) | named <= options
    described = json_schema()["$defs"]["Descent"]["properties"]
    assert all(described[name]["description"] for name in Descent.model_fields)


WRONG = [
    (["--eta", "0"], "descent.eta[0] = 0.0: must be above 0"),
    (["--eta", "nan"], "descent.eta[0] = nan: must be a finite number"),
    (["--eta", "0.1", "--eta", "0.1"], "descent.eta[1] = 0.1: is listed twice"),
    (["--steps", "0"], "descent.until.steps = 0: must be at least 1"),
    (["--steps", "5", "--until-time", "3"], "`time` and `steps` are both given"),
    (["--until-time", "0.05"], "--eta 0.2: one step goes beyond the end at t = 0.05"),
    (["--eta", "0.1", "--schedule", "log_squared:first=0.1,factor=1"], "`eta` and `schedule` are both given"),
    (["--schedule", "log_squared:first=0.1"], "descent.schedule.factor is missing"),
    (["--schedule", "cosine:first=0.1"], "descent.schedule.kind = cosine: is not available; use log_squared"),
    (["--schedule", "nonsense"], "must be of the form log_squared:first=0.1,factor=0.02"),
    (["--batch", "13"], "must be in 1..12"),
    (["--batch", "0"], "descent.batch = 0: must be at least 1"),
    (["--batch", "1", "--stream"], "60 steps of 1 samples take more than the n = 12"),
    (["--stream"], "descent.stream = True: says how batches are taken"),
    (["--batch", "2", "--replacement", "--stream"], "takes each sample once"),
    (["--batch", "2", "--watch-bound", "1"], "needs the loss of every step"),
    (["--watch-bound", "1", "--no-watch"], "`losses` is false"),
    (["--batch", "2", "--schedule", "log_squared:first=0.1,factor=1"], "follows the loss"),
    (["--momentum", "1"], "descent.momentum = 1.0: must be below 1"),
    (["--weight-decay", "0"], "descent.weight_decay = 0.0: must be above 0"),
    (["--at-kink", "2"], "descent.at_kink = 2: must be at most 1"),
    (["--at-kink", "half"], "descent.at_kink = half: is not available"),
    (["--seeds", "0..3"], "decide nothing without random batches"),
    (["--seeds", "3..0", "--batch", "2"], "descent.seeds = 3..0: must be a list"),
    (["--seeds", "1,1", "--batch", "2"], "descent.seeds[1] = 1: is listed twice"),
    (["--seeds", "1,-1", "--batch", "2"], "descent.seeds[1] = -1: must be at least 0"),
    (["--seeds", "0..4095", "--batch", "2"], "makes more than 4096 runs"),
    (["--starts", "drawn"], "draws a start for every seed"),
    (["--seed", "1"], "--seed 1: draws batches, and here it draws none"),
    (["--batch", "2", "--seed", "-1"], "--seed -1: must be an integer of at least 0"),
    (["--resume", "--overwrite"], "exclude each other"),
    (["--resume"], "there is no descent to resume"),
    (["--out", ""], "is empty; name a folder"),
    (["--set", "descent.batches=3"], "descent.batches = 3: unknown key; did you mean `batch`?"),
    (["--set", "model.activation={kind: linear}", "--at-kink", "1"], "is for kinks, and linear has none"),
]


@pytest.mark.parametrize("arguments, said", WRONG, ids=[" ".join(each) for each, _ in WRONG])
def test_what_cannot_be_done_is_refused_in_one_line(file: Path, arguments: list[str], said: str) -> None:
    refused = call("descend", file, *arguments)
    assert refused.exit_code == 2 and refused.stdout == ""
    assert refused.stderr.startswith("gflow: ") and refused.stderr.count("\n") == 1 and said in refused.stderr
    assert names(file.parent) == {"small.yaml"}


@pytest.mark.parametrize(
    "descent, said",
    [
        ("{until: {steps: 3}}", "small.yaml:11: descent: neither `eta` nor `schedule` is given; add one of them"),
        ("{eta: [0.1], until: {}}", "small.yaml:11: descent.until: names no end of descent"),
        ("{eta: [0.1], batch: 2.5}", "small.yaml:11: descent.batch = 2.5: must be an integer"),
        ("{eta: [0.1], precision: half}", "descent.precision = half: is not available; use one of double, single"),
        ("{eta: [0.1], replacment: true}", "unknown key; did you mean `replacement`?"),
        ("{eta: [0.1], stream: yes, batch: 1}", "descent.stream = yes: must be true or false"),
        (
            "{schedule: {kind: log_squared, first: 0.1, factor: 1}, until: {time: 3}}",
            "descent.until.time = 3: is not known",
        ),
        ("{eta: [0.1], watch: {bound: -1}}", "descent.watch.bound = -1: must be above 0"),
        ("{eta: [0.1], seeds: 0..2, starts: drawn, batch: 30}", "must be in 1..12"),
    ],
)
def test_a_scenario_is_refused_with_the_line(file: Path, descent: str, said: str) -> None:
    file.write_text(TEXT + f"descent: {descent}\n")
    refused = call("descend", "small.yaml")
    assert refused.exit_code == 2 and refused.stderr.count("\n") == 1 and said in refused.stderr, refused.stderr
    assert names(file.parent) == {"small.yaml"}


def test_no_step_size_at_all(file: Path) -> None:
    file.write_text(TEXT)
    refused = call("descend", "small.yaml")
    assert refused.exit_code == 2 and "no step size is given" in refused.stderr and "--eta 0.1" in refused.stderr
    assert call("descend", "small.yaml", "--eta", "0.5").exit_code == 0
    rows = gflow.open_trajectory("outputs/small")
    assert rows.facts["until_time"] == 4.0, "the end of the flow"


def test_what_is_there_is_not_lost(file: Path, tmp_path: Path) -> None:
    assert call("descend", file).exit_code == 0
    before = Path("outputs/small/descent.h5").read_bytes()
    refused = call("descend", file, "--eta", "0.4")
    assert (
        refused.exit_code == 2
        and "exists already; go on with it by --resume, replace it by --overwrite" in refused.stderr
    )
    other = call("descend", file, "--eta", "0.4", "--resume")
    assert other.exit_code == 2 and "--resume: --eta is 0.4, and" in other.stderr
    assert Path("outputs/small/descent.h5").read_bytes() == before
    same = call("descend", file, "--resume")
    assert same.exit_code == 0 and "nothing is left to do" in same.stderr
    assert call("descend", file, "--eta", "0.4", "--overwrite").exit_code == 0
    assert set(gflow.open_trajectory("outputs/small").read("eta")) == {0.4}
    file.write_text(file.read_text().replace("seed: 3", "seed: 4"))
    foreign = call("descend", file, "--resume", "--eta", "0.4")
    assert foreign.exit_code == 2 and "is of another run than the one beside it (scenario" in foreign.stderr


def test_a_run_gets_its_descent_beside_it_and_compare_uses_it(tmp_path: Path) -> None:
    """The rows stay as they are, and the comparison is the one that compare alone makes."""
    for name in ("alone", "both"):
        gflow.simulate(scenario(), out=tmp_path / name)
    how = ["--eta", "0.2", "--eta", "0.1"]
    assert call("descend", tmp_path / "both", *how).exit_code == 0
    rows = (tmp_path / "both" / "descent.h5").read_bytes()
    compared = call("compare", tmp_path / "both", *how)
    assert compared.exit_code == 0 and "holds the descent that is asked for" in compared.stderr
    assert (tmp_path / "both" / "descent.h5").read_bytes() == rows
    assert call("compare", tmp_path / "alone", *how).exit_code == 0
    one, two = (contents_of(tmp_path / name) for name in ("alone", "both"))
    differs = {name for name in one if one[name] != two[name]}
    assert one.keys() == two.keys() and differs <= {"comparison"}
    first, second = (json.loads((tmp_path / name / "comparison.json").read_text()) for name in ("alone", "both"))
    assert first["etas"] == second["etas"] and first["fitted_order"] == second["fitted_order"]
    assert call("compare", tmp_path / "both", "--eta", "0.2").exit_code == 0, "another one is run anew"
    assert names(tmp_path / "both") == {"comparison.json", "descent.h5", "scenario.yaml", "trajectory.h5"}


def test_compare_does_what_the_scenario_asks_for_or_says_why_not(tmp_path: Path) -> None:
    trajectory = gflow.simulate(scenario("descent={eta: [0.2], batch: 3, replacement: true}"), out=tmp_path / "run")
    found = gflow.compare(trajectory)
    assert (found.etas[0].kind, found.etas[0].seed) == ("sgd", 3) and "--sgd 3 --seed 3 --replacement" in found.command
    for descent, said in (
        ("{eta: [0.2], batch: 3, seeds: 0..2, starts: drawn}", "descent.starts = drawn: other starts"),
        ("{schedule: {kind: log_squared, first: 0.1, factor: 1}, until: {steps: 9}}", "descent.schedule: a comparison"),
        ("{eta: [0.2], momentum: 0.9}", "descent.momentum: it follows another flow"),
        ("{eta: [0.2], until: {steps: 9}}", "descent.until: a comparison ends at a time"),
    ):
        run = gflow.simulate(scenario(f"descent={descent}"), out=tmp_path / "run", overwrite=True)
        with pytest.raises(gflow.GflowError, match=said):
            gflow.compare(run)


def test_compare_with_seeds_is_one_comparison_for_each(tmp_path: Path) -> None:
    """Gaps, angles and series of every run are those of a comparison of its own; text and page show mean and band."""
    run = gflow.simulate(scenario(), out=tmp_path / "run")
    single = {seed: gflow.compare(run, [0.2, 0.1], sgd=4, seed=seed).etas for seed in (3, 7)}
    shown = call("compare", tmp_path / "run", "--eta", "0.2", "--eta", "0.1", "--batch", "4", "--seeds", "3,7")
    assert shown.exit_code == 0 and "stochastic descent (2 seeds)" in shown.stdout
    assert (
        "on average over 2 seeds, from" in shown.stdout
        and "--seeds 3,7" in json.loads((tmp_path / "run" / "comparison.json").read_text())["command"]
    )
    found = gflow.compare(run, [0.2, 0.1], sgd=4, seeds=[3, 7])
    assert [(each.eta, each.seed) for each in found.etas] == [(0.2, 3), (0.2, 7), (0.1, 3), (0.1, 7)]
    for each in found.etas:
        assert each.seed is not None
        alone = single[each.seed][0 if each.eta == 0.2 else 1]
        assert each.max_relative_gap == pytest.approx(alone.max_relative_gap, rel=1e-9)
        assert each.final_direction_angle == pytest.approx(alone.final_direction_angle, rel=1e-6)
        assert each.series.relative_gap[1:] == pytest.approx(alone.series.relative_gap[1:], rel=1e-9)
    assert found.etas[0].max_relative_gap != found.etas[1].max_relative_gap
    assert call("report", tmp_path / "run").exit_code == 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert "η = 0.2 (2 seeds)" in page and "all lie in the band" in page
    assert "η = 0.2 (SGD, seed 7)" in page.replace("\N{NO-BREAK SPACE}", " ")


def test_a_source_that_is_none(tmp_path: Path) -> None:
    found = descended(tmp_path / "a", etas=[0.1], steps=3)
    with pytest.raises(gflow.GflowError, match="holds descent: give the scenario"):
        gflow.descend(found.trajectory, [0.1])
    with pytest.raises(gflow.GflowError, match="gflow.descend: str is no source"):
        gflow.descend("small.yaml", [0.1])  # type: ignore[arg-type]
    gflow.simulate(scenario("seed=8"), out=tmp_path / "b")
    with pytest.raises(gflow.TrajectoryError, match="has a run of another scenario"):
        descended(tmp_path / "b", etas=[0.1], steps=3)
    for wrong, said in (({"etas": "0.1"}, "--eta"), ({"device": "tpu"}, "--device 'tpu'"), ({"steps": "9"}, "integer")):
        with pytest.raises(gflow.GflowError, match=said):
            descended(tmp_path / "c", **{"etas": [0.1], "steps": 3, **wrong})
    assert not (tmp_path / "c").exists()


def test_diverging_runs_are_told(tmp_path: Path) -> None:
    how = {"etas": [300.0, 0.1], "steps": 4000}
    found = descended(tmp_path, "loss=exponential", **how)
    assert [run.outcome for run in found.runs] == ["diverged", "time"] and "1 diverged" in found.summary
    rows = found.trajectory
    assert rows.outcome == "diverged" and "diverged at eta = 300" in str(rows.outcome_sentence)
    assert np.isfinite(rows.margins).all()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_the_rows_and_the_command_goes_on(
    file: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    def stop(_: object, taken: int, total: int) -> None:
        if taken > total / 2:
            signal.raise_signal(number)

    with monkeypatch.context() as patch:
        patch.setattr("gflow.report.descent.DescentPrinter.__call__", stop)
        stopped = call("descend", file, "--steps", "500")
    assert stopped.exit_code == 130 and stopped.stderr.endswith("; go on with the same command and --resume\n")
    folder = Path("outputs/small")
    assert names(folder) == {"scenario.yaml", "descent.h5", CHECKPOINT_FILE_NAME}
    assert "not finished" in (call("report", folder).exit_code == 0 and (folder / "descent.html").read_text() or "")
    done = call("descend", file, "--steps", "500", "--resume")
    assert done.exit_code == 0 and "going on after" in done.stderr and names(folder) == DONE | {"descent.html"}
    assert call("descend", file, "--steps", "500", "--out", "whole").exit_code == 0
    assert contents(folder / "descent.h5") == contents(Path("whole/descent.h5"))


def test_descent_needs_no_matrix_of_all_pairs_of_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a flow of so many samples would not fit, their descent does, by batches."""
    monkeypatch.setattr("gflow.assembly.capacity.physical_memory", lambda: 100_000_000)
    many = scenario("data.n=3000", "descent={eta: [0.1], until: {steps: 20}, batch: 64}")
    with pytest.raises(gflow.ScenarioError, match="over 80% of this machine's memory"):
        gflow.simulate(many, out=tmp_path / "flow")
    assert gflow.descend(many, out=tmp_path / "descent").runs[0].steps == 20
