"""What no run needs in an output folder: leftovers of killed processes, and cache entries without a run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.artifacts.cache import is_entry
from harness.artifacts.directories import RunDirectory
from harness.artifacts.latest import left_by_killed, points_of_sweeps, run_directories
from harness.artifacts.staging import Staged, leftovers, remove
from harness.errors import RunError

YOUNG = 86_400.0
"""Seconds for which an entry is kept that no run names: it may be of one that goes on, or will be resumed."""


@dataclass(frozen=True)
class Needless:
    """A file or folder that no run needs.

    Attributes:
        path: Where it is.
        why: Why nobody needs it.
        size: Its bytes, of which a file that a run holds too frees none.
    """

    path: Path
    why: str
    size: int


def needless(output: Path) -> list[Needless]:
    """All that no run of an output folder needs."""
    cache = output / "cache"
    points = [*points_of_sweeps(output)]
    places = [output, cache, *cache.glob("*/"), *(output / "sweeps").glob("*/"), *points]
    left = [path for folder in places for path in leftovers(folder)]
    left += [path for folder in (output, *points) for path in left_by_killed(folder)]
    used = {one for runs in (output / "runs", *points_runs(output)) for one in _used(runs)}
    unused = [
        entry
        for entry in sorted(cache.glob("*/*/"))
        if f"{entry.parent.name}/{entry.name}" not in used and _is_old(entry) and is_entry(entry)
    ]
    found = [Needless(path, "left by a process that is gone", _size(path)) for path in left]
    return found + [Needless(path, "no run here uses it", _size(path)) for path in unused]


def points_runs(output: Path) -> Iterator[Path]:
    """The folders of runs of all points of sweeps, which share the output folder's cache."""
    yield from (point / "runs" for point in points_of_sweeps(output) if (point / "runs").is_dir())


def _used(runs: Path) -> Iterator[str]:
    """The cache's entries that runs name, as `<stage>/<key>`; one that was pruned needs none."""
    for path in run_directories(runs):
        with suppress(RunError):
            run = RunDirectory(path)
            if not run.manifest.pruned:
                yield from run.read_stages().cache


def _is_old(entry: Path) -> bool:
    try:
        return abs(time.time() - entry.stat().st_mtime) > YOUNG
    except OSError:
        return False


def _size(path: Path) -> int:
    """Bytes of all files that have no other name."""
    files = [path] if path.is_file() else path.rglob("*")
    total = 0
    for one in files:
        with suppress(OSError):
            found = one.lstat()
            total += found.st_size if found.st_nlink == 1 and one.is_file() else 0
    return total


def clean(found: list[Needless]) -> list[Needless]:
    """Remove what was found; what could not be removed.

    An entry of the cache is moved aside first, so that nobody finds half of it.
    """
    for one in found:
        if one.path.name.startswith("."):
            remove(one.path)
        else:
            with suppress(OSError), Staged(one.path.parent) as aside:
                one.path.rename(aside / "needless")
    return [one for one in found if one.path.exists()]
