"""Output for people: progress while a run goes on, its summary, and the content of a trajectory."""

from gflow.report.progress import ProgressPrinter
from gflow.report.summary import closing_table, described, headline, inspection, inspection_text

__all__ = ["ProgressPrinter", "closing_table", "described", "headline", "inspection", "inspection_text"]
