"""Names that are no text, or more than one line: printed in one line, and every file that is written is valid."""

from __future__ import annotations

import json
import os
from html.parser import HTMLParser
from pathlib import Path

import h5py
import pytest
from click.testing import CliRunner, Result

from gflow.cli import main
from gflow.console import printable
from tests.test_console import TINY

NAMES = {
    "no text": (b"run-\xff", r"run-\xff"),
    "markup": (b"<script>alert(1)<&'\">", "<script>alert(1)<&'\">"),
    "two lines and an escape": (b"one\ntwo\x1b[31m", r"one\x0atwo\x1b[31m"),
    "long": (b"x" * 200, "x" * 200),
}


def call(*arguments: str | Path) -> Result:
    done = CliRunner(charset="utf-8").invoke(main, [str(a) for a in arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
    return done


def strict_json(path: Path) -> object:
    """A parser of JSON may refuse half of a surrogate pair, escaped or not."""
    content = path.read_bytes().decode("utf-8")
    parsed = json.loads(content)
    json.dumps(parsed, ensure_ascii=False).encode("utf-8")
    return parsed


@pytest.mark.sample("no text", "markup")
@pytest.mark.parametrize("name", NAMES)
def test_every_command_takes_any_name(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw, shown = NAMES[name]
    folder = tmp_path / os.fsdecode(raw)
    scenario = tmp_path / (os.fsdecode(raw) + ".yaml")
    scenario.write_text(TINY)
    monkeypatch.setattr("sys.argv", ["gflow", "simulate", str(scenario), "--out", str(folder)])
    done = call("simulate", scenario, "--out", folder)
    assert done.exit_code == 0 and shown in done.stdout and len(done.stdout.splitlines()) == 6
    again = call("simulate", scenario, "--out", folder)
    assert again.exit_code == 2 and shown in again.stderr and again.stderr.count("\n") == 1
    missing = call("inspect", folder / "absent")
    assert missing.exit_code == 2 and shown in missing.stderr and missing.stderr.count("\n") == 1
    assert shown in json.loads(call("inspect", folder, "--json").stdout)["path"]
    assert call("analyze", folder, "--only", "kkt").exit_code == 0
    assert call("compare", folder, "--eta", "0.1").exit_code == 0
    assert call("report", folder).exit_code == 0
    for result in ("analysis.json", "comparison.json"):
        strict_json(folder / result)
    with h5py.File(folder / "trajectory.h5") as file:
        assert shown in json.loads(file["provenance"].asstr()[()])[0]["command"][-1]
    page = (folder / "report.html").read_bytes().decode("utf-8")
    HTMLParser().feed(page)
    assert "<script" not in page


def test_data_in_a_folder_whose_name_is_no_text(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"\xfe")
    folder.mkdir()
    (folder / "data.csv").write_text("0.5,-1,1\n.25,x,-1\n")
    (folder / "s.yaml").write_text(TINY.replace("{kind: gaussian, n: 2, d: 3}", "{kind: file, path: data.csv}"))
    refused = call("simulate", folder / "s.yaml", "--out", tmp_path / "run")
    assert refused.exit_code == 2 and r"\xfe/data.csv:2: column 2 is 'x', not a number" in refused.stderr


def test_printable() -> None:
    assert printable("ein Weg/中/∇ L") == "ein Weg/中/∇ L"
    assert printable(os.fsdecode(b"a\xff\x80b")) == r"a\xff\x80b"
    assert printable("a\tb\x85\x7f") == r"a\x09b\x85\x7f"
    assert printable("\ud800") == r"\ud800"
