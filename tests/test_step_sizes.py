"""Several step sizes on the command line, and what is said where they are not written as gflow reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from gflow.cli import main


@pytest.mark.parametrize("words", [["--eta", "0.1", "--eta", "0.05"], ["--eta", "0.1,0.05"], ["--eta=0.1,5e-2"]])
def test_they_are_repeated_or_joined(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def asked_for(path: Path, etas: object, *rest: object) -> None:
        asked.append(etas)
        raise KeyboardInterrupt

    monkeypatch.setattr("gflow.cli.comparison._run_to_compare", asked_for)
    CliRunner().invoke(main, ["compare", str(tmp_path), *words])
    assert asked == [(0.1, 0.05)]


@pytest.mark.parametrize("command", ["compare", "descend"])
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--eta", "0.1", "0.05"], "unexpected extra argument (0.05); several step sizes are --eta 0.1 --eta 0.05, or"),
        (["--eta", "0.1,x"], "could not convert string to float: 'x'; write --eta 0.1 --eta 0.05, or --eta 0.1,0.05"),
        (["--eta", "0.1,,0.05"], "could not convert string to float: ''; write"),
    ],
)
def test_what_is_written_otherwise_is_told_how(command: str, words: list[str], told: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, [command, str(tmp_path), *words])
    assert result.exit_code == 2 and told in " ".join(result.output.split())


def test_another_word_too_many_is_not_about_step_sizes(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["compare", str(tmp_path), "too-many"])
    assert result.exit_code == 2 and "step sizes" not in result.output
