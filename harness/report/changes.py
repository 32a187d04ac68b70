"""Sections on the nights before: what became of each criterion, what alarms, each number over the nights."""

from __future__ import annotations

from harness.criteria import show
from harness.history.past import Past
from harness.history.rows import worse_canary
from harness.report.differences import signed
from harness.report.nights import against, alarm_of, night_name, open_alarms, sentence_of
from harness.report.page import Context, section
from harness.report.strips import anchors, axis_of, events_chart, key_chart, strip_chart
from harness.runs import Run

_NO_HISTORY = "No history: this run was judged by itself; harness nightly keeps one"

DRAWN = 90
"""The latest nights that a report draws; the page of the history draws a year."""


@section("changes", "What changed")
def _changes(run: Run) -> Context | str:
    past = run.past
    if past is None:
        return f"{_NO_HISTORY}. harness compare RUN RUN sets two runs side by side."
    return {
        "past": past,
        "why": sentence_of(past.why),
        "alarms": [alarm_of(one, anchors(past)) for one in open_alarms(past)],
        "ended": [alarm_of(one, anchors(past)) for one in past.alarms if one.ended == past.night],
        **standings(run, past),
        "against": against(past),
        "worse": worse_canary(past),
        "pin": night_name(past.pin),
        "green": night_name(past.green),
        "canary": [
            {"one": one, "change": signed(one.change), "bound": signed(one.bound), "margin": show(one.margin)}
            for one in past.canary
        ],
    }


def standings(run: Run, past: Past) -> Context:
    """What became of each criterion since the night before; those that hold as they did are but counted."""
    titles = {one.id: one.title for one in (run.verdict or {}).get("criteria", ())}
    moved = [one for one in past.standings if one.word != "holds"]
    return {
        "moved": [(titles.get(one.id, ""), one, night_name(one.since)) for one in moved],
        "holding": len(past.standings) - len(moved),
    }


@section("trends", "Trends")
def _trends(run: Run) -> Context | str:
    past = run.past
    if past is None:
        return f"{_NO_HISTORY}: there is nothing to draw from night to night."
    if not past.strips:
        return f"Nothing to draw. {sentence_of(past.why)}"
    axis = axis_of(past, DRAWN)
    names = anchors(past)
    return {
        "past": past,
        "why": sentence_of(past.why),
        "events": events_chart(past, axis),
        "key": key_chart(),
        "strips": [(one, strip_chart(one, past, axis, names[one.measurement])) for one in past.strips],
        "earlier": max(0, len(past.told) - DRAWN),
        "page": "harness history page",
    }
