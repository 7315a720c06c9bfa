"""Data of a scenario that are not drawn: a file, a real data set in a folder, or one bundled with scikit-learn."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from gflow.scenario.schema.base import LIST, NAME, NOTHING, NUMBER, Count, FilePath, Seed, Spec, refuse, shape_of


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
Digits = Annotated[tuple[Digit, ...], Field(strict=False, min_length=2)]
Group = Annotated[tuple[Digit, ...], Field(strict=False, min_length=1)]
Groups = Annotated[tuple[Group, ...], Field(strict=False, min_length=2)]


def classes_shape(value: Any) -> str | None:  # Any: whatever the YAML file holds at this key
    """The tag of a list of digits, or of a list of lists of them."""
    if not isinstance(value, list | tuple):
        return None
    return "lists" if value and isinstance(value[0], list | tuple) else "list"


class ClassifiedData(Spec):
    """What data of ten classes have, some of which are taken."""

    classes: Annotated[Digits, LIST] | Annotated[Groups, Tag("lists")] = Field(
        discriminator=Discriminator(classes_shape)
    )
    """the classes, all different and in 0..9: [a, b] with labels +1 for a and -1 for b, or, with `model.outputs: K`,
    K of them with labels 0, ..., K - 1 in the order given; a list in the place of each class puts several under one
    label, for example [[0, 2, 4, 6, 8], [1, 3, 5, 7, 9]]"""
    n: Count | None = None
    """the number of samples drawn, as balanced as possible, >= 1; by default all of them"""
    scaling: Literal["pixels", "unit", "standard"] = "pixels"
    """the scaling of the inputs: `pixels` (divided by 255, of `digits` by 16), `unit` (rows of norm 1) or `standard`
    (each input centred, with standard deviation 1, by the mean and deviation of the training samples)"""

    @model_validator(mode="after")
    def _different(self) -> Self:
        named = [digit for entry in self.classes for digit in (entry if isinstance(entry, tuple) else (entry,))]
        if len(set(named)) < len(named):
            refuse("names one digit twice; name different digits", "classes")
        return self


class DigitsData(ClassifiedData):
    """Two or more classes of the 8 x 8 handwritten digits bundled with scikit-learn (d = 64)."""

    kind: Literal["digits"]
    test: Count | None = None
    """the number of test samples, an integer >= 1: drawn at random from the samples that are not among the n, which
    stay the same; without `n` all others are trained on; by default none"""
    seed: Seed | None = None
    """the seed of the subset, an integer >= 0; without it the seed of the scenario decides"""


class ImageData(ClassifiedData):
    """What data of images have that are read from a folder and have test samples of their own."""

    test: Annotated[Count, NUMBER] | Annotated[Literal["all"], NAME] | Annotated[None, NOTHING] = Field(
        default=None, discriminator=Discriminator(shape_of)
    )
    """the number of test samples, an integer >= 1, drawn at random from those of the classes in the test files, or
    `all`; by default none"""
    seed: Seed | None = None
    """the seed of the subsets, an integer >= 0; without it the seed of the scenario decides"""


class MnistData(ImageData):
    """Two or more classes of MNIST (d = 784): the digits 0..9, or the clothes of Fashion-MNIST in the same files."""

    kind: Literal["mnist"]
    path: FilePath
    """the folder of the four files (train-images-idx3-ubyte and so on, plain or .gz), relative to the scenario file"""


class Cifar10Data(ImageData):
    """Two or more classes of CIFAR-10 (d = 3072): 0 airplane, 1 automobile, 2 bird, 3 cat, 4 deer, 5 dog, 6 frog,
    7 horse, 8 ship, 9 truck."""

    kind: Literal["cifar10"]
    path: FilePath
    """the folder of the binary version (data_batch_1.bin to data_batch_5.bin, test_batch.bin), relative to the scenario
    file"""


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
