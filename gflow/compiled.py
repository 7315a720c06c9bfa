"""The door of numba: plain loops that Python can run as they are, and that an `Entry` compiles.

A `kernel` is and stays a Python function, the reference of what it computes.  An `Entry` is a function whose kernels,
and theirs, are compiled with it.  It has one signature, so that an int in place of a float becomes one and is no cause
of a second compilation, and it is kept on disk, so that a machine compiles it once, and says so.  numba itself asks
only whether the file of the entry has changed; here the stamp is that of all files that it is made of.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import contextmanager, suppress
from dis import get_instructions
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar, cast

import numba
from llvmlite.binding import llvm_version_info
from numba import types
from numba.core.caching import FunctionCache
from numba.core.codegen import JITCodeLibrary, JITCPUCodegen
from numba.core.registry import cpu_target
from numba.experimental import structref
from numba.extending import overload

F = TypeVar("F", bound=Callable[..., Any])  # Any: numba infers the types of kernels
T = TypeVar("T")

# Sums may be reordered and products fused, which makes loops fast; NaN and infinity keep their meaning.
OPTIONS = {"fastmath": {"reassoc", "contract"}, "error_model": "numpy"}
# Kernels are called by compiled code only: what Python would need to call them takes as long to compile as they do.
INSIDE = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}

_kernels: set[Callable[..., Any]] = set()
_compiled: dict[Callable[..., Any], Any] = {}  # Any: dispatchers of numba, which has no types


def kernel(function: F) -> F:
    """The function itself, which entries and other kernels may call."""
    _kernels.add(function)
    return function


class OnDisk(FunctionCache):  # type: ignore[misc]  # numba has no types
    """The compiled form of a function, kept beside its file or, where that is read only, in the folder of the user.

    A file that was cut short is compiled anew, and a disk that takes nothing costs the next start no more than that.
    Raises RuntimeError where there is no such folder.
    """

    def __init__(self, function: Callable[..., Any], stamp: str, what: str) -> None:
        super().__init__(function)
        self._cache_file._source_stamp, self._what = stamp, what

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """What was kept; None, and a line for the user, where it has to be compiled."""
        try:
            found = super().load_overload(sig, target_context)
        except Exception:  # whatever the bytes of another file make of themselves
            found = None
            with suppress(OSError):
                self.flush()
        if found is None:
            say(f"compiling {self._what}, once")
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep it, where the disk takes it."""
        with suppress(OSError):
            super().save_overload(sig, data)


def say(text: str) -> None:
    """One line on standard error; on a terminal in place of the line of progress."""
    if sys.stderr is not None:
        print(f"\r{f'gflow: {text}':<79}" if sys.stderr.isatty() else f"gflow: {text}", file=sys.stderr, flush=True)


def compiled_for() -> dict[str, str]:
    """What the bits of compiled code depend on besides its source: numba, LLVM and the processor it is compiled for."""
    if numba.config.DISABLE_JIT:
        return {"numba": "disabled"}
    _, processor, features = cpu_target.target_context.codegen().magic_tuple()
    llvm = ".".join(map(str, llvm_version_info))
    digest = sha256(features.encode()).hexdigest()[:12]
    return {"numba": numba.__version__, "llvm": llvm, "processor": processor, "features": digest}


class Entry:
    """A function to be compiled, or read from disk, at its first call, for arguments of the types of `example()`."""

    def __init__(
        self, function: Callable[..., Any], example: Callable[[], Sequence[Any]], files: Sequence[Path], what: str
    ) -> None:
        """files: those with constants and types that it uses, beside the files of its kernels; what: its name for the
        user, who waits for it to be compiled.
        """
        self.function, self._example, self._files, self._what = function, example, files, what

    def __call__(self, *arguments: Any) -> Any:
        """What the function returns.  Raises TypeError for arguments that do not fit the example's types."""
        return self.compiled(*arguments)

    @cached_property
    def compiled(self) -> Callable[..., Any]:
        """The compiled function; with NUMBA_DISABLE_JIT=1 the function itself."""
        if numba.config.DISABLE_JIT:
            return self.function
        signature = tuple(numba.typeof(argument) for argument in self._example())
        on_disk = None
        try:
            on_disk = OnDisk(self.function, stamp(self.files), self._what)
        except RuntimeError:
            say(f"compiling {self._what}; no folder takes the result: let NUMBA_CACHE_DIR name one")
        dispatcher = _kept(self.function, signature, on_disk) or _translated(self.function, signature, on_disk)
        dispatcher.disable_compile()
        return cast(Callable[..., Any], dispatcher)

    @property
    def files(self) -> set[Path]:
        """All that it is made of."""
        kernels = _reached(self.function, set())
        return {Path(__file__), *self._files, *(Path(each.__code__.co_filename) for each in kernels)}


def entry(
    example: Callable[[], Sequence[Any]], files: Sequence[Path] = (), what: str = "the engine"
) -> Callable[[Callable[..., Any]], Entry]:
    """Make an entry of a function; arguments as for `Entry`."""
    return lambda function: Entry(function, example, files, what)


