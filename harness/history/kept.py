"""Where the nights are kept, as far as it can be asked; what is held against its past; and fresh seeds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from harness.artifacts.directories import RunDirectory
from harness.config import Config
from harness.errors import HarnessError
from harness.history.alarms import Watched
from harness.history.records import Night
from harness.history.store import DamagedStore, History, Unreachable, refuse_what_is_none, set_aside

T = TypeVar("T")


class Kept:
    """The history, as far as it can be asked tonight.

    Attributes:
        trouble: Why tonight cannot be held against the nights before; empty where it can.
    """

    def __init__(self, place: str | Path, tell: Callable[[str], object]) -> None:
        """`tell` hears what is amiss, once.

        Raises:
            NewerSchema: a newer harness wrote it.
            ConfigurationError: no such place can be meant.
        """
        self.place, self._tell = place, tell
        self.trouble = ""
        self._history: History | None = None
        self._open()

    def _open(self) -> None:
        try:
            self._history = History.open(self.place)
        except DamagedStore as error:
            self._damaged(error)
        except Unreachable as error:
            self._amiss(f"{error}: tonight is recorded later, by a night that reaches it")

    def _damaged(self, error: DamagedStore) -> None:
        self._history = None
        if error.path is None:
            self._amiss(f"{error}; mend it on its server: tonight is recorded later")
            return
        try:
            moved = set_aside(self.place)
            self._history = History.open(self.place)
        except (Unreachable, DamagedStore) as other:
            self._amiss(f"{error}, and {other}: tonight is recorded later")
            return
        where = "another process set it aside" if moved is None else f"it lies untouched in {moved}"
        self._amiss(
            f"{error}; {where}, and a new history begins: nights come back from their runs, what persons did "
            "(pins, acceptances) from an export"
        )

    def _amiss(self, why: str) -> None:
        if not self.trouble:
            self._tell(why)
        self.trouble = self.trouble or why

    def ask(self, question: Callable[[History], T]) -> T | None:
        """What the history answers, or the new one after a damaged one; None where none can be asked."""
        for _ in range(2):
            if self._history is None:
                return None
            try:
                return question(self._history)
            except DamagedStore as error:
                self._damaged(error)
            except Unreachable as error:
                self._history = None  # each question more would wait as long
                self._amiss(f"{error}: tonight is recorded later, by a night that reaches it")
        return None

    def record(self, night: Night) -> None:
        """Store a night, if that can be; for one that has ended, what could not be asked is tried again."""
        if self._history is None and night.status == "ended":
            with suppress(HarnessError):
                self._history = History.open(self.place)
        self.ask(lambda history: history.record(night))


def place_of(config: Config, asked: str | None = None, run: RunDirectory | None = None) -> str | Path:
    """Where the nights are kept: where somebody asks, as configured, or beside the runs.

    Args:
        config: The configuration.
        asked: The flag's text.
        run: A night's run directory; its own output folder counts where nothing else is said.

    Raises:
        ConfigurationError: what is asked for, or configured, can be no history.
    """
    output = config.output if run is None or run.path.parent.name != "runs" else run.path.parent.parent
    given = config.nightly.history or None if asked is None else asked
    if given is None:
        return output / "history.db"
    refuse_what_is_none(given)
    return given


def family_of(config: Config, nights: Sequence[Night]) -> tuple[Watched, ...]:
    """What is held against its past: the gated measurements, then the watched ones, by the newest night.

    A gate that the newest judged night did not have is none of its series: the model cannot be asked for it.

    Args:
        config: The configuration.
        nights: Oldest first.
    """
    rows = next((one.criteria for one in reversed(nights) if one.criteria), ())
    judged = {one.measurement for one in rows}
    declared = [one.measurement for one in config.criteria if one.gate]
    gated = [name for name in declared if not judged or name in judged]
    found = []
    for name in dict.fromkeys([*gated, *(one.measurement for one in config.nightly.watch)]):
        known = next((one for night in reversed(nights) if (one := night.value(name))), None)
        found.append(
            Watched(
                name,
                name if known is None else known.title,
                "" if known is None else known.unit,
                None if known is None else known.higher_is_better,
                config.nightly.smallest_change(name),
                name in gated,
            )
        )
    return tuple(found)


def seeds_of(night: str, count: int, used: Collection[int] = ()) -> tuple[int, ...]:
    """A night's fresh seeds, drawn from its id: none that was used before.

    From the whole id, not from its sequence number alone: two clones that add their nights to one history
    may both have a night 41.

    Args:
        night: Its id.
        count: How many.
        used: Seeds that are somebody else's.
    """
    found: dict[int, None] = {}
    number = 0
    while len(found) < count:
        digest = hashlib.sha256(f"{night}:{number}".encode()).digest()
        seed = int.from_bytes(digest[:4], "big")
        if seed not in used:
            found[seed] = None
        number += 1
    return tuple(found)
