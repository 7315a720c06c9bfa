"""The summary of a run: a headline, a closing table, and the whole content for `gflow inspect`."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gflow.console import printable
from gflow.flow_time import log_time_of, time_text
from gflow.problem.activation import NUMBERS
from gflow.report.lines import (
    balance_text,
    labelled,
    margins_text,
    outcome_text,
    pattern_text,
    predictions_text,
    saved_text,
    stable_rank_text,
)
from gflow.trajectory import DESCENT, EVENT_KINDS, FILE_NAME, Trajectory

SCALAR = "scalar"
TABLE_ROWS = 8
TABLE_SERIES = ("stable_rank", "sliding", "events")
TEST_TABLE_SERIES = ("train_accuracy", "test_accuracy", "test_log_loss")
RUN_COLUMNS = ("eta", "step")
MANNERS = {"replacement": "with replacement", "stream": "in the order of the data", "starts": "starts drawn by seed"}
"""Facts of descent that are there or not, in words."""
NAMED = ("schedule", "momentum", "weight_decay", "at_kink", "seeds", "watch_bound")
"""Facts of descent that are shown with their value where they are there."""
Facts = Mapping[str, str | float | int]
Json = dict[str, Any]  # any JSON value


def headline(trajectory: Trajectory) -> str:
    """`gaussian: two_layer, m = 64, leaky_relu(0.1); n = 20, d = 400, rank 20; logistic; dual engine, Radau`."""
    return described(trajectory.facts, trajectory.sizes, signs_text(trajectory))


def described(facts: Facts, sizes: Mapping[str, int], signs: str = "") -> str:
    """The headline before there is a file.  `sizes` as in `Header.sizes`; facts may be missing."""
    network = [facts.get("model"), f"m = {sizes['neuron']}{signs}", activation_text(facts), *trained_texts(facts)]
    engine = [f"{facts['engine']} engine" if "engine" in facts else None, facts.get("method")]
    parts = [joined(network), data_text(facts, sizes), joined([facts.get("loss")]), joined(engine)]
    return f"{facts.get('name', 'unnamed')}: " + "; ".join(part for part in parts if part)


def signs_text(trajectory: Trajectory) -> str:
    """` (3 +, 2 -)` where a fixed outer layer of one output has not as many neurons of either sign."""
    if trajectory.facts.get("trains_outer", 0) or trajectory.facts.get("outputs", 1) != 1:
        return ""
    outer = trajectory.outer
    plus, minus = np.count_nonzero(outer > 0), np.count_nonzero(outer < 0)
    return "" if plus == minus else f" ({plus} +, {minus} -)"


def activation_text(facts: Facts) -> str | None:
    """The activation with those of its parameters that are not 0: `leaky_relu(0.1)`; None where none is stored."""
    if "activation" not in facts:
        return None
    values = [float(facts.get(name, 0.0)) for name in NUMBERS]
    shown = ", ".join(f"{value:g}" for value in values if value)
    return f"{facts['activation']}({shown})" if shown else str(facts["activation"])


def trained_texts(facts: Facts) -> list[str]:
    """What there is beyond an inner layer without bias and one output; a scalar network always trains both layers."""
    trains_outer = facts.get("trains_outer", 0) and facts.get("model") != SCALAR
    outputs = facts.get("outputs", 1)
    shown = {"outer trained": trains_outer, "bias": facts.get("bias", 0), f"{outputs} outputs": outputs != 1}
    return [text for text, holds in shown.items() if holds]


def data_text(facts: Facts, sizes: Mapping[str, int]) -> str:
    """The input of the bias is told apart from those of the data; a scalar network has no span of the samples."""
    inputs = f"{sizes['input'] - 1} + 1" if facts.get("bias", 0) else str(sizes["input"])
    rank = None if facts.get("model") == SCALAR else f"rank {sizes['span']}"
    return joined([f"n = {sizes['sample']}", f"d = {inputs}", rank])


def joined(parts: list[str | float | int | None]) -> str:
    """The parts that there are, with commas."""
    return ", ".join(str(part) for part in parts if part is not None)


def closing_table(trajectory: Trajectory) -> str:
    """The table shown when a run has ended, with labelled lines; lines without content are left out."""
    lines = {
        "Outcome": outcome_text(trajectory),
        "Pattern": pattern_text(trajectory),
        "Margins": margins_text(trajectory),
        "Stable rank": stable_rank_text(trajectory),
        "Test": predictions_text(trajectory),
        "Balance": balance_text(trajectory),
        "Saved": f"{saved_text(trajectory)};  next: gflow analyze {shlex.quote(printable(run_path(trajectory)))}",
    }
    return labelled(lines)


def run_path(trajectory: Trajectory) -> Path:
    """The folder where the file has its usual name, otherwise the file."""
    return trajectory.path.parent if trajectory.path.name == FILE_NAME else trajectory.path


def inspection(trajectory: Trajectory) -> Json:
    """Everything about a trajectory but its arrays.  JSON types only; null stands for t = 0 and for no value."""
    times = trajectory.log1p_time
    content = {
        "path": printable(trajectory.path),
        "size_bytes": trajectory.path.stat().st_size,
        "format_version": trajectory.format_version,
        "kind": trajectory.kind,
        "gflow_version": trajectory.gflow_version,
        "scenario_sha256": trajectory.scenario_sha256,
        "headline": headline(trajectory),
        "facts": trajectory.facts,
        "sizes": trajectory.sizes,
        "outcome": trajectory.outcome,
        "outcome_sentence": trajectory.outcome_sentence,
        "rows": trajectory.n_rows,
        "log1p_time": {"first": times[0], "last": times[-1]},
        "log_time": {"first": log_time_of(times[0]), "last": log_time_of(times[-1])},
        "last_row": last_row(trajectory),
        "neurons": neurons_content(trajectory),
        "events": events_content(trajectory),
        "table": table(trajectory),
        "provenance": trajectory.provenance,
    }
    plain: Json = json_value(content)
    return plain


def last_row(trajectory: Trajectory) -> Json:
    """Scalars of the last row: its series, and the rest by name."""
    series = {name: trajectory.read(f"series/{name}", -1) for name in trajectory.series}
    rest = {name: trajectory.read(name, -1) for name in ("tau", "log_loss")}
    return series | rest | {"min_margin": trajectory.read("margins", -1).min()}


def neurons_content(trajectory: Trajectory) -> Json:
    """The spread over the neurons, in the last row, of each quantity that is kept of them."""
    last = {name: trajectory.read(f"neurons/{name}", -1) for name in trajectory.neurons}
    return {
        name: {"least": values.min(), "median": np.median(values), "largest": values.max()}
        for name, values in last.items()
    }


def events_content(trajectory: Trajectory) -> Json:
    """Counts by kind, and the time of the last entry."""
    events = trajectory.events
    last = events.log1p_time[-1] if len(events) else None
    return {
        "recorded": trajectory.records_events,
        "count": len(events),
        "by_kind": {
            name.replace(" ", "_"): np.count_nonzero(events.kind == kind) for kind, name in EVENT_KINDS.items()
        },
        "last_log1p_time": last,
        "last_log_time": None if last is None else log_time_of(last),
    }


def table(trajectory: Trajectory) -> list[Json]:
    """About `TABLE_ROWS` rows from the first to the last; a series that the run has not is null."""
    rows = np.unique(np.linspace(0, trajectory.n_rows - 1, TABLE_ROWS).round().astype(int))
    columns = {
        "log_time": [log_time_of(value) for value in trajectory.log1p_time[rows]],
        "log_loss": trajectory.log_loss[rows],
        "min_margin": trajectory.margins[rows].min(axis=1),
    }
    if trajectory.kind == DESCENT:
        columns |= {name: trajectory.read(name)[rows] for name in RUN_COLUMNS}
    for name in TABLE_SERIES:
        columns[name] = trajectory.series[name][rows] if name in trajectory.series else [None] * len(rows)
    columns |= {name: trajectory.series[name][rows] for name in TEST_TABLE_SERIES if name in trajectory.series}
    return [{"row": row} | {name: values[k] for name, values in columns.items()} for k, row in enumerate(rows)]


def json_value(value: Any) -> Any:  # Any: mirrors whatever JSON can hold
    """The value in JSON's own types; numbers that JSON has not (infinite, NaN) become null."""
    if isinstance(value, Mapping):
        return {str(key): json_value(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [json_value(each) for each in value]
    if isinstance(value, np.generic | np.ndarray):
        return json_value(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def inspection_text(trajectory: Trajectory) -> str:
    """What was run, its sizes, times, outcome and events, some rows, and where it comes from."""
    first, last = (time_text(value) for value in trajectory.log1p_time[[0, -1]])
    facts = {
        "Outcome": outcome_text(trajectory),
        "Rows": f"{trajectory.n_rows}, {first} to {last}",
        "Descent": descent_text(trajectory),
        "Events": events_text(trajectory),
        "Pattern": pattern_text(trajectory),
        "Margins": margins_text(trajectory),
        "Stable rank": stable_rank_text(trajectory),
        "Test": predictions_text(trajectory),
        "Balance": balance_text(trajectory),
        "File": saved_text(trajectory),
        "Format": f"{trajectory.format_version}, gflow {trajectory.gflow_version}, "
        f"scenario sha256 {trajectory.scenario_sha256[:12]}",
    }
    lines = facts | provenance_lines(trajectory.provenance)
    return "\n\n".join([headline(trajectory), labelled(lines), table_text(table(trajectory))])


def descent_text(trajectory: Trajectory) -> str:
    """`gradient descent, eta = 0.1, 0.01; double precision on cpu`; empty for a flow."""
    if trajectory.kind != DESCENT:
        return ""
    facts, etas = trajectory.facts, trajectory.read("eta")
    first = np.sort(np.unique(etas, return_index=True)[1])
    kind = f"stochastic descent, batches of {facts['batch']}" if "batch" in facts else "gradient descent"
    kind += "".join(f", {text}" for name, text in MANNERS.items() if name in facts)
    kind += "".join(f", {name.replace('_', ' ')} {facts[name]}" for name in NAMED if name in facts)
    sizes = ", ".join(f"{eta:g}" for eta in etas[first])
    where = f"; {facts['precision']} precision on {facts['device']}" if "precision" in facts else ""
    return f"{kind}, eta = {sizes}{where}"


def events_text(trajectory: Trajectory) -> str:
    """The number of events, and how many of each kind."""
    if not trajectory.records_events:
        return "not recorded"
    content = events_content(trajectory)
    kinds = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in content["by_kind"].items() if count)
    return f"{content['count']}: {kinds}" if kinds else "none"


def provenance_lines(entries: Sequence[Json]) -> dict[str, str]:
    """The first entry under its own labels, and how many followed."""
    lines = {key.replace("_", " ").capitalize(): flat_text(value) for key, value in entries[0].items()}
    return lines | ({"Resumed": resumes_text(entries[1:])} if len(entries) > 1 else {})


def resumes_text(entries: Sequence[Json]) -> str:
    """How often, and after which rows where that is known: `2 times, after rows 17 and 103`."""
    times = "once" if len(entries) == 1 else f"{len(entries)} times"
    rows = [str(entry["from_row"]) for entry in entries if "from_row" in entry]
    if not rows:
        return times
    shown = ", ".join(rows[:-1]) + (" and " if len(rows) > 1 else "") + rows[-1]
    return f"{times}, after row{'s' if len(rows) > 1 else ''} {shown}"


def flat_text(value: Any) -> str:  # Any: one value of a JSON object
    """A JSON value on one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {flat_text(each)}" for key, each in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " ".join(flat_text(each) for each in value)
    return str(value)


def table_text(rows: Sequence[Json]) -> str:
    """Right-aligned columns; `-` where there is no value, `t = 0` where log t has none."""
    titles = [name.replace("_", " ").replace("log time", "log t") for name in rows[0]]
    cells = [[cell_text(name, value) for name, value in row.items()] for row in rows]
    widths = [max(len(line[k]) for line in [titles, *cells]) for k in range(len(titles))]
    return "\n".join(
        "  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)) for line in [titles, *cells]
    )


def cell_text(name: str, value: float | None) -> str:
    """One number of the table of rows; None is `-`, and `t = 0` for log t."""
    if value is None:
        return "t = 0" if name == "log_time" else "-"
    return f"{value + 0.0:.6g}" if name in ("row", "step", "sliding", "events") else f"{value + 0.0:.4g}"
