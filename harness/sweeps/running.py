"""Run what a sweep's points lack, on an engine; tell how far it is; leave a table whatever happens."""

from __future__ import annotations

import tarfile
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from harness import datasets, engines
from harness.artifacts import latest
from harness.artifacts.files import storing
from harness.artifacts.staging import Staged, leftovers, sweep
from harness.config import Config
from harness.engines import Done, Engine, Task
from harness.errors import ConfigurationError, HarnessError, StorageError
from harness.pipeline import loaded
from harness.pipeline.started import Progress
from harness.processes import last_line
from harness.sweeps import pacing, worker
from harness.sweeps.places import EXIT_CODES, POINTS, REFUSED, SWEEPS, Place
from harness.sweeps.records import Point, Row
from harness.sweeps.worker import Answer, Order
from harness.text import lasting

JUDGED = ("pass", "fail")
"""Verdicts of points that could be judged."""

SETTLED = (*JUDGED, "error")
"""Verdicts of points that are not run again: what cannot be judged could not be the next time, either."""

ENDED_ITSELF = (0, 1, 2)
"""Exit codes of a point that another try would not change."""

TOLD_EVERY = 30.0
"""Seconds between two tables that are written while points run."""


@dataclass(frozen=True)
class Known:
    """What is known of a data set: its digest, where it was read from, and its files' names there."""

    digest: str
    source: str
    files: tuple[str, ...]


class _Refilled:
    """Tasks, and those that are put back: whoever takes may find some again after there was none."""

    def __init__(self, tasks: Iterator[Task[Answer]]) -> None:
        self._tasks, self._back = tasks, deque[Task[Answer]]()

    def put(self, task: Task[Answer]) -> None:
        self._back.append(task)

    def __iter__(self) -> Iterator[Task[Answer]]:
        return self

    def __next__(self) -> Task[Answer]:
        return self._back.popleft() if self._back else next(self._tasks)


