"""Which measurements of a series moved the wrong way, since when, and what changed meanwhile.

Derived by taking the series' nights in their order, again whenever it is asked: a later night changes nothing
that was said of an earlier one, a human act does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import get_args

from harness.history.charts import Monitor, Spell
from harness.history.records import Alarm, Change, Human, Kind, Night

DIGITS = 12
"""Significant digits in which numbers differ, or are equal; the others are rounding of sums."""


@dataclass(frozen=True)
class Watched:
    """A measurement that is held against its past.

    Attributes:
        measurement: Its name.
        title: A line that says what it is.
        unit: The unit of its numbers.
        higher_is_better: The direction; None where neither end is better, and either is harmful.
        min_change: The smallest change that is red, in `unit`.
        gate: Whether a gate rests on it.
    """

    measurement: str
    title: str
    unit: str
    higher_is_better: bool | None
    min_change: float
    gate: bool

    @property
    def charts(self) -> int:
        """How many charts share the false alarms for it: one for each harmful side."""
        return 2 if self.higher_is_better is None else 1


@dataclass(frozen=True)
class Replayed:
    """What the nights say of one measurement.

    Attributes:
        alarms: In the order in which they were found.
        improvements: Likewise, on the better side; never red.
        candidate: The id of the latest night, where it asks for a second measurement; else empty.
        held_against: How many numbers of its level the latest night was held against.
    """

    alarms: tuple[Alarm, ...]
    improvements: tuple[Alarm, ...]
    candidate: str
    held_against: int


def in_order(night: str) -> tuple[int, str]:
    """The key by which ids of nights are ordered; the empty one, of an act before any night, comes first."""
    return int(night.partition("-")[0] or 0), night


def replay(
    nights: Sequence[Night],
    again: Mapping[str, Night],
    acceptances: Iterable[Human],
    watched: Watched,
    limit: float,
) -> Replayed:
    """Hold one measurement's nights against those before them, from the first to the latest.

    Nights without a number, and those of another definition than the latest, have no part in it.

    Args:
        nights: The counted nights of a series, oldest first.
        again: Second measurements, by the night that they measure again.
        acceptances: Human acts, each taken for the alarm of its measurement that was open at the time.
        watched: The measurement.
        limit: Where a cumulative sum alarms.
    """
    name = watched.measurement
    definition = next((one.definition for night in reversed(nights) if (one := night.value(name))), None)
    points = [night for night in nights if _number(night, name, definition) is not None]
    acts = sorted(
        (act for act in acceptances if act.alarm.rpartition("@")[0] == name),
        key=lambda act: in_order(act.after),
    )
    monitor = Monitor(watched.higher_is_better, limit, watched.min_change)

    def accept(before: Night | None) -> None:
        while acts and (before is None or in_order(acts[0].after) < in_order(before.id)):
            _accept(monitor, points, name, acts.pop(0))

    for night in points:
        accept(night)
        number, other = _number(night, name, definition), again.get(night.id)
        second = None if other is None else _number(other, name, definition)
        if number is not None:
            monitor.add(number, second, silent=night.kind == "warm-up")
    accept(None)
    found = [(_alarm(spell, points, watched), spell.harmful) for spell in monitor.spells]
    return Replayed(
        alarms=tuple(alarm for alarm, harmful in found if harmful),
        improvements=tuple(alarm for alarm, harmful in found if not harmful),
        candidate=points[-1].id if monitor.candidate else "",
        held_against=monitor.held_against,
    )


def changes_between(before: Night, after: Night) -> tuple[Change, ...]:
    """What of commit, versions, machine, settings and thresholds is another in a later night, by name.

    What only one of the nights tells of stands against an empty text.
    """
    one, other = before.environment, after.environment
    names = sorted(name for name in {*one, *other} if one.get(name) != other.get(name))
    return tuple(Change(_kind(name), name, one.get(name, ""), other.get(name, "")) for name in names)


def _kind(name: str) -> Kind:
    """What a dotted name begins with; a document of another hand may begin otherwise."""
    kind = name.partition(".")[0]
    return next((one for one in get_args(Kind) if one == kind), "setting")


def _number(night: Night, name: str, definition: int | None) -> float | None:
    value = night.value(name)
    if value is None or value.definition != definition or value.estimate is None:
        return None
    return float(f"{value.estimate:.{DIGITS}g}") if isfinite(value.estimate) else None


def _id(spell: Spell, points: Sequence[Night], name: str) -> str:
    return f"{name}@{points[spell.found].sequence}"


def _accept(monitor: Monitor, points: Sequence[Night], name: str, act: Human) -> None:
    """Accept the alarm that is meant, where it is open.

    An exclusion, or another family, may have moved the night in which it is found, and so its id; it is then
    the measurement's newest open one.
    """
    named = [one for one in monitor.spells if _id(one, points, name) == act.alarm]
    meant = [one for one in named or monitor.spells if one.state == "open"]
    if meant:
        monitor.accept(max(meant, key=lambda one: (one.harmful, one.found)), act.reason)


def _alarm(spell: Spell, points: Sequence[Night], watched: Watched) -> Alarm:
    """An alarm on a night's numbers as one on the nights."""
    last_good = points[spell.earliest - 1]
    return Alarm(
        id=_id(spell, points, watched.measurement),
        measurement=watched.measurement,
        title=watched.title,
        unit=watched.unit,
        rule=spell.rule,
        found=points[spell.found].id,
        first=points[spell.first].id,
        began=(points[spell.earliest].id, points[spell.latest].id),
        last_good=last_good.id,
        size=spell.size,
        size_sd=spell.size_sd,
        p=spell.p,
        red=spell.red,
        state=spell.state,
        ended="" if spell.ended is None else points[spell.ended].id,
        reason=spell.reason,
        changes=changes_between(last_good, points[spell.latest]),
    )
