"""Alarms on nights: named, dated, and with what changed meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.history.alarms import Watched, changes_between, replay
from harness.history.records import Human, Night, Value
from harness.statistics.monitoring import limit
from tests.test_history import a_night

H = limit(10)
ACCURACY = Watched("accuracy", "Accuracy", "share", True, 0.005, True)
LEVEL = (0.9 + 0.002 * np.clip(np.random.default_rng(0).standard_normal(60), -2.5, 2.5)).tolist()


def nights_of(numbers: Sequence[float | None], start: int = 1, **changed: Any) -> list[Night]:
    """A night for each number."""
    return [a_night(start + index, number, **changed) for index, number in enumerate(numbers)]


def acceptance(alarm: str, after: int, reason: str = "known") -> Human:
    return Human(f"accept-{after}", "accept", "", a_night(after).id, reason, alarm=alarm)


def test_an_alarm_names_its_nights() -> None:
    """The night that found it, the last good one, and the range between them."""
    broken = nights_of([*LEVEL[:40], 0.88, 0.881])
    confirmed = {broken[40].id: a_night(99, 0.8805, kind="confirmation", of=broken[40].id)}
    (alarm,) = replay(broken, confirmed, [], ACCURACY, H).alarms
    assert alarm.id == "accuracy@41"
    assert (alarm.rule, alarm.state, alarm.red, alarm.ended) == ("one night", "open", True, "")
    assert (alarm.found, alarm.first) == (broken[40].id, broken[40].id)
    assert alarm.began == (broken[40].id, broken[40].id)
    assert alarm.last_good == broken[39].id
    assert alarm.size == pytest.approx(-0.02, abs=0.002)
    assert len(alarm.p) == 2


def test_the_changes_span_the_whole_range() -> None:
    """From the last good night to the latest possible first bad one: the commits to look at."""
    nights = nights_of([*LEVEL, *(one - 0.005 for one in LEVEL[:12])])
    (alarm,) = replay(nights, {}, [], ACCURACY, H).alarms
    assert alarm.rule == "drift"
    (commit,) = alarm.changes
    by_id = {night.id: night for night in nights}
    assert commit.before == by_id[alarm.last_good].environment["commit"]
    assert commit.after == by_id[alarm.began[1]].environment["commit"]
    assert by_id[alarm.last_good].sequence < 61 <= by_id[alarm.began[1]].sequence


def test_a_night_without_the_number_is_a_gap() -> None:
    """It is neither the last good night nor counted."""
    numbers: list[float | None] = [*LEVEL[:30], None, *LEVEL[30:40], None, 0.85]
    (alarm,) = replay(nights := nights_of(numbers), {}, [], ACCURACY, H).alarms
    assert alarm.last_good == nights[40].id
    assert replay(nights[:11], {}, [], ACCURACY, H).held_against == 10
    assert replay(nights, {}, [], ACCURACY, H).held_against == 40


def test_numbers_of_another_definition_are_others() -> None:
    """The past begins anew where a measurement's definition does."""
    nights = nights_of([*LEVEL[:40], *[0.7] * 12])
    newer = [
        replace(night, values=[replace(one, definition=2) for one in night.values]) for night in nights[40:]
    ]
    assert replay(nights, {}, [], ACCURACY, H).alarms
    found = replay([*nights[:40], *newer], {}, [], ACCURACY, H)
    assert (found.alarms, found.held_against) == ((), 11)


def test_rounding_is_no_change() -> None:
    """The last digits of a sum do not make a constant move."""
    night = nights_of([0.3] * 20 + [0.1 + 0.2])
    assert replay(night, {}, [], ACCURACY, H).alarms == ()


def test_an_acceptance_ends_the_alarm_and_starts_the_level_anew() -> None:
    """With its reason; the following nights are held against the nights of the alarm."""
    nights = nights_of([*LEVEL[:40], *(one - 0.03 for one in LEVEL[:20])])
    (opened,) = replay(nights, {}, [], ACCURACY, H).alarms
    assert opened.state == "open"
    (alarm,) = replay(nights, {}, [acceptance("accuracy@41", 43)], ACCURACY, H).alarms
    assert (alarm.id, alarm.state, alarm.reason, alarm.ended) == (
        "accuracy@41",
        "accepted",
        "known",
        nights[42].id,
    )
    assert replay(nights, {}, [acceptance("accuracy@41", 43)], ACCURACY, H).held_against == 19


