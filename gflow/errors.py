"""Errors that gflow raises by name.  A message tells the place, the value, the bound and the remedy, in this order."""

from __future__ import annotations


class GflowError(Exception):
    """A request that gflow refuses for a known reason.

    The command line prints the message alone and exits with `exit_code`.
    """

    exit_code = 2


class ScenarioError(GflowError):
    """The scenario file, an override, or a data or initialisation file it names is not usable."""


class CheckpointError(ScenarioError):
    """The checkpoint of a descent does not belong to the runs that are to continue from it."""


class TrajectoryError(GflowError):
    """A trajectory file cannot be created, opened or read."""


class NoRoomError(TrajectoryError):
    """The disk has no room for more of a trajectory; what was saved stays, and a resume continues from there."""

    exit_code = 3


class ReportError(GflowError):
    """A report cannot be written, or what it should show cannot be read."""


class SweepError(GflowError):
    """A sweep cannot be carried out, resumed, read or drawn."""
