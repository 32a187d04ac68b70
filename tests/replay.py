"""What the history finds in real nights of faults planted in them: `python -m tests.replay FOLDER`.

FOLDER holds what `harness history export` wrote of sixty nights or more, made by `harness nightly --warm-up`.
They are replayed one by one, as nights, into a new history; every number of the family moves by a planted
change on its harmful side. Nights after the sixtieth are the second measurements of those that ask for one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from harness.config import Config
from harness.criteria import show
from harness.history.comparison import past_of
from harness.history.exchange import import_from
from harness.history.kept import family_of
from harness.history.records import Alarm, Canary, Night, Value
from harness.history.series import Watched, series_of
from harness.history.store import History
from tests.pasts import date

NIGHTS = 60
LIBRARY = "version.torch"


@dataclass(frozen=True)
class Planting:
    """A fault planted in nights.

    Attributes:
        name: Its name.
        first: The number of the first night that has it; one after the last where none has.
        shift: The change so many nights after `first`, in standard deviations of the real nights; in smallest
            changes that are red, where they never move.
        upgraded: Whether another version of a library comes with it, and with it another canary.
    """

    name: str
    first: int
    shift: Callable[[int], float]
    upgraded: bool = False


PLANTINGS = (
    Planting("nothing", NIGHTS + 1, lambda _: 0.0),
    Planting("a break of 5 sd at night 40", 40, lambda _: 5.0),
    Planting("a break of 2 sd at night 40", 40, lambda _: 2.0),
    Planting("a drift of 0.1 sd a night from night 30", 30, lambda late: 0.1 * (late + 1)),
    Planting("another library at night 50", 50, lambda _: 0.0, upgraded=True),
)


@dataclass(frozen=True)
class Found:
    """What the nights after the planting say of it.

    Attributes:
        planting: What was planted.
        measured: The measurements, each with what one of `shift` is.
        alarms: The first alarm of each measurement at or after the planted night, as of the last night.
        early: The alarms that were open before it, each as it was told then.
        events: What the canary's event said, by the number of the night that said it.
        names: The ids of the nights, the first one first.
        refused: The measurements whose second number was as ever, by the number of the night.
    """

    planting: Planting
    measured: dict[str, float]
    alarms: dict[str, Alarm]
    early: dict[str, Alarm]
    events: dict[int, str]
    names: list[str]
    refused: dict[int, tuple[str, ...]]

    def number(self, night: str) -> int:
        """A night's number among those that were replayed."""
        return self.names.index(night) + 1

    @property
    def kept(self) -> bool:
        """Whether nothing was found before the planting, and everything, or nothing, from it on."""
        moved = self.planting.shift(0) > 0
        events = {self.planting.first} if self.planting.upgraded else set()
        return not self.early and set(self.events) == events and moved == bool(self.alarms)


def replay(nights: Sequence[Night], config: Config, history: History, planting: Planting) -> Found:
    """Replay real nights with a fault in them, each recorded and then held against those before it.

    Args:
        nights: At least `NIGHTS`; the others are second measurements, in their order.
        config: What is held against its past.
        history: Where to; the series is the planting's own.
        planting: The fault.
    """
    family = [one for one in family_of(config, nights) if nights[-1].value(one.measurement) is not None]
    step = {one.measurement: _step(nights, one) for one in family}
    identity = dict(nights[0].identity) | {"replay": planting.name}
    others = iter(nights[NIGHTS:])
    names: list[str] = []
    early: dict[str, Alarm] = {}
    events: dict[int, str] = {}
    refused: dict[int, tuple[str, ...]] = {}

    def planted(night: Night, name: str, number: int) -> Night:
        late = number - planting.first
        size = planting.shift(late) if late >= 0 else 0.0
        values = [_moved(value, family, size * step.get(value.name, 0.0)) for value in night.values]
        version = "2" if planting.upgraded and late >= 0 else "1"
        return replace(
            night,
            id=name,
            created=date(number),
            identity=identity,
            environment=night.environment | {"commit.commit": f"c{number}", LIBRARY: version},
            values=values,
            canary=_canary(version),
        )

    for number, real in enumerate(nights[:NIGHTS], start=1):
        begun = history.reserve(_begun)
        tonight = planted(replace(real, kind="night"), begun.id, number)
        history.record(tonight)
        names.append(begun.id)
        asked = series_of(history.nights(), history.acts(), identity, family)
        if wanted := asked.candidates:
            again = history.reserve(_begun)
            other = replace(next(others), kind="confirmation", of=begun.id)
            history.record(planted(other, again.id, number))
            asked = series_of(history.nights(), history.acts(), identity, family)
            stand = {alarm.measurement for alarm in asked.alarms if alarm.found == begun.id}
            if gone := tuple(name for name in wanted if name not in stand):
                refused[number] = gone
        past = past_of(asked, tonight)
        if number < planting.first:
            early |= {alarm.id: alarm for alarm in past.alarms if alarm.state == "open"}
        if past.canary_event:
            events[number] = past.canary_event
    later = sorted((one for one in asked.alarms if one.id not in early), key=lambda one: one.found)
    alarms = {alarm.measurement: alarm for alarm in reversed(later)}
    return Found(planting, step, alarms, early, events, names, refused)


