"""For all tests: one BLAS thread, as for the runs themselves (small matrices), a SIGINT that interrupts, and which of
many parameters the default run takes."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from fnmatch import fnmatchcase

import pytest
from threadpoolctl import threadpool_limits


def pytest_configure() -> None:
    """Tests that run in the background of a shell inherit a SIGINT that is ignored, and runs leave it so."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`sample(patterns)`: parameters whose id fits one of them are in the default run, the others are slow."""
    for item in items:
        sample = item.get_closest_marker("sample")
        if sample is None:
            continue
        assert isinstance(item, pytest.Function) and sample.args, f"{item.nodeid}: a sample of no parameters"
        if not any(fnmatchcase(item.callspec.id, pattern) for pattern in sample.args):
            item.add_marker("slow")


@pytest.fixture(autouse=True, scope="session")
def _one_blas_thread() -> Iterator[None]:
    with threadpool_limits(limits=1, user_api="blas"):
        yield
