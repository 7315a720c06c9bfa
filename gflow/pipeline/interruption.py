"""An interruption from outside, noted so that a run stops between two items and never in the middle of one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self


class Interruption:
    """Notices the first SIGINT or SIGTERM, so that the run can stop between two items; the second acts at once.

    A KeyboardInterrupt raised anywhere could be lost in a callback of the garbage collection, or split an item.
    Signals that are ignored, or not Python's, stay so, and in another thread than the main one nothing is done.
    """

    def __init__(self) -> None:
        self.noticed = False
        self._before: dict[signal.Signals, Any] = {}  # Any: what `signal.getsignal` gives

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
            self._before = {number: old for number, old in before.items() if old not in (None, signal.SIG_IGN)}
            for number in self._before:
                signal.signal(number, self._notice)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _notice(self, number: int, frame: FrameType | None) -> None:
        self.noticed = True
        self._restore()

    def _restore(self) -> None:
        for number, old in self._before.items():
            signal.signal(number, old)
        self._before = {}


@contextmanager
def termination_interrupts() -> Iterator[None]:
    """Inside, SIGTERM raises KeyboardInterrupt as SIGINT does, where nobody has made another use of it.

    For work that may be left anywhere, since what is done of it is kept already.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
