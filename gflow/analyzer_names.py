"""The names of the analyzers, as scenarios and the command line offer them: known without loading any of them."""

from __future__ import annotations

from typing import Literal, get_args

AnalyzerName = Literal["freezing", "limit", "direction", "kkt", "rank", "margins", "alignment", "rho", "claims"]
ANALYZER_NAMES: tuple[AnalyzerName, ...] = get_args(AnalyzerName)
