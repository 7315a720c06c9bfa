"""Data of a scenario that are not drawn: a file, or a real data set bundled with scikit-learn."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, model_validator

from gflow.scenario.schema.base import NAME, NOTHING, NUMBER, Count, FilePath, Seed, Spec, refuse, shape_of


class FileData(Spec):
    """Samples from a file."""

    kind: Literal["file"]
    path: FilePath
    """the .npz file (arrays X (n, d) and y (n,)) or .csv file (the last column is the label), relative to the
    scenario file; labels are -1 and +1, or with `model.outputs: K` the classes 0, ..., K - 1"""
    test: Annotated[Count, NUMBER] | Annotated[FilePath, NAME] | Annotated[None, NOTHING] = Field(
        default=None, discriminator=Discriminator(shape_of)
    )
    """the test samples: a number >= 1 of samples that are taken out of the file at random and not trained on, or
    another file of the same form; by default none"""
    seed: Seed | None = None
    """the seed of the choice of test samples, an integer >= 0; without it the seed of the scenario decides"""


Digit = Annotated[int, Field(ge=0, le=9)]


class DigitsData(Spec):
    """Two or more classes of the 8 x 8 handwritten digits bundled with scikit-learn (d = 64)."""

    kind: Literal["digits"]
    classes: Annotated[tuple[Digit, ...], Field(strict=False, min_length=2)]
    """the digits, all different and in 0..9: [a, b] with labels +1 for a and -1 for b, or, with
    `model.outputs: K`, K digits with labels 0, ..., K - 1 in the order given"""
    n: Count | None = None
    """the number of samples drawn, as balanced as possible, >= 1; by default all of them"""
    scaling: Literal["pixels", "unit", "standard"] = "pixels"
    """the scaling of the inputs: `pixels` (divided by 16), `unit` (rows of norm 1) or `standard`
    (each input centred, with standard deviation 1)"""
    test: Count | None = None
    """the number of test samples, an integer >= 1: drawn at random from the samples that are not among the n, which
    stay the same; without `n` all others are trained on; by default none"""
    seed: Seed | None = None
    """the seed of the subset, an integer >= 0; without it the seed of the scenario decides"""

    @model_validator(mode="after")
    def _different(self) -> Self:
        if len(set(self.classes)) < len(self.classes):
            refuse("names one digit twice; name different digits", "classes")
        return self


class BreastCancerData(Spec):
    """The breast cancer data bundled with scikit-learn (569 samples, d = 30): +1 benign, -1 malignant."""

    kind: Literal["breast_cancer"]
    n: Count | None = None
    """the number of samples drawn, as balanced as possible, >= 1; by default all 569"""
    scaling: Literal["standard", "unit", "none"] = "standard"
    """the scaling of the inputs: `standard` (each input centred, with standard deviation 1), `unit`
    (rows of norm 1) or `none`"""
    test: Count | None = None
    """the number of test samples, an integer >= 1: drawn at random from the samples that are not among the n, which
    stay the same; without `n` all others are trained on; by default none"""
    seed: Seed | None = None
    """the seed of the subset, an integer >= 0; without it the seed of the scenario decides"""
