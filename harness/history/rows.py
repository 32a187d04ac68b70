"""What the nights before say of tonight, as rows of its verdict."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, fields, replace
from typing import Any

from harness.artifacts.files import Folder
from harness.artifacts.sealing import HISTORY
from harness.criteria import show
from harness.criteria.rows import CANARY, PAST, own_verdict
from harness.history.past import Compared, Past
from harness.history.records import Alarm, Change, Night, number_of
from harness.records import Outcome, Verdict

CHANGES = 4
"""How many changes a sentence names."""


def rows_of(past: Past, night: Night) -> list[Verdict]:
    """A row for each open alarm, for a canary that is worse, and for each number that is missing tonight.

    A number without which nothing can be compared is an error; an alarm below the smallest change that is red
    is watched.

    Args:
        past: Tonight beside the nights before it.
        night: Tonight.
    """
    return [*_alarms(past, night), *_canary(past), *_missing(past, night)]


def enter(past: Past, night: Night, values: dict[str, Any], into: Folder) -> None:
    """Let a verdict say what the past says of tonight; `history.json` is published with it."""
    into.write_json(HISTORY, asdict(past))
    values["past"] = {one.name: getattr(past, one.name) for one in fields(Compared)}
    values["regressions"] = [asdict(one) for one in past.alarms if one.state == "open"]
    values["criteria"] += rows_of(past, night)


def sentence_of(alarm: Alarm) -> str:
    """An alarm in a sentence: by how much, since when, how it was found, and what changed meanwhile."""
    sd = "" if alarm.size_sd is None else f" ({abs(alarm.size_sd):.1f} sd)"
    first, found, good = (number_of(one) for one in (alarm.first, alarm.found, alarm.last_good))
    earliest, latest = map(number_of, alarm.began)
    since = f"night {first}" + (f" ({earliest} to {latest})" if earliest != latest else "")
    return (
        f"{alarm.title} moved by {alarm.size:+.3g}{sd} since {since}, found in night {found} by the rule "
        f"'{alarm.rule}'; changed since night {good}: {in_words(alarm.changes)}"
    )


def in_words(changes: tuple[Change, ...]) -> str:
    """Changes in a line; what is left out is counted."""
    if not changes:
        return "nothing that is recorded"
    told = [f"{one.name} {_short(one.before)} → {_short(one.after)}" for one in changes[:CHANGES]]
    more = f", and {len(changes) - CHANGES} more" if len(changes) > CHANGES else ""
    return ", ".join(told) + more


def _short(value: str) -> str:
    """A value in a line; a digest by its beginning."""
    return value[:8] if len(value) > 8 and set(value) <= set("0123456789abcdef") else value[:40] or "–"


def _row(name: str, title: str, measurement: str, why: str, outcome: Outcome, gate: bool = True) -> Verdict:
    row = own_verdict(f"regression.{name}", title, measurement, outcome, f"{title}: {why}", gate)
    return replace(row, relation=PAST)


def _alarms(past: Past, night: Night) -> Iterator[Verdict]:
    for alarm in past.alarms:
        if alarm.state == "open":
            title = f"Regression {alarm.id}"
            name = alarm.id.replace("@", "-")
            row = _row(name, title, alarm.measurement, sentence_of(alarm), "fail", alarm.red)
            value = night.value(alarm.measurement)
            if value is None:
                yield row
            else:
                keys = ("estimate", "low", "high", "confidence", "n", "unit")
                yield replace(row, **{key: getattr(value, key) for key in keys})


def worse_canary(past: Past) -> str:
    """That the canary is worse than the pinned one, by what, and since when; empty where it is not."""
    told = [
        f"{one.measurement} {one.change:+.3g} on {one.n} images, beyond its margin of {show(one.margin)}"
        for one in past.canary
        if one.word == "worse"
    ]
    since = number_of(past.canary_since or past.night)
    why = f"on the pinned images it is worse than the pinned one since night {since}: {'; '.join(told)}"
    if past.canary_event:
        why += f"; {past.canary_event}"
    return why if told else ""


def _canary(past: Past) -> Iterator[Verdict]:
    if why := worse_canary(past):
        yield _row(CANARY, "Canary", CANARY, why, "fail")


def _missing(past: Past, night: Night) -> Iterator[Verdict]:
    said = {one.measurement for one in night.criteria if one.verdict == "error"}
    for name in past.removed:
        if name in said:  # a criterion says so itself
            continue
        value = night.value(name)
        reason = "nobody measured it" if value is None else value.reason or "it is no number"
        why = f"it is held against the nights before, and tonight has none: {reason}"
        yield _row(f"{name}.missing", f"Number {name}", name, why, "error")
