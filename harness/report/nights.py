"""What pages say of the nights before: alarms in words, each number beside its past."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from harness import figures
from harness.criteria import show
from harness.errors import RunError
from harness.history.past import Past, Point, Strip, Told
from harness.history.records import Alarm, number_of
from harness.records import Floats
from harness.report.differences import signed
from harness.runs import Run
from harness.text import clean

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SMALL = 30
"""The latest nights of a small line."""

RULES = {
    "one night": "tonight alone is improbable, and so was the second measurement with new seeds",
    "drift": "the cumulative sum of the nights passed its limit",
    "constant": "a number that had never moved did",
}


def sentence_of(text: str) -> str:
    """A clause as a sentence."""
    return f"{text[:1].upper()}{text[1:].removesuffix('.')}."


def night_name(night: str) -> str:
    """A night as readers see it; a dash where there is none."""
    return f"night {number_of(night)}" if night else "–"


def day_of(created: str) -> str:
    """The day of a time, which names no order; the text itself where it is no time."""
    try:
        return f"{datetime.fromisoformat(created):%Y-%m-%d}"
    except ValueError:
        return clean(created, 16)


def alarm_of(alarm: Alarm, anchors: Mapping[str, str]) -> dict[str, Any]:
    """An alarm as templates show it.

    Args:
        alarm: The alarm.
        anchors: By measurement, the id of its strip on the page.
    """
    size = f"{signed(alarm.size)} {alarm.unit}".strip()
    if alarm.size_sd is not None:
        size += f", {signed(alarm.size_sd)} standard deviations of the nights before"
    earliest, latest = (night_name(one) for one in alarm.began)
    began = night_name(alarm.first)
    if earliest != latest:
        began += f", may be any from {earliest} to {latest}"
    rule = RULES[alarm.rule]
    if alarm.p:
        rule += f" (p {' and '.join(f'{one:.2g}' for one in alarm.p)})"
    return {
        "alarm": alarm,
        "kind": "alarm" if alarm.red else "notice",
        "size": size,
        "began": began,
        "found": night_name(alarm.found),
        "last_good": night_name(alarm.last_good),
        "ended": night_name(alarm.ended),
        "rule": rule,
        "accept": f'harness accept {shlex.quote(alarm.id)} --reason "..."',
        "anchor": anchors.get(alarm.measurement, ""),
    }


def open_alarms(past: Past) -> list[Alarm]:
    """Alarms that are open, the red ones first."""
    return sorted((one for one in past.alarms if one.state == "open"), key=lambda one: not one.red)


def tonight_of(strip: Strip, night: str) -> float | None:
    """A measurement's number in a night; None where it has none."""
    return next((one.value for one in reversed(strip.points) if one.night == night), None)


def numbers_before(strip: Strip, past: Past) -> Floats:
    """The numbers that tonight is seen against, float64 [n]: of all nights that count before it, since the
    last acceptance, but for those in which an alarm was open.
    """
    own = [one for one in past.alarms if one.measurement == strip.measurement]
    accepted = max((number_of(one.first) for one in own if one.state == "accepted"), default=0)
    closed = [
        (number_of(one.first), number_of(one.ended) if one.ended else np.inf)
        for one in own
        if one.state != "accepted"
    ]
    tonight = number_of(past.night)
    return np.array(
        [
            one.value
            for one in strip.points
            if counts(one)
            and accepted <= (at := number_of(one.night)) < tonight
            and not any(first <= at < end for first, end in closed)
        ],
        dtype=np.float64,
    )


def counts(point: Point) -> bool:
    """Whether a night's number enters statistics."""
    return point.value is not None and point.state in ("counted", "warm-up")


def numbers_of(points: Sequence[Point], again: Sequence[str] = ()) -> figures.Nights:
    """Nights as charts take them.

    Args:
        points: A measurement's.
        again: Ids of second measurements, which part no nights.
    """

    def numbers(values: list[float | None]) -> Floats:
        return np.array([np.nan if one is None else one for one in values], dtype=np.float64)

    at = np.array([number_of(one.night) for one in points], dtype=np.int64)
    return figures.Nights(
        at=at,
        place=at - np.searchsorted(sorted(map(number_of, again)), at),
        values=numbers([one.value for one in points]),
        low=numbers([one.low for one in points]),
        high=numbers([one.high for one in points]),
        young=np.array([one.state == "warm-up" for one in points], dtype=bool),
        out=np.array([one.state in ("excluded", "error") for one in points], dtype=bool),
    )


def judgement(strip: Strip, change: float | None) -> str:
    """Which a change is that is worth a night's sleep: `better`, `worse`, `moved`; `within` if it is not.

    Empty where there is no change, or nobody declared what is worth it.
    """
    if change is None:
        return ""
    if not strip.min_change:  # nobody said what is worth a night's sleep
        return ""
    if abs(change) < strip.min_change:
        return "within"
    if strip.higher_is_better is None:
        return "moved"
    return "better" if (change > 0) == strip.higher_is_better else "worse"


def against(past: Past) -> list[dict[str, Any]]:
    """Each measurement tonight beside the pinned night's number and the last green night's."""
    rows = []
    for strip in past.strips:
        tonight = tonight_of(strip, past.night)
        row: dict[str, Any] = {"title": strip.title, "name": strip.measurement, "unit": strip.unit}
        row |= {"tonight": show(tonight), "least": show(strip.min_change) if strip.min_change else "–"}
        for name, before in (("pin", strip.pinned), ("green", strip.green)):
            change = None if tonight is None or before is None else tonight - before
            row[name] = {
                "number": show(before),
                "change": signed(change),
                "judgement": judgement(strip, change),
            }
        rows.append(row)
    return rows


def days(told: Sequence[Told]) -> dict[int, str]:
    """By a night's number, its day."""
    return {number_of(one.night): day_of(one.created) for one in told}


@dataclass(frozen=True)
class Spark:
    """A measurement in the last nights, in a table's cell.

    Attributes:
        name: Unique in the page.
        figure: The drawing.
        finding: What it shows, as a sentence with its numbers.
    """

    name: str
    figure: Figure
    finding: str


def sparks(run: Run) -> dict[str, Spark]:
    """By measurement, its last nights; none where no history is kept."""
    try:
        past = run.past
    except RunError:  # the sections on the past say so
        return {}
    if past is None:
        return {}
    red = {one.measurement for one in past.alarms if one.state == "open" and one.red}
    found = {}
    for place, strip in enumerate(past.strips, start=1):
        points = strip.points[-SMALL:]
        numbers = [one.value for one in points if one.value is not None and counts(one)]
        if not numbers:
            continue
        before = numbers_before(strip, past)
        middle = float(np.median(before)) if len(before) else numbers[-1]
        band = (middle - strip.min_change, middle + strip.min_change) if strip.min_change else None
        figure = figures.sparkline(numbers_of(points, past.again), band, red=strip.measurement in red)
        finding = (
            f"{len(numbers)} nights, {show(min(numbers))} to {show(max(numbers))}, last {show(numbers[-1])}"
        )
        found[strip.measurement] = Spark(f"spark-{place}", figure, finding)
    return found
