"""Output streams that cannot break a run, even where they are closed, full, or where their reader has gone.

A command writes its results to files first and prints last.  Printing may fail without any loss, so that a traceback
would only mislead: text that cannot be printed is dropped, and the command line exits with a code of its own.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

ESCAPED = "gflow.escaped"
r"""Name of the error handler that writes bytes that are not text as `\xff`, and characters that the encoding lacks as
`\u2713`.
"""
CONTROLS = {code: rf"\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}


class Outlet(io.RawIOBase):
    """A stream of bytes that accepts whatever is written to it.

    raw: where the bytes go; None where the process was started without such a stream.  error: the first reason why
    bytes could not be passed on to `raw`; None as long as all were.
    """

    def __init__(self, raw: io.RawIOBase | None) -> None:
        super().__init__()
        self._raw = raw
        self.error = OSError(errno.EBADF, "it is closed") if raw is None else None

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._raw is not None and self._raw.isatty()

    def fileno(self) -> int:
        if self._raw is None:
            raise io.UnsupportedOperation("fileno")
        return self._raw.fileno()

    def write(self, content: Any) -> int:  # Any: whatever holds bytes
        size = memoryview(content).nbytes
        if self._raw is None or self.error is not None:
            return size
        try:
            while (written := self._raw.write(content)) is None:  # a full pipe that does not block by itself
                select.select([], [self._raw.fileno()], [])
        except (OSError, ValueError) as error:
            self.error = error if isinstance(error, OSError) else OSError(errno.EBADF, str(error))
            return size
        return written


@contextmanager
def whole_streams() -> Iterator[Outlet]:
    """Make `sys.stdout` and `sys.stderr` accept all that is written inside; yields the outlet behind `sys.stdout`.

    Streams that a Python program has put in place of those of the process stay as they are.
    """
    _open_descriptors()
    before = sys.stdout, sys.stderr
    results, messages = _outlet(sys.__stdout__), _outlet(sys.__stderr__)
    if before[0] is sys.__stdout__:
        sys.stdout = _text(results, before[0])
    if before[1] is sys.__stderr__:
        sys.stderr = _text(messages, before[1])
    try:
        yield results
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = before


def _open_descriptors() -> None:
    """Open standard descriptors (0, 1, 2) that are closed, so that they lead nowhere.

    Otherwise the next file that is opened, for example a trajectory, would get the number of standard error, and what C
    libraries print would go into that file.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one


def _outlet(stream: TextIO | None) -> Outlet:
    buffer = getattr(stream, "buffer", None)
    return Outlet(getattr(buffer, "raw", buffer))  # without a buffer of its own under `python -u`


def _text(outlet: Outlet, model: TextIO | None) -> TextIO:
    """A text stream into the outlet with the encoding of `model`; characters that it lacks are escaped."""
    if model is not None:
        model.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(outlet),
        encoding="utf-8" if model is None else model.encoding,
        errors=ESCAPED,
        line_buffering=outlet.isatty(),
    )


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    shown = [rf"\x{ord(c) - 0xDC00:02x}" if "\udc80" <= c <= "\udcff" else _backslashed(c) for c in characters]
    return "".join(shown), error.end


def _backslashed(character: str) -> str:
    return character.encode("ascii", "backslashreplace").decode("ascii")


codecs.register_error(ESCAPED, _escaped)


def printable(name: object) -> str:
    r"""A path or a message as one line of valid text: a line end becomes `\x0a`, a byte that is not text `\xff`."""
    return str(name).encode("utf-8", ESCAPED).decode("utf-8").translate(CONTROLS)


def reason(error: OSError) -> str:
    """Why a result could not be printed, in words; empty where the reader closed the pipe, which is no fault."""
    return "" if error.errno == errno.EPIPE else (error.strerror or str(error))
