"""Many configurations as one question: points along axes, run on any executor, told with paired differences.

A point is a configuration file and a command line, a process of its own; its run directory is the result.
There is no database: what is finished is what stands in the points' folders.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import config as configuration
from harness import engines
from harness.config import Config
from harness.engines import Engine
from harness.environment import is_cpu
from harness.errors import ConfigurationError
from harness.pipeline.started import Progress, Silence
from harness.registry import suggestion
from harness.sweeps import axes as asking
from harness.sweeps import pacing, table
from harness.sweeps.factories import refuse_unbuildable
from harness.sweeps.places import SWEEPS, named
from harness.sweeps.records import Axis, Cost, Difference, Point, Row, Selected, Sweep, shown
from harness.sweeps.running import Running, alone

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Axis",
    "Difference",
    "Plan",
    "Point",
    "Row",
    "Selected",
    "Sweep",
    "plan",
    "run",
    "shown",
    "sweep",
]


@dataclass(frozen=True)
class Plan:
    """What a sweep would do.

    Attributes:
        id: The name of its folder.
        base: The configuration without axes.
        axes: The axes.
        points: Every point.
        reference: The id of the point that others are compared with.
        engine: Where points run.
        threads: Of each point.
        fail_fast: No point is begun after one was lost.
        select: The measurement to choose a point by; empty for none.
        command: How it was asked for.
    """

    id: str
    base: Config
    axes: tuple[Axis, ...]
    points: tuple[Point, ...]
    reference: str
    engine: Engine
    threads: int
    fail_fast: bool = False
    select: str = ""
    command: str = ""

    @property
    def output(self) -> Path:
        """The folder that sweeps share with ordinary runs."""
        return self.base.output

    @property
    def folder(self) -> Path:
        """The sweep's own."""
        return self.output / SWEEPS / self.id

    def running(self, progress: Progress) -> Running:
        """Its points, and how they are run."""
        base = self.base
        cache = base.output / "cache" if base.cache is None else base.cache
        return Running(
            self.points,
            base.output,
            cache,
            self.engine,
            self.threads,
            progress,
            fresh=base.fresh,
            fail_fast=self.fail_fast,
        )

    def seconds(self, todo: Sequence[Point]) -> tuple[float | None, int]:
        """How long points will take here, and how many measured runs tell it; None without any."""
        return pacing.seconds([point.config for point in todo], self.output, self.engine.side_by_side)


def plan(
    axes: Mapping[str, Sequence[Any]] | None = None,
    *,
    config: str | Path | None = None,
    flags: Mapping[str, Any] | None = None,
    zipped: Sequence[Sequence[str]] = (),
    reference: Mapping[str, Any] | None = None,
    name: str = "",
    on: str = engines.LOCAL,
    jobs: int | None = None,
    threads: int | None = None,
    fail_fast: bool = False,
    select: str = "",
    command: str = "",
    folder: str | Path = Path(),
) -> Plan:
    """Points, engine and reference of a sweep; everything that can be refused is refused here.

    Args:
        axes: Values by key of the configuration; those of the file's `[sweep]` come before them.
        config: The file of what all points share; as of `harness.load_config`.
        flags: What all points share on top of it. `common_order` is on unless they say otherwise.
        zipped: Axes that go side by side, beside those of the file.
        reference: By key, the point that others are compared with; the file's, the base, or the first.
        name: Of the sweep; by default a digest of the question.
        on: Where points run: `processes`, `dask-local`, `dask://host:port`, `module:factory`.
        jobs: Points at once; by default as many as the cores have threads for, one where there may be a GPU.
        threads: Of each point, set before torch loads; by default 1 on a CPU, for the last bits of a number
            depend on how many share a sum, and must not on what runs beside it.
        fail_fast: No point is begun after one was lost.
        select: A measurement to choose a point by.
        command: How it was asked for, to be told.
        folder: Where to look for the file that nobody named.

    Raises:
        ConfigurationError: no axis, no such key, a point whose configuration cannot be used, no such engine.
    """
    # points are compared on the images that both explain
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    flags = {"common_order": True} | given
    base = asking.placed(configuration.load(config, flags, folder))
    configuration.refuse_absent(base.checks)
    asked = {**base.sweep.axes, **(axes or {})}
    if not asked:
        raise ConfigurationError(
            "sweep: no axis: name several values, such as --k 10,25,50, or [sweep] axes in the file"
        )
    found = asking.axes_of(asked, (*base.sweep.zipped, *zipped))
    # axes that were asked for beside flags win over them; those of the file do not
    flagged = set(map(configuration.flat_key, given)) - set(map(configuration.flat_key, axes or {}))
    if both := [axis.name for axis in found if axis.name in flagged]:
        raise ConfigurationError(
            f"sweep: {both[0]!r} is an axis in the file, and a flag gives it one value; leave one out, or "
            "give the flag several"
        )
    points = asking.points_of(found, config, flags, folder)
    refuse_unbuildable(point.config.model for point in points)
    if select:
        _refuse_unchosen(select, points)
    wanted = base.sweep.reference if reference is None else reference
    if wanted:
        wanted = asking.meant(wanted, config, flags, folder)
    for number in (jobs, threads):
        if number is not None and number < 1:
            raise ConfigurationError(f"--jobs and --threads must be 1 or more (got {number})")
    on_cpu = all(is_cpu(device) for device in {point.config.device for point in points})
    at_once = jobs
    if jobs is None and on in (engines.LOCAL, engines.DASK_LOCAL):
        at_once = engines.at_once_here(on_cpu=on_cpu, threads=threads)
    engine = engines.engine_of(on, at_once, len(points))
    return Plan(
        id=named(name) if name else asking.sweep_id(found, base),
        base=base,
        axes=asking.typed(found, points),
        points=points,
        reference=asking.reference_of(points, wanted, base),
        engine=engine,
        threads=engines.threads_each(engine.at_once, on_cpu=on_cpu) if threads is None else threads,
        fail_fast=fail_fast,
        select=select,
        command=command,
    )


