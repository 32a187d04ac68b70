"""What the nights before say of tonight, as rows of its verdict."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from harness.criteria import show
from harness.history.past import Past
from harness.history.records import Alarm, Change, Night
from harness.records import Outcome, Verdict
from harness.rows import PAST, own_verdict

CHANGES = 6
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


def sentence_of(alarm: Alarm) -> str:
    """An alarm in a sentence: by how much, since when, what changed, and how it is accepted."""
    sd = "" if alarm.size_sd is None else f" ({abs(alarm.size_sd):.1f} sd)"
    earliest, latest = alarm.began
    since = f"night {alarm.first}"
    if earliest != latest:
        since += f" (between {earliest} and {latest})"
    changed = f"; changed since {alarm.last_good}: {in_words(alarm.changes)}" if alarm.last_good else ""
    return (
        f"{alarm.title} moved by {alarm.size:+.3g}{sd} since {since}, found in night {alarm.found} by the "
        f"rule '{alarm.rule}'{changed}; "
        f'harness accept {alarm.id} --reason "…" makes it the new normal'
    )


def in_words(changes: tuple[Change, ...]) -> str:
    """Changes in a line; what is left out is counted."""
    if not changes:
        return "nothing that is recorded"
    told = [f"{one.name} {one.before or '–'} → {one.after or '–'}" for one in changes[:CHANGES]]
    more = f", and {len(changes) - CHANGES} more" if len(changes) > CHANGES else ""
    return ", ".join(told) + more


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


def _canary(past: Past) -> Iterator[Verdict]:
    worse = [one for one in past.canary if one.word == "worse"]
    if worse:
        told = [
            f"{one.measurement} {one.change:+.3g} on {one.n} images, beyond its margin of {show(one.margin)}"
            for one in worse
        ]
        why = (
            f"on the pinned images it is worse than the pinned one since night {past.canary_since}: "
            f"{'; '.join(told)}; harness blame tells training from code, harness pin takes another night"
        )
        yield _row("canary", "Canary", "canary", why, "fail")


def _missing(past: Past, night: Night) -> Iterator[Verdict]:
    said = {one.measurement for one in night.criteria if one.verdict == "error"}
    for name in past.removed:
        if name in said:  # a criterion says so itself
            continue
        value = night.value(name)
        reason = "nobody measured it" if value is None else value.reason or "it is no number"
        why = f"the nights before have it, tonight has none: {reason}"
        yield _row(f"{name}.missing", f"Number {name}", name, why, "error")
