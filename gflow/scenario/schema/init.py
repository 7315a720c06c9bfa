"""The start of a flow in a scenario: random weights or a file."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, model_validator

from gflow.scenario.schema.base import (
    NAME,
    NOTHING,
    NUMBER,
    FilePath,
    NonNegative,
    Seed,
    Size,
    Spec,
    exactly_one,
    refuse,
    shape_of,
)


class OuterInit(Spec):
    """An outer layer with independent entries N(0, std^2); it replaces `model.outer.values`."""

    std: Annotated[Literal["inverse_sqrt_width", "tensorflow"], NAME] | Annotated[NonNegative, NUMBER] = Field(
        discriminator=Discriminator(shape_of)
    )
    """the standard deviation of each outer weight: a number >= 0, `inverse_sqrt_width` (1/sqrt(m), Telgarsky)
    or `tensorflow` (sqrt(2 / (m + K)) for K outputs)"""


class GaussianInit(Spec):
    """W(0) with independent entries N(0, w^2): w = std, or scale times the default of a library."""

    kind: Literal["gaussian"]
    std: Annotated[Literal["inverse_sqrt_inputs"], NAME] | Annotated[NonNegative, NUMBER] | Annotated[None, NOTHING] = (
        Field(default=None, discriminator=Discriminator(shape_of))
    )
    """the standard deviation of each entry of W(0): a number >= 0 or `inverse_sqrt_inputs` (1/sqrt(d),
    Telgarsky); give this or `scale`"""
    scale: NonNegative | None = None
    """the standard deviation in units of the default named by `relative_to`, >= 0; give this or `std`"""
    relative_to: Literal["tensorflow", "pytorch"] | None = None
    """the default that `scale` multiplies: `tensorflow` (sqrt(2 / (m + d))) or `pytorch` (1 / sqrt(3 d))"""
    outer: OuterInit | None = None
    """how the outer layer is drawn: {std: number | inverse_sqrt_width | tensorflow}; without it `model.outer`
    gives the values"""
    bias: Literal["zero", "same"] = "zero"
    """the biases at the start: `zero`, or `same` (drawn with the standard deviation of the weights)"""
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


class UniformOuter(Spec):
    """An outer layer with independent entries, uniform by the law of the same library; it replaces
    `model.outer.values`."""

    scale: NonNegative
    """what multiplies the default of the library, >= 0; with 1.0 it is that default"""


class UniformInit(Spec):
    """W(0) with independent uniform entries, as a library draws them by default."""

    kind: Literal["uniform"]
    relative_to: Literal["tensorflow", "pytorch"]
    """the library: `tensorflow` (Glorot uniform, on +-sqrt(6 / (m + d)), an outer layer on +-sqrt(6 / (m + K)); biases
    0) or `pytorch` (`Linear`, on +-1/sqrt(d), an outer layer on +-1/sqrt(m); biases as the weights of their layer)"""
    scale: NonNegative = 1.0
    """what multiplies W(0), and biases of the neurons that are drawn, >= 0 (1/50 in Frei et al.); by default 1"""
    outer: UniformOuter | None = None
    """how the outer layer is drawn: {scale}; without it `model.outer` gives the values, and output biases start at 0"""
    seed: Seed | None = None
    """the seed of W(0) alone, an integer >= 0; without it the seed of the scenario decides"""


class BalancedInit(Spec):
    """The start of a scalar network: v_j uniform on the sphere, a_j and b_j independent signs times `size`."""

    kind: Literal["balanced"]
    size: Annotated[Literal["inverse_fourth_root_width"], NAME] | Annotated[Size, NUMBER] = Field(
        default="inverse_fourth_root_width", discriminator=Discriminator(shape_of)
    )
    """the common size of all a_j and b_j: a number > 0, or `inverse_fourth_root_width` (m^(-1/4), the default)"""
    seed: Seed | None = None
    """the seed of directions and signs alone, an integer >= 0; without it the seed of the scenario decides"""


class FileInit(Spec):
    """The start from a file."""

    kind: Literal["file"]
    path: FilePath
    """the .npz file, relative to the scenario file: W (m, d), with biases b (m,), and optionally the outer layer
    a (m,); for K outputs a (K, m) and optionally c (K,); for kind scalar v (m, d), a (m,) and b (m,)"""


Init = GaussianInit | UniformInit | BalancedInit | FileInit
