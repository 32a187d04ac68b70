"""Which run is the latest: the one that was begun last, by its number and not by its name or a clock.

`latest` names no other night's run: it is taken away when a run is about to begin, and names that run from
then on, whatever becomes of it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.artifacts.files import digest_of, write
from harness.artifacts.sealing import MANIFEST
from harness.artifacts.staging import hidden_name, leftovers, locked, remove
from harness.errors import OutputError

LATEST = "latest"


def _record(run: Path) -> dict[str, Any]:
    """What stands in a run's `environment.json`; nothing where it cannot be read."""
    return _read(run / "environment.json")


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def sequence_of(run: Path) -> int:
    """A run's number among those of its folder; 0 where it bears none."""
    number = _record(run).get("sequence")
    return number if isinstance(number, int) and 0 <= number < 2**53 else 0


def _is_beside(run: Path) -> bool:
    """Whether a run is the second measurement of a night, which is never the latest."""
    return _read(run / "night.json").get("of") is not None


def _run_id(run: Path) -> str:
    name = _record(run).get("run_id")
    return name if isinstance(name, str) else ""


def next_sequence(runs: Path) -> int:
    """The number of a run that begins now: one more than the highest that was given."""
    return 1 + max((sequence_of(path) for path in run_directories(runs)), default=0)


def run_directories(runs: Path) -> Iterator[Path]:
    """All folders of runs, in the order of their names."""
    with suppress(OSError):
        names = sorted(
            entry.name
            for entry in os.scandir(runs)
            if entry.name[0] != "." and entry.is_dir(follow_symlinks=False)
        )
        yield from (runs / name for name in names)


def points_of_sweeps(output: Path) -> Iterator[Path]:
    """The folders of all points of sweeps of an output folder, each with runs, and a `latest`, of its own."""
    yield from sorted((output / "sweeps" / "points").glob("*/"))


def left_by_killed(output: Path) -> Iterator[Path]:
    """The hidden files in runs' folders whose owner is gone."""
    for run in run_directories(output / "runs"):
        yield from leftovers(run)
        if not (run / MANIFEST).exists():  # it did not end: its parts may hold some too
            for place, _, _ in os.walk(run):
                yield from leftovers(Path(place)) if Path(place) != run else ()


def named(latest: Path) -> Path | None:
    """The run that `latest` names, by link or, where a file system has none, by text; None if none is there.

    It names only what lies below `runs`, beside it.
    """
    try:
        if latest.is_symlink():
            told = str(latest.readlink())
        elif latest.name == LATEST and latest.is_file():
            told = latest.read_bytes()[:4096].decode().strip()
        else:
            return None
        # by its words alone: a link may be one of a loop
        runs, path = (Path(os.path.abspath(latest.parent / one)) for one in ("runs", told))  # noqa: PTH100
        return path if path.parent == runs and path.is_dir() else None
    except (OSError, ValueError):
        return None


def why_none(output: Path) -> str:
    """Why an output folder has no `latest`."""
    if runs := [*run_directories(output / "runs")]:
        return f"the last run was refused before it began; name an earlier one, such as {max(runs)}"
    ran = (point / LATEST for point in points_of_sweeps(output))
    point = next((one for one in ran if named(one) is not None), None)
    if point is None:
        return "no run began, or the last one was refused"
    return f"only sweeps ran here; name a point's run, such as {point}"


def _make_room(output: Path) -> None:
    """Take away whatever names a run as `latest`.

    A folder in its place is the copy of a run that a CI's store made of the link: it becomes the run, or
    goes, where the run is there.

    Raises:
        OutputError: something else of that name is there.
    """
    latest = output / LATEST
    if latest.is_symlink():
        latest.unlink(missing_ok=True)
    elif latest.is_file():
        if not latest.read_bytes()[:4096].strip().replace(b"\\", b"/").startswith(b"runs/"):
            raise OutputError(f"{latest}: is a file that names no run; move it out of the way")
        latest.unlink(missing_ok=True)
    elif latest.is_dir():
        name = _run_id(latest)
        if not name or name != Path(name).name:
            raise OutputError(f"{latest}: is a folder, and no run; move it out of the way")
        home = output / "runs" / name
        if not home.exists():
            latest.rename(home)
        elif _is_in(latest, home):
            shutil.rmtree(latest)
        else:
            raise OutputError(f"{latest}: is a folder, another state of {home}; move it out of the way")


def let_name(run: Path) -> None:
    """Let `latest`, beside the folder of the runs, name a run, unless another was begun after it.

    The second measurement of a night is never named, and keeps no other from it.

    Raises:
        OutputError: something that names no run is in its place.
        OSError: it cannot be put there.
    """
    output = run.parent.parent
    with locked(output):
        mine = sequence_of(run)
        later = (one for one in run_directories(run.parent) if sequence_of(one) > mine)
        if _is_beside(run) or not all(map(_is_beside, later)):
            return
        _make_room(output)
        staged = output / hidden_name(LATEST)
        target = Path("runs") / run.name
        try:
            staged.symlink_to(target, target_is_directory=True)
        except OSError:  # a file system without links, or a user without the right
            write(staged, f"{target.as_posix()}\n".encode())
        try:
            staged.replace(output / LATEST)
        except BaseException:
            remove(staged)
            raise


def _is_in(copy: Path, home: Path) -> bool:
    """Whether every file of a copy of a run is in the run too, as it is."""
    try:
        return all(
            (home / path.relative_to(copy)).is_file()
            and digest_of(home / path.relative_to(copy)) == digest_of(path)
            for path in copy.rglob("*")
            if path.is_file()
        )
    except OSError:
        return False


def withdraw(output: Path) -> None:
    """Let `latest` name no run: one is about to begin, and until then there is none of tonight.

    Raises:
        OutputError: something that names no run is in its place.
        OSError: it cannot be removed.
    """
    if os.path.lexists(output / LATEST):
        with locked(output):
            _make_room(output)
