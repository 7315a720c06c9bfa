"""The facts that a file records about its run: the problem, and the provenance (who ran it, when, with which
versions)."""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from typing import Any

from gflow.assembly.engine_name import engine_name, method_name
from gflow.assembly.setup import Setup
from gflow.console import printable
from gflow.flow.choice import TAYLOR
from gflow.problem.activation import numbers_of
from gflow.scenario import Scenario
from gflow.scenario.schema import TwoLayerModel


def facts(scenario: Scenario, setup: Setup) -> dict[str, str | float | int]:
    """The facts of a run, which become root attributes of its file."""
    network, model = setup.problem.network, scenario.model
    known: dict[str, str | float | int] = {
        "name": scenario.name,
        "model": model.kind,
        "activation": model.activation.kind,
        "slope": network.slope,
        "homogeneity": network.homogeneity,
        "trains_outer": int(network.trains_outer),
        "bias": int(isinstance(model, TwoLayerModel) and model.bias),
        "outputs": network.outputs,
        "loss": scenario.loss,
        "engine": engine_name(scenario),
        "method": method_name(scenario),
        "rtol": scenario.flow.rtol,
        "atol": scenario.flow.atol,
    }
    return known | numbers_of(network.smoothing)


def provenance(scenario: Scenario) -> dict[str, Any]:  # Any: a JSON value
    """One entry of provenance, for one start of the run: who ran it, with which versions, when and on which machine."""
    packages = ("gflow", "numpy", "scipy", "h5py", "torch", "torchdiffeq")
    compiled = compilation(scenario)
    return ({"compiled": compiled} if compiled else {}) | {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": [printable(word) for word in sys.argv],
        "overrides": list(scenario.origin.overrides),
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in packages},
        "machine": {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count()},
    }


def compilation(scenario: Scenario) -> dict[str, str]:
    """What compiled the code that integrates the flow, and for which processor; empty where none of it is compiled."""
    if method_name(scenario) != TAYLOR:
        return {}
    from gflow.compiled import compiled_for  # loads numba

    return compiled_for()


@cache
def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