def _refuse_unchosen(select: str, points: Sequence[Point]) -> None:
    """Refuse a measurement that no point can be chosen by.

    Raises:
        ConfigurationError: there is none of that name, or no seeds to choose by and to tell by.
    """
    from harness.measurements import measurements

    if (name := select.split(".")[0]) not in measurements:
        raise ConfigurationError(
            f"--select: unknown measurement {select!r}: {suggestion(name, measurements)}"
        )
    if all(len(point.config.seeds) < 2 for point in points):
        raise ConfigurationError("--select: one seed cannot both choose and tell; give two or more --seeds")


def run(asked: Plan, progress: Progress) -> Sweep:
    """Run what is missing, and tell all of it: table, page, and the sweep itself.

    Whatever ends it early, the table tells what there is.

    Raises:
        ConfigurationError: another process runs it.
        KeyboardInterrupt: it was interrupted.
        StorageError: the disk is full, or the place cannot be written to.
    """
    running, start = asked.running(progress), time.perf_counter()
    with alone(asked.folder, asked.id):
        todo = running.look()
        done = len(asked.points) - len(todo)
        progress.say(
            f"sweep {asked.id}: {len(asked.points)} points, {done} finished already; "
            f"{asked.engine.at_once} at once, {asked.threads} "
            f"thread{'s' if asked.threads > 1 else ''} each, on {asked.engine.name}"
        )

        def rows() -> list[Row]:
            return [running.rows[point.id] for point in asked.points]

        def told() -> None:
            table.write_table(asked.folder, asked.output, asked.axes, rows(), asked.reference)

        if todo and asked.engine.remark:
            progress.warn(asked.engine.remark)
        if others := table.others(asked.folder, {point.id for point in asked.points}):
            points = "1 point that was" if others == 1 else f"{others} points that were"
            progress.say(f"{points} asked for before stand in this table no more; their runs stay")
        told()
        try:
            if todo:
                running.run(todo, told)
        except KeyboardInterrupt:
            finished = sum(row.state == "finished" for row in rows())
            progress.warn(
                f"interrupted: {finished} of {len(asked.points)} points are finished; "
                "the same command goes on"
            )
            raise
        finally:
            told()
        return _published(asked, rows(), time.perf_counter() - start, len(todo))


def _published(asked: Plan, rows: Sequence[Row], seconds: float, ran: int) -> Sweep:
    """Differences, choice, page and record of rows."""
    from harness.sweeps.differences import differences
    from harness.sweeps.page import render
    from harness.sweeps.selecting import selected

    confidence = asked.base.statistics.interval_confidence
    found = Sweep(
        id=asked.id,
        axes=asked.axes,
        rows=tuple(rows),
        reference=asked.reference,
        differences=differences(rows, asked.reference, table.compared(rows), confidence, folder=asked.folder),
        confidence=confidence,
        selected=selected(rows, asked.select, confidence) if asked.select else None,
        remarks=table.remarks(rows, asked.threads),
    )
    cost = Cost(seconds, ran, asked.engine.at_once, asked.threads, asked.engine.name)
    table.write_table(asked.folder, asked.output, asked.axes, rows, asked.reference, found.differences)
    table.write_json(asked.folder, found, asked.command, cost)
    render(found, asked.folder / table.PAGE, command=asked.command)
    return found


def sweep(
    axes: Mapping[str, Sequence[Any]] | None = None, *, progress: Progress | None = None, **asked: Any
) -> pd.DataFrame:
    """Run a sweep, or what it lacks, and give its table: a row for each point and measurement.

    Args:
        axes: Values by key: `{"k": [10, 25, 50], "model": ["k-sparse", "relu-l1"]}`.
        progress: Whom to tell; nobody by default.
        asked: As of `plan`: `config`, `flags`, `zipped`, `reference`, `name`, `on`, `jobs`, `threads`,
            `fail_fast`, `select`.

    Returns:
        Tidy: columns `point`, the axes, `state`, `verdict`, `run`, `measurement`, `estimate`, `low`, `high`,
        `n`, `unit`, `reference`, `difference`, `difference_low`, `difference_high`, `p`, `reason`: the id of
        the point that others are compared with, and why a difference, or its interval, is missing.

    Raises:
        ConfigurationError: as `plan`.
    """
    asked = {"command": call(axes, asked)} | asked
    return table.tidy(run(plan(axes, **asked), progress or Silence()))


def call(axes: Mapping[str, Sequence[Any]] | None, asked: Mapping[str, Any]) -> str:
    """How `sweep` was called, to be called so again: `harness.sweep({'k': [10, 25]}, jobs=2)`."""
    given = [] if axes is None else [_literal(axes)]
    given += [f"{name}={_literal(value)}" for name, value in asked.items() if value is not None]
    return f"harness.sweep({', '.join(given)})"


def _literal(value: Any) -> str:
    """A value as Python is written, without what would have to be imported."""
    if callable(listed := getattr(value, "tolist", None)):  # numpy's
        value = listed()
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_literal(key)}: {_literal(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_literal, value)) + "]"
    return repr(str(value) if isinstance(value, Path) else value)


def command_line() -> str:
    """How this process was called, to be called so again."""
    return shlex.join(["harness", *sys.argv[1:]])
