"""Error scales: the sizes of weights and margins at a row to which an error of rtol is relative.

A block of parameters is a neuron's w_j, with its outer weights where these are trained, or the output bias.  Each block
is integrated to an error of atol + rtol times its norm.  The dual engine integrates margins to rtol, too.  The primal
engine knows margins only as well as the weights determine them:
|dp_i| <= sum_j |(A_j phi'_ji |x_i|, phi_ji)| |(dw_j, dA_j)|.
"""

from __future__ import annotations

import numpy as np

from gflow.arrays import EPS, Array
from gflow.problem.span import row_norms
from gflow.reference.margins import hidden, slopes
from gflow.trajectory.recorded_run import RecordedRow, RecordedRun


def of_weights(recorded: RecordedRun, at: RecordedRow, primal: bool) -> float:
    """The error scale of theta as a whole.  primal: is the primal engine among those compared?

    Weights that have come to 0 are known to the rounding of those at the start, of which they are what is left.
    """
    blocks = np.maximum(_blocks(recorded, at), EPS / recorded.rtol * _blocks(recorded, recorded.row(0)))
    return float(np.linalg.norm(blocks + _floor(recorded) if primal else blocks))


def of_growth(recorded: RecordedRun, at: RecordedRow, primal: bool) -> float:
    """The factor >= 1 by which the relative error of theta may exceed rtol.

    A start that is small beside atol is known badly; as it grows, its error shifts all that follows in time.
    """
    size = of_weights(recorded, at, False)
    return of_weights(recorded, at, primal) / size if size > 0.0 else 1.0


def of_margins(recorded: RecordedRun, at: RecordedRow, primal: bool) -> Array:
    """The error scales of the margins, (n,): max(1, |p|), or what the weights determine if that is more."""
    known = np.full(at.p.size, max(1.0, float(np.abs(at.p).max())))
    return np.maximum(known, _determined(recorded, at)) if primal else known


def _floor(recorded: RecordedRun) -> float:
    """The norm at which atol is as much as rtol times that."""
    return float(recorded.trajectory.facts["atol"]) / recorded.rtol


def _blocks(recorded: RecordedRun, at: RecordedRow) -> Array:
    """Norms of the blocks: those of the neurons (m,), and, where there is one, that of the output bias."""
    norms = np.hypot(recorded.outside_norms, row_norms(at.U))
    if recorded.problem.network.trains_outer:
        norms = np.hypot(norms, np.linalg.norm(np.atleast_2d(at.outer), axis=0))
    return norms if at.bias is None else np.append(norms, np.linalg.norm(at.bias))


def _determined(recorded: RecordedRun, at: RecordedRow) -> Array:
    """The bound above (n,), for errors of one rtol in every block; margins of classes are differences of outputs."""
    problem, network = recorded.problem, recorded.problem.network
    sizes = _blocks(recorded, at) + _floor(recorded)
    z, A = problem.preactivations(at.U), np.abs(np.atleast_2d(at.outer))[:, :, None]
    steepest = np.abs(slopes(network, z, at.pattern, at_kink=1.0))
    moved = A * steepest * np.linalg.norm(problem.coordinates(), axis=-1)
    if network.trains_outer:
        moved = np.hypot(moved, hidden(network, z, at.pattern))
    outputs = np.einsum("kmn,m->kn", moved, sizes[: network.width]) + (0.0 if at.bias is None else sizes[-1])
    return np.asarray(outputs[0] if network.outputs == 1 else 2.0 * outputs.max(axis=0))
