"""Random data of a scenario that are made to satisfy an assumption of a paper, or a rule."""

from __future__ import annotations

from math import radians, sin
from typing import Literal, Self

from pydantic import Field, model_validator

from gflow.scenario.schema.base import Count, NonNegative, Seed, Size, Spec, refuse

RIGHT_ANGLE_AND_A_HALF = 135.0


class ConesData(Spec):
    """Samples in cones around the corners of a regular simplex, which satisfy Telgarsky's Assumption 3.1."""

    kind: Literal["cones"]
    n: Count
    """the number of samples, an integer >= 1; their cones are equally likely"""
    d: int = Field(ge=2, le=10_000_000)
    """the number of inputs, an integer >= 2 and >= cones - 1"""
    cones: int = Field(ge=2, le=10_000)
    """the number r of cones, an integer >= 2; the first ceil(r/2) have the label +1"""
    margin: float = Field(gt=0, lt=1)
    """gamma_nc, in (0, 1): the least product of a sample with the axis of its own cone; samples have norm <= 1"""
    eps: float = Field(gt=0, lt=1)
    """epsilon, in (0, margin): the products with the axes of other cones are at most -eps, and a sample is at most
    margin sqrt(eps/2) off the axis of its own"""
    seed: Seed | None = None
    """the seed of the data alone, an integer >= 0; without it the seed of the scenario decides"""
    test: Count | None = None
    """the number of test samples, an integer >= 1: fresh draws of the same law from a stream of their own; by default
    none"""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.d < self.cones - 1:
            refuse(f"is below cones - 1 = {self.cones - 1}, which a simplex of {self.cones} corners needs", "d")
        if self.eps >= self.margin:
            refuse(f"is not below margin = {self.margin:g}; use a smaller one", "eps")
        return self


class TwoConesData(Spec):
    """The two cones in the plane, and the sample x' between them, of Telgarsky's Proposition 2.6; all labels +1."""

    kind: Literal["two_cones"]
    n: int = Field(ge=3, le=10_000_000)
    """the number of samples, an integer >= 3: half of n - 1 in each cone, and x' as the last"""
    angle: float = Field(ge=RIGHT_ANGLE_AND_A_HALF, lt=180)
    """the angle between the outer edges of the cones in degrees, in [135, 180), each of which has a sample"""
    spread: float = Field(default=0.0, ge=0)
    """the angle of each cone in degrees, >= 0, at most (angle - 135) / 2: then products between the cones are at most
    -1/sqrt(2)"""
    alpha: float = Field(gt=0, lt=1)
    """alpha > 0 of x' = alpha v_0 - sqrt(1 - alpha^2) v_1, v_1 the edge at 0 and v_0 at 90 degrees; below
    sin(angle), so that x' lies beyond the second cone"""
    seed: Seed | None = None
    """the seed of the data alone, an integer >= 0; without it the seed of the scenario decides"""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        widest = (self.angle - RIGHT_ANGLE_AND_A_HALF) / 2.0
        if self.spread > widest:
            refuse(
                f"exceeds (angle - 135) / 2 = {widest:g}, where products between the cones pass -1/sqrt(2)", "spread"
            )
        if self.alpha >= sin(radians(self.angle)):
            bound = sin(radians(self.angle))
            refuse(f"is not below sin(angle) = {bound:.6g}; x' would not lie beyond the second cone", "alpha")
        return self


class XorData(Spec):
    """x = z + N(0, std^2 I_d), z uniform on +-mu_1, +-mu_2 (orthogonal); y = sign(|<mu_1, x>| - |<mu_2, x>|)
    (Frei et al., Section 5)."""

    kind: Literal["xor"]
    n: Count
    """the number of samples, an integer >= 1"""
    d: int = Field(ge=2, le=10_000_000)
    """the number of inputs, an integer >= 2"""
    norm: Size
    """the Euclidean norm of mu_1 = norm e_1 and mu_2 = norm e_2, > 0"""
    std: NonNegative = 1.0
    """the standard deviation of the noise on each input, >= 0"""
    label_noise: float = Field(default=0.0, ge=0, lt=0.5)
    """the fraction of the labels of each sign that are flipped afterwards, in [0, 0.5)"""
    seed: Seed | None = None
    """the seed of the data alone, an integer >= 0; without it the seed of the scenario decides"""
    test: Count | None = None
    """the number of test samples, an integer >= 1: fresh draws of the same law from a stream of their own; by default
    none"""


class TeacherData(Spec):
    """Inputs N(0, std^2 I_d), labelled by the sign of a ReLU network that is drawn once."""

    kind: Literal["teacher"]
    n: Count
    """the number of samples, an integer >= 1"""
    d: Count
    """the number of inputs, an integer >= 1"""
    width: Count
    """the number of neurons of the teacher, an integer >= 1: directions uniform on the sphere, outer weights
    +-1/sqrt(width), ceil(width/2) of them positive; y = +1 where its output is above 0, else -1 (the labels need not be
    balanced)"""
    std: Size = 1.0
    """the standard deviation of each input, > 0"""
    label_noise: float = Field(default=0.0, ge=0, lt=0.5)
    """the fraction of the labels of each sign that are flipped afterwards, in [0, 0.5)"""
    seed: Seed | None = None
    """the seed of the teacher and the data, an integer >= 0; without it the seed of the scenario decides"""
    test: Count | None = None
    """the number of test samples, an integer >= 1: fresh draws labelled by the same teacher, from a stream of their
    own; by default none"""
