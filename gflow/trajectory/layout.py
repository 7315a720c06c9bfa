"""The layout of `trajectory.h5`, format version 1: every name, dimension, dtype and meaning, in one place.

Letters: T rows, E events, n samples, d inputs, m neurons, r the rank of the data, K outputs.  All quantities are
dimensionless (`units = "1"`).  A dimension is a scale at the root, so netCDF-4 readers see its name
everywhere; the rows lie along `log1p_time`, which is therefore their coordinate.

Rules that writer and reader share:

* *Committed rows.*  The root attribute `n_committed` is written after the rows it counts.  Datasets may be
  longer (a run killed inside a block); what lies beyond is not part of the trajectory.  Committed rows never
  change.
* *Committed events.*  `series/events` counts the entries of `events/` from the start up to each row, so the
  committed entries are the first `series/events[n_committed - 1]`: events after the last committed row are
  not shown until a later row counts them.  A run whose events are not recorded has no group `events`.
* *Order of events.*  By time; those of one instant by neuron, then surface, whose number is that of its first sample
  among the first samples.  Instants are one where they are the same to rounding.  A row at the instant of an event
  shows the pattern before it and does not count it: the event follows, at the time of the row or within rounding
  after it.  So an event at the end of a run is not in its file, and is the first entry when the run is extended.
  Row 0 shows the sides that the kinks of the start were given, for which there are no entries.
* *Forms.*  What a run can have beyond one output and a fixed outer layer changes its datasets (`Form`):
  trained, `outer` is a row dataset (T, m), otherwise (m,).  With several outputs it has K rows of neurons,
  (T, K, m) or (K, m), along `output`; then `y` holds class indices and `margins` are those of the classes.
  `output_bias` (T, K) is there where the outputs have a bias, which is trained; K = 1 with one output.
* *Bias.*  With a bias of the neurons (fact `bias` = 1), the last input is the constant 1: the last column of `X`
  is ones, that of W the bias, d counts it, and the span is that of the rows of `X`.
* *Test samples.*  `X_test` (k, d) and `y_test` (k,), with the inputs of `X`, are there where a test set was asked for,
  and with them the series `test_log_loss`, `test_accuracy` and `train_accuracy`.
* *Scalar networks.*  sum_j a_j phi(b_j <v_j, x>) with frozen unit rows v_j: `directions` (m, d) holds v, `inner`
  (T, m, 1) holds b, and W at row k is inner[k] * directions, from `W_initial` on.  There is no span of the samples
  then: `basis` is one row of zeros.  A file without `directions` has W = W_initial + (inner[k] - inner[0]) @ basis.
* *Series.*  A series holds a number in every row.  A quantity that a run cannot have in each row (the stable
  rank of W- without negative neurons) has no series; NaN is never stored for "not defined" or "not yet".  Series
  with a value for each neuron are (T, m), in the group `neurons`, which is absent where there are none.
* *Rescaled time.*  `tau` is the integral of (1/n) sum_i g_i dt, g_i = -l'(p_i), summed over the samples that are live
  and divided by the number n of all samples.  Live is a sample that some neuron that moves (its a_j is trained, or not
  0) is active on: with slope phi' != 0 on its side, and not sliding.  All samples are live where the network has an
  output bias, a smooth activation or frozen directions, and all are summed over where none is live.  With leaky slopes
  a sample is not live only while all such neurons slide on it; a ReLU network may have samples that no neuron is
  active on, whose g does not fall: they would make tau grow like t.  Rows of descent sum over all samples.
* *Running extremes.*  `sup_` and `inf_` series hold the largest and the least value of a quantity over the start,
  every accepted step and both sides of every event up to the row; `<name>_at` is log(1 + t) of the instant where
  that value was first met.  They take all of a run into account that came before, so a run that goes on from a row
  goes on from its values.  Rates are those of the mode at that instant, per tau.
* *Descent.*  `descent.h5` beside a trajectory has `kind = "descent"`, and the rows of all its runs as they fell: runs
  that advance together take turns, so a row is known by two more datasets, `eta` (T,), the step size of its run, and
  `step` (T,), the steps taken.  The rows of one run, those of one `eta`, come in the order of its steps from 0 on, and
  `log1p_time` = log(1 + eta * step) increases along them only.  With several seeds (fact `seeds`) there is a third,
  `seed` (T,), and a run is one of one `eta` and one `seed`.  With a schedule (fact `schedule`) `eta` is its first step
  size, and `log1p_time` is that of the sum of the step sizes.  With the fact `starts` = drawn every seed has its own
  start: `W_initial` and the outer layer of the header are those of the scenario, `inner` that of the run, whose part of
  W outside the span is the one that `init.seed` = seed draws.  With weight decay (fact `weight_decay`) that part
  shrinks by the factor `outside` (T,): W at row k is outside[k] (W_initial - inner[0] @ basis) + inner[k] @ basis.
  `pattern` holds the signs of the pre-activations, 0 where one is exactly 0; `tau` is the trapezoid rule over the rows
  of its run; events are not recorded.  The facts `etas` (a JSON list) and `until_time` (or `until_steps`) say what was
  asked for.  The state from which descent resumes after a stop is not in this file but in a checkpoint beside it, until
  descent, or the comparison that asked for it, is done.
* *Outcome.*  `outcome` and `outcome_sentence` are absent until the run ends; they come with its last row, in one step.
* *Resuming.*  Every row is a point to go on from: the flow that follows it is determined, bit for bit, by what is in
  `resume/`. That is the checkpoint before the row, a few steps back, since rows are read off the flow and leave its
  steps alone: a resume integrates from there to the row again, and records nothing on the way. A resume drops what is
  not committed, removes the outcome and appends to `provenance`; when the run is extended to another end, `scenario`,
  `scenario_resolved` and `scenario_sha256` become those of the new end. Flows without `resume` (of earlier versions)
  cannot be resumed.
* *Storage.*  At most `MAX_CHUNKS` chunks a dataset, none compressed, everything of 2 KiB or more aligned to a
  page.  Then what a block changes of the index of a dataset is one node inside one page, and an uncompressed
  chunk is rewritten where it lies, so that a kill between (or, at a page boundary, inside) two writes of a
  block leaves the rows before it readable.  Replaying all 2,374 beginnings of the write calls of a run, none
  lost a row; with a 65th chunk, or gzip, or without the alignment, some did.  More rows than `MAX_CHUNKS`
  chunks hold make the writer copy the file into larger chunks.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace

FORMAT = "gflow"
FORMAT_VERSION = 1
FILE_NAME = "trajectory.h5"
DESCENT_FILE_NAME = "descent.h5"
DESCENT = "descent"
"""The `kind` of a file of descent."""
PART_SUFFIX = ".part"

N_COMMITTED = "n_committed"
OUTCOME = "outcome"
OUTCOME_SENTENCE = "outcome_sentence"
ATTRIBUTES = frozenset(
    {
        "format",
        "format_version",
        "kind",
        "gflow_version",
        "scenario_sha256",
        N_COMMITTED,
        OUTCOME,
        OUTCOME_SENTENCE,
    }
)
"""Root attributes with a fixed meaning; every other one is a fact of the run (name, loss, engine, ...)."""

TEXTS = {
    "scenario": "scenario as given (YAML)",
    "scenario_resolved": "scenario with every default filled in (YAML)",
    "provenance": "JSON list, one entry a start or resume",
}

ROW = "log1p_time"
EVENT = "event"


@dataclass(frozen=True, slots=True)
class Variable:
    """One dataset: its path in the file, the dimensions of its axes, its dtype and what it means."""

    name: str
    dims: tuple[str, ...]
    dtype: str
    long_name: str

    @property
    def field(self) -> str:
        """Name within its group, which is also the name of the attribute that holds it in memory."""
        return self.name.rsplit("/", 1)[-1]


DIMENSIONS = (
    Variable(ROW, (ROW,), "f8", "log(1 + t), t the flow time"),
    Variable(EVENT, (EVENT,), "i8", "number of the event entry, in order of time"),
    Variable("sample", ("sample",), "i4", "index of the sample"),
    Variable("input", ("input",), "i4", "index of the input"),
    Variable("neuron", ("neuron",), "i4", "index of the neuron"),
    Variable("span", ("span",), "i4", "index of the coordinate in the span of the samples"),
)
OUTPUT = Variable("output", ("output",), "i4", "index of the output")
TEST_SAMPLE = Variable("test_sample", ("test_sample",), "i4", "index of the test sample")
UNLIMITED = (ROW, EVENT)

FIXED = (
    Variable("X", ("sample", "input"), "f8", "inputs"),
    Variable("y", ("sample",), "f8", "labels, -1 or +1"),
    Variable("W_initial", ("neuron", "input"), "f8", "first layer W at row 0"),
    Variable("basis", ("span", "input"), "f8", "orthonormal rows B that span the samples"),
)
TEST = (
    Variable("X_test", (TEST_SAMPLE.name, "input"), "f8", "inputs of the test samples"),
    Variable("y_test", (TEST_SAMPLE.name,), "f8", "labels of the test samples, as in y"),
)
OUTER = Variable("outer", ("neuron",), "f8", "outer layer a")
OUTPUT_BIAS = Variable("output_bias", (ROW, OUTPUT.name), "f8", "biases c of the outputs")
DIRECTIONS = Variable("directions", ("neuron", "input"), "f8", "unit rows v_j of the scalar network")

ROWS = (
    Variable("tau", (ROW,), "f8", "rescaled time, d tau = (1/n) sum of g_i dt over live samples, n counts all"),
    Variable("inner", (ROW, "neuron", "span"), "f8", "U = W B^T"),
    Variable("margins", (ROW, "sample"), "f8", "margins p_i = y_i f(x_i)"),
    Variable("log_loss", (ROW,), "f8", "log of the mean loss L"),
    Variable("pattern", (ROW, "neuron", "sample"), "i1", "sign of <w_j, x_i>: +1, -1, 0 = sliding"),
)

RUN_ROWS = (
    Variable("eta", (ROW,), "f8", "step size, which names the run that the row belongs to"),
    Variable("step", (ROW,), "i8", "steps that this run has taken"),
)
RUN_OUTSIDE = Variable("outside", (ROW,), "f8", "factor of the part of W outside the span of the samples")
RUN_SEED = Variable("seed", (ROW,), "i8", "seed of the run that the row belongs to")

WITH_OUTPUTS = {
    "y": "labels, class indices 0 .. K-1",
    "margins": "margins p_i = f_{y_i}(x_i) - log of sum_{k != y_i} exp f_k(x_i)",
}
WITH_DIRECTIONS = {
    "inner": "inner weights b, w_j = b_j v_j",
    "basis": "one row of zeros: W moves along its directions",
}
IN_DESCENT = {
    ROW: "log(1 + t), t = eta * step; increasing along the rows of one run",
    "tau": "rescaled time, d tau = (1/n) sum of g_i dt over all samples, by the trapezoid rule over rows",
    "pattern": "sign of <w_j, x_i>: +1, -1, or 0 for exactly 0",
}
"""Meanings of the same datasets in other forms."""

EVENTS = (
    Variable("events/log1p_time", (EVENT,), "f8", "log(1 + t) of the event"),
    Variable("events/neuron", (EVENT,), "i4", "neuron whose activation changes"),
    Variable("events/sample", (EVENT,), "i4", "first sample of the surface"),
    Variable("events/kind", (EVENT,), "i1", "1 cross up, 2 cross down, 3 slide, 4 leave up, 5 leave down"),
)
EVENT_KINDS = {1: "cross up", 2: "cross down", 3: "slide", 4: "leave up", 5: "leave down"}

EVENT_COUNT = "events"
SERIES = {
    "weight_norm": "Frobenius norm of W",
    "parameter_norm": "norm |theta| of all trained parameters",
    "spectral_norm": "spectral norm of W",
    "stable_rank": "stable rank of W, |W|_F^2 / |W|_2^2",
    "stable_rank_plus": "stable rank of W+, the neurons with a_j > 0",
    "stable_rank_minus": "stable rank of W-, the neurons with a_j < 0",
    "min_margin": "least margin",
    "normalized_margin": "least margin / |theta|^homogeneity",
    "smoothed_margin": "margin at which one sample alone has the total loss n L",
    "normalized_smoothed_margin": "smoothed margin / |theta|^homogeneity",
    "margin_spread": "(largest - least margin) / largest |margin|",
    "active": "pairs (neuron, sample) on the + side",
    "inactive": "pairs (neuron, sample) on the - side",
    "sliding": "pairs (neuron, sample) that slide",
    EVENT_COUNT: "entries of events/ so far",
    "steps": "accepted steps so far",
    "balancedness_drift": "largest |balancedness of a neuron - its value at row 0|",
    "median_rotation": "median of the rotation of the neurons",
}
TEST_SERIES = {
    "test_log_loss": "log of the mean loss of the test samples",
    "test_accuracy": "share of the test samples whose label is predicted: y f(x) > 0, or f_y the largest; a tie is not",
    "train_accuracy": "share of the training samples whose label is predicted, as for the test samples",
}
"""The series of runs with test samples."""
EXTREMES = {
    "sup_log_g_ratio": "largest max_ik (log g_i - log g_k)",
    "sup_margin_gap": "largest max_i p_i - min_i p_i",
    "inf_min_margin": "least min_i p_i",
    "inf_gradient_ratio": "least |grad L|_F / mean_i g_i",
    "sup_gradient_ratio": "largest |grad L|_F / mean_i g_i",
    "inf_margin_rate": "least min_i dp_i / dtau",
    "inf_relative_margin_rate": "least min_i n (dp_i / dt) / (g_i |x_i|^2), at least -1.8e308 (see `UNBOUNDED`)",
    "sup_relative_margin_rate": "largest max_i n (dp_i / dt) / (g_i |x_i|^2), at most 1.8e308 (see `UNBOUNDED`)",
    "inf_log_loss": "least log L",
    "sup_loss_rise": "largest rise of log L above inf_log_loss",
    "sup_normalized_smoothed_margin": "largest normalized smoothed margin, less what rounding leaves open of it",
    "sup_margin_fall": "largest fall of the normalized smoothed margin below its sup while that is > 0, relative to it",
    "sup_fitted_norm": "largest |theta| since L < l(0) / n, 0 before",
    "sup_norm_fall": "largest fall of |theta| below sup_fitted_norm, relative to it",
}
"""Running extremes; each has its time beside it.  L < l(0) / n from where the smoothed margin is > 0."""
UNBOUNDED = sys.float_info.max
"""Stands, with its sign, for a relative rate of margins whose size no float64 holds."""
UNTIL = {
    "last_unfitted": "log(1 + t) at the end of the last step that began with L >= log(2) / n, 0 if none did",
    "last_unfitted_g": "log(1 + t) at the end of the last step that began with mean g >= log(2) / (3n), 0 if none did",
}
SERIES |= TEST_SERIES | EXTREMES | {f"{name}_at": f"log(1 + t) of {name}" for name in EXTREMES} | UNTIL
NEURON_SERIES = {
    "balancedness": "a_j^2 - |w_j|^2",
    "rotation": "<w_j(0), w_j(t)> / (|w_j(0)| |w_j(t)|), in [-1, 1]",
    "norm": "|a_j| |w_j|",
}

RESUME = (
    Variable("resume/clock", (ROW,), "f8", "log(1 + t) from where the flow goes on"),
    Variable("resume/tau", (ROW,), "f8", "tau from where the flow goes on"),
    Variable("resume/inner", (ROW, "neuron", "span"), "f8", "U from where the flow goes on"),
    Variable("resume/pattern", (ROW, "neuron", "sample"), "i1", "pattern from where the flow goes on"),
    Variable("resume/steps", (ROW,), "i8", "accepted steps until there"),
    Variable("resume/step", (ROW,), "f8", "step in tau that the integrator tries next"),
    Variable("resume/stiff", (ROW,), "i1", "1: auto has turned to the implicit method; 2: left to the steppers"),
    Variable("resume/stalled", (ROW,), "i4", "guards in a row without progress of tau, or without an event"),
    Variable("resume/unsettled", (ROW,), "i4", "pairs so far on kinks where solutions are not unique"),
    Variable("resume/conservative", (ROW,), "i4", "decisions so far at dependent kinks that were not exact"),
    Variable("resume/resting", (ROW,), "i1", "1: nothing but the clock moves any more"),
    Variable("resume/silent", (ROW,), "i1", "1: the way from there to the row was handed over before"),
    Variable("resume/held", (ROW, "neuron"), "i1", "1: the neuron is held on its kinks by decision"),
)
"""What the flow goes on with after a row: the checkpoint before it."""
RESUME_OUTER = Variable("resume/outer", (ROW, "neuron"), "f8", "outer layer from where the flow goes on")
RESUME_BIAS = Variable("resume/output_bias", (ROW, OUTPUT.name), "f8", "output biases from where the flow goes on")

MAX_CHUNKS = 64
"""Entries of one node of HDF5's default chunk index; one more splits the node, which takes several writes."""
PAGES = {"alignment_threshold": 2048, "alignment_interval": 4096}
"""Arguments of h5py.File: metadata (blocks of 2 KiB, nodes a little more) never lies across two pages."""
CHUNK_BYTES = 64 * 1024
CHUNK_LENGTH = 1024