def test_an_acceptance_of_the_newest_night_counts_tonight() -> None:
    """Nobody waits for the next night to see it."""
    nights = nights_of([*LEVEL[:40], 0.85])
    (alarm,) = replay(nights, {}, [acceptance("accuracy@41", 41)], ACCURACY, H).alarms
    assert alarm.state == "accepted"


@pytest.mark.parametrize("named", ["accuracy@41", "accuracy@39"])
def test_an_acceptance_means_the_alarm_that_was_open(named: str) -> None:
    """An alarm whose night moved since is the same alarm; another measurement's acceptance is none."""
    nights = nights_of([*LEVEL[:40], 0.85, 0.85])
    assert replay(nights, {}, [acceptance(named, 42)], ACCURACY, H).alarms[0].state == "accepted"
    assert replay(nights, {}, [acceptance("accuracy.worst@41", 42)], ACCURACY, H).alarms[0].state == "open"


def test_an_acceptance_of_what_has_ended_accepts_nothing_else() -> None:
    """It does not reach the next alarm."""
    nights = nights_of([*LEVEL[:40], 0.85, *LEVEL[40:50], 0.84])
    acts = [acceptance("accuracy@41", 52)]
    found = replay(nights, {}, acts, ACCURACY, H).alarms
    assert [one.state for one in found] == ["recovered", "open"]


def test_an_acceptance_before_any_night_is_harmless() -> None:
    """As an imported history may have it."""
    act = Human("accept-0", "accept", "", "", "r", alarm="accuracy@1")
    assert replay(nights_of(LEVEL[:5]), {}, [act], ACCURACY, H).alarms == ()


def test_improvements_are_told_apart() -> None:
    """They are never red, and no alarms."""
    nights = nights_of([*LEVEL[:40], *(one + 0.01 for one in LEVEL[:15])])
    found = replay(nights, {}, [], ACCURACY, H)
    assert found.alarms == ()
    assert [(one.state, one.red) for one in found.improvements] == [("open", False)]


def test_a_candidate_is_the_latest_nights() -> None:
    """It asks for a second measurement; on the next night it is too late."""
    nights = nights_of([*LEVEL[:40], 0.85, 0.85])
    assert replay(nights[:41], {}, [], ACCURACY, H).candidate == nights[40].id
    assert replay(nights, {}, [], ACCURACY, H).candidate == ""
    warm = [replace(night, kind="warm-up") for night in nights[:41]]
    assert replay(warm, {}, [], ACCURACY, H).candidate == ""


def test_no_night_says_nothing() -> None:
    """A measurement that was never made has no alarm."""
    assert replay([], {}, [], ACCURACY, H).alarms == ()
    assert replay(nights_of([None] * 3), {}, [], ACCURACY, H).held_against == 0


def test_changes_are_named_by_kind() -> None:
    """By what the name begins with; what is the same is none."""
    told = {"commit.commit": "a", "version.torch": "2", "machine.cpu": "x", "setting.engine": "auto"}
    before = a_night(1, environment=told | {"threshold.accuracy": ">= 0.75"})
    later = {"commit.commit": "b", "version.torch": "3", "version.new": "1", "machine.cpu": "y", "own": "1"}
    after = a_night(2, environment=later | {"threshold.accuracy": ">= 0.7"})
    assert [(one.kind, one.name, one.before, one.after) for one in changes_between(before, after)] == [
        ("commit", "commit.commit", "a", "b"),
        ("machine", "machine.cpu", "x", "y"),
        ("setting", "own", "", "1"),
        ("setting", "setting.engine", "auto", ""),
        ("threshold", "threshold.accuracy", ">= 0.75", ">= 0.7"),
        ("version", "version.new", "", "1"),
        ("version", "version.torch", "2", "3"),
    ]
    assert changes_between(before, before) == ()


def test_a_watched_measurement_has_a_chart_for_each_harmful_side() -> None:
    """Their number shares the false alarms."""
    assert ACCURACY.charts == 1
    assert replace(ACCURACY, higher_is_better=None).charts == 2


def test_an_infinite_number_is_none() -> None:
    """Nothing can be compared with it."""
    infinite = Value("accuracy", "Accuracy", "share", True, float("inf"), None, None, None, 0.95, 1)
    nights = [*nights_of(LEVEL[:20]), a_night(21, values=[infinite])]
    assert replay(nights, {}, [], ACCURACY, H).held_against == 19
