"""The layout of `trajectory.h5`, format version 1: every name, dimension, dtype and meaning, in one place.

Letters: T rows, E events, n samples, d inputs, m neurons, r the rank of the data.  All quantities are
dimensionless (`units = "1"`).  A dimension is a scale at the root, so netCDF-4 readers see its name
everywhere; the rows lie along `log1p_time`, which is therefore their coordinate.

Rules that writer and reader share:

* *Committed rows.*  The root attribute `n_committed` is written after the rows it counts.  Datasets may be
  longer (a run killed inside a block); what lies beyond is not part of the trajectory.  Committed rows never
  change.
* *Committed events.*  `series/events` counts the entries of `events/` from the start up to each row, so the
  committed entries are the first `series/events[n_committed - 1]`: events after the last committed row are
  not shown until a later row counts them.  A run whose events are not recorded has no group `events`.
* *Series.*  A series holds a number in every row.  A quantity that a run cannot have in each row (the stable
  rank of W- without negative neurons) has no series; NaN is never stored for "not defined" or "not yet".
* *Outcome.*  `outcome` and `outcome_sentence` are absent until the run ends.
* *Storage.*  At most `MAX_CHUNKS` chunks a dataset, none compressed, everything of 2 KiB or more aligned to a
  page.  Then what a block changes of the index of a dataset is one node inside one page, and an uncompressed
  chunk is rewritten where it lies, so that a kill between (or, at a page boundary, inside) two writes of a
  block leaves the rows before it readable.  Replaying all 2,374 beginnings of the write calls of a run, none
  lost a row; with a 65th chunk, or gzip, or without the alignment, some did.  More rows than `MAX_CHUNKS`
  chunks hold make the writer copy the file into larger chunks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

FORMAT = "gflow"
FORMAT_VERSION = 1
FILE_NAME = "trajectory.h5"
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
UNLIMITED = (ROW, EVENT)
FIXED_DIMENSIONS = tuple(axis for axis in DIMENSIONS if axis.name not in UNLIMITED)

FIXED = (
    Variable("X", ("sample", "input"), "f8", "inputs"),
    Variable("y", ("sample",), "f8", "labels, -1 or +1"),
    Variable("W_initial", ("neuron", "input"), "f8", "first layer W at row 0"),
    Variable("basis", ("span", "input"), "f8", "orthonormal rows B that span the samples"),
    Variable("outer", ("neuron",), "f8", "outer layer a"),
)

ROWS = (
    Variable("tau", (ROW,), "f8", "rescaled time, d tau = mean_i g_i dt"),
    Variable("inner", (ROW, "neuron", "span"), "f8", "U = W B^T"),
    Variable("margins", (ROW, "sample"), "f8", "margins p_i = y_i f(x_i)"),
    Variable("log_loss", (ROW,), "f8", "log of the mean loss L"),
    Variable("pattern", (ROW, "neuron", "sample"), "i1", "sign of <w_j, x_i>: +1, -1, 0 = sliding"),
)

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
    "spectral_norm": "spectral norm of W",
    "stable_rank": "stable rank of W, |W|_F^2 / |W|_2^2",
    "stable_rank_plus": "stable rank of W+, the neurons with a_j > 0",
    "stable_rank_minus": "stable rank of W-, the neurons with a_j < 0",
    "min_margin": "least margin",
    "normalized_margin": "least margin / weight_norm",
    "smoothed_margin": "margin at which one sample alone has the total loss n L",
    "normalized_smoothed_margin": "smoothed margin / weight_norm",
    "margin_spread": "(largest - least margin) / largest |margin|",
    "active": "pairs (neuron, sample) on the + side",
    "inactive": "pairs (neuron, sample) on the - side",
    "sliding": "pairs (neuron, sample) that slide",
    EVENT_COUNT: "entries of events/ so far",
    "steps": "accepted steps so far",
}

MAX_CHUNKS = 64
"""Entries of one node of HDF5's default chunk index; one more splits the node, which takes several writes."""
PAGES = {"alignment_threshold": 2048, "alignment_interval": 4096}
"""Arguments of h5py.File: metadata (blocks of 2 KiB, nodes a little more) never lies across two pages."""
CHUNK_BYTES = 64 * 1024
CHUNK_LENGTH = 1024


def series_variable(name: str) -> Variable:
    return Variable(f"series/{name}", (ROW,), "f8", SERIES[name])


def chunk_length(capacity: int, entry_bytes: int) -> int:
    """Entries a chunk: about 64 KiB, and as many as `capacity` entries in `MAX_CHUNKS` chunks need."""
    comfortable = min(capacity, CHUNK_LENGTH, CHUNK_BYTES // max(entry_bytes, 1))
    return max(1, comfortable, math.ceil(capacity / MAX_CHUNKS))