def series_variable(name: str) -> Variable:
    """The dataset of a series of this name."""
    return Variable(f"series/{name}", (ROW,), "f8", SERIES[name])


def neuron_variable(name: str) -> Variable:
    """The dataset of a series of neurons of this name."""
    return Variable(f"neurons/{name}", (ROW, "neuron"), "f8", NEURON_SERIES[name])


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """Which datasets a file has; chosen when it is created, the same for all its rows."""

    series: tuple[str, ...]
    neuron_series: tuple[str, ...] = ()
    records_events: bool = True
    trains_outer: bool = False
    has_outputs: bool = False  # several, along `output`
    has_output_bias: bool = False
    has_directions: bool = False
    has_runs: bool = False  # of descent: several, told apart by `eta`
    has_seeds: bool = False  # and by `seed`
    has_decay: bool = False  # with weight decay
    has_test: bool = False  # samples that are predicted only
    resumable: bool = False

    @property
    def dimensions(self) -> tuple[Variable, ...]:
        """The dimension scales."""
        outputs = (OUTPUT,) if self.has_outputs or self.has_output_bias else ()
        return self._with_meanings(DIMENSIONS + outputs + ((TEST_SAMPLE,) if self.has_test else ()))

    @property
    def fixed(self) -> tuple[Variable, ...]:
        """Datasets without rows, filled when the file is created."""
        outer = () if self.trains_outer else (self._outer,)
        directions = (DIRECTIONS,) if self.has_directions else ()
        return self._with_meanings(FIXED + outer + directions + (TEST if self.has_test else ()))

    @property
    def rows(self) -> tuple[Variable, ...]:
        """Datasets along the rows at the root: the fields of a `Row`."""
        outer = (self._outer,) if self.trains_outer else ()
        bias = (OUTPUT_BIAS,) if self.has_output_bias else ()
        return self._with_meanings(ROWS + outer + bias + (RUN_ROWS if self.has_runs else ()) + self._of_descent)

    @property
    def resume(self) -> tuple[Variable, ...]:
        """Datasets of the checkpoints; none where the file keeps none."""
        if not self.resumable:
            return ()
        outer = (self._shaped(RESUME_OUTER),) if self.trains_outer else ()
        return RESUME + outer + ((RESUME_BIAS,) if self.has_output_bias else ())

    @property
    def variables(self) -> tuple[Variable, ...]:
        """All datasets but the texts, dimensions first."""
        series = tuple(series_variable(name) for name in self.series)
        neurons = tuple(neuron_variable(name) for name in self.neuron_series)
        events = EVENTS if self.records_events else ()
        return self.dimensions + self.fixed + self.rows + series + neurons + events + self.resume

    @property
    def _of_descent(self) -> tuple[Variable, ...]:
        return ((RUN_SEED,) if self.has_seeds else ()) + ((RUN_OUTSIDE,) if self.has_decay else ())

    @property
    def _outer(self) -> Variable:
        return self._shaped(replace(OUTER, dims=(ROW, *OUTER.dims)) if self.trains_outer else OUTER)

    def _shaped(self, outer: Variable) -> Variable:
        """The outer layer's dataset, with an axis of outputs before that of neurons where there are several outputs."""
        outputs = (OUTPUT.name,) if self.has_outputs else ()
        return replace(outer, dims=(*outer.dims[:-1], *outputs, outer.dims[-1]))

    def _with_meanings(self, variables: Iterable[Variable]) -> tuple[Variable, ...]:
        """The same datasets with the meanings that they have in this form."""
        meanings = (WITH_OUTPUTS if self.has_outputs else {}) | (WITH_DIRECTIONS if self.has_directions else {})
        meanings |= IN_DESCENT if self.has_runs else {}
        return tuple(replace(each, long_name=meanings.get(each.name, each.long_name)) for each in variables)


def chunk_length(capacity: int, entry_bytes: int) -> int:
    """Entries a chunk: about 64 KiB, and as many as `capacity` entries in `MAX_CHUNKS` chunks need."""
    comfortable = min(capacity, CHUNK_LENGTH, CHUNK_BYTES // max(entry_bytes, 1))
    return max(1, comfortable, math.ceil(capacity / MAX_CHUNKS))
