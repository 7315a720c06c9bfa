"""Trajectories on disk: what is kept of a run, and the file that keeps it."""

from gflow.trajectory.agreement import first_difference
from gflow.trajectory.digest import file_sha256
from gflow.trajectory.flow import Flow
from gflow.trajectory.layout import DESCENT, DESCENT_FILE_NAME, EVENT_KINDS, FILE_NAME, SERIES
from gflow.trajectory.lock import sole_writer
from gflow.trajectory.reader import Trajectory, open_trajectory
from gflow.trajectory.record import Record
from gflow.trajectory.rows import EventEntry, EventLog, Events, Header, Row, RunProgress, Target
from gflow.trajectory.writer import TrajectoryWriter

__all__ = [
    "DESCENT",
    "DESCENT_FILE_NAME",
    "EVENT_KINDS",
    "FILE_NAME",
    "SERIES",
    "EventEntry",
    "EventLog",
    "Flow",
    "Events",
    "Header",
    "RunProgress",
    "Record",
    "Row",
    "Target",
    "Trajectory",
    "TrajectoryWriter",
    "file_sha256",
    "first_difference",
    "open_trajectory",
    "sole_writer",
]
