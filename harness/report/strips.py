"""Charts of a past: a strip a measurement, what happened in which night, tonight among the nights before."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from harness import figures
from harness.criteria import show, show_threshold
from harness.figures import Axis, Levels, Span, Tonight
from harness.history.past import Past, Point, Strip, Told
from harness.history.records import Alarm, number_of
from harness.report.nights import counts, days, night_name, numbers_before, numbers_of, tonight_of
from harness.report.page import Chart, interval
from harness.statistics.segments import change_points
from harness.text import clean

LISTED = 14
"""The latest nights of a strip's own table."""

NAMED = 5
"""The latest change points that a sentence names."""

LETTERS = {
    "machine": "M",
    "version": "V",
    "setting": "S",
    "canary": "C",
    "pin": "P",
    "accept": "A",
    "exclude": "X",
}
"""What stands above the nights of every strip; commits, which come every night, stand among the events."""

EVENTS = {
    "commit": "commit",
    "version": "versions",
    "setting": "settings",
    "machine": "machine",
    "canary": "canary",
    "pin": "pinned",
    "accept": "accepted",
    "exclude": "excluded",
    "error": "no numbers",
    "gap": "not recorded",
}


def axis_of(past: Past, nights: int) -> Axis:
    """The last so many nights of a past as the axis of its charts."""
    numbers = [number_of(one.night) for one in past.told] or [number_of(past.night)]
    return Axis(numbers[-nights:][0], max(numbers[-1], number_of(past.night)), days(past.told))


def anchors(past: Past) -> dict[str, str]:
    """By measurement, the id of its strip."""
    return {strip.measurement: f"strip-{place}" for place, strip in enumerate(past.strips, start=1)}


def strip_chart(strip: Strip, past: Past, axis: Axis, name: str) -> Chart:
    """A measurement over the nights, with all that happened to it."""
    shown = [one for one in strip.points if axis.first <= number_of(one.night) <= axis.last]
    own = [one for one in past.alarms if one.measurement == strip.measurement]
    better = [one for one in past.improvements if one.measurement == strip.measurement]
    before = numbers_before(strip, past)
    band = None
    if len(before) and strip.min_change:
        middle = float(np.median(before))
        band = (middle - strip.min_change, middle + strip.min_change)
    thresholds = strip.threshold if isinstance(strip.threshold, tuple) else (strip.threshold,)
    levels = Levels(
        strip.pinned,
        tuple(one for one in thresholds if one is not None),
        band,
        _steps(shown),
    )
    spans = [_span(one, "alarm" if one.red else "notice") for one in own]
    spans += [_span(one, "improvement") for one in better]
    figure = figures.strip(numbers_of(shown, past.again), axis, levels, spans=spans, signs=_signs(past))
    rows = [
        (
            night_name(one.night),
            axis.dates.get(number_of(one.night), "–"),
            show(one.value),
            interval(one.low, one.high),
            one.state,
        )
        for one in shown[-LISTED:]
    ]
    columns = ("night", "day", "number", "interval", "state")
    return Chart(name, figure, _finding(strip, shown, own, levels), columns, rows)


def _steps(points: Sequence[Point]) -> list[tuple[int, int, float]]:
    """The mean of each stretch between two change points; none where the nights keep one level."""
    known = [(number_of(one.night), one.value) for one in points if counts(one)]
    values = [value for _, value in known if value is not None]
    found = change_points(values)
    if not found:
        return []
    edges = [0, *found, len(values)]
    return [(known[a][0], known[b - 1][0], float(np.mean(values[a:b]))) for a, b in pairwise(edges)]


def _span(alarm: Alarm, kind: figures.Kind) -> Span:
    return Span(kind, number_of(alarm.first), number_of(alarm.ended) if alarm.ended else None)


def _signs(past: Past) -> dict[int, str]:
    found: dict[int, str] = {}
    for one in past.marks:
        letter = LETTERS.get(one.kind, "")
        at = number_of(one.night)
        if letter and letter not in found.get(at, ""):
            found[at] = found.get(at, "") + letter
    return found


