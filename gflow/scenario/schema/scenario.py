"""The root of a scenario, and where it came from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, PrivateAttr, Tag, field_validator, model_validator

from gflow.analyzer_names import AnalyzerName
from gflow.scenario.schema.agreement import check_descent, check_engine, check_labels, check_start
from gflow.scenario.schema.base import LIST, NAME, Seed, Spec, refuse, shape_of
from gflow.scenario.schema.data import Data
from gflow.scenario.schema.descent import Descent
from gflow.scenario.schema.init import Init
from gflow.scenario.schema.network import Model
from gflow.scenario.schema.run import Commit, Flow, GivenTimes, SpacedTimes, times_shape

AnalysisList = Annotated[tuple[AnalyzerName, ...], Field(strict=False)]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a scenario came from: its file (None for a text), the text as given, and the overrides."""

    path: Path | None
    text: str
    overrides: tuple[str, ...] = ()


class Record(Spec):
    """What is recorded."""

    times: Annotated[SpacedTimes, Tag("spaced")] | Annotated[GivenTimes, Tag("given")] = Field(
        default_factory=SpacedTimes, discriminator=Discriminator(times_shape)
    )
    """the row times: {spacing: log | loglog | linear, count: rows} or {at: [times]}"""
    events: bool = True
    """whether every crossing, slide and leave is recorded, true or false"""
    commit: Commit | None = None
    """when rows become safe on disk: {seconds: most to wait, rows: most to wait}; by default {seconds: 1.0}"""


class Scenario(Spec):
    """A gradient-flow scenario, version 1: data, network, initialisation, loss, flow, what is recorded."""

    gflow: Literal[1]
    """the version of the scenario format; this gflow reads version 1"""
    name: str
    """the name of the run and of its folder outputs/<name>: at most 100 letters, digits, '.', '_' and '-',
    beginning with a letter or digit, without '..'"""
    seed: Seed = 0
    """the seed of everything random that has no seed of its own, an integer >= 0 below 2^63"""
    data: Data = Field(discriminator="kind")
    """the samples: a mapping whose kind is file, gaussian, gaussian_mixture, orthogonal, gram, parity, clusters,
    cones, two_cones, xor, teacher, digits, breast_cancer, mnist or cifar10"""
    model: Model = Field(discriminator="kind")
    """the network: {kind: two_layer, width, outputs, activation, outer, bias} or
    {kind: scalar, width, activation}"""
    init: Init = Field(discriminator="kind")
    """the initialisation: {kind: gaussian, std | scale with relative_to, outer, bias}, {kind: uniform,
    relative_to, scale, outer}, {kind: balanced, size} (for kind scalar) or {kind: file, path}"""
    loss: Literal["logistic", "exponential"]
    """the loss: `logistic` (log(1 + e^-p)) or `exponential` (e^-p) of the margin p; with several outputs
    `logistic`, which is the softmax cross-entropy"""
    flow: Flow
    """the integration: {engine, method, rtol, atol, until, budget}"""
    record: Record = Field(default_factory=Record)
    """what is recorded: {times, events, commit}"""
    analyses: Annotated[Literal["all"], NAME] | Annotated[AnalysisList, LIST] = Field(
        default="all", discriminator=Discriminator(shape_of)
    )
    """the analyses: `all`, or a list of freezing, limit, direction, kkt, rank, margins, alignment, rho and
    claims"""
    descent: Descent | None = None
    """gradient descent, alone or beside the flow: {eta or schedule, until, batch, replacement, stream, momentum,
    weight_decay, at_kink, seeds, starts, precision, watch}"""

    _origin: Origin = PrivateAttr(default=Origin(None, ""))
    _folder: Path | None = PrivateAttr(default=None)

    @field_validator("gflow", mode="before")
    @classmethod
    def _integer_version(cls, value: Any) -> Any:  # Any: not yet validated
        if isinstance(value, bool | float):  # Python holds True == 1.0 == 1
            refuse("must be the integer 1")
        return value

    @field_validator("name", mode="after")
    @classmethod
    def _safe_name(cls, name: str) -> str:
        if len(name) > 100:
            refuse(f"has {len(name)} characters; use at most 100")
        if ".." in name or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
            refuse("is no usable name")
        return name

    @model_validator(mode="after")
    def _analyses_once(self) -> Self:
        for k, name in enumerate(self.analyses):
            if self.analyses != "all" and name in self.analyses[:k]:
                refuse("is listed twice; remove one of them", "analyses", k)
        return self

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        check_start(self.model, self.init)
        check_labels(self.model, self.data, self.loss)
        check_engine(self.model, self.flow)
        if self.descent is not None:
            check_descent(self.model, self.init, self.descent)
        return self

    @property
    def origin(self) -> Origin:
        """Where this scenario came from; no part of its identity."""
        return self._origin

    @property
    def folder(self) -> Path:
        """The folder that relative paths in the scenario are relative to."""
        return Path.cwd() if self._folder is None else self._folder

    def located(self, origin: Origin, folder: Path | None) -> Scenario:
        """The same scenario, with where it came from and the folder of its relative paths."""
        copy = self.model_copy()
        copy._origin, copy._folder = origin, folder
        return copy

    def __eq__(self, other: object) -> bool:
        """Two scenarios are equal when all their keys are, wherever they came from."""
        return isinstance(other, Scenario) and self.model_dump() == other.model_dump()


def json_schema() -> dict[str, Any]:  # Any: a JSON document
    """The JSON Schema (draft 2020-12) of a scenario file."""
    schema = Scenario.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
