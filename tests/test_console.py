"""Standard streams that are closed, full or have lost their reader: the run goes on, and the exit code says what is so.

The commands run as processes of their own, with descriptors as a shell leaves them.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import h5py
import pytest

from gflow.console import Outlet, whole_streams

TINY = """\
gflow: 1
name: tiny
seed: 3
data: {kind: gaussian, n: 2, d: 3}
model:
  kind: two_layer
  width: 2
  activation: {kind: leaky_relu, slope: 0.2}
  outer: {train: false, values: signs, scale: inverse_sqrt_width}
init: {kind: gaussian, scale: 1.0, relative_to: tensorflow}
loss: logistic
flow: {until: {time: 1.0}}
record: {times: {spacing: log, count: 4}}
"""
COMMANDS = {
    "simulate": (["simulate", "tiny.yaml", "--out", "new"], "new/trajectory.h5"),
    "inspect": (["inspect", "run"], None),
    "analyze": (["analyze", "run", "--only", "kkt"], "run/analysis.json"),
    "compare": (["compare", "run", "--eta", "0.1"], "run/comparison.json"),
    "report": (["report", "run", "--figures", "png"], "run/figures/loss.png"),
    "verify": (["verify", "run"], "run/verify.json"),
    "schema": (["schema"], None),
    "scenarios": (["scenarios"], None),
}
LIGHT = ("simulate", "inspect", "schema", "scenarios")
CLOSED, FULL, UNREAD = ">&-", ">/dev/full", "unread"
NO_FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With `tiny.yaml`, and its run in `run`."""
    place = tmp_path_factory.mktemp("console")
    (place / "tiny.yaml").write_text(TINY)
    assert gflow("", ["simulate", "tiny.yaml", "--out", "run"], place).returncode == 0
    return place


def gflow(redirection: str, arguments: Sequence[str], place: Path) -> subprocess.CompletedProcess[bytes]:
    """`python -m gflow` with a redirection of the shell; `unread`: standard output is a pipe that nobody reads."""
    command = [sys.executable, "-m", "gflow", *arguments]
    if redirection == UNREAD:
        reading, writing = os.pipe()
        os.close(reading)
        try:
            return subprocess.run(command, cwd=place, stdout=writing, stderr=subprocess.PIPE, timeout=120)
        finally:
            os.close(writing)
    shell = ["sh", "-c", f'exec "$@" {redirection}', "sh", *command]
    return subprocess.run(shell, cwd=place, capture_output=True, timeout=120)


@NO_FULL
@pytest.mark.parametrize(
    "name", [name if name in LIGHT else pytest.param(name, marks=pytest.mark.slow) for name in COMMANDS]
)
def test_a_full_standard_output_exits_with_4_and_all_is_saved(folder: Path, name: str) -> None:
    arguments, saved = COMMANDS[name]
    done = gflow(FULL, arguments, folder)
    assert done.returncode == 4, done.stderr
    assert b"standard output: No space left on device" in done.stderr and b"Traceback" not in done.stderr
    assert saved is None or (folder / saved).stat().st_size > 0


@pytest.mark.parametrize("redirection, said", [(CLOSED, b"it is closed"), (UNREAD, b"")])
@pytest.mark.parametrize("arguments", [["schema"], ["--version"]])
def test_nowhere_to_print_exits_with_4(tmp_path: Path, arguments: list[str], redirection: str, said: bytes) -> None:
    """A reader that has gone wanted no more: nothing is said."""
    done = gflow(redirection, arguments, tmp_path)
    assert done.returncode == 4
    assert done.stderr.count(b"\n") == bool(said) and said in done.stderr


def test_a_check_that_passes_does_not_look_like_one_that_fails(folder: Path) -> None:
    assert gflow(UNREAD, ["verify", "run"], folder).returncode == 4


@pytest.mark.slow
def test_a_check_that_fails_is_told_by_the_exit_code_alone(folder: Path) -> None:
    """What the command found comes before what became of its output: 1 here, and 3 at a limit."""
    (folder / "damaged").mkdir()
    copy = folder / "damaged" / "trajectory.h5"
    copy.write_bytes((folder / "run" / "trajectory.h5").read_bytes())
    with h5py.File(copy, "r+") as file:
        file["margins"][1] += 1e-3
    assert gflow(CLOSED, ["verify", "damaged"], folder).returncode == 1
    limit = ["simulate", "tiny.yaml", "--out", "limited", "--set", "flow.budget={steps: 2}"]
    assert gflow(CLOSED, limit, folder).returncode == 3
    assert gflow(CLOSED, ["simulate", "absent.yaml"], folder).returncode == 2


