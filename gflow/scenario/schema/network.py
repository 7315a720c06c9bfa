"""The network of a scenario, with the outer-layer convention of each paper."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, ValidationInfo, field_validator, model_validator

from gflow.scenario.schema.base import (
    LIST,
    NAME,
    NUMBER,
    Count,
    FiniteList,
    Positive,
    Size,
    Spec,
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


class SmoothActivation(Spec):
    """No kinks: the flow is followed in the parameters themselves."""

    kind: str

    def numbers(self, width: int) -> dict[str, float]:
        """Its numbers for m = width neurons, by their names in `gflow.problem.activation`."""
        return self.model_dump(exclude={"kind"})


class SmoothLeakyRelu(SmoothActivation):
    """phi(z) = slope z + (1 - slope) log((1 + e^z) / 2) (Frei et al., Section 4)."""

    kind: Literal["smooth_leaky_relu"]
    slope: float = Field(gt=0, lt=1)
    """the slope at z = -infinity, in (0, 1)"""


class HuberizedRelu(SmoothActivation):
    """phi(z) = 0 for z < 0, z^2 / (2 h) up to h, z - h/2 beyond (Chatterji et al.)."""

    kind: Literal["huberized_relu"]
    h: Annotated[Literal["inverse_half_width"], NAME] | Annotated[Size, NUMBER] = Field(
        default="inverse_half_width", discriminator=Discriminator(shape_of)
    )
    """the width of the parabola: a number > 0, or `inverse_half_width` (1/P with P = width/2 for an even
    width; the default)"""

    def numbers(self, width: int) -> dict[str, float]:
        """The bandwidth, for a network of `width` neurons."""
        return {"bandwidth": 2.0 / width if self.h == "inverse_half_width" else self.h}


NamedScale = Literal["inverse_sqrt_width", "inverse_half_width", "inverse_width", "one"]


class Outer(Spec):
    """The outer layer a (m,), or its start when it is trained: signs or given values, times a scale.

    An initialisation that has an outer layer of its own replaces it.
    """

    train: bool = False
    """whether the outer layer is trained, true or false"""
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

    @model_validator(mode="after")
    def _signs_only(self) -> Self:
        if self.positive is not None and self.values != "signs":
            refuse("needs `values: signs`; remove it, a list of values has its own signs", "positive")
        return self

    def fitted(self, width: int, outputs: int) -> Outer:
        """This outer layer for m = width neurons, `positive` filled in for one output.

        Raises PydanticCustomError where it does not fit.
        """
        if outputs > 1:
            self._check_unused(outputs)
            return self
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

    def _check_unused(self, outputs: int) -> None:
        """Refuse keys that mean nothing for several outputs, whose weights (K, m) come from the initialisation."""
        remedy = f"has no meaning with outputs = {outputs}; remove it, the outer layer comes from init.outer"
        if self.values != "signs":
            refuse(remedy, "values")
        if self.positive is not None:
            refuse(remedy, "positive")
        if self.scale != "inverse_sqrt_width":
            refuse(remedy, "scale")


class TwoLayerModel(Spec):
    """f(x) = sum_j a_j phi(<w_j, x> + b_j) with m = width neurons; W and the biases, if any, are trained."""

    kind: Literal["two_layer"]
    width: Count
    """the number m of neurons, an integer >= 1"""
    outputs: int = Field(default=1, ge=1, le=10_000)
    """the number K of outputs: 1 (labels -1 and +1), or K >= 3 for classes 0, ..., K - 1 with softmax
    cross-entropy"""
    activation: Relu | LeakyRelu | Linear | SmoothLeakyRelu | HuberizedRelu = Field(discriminator="kind")
    """the activation: {kind: relu}, {kind: leaky_relu, slope: s}, {kind: linear},
    {kind: smooth_leaky_relu, slope: s} or {kind: huberized_relu, h: number | inverse_half_width}"""
    outer: Outer = Field(default_factory=Outer, validate_default=True)
    """the outer layer: {train, values, positive, scale}"""
    bias: bool = False
    """whether neurons have a bias, trained with the inner layer, true or false"""

    @field_validator("outputs", mode="after")
    @classmethod
    def _not_two(cls, outputs: int) -> int:
        if outputs == 2:
            refuse("is not used for two classes; use labels -1/+1 with outputs: 1")
        return outputs

    @field_validator("activation", mode="after")
    @classmethod
    def _half_width(cls, activation: Spec, info: ValidationInfo) -> Spec:
        width = info.data.get("width", 2)
        if isinstance(activation, HuberizedRelu) and activation.h == "inverse_half_width" and width % 2:
            refuse(f"needs an even width, not {width}; choose an even width or give h as a number", "h")
        return activation

    @field_validator("outer", mode="after")
    @classmethod
    def _fit_width(cls, outer: Outer, info: ValidationInfo) -> Outer:
        # A refused width or number of outputs is reported alone: nothing can be said about the fit then.
        known = "width" in info.data and "outputs" in info.data
        return outer.fitted(info.data["width"], info.data["outputs"]) if known else outer


class ScalarModel(Spec):
    """f(x) = sum_j a_j phi(b_j <v_j, x>), unit directions v_j frozen, a and b trained (Telgarsky, Theorem 3.3)."""

    kind: Literal["scalar"]
    width: Count
    """the number m of neurons, an integer >= 1"""
    activation: Relu | LeakyRelu = Field(discriminator="kind")
    """the activation: {kind: relu} or {kind: leaky_relu, slope: s}"""


Model = TwoLayerModel | ScalarModel
