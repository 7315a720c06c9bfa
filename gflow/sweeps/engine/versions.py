"""The versions on which the bits of a run depend; a worker with other ones is refused."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from gflow.errors import SweepError

PACKAGES = ("numpy", "scipy", "numba", "llvmlite", "torch", "torchdiffeq", "h5py", "pydantic")
PACKAGE = Path(__file__).resolve().parents[2]


@cache
def versions() -> dict[str, str]:
    """Name and version of everything that a run uses; of gflow the hash of its source, which its version is not."""
    return {"gflow": _source(), "python": platform.python_version()} | {name: _version(name) for name in PACKAGES}


def check_versions(expected: Mapping[str, str], where: str) -> None:
    """Raise SweepError where they are not those of the process that carries out the sweep."""
    here = versions()
    if other := [name for name in expected if here.get(name) != expected[name]]:
        told = ", ".join(f"{name} {here.get(name)} instead of {expected[name]}" for name in other)
        raise SweepError(f"{where} has {told}: install the same there, and start its workers again")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def _source() -> str:
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]
