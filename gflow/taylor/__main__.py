"""`python -m gflow.taylor` compiles the engine where that has not been done, so that the first run need not wait."""

from gflow.taylor.advance import advance
from gflow.taylor.stride import stride

for entry in (advance, stride):
    entry.compiled  # noqa: B018 (compiled when it is first asked for)
