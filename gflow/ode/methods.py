"""Methods of integration by name.  Their libraries are loaded only when one of them is asked for."""

from __future__ import annotations

from gflow.ode.step import Method

TORCH_NAMES = ("dopri5", "dopri8", "bosh3", "adaptive_heun", "fehlberg2")


def method_named(name: str) -> Method:
    """`DOP853`, `RK45`, `Radau` (scipy), or one of TORCH_NAMES (torchdiffeq).  Raises KeyError for another name."""
    if name in TORCH_NAMES:
        from gflow.ode.torchdiffeq_methods import TORCHDIFFEQ_METHODS

        return {m.name: m for m in TORCHDIFFEQ_METHODS}[name]
    from gflow.ode.scipy_methods import SCIPY_METHODS

    return {m.name: m for m in SCIPY_METHODS}[name]
