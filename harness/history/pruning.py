"""Make room: of a night's run that nobody will go back to, what text holds stays, and the page."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.artifacts.directories import RunDirectory
from harness.artifacts.files import storing
from harness.artifacts.latest import run_directories
from harness.artifacts.sealing import PRUNED
from harness.errors import HarnessError
from harness.history.comparison import past_of
from harness.history.documents import NIGHT, Written, is_of_a_night
from harness.history.records import Human, Night
from harness.history.series import Series

TEXT = frozenset({".json", ".csv", ".toml", ".xml", ".md"})
"""The kinds of files that stay wherever they lie: the numbers, the verdict, the settings."""

SHOWN = frozenset({"report.html", "badge.svg"})
"""What else stays, right in the run directory."""


@dataclass(frozen=True)
class Prunable:
    """A run of a night, and what can go of it.

    Attributes:
        run: The run directory.
        night: The night's id.
        why: Why it stays whole; empty where it need not.
        files: What would go, by name with slashes.
        size: Its bytes, of which a file that the cache holds too frees none.
    """

    run: RunDirectory
    night: str
    why: str
    files: tuple[str, ...]
    size: int


def wanted(
    nights: Sequence[Night], acts: Iterable[Human], series: Iterable[Series], keep: int
) -> dict[str, str]:
    """The nights whose runs stay whole, and why, by id.

    Args:
        nights: Of the whole history, oldest first.
        acts: Likewise.
        series: All of its series.
        keep: How many of the newest nights stay whole.
    """
    found: dict[str, str] = {}
    for act in acts:
        if act.kind == "pin":
            found.setdefault(act.night, "is pinned")
    for one in series:
        told = past_of(one, one.nights[-1]).told
        green = [night for night in told if night.kind == "night" and not night.red and not night.excluded]
        if green:
            found.setdefault(green[-1].night, "is the last green one of its series")
        for alarm in one.alarms:
            if alarm.state == "open":
                for night in (alarm.last_good, *alarm.began, alarm.first, alarm.found):
                    found.setdefault(night, f"has a part in the open alarm {alarm.id}")
    for other in nights:
        if other.status == "begun":
            found.setdefault(other.id, "has not ended, or is not recorded yet")
    ended = [night for night in nights if night.status == "ended"]
    for other in ended[-keep:]:
        found.setdefault(other.id, "is among the newest")
    for other in nights:  # a second measurement is a part of its night
        if other.of in found:
            found.setdefault(other.id, f"measures night {other.of} again, which {found[other.of]}")
    return found


def prunable(output: Path, nights: Iterable[Night], stay: Mapping[str, str]) -> list[Prunable]:
    """The runs of an output folder that are nights of a history, each with what can go of it.

    A run that is no night, or whose night the history does not have, is none of them.
    """
    known = {night.id for night in nights}
    found = []
    for path in run_directories(output / "runs"):
        if not is_of_a_night(path):
            continue
        with suppress(HarnessError):  # what cannot be read is left alone
            run = RunDirectory.open(path)
            night = run.read_record(NIGHT, Written).id
            if night in known:
                files = tuple(sorted(_needless(path)))
                size = sum(_size(path / name) for name in files)
                found.append(Prunable(run, night, stay.get(night, ""), files, size))
    return found


def _needless(run: Path) -> Iterator[str]:
    for place, _, names in os.walk(run):
        for name in names:
            path = Path(place) / name
            top = path.parent == run and name in SHOWN
            if path.suffix not in TEXT and not top and not name.startswith("."):
                yield path.relative_to(run).as_posix()


def _size(path: Path) -> int:
    try:
        found = path.lstat()
    except OSError:
        return 0
    return found.st_size if found.st_nlink == 1 else 0


def prune(one: Prunable) -> None:
    """Let a run be without what can go of it; what that was is written first, so that it is no damage.

    Raises:
        StorageError: a file cannot be removed, or `pruned.json` not be written. What is named there, and is
            there yet, goes when it is pruned again.
    """
    gone = one.run.manifest.pruned
    one.run.write_json(PRUNED, {"files": sorted({*gone, *one.files})})
    for name in one.files:
        path = one.run / name
        with storing(path):
            path.unlink(missing_ok=True)
    for place, _, _ in os.walk(one.run.path, topdown=False):
        with suppress(OSError):  # one that is not empty
            Path(place).rmdir()
