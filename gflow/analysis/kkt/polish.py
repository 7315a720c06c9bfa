"""Refinement of an interior point to full accuracy: least squares on the active sets, which are exchanged until they
are right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gflow.analysis.kkt.problem import Gradients, Multipliers, folded
from gflow.arrays import Array, Bools, Index

MOST_EXCHANGES = 30
# Violations below this, in units of |theta|, are rounding; a residual that is shorter by less is no better.
ROUNDING = 1e-13
# Within this part of its range an interior point counts as being on a bound; wrong guesses are exchanged later.
ON_BOUND = 1e-8


def polished(gradients: Gradients, start: Multipliers, price: Array) -> Multipliers:
    """Least squares on the active sets of the start, which are exchanged until they are right; price (N,): as for
    `interior_point`.  Returns the best point seen."""
    held = start.lam[gradients.margin]
    used = start.lam > ON_BOUND * start.lam.max(initial=0.0)
    low, high = start.nu < ON_BOUND * held, start.nu > (1.0 - ON_BOUND) * held
    best, least = start, _cost(gradients, start, price)
    same = ROUNDING * (least + ROUNDING)
    least += 2.0 * same  # of equally good points one with exact zeros
    for _ in range(MOST_EXCHANGES):
        low, high = low | ~used[gradients.margin], high & used[gradients.margin]
        at = _least_squares(gradients, start, price, used, low, high)
        wrong_l, wrong_low, wrong_high = _violations(gradients, at, price, used, low, high)
        settled = not (wrong_l.any() or wrong_low.any() or wrong_high.any())
        inside = _clipped(at, gradients.margin)
        if (cost := _cost(gradients, inside, price)) < least + (same if settled else -same):
            best, least = inside, cost
        if settled:
            break
        used, low, high = used ^ wrong_l, low ^ wrong_low, high ^ wrong_high
    return best


def _clipped(at: Multipliers, margin: Index) -> Multipliers:
    lam = np.maximum(at.lam, 0.0)
    return Multipliers(lam, np.clip(at.nu, 0.0, lam[margin]))


def _cost(gradients: Gradients, at: Multipliers, price: Array) -> float:
    return 0.5 * gradients.distance(at) ** 2 + float(price @ at.lam)


def _violations(
    gradients: Gradients, at: Multipliers, price: Array, used: Bools, low: Bools, high: Bools
) -> tuple[Bools, Bools, Bools]:
    """Which margins, lower and upper bounds of kinks should change sides."""
    pull = gradients.pulls(gradients.residual(at))
    on_l = pull.on_base - price + gradients.gathered(np.where(high, pull.on_kinks, 0.0))
    held = at.lam[gradients.margin]
    wrong_l = np.where(used, at.lam < -ROUNDING, on_l + gradients.gathered(np.maximum(pull.on_kinks, 0.0)) > ROUNDING)
    free = ~low & ~high
    wrong_low = np.where(low, (pull.on_kinks > ROUNDING) & used[gradients.margin], free & (at.nu < -ROUNDING))
    wrong_high = np.where(high, pull.on_kinks < -ROUNDING, free & (at.nu > held + ROUNDING))
    return wrong_l & gradients.live, wrong_low, wrong_high & ~wrong_low


def _least_squares(
    gradients: Gradients, start: Multipliers, price: Array, used: Bools, low: Bools, high: Bools
) -> Multipliers:
    """Unconstrained on the active sets, with one step of refinement from the residual itself."""
    margin, free = gradients.margin, ~low & ~high
    kernel, mixed, inverse = reduced(gradients, free, high)
    kernel = kernel[np.ix_(used, used)]
    lam = np.where(used, start.lam, 0.0)
    at = Multipliers(lam, np.where(free, start.nu, np.where(high, lam[margin], 0.0)))
    for _ in range(3):
        pull = gradients.pulls(gradients.residual(at))
        right = np.zeros(gradients.blocks.shape[:2])
        right[gradients.row, gradients.slot] = np.where(free, pull.on_kinks, 0.0)
        inner = (inverse @ right[..., None])[..., 0]
        on_l = pull.on_base - price + gradients.gathered(np.where(high, pull.on_kinks, 0.0))
        on_l = on_l - np.tensordot(inner, mixed, 2)
        dl = np.zeros(lam.size)
        dl[used] = np.linalg.lstsq(kernel, on_l[used], rcond=1e-14)[0]
        dn = (inner - inverse @ mixed @ dl)[gradients.row, gradients.slot]
        at = replace(at, lam=at.lam + dl, nu=at.nu + np.where(free, dn, np.where(high, dl[margin], 0.0)))
    return at


def reduced(gradients: Gradients, free: Bools, high: Bools) -> tuple[Array, Array, Array]:
    """Kernel (N, N) with the kinks high (E,) at slope 1 and the free ones (E,) eliminated; the mixed terms (k, s, N)
    and the inverse blocks (k, s, s) of the free ones."""
    row, slot, n = gradients.row, gradients.slot, gradients.size.size
    kernel, mixed = folded(gradients, high)
    keep = np.zeros(gradients.blocks.shape[:2])
    keep[row, slot] = free
    blocks = gradients.blocks * keep[:, :, None] * keep[:, None, :]
    inverse = np.linalg.pinv(blocks, rcond=1e-13, hermitian=True) if keep.any() else np.zeros_like(blocks)
    mixed = mixed * keep[:, :, None]
    kernel = kernel - mixed.reshape(-1, n).T @ (inverse @ mixed).reshape(-1, n)
    return 0.5 * (kernel + kernel.T), mixed, np.asarray(inverse, dtype=np.float64)
