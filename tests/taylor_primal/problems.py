"""Random problems with trained outer layers, or in primal coordinates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gflow.problem.problem import Problem
from tests.both_loops import Made, recipe_of
from tests.fuzz.problems import built

KINDS = ("both", "inner", "tied", "late", "bias")


def made(kind: str, seed: int) -> Made:
    """The problem of a seed; `bias` adds a coordinate 1 to every input."""
    recipe = recipe_of(kind, seed)
    problem, W = built(recipe)
    X = problem.X
    if kind == "bias":
        X = np.column_stack([X, np.ones(problem.samples)])
        W = np.column_stack([W, np.random.default_rng([seed, 2]).normal(size=len(W))])
    network = replace(problem.network, trains_outer=kind != "inner")
    return Problem.of(X, problem.y, network, problem.loss), W, recipe.log_time
