"""Many tasks on anything with the `concurrent.futures.Executor` interface: tried again, told, none lost.

An engine is named as `processes`, `dask-local`, `dask://host:port`, or `module:factory`, where the factory
takes nothing and returns an executor. No more than a window of tasks is handed over at once: who breaks an
executor harms those in flight alone, and a million tasks take no more memory than a hundred.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import get_context, parent_process
from typing import Any, Generic, TypeVar

from harness import clusters
from harness.clusters import OnDask
from harness.errors import ConfigurationError

T = TypeVar("T")

LOCAL, DASK_LOCAL = "processes", "dask-local"
"""The engines of this machine."""

ATTEMPTS = 2
"""How often a task is tried before it is told as lost."""

LOOKS_EVERY = 2.0
"""Seconds between two looks at whether a scheduler is there that says nothing."""

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
"""Variables by which numerical libraries take their number of threads when they load."""


ENDS_WITH_PARENT = "HARNESS_ENDS_WITH_PARENT"
"""The variable by which a command is told that its standard input is a pipe of whoever started it."""


@dataclass(frozen=True)
class Task(Generic[T]):
    """What is to be done: a function that can be pickled, with its arguments."""

    name: str
    call: Callable[..., T]
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Done(Generic[T]):
    """How a task ended.

    Attributes:
        task: The task.
        attempts: How often it was begun.
        result: What it returned; None where it is lost.
        lost: Why there is no result; None where there is one.
    """

    task: Task[T]
    attempts: int
    result: T | None = None
    lost: BaseException | None = None


@dataclass(frozen=True)
class Engine:
    """Where tasks are done.

    Attributes:
        name: As it was asked for.
        open: Makes the executor; again after one broke.
        at_once: How many tasks are handed over at once.
        remark: What somebody who waits for it should know; empty for nothing.
        places: How many of them run side by side, where others wait for a place; 0 where all do.
    """

    name: str
    open: Callable[[], Executor]
    at_once: int
    remark: str = ""
    places: int = 0

    @property
    def side_by_side(self) -> int:
        """How many tasks run at once, as far as that is known."""
        return min(self.places, self.at_once) or self.at_once


def end_with_parent() -> None:
    """Where the variable says so, SIGTERM for this process when nobody holds its standard input any more.

    So no process is left computing for one that was killed, on any system.
    """
    if not os.environ.pop(ENDS_WITH_PARENT, ""):
        return

    def held() -> None:
        while os.read(0, 1):
            pass

    _end_after(held)


def _end_after(waited: Callable[[], object]) -> None:
    """SIGTERM for this process once a call that waits has come back, beside what the process does."""

    def watch() -> None:
        waited()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def at_once_here(*, on_cpu: bool, threads: int | None = None) -> int:
    """How many computations run at once on this machine: as the cores have threads for; one on a GPU."""
    return max(1, cores() // (threads or 1)) if on_cpu else 1


def threads_each(at_once: int, *, on_cpu: bool) -> int:
    """The threads of each of several computations; on a CPU one, however many run side by side.

    The last bits of a number depend on how many threads share a sum, and must not on what runs beside it.
    """
    return 1 if on_cpu else max(1, cores() // at_once)


def engine_of(name: str, at_once: int | None = None, tasks: int = 1) -> Engine:
    """The engine of a name.

    Args:
        name: `processes`, `dask-local`, `dask://host:port` or `module:factory`.
        at_once: How many tasks are handed over at once; by default a core each on this machine, two for each
            thread that a Dask scheduler has, 32 elsewhere.
        tasks: How many there are: no more workers are made.

    Raises:
        ConfigurationError: no engine of that name, or what it needs is not installed.
    """
    here = max(1, min(cores() if at_once is None else at_once, tasks))
    if name == LOCAL:
        return Engine(name, lambda: ThreadPoolExecutor(here, "task"), here)
    if name == DASK_LOCAL:
        distributed = clusters.distributed(name)
        return Engine(name, lambda: clusters.local(distributed, here), here)
    if name.startswith("dask://"):
        distributed = clusters.distributed(name)
        address = f"tcp://{name.removeprefix('dask://')}"
        threads = clusters.threads(distributed, address, name)
        many = 2 * max(1, threads) if at_once is None else at_once
        remark = (
            "" if threads else f"{name} has no workers yet, and is waited for; start some by 'dask worker'"
        )
        return Engine(name, lambda: OnDask(clusters.client(distributed, address)), many, remark, threads)
    factory = _factory(name)
    return Engine(name, lambda: _made(factory, name), 32 if at_once is None else at_once)


def pool() -> Engine:
    """Processes of this machine that take one task after another: a core each.

    For functions that are quick beside the seconds that a process takes to load.
    """
    many, spawn = cores(), get_context("spawn")
    return Engine("pool", lambda: ProcessPoolExecutor(many, spawn, _end_with_maker), many)


def _end_with_maker() -> None:
    """SIGTERM for a pool's process when who made the pool is gone: one that was killed tells nobody."""
    if (maker := parent_process()) is not None:
        _end_after(maker.join)


