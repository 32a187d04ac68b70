"""Dask as an executor: found, waited for no longer than is told, and given up where it says nothing."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent import futures
from concurrent.futures import Executor, Future
from contextlib import suppress
from importlib import import_module
from typing import Any, TypeVar

from harness.errors import ConfigurationError
from harness.text import lasting

T = TypeVar("T")

WAITS = 10.0
"""Seconds that a scheduler is waited for when it is looked for."""

TOLD_AFTER = 10.0
"""Seconds after which it is told that a scheduler says nothing."""

GIVEN_UP_AFTER = 600.0
"""Seconds after which it is given up: what it had is tried elsewhere, or told as lost."""


class OnDask(Executor):
    """Dask's own executor, which goes with its client, and with its cluster where that is ours."""

    def __init__(self, *owned: Any) -> None:
        """`owned` are the client, then what else is closed after it."""
        self._owned = owned
        # each task is one of its own, though another of the same arguments failed
        self._inner = owned[0].get_executor(pure=False, retries=0)
        self._asked, self._since, self._told = Future[Any](), time.monotonic(), False
        self._asked.set_result(None)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As of any executor."""
        found: Future[Any] = self._inner.submit(fn, *args, **kwargs)
        return found

    @property
    def is_lost(self) -> bool:
        """Whether the client has no connection to its scheduler: it cancels what it had, or forgets it."""
        stream = self._owned[0].scheduler_comm
        return stream is None or stream.comm is None or stream.comm.closed()

    def is_silent(self, tell: Callable[[str], object]) -> bool:
        """Whether the scheduler is to be given up, though it is connected: it answers nothing.

        It is asked at every look, once it has answered. After some seconds it is told that it does not, and
        when it does again.
        """
        if self._asked.done():
            if self._told:
                tell("the scheduler of Dask answers again")
            self._told = False
            self._asked, self._since = _beside(self._owned[0].nthreads), time.monotonic()
            return False
        silent = time.monotonic() - self._since
        if silent >= GIVEN_UP_AFTER:
            tell(f"the scheduler of Dask has not answered for {lasting(silent)}: it is given up")
            return True
        if silent >= TOLD_AFTER and not self._told:
            until = lasting(GIVEN_UP_AFTER)
            tell(f"the scheduler of Dask does not answer; it is waited for, and given up after {until}")
            self._told = True
        return False

    def call_everywhere(self, call: Callable[[], object]) -> None:
        """Call something in every worker, beside its tasks; where nobody answers, it is left."""
        with suppress(Exception):
            _within(WAITS, lambda: self._owned[0].run(call))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002
        """Close the client; what it has not begun is cancelled."""
        with suppress(Exception):  # of a client without its scheduler
            self._inner.shutdown(wait=wait)
        for one in self._owned:
            with suppress(Exception):
                one.close(timeout=WAITS)


def _beside(call: Callable[[], T]) -> Future[T]:
    """A call in a thread that nobody waits for at the end."""
    found: Future[T] = Future()

    def run() -> None:
        try:
            found.set_result(call())
        except BaseException as error:
            found.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return found


def _within(seconds: float, call: Callable[[], T]) -> T:
    """What a call gives that may never come back.

    Raises:
        OSError: it did not, in time.
    """
    try:
        return _beside(call).result(timeout=seconds)
    except futures.TimeoutError:
        raise OSError(f"it has said nothing for {lasting(seconds)}") from None


def distributed(name: str) -> Any:
    """Dask's package.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        return import_module("distributed")
    except ImportError:
        raise ConfigurationError(
            f"--on {name}: Dask is not installed here; 'pip install distributed', as where its workers are"
        ) from None


def client(package: Any, address: str) -> Any:
    """A client of the scheduler at an address.

    Raises:
        OSError: nobody answers there.
    """
    try:
        # its own limit holds for a scheduler that is not there, and not for one that is frozen
        return _within(WAITS + 2, lambda: package.Client(address, timeout=WAITS, set_as_default=False))
    except ValueError as error:  # no address
        raise OSError(str(error)) from None


def threads(package: Any, address: str, name: str) -> int:
    """The threads of all workers that a scheduler has now.

    Raises:
        ConfigurationError: no scheduler answers.
    """
    try:
        with client(package, address) as one:
            return sum(_within(WAITS, one.nthreads).values())
    except OSError as error:
        raise ConfigurationError(
            f"--on {name}: no scheduler of Dask answers there ({error}); start one by 'dask scheduler'"
        ) from None


def local(package: Any, workers: int) -> Executor:
    """Dask on this machine: a worker process for each task at once."""
    environment = _Environment()
    try:
        cluster = package.LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
    finally:
        environment.close()
    return OnDask(package.Client(cluster, set_as_default=False), cluster, environment)


class _Environment:
    """The environment of this process, put back when it is closed.

    What Dask sets for workers that it starts, and starts again, it leaves there: threads of numerical
    libraries among it, which others in this process would take for the user's.
    """

    def __init__(self) -> None:
        self._before = dict(os.environ)

    def close(self, timeout: float = 0) -> None:  # noqa: ARG002 - as a client and a cluster are closed
        """Put it back."""
        for name in os.environ.keys() - self._before.keys():
            del os.environ[name]
        os.environ.update(self._before)
