"""Loaders under mutation guided by coverage, from the smallest files that load or nearly do."""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gflow.errors import GflowError
from gflow.problem.data_files import read_dataset
from gflow.problem.initialisation import read_file as read_start
from gflow.scenario import json_schema, load_scenario
from tests.fuzz.guided import Search, arcs_of
from tests.fuzz.mutation import TOKENS
from tests.scenario.test_load import EXAMPLE, SHORT

MAGIC = b"\x93NUMPY"


def packed(content: bytes, names: Sequence[str]) -> bytes:
    """An archive whose checksums are right, of members that each begin with numpy's magic."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, member in zip(names, content.split(MAGIC)[1:], strict=False):
            archive.writestr(f"{name}.npy", MAGIC + member)
    return file.getvalue()


def members(*arrays: Any) -> bytes:
    """What `packed` packs."""
    file = io.BytesIO()
    for array in arrays:
        np.save(file, np.asarray(array))
    return file.getvalue()


def keys_of(schema: Any) -> Iterator[str]:
    """Names of properties and constants anywhere in a JSON Schema."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        yield from (str(value) for value in schema.get("enum", [schema["const"]] if "const" in schema else []))
        schema = list(schema.values())
    if isinstance(schema, list):
        for each in schema:
            yield from keys_of(each)


def words() -> list[bytes]:
    """What a scenario is made of."""
    keys = sorted(set(keys_of(json_schema())))
    values = [", ", "{", "}", "[1, 2]", "1.5", "2", "true", "null"]
    return [part.encode() for key in keys for part in (f"\n{key}: ", f"{{kind: {key}}}")] + [v.encode() for v in values]


@dataclass(frozen=True)
class Loader:
    """A file name, how it is read, what is written for a mutant, one small input, tokens to put in, larger inputs."""

    file: str
    read: Callable[[Path], object]
    written: Callable[[bytes], bytes]
    smallest: bytes
    tokens: Sequence[bytes]
    whole: Sequence[bytes] = ()


def as_it_is(content: bytes) -> bytes:
    return content


LOADERS = {
    "yaml": Loader(
        "s.yaml",
        load_scenario,
        as_it_is,
        b"gflow: 1\nname: a\n",
        [*TOKENS, *words()],
        [SHORT.encode(), EXAMPLE.encode()],
    ),
    "csv": Loader("d.csv", read_dataset, as_it_is, b"1,1\n", [*TOKENS, b"1,", b"-1\n", b"#", b";", b"0"]),
    "npz": Loader(
        "d.npz",
        read_dataset,
        lambda content: packed(content, ("X", "y")),
        members([[1.0]], [1.0]),
        [*TOKENS, b"<i4", b"|O", b"(2,)", b"True", b"\x02\x00", *members([[2.0, 1.0]]).split(b",")],
    ),
    "start": Loader(
        "w.npz",
        lambda path: read_start(path, 1, 1, 1, True),
        lambda content: packed(content, ("W", "a", "b")),
        members([[1.0]], [1.0], [0.0]),
        [*TOKENS, b"<i4", b"|O", b"(2,)", b"True", b"\x02\x00", members([np.nan])],
    ),
}


def judge(loader: Loader, path: Path) -> Callable[[bytes], str]:
    """Load what is written for an input: loaded, or refused with the name of the file and what to do."""

    def run(content: bytes) -> str:
        path.write_bytes(loader.written(content))
        try:
            loader.read(path)
        except GflowError as error:
            place, _, said = str(error).partition(str(path))
            assert not place and any(mark in said for mark in ("; ", "(write ")), f"no file or no remedy: {error}"
            return "refused"
        except Exception as error:
            raise AssertionError(f"{type(error).__name__}: {error}; the input is {content!r}") from error
        return "loaded"

    return run


def test_guidance_finds_ways_that_blind_mutation_misses(tmp_path: Path) -> None:
    """The same number of mutants of the same scenario by the same changes, with and without keeping what was new.

    In so short a search both take about as many arcs (measured: eight draws), and each some that the other does not.

    The other loaders are shallow: there blind mutation of the smallest file reaches nearly every arc as well.
    """
    loader = LOADERS["yaml"]
    run = judge(loader, tmp_path / loader.file)
    guided = Search.began(run, [loader.smallest], loader.tokens).explore(200, seed=1)
    blind = Search.began(run, [loader.smallest], loader.tokens).explore(200, seed=1, guided=False)
    assert len(guided.seen - blind.seen) > 20
    assert len(blind.kept) == 1 and len(guided.kept) > 5


@pytest.mark.parametrize("kind", [kind for kind in LOADERS if kind != "yaml"])
def test_every_mutant_is_loaded_or_refused_in_words(tmp_path: Path, kind: str) -> None:
    loader = LOADERS[kind]
    search = Search.began(judge(loader, tmp_path / loader.file), [loader.smallest], loader.tokens)
    begun = set(search.seen)
    search.explore(150, seed=1)
    assert len(search.seen) > len(begun) and len(search.kept) > 3


def test_a_search_is_the_same_every_time(tmp_path: Path) -> None:
    loader = LOADERS["csv"]
    run = judge(loader, tmp_path / loader.file)
    first, second = (Search.began(run, [loader.smallest], loader.tokens).explore(60, seed=2) for _ in range(2))
    assert first.kept == second.kept and first.seen == second.seen


def test_arcs_are_of_the_watched_files_and_of_every_branch() -> None:
    """Negative control: other files have none, and another way through a watched one has others."""
    assert arcs_of(lambda: packed(b"", ())) == set()
    short, long = (arcs_of(lambda text=text: _refused(text)) for text in ("", "gflow: 2"))  # type: ignore[misc]
    assert short - long and long - short


def _refused(text: str) -> None:
    from gflow.scenario import parse_scenario

    with pytest.raises(GflowError):
        parse_scenario(text)


@pytest.mark.parametrize(
    "header", [b"{'descr': '<f8', 'fortran_order': False, 'shape': (1L, 1L), }", b"{'descr': 1if 0}"]
)
def test_headers_that_numpy_warns_of_warn_nobody(tmp_path: Path, header: bytes) -> None:
    """Found by guided mutation: a header of Python 2, and one that is nearly Python; warnings are errors here."""
    header = header.ljust(117) + b"\n"
    content = MAGIC + b"\x01\x00" + len(header).to_bytes(2, "little") + header + np.float64(1.0).tobytes()
    loader = LOADERS["npz"]
    path = tmp_path / loader.file
    run = judge(loader, path)
    assert run(content + members([1.0])) == ("loaded" if b"shape" in header else "refused")


@pytest.mark.slow
@pytest.mark.parametrize("kind", LOADERS)
def test_many(tmp_path: Path, kind: str) -> None:
    """20,000 mutants a loader, of files that load among them: each loads, or is refused in words."""
    loader, ends = LOADERS[kind], Counter[str]()
    judged = judge(loader, tmp_path / loader.file)

    def counted(content: bytes) -> None:
        ends[judged(content)] += 1

    Search.began(counted, [loader.smallest, *loader.whole], loader.tokens).explore(20_000, seed=3)
    assert ends.total() > 20_000 and min(ends["loaded"], ends["refused"]) >= 20, ends
