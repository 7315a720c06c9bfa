"""Standard output and standard error that cannot break a run: closed, full, or with nobody left to read them.

What a command computes goes to files first; to print it comes last, and it may fail.  Then no traceback is due and
nothing that was computed is lost: writing goes on to nowhere, and at the end the command line exits with a code of
its own.
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
"""Error handler: bytes of a file name that are no text become `\\xff`, characters that are not to be had `\\u2713`."""
CONTROLS = {code: rf"\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}


class Outlet(io.RawIOBase):
    """A stream of bytes that always takes what it is given.  error: what first kept it from passing that on.

    raw: where the bytes go; None where the process was started without such a stream.
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
    """Inside, `sys.stdout` and `sys.stderr` take all that is written; gives the outlet behind `sys.stdout`.

    Streams that a Python program has put in the place of the process's own are left alone.
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
    """Open the standard descriptors that are closed, to nowhere.

    Otherwise the next file that is opened, such as a trajectory, would be the standard error of the process, and take
    what C libraries print there.
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
    """A text stream into the outlet with the encoding of another one, whatever characters it is given."""
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
    r"""A path or a message in one line of valid text: a line end in it as `\x0a`, a byte that is no text as `\xff`."""
    return str(name).encode("utf-8", ESCAPED).decode("utf-8").translate(CONTROLS)


def reason(error: OSError) -> str:
    """Why a result is not printed, in words; empty where the reader has gone, which is a reader's right."""
    return "" if error.errno == errno.EPIPE else (error.strerror or str(error))
