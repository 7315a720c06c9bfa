"""B runs as one tensor program: a step changes all of them in place and stores nothing.

The step of one run on a batch of k samples, with step size eta and weight w_i of sample i, is

    z = W x_i,  f = A phi(z) + c,  R_ki = eta w_i g_i dp_i/df_k
    A += R phi(z)^T (if trained),  c += sum_i R_ki (if there is one),  w_j += sum_i (A^T R)_ji phi'(z_ji) x_i

with the old values in all terms on the right; with momentum or weight decay see `heavy_ball`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gflow.arrays import Array, Sides
from gflow.descent.activation import activation_of
from gflow.descent.batches import FullBatch, Stream
from gflow.descent.coordinates import inner_of, numbers
from gflow.descent.heavy_ball import HeavyBall
from gflow.descent.outputs import Outputs
from gflow.descent.plan import DescentRun, Options, Precision
from gflow.descent.replay import Feed, Replay
from gflow.descent.watch import LossReport, Tally
from gflow.errors import CheckpointError
from gflow.problem.problem import Problem

# The most iterates that are made in one block: launches and copies are what they cost, and the calls of torch.
TOGETHER = {"cpu": 16, "cuda": 32}
State = dict[str, NDArray[Any]]  # Any: numbers of the arithmetic of the steps, and counts


@dataclass(frozen=True, slots=True, eq=False)
class IterateArrays:
    """One run at one step, in float64.

    U (m, r); outer (m,) or (K, m), as in the network; output_bias (K,); margins p (n,); pattern (m, n): signs of
    pre-activations.
    """

    summed_steps: float
    U: Array
    outer: Array
    output_bias: Array | None
    p: Array
    pattern: Sides
    outside: float
    """the factor of the part of W outside the span of the samples"""


class Program:
    """Runs with one kind of schedule and of batches (see `check_runs`), first at step 0."""

    @torch.inference_mode()
    def __init__(self, problem: Problem, runs: Sequence[DescentRun], options: Options) -> None:
        network, device = problem.network, torch.device(options.device)
        dtype = torch.float64 if options.precision is Precision.DOUBLE else torch.float32

        def stacked(arrays: Sequence[Array], kind: torch.dtype = dtype) -> Tensor:
            return torch.tensor(np.stack(arrays), dtype=kind, device=device)

        B, K, m = len(runs), network.outputs, network.width
        self._network = network
        decays = options.weight_decay > 0.0
        self._inner = inner_of(problem, runs[0], options.coordinates, stacked([run.start.U for run in runs]), decays)
        self._A = stacked([run.start.outer.reshape(K, m) for run in runs])
        biases = [run.start.output_bias for run in runs if run.start.output_bias is not None]
        self._c = stacked(biases)[..., None] if biases else None
        self._activation = activation_of(network, options.at_kink)
        self._outputs = Outputs(problem, self._A)
        self._schedule = type(runs[0].schedule)
        self._parameters = stacked([np.array(run.schedule.parameters) for run in runs], torch.float64).T
        self._step_number = torch.zeros((), dtype=torch.int64, device=device)
        self._summed = torch.zeros(B, dtype=torch.float64, device=device)
        self._tally: Tally | None = None
        if options.watch is not None:
            self._tally = Tally(options.watch, B, torch.finfo(dtype).eps, device)
        # The part of W outside the span has no gradient: it decays, in all its entries alike.
        self._outside = torch.ones(B, 1, 1, dtype=dtype, device=device) if decays else None
        self._ball: HeavyBall | None = None
        if decays or options.momentum > 0.0:
            self._ball = HeavyBall(options.momentum, options.weight_decay, self._trained())
        self._everything = self._outputs.everything()
        self._streams = [Stream(run.batches, problem.samples) for run in runs if not isinstance(run.batches, FullBatch)]
        self._seen = runs[0].batches.size or problem.samples
        self._together = min(B, TOGETHER[device.type])  # also of those that are left when others have ended
        self._replay = Replay(self._step, device)
        self._make_buffers()

    def _make_buffers(self) -> None:
        shape = (self._A.shape[0], self._network.width, self._seen)
        self._hidden, self._coefficients = self._A.new_empty(shape), self._A.new_empty(shape)

    @property
    def batch_entries(self) -> int:
        """How many numbers the batches of one step of all runs take; 0 for full batches."""
        return sum(self._seen for _ in self._streams)

    @torch.inference_mode()
    def advance(self, steps: int) -> None:
        """Take this number of steps of all runs."""
        self._replay.run(self._feed(steps), steps)

    def _feed(self, steps: int) -> Feed:
        """The batches of the next steps on the device."""
        if not self._streams:
            return None
        indices, weights = zip(*(stream.take(steps) for stream in self._streams), strict=True)
        device, dtype = self._A.device, self._A.dtype
        return (
            torch.tensor(np.stack(indices, axis=1), device=device),
            torch.tensor(np.stack(weights, axis=1), device=device, dtype=dtype),
        )

    def _step(self, feed: Feed, number: int) -> None:
        batch = self._everything if feed is None else self._outputs.batch(feed[0][number], feed[1][number])
        z, hidden, coefficients = self._inner.preactivations(batch.indices), self._hidden, self._coefficients
        self._activation.value(z, hidden)
        f = torch.bmm(self._A, hidden)
        p, directions = self._outputs.margins(f if self._c is None else f + self._c, batch)
        R = self._outputs.loss_slopes(p) * directions * batch.weights
        sizes = self._sizes(p).to(R.dtype)[:, None, None]
        trained = moved = self._trained()
        if self._ball is None:
            R.mul_(sizes)
        else:
            self._ball.begin(trained)
            moved = self._ball.velocities
        if self._network.outputs == 1:
            torch.mul(self._A.mT, R, out=coefficients)
        else:
            torch.bmm(self._A.mT, R, out=coefficients)
        if self._network.trains_outer:
            moved["outer"].baddbmm_(R, hidden.mT)
        if self._c is not None:
            moved["output_bias"].add_(R.sum(-1, keepdim=True))
        self._activation.backward(coefficients, z, hidden)
        self._inner.add(moved["inner"], coefficients, batch.indices)
        if self._ball is not None:
            self._ball.end(trained, sizes)

    def _trained(self) -> dict[str, Tensor]:
        """All that is trained, (B, ., .) each, by name."""
        trained = {"inner": self._inner.moved} | ({"outer": self._A} if self._network.trains_outer else {})
        trained |= {} if self._c is None else {"output_bias": self._c}
        return trained | ({} if self._outside is None else {"outside": self._outside})

    def _sizes(self, p: Tensor) -> Tensor:
        """eta (B,) of this step, counted and summed."""
        log_loss = None
        if self._schedule.needs_loss or self._tally is not None:
            log_loss = self._outputs.log_loss(p)
        sizes = self._schedule.sizes(self._parameters, self._step_number, log_loss)
        if self._tally is not None and log_loss is not None:
            self._tally.step(sizes, log_loss)
        self._summed.add_(sizes)
        self._step_number.add_(1)
        return sizes

    @torch.inference_mode()
    def finite(self) -> list[bool]:
        """Whether all numbers of a run are finite, one answer for each run."""
        finite = self._inner.finite() & self._A.isfinite().all(-1).all(-1)
        if self._c is not None:
            finite = finite & self._c.isfinite().all(-1).all(-1)
        return [bool(ok) for ok in finite.cpu()]

    def snapshots(self, runs: Sequence[int]) -> Iterator[IterateArrays]:
        """The present iterates of these runs, made in blocks; p may overflow where the weights do not.

        A block is filled up with its last run, so that every block of a program has one shape, and what is computed of
        a run does not depend on the others that are asked for.
        """
        size = self._together
        for first in range(0, len(runs), size):
            block = list(runs[first : first + size])
            yield from self._block(block + block[-1:] * (size - len(block)))[: len(block)]

    @torch.inference_mode()
    def _block(self, places: Sequence[int]) -> list[IterateArrays]:
        runs = torch.tensor(places, dtype=torch.int64, device=self._A.device)
        z, A = self._inner.all_preactivations(runs), self._A[runs]
        hidden = torch.empty_like(z)
        self._activation.value(z, hidden)
        f = torch.bmm(A, hidden)
        c = None if self._c is None else self._c[runs]
        p, _ = self._outputs.margins(f if c is None else f + c, self._everything)
        summed, U, outer, margins = (numbers(each) for each in (self._summed[runs], self._inner.span(runs), A, p))
        bias, pattern = None if c is None else numbers(c), torch.sign(z).to(torch.int8).cpu().numpy()
        outside = np.ones(len(places)) if self._outside is None else numbers(self._outside[runs])[:, 0, 0]
        shape = self._network.outer.shape
        return [
            IterateArrays(
                float(summed[k]),
                U[k].copy(),
                outer[k].reshape(shape).copy(),
                None if bias is None else bias[k, :, 0].copy(),
                margins[k, 0].copy(),
                pattern[k].copy(),
                float(outside[k]),
            )
            for k in range(len(places))
        ]

    def report(self, run: int, log_loss: float | None) -> LossReport | None:
        """The counts of a run that ends now (see `Tally.report`)."""
        return None if self._tally is None else self._tally.report(run, log_loss)

    def state(self) -> State:
        """A copy of all that steps change, from which a program of the same runs can continue (`restore`)."""
        return {name: tensor.cpu().numpy().copy() for name, tensor in self._tensors().items()}

    @torch.inference_mode()
    def restore(self, state: State, step: int) -> None:
        """Go from step 0 to a `state` of the same runs at `step`, bit for bit.  Raises CheckpointError where it does
        not fit.
        """
        tensors = self._tensors()
        wanted = {
            name: (tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")) for name, tensor in tensors.items()
        }
        found = {name: (array.shape, array.dtype.name) for name, array in state.items()}
        if found != wanted:
            raise CheckpointError(f"descent: a state of {found} is not one of these runs, {wanted}")
        if state["step_number"] != step:
            raise CheckpointError(f"descent: a state of step {state['step_number']} where the runs are at {step}")
        for name, tensor in tensors.items():
            tensor.copy_(torch.from_numpy(state[name]))
        for stream in self._streams:
            stream.skip(step)

    def _tensors(self) -> dict[str, Tensor]:
        tensors = {"inner": self._inner.moved, "outer": self._A, "summed": self._summed}
        tensors |= {"step_number": self._step_number} | self._trained()
        tensors |= {} if self._ball is None else self._ball.tensors
        return tensors | ({} if self._tally is None else self._tally.tensors)

    @torch.inference_mode()
    def keep(self, runs: Sequence[int]) -> None:
        """Keep these runs and drop the others."""
        kept = torch.tensor(runs, dtype=torch.int64, device=self._A.device)
        self._inner.keep(kept)
        self._A, self._summed, self._parameters = self._A[kept], self._summed[kept], self._parameters[:, kept]
        self._c = None if self._c is None else self._c[kept]
        self._outside = None if self._outside is None else self._outside[kept]
        if self._ball is not None:
            self._ball.keep(kept)
        if self._tally is not None:
            self._tally.keep(kept)
        self._streams = [self._streams[run] for run in runs] if self._streams else []
        self._replay.forget()
        self._make_buffers()
