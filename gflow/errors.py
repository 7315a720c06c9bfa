"""Named errors.  Each message says the place, the value, the bound and the way out, in that order."""

from __future__ import annotations


class GflowError(Exception):
    """A foreseen refusal.  The command line prints its message alone and exits with `exit_code`."""

    exit_code = 2


class ScenarioError(GflowError):
    """The scenario file, an override, or a data or initialisation file it names is not usable."""


class CheckpointError(ScenarioError):
    """A checkpoint of descent is not one of the runs that are to go on from it."""


class TrajectoryError(GflowError):
    """A trajectory file cannot be created, opened or read."""


class NoRoomError(TrajectoryError):
    """The disk has no room for more of a trajectory; what was saved stays, and a resume goes on behind it."""

    exit_code = 3


class ReportError(GflowError):
    """A report cannot be written, or what it should show not be read."""
