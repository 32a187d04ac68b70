"""Dask as an executor: what dies, leaves or freezes there is told, and loses as little as may be."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from harness import clusters, engines
from harness.engines import Task
from harness.errors import ConfigurationError
from tests.cluster import Cluster, cluster, waits
from tests.test_engines import dies_once, squared


def test_without_dask_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to install."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    for name in ("dask-local", "dask://127.0.0.1:9"):
        with pytest.raises(ConfigurationError, match="pip install distributed"):
            engines.engine_of(name)


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore")
def test_on_a_cluster_of_dask(tmp_path: Path) -> None:
    """On its own processes here; a worker that is killed costs a try."""
    tasks: list[Task[int]] = [Task("dies", dies_once, (str(tmp_path / "mark"),))]
    tasks += [Task(str(number), squared, (number,)) for number in range(6)]
    engine, before = engines.engine_of("dask-local", at_once=2, tasks=9), dict(os.environ)
    found = {done.task.name: done for done in engines.finished(tasks, engine)}
    assert dict(os.environ) == before, "what follows in this process has other threads"
    assert [found[str(number)].result for number in range(6)] == [number**2 for number in range(6)]
    assert found["dies"].lost is None


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore")
def test_a_scheduler_without_workers_is_told(tmp_path: Path) -> None:
    """They may come later, and whoever waits knows for what."""
    started = Cluster(tmp_path)
    try:
        engine = engines.engine_of(started.engine)
    finally:
        started.close()
    assert "has no workers yet" in engine.remark
    assert engine.at_once == 2


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM"])
def test_a_scheduler_that_is_gone_is_no_waiting_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Killed, or closed in order, while tasks are out: all are told as lost, within seconds."""
    monkeypatch.setattr(clusters, "WAITS", 2)
    with cluster(tmp_path / "cluster", workers=1) as started:
        engine = engines.engine_of(started.engine)
        assert (engine.at_once, engine.remark) == (2, "")
        timer = threading.Timer(1.0, started.scheduler.send_signal, (getattr(signal, how),))
        timer.start()
        begun = time.monotonic()
        found = list(engines.finished([Task(str(one), time.sleep, (60,)) for one in range(4)], engine))
        assert time.monotonic() - begun < 40
        timer.join()
    assert sorted(done.attempts for done in found) == [0, 0, 1, 1]
    assert all(done.lost is not None for done in found)


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore")
def test_a_worker_of_a_scheduler_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    """Another does what it had."""
    with cluster(tmp_path / "cluster", workers=2) as started:
        engine = engines.engine_of(started.engine)
        timer = threading.Timer(1.0, started.workers[0].kill)
        timer.start()
        found = list(engines.finished([Task(str(one), time.sleep, (0.5,)) for one in range(8)], engine))
        timer.join()
    assert len(found) == 8
    assert all(done.lost is None for done in found)


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("wakes", [True, False])
def test_a_scheduler_that_is_frozen_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wakes: bool
) -> None:
    """That it does not answer, and that it does again, when nothing is lost; else it is given up."""
    monkeypatch.setattr(engines, "LOOKS_EVERY", 0.2)
    monkeypatch.setattr(clusters, "WAITS", 2)
    monkeypatch.setattr(clusters, "TOLD_AFTER", 1.0)
    monkeypatch.setattr(clusters, "GIVEN_UP_AFTER", 600.0 if wakes else 3.0)
    told: list[str] = []

    def tell(text: str) -> None:
        told.append(text)
        if wakes and "does not answer" in text:
            started.scheduler.send_signal(signal.SIGCONT)

    with cluster(tmp_path / "cluster", workers=1) as started:
        engine = engines.engine_of(started.engine)
        timer = threading.Timer(1.0, started.scheduler.send_signal, (signal.SIGSTOP,))
        timer.start()
        tasks = [Task(str(one), time.sleep, (3 if wakes else 60,)) for one in range(2)]
        begun = time.monotonic()
        found = list(engines.finished(tasks, engine, tell=tell))
        assert time.monotonic() - begun < 60
        timer.join()
    assert told[0].startswith("the scheduler of Dask does not answer; it is waited for, and given up after")
    assert len(told) == 2
    assert told[1].endswith("answers again" if wakes else "it is given up")
    assert [done.lost is None for done in found] == [wakes, wakes]


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore")
def test_a_frozen_scheduler_is_refused_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes connections, and says nothing on them: whoever plans does not wait for ever."""
    monkeypatch.setattr(clusters, "WAITS", 2)
    with cluster(tmp_path / "cluster", workers=1) as started:
        started.scheduler.send_signal(signal.SIGSTOP)
        begun = time.monotonic()
        with pytest.raises(ConfigurationError, match="no scheduler of Dask answers there"):
            engines.engine_of(started.engine)
        assert time.monotonic() - begun < 20


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore")
def test_who_leaves_ends_what_workers_do(tmp_path: Path) -> None:
    """Interrupted while tasks run, it calls what ends them in every worker; when all ended, nothing."""
    mark = tmp_path / "mark"
    with cluster(tmp_path / "cluster", workers=2) as started:
        engine = engines.engine_of(started.engine)
        done = [*engines.finished([Task("a", squared, (3,))], engine, stop=partial(Path.touch, mark))]
        assert [one.result for one in done] == [9]
        assert not mark.exists()
        tasks: list[Task[int | None]] = [Task("quick", squared, (2,)), Task("waits", waits, (str(mark),))]
        ends = engines.finished(tasks, engine, stop=partial(Path.touch, mark))
        first = next(ends)
        assert (first.task.name, first.lost) == ("quick", None)
        end = time.monotonic() + 60
        while not mark.with_suffix(".begun").exists():
            assert time.monotonic() < end
            time.sleep(0.1)
        ends.close()
        assert mark.exists()
