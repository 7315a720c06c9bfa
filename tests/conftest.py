"""For all tests: one BLAS thread, as for the runs themselves (small matrices), and a SIGINT that interrupts."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits


def pytest_configure() -> None:
    """Tests that run in the background of a shell inherit a SIGINT that is ignored, and runs leave it so."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def _one_blas_thread() -> Iterator[None]:
    with threadpool_limits(limits=1, user_api="blas"):
        yield
