"""Which data a scenario asks for: a file, a random generator of the papers, or a bundled real data set."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, model_validator

from gflow.scenario.schema.base import (
    LIST,
    NUMBER,
    Count,
    FilePath,
    Labels,
    NonNegative,
    Seed,
    Size,
    SizeList,
    Spec,
    exactly_one,
    refuse,
    shape_of,
)


class FileData(Spec):
    """Samples from a file."""

    kind: Literal["file"]
    path: FilePath
    """the .npz file (arrays X (n, d) and y (n,) in {-1, +1}) or .csv file (the last column is the label),
    relative to the scenario file"""


class Generated(Spec):
    """What every random data set has."""

    n: Count
    """the number of samples, an integer >= 1"""
    d: Count
    """the number of inputs, an integer >= 1"""
    labels: Labels = "rademacher"
    """how labels are drawn: `rademacher` (independent, +1 or -1 with probability 1/2 each) or `balanced`
    (ceil(n/2) times +1, in random order)"""
    seed: Seed | None = None
    """the seed of the data alone, an integer >= 0; without it the seed of the scenario decides"""


class GaussianData(Generated):
    """Independent inputs N(0, std^2 I_d), labels independent of them."""

    kind: Literal["gaussian"]
    std: Size = 1.0
    """the standard deviation of each input, > 0"""


class OnesMean(Spec):
    """A cluster mean whose d entries are equal and positive (Frei et al., Appendix F.1)."""

    kind: Literal["ones"]
    norm: Size | None = None
    """the Euclidean norm of the mean, > 0; give this or `power`"""
    power: float | None = Field(default=None, ge=-10, le=10)
    """the exponent b of a mean of norm d^b, from -10 to 10 (0.26 in Frei et al.); give this or `norm`"""

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        exactly_one(self, "norm", "power")
        return self


class GaussianMean(Spec):
    """A cluster mean drawn once from N(0, std^2 I_d) (Kou et al., Section 6)."""

    kind: Literal["gaussian"]
    std: Size
    """the standard deviation of each entry of the mean, > 0 (0.01 in Kou et al.)"""


class GaussianMixtureData(Generated):
    """Two clusters, x = y mu + N(0, std^2 I_d), with a share of the labels flipped afterwards."""

    kind: Literal["gaussian_mixture"]
    mean: OnesMean | GaussianMean = Field(discriminator="kind")
    """the cluster mean mu: {kind: ones, norm | power} or {kind: gaussian, std}"""
    std: Size = 1.0
    """the standard deviation of the noise on each input, > 0"""
    label_noise: float = Field(default=0.0, ge=0, lt=0.5)
    """the fraction of the labels of each cluster that are flipped, in [0, 0.5) (0.15 in Frei et al.)"""


class OrthogonalData(Generated):
    """Inputs drawn from the standard basis of R^d (Kou et al., Figure 5)."""

    kind: Literal["orthogonal"]
    replacement: bool = False
    """whether the same basis vector may be drawn twice; without it the inputs are orthogonal and n <= d"""
    norm: Size = 1.0
    """the Euclidean norm of every input, > 0"""

    @model_validator(mode="after")
    def _enough_directions(self) -> Self:
        if not self.replacement and self.n > self.d:
            refuse(f"exceeds d = {self.d}; orthogonal inputs need n <= d, or set `replacement: true`", "n")
        return self


class GramData(Generated):
    """Inputs with a prescribed Gram matrix: given norms, and inner products of at most `coherence`."""

    kind: Literal["gram"]
    d: Count = Field(default_factory=lambda valid: valid["n"])
    """the number of inputs, an integer >= n (by default n; further columns are zero)"""
    norms: Annotated[Size, NUMBER] | Annotated[SizeList, LIST] = Field(discriminator=Discriminator(shape_of))
    """the norms of the samples: one number, [low, high] to draw them uniformly, or a list of n numbers
    (two numbers with n = 2 are the norms themselves)"""
    coherence: NonNegative
    """the largest |<x_i, x_k>| over i != k, >= 0, attained exactly; below (smallest norm)^2 / (n - 1) a Gram
    matrix always exists"""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.d < self.n:
            refuse(f"is below n = {self.n}, which a positive definite Gram matrix needs; use d >= n", "d")
        if self.n == 1 and self.coherence > 0:
            refuse("must be 0 with n = 1; one sample has no inner product with another", "coherence")
        if isinstance(self.norms, tuple):
            self._check_list(self.norms)
        return self

    def _check_list(self, norms: tuple[float, ...]) -> None:
        if len(norms) not in (2, self.n):
            refuse(f"has {len(norms)} entries; give one number, [low, high] or n = {self.n} numbers", "norms")
        if self.n != 2 and len(norms) == 2 and norms[0] > norms[1]:
            refuse("is [low, high] with low > high; exchange the two numbers", "norms")


Digit = Annotated[int, Field(ge=0, le=9)]


class DigitsData(Spec):
    """Two classes of the 8 x 8 handwritten digits bundled with scikit-learn (d = 64)."""

    kind: Literal["digits"]
    classes: Annotated[tuple[Digit, Digit], Field(strict=False)]
    """the two digits [a, b], different and in 0..9; a has label +1 and b has label -1"""
    n: Count | None = None
    """the number of samples drawn, as balanced as possible, >= 1; by default all of them"""
    scaling: Literal["pixels", "unit", "standard"] = "pixels"
    """the scaling of the inputs: `pixels` (divided by 16), `unit` (rows of norm 1) or `standard`
    (each input centred, with standard deviation 1)"""
    seed: Seed | None = None
    """the seed of the subset, an integer >= 0; without it the seed of the scenario decides"""

    @model_validator(mode="after")
    def _two_classes(self) -> Self:
        if self.classes[0] == self.classes[1]:
            refuse("names one digit twice; name two different digits", "classes")
        return self


class BreastCancerData(Spec):
    """The breast cancer data bundled with scikit-learn (569 samples, d = 30): +1 benign, -1 malignant."""

    kind: Literal["breast_cancer"]
    n: Count | None = None
    """the number of samples drawn, as balanced as possible, >= 1; by default all 569"""
    scaling: Literal["standard", "unit", "none"] = "standard"
    """the scaling of the inputs: `standard` (each input centred, with standard deviation 1), `unit`
    (rows of norm 1) or `none`"""
    seed: Seed | None = None
    """the seed of the subset, an integer >= 0; without it the seed of the scenario decides"""


Data = FileData | GaussianData | GaussianMixtureData | OrthogonalData | GramData | DigitsData | BreastCancerData
