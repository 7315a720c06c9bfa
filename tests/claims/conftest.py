"""Claims are judged here, not the way to the proofs they rest on: it is taken to be stable, and not followed again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gflow.analysis import analyzed_run
from gflow.analysis.path_stability import PathStability


@pytest.fixture(autouse=True, scope="package")
def _stable_way() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(analyzed_run, "path_stability_of", lambda *_: PathStability())
        yield
