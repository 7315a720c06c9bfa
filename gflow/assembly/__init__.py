"""The assembly of a scenario: the one place where its words become data, networks and engines."""

from gflow.assembly.capacity import check_memory, check_room, existing_parent, expected_rows, row_bytes
from gflow.assembly.facts import compilation, facts, provenance
from gflow.assembly.flow import build_flow, build_manner, build_until
from gflow.assembly.setup import Setup, assembled, build_setup, drawn_start
from gflow.assembly.start import completed

__all__ = [
    "Setup",
    "assembled",
    "build_flow",
    "build_manner",
    "build_setup",
    "build_until",
    "check_memory",
    "check_room",
    "compilation",
    "completed",
    "drawn_start",
    "existing_parent",
    "expected_rows",
    "facts",
    "provenance",
    "row_bytes",
]
