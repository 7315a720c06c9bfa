"""Every option of descent, asked for in a scenario, against 1000 steps of plain autograd or a given formula."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

import gflow
from gflow.assembly import build_setup
from gflow.errors import GflowError
from tests.descend.cases import BOTH, Plain, descended, gap, last_row, scenario

STEPS = 1000


def epochs(seed: int, n: int, size: int, count: int) -> list[list[int]]:
    """The batches of random orders, drawn as the README says: numpy's default generator, many orders at a time."""
    rng, found = np.random.default_rng(seed), list[list[int]]()
    order = rng.permuted(np.tile(np.arange(n), (2**14 // n, 1)), axis=1)
    for epoch in order.tolist():
        found += [epoch[first : first + size] for first in range(0, n, size)]
    return found[:count]


@pytest.mark.parametrize("layers", [(), BOTH], ids=["inner", "both"])
def test_full_batches(tmp_path: Path, layers: tuple[str, ...]) -> None:
    found = descended(tmp_path, *layers, "descent={eta: [0.2], until: {steps: 1000}}")
    plain = Plain.of(found)
    losses = plain.run(lambda k, loss: 0.2, [slice(None)] * STEPS)
    assert plain.agrees(found)
    run = found.run(0.2)
    assert (run.steps, run.outcome) == (STEPS, "time") and run.log1p_time == pytest.approx(np.log1p(200.0))
    assert run.log_loss == pytest.approx(float(plain.loss().log().detach()), abs=1e-12)
    assert run.loss_rises == int((np.diff([*losses, float(plain.loss().detach())]) > 0.0).sum()) == 0


def test_from_arrays_it_is_that_of_the_scenario_to_the_last_bit(tmp_path: Path) -> None:
    """Other arrays do not go on where these were left, and the folder is named after them."""
    of_scenario = descended(tmp_path / "scenario", etas=[0.1], steps=50).trajectory
    X, y, W, a = of_scenario.X, of_scenario.y, of_scenario.W_initial, of_scenario.outer_at(0)
    source = gflow.from_arrays(X, y, W, a, activation="leaky_relu", slope=0.1)
    found = gflow.descend(source, [0.1], steps=50, out=tmp_path / "arrays")
    assert np.array_equal(found.trajectory.weights(-1), of_scenario.weights(-1))
    assert not (tmp_path / "arrays" / "scenario.yaml").exists() and found.command.startswith("gflow descend ARRAYS ")
    again = gflow.descend(source, [0.1], steps=50, out=tmp_path / "arrays", resume=True)
    assert again.runs == found.runs and again.command == found.command
    other = gflow.from_arrays(X, -y, W, a, activation="leaky_relu", slope=0.1)
    with pytest.raises(GflowError, match="another"):
        gflow.descend(other, [0.1], steps=50, out=tmp_path / "arrays", resume=True)
    with pytest.raises(GflowError, match="from_arrays"):
        gflow.descend((X, y, W, a), [0.1], steps=50)  # type: ignore[arg-type]


def test_the_check_can_fail(tmp_path: Path) -> None:
    """Negative control: a step size that is off by 1e-9 is seen."""
    found = descended(tmp_path, "descent={eta: [0.2], until: {steps: 1000}}")
    plain = Plain.of(found)
    plain.run(lambda k, loss: 0.2 * (1.0 + 1e-9), [slice(None)] * STEPS)
    assert not plain.agrees(found)


@pytest.mark.parametrize("layers", [(), BOTH], ids=["inner", "both"])
def test_batches_in_random_orders(tmp_path: Path, layers: tuple[str, ...]) -> None:
    """The last batch of an epoch has the 2 samples that are left of 12."""
    found = descended(tmp_path, *layers, "descent={eta: [0.2], until: {steps: 1000}, batch: 5}")
    plain = Plain.of(found)
    plain.run(lambda k, loss: 0.2, epochs(3, 12, 5, STEPS))
    assert plain.agrees(found) and found.kind == "sgd"


def test_batches_with_replacement(tmp_path: Path) -> None:
    found = descended(tmp_path, "descent={eta: [0.2], until: {steps: 1000}, batch: 4, replacement: true}", seed=9)
    plain = Plain.of(found)
    drawn = np.random.default_rng(9).integers(12, size=(2**14 // 4, 4))
    plain.run(lambda k, loss: 0.2, drawn[:STEPS].tolist())
    assert plain.agrees(found)


def test_a_stream_takes_each_sample_once(tmp_path: Path) -> None:
    """One fresh sample a step, as in Telgarsky's stochastic descent."""
    found = descended(tmp_path, "data.n=1000", "descent={eta: [0.2], until: {steps: 1000}, batch: 1, stream: true}")
    plain = Plain.of(found)
    plain.run(lambda k, loss: 0.2, [[k] for k in range(STEPS)])
    assert plain.agrees(found)


def test_steps_that_follow_the_loss(tmp_path: Path) -> None:
    """eta_k = factor log^2(1 / L_k), `first` at the start and where the loss is not small; t is their sum."""
    rule = "{kind: log_squared, first: 0.1, factor: 0.7, loss_guard: 0.6}"
    found = descended(tmp_path, f"descent={{schedule: {rule}, until: {{steps: 1000}}}}")
    plain, sizes = Plain.of(found), list[float]()

    def size(k: int, loss: float) -> float:
        if len(sizes) == k:  # asked for once a leaf
            sizes.append(0.1 if k == 0 or loss >= 0.6 else 0.7 * np.log(1.0 / loss) ** 2)
        return sizes[k]

    plain.run(size, [slice(None)] * STEPS)
    assert plain.agrees(found) and len(set(sizes)) > 500 and 0.1 in sizes[1:]
    assert found.runs[0].log1p_time == pytest.approx(np.log1p(sum(sizes)), rel=1e-12)
    text = "log_squared:first=0.1,factor=0.7,loss_guard=0.6"
    again = descended(tmp_path / "again", schedule=text, steps=STEPS)
    assert np.array_equal(again.trajectory.inner, found.trajectory.inner)


@pytest.mark.parametrize("at_kink, slope", [("slope", 0.1), ("1/2", 0.5), ("1", 1.0), ("0", 0.0), ("0.55", 0.55)])
def test_the_slope_at_a_kink(tmp_path: Path, at_kink: str, slope: float) -> None:
    """A neuron at w = 0 moves by the slope that is stated: w(1) = (eta / n) sum of a g_i y_i slope x_i, g_i = 1/2."""
    X, y = np.eye(3, 5), np.array([1.0, -1.0, 1.0])
    np.savez(tmp_path / "data.npz", X=X, y=y)
    np.savez(tmp_path / "init.npz", W=np.zeros((1, 5)), a=np.array([2.0]))
    files = (f"data={{kind: file, path: {tmp_path}/data.npz}}", f"init={{kind: file, path: {tmp_path}/init.npz}}")
    one = (
        "model.width=1",
        "model.outer={values: [2.0]}",
        f"descent={{eta: [0.3], until: {{steps: 1}}, at_kink: {at_kink}}}",
    )
    found = descended(tmp_path / "run", *files, *one)
    assert found.trajectory.weights(-1)[0] == pytest.approx(0.1 * slope * (y @ X), abs=1e-16)


def test_single_precision(tmp_path: Path) -> None:
    """To the rounding of float32, and not better."""
    double, single = (
        descended(tmp_path / name, f"descent={{eta: [0.2], until: {{steps: 1000}}, precision: {name}}}")
        for name in ("double", "single")
    )
    assert 1e-9 < gap(single.trajectory.weights(-1), double.trajectory.weights(-1)) < 1e-4


def test_counts_of_what_is_watched(tmp_path: Path) -> None:
    """Both layers at a large step: rises of the loss, and steps with eta L above a bound, as plain descent counts."""
    found = descended(tmp_path, *BOTH, "descent={eta: [40.0], until: {steps: 60}, watch: {bound: 4.0}}")
    plain = Plain.of(found)
    losses = plain.run(lambda k, loss: 40.0, [slice(None)] * 60)
    rises = np.diff(np.log([*losses, float(plain.loss().detach())]))
    run = found.runs[0]
    assert run.loss_rises == int((rises > 1e-13).sum()) > 0
    assert run.largest_loss_rise == pytest.approx(rises.max(), rel=1e-6)
    assert run.steps_above_bound == int((40.0 * np.array(losses) > 4.0).sum()) > 0
    unwatched = descended(tmp_path / "no", "descent={eta: [0.2], until: {steps: 9}, watch: {losses: false}}")
    assert unwatched.runs[0].loss_rises is None


def test_an_end_at_a_loss(tmp_path: Path) -> None:
    """Each run ends at its first row that is there; one that does not come so far takes all its steps."""
    how = "descent={eta: [0.5, 0.001], until: {steps: 300, log_loss: -1.2}}"
    found = descended(tmp_path, how)
    whole = descended(tmp_path / "whole", how.replace(", log_loss: -1.2", "")).trajectory
    own = whole.read("eta") == 0.5
    first = int(np.flatnonzero(own & (whole.log_loss <= -1.2))[0])
    fast, slow = found.runs
    assert (fast.outcome, fast.steps, fast.log_loss) == ("log_loss", whole.read("step")[first], whole.log_loss[first])
    assert (slow.outcome, slow.steps) == ("time", 300) and "1 reached the loss" in found.summary


@pytest.mark.parametrize("layers", [(), BOTH], ids=["inner", "both"])
def test_seeds_draw_starts_and_batches(tmp_path: Path, layers: tuple[str, ...]) -> None:
    """Each run has the start that its seed draws as `init.seed`, and the batches of its seed; all in one program."""
    words = "descent={eta: [0.2, 0.1], until: {steps: 400}, batch: 5, seeds: 4..6, starts: drawn}"
    found = descended(tmp_path, *layers, words)
    assert [(run.eta, run.seed) for run in found.runs] == [(eta, seed) for eta in (0.2, 0.1) for seed in (4, 5, 6)]
    for eta, seed in ((0.2, 4), (0.1, 6)):
        setup = build_setup(scenario(*layers, f"init.seed={seed}"))
        plain = Plain(setup.problem.X, setup.problem.y, setup.inner, setup.problem.network.outer, bool(layers))
        plain.run(lambda k, loss, eta=eta: eta, epochs(seed, 12, 5, 400))  # type: ignore[misc]  # bound now
        row = last_row(found, eta, seed)
        file = found.trajectory
        moved = plain.W.detach().numpy() @ file.basis.T
        assert gap(file.inner[row], moved) < 1e-12 and gap(file.outer_at(row), plain.a.detach().numpy()) < 1e-12
        alone = descended(
            tmp_path / f"{eta}{seed}", *layers, f"init.seed={seed}", etas=[eta], steps=400, batch=5, seed=seed
        )
        assert alone.runs[0].weight_norm == pytest.approx(found.run(eta, seed).weight_norm, rel=1e-12)
        assert alone.runs[0].stable_rank == pytest.approx(found.run(eta, seed).stable_rank, rel=1e-12)
    with pytest.raises(gflow.TrajectoryError, match="every seed has its own start"):
        found.trajectory.weights(0)


def test_seeds_of_batches_only(tmp_path: Path) -> None:
    found = descended(tmp_path, etas=[0.2], steps=300, batch=3, seeds=[8, 2])
    for seed in (8, 2):
        plain = Plain.of(found)
        plain.run(lambda k, loss: 0.2, islice(epochs(seed, 12, 3, 300), 300))
        assert plain.agrees(found, last_row(found, 0.2, seed))


@pytest.mark.parametrize("layers", [(), BOTH], ids=["inner", "both"])
@pytest.mark.parametrize("momentum, decay", [(0.9, None), (None, 0.05), (0.8, 0.002)])
def test_momentum_and_weight_decay_as_torch_has_them(
    tmp_path: Path, layers: tuple[str, ...], momentum: float | None, decay: float | None
) -> None:
    """d = 20 inputs and 12 samples, so that W has a part outside their span, which decays; norms of a row are those of
    its W."""
    wide = ("data.d=20", *layers)
    found = descended(tmp_path, *wide, etas=[0.1], steps=STEPS, batch=5, momentum=momentum, weight_decay=decay)
    plain = Plain.of(found)
    optimizer = torch.optim.SGD(plain.leaves, lr=0.1, momentum=momentum or 0.0, weight_decay=decay or 0.0)
    for batch in epochs(3, 12, 5, STEPS):
        optimizer.zero_grad()
        plain.loss(batch).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert plain.agrees(found)
    file, W = found.trajectory, plain.W.detach().numpy()
    assert found.runs[0].weight_norm == pytest.approx(np.linalg.norm(W), rel=1e-12)
    sizes = np.linalg.svd(W, compute_uv=False)
    assert found.runs[0].stable_rank == pytest.approx((sizes**2).sum() / sizes[0] ** 2, rel=1e-12)
    assert file.form.has_decay == (decay is not None) and file.facts.get("momentum") == momentum
    if layers:
        norms = np.abs(file.outer_at(-1)) * np.linalg.norm(W, axis=1)
        assert file.neurons["norm"][-1] == pytest.approx(norms, rel=1e-12)


def test_the_settings_of_the_papers(tmp_path: Path) -> None:
    """Kou et al.: ReLU, phi'(0) = 1, constant steps.  Chatterji et al.: Huberized ReLU and both layers, steps that
    follow the loss, with the count of steps above their bound."""
    kou = (
        "model.activation={kind: relu}",
        "data={kind: gaussian_mixture, n: 10, d: 20, mean: {kind: gaussian, std: 0.01}}",
    )
    kou_run = descended(tmp_path / "kou", *kou, "descent={eta: [0.1], until: {steps: 50}, at_kink: 1}")
    chatterji = ("model={kind: two_layer, width: 8, activation: {kind: huberized_relu, h: 0.1}, bias: true}",)
    rule = "{schedule: {kind: log_squared, first: 0.05, factor: 0.1}, until: {steps: 50}, watch: {bound: 0.01}}"
    steps = descended(tmp_path / "chatterji", *chatterji, f"descent={rule}")
    assert kou_run.runs[0].steps == steps.runs[0].steps == 50 and steps.runs[0].steps_above_bound is not None
