"""`python -m gflow.taylor` compiles the engines where that has not been done, so that the first run need not wait."""

from gflow.taylor.advance import advance
from gflow.taylor.primal.advance import advance as advance_trained
from gflow.taylor.stride import stride

for entry in (advance, stride, advance_trained):
    entry.compiled  # noqa: B018 (compiled when it is first asked for)
