"""A young series' first points side by side: a process each, on the engine that sweeps run on.

How a point is made the command `nightly` alone knows. Here it is called as often as points are missing, and
its exit code is the contract.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness import engines
from harness.artifacts.files import Folder
from harness.artifacts.staging import Staged, leftovers, remove
from harness.config import Config
from harness.engines import Done, Task
from harness.environment import is_cpu
from harness.errors import Refused, RunError
from harness.pipeline.started import Progress
from harness.processes import Processes, last_line, said
from harness.text import without_password

ONE_POINT = "--one-warm-up-point"
"""The flag of `nightly` by which it makes one point, and no night."""

PLACE = "HARNESS_HISTORY_PLACE"
"""The variable that tells such a process where the history is: a command line could be read by anybody."""

STAGED, SETTINGS = "warm-up", "settings.toml"


class Killed(Exception):
    """A process ended by a signal: what it began is gone on with."""


@dataclass(frozen=True)
class Ended:
    """How a process ended by itself: its exit code, and the end of what it printed."""

    code: int
    said: str


def at_once(config: Config, jobs: int | None) -> int:
    """How many points are made at once: as asked for, else a core each; one where a GPU may be."""
    return engines.at_once_here(on_cpu=is_cpu(config.device)) if jobs is None else jobs


def side_by_side(
    config: Config, place: str | Path, there: int, points: int, jobs: int, progress: Progress
) -> None:
    """Make the points that are missing, each in a process of its own, several at once.

    A process that was killed is tried again once, and goes on
    with the point that it left, or makes one more where that was recorded already; one that failed by itself
    ends them all, which are gone on with the next time.

    Args:
        config: The configuration of the nights.
        place: Where they are kept.
        there: How many points there are.
        points: How many there are to be.
        jobs: Points at once.
        progress: Whom to tell.

    Raises:
        Refused: a point was refused before any work.
        RunError: one failed, gives no point, or was killed twice.
        KeyboardInterrupt: it was interrupted; the processes were ended as well.
        StorageError: the output folder cannot be written to.
    """
    missing = points - there
    engine = engines.engine_of(engines.LOCAL, jobs, missing)
    threads = engines.threads_each(engine.at_once, on_cpu=is_cpu(config.device))
    variables = dict.fromkeys(engines.THREADS, str(threads)) | {PLACE: str(place)}
    progress.say(
        f"warm-up: {missing} of {points} points are missing; {engine.at_once} at once, {threads} "
        f"thread{'s' if threads > 1 else ''} each"
    )
    for path in leftovers(config.output):
        if path.name.startswith(f".{STAGED}~"):
            remove(path)
    processes, since = Processes(), time.monotonic()
    with Staged(config.output, STAGED) as folder:
        # as a run directory has it: a password is written nowhere
        nightly = config.nightly.model_copy(update={"history": without_password(config.nightly.history)})
        values = config.model_copy(update={"nightly": nightly}).as_toml_values()
        Folder(folder).write_toml(SETTINGS, values)
        numbers = range(there + 1, points + 1)
        tasks = (Task(str(one), _made, (processes, folder, f"{one}.txt", variables)) for one in numbers)
        try:
            for made, done in enumerate(engines.finished(tasks, engine), start=1):
                _refuse_failed(done)
                again = "" if done.attempts == 1 else f", at try {done.attempts}"
                told = f"warm-up: point {there + made} of {points}{again}"
                progress.say(told + engines.left(since, made, missing))
        finally:
            processes.stop()


def _made(processes: Processes, folder: Path, log: str, variables: Mapping[str, str]) -> Ended:
    """Make one point.

    Raises:
        Killed: its process was, by whomever.
    """
    command = [sys.executable, "-m", "harness", "nightly", "--config", str(folder / SETTINGS), ONE_POINT]
    code = processes.run(command, folder / log, variables)
    printed = said(folder / log)
    if code < 0 or code > 128:
        ended = f"was killed by signal {-code}" if code < 0 else f"ended with {code}"
        raise Killed(f"its process {ended}: {last_line(printed)}")
    return Ended(code, printed)


def _refuse_failed(done: Done[Ended]) -> None:
    """Raise what a point's process ended with, unless it made the point."""
    ended = done.result
    if ended is None:
        raise RunError(f"a point of the warm-up was lost {done.attempts} times: {done.lost}")
    line = last_line(ended.said).removeprefix("error: ")
    if ended.code == Refused.exit_code:
        raise Refused(line)
    if ended.code:
        sys.stderr.write(ended.said)  # a bug keeps its traceback
        raise RunError(f"a point of the warm-up ended with {ended.code}: {line}")