def _finding(strip: Strip, shown: Sequence[Point], alarms: Sequence[Alarm], levels: Levels) -> str:
    """A strip in a sentence with its numbers."""
    known = [one for one in shown if counts(one)]
    title = clean(strip.title, 80)
    if not known:
        return f"{title}: no night has a number of it."
    numbers = [one.value for one in known if one.value is not None]
    last = known[-1]
    text = f"{title} in {len(known)} {'night' if len(known) == 1 else 'nights'}: {show(last.value)}"
    if last.low is not None:
        text += f" [{show(last.low)}, {show(last.high)}]"
    text += f" in {night_name(last.night)}, the last; the median {show(float(np.median(numbers)))}"
    low, high = (pick(known, key=lambda one: one.value or 0.0) for pick in (min, max))
    if low.value != high.value:
        text += f", from {show(low.value)} in {night_name(low.night)}"
        text += f" to {show(high.value)} in {night_name(high.night)}"
    if strip.pinned is not None:
        text += f"; pinned {show(strip.pinned)}"
    if strip.relation:
        sign = {">=": "≥", "<=": "≤"}.get(strip.relation, strip.relation)
        text += f"; threshold {sign} {show_threshold(strip.threshold)}"
    if levels.steps:
        starts = [str(first) for first, *_ in levels.steps[1:]]
        text += f"; seen from afterwards its level changed at night {', '.join(starts[-NAMED:])}"
        if len(starts) > NAMED:
            text += f", and {len(starts) - NAMED} times before"
    opened = [night_name(one.first) for one in alarms if one.state == "open"]
    text += f"; an alarm is open since {', '.join(opened)}" if opened else ""
    return f"{text}."


def events_chart(past: Past, axis: Axis) -> Chart | None:
    """What happened in which night, a row a kind; None where nothing did."""
    marks = [one for one in past.marks if axis.first <= number_of(one.night) <= axis.last]
    if not marks:
        return None
    rows = {
        words: [number_of(one.night) for one in marks if one.kind == kind]
        for kind, words in EVENTS.items()
        if any(one.kind == kind for one in marks)
    }
    finding = f"What happened in nights {axis.first} to {axis.last}: " + ", ".join(
        f"{words} {len(numbers)}" for words, numbers in rows.items()
    )
    return Chart("events", figures.timeline(rows, axis), f"{finding}.")


def key_chart() -> Chart:
    """What the signs mean."""
    finding = (
        "A dot a night with its interval, lighter a night of the warm-up; the line breaks where a night is "
        "missing. Lines across are the pinned number, the threshold, and levels between change points, which "
        "are found afterwards and alarm nobody; the grey band is what is not worth red. Above a dotted line: "
        + ", ".join(f"{letter} {EVENTS[kind]}" for kind, letter in LETTERS.items())
    )
    return Chart("strips-key", figures.strip_key(), f"{finding}.")


def standing_chart(past: Past) -> Chart | None:
    """Tonight among the nights before, every measurement in their standard deviations; None without any."""
    rows: list[Tonight] = []
    table = []
    red = {one.measurement for one in past.alarms if one.state == "open" and one.red}
    for strip in past.strips:
        tonight, before = tonight_of(strip, past.night), numbers_before(strip, past)
        if tonight is None or len(before) < 2:
            continue
        middle, spread = float(np.median(before)), float(before.std(ddof=1))
        sign = -1.0 if strip.higher_is_better is False else 1.0
        # what only rounding moves has not moved
        moves = spread > 1e-9 * max(abs(middle), abs(tonight))
        distance = sign * (tonight - middle) / spread if moves else None
        if distance is not None:
            text = f"{round(distance, 1) + 0.0:+.1f}"
        else:
            text = "as ever" if tonight == middle else "moved for the first time"
        scaled = sign * (before - middle) / spread if moves else np.empty(0)
        rows.append(Tonight(clean(strip.title, 50), scaled, distance, text, strip.measurement in red))
        table.append((strip.title, show(tonight), show(middle), show(spread), len(before), text))
    if not rows:
        return None
    far = sorted((one for one in rows if one.tonight is not None), key=lambda one: -abs(one.tonight or 0.0))
    finding = f"Tonight's {len(rows)} measurements among the nights before"
    if far:
        finding += f"; farthest from their middle is {far[0].title}, {far[0].text} standard deviations"
    columns = ("measurement", "tonight", "middle before", "standard deviation", "nights", "distance")
    return Chart("standing", figures.standing(rows), f"{finding}.", columns, table)


def cost_strips(told: Sequence[Told]) -> list[Strip]:
    """Duration and largest memory of the nights, as strips that nothing is held against."""
    found = []
    for name, title, unit, values in (
        ("duration", "Duration of a night", "s", [one.duration_s for one in told]),
        ("memory", "Largest memory of a night", "MB", [one.memory_mb for one in told]),
    ):
        points = [
            Point(
                one.night,
                value or None,
                None,
                None,
                "error"
                if one.verdict in ("error", "interrupted")
                else "warm-up"
                if one.kind == "warm-up"
                else "counted",
            )
            for one, value in zip(told, values, strict=True)
        ]
        if any(point.value is not None for point in points):
            strip = Strip(name, title, unit, False, False, "", None, 0.0, None, None, points)
            found.append(strip)
    return found
