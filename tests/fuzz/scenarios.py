"""Whole scenarios of hostile problems: the text, and the files it names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tests.fuzz.problems import Picker, Recipe, built, drawn

ACTIVATIONS = ("kinked", "kinked", "kinked", "smooth_leaky_relu", "huberized_relu")
ENDS = ("{log_time: 3}", "{time: 1e-6}", "{log_loss: -2}", "{certified: true}", "{log_time: 1e4, log_loss: -50}")
ENGINES = ("auto", "auto", "primal", "dual")  # dual is refused where the outer layer is trained or phi smooth
SPACINGS = ("log", "loglog", "linear")
METHODS = ("auto", "auto", "auto", "DOP853", "Radau", "RK45", "dopri5")
GENERATED = (
    "{kind: gaussian, n: 1, d: 1}",
    "{kind: gaussian, n: 4, d: 9}",
    "{kind: gaussian_mixture, n: 5, d: 3, mean: {kind: ones, norm: 1e8}}",
    "{kind: orthogonal, n: 3, d: 3}",
    "{kind: parity, d: 2}",
)


@dataclass(frozen=True, slots=True)
class Hostile:
    """A recipe and what a scenario adds to it.  data: a generator instead of the recipe's rows, which leaves its sizes
    aside; zero_row: the last input is 0."""

    recipe: Recipe
    data: str | None
    zero_row: bool
    activation: str
    trained: bool
    bias: bool
    engine: str
    method: str
    end: str
    spacing: str
    budget: str = "{steps: 60, events: 60}"

    def write(self, folder: Path) -> Path:
        """The scenario in this folder, beside its data and its start."""
        recipe = self.recipe
        problem, W = built(recipe)
        X = problem.X.copy()
        X[-1] *= 0.0 if self.zero_row else 1.0
        np.savez(folder / "data.npz", X=X, y=problem.y)
        np.savez(folder / "init.npz", W=W, a=problem.network.outer, b=np.zeros(recipe.m))
        path = folder / "hostile.yaml"
        path.write_text(self._text())
        return path

    def _text(self) -> str:
        drawn = f"{{kind: gaussian, std: {self.recipe.scales[1]}}}"
        return f"""\
gflow: 1
name: hostile
seed: {self.recipe.seed}
data: {self.data or "{kind: file, path: data.npz}"}
model:
  kind: two_layer
  width: {self.recipe.m}
  activation: {self._activation()}
  outer: {{train: {str(self.trained).lower()}, values: signs, scale: inverse_sqrt_width}}
  bias: {str(self.bias).lower()}
init: {drawn if self.data else "{kind: file, path: init.npz}"}
loss: {self.recipe.loss}
flow:
  engine: {self.engine}
  method: {self.method}
  until: {self.end}
  budget: {self.budget}
record: {{times: {{spacing: {self.spacing}, count: 6}}}}
"""

    def _activation(self) -> str:
        slope = self.recipe.slope
        if self.activation == "huberized_relu":
            return "{kind: huberized_relu, h: 0.5}"
        if self.activation == "smooth_leaky_relu":
            return f"{{kind: smooth_leaky_relu, slope: {slope}}}"  # slopes 0 and 1 are refused
        return "{kind: linear}" if slope == 1.0 else f"{{kind: leaky_relu, slope: {slope}}}"


def drawn_scenario(seed: int) -> Hostile:
    """The scenario of a seed: every second one of moderate sizes, which more often runs to its end."""
    rng = np.random.default_rng([seed, 2])
    one_of, recipe = Picker(rng), drawn(seed)
    near = (one_of((0.1, 1.0, 3.0)), one_of((0.1, 1.0, 3.0)), one_of((0.1, 1.0, 3.0)))
    return Hostile(
        replace(recipe, scales=near) if seed % 2 else recipe,
        data=one_of(GENERATED) if rng.random() < 0.2 else None,
        zero_row=bool(rng.random() < 0.05),
        activation=one_of(ACTIVATIONS),
        trained=bool(rng.random() < 0.4),
        bias=bool(rng.random() < 0.3),
        engine=one_of(ENGINES),
        method=one_of(METHODS),
        end=one_of(ENDS),
        spacing=one_of(SPACINGS),
    )