@dataclass
class Running:
    """The points of a sweep, and how they are run.

    Attributes:
        points: All of them.
        output: The folder that sweeps, cache and ordinary runs share.
        cache: The cache that all points share.
        engine: Where they run.
        threads: Of each point's numerical libraries.
        progress: Whom to tell.
        fresh: Compute every point anew.
        fail_fast: No point is begun after one was lost, or refused; those that an engine has end.
    """

    points: Sequence[Point]
    output: Path
    cache: Path
    engine: Engine
    threads: int
    progress: Progress
    fresh: bool = False
    fail_fast: bool = False
    rows: dict[str, Row] = field(default_factory=dict)
    _data: dict[str, Known] = field(default_factory=dict)
    _begun: dict[str, float] = field(default_factory=dict)
    _token: str = ""
    _stopped: bool = False

    def look(self) -> list[Point]:
        """Read what is there of every point; those that are to be run.

        A point that was computed on other data is none: its row says so.
        """
        todo = []
        for point in self.points:
            place = Place(self.output, point.id)
            row = place.row(point)
            if row.verdict in SETTLED and not self.fresh:
                if place.outcome.data == self.digest(point.config):
                    self.rows[point.id] = row
                    continue
                row = Row(point, "missing", why="its run was computed on other data")
            self.rows[point.id] = row if row.verdict not in SETTLED else Row(point, "missing")
            todo.append(point)
        return todo

    def digest(self, config: Config) -> str:
        """The digest of a configuration's data.

        Raises:
            DataError: it is missing, or damaged.
        """
        return self._known(config).digest

    def _known(self, config: Config) -> Known:
        """What is known of a configuration's data; it is loaded once, and its arrays are let go."""
        key = config.data.model_dump_json()
        if key not in self._data:
            found = loaded(config)
            self._data[key] = Known(found.digest, found.source, tuple(found.sha256))
        return self._data[key]

    def run(self, todo: Sequence[Point], told: Callable[[], object]) -> None:
        """Run points; `told` is called now and then, when more rows are known.

        Raises:
            KeyboardInterrupt: it was interrupted; the processes of this one were ended as well.
            StorageError: the table, or nothing at all, can be written.
        """
        points = self.output / SWEEPS / POINTS
        with storing(points):
            points.mkdir(parents=True, exist_ok=True)
            sweep(points)
            mark = Staged(points, "mark")
        self._token = mark.path.name
        by_id, last, spent, took = {point.id: point for point in todo}, 0.0, 0, list[float]()
        self._begun.clear()
        self._stopped = False
        ends = self._finished(self._tasks(todo))
        try:
            for done in ends:
                point = by_id[done.task.name]
                row = self.rows[point.id] = self._ended(point, done)
                spent += 1
                self._begun.pop(point.id, None)
                took += [] if row.seconds is None or row.before else [row.seconds]
                self._tell(row, self._left(took, len(todo) - spent), spent, len(todo))
                judged = row.verdict in JUDGED and not row.before
                if self.fail_fast and not judged and not self._stopped:
                    self.progress.warn("--fail-fast: no further point is begun")
                    self._stopped = True
                if time.monotonic() - last > TOLD_EVERY:
                    told()
                    last = time.monotonic()
        finally:
            worker.stop(self._token)
            ends.close()  # an interrupt may have come between two of them
            mark.close()

    def _left(self, took: Sequence[float], unended: int) -> str:
        """The time left, with those in flight; empty where nothing is, or nothing tells it."""
        now = time.monotonic()
        ages = [now - began for began in self._begun.values()]
        left = pacing.left(took, ages, unended - len(ages), self.engine.side_by_side)
        return f"; {lasting(left)} left" if left else ""

    def _tasks(self, todo: Sequence[Point]) -> Iterator[Task[Answer]]:
        """What is begun, in order; a point whose folder cannot be written to is told, and is none."""
        for point in todo:
            if self._stopped:
                return
            try:
                order = self._order(point)
            except StorageError as error:
                row = self.rows[point.id] = Row(point, "lost", why=str(error))
                self.progress.warn(f"{row.point.title}: {row.why}")
                self._stopped = self.fail_fast
            else:
                self._begun[point.id] = time.monotonic()
                yield Task(point.id, worker.compute, (order,))

    def _finished(self, tasks: Iterator[Task[Answer]]) -> Generator[Done[Answer], None, None]:
        """The ends of points; one that died is tried again, and data is sent where it is wanted."""
        again = _Refilled(tasks)
        tried: dict[str, int] = {}
        for done in engines.finished(
            again, self.engine, tell=self.progress.warn, stop=partial(worker.stop, self._token)
        ):
            answer, name = done.result, done.task.name
            wanted = self._with_files(done.task) if answer is not None and answer.wants_data else None
            if wanted is not None:
                again.put(wanted)
                continue
            tried[name] = tried.get(name, 0) + done.attempts
            died = answer is not None and not answer.wants_data and not self._ended_itself(name, answer)
            if died and tried[name] < engines.ATTEMPTS and not self._stopped:
                again.put(done.task)
            else:
                yield replace(done, attempts=tried[name])

    def _ended_itself(self, point: str, answer: Answer) -> bool:
        """Whether another try would change nothing."""
        code = answer.exit_code
        return code in ENDED_ITSELF or (
            code == EXIT_CODES["error"] and Place(self.output, point).outcome.verdict == "error"
        )

    def _order(self, point: Point) -> Order:
        place = Place(self.output, point.id)
        place.prepare(point, self.cache)
        return Order(
            point=point.id,
            config=place.folder.read("point.toml").decode(),
            folder=str(place.folder.path.absolute()),
            token=self._token,
            working=str(Path.cwd()),
            data=self.digest(point.config),
            variables=dict.fromkeys(engines.THREADS, str(self.threads)),
            number=latest.next_sequence(place.folder / "runs"),
            fresh=self.fresh,
        )

    def _with_files(self, task: Task[Answer]) -> Task[Answer] | None:
        """The same order with the data's files; None where it had them already, or there are none to send."""
        (order,) = task.arguments
        if order.files:
            return None
        point = next(one for one in self.points if one.id == order.point)
        files = files_of(self._known(point.config), point.config)
        return replace(task, arguments=(replace(order, files=files),)) if files else None

    def _ended(self, point: Point, done: Done[Answer]) -> Row:
        """Write down how a point ended; its row."""
        place, answer, why = Place(self.output, point.id), done.result, ""
        code, seconds = None, None
        if answer is None:
            times = f"its worker was lost {done.attempts} times" if done.attempts else "it was not begun"
            why = f"{times}: {done.lost}"
        elif answer.wants_data:
            why = "no worker has its data, and it cannot be sent: name data by path, or install it there"
            code = REFUSED
        else:
            code, seconds = answer.exit_code, answer.seconds
            said = last_line(answer.said)
            ended = f"ended with {code}" if (code or 0) >= 0 else f"was killed by signal {-(code or 0)}"
            why = said if code == REFUSED else f"its process {ended}, {done.attempts} times: {said}"
            if answer.archive:
                try:
                    worker.unpacked(answer.archive, place.folder.path)
                except (OSError, tarfile.TarError, ValueError, HarnessError) as error:
                    why = f"its run cannot be kept: {error}"
        (order,) = done.task.arguments
        if place.outcome.verdict in SETTLED and place.sequence < order.number:
            return self._before(point, place, code, why)
        try:
            place.end(code, done.attempts, seconds, why, self.threads)
        except StorageError as error:  # its run stands as it is; a disk that is full refuses the table too
            return replace(place.row(point), why=why or str(error))
        return place.row(point)

    def _before(self, point: Point, place: Place, code: int | None, why: str) -> Row:
        """The row of a point that was tried anew for nothing: its earlier run, where that is of this data.

        What is written down of that run stays.
        """
        if place.outcome.data != self.digest(point.config):
            return Row(point, "refused" if code == REFUSED else "lost", exit_code=code, why=why)
        row = place.row(point)
        told = f"told by its earlier run, for it could not be computed anew: {why}"
        return replace(row, before=True, why=f"{told}; {row.why}" if row.why else told)

    def _tell(self, row: Row, left: str, ended: int, of: int) -> None:
        told = f"{ended}/{of} {row.point.title}: {row.verdict or row.state}"
        if row.seconds is not None:
            told += f", {lasting(row.seconds)}"
        if row.why:
            told += f" ({row.why})"
        holds = row.verdict == "pass" and not row.before
        (self.progress.say if holds else self.progress.warn)(told + left)


def files_of(data: Known, config: Config) -> dict[str, bytes]:
    """A data set's files by the name under which a worker keeps them; none where it is made by a module.

    Args:
        data: What is known of it.
        config: By which it was loaded.
    """
    asked, source = config.data.dataset, Path(data.source)
    if datasets.is_path(asked):
        path = Path(asked).expanduser()
        if path.is_file():
            return {path.name: path.read_bytes()}
        return {
            f"{path.name}/{one.relative_to(path).as_posix()}": one.read_bytes()
            for one in sorted(path.rglob("*"))
            if one.is_file()
        }
    return {name: (source / name).read_bytes() for name in data.files if (source / name).is_file()}


@contextmanager
def alone(folder: Path, name: str) -> Iterator[None]:
    """Inside, no other process runs the sweep of a folder.

    Raises:
        ConfigurationError: another does.
        StorageError: the folder cannot be written to.
    """
    with storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        mine = Staged(folder, "running")
    try:
        gone = set(leftovers(folder))
        others = [one for one in folder.glob(".running~*") if one != mine.path and one not in gone]
        if others:
            raise ConfigurationError(
                f"sweep {name} is being run by another process; wait for it, or give this one a --name"
            )
        yield
    finally:
        mine.close()
