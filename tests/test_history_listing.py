"""A history in text: what is listed, drawn in blocks, told as CSV, and how old it is."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from harness.config import Config
from harness.errors import ConfigurationError
from harness.history import listing
from harness.history.records import Canary, Difference, Human, Night, Value
from tests.test_history import a_night
from tests.test_history_alarms import LEVEL, nights_of

NOW = datetime(2026, 3, 10, 12, tzinfo=timezone.utc)
BROKEN = nights_of([*LEVEL[:30], *(value - 0.2 for value in LEVEL[30:34])])
"""Thirty nights of one level, and four far below it."""


def test_the_newest_nights_series_is_the_last() -> None:
    """Whatever was begun first; nights without a meaning belong to none."""
    old = [replace(night, identity={"data": "old"}) for night in nights_of(LEVEL[:3])]
    new = [replace(night, identity={"data": "new"}) for night in nights_of(LEVEL[:3], start=4)]
    again = replace(a_night(7), identity={"data": "old"})
    nights = [*old, *new, again, Night("000008-abc123", "night", "begun")]
    found = listing.every_series(nights, [], Config())
    assert [[night.sequence for night in one.nights] for one in found] == [[4, 5, 6], [1, 2, 3, 7]]
    assert "accuracy" in [one.measurement for one in found[0].family]


def test_rows_tell_alarms_and_acts() -> None:
    """An alarm stands in the nights in which it was open, an exclusion beside its night."""
    nights = [*BROKEN, replace(a_night(35), status="begun", seeds=[1, 2, 3, 4, 5], kind="warm-up")]
    nights[4] = replace(
        nights[4], created="2026-01-05T03:00:00+00:00", environment={"commit.commit": "c0ffee"}
    )
    act = Human("exclude-00000001", "exclude", "", nights[5].id, "a broken fan", night=nights[5].id)
    found = listing.rows(nights, [act], listing.every_series(nights, [act], Config()))
    assert len(found) == listing.SHOWN
    assert found[0] == listing.Row(nights[5].id, "", "pass, excluded", "", "", "6")
    assert [row.alarms for row in found[:-5]] == [""] * 25
    assert found[-2].alarms.endswith("of 1 red")
    assert (found[-1].verdict, found[-1].seeds) == ("not ended, warm-up", "1, 2, 3 and 2 more")
    early = listing.rows(nights[:5], [], [])
    assert (early[4].began, early[4].commit) == ("2026-01-05 03:00", "c0ffee")


def test_a_night_that_ended_red_is_not_listed_as_a_pass() -> None:
    """Also where every gate held and no series alarms: its canary was worse."""
    difference = Difference("accuracy", -0.03, -0.02, 0.01, "worse", 40)
    canary = Canary(0, "images", {}, {}, 40, 40, "pin-1", [difference])
    nights = [*nights_of(LEVEL[:3]), replace(a_night(4), verdict="pass", canary=canary)]
    (*_, before, row) = listing.rows(nights, [], listing.every_series(nights, [], Config()))
    assert (before.verdict, before.alarms) == ("pass", "")
    assert (row.verdict, row.alarms) == ("pass, ended red", "canary worse")


def test_a_line_of_blocks_goes_from_the_smallest_to_the_largest() -> None:
    """What has no number is a gap; a constant is level."""
    assert listing.spark([0.0, 7.0, None, 3.6]) == "▁█·▅"
    assert listing.spark([2.0, 2.0]) == "▄▄"
    assert listing.spark([None, None]) == "··"
    assert listing.spark([]) == ""


def test_trends_tell_the_last_number_and_the_range() -> None:
    """Of the measurements that have any; what does not count is a gap."""
    nights = list(BROKEN)
    nights[20] = replace(nights[20], verdict="error")
    (series,) = listing.every_series(nights, [], Config())
    (line,) = [one for one in listing.trends(series) if "ccuracy" in one]
    drawn, _, told = line.partition("  ")
    assert len(drawn) == listing.SHOWN
    assert drawn[16] == listing.GAP
    assert drawn.count(listing.GAP) == 1
    assert set(drawn[-4:]) <= set("▁▂")
    assert "share" in told


def test_csv_holds_every_number() -> None:
    """One row for all seeds together, and one for each; every digit."""
    value = Value(
        "accuracy", "Accuracy", "share", True, 0.1 + 0.2, 0.2, None, None, 0.95, 9, 2, {"7": 0.25, "8": None}
    )
    nights = [a_night(1, values=[value], seeds=[7, 8]), a_night(2, accuracy=None), a_night(3, values=[])]
    found = list(csv.DictReader(io.StringIO(listing.as_csv(nights))))
    assert [(row["night"], row["seed"], row["estimate"], row["low"]) for row in found] == [
        ("000001-abc123", "all", "0.30000000000000004", "0.2"),
        ("000001-abc123", "7", "0.25", ""),
        ("000001-abc123", "8", "", ""),
        ("000002-abc123", "2", "", "0.88"),
    ]
    assert {row["definition"] for row in found} == {"2", "1"}


@pytest.mark.parametrize(
    ("text", "hours"), [("36h", 36), ("90m", 1.5), ("2d", 48), ("1.5d", 36), (" 1h ", 1), ("0h", 0)]
)
def test_a_time_is_minutes_hours_or_days(text: str, hours: float) -> None:
    """As people write it."""
    assert listing.age_of(text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "36", "h", "-1h", "1w", "1h30m", "nan h", "9" * 400 + "d", "١h"])
def test_what_is_no_time_is_refused(text: str) -> None:
    """With what is expected."""
    with pytest.raises(ConfigurationError, match="--max-age: "):
        listing.age_of(text)


def test_a_history_that_grows_no_more_is_told() -> None:
    """By the newest night that ended: one that has begun may never end; none that ended is none."""
    nights = [
        a_night(1, created="2026-03-08T12:00:00+00:00"),
        a_night(2, created="2026-03-10T11:00:00+00:00", status="begun"),
        a_night(3),
    ]
    late = listing.heartbeat(nights, timedelta(hours=36), NOW)
    assert not late.alive
    assert "000001-abc123" in late.sentence
    assert "2026-03-08T12:00:00+00:00, 48.0 h ago" in late.sentence
    assert listing.heartbeat(nights, timedelta(hours=48), NOW).alive
    assert not listing.heartbeat([], timedelta(days=9999), NOW).alive
    assert listing.heartbeat(nights, timedelta(days=9999)).alive


@pytest.mark.parametrize(
    ("created", "alive"),
    [("2026-11-26T00:00:00Z", True), ("yesterday", False), ("2026-11-26T00:00:00", False)],
)
def test_a_time_of_another_hand_is_read_or_is_none(created: str, alive: bool) -> None:
    """On any Python; what tells no time is no sign of life."""
    now = datetime(2026, 11, 26, 1, tzinfo=timezone.utc)
    found = listing.heartbeat([a_night(created=created)], timedelta(hours=2), now)
    assert found.alive is alive
    assert "night 000001-abc123" in found.sentence