def _kept(function: Callable[..., Any], signature: tuple[Any, ...], on_disk: OnDisk | None) -> Any:
    """The function with the compiled form that a cache has; None where it has none.  No kernel is looked at."""
    dispatcher = numba.njit(function, **OPTIONS)
    context = dispatcher.targetctx
    found = None if on_disk is None else on_disk.load_overload(signature, context)
    if found is None:
        return None
    context.insert_user_function(found.entry_point, found.fndesc, [found.library])
    dispatcher.add_overload(found)
    return dispatcher


def _translated(function: Callable[..., Any], signature: tuple[Any, ...], on_disk: OnDisk | None) -> Any:
    """The function compiled with its kernels, which the cache then keeps."""
    dispatcher = numba.njit(_with_kernels(function), **OPTIONS)
    with translated_once({each.__qualname__ for each in _kernels}):
        dispatcher.compile(signature)
    if on_disk is not None:
        on_disk.save_overload(signature, dispatcher.overloads[signature])
    return dispatcher


@cache
def _named(function: Callable[..., Any]) -> dict[str, FunctionType]:
    """The kernels that a function names."""
    assert isinstance(function, FunctionType)
    names = {each.argval for each in get_instructions(function) if each.opname == "LOAD_GLOBAL"}
    found = {name: function.__globals__.get(name) for name in names}
    return {name: each for name, each in found.items() if isinstance(each, FunctionType) and each in _kernels}


def _reached(function: Callable[..., Any], known: set[FunctionType]) -> set[FunctionType]:
    """The function and all kernels that are called on its behalf."""
    assert isinstance(function, FunctionType)
    known.add(function)
    for named in _named(function).values():
        if named not in known:
            _reached(named, known)
    return known


def _with_kernels(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function with the compiled form of each kernel that it names."""
    assert isinstance(function, FunctionType)
    scope = function.__globals__ | {name: _dispatcher(named) for name, named in _named(function).items()}
    return FunctionType(function.__code__, scope, function.__name__, function.__defaults__, function.__closure__)


def _dispatcher(function: Callable[..., Any]) -> Any:
    if function not in _compiled:
        _compiled[function] = numba.njit(_with_kernels(function), **OPTIONS, **INSIDE)
    return _compiled[function]


def stamp(files: Iterable[Path]) -> str:
    """What changes with any of the files."""
    return sha256(b"".join(file.read_bytes() for file in sorted(files))).hexdigest()


@contextmanager
def translated_once(inner: Set[str]) -> Iterator[None]:
    """Functions of these names get no machine code of their own: they are optimised with what they are linked into.

    numba optimises and translates every function together with all that it calls, so that what is called at the sixth
    level is worked on six times.  Here an inner library is left as it was lowered, and the entry, which links all of
    them, is optimised as a whole.
    """
    finalize, set_env = JITCodeLibrary.finalize, JITCPUCodegen.set_env
    without_place = list[tuple[Any, str, Any]]()

    def finish(library: Any) -> None:
        if library.name in inner:
            library._finalized = True
        else:
            library._linking_libraries = _all_linked(library._linking_libraries, inner)
            finalize(library)

    def place(codegen: Any, name: str, environment: Any) -> None:
        if codegen._engine.get_global_value_address(name):
            set_env(codegen, name, environment)
        else:
            without_place.append((codegen, name, environment))

    JITCodeLibrary.finalize, JITCPUCodegen.set_env = finish, place
    try:
        yield
    finally:
        JITCodeLibrary.finalize, JITCPUCodegen.set_env = finalize, set_env
    for codegen, name, environment in without_place:
        if codegen._engine.get_global_value_address(name):
            set_env(codegen, name, environment)


def _all_linked(libraries: Iterable[Any], inner: Set[str]) -> list[Any]:
    """These libraries and those that inner ones among them link, each once, in order."""
    found: dict[Any, None] = {}
    waiting = list(libraries)
    while waiting:
        library = waiting.pop(0)
        if library not in found:
            found[library] = None
            waiting += library._linking_libraries if library.name in inner else []
    return list(found)


@structref.register
class Referred(types.StructRef):  # type: ignore[misc]  # numba has no types
    """A named tuple of arrays as kernels see it: one pointer.

    By value, every call between kernels would hand over each array of a large tuple in seven parts, which is what takes
    minutes to compile.
    """


def referred(record: T) -> T:
    """A named tuple, and those within it, as one pointer in compiled code; itself elsewhere."""
    return record


def _type_of(record: Any) -> Any:
    """The type of `referred(record)`."""
    if not isinstance(record, types.NamedTuple):
        return types.unliteral(record)
    return Referred([(name, _type_of(each)) for name, each in zip(record.fields, record.types, strict=True)])


@overload(referred)  # type: ignore[untyped-decorator]
def _referred(record: Any) -> Any:
    scope = {"new": structref.new, "referred": referred, "kind": _type_of(record)}
    lines = ["    out = record"]
    if isinstance(record, types.NamedTuple):
        lines = ["    out = new(kind)", *(f"    out.{name} = referred(record.{name})" for name in record.fields)]
    # numba wants the very same signature; exec makes strings of annotations, as this file does.
    exec("\n".join(["def build(record: Any) -> Any:", *lines, "    return out"]), scope)
    return scope["build"]
