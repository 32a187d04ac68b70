"""Tasks on an executor: each ends once, those that died are tried again, and no more are out than may be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from harness import engines
from harness.engines import Engine, Task
from harness.errors import ConfigurationError


def squared(number: int) -> int:
    """What a worker can import."""
    return number * number


def dies_once(mark: str) -> int:
    """Kills its own process, but for the second time that it is called."""
    path = Path(mark)
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def dies(_: str) -> int:
    """Kills its own process."""
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def threaded(at_once: int = 2) -> Engine:
    """Of this process."""
    return Engine("threads", lambda: ThreadPoolExecutor(at_once), at_once)


def test_every_task_ends_once() -> None:
    """As they come, with what their functions returned."""
    tasks = [Task(str(number), squared, (number,)) for number in range(50)]
    found = {done.task.name: done.result for done in engines.finished(tasks, threaded())}
    assert found == {str(number): number**2 for number in range(50)}


def test_no_more_are_out_than_may_be() -> None:
    """Of a million tasks as few are made as are asked for."""
    made: list[int] = []
    running, most, lock = [0], [0], threading.Lock()

    def work(number: int) -> int:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.005)
        with lock:
            running[0] -= 1
        return number

    def tasks() -> Iterator[Task[int]]:
        for number in range(1_000_000):
            made.append(number)
            yield Task(str(number), work, (number,))

    engine = Engine("threads", lambda: ThreadPoolExecutor(16), 3)
    ends = engines.finished(tasks(), engine)
    for _ in range(20):
        next(ends)
    ends.close()
    assert len(made) <= 23
    assert most[0] <= 3


def test_what_raises_is_tried_again() -> None:
    """Twice by default; what raised then is told."""
    tried: list[int] = []

    def work() -> int:
        tried.append(1)
        if len(tried) < 2:
            raise OSError("lost")
        return 7

    (done,) = engines.finished([Task("a", work)], threaded())
    assert (done.result, done.attempts, done.lost) == (7, 2, None)

    def never() -> int:
        raise OSError("lost")

    (done,) = engines.finished([Task("a", never)], threaded())
    assert (done.result, done.attempts, str(done.lost)) == (None, 2, "lost")


def test_fail_fast_begins_nothing_more() -> None:
    """After a task was lost; those that run end."""

    def never() -> int:
        raise OSError("lost")

    tasks = [Task("a", never), *(Task(str(number), squared, (number,)) for number in range(50))]
    found = list(engines.finished(tasks, threaded(1), fail_fast=True))
    assert found[-1].lost is not None
    assert len(found) == 1


def test_a_worker_that_is_killed_takes_no_other_task_with_it(tmp_path: Path) -> None:
    """The pool is made anew; who was in flight is tried again."""
    tasks: list[Task[int]] = [Task("dies", dies_once, (str(tmp_path / "mark"),))]
    tasks += [Task(str(number), squared, (number,)) for number in range(8)]
    found = {done.task.name: done for done in engines.finished(tasks, engines.pool())}
    assert all(done.lost is None for done in found.values())
    assert found["dies"].attempts == 2
    assert [found[str(number)].result for number in range(8)] == [number**2 for number in range(8)]


POOLED = """
import os, sys, time
from harness import engines

def waits(number):
    print(os.getpid(), flush=True)
    time.sleep(600)

if __name__ == "__main__":
    tasks = [engines.Task(str(number), waits, (number,)) for number in range(2)]
    list(engines.finished(tasks, engines.pool()))
