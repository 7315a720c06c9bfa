"""The network of a scenario, with the outer-layer convention of each paper, and its initialisation."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, ValidationInfo, field_validator, model_validator

from gflow.scenario.schema.base import (
    LIST,
    NAME,
    NUMBER,
    Count,
    FilePath,
    FiniteList,
    NonNegative,
    Positive,
    Seed,
    Spec,
    exactly_one,
    only_false,
    refuse,
    shape_of,
)


class Relu(Spec):
    """phi(z) = max(z, 0)."""

    kind: Literal["relu"]


class LeakyRelu(Spec):
    """phi(z) = max(z, slope z)."""

    kind: Literal["leaky_relu"]
    slope: float = Field(ge=0, lt=1)
    """the slope for z < 0, in [0, 1); use `{kind: linear}` for slope 1"""


class Linear(Spec):
    """phi(z) = z."""

    kind: Literal["linear"]


NamedScale = Literal["inverse_sqrt_width", "inverse_half_width", "inverse_width", "one"]


class Outer(Spec):
    """The outer layer a (m,), fixed: signs or given values, times a scale."""

    train: Literal[False] = False
    """whether the outer layer is trained; only `false` is available"""
    values: Annotated[Literal["signs"], NAME] | Annotated[FiniteList, LIST] = Field(
        default="signs", discriminator=Discriminator(shape_of)
    )
    """`signs` (the first `positive` neurons have +1, the others -1) or a list of `width` finite numbers"""
    positive: int | None = Field(default=None, ge=0)
    """how many neurons have the sign +1, from 0 to width; by default ceil(width / 2); only with `signs`"""
    scale: Annotated[NamedScale, NAME] | Annotated[Positive, NUMBER] = Field(
        default_factory=lambda valid: "inverse_sqrt_width" if valid["values"] == "signs" else "one",
        discriminator=Discriminator(shape_of),
    )
    """the factor of all values: `inverse_sqrt_width` (1/sqrt(m), Frei et al.), `inverse_half_width`
    (1/(m/2) for an even width m, Kou et al.), `inverse_width` (1/m), `one`, or a number > 0; by default
    `inverse_sqrt_width` for signs and `one` for a list"""

    @field_validator("train", mode="before")
    @classmethod
    def _fixed(cls, value: Any) -> Any:  # Any: not yet validated
        return only_false(value, "trained outer layers are not available in this version; use false")

    @model_validator(mode="after")
    def _signs_only(self) -> Self:
        if self.positive is not None and self.values != "signs":
            refuse("needs `values: signs`; remove it, a list of values has its own signs", "positive")
        return self

    def fitted(self, width: int) -> Outer:
        """This outer layer for m = width neurons, with `positive` filled in.  Raises PydanticCustomError."""
        if self.scale == "inverse_half_width" and width % 2:
            refuse(f"needs an even width, not {width}; choose an even width or another scale", "scale")
        if self.values != "signs":
            if len(self.values) != width:
                refuse(f"has {len(self.values)} entries for width = {width}; give one a neuron", "values")
            return self
        positive = (width + 1) // 2 if self.positive is None else self.positive
        if positive > width:
            refuse(f"exceeds width = {width}; use a number from 0 to {width}", "positive")
        return self.model_copy(update={"positive": positive})


class TwoLayerModel(Spec):
    """f(x) = sum_j a_j phi(<w_j, x>) with m = width neurons; the inner layer W is trained."""

    kind: Literal["two_layer"]
    width: Count
    """the number m of neurons, an integer >= 1"""
    activation: Relu | LeakyRelu | Linear = Field(discriminator="kind")
    """the activation: {kind: relu}, {kind: leaky_relu, slope: s} or {kind: linear}"""
    outer: Outer = Field(default_factory=Outer, validate_default=True)
    """the outer layer: {train: false, values, positive, scale}"""
    bias: Literal[False] = False
    """whether neurons have a bias; only `false` is available"""

    @field_validator("bias", mode="before")
    @classmethod
    def _no_bias(cls, value: Any) -> Any:  # Any: not yet validated
        reason = "biases are not available in this version; use false (a constant input acts as one)"
        return only_false(value, reason)

    @field_validator("outer", mode="after")
    @classmethod
    def _fit_width(cls, outer: Outer, info: ValidationInfo) -> Outer:
        # A refused width is reported alone: nothing can be said about the fit then.
        return outer.fitted(info.data["width"]) if "width" in info.data else outer


class GaussianInit(Spec):
    """W(0) with independent entries N(0, w^2): w = std, or scale times the default of a library."""

    kind: Literal["gaussian"]
    std: NonNegative | None = None
    """the standard deviation of each entry of W(0), >= 0; give this or `scale`"""
    scale: NonNegative | None = None
    """the standard deviation in units of the default named by `relative_to`, >= 0; give this or `std`"""
    relative_to: Literal["tensorflow", "pytorch"] | None = None
    """the default that `scale` multiplies: `tensorflow` (sqrt(2 / (m + d))) or `pytorch` (1 / sqrt(3 d))"""
    seed: Seed | None = None
    """the seed of W(0) alone, an integer >= 0; without it the seed of the scenario decides"""

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        exactly_one(self, "std", "scale")
        if self.scale is not None and self.relative_to is None:
            refuse("has no unit; add `relative_to: tensorflow` or `relative_to: pytorch`", "scale")
        if self.std is not None and self.relative_to is not None:
            refuse("belongs to `scale`, and `std` is absolute; remove it", "relative_to")
        return self


class FileInit(Spec):
    """W(0), and if given the outer layer, from a file."""

    kind: Literal["file"]
    path: FilePath
    """the .npz file with W (m, d) and, optionally, the outer layer a (m,), relative to the scenario file"""