@pytest.mark.parametrize("redirection", ["2>&-", pytest.param("2>/dev/full", marks=[NO_FULL, pytest.mark.slow])])
def test_without_standard_error_a_run_goes_on(folder: Path, redirection: str) -> None:
    out = "without" + "".join(c for c in redirection if c.isalnum())
    arguments = ["simulate", "tiny.yaml", "--out", out]
    done = gflow(redirection, arguments, folder)
    assert done.returncode == 0 and done.stdout.startswith(b"tiny: two_layer") and done.stderr == b""
    assert gflow(redirection, arguments, folder).returncode == 2  # the run is there; who cannot be told sees the code
    assert gflow(redirection, ["simulat"], folder).returncode == 2


def test_without_any_stream_a_run_is_saved_whole(folder: Path) -> None:
    done = gflow("<&- >&- 2>&-", ["simulate", "tiny.yaml", "--out", "silent"], folder)
    assert done.returncode == 4 and done.stdout == done.stderr == b""
    with h5py.File(folder / "silent" / "trajectory.h5") as silent, h5py.File(folder / "run" / "trajectory.h5") as told:
        assert (silent["margins"][:] == told["margins"][:]).all() and silent.attrs["outcome"] == "time"


PROBE = """
import os
from contextlib import nullcontext
from gflow.console import whole_streams
with {guard}():
    file = open("data", "w")
    os._exit(file.fileno())
"""


@pytest.mark.parametrize("guard, given", [("whole_streams", False), ("nullcontext", True)])
def test_closed_descriptors_are_not_given_to_the_next_file(tmp_path: Path, guard: str, given: bool) -> None:
    """Otherwise a trajectory would be the standard error of its own process: C libraries print there."""
    code = PROBE.format(guard=guard)
    shell = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c", code]
    done = subprocess.run(shell, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])})
    assert (done.returncode < 3) is given


def test_the_entry_point_without_m(folder: Path) -> None:
    """The script that pip writes calls `gflow.cli.main`."""
    code = "import sys; from gflow.cli import main; sys.argv = ['gflow', 'schema']; sys.exit(main())"
    for redirection, expected in [(">&-", 4), ("", 0)]:
        shell = ["sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-c", code]
        assert subprocess.run(shell, capture_output=True, timeout=60).returncode == expected


class Refusing(io.RawIOBase):
    """A stream on which writing fails after so many bytes, or tells at first that it would block."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room, self.taken = room, b""

    def writable(self) -> bool:
        return True

    def write(self, content: object) -> int:
        part = bytes(memoryview(content))[: self.room - len(self.taken)]  # type: ignore[arg-type]
        if not part:
            raise OSError(28, "No space left on device")
        self.taken += part
        return len(part)


def test_an_outlet_passes_on_what_it_can() -> None:
    raw = Refusing(room=10)
    outlet = Outlet(raw)
    stream = io.TextIOWrapper(io.BufferedWriter(outlet), encoding="utf-8")
    stream.write("twelve bytes")
    stream.flush()
    assert raw.taken == b"twelve byt" and outlet.error is not None
    stream.write("more")
    stream.close()
    assert raw.taken == b"twelve byt"


def test_an_outlet_waits_for_a_pipe_that_does_not_block() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    read = list[bytes]()

    def drain() -> None:
        while part := os.read(reading, 1 << 16):
            read.append(part)

    content = bytes(range(256)) * 4096  # 16 times what a pipe holds
    outlet = Outlet(io.FileIO(writing, "w", closefd=False))
    thread = threading.Timer(0.2, drain)
    thread.start()
    stream = io.BufferedWriter(outlet)
    stream.write(content)
    stream.flush()
    os.close(writing)
    thread.join()
    os.close(reading)
    assert outlet.error is None and b"".join(read) == content


def test_streams_of_a_program_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = io.StringIO()
    monkeypatch.setattr(sys, "stdout", mine)
    with whole_streams() as results:
        assert sys.stdout is mine
        print("to me")
    assert mine.getvalue() == "to me\n" and results.error is None


def test_any_text_can_be_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes of names that are no text are told apart from characters that the encoding has not."""
    with (tmp_path / "out").open("w", encoding="ascii") as own:
        monkeypatch.setattr(sys, "stdout", own)
        monkeypatch.setattr(sys, "__stdout__", own)
        with whole_streams():
            print("run-" + os.fsdecode(b"\xff") + " \N{CHECK MARK}")
        assert sys.stdout is own
    assert (tmp_path / "out").read_text() == r"run-\xff \u2713" + "\n"
