"""Classes of samples that coincide; each acts as one sample with a weight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gflow.arrays import EPS, Array, Index
from gflow.problem.problem import Problem

# Lengths of parallel samples that differ by at most this (relative) count as equal: it is the rounding of one input.
EQUAL_LENGTHS = 8.0 * EPS


@dataclass(frozen=True, slots=True)
class Classes:
    """first (k,): the position of one sample of each class; of (n,): the class of each sample; weight (k,): the class
    sizes.
    """

    first: Index
    of: Index
    weight: Array


def classes_of(problem: Problem, samples: Index) -> Classes:
    """Which of the samples (n,) have the same input and label."""
    surface, alpha, y = problem.surfaces.of_sample[samples], problem.surfaces.alpha[samples], problem.y[samples]
    order = np.lexsort((alpha, y, surface))
    apart = np.abs(np.diff(alpha[order])) > EQUAL_LENGTHS * np.abs(alpha[order][1:])
    new = apart | (np.diff(surface[order]) != 0) | (np.diff(y[order]) != 0)
    of = np.empty(samples.size, dtype=np.intp)
    of[order] = np.concatenate([[0], np.cumsum(new)]) if samples.size else []
    _, first, weight = np.unique(of, return_index=True, return_counts=True)
    return Classes(first, of, weight.astype(float))