"""


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGKILL])
def test_a_pool_ends_with_who_made_it(tmp_path: Path, by: signal.Signals) -> None:
    """Killed, whatever by, it leaves no process computing for nobody."""
    script = tmp_path / "pooled.py"
    script.write_text(POOLED)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        process.send_signal(by)
        try:
            # the pipe ends when the last of the pool's processes has let go of it
            process.communicate(timeout=60)
        finally:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)


def test_a_task_that_kills_its_worker_is_lost_and_the_others_are_not() -> None:
    """It was tried as often as may be; others are done, though they may have been beside it."""
    tasks: list[Task[int]] = [Task("dies", dies, ("",))]
    tasks += [Task(str(number), squared, (number,)) for number in range(6)]
    found = {
        done.task.name: done
        for done in engines.finished(tasks, replace(engines.pool(), at_once=1), attempts=2)
    }
    assert found["dies"].lost is not None
    assert [found[str(number)].result for number in range(6)] == [number**2 for number in range(6)]


def test_an_executor_that_cannot_be_made_loses_tasks_and_not_the_call() -> None:
    """Each is told with the reason."""

    def gone() -> Executor:
        raise OSError("nobody answers")

    found = list(engines.finished([Task("a", squared, (2,)), Task("b", squared, (3,))], Engine("x", gone, 2)))
    assert [str(done.lost) for done in found] == ["nobody answers", "nobody answers"]


def test_cancelled_is_lost() -> None:
    """As where a scheduler went away with what it had."""

    class Cancelling(Executor):
        def submit(self, *_: object, **__: object) -> Future[int]:  # type: ignore[override]
            future: Future[int] = Future()
            future.cancel()
            future.set_running_or_notify_cancel()
            return future

    (done,) = engines.finished([Task("a", squared, (2,))], Engine("x", Cancelling, 1))
    assert done.attempts == 2
    assert "gone" in str(done.lost)


@pytest.mark.thorough
def test_names_of_engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A factory is found in the working folder; what is no name is refused, with those that are."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_engine.py").write_text(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "def make():\n    return ThreadPoolExecutor(1)\n"
        "def wrong():\n    return 7\n"
    )
    engine = engines.engine_of("my_engine:make")
    assert engine.at_once == 32
    assert not engine.remark
    (done,) = engines.finished([Task("a", squared, (3,))], engine)
    assert done.result == 9
    with pytest.raises(ConfigurationError, match=r"must give a concurrent\.futures\.Executor \(got int\)"):
        list(engines.finished([Task("a", squared, (3,))], engines.engine_of("my_engine:wrong")))
    with pytest.raises(ConfigurationError, match="dask-local"):
        engines.engine_of("slurm")
    with pytest.raises(ConfigurationError, match="no scheduler of Dask answers"):
        engines.engine_of("dask://127.0.0.1:9")
    assert engines.engine_of("processes", tasks=1).at_once == 1
    assert engines.engine_of("processes", at_once=5, tasks=9).at_once == 5


CHILD = """
import os, signal, sys, time
from harness import engines
signal.signal(signal.SIGTERM, lambda *_: (open(sys.argv[1], "w").write("ended"), os._exit(143)))
engines.end_with_parent()
print("begun", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("asked", [True, False])
def test_a_process_ends_with_whoever_holds_its_input(tmp_path: Path, asked: bool) -> None:
    """Where it was asked to: SIGTERM when the pipe closes, as it does when its holder is killed."""
    variables = {**os.environ, **({engines.ENDS_WITH_PARENT: "1"} if asked else {})}
    command = [sys.executable, "-c", CHILD, str(tmp_path / "mark")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=variables) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
        process.stdin.close()
        if asked:
            assert process.wait(20) == 143
            assert (tmp_path / "mark").read_text() == "ended"
        else:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(1)
            process.kill()


def test_an_executor_that_breaks_gives_up_what_it_never_tells() -> None:
    """What it had is handed over again to another; an executor that refuses a task is one that broke."""
    made: list[Executor] = []

    class Breaking(Executor):
        def __init__(self) -> None:
            self.taken = 0
            made.append(self)

        def submit(self, call: Callable[..., int], *arguments: int) -> Future[int]:  # type: ignore[override]
            self.taken += 1
            future: Future[int] = Future()
            if len(made) > 1:
                future.set_result(call(*arguments))
            elif self.taken == 3:
                raise RuntimeError("closed")
            return future  # of the first, nobody ever hears

    tasks = [Task(str(number), squared, (number,)) for number in range(6)]
    found = {done.task.name: done for done in engines.finished(tasks, Engine("x", Breaking, 4))}
    assert [found[str(number)].result for number in range(6)] == [number**2 for number in range(6)]
    assert [found[str(number)].attempts for number in range(6)] == [2, 2, 2, 1, 1, 1]
    assert len(made) == 2


def test_an_executor_that_cannot_be_made_again_is_tried_for_a_while_and_not_for_each_task() -> None:
    """What was not begun says so."""
    opened: list[int] = []

    class Cancelling(Executor):
        def submit(self, *_: object, **__: object) -> Future[int]:  # type: ignore[override]
            future: Future[int] = Future()
            future.cancel()
            future.set_running_or_notify_cancel()
            return future

    def make() -> Executor:
        opened.append(1)
        if len(opened) > 1:
            raise OSError("nobody answers")
        return Cancelling()

    tasks = [Task(str(number), squared, (number,)) for number in range(100)]
    found = list(engines.finished(tasks, Engine("x", make, 2)))
    assert len(opened) == 3
    assert {str(done.lost) for done in found} == {"nobody answers"}
    assert sorted(done.attempts for done in found) == [0] * 99 + [1]
