"""A tiny experiment from its file to its figures, and the command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from gflow.cli import main
from gflow.errors import SweepError
from gflow.papers.reproduce import Reproduction, all_outcomes, reproduce
from gflow.report.papers import outcomes_text, write_all, write_figures
from gflow.sweeps.opened import open_sweep
from tests.papers.small import NEEDY, TINY, experiments


def carried_out(folder: Path, resume: bool = False) -> list[Reproduction]:
    where = experiments(folder, fig1=TINY, fig2=NEEDY)
    return list(reproduce(["nobody"], folder / "out", workers=0, folder=where, resume=resume))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Reproduction]]:
    folder = tmp_path_factory.mktemp("papers")
    return folder, carried_out(folder)


def test_outcomes(done: tuple[Path, list[Reproduction]]) -> None:
    folder, (first, second) = done
    verdicts = [each.verdict for each in first.outcomes]
    assert verdicts == ["reproduced", "reproduced", "not reproduced"]
    assert first.outcomes[0].number == pytest.approx(1.0, abs=0.2) and first.outcomes[0].spread is not None
    assert first.outcomes[2].note == "A word that no run has."
    (needs,) = second.outcomes
    assert (needs.verdict, needs.number, needs.note) == ("needs data", None, "needs MNIST")
    kept = all_outcomes(folder / "out", folder / "experiments")
    assert kept == [each.to_json() for each in (*first.outcomes, needs)]
    assert set(kept[0]) == {"experiment", "size", "stated", "found", "number", "spread", "verdict", "note"}


def test_curves_are_the_numbers_of_the_runs(done: tuple[Path, list[Reproduction]]) -> None:
    folder, (first, _) = done
    sweep = open_sweep(folder / "out" / "nobody" / "fig1" / "slopes")
    over_axis, over_time, over_neurons, over_steps = (curves for _, curves in first.figures[0].panels)
    own = [row for row in sweep.table if row["model.activation.slope"] == 0.9]
    margins = np.array([row["descent.min_margin"] for row in own], dtype=float)
    assert over_axis[0].line == "descent" and over_axis[0].x.tolist() == [0.1, 0.9]
    assert over_axis[0].mean[1] == pytest.approx(margins.mean())
    assert over_axis[0].high[1] - over_axis[0].mean[1] == pytest.approx(margins.std())
    assert [(curve.by, curve.line) for curve in over_time] == [
        (slope, line) for slope in ("0.1", "0.9") for line in ("descent", "flow")
    ]
    kept = sweep.rows(str(own[0]["id"])), sweep.rows(str(own[1]["id"]))
    assert over_time[3].x == pytest.approx([0.0, 2.5, 5.0])
    assert over_time[3].mean == pytest.approx(np.mean([np.exp(each["log_loss"]) for each in kept], axis=0))
    assert over_steps[1].x.tolist() == list(range(11)) and over_steps[1].mean[0] == pytest.approx(
        np.mean([each["descent.stable_rank"][0] for each in kept]) - 1.0
    )
    sorted_norms = [np.sort(each["neurons.norm"] / each["neurons.norm"].max()) for each in kept]
    assert over_neurons[0].mean == pytest.approx(np.mean(sorted_norms, axis=0))
    assert over_neurons[0].x == pytest.approx([0.125, 0.375, 0.625, 0.875])


def test_figures_and_pages(done: tuple[Path, list[Reproduction]]) -> None:
    folder, found = done
    out, where = folder / "out", folder / "experiments"
    written = [path for each in found for path in write_figures(each)]
    assert [path.name for path in written] == ["figure.svg", "figure.png"]
    assert "slope 0.9" in written[0].read_text() and written[1].read_bytes().startswith(b"\x89PNG")
    outcomes = write_all(out, where)
    assert json.loads((out / "outcomes.json").read_text()) == outcomes
    page, markdown = (out / "outcomes.html").read_text(), (out / "outcomes.md").read_text()
    assert 'src="nobody/fig1/figure.svg"' in page and page.count("</section>") == 2
    for text in ("The margin grows with the slope", "A word that no run has.", "needs MNIST", "numerical evidence"):
        assert text in page and text in markdown
    assert "| `nobody/fig2` | (all of it) | needs MNIST | needs data |" in markdown
    assert "Verdicts     reproduced 2, not reproduced 1, needs data 1" in outcomes_text(outcomes)


def test_what_is_there_is_not_done_again(tmp_path: Path, done: tuple[Path, list[Reproduction]]) -> None:
    with pytest.raises(SweepError, match="there is nothing to resume"):
        carried_out(tmp_path, resume=True)
    assert not (tmp_path / "out").exists()
    shutil.copytree(done[0] / "out", tmp_path / "out")
    journal = tmp_path / "out" / "nobody" / "fig1" / "slopes" / "results.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-1]))  # as a kill leaves it
    again = carried_out(tmp_path, resume=True)
    assert [each.outcomes for each in again] == [each.outcomes for each in done[1]]
    kept = journal.read_bytes().splitlines(keepends=True)
    assert kept[: len(lines) - 1] == lines[:-1] and len(kept) == len(lines)


def test_nothing_is_written_where_a_folder_is_taken(tmp_path: Path) -> None:
    taken = tmp_path / "out" / "nobody" / "fig1" / "slopes"
    taken.mkdir(parents=True)
    (taken / "letter.txt").write_text("dear")
    with pytest.raises(SweepError, match="has files, and they are not those of a sweep"):
        carried_out(tmp_path)
    assert [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()] == ["letter.txt"]


def test_a_series_that_no_run_has_is_named(tmp_path: Path, done: tuple[Path, list[Reproduction]]) -> None:
    shutil.copytree(done[0] / "out", tmp_path / "out")
    where = experiments(tmp_path, fig1=TINY.replace("flow: loss}", "flow: los}"))
    with pytest.raises(SweepError, match="series 'los': is none that the runs keep"):
        list(reproduce(["all"], tmp_path / "out", workers=0, folder=where))


def called(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["reproduce", *arguments])


def test_the_list_and_unknown_names(tmp_path: Path) -> None:
    listed = called("--list")
    assert listed.exit_code == 0 and listed.stdout == called().stdout
    names = [line.split()[0] for line in listed.stdout.splitlines()]
    assert {"frei/fig1", "kou/fig5", "telgarsky/fig1", "findings/frozen"} <= set(names)
    assert "(needs CIFAR-10, whose files are not part of gflow)" in listed.stdout
    assert all(line.startswith("kou/") for line in called("kou", "--list").stdout.splitlines())
    refused = called("kou/fig44", "--out", str(tmp_path / "out"))
    assert refused.exit_code == 2 and refused.stdout == "" and refused.stderr.count("\n") == 1
    assert refused.stderr.startswith("gflow: 'kou/fig44': is no paper and no experiment; did you mean kou/fig4")
    assert not (tmp_path / "out").exists()


def test_the_command(tmp_path: Path, done: tuple[Path, list[Reproduction]], monkeypatch: pytest.MonkeyPatch) -> None:
    experiments(tmp_path, fig1=TINY, fig2=NEEDY).rename(tmp_path / "papers")
    monkeypatch.setattr("gflow.papers.listing.shipped", lambda: tmp_path)
    shutil.copytree(done[0] / "out" / "nobody" / "fig1" / "slopes", tmp_path / "out" / "nobody" / "fig1" / "slopes")
    found = called("all", "--out", str(tmp_path / "out"))
    assert found.exit_code == 0, found.stderr
    assert found.stdout.splitlines()[-2] == "Verdicts     reproduced 2, not reproduced 1, needs data 1"
    assert {"outcomes.json", "outcomes.html", "outcomes.md", "nobody"} == {p.name for p in (tmp_path / "out").iterdir()}
    again = called("nobody/fig2", "--out", str(tmp_path / "out"), "--resume")  # which has no sweep to go on with
    assert again.exit_code == 2 and "nothing to resume" in again.stderr
