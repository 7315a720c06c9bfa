"""The data of a scenario: a random generator of the papers, or real data (`real_data`)."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, model_validator

from gflow.scenario.schema.base import (
    LIST,
    NUMBER,
    Count,
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
from gflow.scenario.schema.geometric_data import ConesData, TeacherData, TwoConesData, XorData
from gflow.scenario.schema.real_data import BreastCancerData, Cifar10Data, DigitsData, FileData, MnistData


class Labelled(Spec):
    """What random data sets have whose labels do not follow from their inputs."""

    n: Count
    """the number of samples, an integer >= 1"""
    d: Count
    """the number of inputs, an integer >= 1"""
    labels: Labels = "rademacher"
    """how labels are drawn: `rademacher` (independent, +1 or -1 with probability 1/2 each) or `balanced`
    (ceil(n/2) times +1, in random order)"""
    seed: Seed | None = None
    """the seed of the data alone, an integer >= 0; without it the seed of the scenario decides"""


class Generated(Labelled):
    """The same, where more samples of the same law can be drawn."""

    test: Count | None = None
    """the number of test samples, an integer >= 1: fresh draws of the same law, flipped labels included, from a stream
    of their own, so that the training samples have the same bits with and without them; by default none"""


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
        if not self.replacement and (self.test or 0) > self.d:
            refuse(f"exceeds d = {self.d}; orthogonal inputs need test <= d, or set `replacement: true`", "test")
        return self


class GramData(Labelled):
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


class ParityData(Spec):
    """Inputs uniform on the corners {+-1/sqrt(d)}^d of a cube, y = d x_1 x_2 (2-sparse parity, Telgarsky)."""

    kind: Literal["parity"]
    n: Count
    """the number of samples, an integer >= 1; the same corner may be drawn twice"""
    d: int = Field(ge=2, le=10_000_000)
    """the number of inputs, an integer >= 2 (20 in Telgarsky, Figure 1)"""
    label_noise: float | None = Field(default=None, ge=0, lt=0.5)
    """the fraction of the labels of each sign that are flipped afterwards, in [0, 0.5); by default none"""
    seed: Seed | None = None
    """the seed of the data alone, an integer >= 0; without it the seed of the scenario decides"""
    test: Count | None = None
    """the number of test samples, an integer >= 1: fresh draws of the same law from a stream of their own; by default
    none"""


Mean = Annotated[tuple[Annotated[float, Field(ge=-1e150, le=1e150)], ...], Field(strict=False, min_length=1)]
MeanList = Annotated[tuple[Mean, ...], Field(strict=False, min_length=1)]


class ClustersData(Spec):
    """Equally likely classes, equally likely means in each, x = mean + N(0, std^2 I) (XOR of Chatterji et al.)."""

    kind: Literal["clusters"]
    n: Count
    """the number of samples, an integer >= 1"""
    means_plus: MeanList
    """the means of the samples with label +1: a list of lists of d numbers, for example [[1, 0], [0, 1]]"""
    means_minus: MeanList
    """the means of the samples with label -1: a list of lists of d numbers, for example [[1, 1], [-1, -1]]"""
    std: NonNegative
    """the standard deviation of each input around its mean, >= 0 (0.1 in Chatterji et al.)"""
    norm: Size | None = None
    """the Euclidean norm to which every sample is scaled, > 0 (1 in the theorems of Chatterji et al.); by default
    samples are left as they are"""
    label_noise: float | None = Field(default=None, ge=0, lt=0.5)
    """the fraction of the labels of each sign that are flipped afterwards, in [0, 0.5); by default none"""
    seed: Seed | None = None
    """the seed of the data alone, an integer >= 0; without it the seed of the scenario decides"""
    test: Count | None = None
    """the number of test samples, an integer >= 1: fresh draws of the same law from a stream of their own; by default
    none"""

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        d = len(self.means_plus[0])
        for key, means in (("means_plus", self.means_plus), ("means_minus", self.means_minus)):
            for k, mean in enumerate(means):
                if len(mean) != d:
                    refuse(f"has length {len(mean)}, and means_plus[0] has {d}; all means need one length", key, k)
        return self


Data = (
    FileData
    | GaussianData
    | GaussianMixtureData
    | OrthogonalData
    | GramData
    | ParityData
    | ClustersData
    | DigitsData
    | BreastCancerData
    | MnistData
    | Cifar10Data
    | ConesData
    | TwoConesData
    | XorData
    | TeacherData
)
