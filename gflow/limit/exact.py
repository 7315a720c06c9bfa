"""Ties between samples decided in rational arithmetic, as every float is a rational number, and so is the kernel.

In floating point a margin of 1 cannot be told from one of 1 + 1e-16, nor dependent features from nearly dependent ones;
over times like tau = 1e16 they behave differently.  On small data the exact kernel of the given numbers can be
computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

import numpy as np

from gflow.arrays import Array, Bools, Index
from gflow.field.mode import Mode

Matrix = list[list[Fraction]]

# The most products of rational numbers, some microseconds each, that an exact kernel may take.
MOST_WORK = 300_000
# The most products of whole numbers in an elimination, weighted by their length, which grows with every row.
MOST_PRODUCTS, WORD = 100_000, 2_000


@dataclass(frozen=True, slots=True)
class ExactSolution:
    """x (n,) and margins (n,) = K x, each rounded once.

    binding (n,): whether the margin is exactly the right side; rank: of K where x > 0.
    """

    x: Array
    margins: Array
    binding: Bools
    rank: int


@dataclass(frozen=True)
class ExactKernel:
    """K (n, n) of some samples in a mode, without rounding."""

    K: Matrix

    @classmethod
    def of(cls, mode: Mode, samples: Index) -> ExactKernel | None:
        """The kernel of these samples (n,); None where it would take too long.

        None also where surfaces on which neurons slide hold samples that are parallel only to rounding, since the mode
        is then not one of the exact data.
        """
        X = mode.problem.X
        sliding = [tuple(int(h) for h in np.flatnonzero(row == 0)) for row in mode.side]
        kinds = set(sliding)
        products = sum((each + X.shape[1]) * (each + samples.size) ** 2 for each in map(len, kinds))
        if products + len(sliding) * samples.size**2 > MOST_WORK or not _parallel(mode, sorted(set().union(*kinds))):
            return None
        first = mode.problem.surfaces.first_sample
        rows = {held: np.concatenate([first[list(held)], samples]).astype(np.intp) for held in kinds}
        gram = {held: _projected(X[rows[held]], len(held)) for held in kinds}
        return cls(_kernel(mode, samples, [gram[held] for held in sliding]))

    @property
    def rounded(self) -> Array:
        """K (n, n) in float64, each entry rounded once."""
        return np.array([[float(entry) for entry in row] for row in self.K])

    def solution(self, near: Array, right: int) -> ExactSolution | None:
        """x > 0 where near (n,) > 0, else 0, with exactly K x = right there and K x >= right elsewhere.

        Where x is not unique, it is chosen close to `near`.  None where there is no such x close to near, or the search
        would take too long.
        """
        on = [int(i) for i in np.argsort(-near, kind="stable") if near[i] > 0.0]
        rows = [[self.K[i][k] for k in on] + [Fraction(right)] for i in on]
        if not _affordable(rows):
            return None
        whole_rows, pivots = _reduced(rows)
        if any(row[-1] != 0 for row in whole_rows[len(pivots) :]):
            return None
        free = [k for k in range(len(on)) if k not in pivots]
        x = [Fraction(float(near[i])) for i in on]
        for row, pivot in zip(whole_rows, pivots, strict=False):
            x[pivot] = (row[-1] - sum((row[k] * x[k] for k in free), Fraction(0))) / row[pivot]
        margins = [sum((row[i] * each for i, each in zip(on, x, strict=True)), Fraction(0)) for row in self.K]
        if min(x) <= 0 or min(margins) < right:
            return None
        whole = np.zeros(near.size)
        whole[on] = [float(each) for each in x]
        binding = np.array([each == right for each in margins])
        return ExactSolution(whole, np.array([float(each) for each in margins]), binding, len(pivots))

    def independent(self, chosen: Bools) -> bool:
        """Whether K is known to be definite on the chosen samples, (n,)."""
        on = np.flatnonzero(chosen)
        rows = [[self.K[i][k] for k in on] + [Fraction(0)] for i in on]
        return _affordable(rows) and len(_reduced(rows)[1]) == on.size


def _parallel(mode: Mode, surfaces: Sequence[int]) -> bool:
    """Whether all samples on these surfaces are exactly parallel to the first ones."""
    X, at = mode.problem.X, mode.problem.surfaces
    for h in surfaces:
        u = [Fraction(float(each)) for each in X[at.first_sample[h]]]
        top = int(np.argmax(np.abs(X[at.first_sample[h]])))
        for i in np.flatnonzero(at.of_sample == h):
            x = [Fraction(float(each)) for each in X[i]]
            if any(a * u[top] != x[top] * b for a, b in zip(x, u, strict=True)):
                return False
    return True


def _projected(X: Array, held: int) -> Matrix:
    """<x_i, P x_k> of all rows but the first `held`, P the projection across those: their elimination."""
    unit = lcm(*(float(each).as_integer_ratio()[1] for each in X.flat))  # a power of two: whole numbers are fast
    rows = [[int(Fraction(float(each)) * unit) for each in x] for x in X]
    gram = [[Fraction(sum(a * b for a, b in zip(x, z, strict=True)), unit**2) for z in rows] for x in rows]
    for j in range(held):
        if gram[j][j] == 0:  # the row depends on those before it, and is 0
            continue
        for i in range(j + 1, len(rows)):
            if gram[i][j] != 0:
                ratio = gram[i][j] / gram[j][j]
                gram[i] = [a - ratio * b for a, b in zip(gram[i], gram[j], strict=True)]
    return [row[held:] for row in gram[held:]]


def _kernel(mode: Mode, samples: Index, gram: Sequence[Matrix]) -> Matrix:
    n, outer = samples.size, mode.problem.network.outer
    K = [[Fraction(0)] * n for _ in range(n)]
    for j in range(outer.size):
        weight = Fraction(float(outer[j])) ** 2
        s = [Fraction(float(each)) for each in mode.slopes[j, samples] * mode.problem.y[samples]]
        for i in range(n):
            if s[i] != 0:
                K[i] = [total + weight * s[i] * s[k] * gram[j][i][k] for k, total in enumerate(K[i])]
    return K


def _affordable(rows: Matrix) -> bool:
    """Whether the elimination of these rows stays within the limits above."""
    sizes = (each.numerator.bit_length() + each.denominator.bit_length() for row in rows for each in row)
    longest = max(sizes, default=0)
    return len(rows) ** 3 * (1 + len(rows) * longest // WORD) <= MOST_PRODUCTS


def _reduced(rows: Matrix) -> tuple[list[list[int]], list[int]]:
    """(A | b) in reduced row echelon form, up to a factor of each row, and the pivot columns, the first ones possible.

    It is done in whole numbers with divisions without remainder (Bareiss 1968), as fractions would be reduced at every
    product.
    """
    scales = [lcm(*(each.denominator for each in row)) for row in rows]
    whole = [[int(each * scale) for each in row] for row, scale in zip(rows, scales, strict=True)]
    pivots, last = list[int](), 1
    for column in range(len(rows[0]) - 1):
        top = len(pivots)
        chosen = next((i for i in range(top, len(whole)) if whole[i][column] != 0), None)
        if chosen is None:
            continue
        whole[top], whole[chosen] = whole[chosen], whole[top]
        lead = whole[top][column]
        for i, row in enumerate(whole):
            if i != top:
                by = row[column]
                whole[i] = [(lead * a - by * b) // last for a, b in zip(row, whole[top], strict=True)]
        pivots.append(column)
        last = lead
    return whole, pivots
