"""What torchdiffeq 0.2.5 is known to get wrong must not reach us: one test for each trap that the adapter avoids."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from gflow.ode import torchdiffeq_methods
from gflow.ode.locate import root
from tests.ode.known import known, started, step_past

ROOT = Path(__file__).resolve().parents[2]


def solver() -> Any:  # torchdiffeq ships no types
    stepper = cast(torchdiffeq_methods.TorchdiffeqStepper, started("dopri5", known(1e-6), 1e-2))
    return stepper._solver


def test_the_version_is_pinned_and_installed() -> None:
    """The wheel and the repository differ under one version string; private parts are used."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert "torchdiffeq==0.2.5" in wanted
    assert version("torchdiffeq") == "0.2.5"


def test_its_events_and_its_loop_are_not_used() -> None:
    """An event that is zero at the start fires there, and events are located on the quartic interpolant."""
    tree = ast.parse(Path(torchdiffeq_methods.__file__).read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert not names & {"odeint", "odeint_event", "odeint_adjoint", "find_event"}
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not used & {"integrate", "integrate_until_event", "_advance", "_advance_until_event"}


def test_no_least_step_forces_a_bad_one_through() -> None:
    assert float(solver().min_step) == 0.0


def test_the_norm_is_ours_and_no_relative_tolerance_is_left() -> None:
    assert float(solver().norm(torch.tensor([3.0, 4.0], dtype=torch.float64))) == pytest.approx(np.sqrt(12.5))
    assert float(solver().rtol) == 0.0


def test_an_event_that_is_zero_at_the_start_of_a_step_does_not_hide_its_return() -> None:
    """sin t is zero at 0, positive until pi; the root is at pi, and the one at 0 is no event."""
    stepper = started("dopri5", known(1e-10), 1e-2)
    first = stepper.step()
    assert root(stepper, first, lambda y: float(y[1]), 0.0, 1.0, resolution=1e-15) is None
    hit = root(stepper, step_past(stepper, np.pi)[-1], lambda y: float(y[1]), 0.0, 1.0, resolution=1e-15)
    assert hit is not None and hit[0] == pytest.approx(np.pi, abs=1e-8)


def test_events_are_located_to_the_tolerance_of_the_steps() -> None:
    """At a scale of 1e-12 the error is that of the states, not the square root of it."""
    stepper = started("dopri5", known(1e-12), 1e-2)
    hit = root(stepper, step_past(stepper, np.pi)[-1], lambda y: float(y[1]), 0.0, 1.0, resolution=1e-15)
    assert hit is not None and hit[0] == pytest.approx(np.pi, abs=5e-11)


def test_the_refusal_survives_without_asserts() -> None:
    script = (
        "import numpy as np, warnings; warnings.simplefilter('ignore')\n"
        "from tests.ode.known import started, walled\n"
        "from gflow.ode.step import StepError\n"
        "stepper = started('dopri5', walled(), 3.0, y0=np.zeros(1))\n"
        "try:\n"
        "    for _ in range(2000): stepper.step()\n"
        "except StepError: print('refused')\n"
    )
    done = subprocess.run([sys.executable, "-O", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "refused"


def test_torch_is_not_loaded_for_the_methods_of_scipy() -> None:
    script = "import sys, gflow.ode.methods as m; m.method_named('Radau'); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
