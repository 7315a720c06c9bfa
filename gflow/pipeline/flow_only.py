"""The refusal of whatever holds no flow, by the functions that read one."""

from __future__ import annotations

from gflow.errors import GflowError
from gflow.trajectory import DESCENT, FILE_NAME, Flow, Record, Trajectory


def check_flow(asked: str, record: object, in_memory: bool = False) -> None:
    """Raise GflowError unless the record holds a flow.

    asked: the function called, for the message; in_memory: whether it takes a flow that has no file.
    """
    if not isinstance(record, Record):
        found = type(record).__name__
        raise GflowError(f"{asked}: {found} is no trajectory; use the one of gflow.open_trajectory(path)")
    if isinstance(record, Flow) and not in_memory:
        raise GflowError(f"{asked}: a flow in memory has no run folder; give the trajectory that gflow.simulate writes")
    if isinstance(record, Trajectory) and record.kind == DESCENT:
        raise GflowError(f"{record.path} holds descent, not a flow: give the run folder or its {FILE_NAME}")
