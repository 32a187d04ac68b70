"""What can break while points run: folders, disks, archives, orders of two sweeps, and who interrupts."""

from __future__ import annotations

import errno
import io
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness import sweeps
from harness.artifacts import files, latest
from harness.artifacts.directories import RunDirectory
from harness.errors import OutputError, StorageError
from harness.sweeps import places, worker
from harness.sweeps.worker import Answer, Order
from tests.test_sweeps import Heard, Workers, planned


@pytest.fixture(name="workers")
def made(finished: RunDirectory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Workers:
    """They stand in the place of real ones."""
    workers = Workers(finished)
    monkeypatch.setattr(worker, "compute", workers)
    monkeypatch.chdir(tmp_path)
    return workers


@pytest.mark.thorough
def test_a_point_whose_folder_cannot_be_written_takes_no_other_with_it(workers: Workers) -> None:
    """It is lost, with the reason and what to do; the others are done, and the next call tries it anew."""
    plan = planned({"k": [10, 20, 30]})
    points = plan.output / places.SWEEPS / places.POINTS
    points.mkdir(parents=True)
    (points / plan.points[1].id).write_text("in the way")
    heard = Heard()
    found = sweeps.run(plan, heard)
    assert [row.state for row in found.rows] == ["finished", "lost", "finished"]
    assert "move what is there out of the way" in found.rows[1].why
    assert any("k 20" in text for text in heard.warned)
    (points / plan.points[1].id).unlink()
    assert [row.state for row in sweeps.run(plan, Heard()).rows] == ["finished"] * 3
    assert len(workers.orders) == 3


@pytest.mark.thorough
def test_an_end_that_cannot_be_written_down_is_read_from_the_run(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run stands, and its row is whole."""
    plan, write = planned({"k": [10, 20]}), files.write

    def refusing(path: Path, content: bytes) -> None:
        if path.name == places.OUTCOME and plan.points[0].id in path.parts:
            raise StorageError.of(path, OSError(errno.EACCES, "no right"))
        write(path, content)

    monkeypatch.setattr(files, "write", refusing)
    found = sweeps.run(plan, Heard())
    assert [row.state for row in found.rows] == ["finished"] * 2
    assert found.rows[0].estimates == found.rows[1].estimates


@pytest.mark.thorough
def test_a_disk_that_is_full_ends_the_sweep_in_a_sentence(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What had been finished is not run again when there is room."""
    plan, replace_, full = planned({"k": [10, 20, 30]}, jobs=1), Path.replace, threading.Event()

    def filling(self: Path, target: Path) -> Path:
        if full.is_set():
            raise OSError(errno.ENOSPC, "No space left on device")
        if plan.points[1].id in self.parts and Path(target).name == places.POINT:
            full.set()
        return replace_(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", filling)
        with pytest.raises(StorageError, match="free the place, and run again"):
            sweeps.run(plan, Heard())
    first = workers.points.count(plan.points[0].id)
    found = sweeps.run(plan, Heard())
    assert [row.state for row in found.rows] == ["finished"] * 3
    assert workers.points.count(plan.points[0].id) == first == 1


def test_an_output_that_cannot_be_written_is_a_sentence(tmp_path: Path, workers: Workers) -> None:
    """Not a trace."""
    (tmp_path / "sweeping").write_text("in the way")
    with pytest.raises(StorageError, match="move what is there out of the way"):
        sweeps.run(planned({"k": [10, 20]}), Heard())


@pytest.mark.thorough
def test_two_sweeps_of_one_output_do_not_take_each_others_files(workers: Workers) -> None:
    """Each has a mark of its own, which stands for as long as it runs, and not longer."""
    plan, seen = planned({"k": [10, 20]}, jobs=1), list[list[bool]]()
    other = planned({"k": [30, 40]}, jobs=1)
    call = workers.__call__

    def during(order: Order) -> Answer:
        points = Path(order.folder).parent
        if not seen:
            seen.append([])
            worker_of = worker.compute
            worker.compute = call
            try:
                sweeps.run(other, Heard())
            finally:
                worker.compute = worker_of
        seen[0].append((points / order.token).is_dir())
        return call(order)

    worker.compute = during
    sweeps.run(plan, Heard())
    assert seen == [[True, True]]
    assert not list((plan.output / places.SWEEPS / places.POINTS).glob(".mark*"))


@pytest.mark.thorough
def test_fail_fast_lets_those_end_that_were_begun(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs beside a point that was refused is kept, and told."""
    plan = planned({"k": list(range(10, 30))}, fail_fast=True, jobs=2)
    refused, call = plan.points[0].id, workers.__call__
    workers.codes, both = {refused: [2]}, threading.Barrier(2)

    def slow(order: Order) -> Answer:
        both.wait(20)
        if order.point != refused:
            time.sleep(0.5)
        return call(order)

    monkeypatch.setattr(worker, "compute", slow)
    found = sweeps.run(plan, Heard())
    assert [row.state for row in found.rows] == ["refused", "finished"] + ["missing"] * 18
    assert len(workers.orders) == 2


def packed(*members: tuple[str, bytes | str]) -> bytes:
    """An archive of files, and of links, whose target is text."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                archive.addfile(member)
            else:
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


RECORD = b'{"sequence": 1}'

HOSTILE = {
    "leaves": packed(("../out/environment.json", RECORD)),
    "absolute": packed(("/run/environment.json", RECORD), ("/etc/x", b"x")),
    "two runs": packed(("a/environment.json", RECORD), ("b/environment.json", RECORD)),
    "no name": packed(("", b"x")),
    "here": packed((".", b"x")),
    "a file": packed(("run", b"x")),
    "no run": packed(("run/x", b"x")),
    "hidden": packed((".run/environment.json", RECORD)),
    "a link": packed(("run", "/etc")),
    "a link outside": packed(("run/environment.json", RECORD), ("run/x", "../../..")),
    "beside": packed(("run/environment.json", RECORD), ("x", b"x")),
    "empty": packed(),
    "no archive": b"no archive",
    "cut": packed(("run/environment.json", RECORD), ("run/x", b"x" * 5000))[:2500],
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_an_archive_that_is_no_run_changes_nothing(tmp_path: Path, kind: str) -> None:
    """It is refused with a reason, and nothing of it stays, in the point's folder or beside it."""
    folder = tmp_path / "there" / "point"
    folder.mkdir(parents=True)
    with pytest.raises((OSError, tarfile.TarError, ValueError)):
        worker.unpacked(HOSTILE[kind], folder)
    assert [path for path in tmp_path.rglob("*") if path.is_file() or path.is_symlink()] == []
    assert not any(folder.glob("runs/*"))


def test_a_sweep_goes_on_after_an_archive_that_is_no_run(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The point has no verdict, and says why."""
    hostile = HOSTILE["leaves"]
    monkeypatch.setattr(worker, "compute", lambda _: Answer(0, 1.0, "", "run", hostile))
    found = sweeps.run(planned({"k": [10, 20]}), Heard())
    assert [row.state for row in found.rows] == ["lost"] * 2
    assert "its run cannot be kept" in found.rows[0].why


def test_what_is_handed_back_twice_stands_once(finished: RunDirectory, tmp_path: Path) -> None:
    """A worker that was thought dead may answer too."""
    out, folder = io.BytesIO(), tmp_path / "point"
    folder.mkdir()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.add(finished.path, arcname=finished.path.name)
    for _ in range(2):
        worker.unpacked(out.getvalue(), folder)
        run = latest.named(folder / latest.LATEST)
        assert run is not None
        assert RunDirectory.open(run).amiss() == []
    assert sorted(path.name for path in folder.iterdir()) == ["latest", "runs"]
    assert [path.name for path in (folder / "runs").iterdir()] == [finished.path.name]
    (folder / "latest").unlink()
    (folder / "latest").write_text("no run")
    with pytest.raises(OutputError, match="names no run"):
        worker.unpacked(out.getvalue(), folder)


def test_a_run_of_another_machine_is_the_next_of_its_point(
    finished: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number comes after those of the asker's runs, so that `latest` names it."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(worker, "_digest_of", lambda _: "digest")
    numbers: list[int] = []

    def fake(order: Order, folder: Path, working: Path) -> Answer:
        numbers.append(latest.next_sequence(folder / "runs"))
        return Answer(0)

    monkeypatch.setattr(worker, "_ran", fake)
    order = Order("p", "", "/not/here/p", "mark", "/not/here", "digest", {}, number=4)
    worker.compute(order)
    assert numbers == [4]


SLEEPS = "import time; time.sleep(60)"


@pytest.fixture
def sleeping(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[subprocess.Popen[bytes]]]:
    """Points are processes that sleep; those that were begun."""
    begun: list[subprocess.Popen[bytes]] = []

    def start(command: list[str], **how: object) -> subprocess.Popen[bytes]:
        begun.append(real([sys.executable, "-c", SLEEPS], **how))  # type: ignore[call-overload]
        return begun[-1]

    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", start)
    return lambda: begun


def test_who_is_interrupted_ends_the_points_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sleeping: Callable[[], list[subprocess.Popen[bytes]]]
) -> None:
    """No process of its points stays, none is begun after, another sweep's go on, and a table is there."""
    monkeypatch.chdir(tmp_path)
    plan = planned({"k": list(range(10, 30))}, jobs=2)
    other = Order("other", "", str(tmp_path / "points" / "other"), "mine", ".", "", {})
    (tmp_path / "points" / "mine").mkdir(parents=True)
    (tmp_path / "points" / "other").mkdir()
    beside = threading.Thread(target=worker.compute, args=(other,))
    beside.start()

    def interrupt() -> None:
        while len(sleeping()) < 3:
            time.sleep(0.02)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        sweeps.run(plan, Heard())
    thread.join()
    own = sleeping()[1:]
    assert {one.wait(20) for one in own} == {-signal.SIGTERM}
    assert sleeping()[0].poll() is None  # another's
    time.sleep(0.3)
    assert len(sleeping()) == 3
    assert (plan.folder / "points.csv").is_file()
    worker.stop("mine")
    beside.join(20)
    assert worker.compute(replace(other, point="late")).exit_code == -signal.SIGTERM
    assert len(sleeping()) == 3
