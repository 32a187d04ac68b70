"""The nights on a page of their own: a year of every measurement, alarms, events, links to each night."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from harness.artifacts.files import Folder
from harness.criteria import show
from harness.environment.state import clean as clean_state
from harness.history.past import Past, Told
from harness.history.records import number_of
from harness.history.rows import worse_canary
from harness.report.nights import alarm_of, day_of, night_name, open_alarms, sentence_of
from harness.report.page import templates
from harness.report.strips import (
    EVENTS,
    anchors,
    axis_of,
    cost_strips,
    events_chart,
    key_chart,
    standing_chart,
    strip_chart,
)
from harness.text import counted

DRAWN = 400
"""The latest nights that are drawn: more cannot be told apart on a screen. The list of nights has all."""

VERDICTS = {"pass": "✓", "fail": "✗", "error": "!", "interrupted": "■"}


@clean_state()
def render(past: Past, path: Path) -> Path:
    """Write the page of a history; its path.

    Args:
        past: The history as its newest night sees it.
        path: The page's file. A night whose run directory lies below the page's folder, and still has its
            report, is linked.

    Raises:
        StorageError: the page cannot be written.
    """
    axis, names = axis_of(past, DRAWN), anchors(past)
    opened = [alarm_of(one, names) for one in open_alarms(past)]
    page = (
        templates()
        .get_template("trends.html.j2")
        .render(
            past=past,
            headline=_headline(past),
            tone=_tone(past),
            canary=worse_canary(past),
            why=sentence_of(past.why),
            opened=opened,
            ended=[alarm_of(one, names) for one in past.alarms if one.state != "open"],
            improvements=[alarm_of(one, names) for one in past.improvements],
            night=night_name(past.night),
            pin=night_name(past.pin),
            green=night_name(past.green),
            standing=standing_chart(past),
            events=events_chart(past, axis),
            key=key_chart() if past.strips else None,
            strips=[(one, strip_chart(one, past, axis, names[one.measurement])) for one in past.strips],
            costs=[
                (one, strip_chart(one, past, axis, f"cost-{one.measurement}"))
                for one in cost_strips(past.told)
            ],
            drawn=DRAWN,
            nights=[_row(one, path.parent) for one in reversed(past.told)],
            numbers=_numbers(past),
            # commits come every night, and stand in the list of nights
            marks=[
                (night_name(one.night), EVENTS[one.kind], one.text)
                for one in sorted(past.marks, key=lambda mark: number_of(mark.night), reverse=True)
                if one.kind != "commit"
            ],
        )
    )
    Folder(path.parent).write_text(path.name, page)
    return path


def _headline(past: Past) -> str:
    """What stands above everything: what is red, or that nothing was compared."""
    red = [one for one in open_alarms(past) if one.red]
    told = [f"{counted(len(red), 'alarm')} {'is' if len(red) == 1 else 'are'} open"] * bool(red)
    told += ["the canary is worse"] * bool(worse_canary(past))
    newest = past.told[-1] if past.told else None
    if newest is not None and newest.verdict != "pass":
        told.append(f"the newest night ended with {newest.verdict}")
    if told:
        return ", ".join(told).capitalize()
    if past.status == "unavailable":
        return "Not compared"
    return "No alarm is open" if past.status == "compared" else "Too few nights to alarm"


def _tone(past: Past) -> str:
    """The colour of what stands above everything: that of the newest night's end."""
    if past.status == "unavailable":
        return "error"
    return "fail" if past.told and past.told[-1].red else "pass"


def _row(one: Told, folder: Path) -> dict[str, Any]:
    """A night in the list."""
    return {
        "number": number_of(one.night),
        "told": one,
        "day": day_of(one.created),
        "sign": VERDICTS.get(one.verdict, ""),
        "state": "excluded" if one.excluded else "" if one.kind == "night" else one.kind,
        "link": _link(one.place, folder),
    }


def _link(place: str, folder: Path) -> str:
    """The address of a night's report as the page's folder sees it; empty where it does not lie below it."""
    if not place:
        return ""
    try:
        report = Path(place).resolve() / "report.html"
        if not report.is_file():
            return ""
        below = os.path.relpath(report, folder.resolve())
    except (OSError, ValueError):  # what can be no path
        return ""
    return "" if Path(below).parts[0] == os.pardir else quote(Path(below).as_posix())


def _numbers(past: Past) -> dict[str, Any]:
    """The drawn nights' numbers of every measurement, the newest night first."""
    by_night: list[dict[str, str]] = [
        {one.night: show(one.value) for one in strip.points if one.value is not None} for strip in past.strips
    ]
    named: Sequence[str] = sorted({night for one in by_night for night in one}, key=number_of, reverse=True)[
        :DRAWN
    ]
    return {
        "heads": [strip.measurement for strip in past.strips],
        "rows": [(number_of(night), [one.get(night, "–") for one in by_night]) for night in named],
    }
