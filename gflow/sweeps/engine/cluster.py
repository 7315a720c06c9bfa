"""The engine on dask.distributed: worker processes of this machine, or of a scheduler that is running already.

What dask leaves to its user is settled here.  A task keeps its results itself and returns a few numbers, so that no
result dies with the worker that holds it.  Tasks are handed over a few at a time, and one whose worker died is handed
over again: what it was at fault for is told from its journals (`batch.py`), not from how many of its neighbours a dying
worker took along.  Worker processes do not see the Ctrl-C of the terminal: this process ends them.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from math import inf
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING

from gflow.errors import GflowError, SweepError
from gflow.pipeline.interruption import Interruption
from gflow.sweeps.engine.batch import Batch, Ended, Terms, run_batch
from gflow.sweeps.engine.queue import Queue
from gflow.sweeps.engine.versions import check_versions

if TYPE_CHECKING:
    from distributed import Client, Future

INSTALL = "pip install 'gflow[sweep]', or run it in one process with --workers 0"
AHEAD = 2  # batches a worker: one at work, and one so that it need not wait
GO_ON = "go on with the same command"
CONNECT_SECONDS, LOOK_SECONDS, RESULT_SECONDS, CLOSE_SECONDS = 10.0, 0.5, 5.0, 5.0
PAUSE_SECONDS = 0.01  # `distributed.wait` needs a default client, which may be another one of the program
LOCAL_PATIENCE = 60.0  # a process that died is started again at once
SETTINGS = {
    "distributed.scheduler.allowed-failures": 1_000_000,  # see the module: blame comes from the journals
    "distributed.scheduler.worker-saturation": 1.0,
    # A worker that dies again while its next process starts would be dropped for ever, from this time after the first.
    "distributed.deploy.lost-worker-timeout": "1000 days",
    "distributed.comm.timeouts.connect": f"{CONNECT_SECONDS:.0f}s",
    "distributed.admin.tick.limit": "1h",
}


@contextmanager
def local_workers(count: int, memory: float | None) -> Iterator[Client]:
    """A cluster of processes on this machine.  memory: bytes a worker may have; None: an equal part of all.

    Raises SweepError where dask is absent, or the processes cannot be started.
    """
    _check_installed()
    import dask
    from distributed import Client, LocalCluster

    with dask.config.set(SETTINGS):
        try:
            with _no_interrupts():
                cluster = LocalCluster(
                    n_workers=count,
                    threads_per_worker=1,
                    processes=True,
                    memory_limit="auto" if memory is None else memory,
                    dashboard_address="127.0.0.1:0",  # any free port, so that sweeps can run beside each other
                    silence_logs=logging.CRITICAL,
                )
        except (OSError, RuntimeError) as error:
            raise SweepError(
                f"worker processes cannot be started ({error}); in a script, gflow.sweep must be called under "
                "`if __name__ == '__main__':`, or with workers=0"
            ) from error
        try:
            with Client(cluster, set_as_default=False) as client:
                yield client
        finally:
            cluster.close(timeout=CLOSE_SECONDS)


@contextmanager
def running_scheduler(address: str) -> Iterator[Client]:
    """The workers of a scheduler.  SweepError where dask is absent, or none answers at the address."""
    _check_installed()
    import dask
    from distributed import Client

    with dask.config.set(SETTINGS):
        try:
            client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise SweepError(
                f"--scheduler {address}: no scheduler answers there ({type(error).__name__}); start one by "
                "`dask scheduler`, give tcp://host:port, or leave it out for workers on this machine"
            ) from None
        with client:
            yield client


def check_workers(client: Client, versions: dict[str, str]) -> None:
    """Refuse workers that are there already and differ from this process.  Those that come later refuse themselves."""
    try:
        client.run(check_versions, versions, "a worker")
    except GflowError:
        raise
    except Exception as error:  # whatever a worker without this gflow raises when it is sent a function of it
        raise SweepError(f"a worker cannot run gflow ({type(error).__name__}: {error}); install it there") from None


def carry_out(
    terms: Terms, queue: Queue, client: Client, tell: Callable[[list[Ended]], None], patience: float = inf
) -> None:
    """Carry out what is in the queue; tell: called with the runs of every batch that ended, and while none does.

    patience: seconds without any worker after which the sweep is given up.  Raises SweepError then, where a worker
    refuses its task, and where the scheduler is lost; KeyboardInterrupt after a SIGINT or SIGTERM.
    """
    running: dict[Future, Batch] = {}
    workers = _Workers(client, patience)
    with Interruption() as interruption:
        while True:
            count = workers.count()
            while len(running) < AHEAD * count and (batch := queue.next(count)) is not None:
                running[_submitted(client, terms, batch)] = batch
            if not running:
                return
            for future in _ended_of(running, client):
                batch, ended = running.pop(future), _result(future)
                if ended is None:
                    running[_submitted(client, terms, batch)] = batch
                else:
                    for each in ended:
                        queue.learn(each)
                    tell(ended)
            tell([])
            if interruption.noticed:
                raise KeyboardInterrupt


class _Workers:
    """Counts the workers of a client, which come and go; given up where there is none for too long."""

    def __init__(self, client: Client, patience: float) -> None:
        self._client, self._patience = client, patience
        self._seen = time.monotonic()

    def count(self) -> int:
        """How many there are, at least 1: the first may be on its way.  Raises SweepError."""
        try:
            count, now = len(self._client.nthreads()), time.monotonic()
        except Exception as error:  # each way of losing a scheduler raises something else
            raise SweepError(f"the scheduler is lost ({type(error).__name__}: {error}); {GO_ON}") from None
        if count:
            self._seen = now
        elif now - self._seen > self._patience:
            raise SweepError(f"all worker processes are gone, and none came back; {GO_ON}")
        return max(count, 1)


def _submitted(client: Client, terms: Terms, batch: Batch) -> Future:
    return client.submit(run_batch, terms, batch, pure=False)


def _ended_of(running: Collection[Future], client: Client) -> list[Future]:
    """The tasks that have ended; waits a moment for one.  SweepError where the scheduler is lost."""
    until = time.monotonic() + LOOK_SECONDS
    while time.monotonic() < until and all(future.status == "pending" for future in running):
        time.sleep(PAUSE_SECONDS)
    if client.status != "running":
        raise SweepError(f"the scheduler is lost; {GO_ON}")
    return [future for future in running if future.status != "pending"]


def _result(future: Future) -> list[Ended] | None:
    """What a task gave; None where it has to be handed over again: its worker died, at the latest with the result."""
    if future.status == "finished":
        try:
            ended: list[Ended] = future.result(timeout=RESULT_SECONDS)
        except Exception:  # the worker is gone: each way of noticing it raises something else
            return None
        return ended
    error = future.exception() if future.status == "error" else None
    if error is None or type(error).__name__ == "KilledWorker":
        return None
    if isinstance(error, GflowError):
        raise error
    raise SweepError(f"a task ended in {type(error).__name__}: {error}; {GO_ON}")


def _check_installed() -> None:
    try:
        import distributed  # noqa: F401
    except ModuleNotFoundError:
        raise SweepError(f"worker processes need dask: {INSTALL}") from None


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """Threads and processes that are started inside, and what those start, never get a SIGINT."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # where the first process starts it, the signal would be let through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
