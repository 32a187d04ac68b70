"""A history in text: the latest nights, a line for each measurement, every number as CSV, and its age."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from harness.config import Config
from harness.criteria import show
from harness.errors import ConfigurationError
from harness.history.comparison import is_worse, red_nights
from harness.history.kept import family_of
from harness.history.records import Alarm, Human, Night
from harness.history.series import Series, series_of

SHOWN = 30
"""How many nights a list shows."""

BLOCKS = "▁▂▃▄▅▆▇█"
GAP = "·"

COLUMNS = (
    "night",
    "kind",
    "status",
    "verdict",
    "created",
    "commit",
    "run_id",
    "measurement",
    "definition",
    "unit",
    "seed",
    "estimate",
    "low",
    "high",
    "n",
)
"""Of the CSV."""

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def every_series(nights: Sequence[Night], acts: Sequence[Human], config: Config) -> list[Series]:
    """The series of a history; that of the newest night is the last.

    Args:
        nights: Of the whole history, oldest first.
        acts: Likewise.
        config: What is held against its past.
    """
    groups: dict[tuple[tuple[str, str], ...], list[Night]] = {}
    for night in nights:
        if night.identity:  # one that was killed before it began to compute has none
            key = tuple(sorted(night.identity.items()))
            groups[key] = [*groups.pop(key, []), night]  # so that the newest comes last
    found = [
        series_of(nights, acts, group[-1].identity, family_of(config, group)) for group in groups.values()
    ]
    return [one for one in found if one.nights]


@dataclass(frozen=True)
class Row:
    """A night in the list, each cell as it is printed."""

    night: str
    began: str
    verdict: str
    alarms: str
    commit: str
    seeds: str


def rows(nights: Sequence[Night], acts: Iterable[Human], series: Iterable[Series]) -> list[Row]:
    """The latest nights, oldest first."""
    excluded = {act.night for act in acts if act.kind == "exclude"}
    series = list(series)
    alarms = {night.id: one.alarms for one in series for night in one.nights}
    red = {name for one in series for name in red_nights(one)}
    return [_row(night, excluded, alarms.get(night.id, []), night.id in red) for night in nights[-SHOWN:]]


def _row(night: Night, excluded: set[str], alarms: Sequence[Alarm], ended_red: bool) -> Row:
    notes: list[str] = [night.verdict if night.status == "ended" else "not ended"]
    notes += ["ended red"] if ended_red and notes == ["pass"] else []
    notes += [night.kind] if night.kind != "night" else []
    notes += ["excluded"] if night.id in excluded else []
    there = [one for one in alarms if one.open_in(night.id)]
    red = sum(one.red for one in there)
    told = [f"{red} of {len(there)} red"] * bool(there) + ["canary worse"] * is_worse(night)
    more = f" and {len(night.seeds) - 3} more" if len(night.seeds) > 3 else ""
    return Row(
        night=night.id,
        began=night.created[:16].replace("T", " "),
        verdict=", ".join(notes),
        alarms=", ".join(told),
        commit=night.environment.get("commit.commit", ""),
        seeds=", ".join(map(str, night.seeds[:3])) + more,
    )


def trends(series: Series) -> list[str]:
    """A line for each measurement of a series: its numbers of the latest nights, drawn, and the last one."""
    found = []
    for watched in series.family:
        numbers: list[float | None] = []
        for night in series.nights[-SHOWN:]:
            value = night.value(watched.measurement) if night.id not in series.uncounted else None
            numbers.append(None if value is None else value.estimate)
        there = [one for one in numbers if one is not None]
        if there:
            found.append(
                f"{spark(numbers)}  {watched.title}: {show(there[-1])} "
                f"({show(min(there))} to {show(max(there))}, {watched.unit})"
            )
    return found


def spark(numbers: Sequence[float | None]) -> str:
    """Numbers as a row of blocks between their smallest and their largest; a gap where there is none."""
    there = [one for one in numbers if one is not None]
    if not there:
        return GAP * len(numbers)
    low, height = min(there), max(there) - min(there)
    last = len(BLOCKS) - 1
    return "".join(
        GAP if one is None else BLOCKS[round(last * (one - low) / height) if height > 0 else last // 2]
        for one in numbers
    )


def as_csv(nights: Iterable[Night]) -> str:
    """Every number of every night: of all seeds together, where `seed` is `all`, and of each."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for night in nights:
        commit = night.environment.get("commit.commit", "")
        head = (night.id, night.kind, night.status, night.verdict, night.created, commit, night.run_id)
        for value in night.values:
            named = (*head, value.name, value.definition, value.unit)
            alone = night.seeds[0] if len(night.seeds) == 1 and not value.by_seed else "all"
            writer.writerow((*named, alone, value.estimate, value.low, value.high, value.n))
            for seed, estimate in value.by_seed.items():
                writer.writerow((*named, seed, estimate, None, None, None))
    return stream.getvalue()


def age_of(text: str) -> timedelta:
    """A time such as `36h`: minutes, hours or days.

    Raises:
        ConfigurationError: it is none.
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([mhd])", text.strip())
    if found is None:
        raise ConfigurationError(f"--max-age: must be a number and m, h or d, such as 36h (got {text!r:.80})")
    try:
        return timedelta(**{_UNITS[found[2]]: float(found[1])})
    except OverflowError:
        raise ConfigurationError(f"--max-age: {text!r:.80} is longer than can be told") from None


@dataclass(frozen=True)
class Heartbeat:
    """Whether nights still come in: `alive`, and a sentence that names the newest one that ended."""

    alive: bool
    sentence: str


def heartbeat(nights: Iterable[Night], longest: timedelta, now: datetime | None = None) -> Heartbeat:
    """Whether the newest night that ended is young enough, by the time at which it began.

    Args:
        nights: Of the whole history.
        longest: How old it may be.
        now: The time; the clock's by default.
    """
    # one that was refused at the start may not tell when that was
    ended = [night for night in nights if night.status == "ended" and night.created]
    if not ended:
        return Heartbeat(False, "no night has ended yet")
    newest = max(ended, key=lambda one: one.id)
    try:
        began = datetime.fromisoformat(newest.created.replace("Z", "+00:00"))
        age = (now or datetime.now(timezone.utc)) - began
    except (ValueError, TypeError):  # a document of another hand
        return Heartbeat(False, f"night {newest.id}, the newest that ended, tells no time that can be read")
    told = f"night {newest.id}, the newest that ended, began {newest.created}, {_hours(age)} ago"
    if age > longest:
        return Heartbeat(False, f"{told}, which is more than {_hours(longest)}: has the job stopped?")
    return Heartbeat(True, told)


def _hours(time: timedelta) -> str:
    return f"{time.total_seconds() / 3600:.1f} h"
