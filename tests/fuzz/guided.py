"""Mutation guided by coverage: an input that takes a new way through the loaders is worth mutating further.

Ways are arcs (file, line, next line) inside one call of a function of the watched files.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np
import numpy.lib.format
import yaml
from numpy.random import Generator

import gflow
from tests.fuzz.mutation import TOKENS, mutated

PACKAGE = Path(gflow.__file__).parent
WATCHED = (
    str(PACKAGE / "scenario"),
    str(PACKAGE / "problem"),
    numpy.lib.format.read_array.__code__.co_filename,
    str(Path(yaml.__file__).parent),
)

Arc = tuple[str, int, int]


def arcs_of(run: Callable[[], object]) -> set[Arc]:
    """The arcs that a call takes in the watched files; whatever traced before traces again afterwards."""
    found: set[Arc] = set()
    watched: dict[CodeType, bool] = {}

    def called(frame: FrameType, event: str, _: Any) -> Callable[..., Any] | None:  # Any: as sys.settrace wants it
        code = frame.f_code
        if code not in watched:
            watched[code] = code.co_filename.startswith(WATCHED)
        if not watched[code]:
            return None
        file, last = code.co_filename, 0

        def stepped(frame: FrameType, event: str, _: Any) -> Callable[..., Any]:
            nonlocal last
            if event == "line":
                found.add((file, last, frame.f_lineno))
                last = frame.f_lineno
            return stepped

        return stepped

    before = sys.gettrace()
    sys.settrace(called)
    try:
        run()
    finally:
        sys.settrace(before)
    return found


@dataclass
class Search:
    """Inputs that were kept, and the arcs seen so far.  run: what is done with an input, any bytes; it judges them."""

    run: Callable[[bytes], object]
    tokens: Sequence[bytes] = tuple(TOKENS)
    kept: list[bytes] = field(default_factory=list)
    seen: set[Arc] = field(default_factory=set)

    @classmethod
    def began(cls, run: Callable[[bytes], object], seeds: Sequence[bytes], tokens: Sequence[bytes] = TOKENS) -> Search:
        """With all seeds run and kept."""
        search = cls(run, tokens, list(seeds))
        for content in seeds:
            search.seen |= arcs_of(lambda content=content: run(content))  # type: ignore[misc]
        return search

    def explore(self, executions: int, seed: int, guided: bool = True) -> Search:
        """Run so many mutants of what is kept; guided: those with a new arc are kept too.  The same bits every time."""
        for k in range(executions):
            content = self._mutant(np.random.default_rng([seed, k]))
            new = arcs_of(lambda content=content: self.run(content)) - self.seen  # type: ignore[misc]
            self.seen |= new
            if new and guided:
                self.kept.append(content)
        return self

    def _mutant(self, rng: Generator) -> bytes:
        """Of the first that is kept, which loads, every other time; else of any, or of one of the last ten.

        One change, as what is worth more is kept.  Most of what is kept is refused, and hides what lies behind.
        """
        recent = (self.kept[:1], self.kept[:1], self.kept[-10:], self.kept)[int(rng.integers(4))]
        return mutated(recent[int(rng.integers(len(recent)))], rng, self.tokens, most=1)