def _begun(name: str) -> Night:
    return Night(name, "night", "begun")


def _step(nights: Sequence[Night], watched: Watched) -> float:
    """The standard deviation of a measurement over nights; of one that never moves, its smallest change."""
    values = [value.estimate for night in nights if (value := night.value(watched.measurement)) is not None]
    return float(np.std([one for one in values if one is not None], ddof=1)) or watched.min_change


def _moved(value: Value, family: Sequence[Watched], by: float) -> Value:
    """A number moved by so much to its harmful side: upwards, where either is."""
    watched = next((one for one in family if one.measurement == value.name), None)
    if watched is None or not by:
        return value
    by = -by if watched.higher_is_better else by
    estimate, low, high = (
        None if one is None else one + by for one in (value.estimate, value.low, value.high)
    )
    return replace(value, estimate=estimate, low=low, high=high)


def _canary(version: str) -> Canary:
    parts = ("weights", "predictions", "maps", "measurements")
    return Canary(0, "frozen", {LIBRARY: version}, {part: f"{part} {version}" for part in parts}, 40, 40)


def _rows(found: Found) -> Iterator[tuple[str, ...]]:
    """A line for each measurement: what was found, and when."""
    for name, step in found.measured.items():
        alarm = found.alarms.get(name)
        if alarm is None:
            yield (name, f"{step:.3g}", *["–"] * 8)
            continue
        sd = "" if alarm.size_sd is None else f"{alarm.size_sd:+.1f}"
        commits = [one for one in alarm.changes if one.name == "commit.commit"]
        yield (
            name,
            f"{step:.3g}",
            alarm.rule,
            str(found.number(alarm.found)),
            str(found.number(alarm.first)),
            "-".join(str(found.number(one)) for one in alarm.began),
            str(found.number(alarm.last_good)),
            sd,
            "red" if alarm.red else "notice",
            ", ".join(f"{one.before} → {one.after}" for one in commits),
        )


def show_found(found: Found, console: Console) -> None:
    """Print what was found of one fault."""
    heads = ("measurement", "1 sd", "rule", "found", "first", "range", "last good", "size", "", "commits")
    console.print(f"\n{found.planting.name}", style="bold")
    if found.alarms:
        table = Table(*heads, box=SIMPLE, pad_edge=False)
        for row in _rows(found):
            table.add_row(*row)
        console.print(table)
    before = ", ".join(f"{one.id} ({one.rule}, {show(one.size)})" for one in found.early.values())
    console.print(f"alarms before: {before or 'none'}; alarms: {len(found.alarms)} of {len(found.measured)}")
    for number, names in found.refused.items():
        console.print(f"night {number}: the second measurement refused {', '.join(names)}")
    for number, event in found.events.items():
        console.print(f"night {number}: canary: {event}")


def main() -> int:
    """Replay every planting; 1 where one was found before it was planted, or not at all."""
    parser = argparse.ArgumentParser(prog="python -m tests.replay", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="exported nights")
    parser.add_argument("--history", metavar="PLACE", help="a new history [default: one that goes again]")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        real = History.open(Path(folder) / "real.db")
        import_from(real, asked.folder)
        nights = [one for one in real.nights() if one.counts and one.kind != "confirmation"]
        if len(nights) < NIGHTS:
            parser.error(f"{asked.folder}: holds {len(nights)} nights that count, {NIGHTS} are needed")
        history = History.open(asked.history or Path(folder) / "replayed.db")
        if history.nights():
            parser.error(f"{history.name}: holds nights already; name a new one")
        console, kept = Console(width=130), True
        console.print(f"{len(nights)} real nights; into {history.name}")
        for planting in PLANTINGS:
            found = replay(nights, Config(), history, planting)
            show_found(found, console)
            kept = kept and found.kept
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
