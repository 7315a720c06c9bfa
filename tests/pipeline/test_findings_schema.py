"""The JSON Schema of `analysis.json`: what is written obeys it, and what is changed does not."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from click.testing import CliRunner

import gflow
from gflow.cli import main
from gflow.pipeline.findings import ANALYZERS
from gflow.pipeline.findings_schema import json_schema
from tests.analysis.runs import GAUSSIAN, file_of, gaussian, simulated

Json = Any  # JSON values

TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "boolean": (bool,), "integer": (int,), "number": (int, float), "null": (type(None),),
    "array": (list,), "object": (dict,),
}  # fmt: skip


SILENT = {"$schema", "$defs", "title", "description"}


def obeys(value: Json, schema: Json, kinds: Json) -> bool:
    """Does a value obey a schema, of the words that this one uses?  A KeyError for any other word."""
    words: dict[str, Callable[[Json], bool]] = {
        "$ref": lambda said: obeys(value, kinds[said.removeprefix("#/$defs/")], kinds),
        "type": lambda said: any(_is(value, name) for name in ([said] if isinstance(said, str) else said)),
        "enum": lambda said: value in said,
        "anyOf": lambda said: any(obeys(value, each, kinds) for each in said),
        "items": lambda said: all(obeys(each, said, kinds) for each in value),
        "prefixItems": lambda said: all(obeys(*pair, kinds) for pair in zip(value, said, strict=True)),
        "minItems": lambda said: len(value) >= said,
        "maxItems": lambda said: len(value) <= said,
        "properties": lambda said: all(obeys(value[name], each, kinds) for name, each in said.items() if name in value),
        "required": lambda said: all(name in value for name in said),
        "additionalProperties": lambda said: said is not False or not value.keys() - schema["properties"].keys(),
    }
    return all(words[word](said) for word, said in schema.items() if word not in SILENT)


def _is(value: Json, name: str) -> bool:
    return isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def valid(content: Json) -> bool:
    """Does an analysis obey the schema?"""
    schema = json_schema()
    return obeys(content, schema, schema["$defs"])


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Json:
    """The analysis of a run, as it is written."""
    run = file_of(gaussian(tmp_path_factory.mktemp("run"), 20.0))
    gflow.analyze(run, list(ANALYZERS))
    return json.loads((run.path.parent / "analysis.json").read_text(encoding="utf-8"))


def test_what_is_written_obeys_it(content: Json) -> None:
    assert content.keys() == {"gflow", "trajectory", *ANALYZERS} and content["claims"]
    assert valid(content)


def test_so_does_the_analysis_of_a_run_with_few_answers(tmp_path: Path) -> None:
    text = GAUSSIAN.format(seed=0, slope=0.1, log_time=1.0)
    run = simulated(tmp_path, text, "model.outer.train=true", "record.times.count=4").trajectory
    gflow.analyze(run, list(ANALYZERS))
    assert valid(json.loads((tmp_path / "analysis.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("analyzer", "name", "value"),
    [
        ("freezing", "verdict", "certain"),
        ("freezing", "sliding", 1.5),
        ("limit", "multipliers", ["a"]),
        ("direction", "invented", 1.0),
        ("kkt", "last_row", {}),
    ],
)
def test_what_is_changed_does_not(content: Json, analyzer: str, name: str, value: Json) -> None:
    changed = copy.deepcopy(content)
    changed[analyzer][name] = value
    assert not valid(changed)


def test_verdicts_are_listed() -> None:
    kinds = json_schema()["$defs"]
    listed = {name: set(kinds[name]["properties"]["verdict"]["enum"]) for name in ("FreezingResult", "LimitResult")}
    assert listed["FreezingResult"] == {"proved", "proved_from_state", "observed", "pending", "no"}
    assert listed["LimitResult"] == {"proved", "proved_from_state", "expected", "none"}
    assert kinds["DirectionResult"]["properties"]["verdict"] == kinds["LimitResult"]["properties"]["verdict"]


def test_the_command_prints_it() -> None:
    shown = CliRunner().invoke(main, ["schema", "--analysis"])
    assert shown.exit_code == 0 and json.loads(shown.output) == json_schema()


def test_two_results_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their schemas would be one, and one of them wrong."""
    result = get_type_hints(ANALYZERS["rank"])["return"]
    other = dataclasses.make_dataclass(result.__name__, [("value", float)])

    def analyzer(run: object) -> Any:
        return run

    analyzer.__annotations__["return"] = other
    monkeypatch.setitem(ANALYZERS, "again", analyzer)
    with pytest.raises(TypeError, match=f"two results are called {result.__name__}"):
        json_schema()