def finished(
    tasks: Iterable[Task[T]],
    engine: Engine,
    *,
    attempts: int = ATTEMPTS,
    fail_fast: bool = False,
    tell: Callable[[str], object] = str,
    stop: Callable[[], object] | None = None,
) -> Generator[Done[T], None, None]:
    """Every task's end, as they come.

    A task whose function raises, or whose worker dies, is handed over again until it was tried `attempts`
    times; an executor that broke is made anew, and what it had is handed over again. Where none can be made
    any more, what was not begun is told as lost, with the attempts that it had. Whoever stops asking, or is
    interrupted, cancels what has not begun, and waits for nobody.

    Args:
        tasks: Taken as there is room for them.
        engine: Where.
        attempts: How often a task is begun, at the most.
        fail_fast: No task is begun after one was lost.
        tell: Whom to tell that a scheduler says nothing; nobody by default.
        stop: What ends the tasks of a worker, called on each that can be reached when whoever asks leaves
            before they end.
    """
    todo, source = deque[tuple[Task[T], int]](), iter(tasks)
    running: dict[Future[T], tuple[Task[T], int]] = {}
    executor: Executor | None = None
    gone: BaseException | None = None
    stopped = False
    try:
        while True:
            while not stopped and len(running) < engine.at_once:
                if not todo:
                    fresh = next(source, None)
                    if fresh is None:
                        break
                    todo.append((fresh, 0))
                task, tried = todo.popleft()
                if executor is None and gone is None:
                    executor, gone = _opened(engine, attempts)
                if executor is None:
                    yield Done(task, tried, lost=gone)
                    stopped = stopped or fail_fast
                    continue
                future = _begun(executor, task)
                running[future] = task, tried + 1
                if future.done():  # it may have broken
                    break
            if not running:
                return
            ended = _some_ended(running, executor, tell)
            if any(isinstance(_why_lost(future), BrokenExecutor) for future in ended):
                _drop(executor)
                executor, ended = None, list(running)  # nobody would ever tell the others' ends
            for future in ended:
                task, tried = running.pop(future)
                why = _why_lost(future)
                if why is None:
                    yield Done(task, tried, result=future.result())
                elif tried < attempts and not stopped:
                    todo.append((task, tried))
                else:
                    yield Done(task, tried, lost=why)
                    stopped = stopped or fail_fast
    finally:
        if stop is not None and running and isinstance(executor, OnDask):
            executor.call_everywhere(stop)
        _drop(executor)


def left(since: float, made: int, of: int) -> str:
    """The time left where so many were made since then (`time.monotonic`); empty where nothing tells it."""
    if not 0 < made < of:
        return ""
    return f"; {timedelta(seconds=round((time.monotonic() - since) * (of - made) / made))} left"


def _opened(engine: Engine, attempts: int) -> tuple[Executor | None, BaseException | None]:
    """An engine's executor; or None, and why it cannot be made, tried as often as a task."""
    why: BaseException | None = None
    for _ in range(attempts):
        try:
            return engine.open(), None
        except (BrokenExecutor, RuntimeError, OSError) as error:
            why = error
    return None, why


def _begun(executor: Executor, task: Task[T]) -> Future[T]:
    """A task that was handed over; where the executor refuses, one that ended so."""
    try:
        return executor.submit(task.call, *task.arguments)
    except (BrokenExecutor, RuntimeError, OSError) as error:
        refused: Future[T] = Future()
        refused.set_exception(error if isinstance(error, BrokenExecutor) else BrokenExecutor(str(error)))
        return refused


def _some_ended(
    running: Collection[Future[T]], executor: Executor | None, tell: Callable[[str], object]
) -> list[Future[T]]:
    """Those that ended, when one did; all of them where their scheduler is gone, which tells no end."""
    while True:
        ended, _ = wait(running, timeout=LOOKS_EVERY, return_when=FIRST_COMPLETED)
        if ended:
            return list(ended)
        if isinstance(executor, OnDask) and (executor.is_lost or executor.is_silent(tell)):
            return list(running)


def _why_lost(future: Future[Any]) -> BaseException | None:
    """Why a future has no result, of those whose end is asked for."""
    if not future.done() or future.cancelled():  # not by us
        return BrokenExecutor("its scheduler or its worker is gone")
    return future.exception()


def _drop(executor: Executor | None) -> None:
    """Let an executor go, with what it has not begun; it may be broken."""
    if executor is not None:
        with suppress(Exception):
            executor.shutdown(wait=False, cancel_futures=True)


def _factory(name: str) -> Callable[[], Any]:
    """The factory `module:function` of an engine of one's own.

    Raises:
        ConfigurationError: no such function, or a name that says nothing.
    """
    if ":" not in name:
        known = f"{LOCAL}, {DASK_LOCAL}, dask://host:port, or module:factory"
        raise ConfigurationError(f"--on: the engine must be {known} (got {name!r:.80})")
    from harness.subjects.importing import attribute_of  # with torch, which nobody else needs here

    return attribute_of("engine", name, None)


def _made(factory: Callable[[], Any], name: str) -> Executor:
    made = factory()
    if not isinstance(made, Executor) and not all(hasattr(made, one) for one in ("submit", "shutdown")):
        raise ConfigurationError(
            f"--on {name}: must give a concurrent.futures.Executor (got {type(made).__name__})"
        )
    return made  # type: ignore[no-any-return]
