"""The heavy ball and weight decay against torch.optim.SGD in W-space, 1000 steps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from gflow.descent import Constant, Coordinates, DescentProgress, DescentRun, GivenBatches, Iterate, Options, descend
from gflow.errors import ScenarioError
from tests.descent.cases import BOTH, DEVICES, KINDS, Case, Plain, allowed, case, gap, rows

STEPS, ETA = 1000, 0.05
RULES = [(0.9, 0.0), (0.0, 0.02), (0.9, 0.003)]


def by_torch(chosen: Case, momentum: float, decay: float, batches: GivenBatches | None) -> Plain:
    """The parameters after the steps of torch's own optimizer."""
    plain = Plain(chosen)
    leaves = [leaf for leaf in (plain.inner, plain.outer, plain.bias) if leaf is not None and leaf.requires_grad]
    optimizer = torch.optim.SGD(leaves, lr=ETA, momentum=momentum, weight_decay=decay)
    for k in range(STEPS):
        optimizer.zero_grad()
        plain.loss(slice(None) if batches is None else batches.indices[k].tolist()).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return plain


def inner_at(chosen: Case, row: Iterate) -> np.ndarray:
    """W at a row, whose part outside the span has shrunk."""
    problem, start = chosen.problem, chosen.weights()
    if problem.network.directions is not None:
        return row.U
    return np.asarray(row.outside * (chosen.inner - start.U @ problem.span.B) + row.U @ problem.span.B)


@pytest.mark.sample("*-0.9-0.003-*")
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("batch", [None, 4])
@pytest.mark.parametrize("momentum, decay", RULES)
@pytest.mark.parametrize("kind", KINDS)
def test_as_torch_does_it(kind: str, momentum: float, decay: float, batch: int | None, device: str) -> None:
    chosen = case(kind, "logistic")
    batches = None if batch is None else GivenBatches(np.random.default_rng(7).integers(9, size=(STEPS, batch)))
    run = DescentRun(chosen.weights(), Constant(ETA), np.array([0, STEPS]))
    run = run if batches is None else replace(run, batches=batches)
    plain = by_torch(chosen, momentum, decay, batches)
    for coordinates in BOTH if decay == 0.0 else [Coordinates.CHEAPEST]:
        options = Options(
            coordinates=allowed(chosen, coordinates), device=device, momentum=momentum, weight_decay=decay
        )
        last = rows(chosen, run, options=options)[-1]
        assert gap(inner_at(chosen, last), plain.inner) < 1e-12
        assert gap(last.outer, plain.outer) < 1e-12
        if plain.bias is not None and last.output_bias is not None:
            assert gap(last.output_bias, plain.bias) < 1e-12


def test_the_comparison_can_fail() -> None:
    """Negative controls: a momentum or a decay that is off by 1e-8, and W outside the span left as it was."""
    chosen = case("leaky", "logistic")
    plain = by_torch(chosen, 0.9, 0.003, None)
    run = DescentRun(chosen.weights(), Constant(ETA), np.array([0, STEPS]))
    for momentum, decay in ((0.9 + 1e-8, 0.003), (0.9, 0.003 * (1.0 + 1e-8))):
        last = rows(chosen, run, options=Options(momentum=momentum, weight_decay=decay))[-1]
        assert gap(inner_at(chosen, last), plain.inner) > 1e-10
    assert gap(chosen.inner_at(last), plain.inner) > 1e-2


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_holds_the_velocities(kind: str) -> None:
    """From any of them the rows that follow have the same bits, also where a run has ended before."""
    chosen, options = case(kind, "logistic"), Options(momentum=0.9, weight_decay=0.01)
    runs = [DescentRun(chosen.weights(), Constant(eta), np.array([0, 5, end])) for eta, end in ((0.1, 9), (0.2, 30))]
    items, origins = list[Iterate](), list[tuple[int, object]]()
    whole = list[Iterate]()
    for item in descend(chosen.problem, runs, options):
        if isinstance(item, Iterate):
            whole.append(item)
        elif isinstance(item, DescentProgress):
            origins.append((len(whole), item.checkpoint()))
    for seen, origin in origins:
        items = [each for each in descend(chosen.problem, runs, options, origin) if isinstance(each, Iterate)]  # type: ignore[arg-type]
        assert len(items) == len(whole) - seen
        for a, b in zip(items, whole[seen:], strict=True):
            assert (a.run, a.step, a.outside) == (b.run, b.step, b.outside)
            assert np.array_equal(a.U, b.U) and np.array_equal(a.outer, b.outer) and np.array_equal(a.p, b.p)


@pytest.mark.parametrize(
    "options, said",
    [
        (Options(momentum=1.0), "momentum must be in"),
        (Options(momentum=-0.1), "momentum must be in"),
        (Options(weight_decay=np.inf), "weight_decay a finite number"),
        (Options(weight_decay=0.1, coordinates=Coordinates.SAMPLES), "use SPAN"),
    ],
)
def test_what_cannot_be_is_refused(options: Options, said: str) -> None:
    chosen = case("leaky", "logistic")
    with pytest.raises(ScenarioError, match=said):
        rows(chosen, DescentRun(chosen.weights(), Constant(ETA), np.array([0, 1])), options=options)
