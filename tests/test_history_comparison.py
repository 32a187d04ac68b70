"""Tonight beside the nights before it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.history.alarms import Watched
from harness.history.comparison import canary_event, past_of, unavailable
from harness.history.past import Past
from harness.history.records import Canary, Difference, Human, Judged, Night
from harness.history.series import series_of
from tests.test_history import a_night

ACCURACY = Watched("accuracy", "Accuracy", "share", True, 0.005, gate=True)
VALUES = (0.9, 0.901, 0.899, 0.902, 0.898, 0.9, 0.9005, 0.8995, 0.901, 0.899, 0.9, 0.9015)


def nights_of(count: int, **changed: Any) -> list[Night]:
    """Nights without a change, each of a seed of its own."""
    return [a_night(number + 1, accuracy=VALUES[number % 12], **changed) for number in range(count)]


def past(nights: list[Night], acts: tuple[Human, ...] = ()) -> Past:
    series = series_of(nights, acts, nights[-1].identity, (ACCURACY,))
    return past_of(series, nights[-1])


def judged(night: Night, verdict: str) -> Night:
    """The night with a criterion of that verdict."""
    one = Judged("accuracy", "Accuracy", "accuracy", ">=", 0.5, True, verdict, "")  # type: ignore[arg-type]
    return replace(night, criteria=[one], verdict=verdict)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("earlier", "status"), [(0, "young"), (9, "young"), (10, "compared"), (30, "compared")]
)
def test_it_says_with_how_many_nights_it_was_compared(earlier: int, status: str) -> None:
    """Fewer than ten are no past."""
    found = past(nights_of(earlier + 1))
    assert (found.status, found.nights) == (status, earlier)
    assert (
        f"{earlier} of 10 nights" if status == "young" else f"compared with {earlier} nights"
    ) in found.why
    assert found.charts == 1
    assert found.expected["1"] > found.expected["2"] > found.expected["3"] > 1


def test_what_became_of_a_criterion() -> None:
    """New, still failing since, fixed, added; an error is red as well."""
    nights = nights_of(4)

    def word(*verdicts: str) -> tuple[str, str]:
        told = [judged(night, verdict) for night, verdict in zip(nights, verdicts, strict=False)]
        (one,) = past(told).standings
        return one.word, one.since.lstrip("0").partition("-")[0]

    assert word("pass", "pass") == ("holds", "")
    assert word("pass", "fail") == ("new", "2")
    assert word("pass", "fail", "fail", "fail") == ("still failing", "2")
    assert word("fail", "pass", "fail", "error") == ("still failing", "3")
    assert word("pass", "fail", "pass") == ("fixed", "")
    assert word("fail") == ("added", "1")


def test_nights_are_red_by_a_gate_an_error_or_an_open_alarm() -> None:
    """The last green night is none of those, and no excluded one."""
    nights = nights_of(16)
    nights[-3:] = [
        replace(judged(one, "pass"), values=a_night(1, accuracy=0.8).values) for one in nights[-3:]
    ]
    nights[5] = judged(nights[5], "error")
    found = past(nights)
    assert [one.night for one in found.told if one.red] == [nights[5].id, *(one.id for one in nights[-3:])]
    assert found.green == nights[-4].id
    assert [alarm.id for alarm in found.alarms] == ["accuracy@14"]
    assert found.strips[0].green == nights[-4].values[0].estimate
    assert [point.state for point in found.strips[0].points].count("error") == 1
    excluded = Human("exclude-12345678", "exclude", "now", nights[-1].id, "power cut", night=nights[-4].id)
    found = past(nights, (excluded,))
    assert found.green == nights[-5].id
    assert [one.night for one in found.told if one.excluded] == [nights[-4].id]
    assert ("exclude", nights[-4].id) in [(one.kind, one.night) for one in found.marks]


def test_a_night_stays_red_when_its_alarm_is_accepted() -> None:
    """It ended so; the first green one is the night after."""
    nights = nights_of(16)
    nights[13:] = [a_night(number, accuracy=0.8) for number in (14, 15, 16)]
    act = Human("accept-12345678", "accept", "now", nights[13].id, "known", alarm="accuracy@14")
    found = past(nights, (act,))
    assert [one.night for one in found.told if one.red] == [nights[13].id]
    assert found.green == nights[14].id
    assert found.why.endswith("0 regressions; with fewer than 10, and so silent: accuracy")


@pytest.mark.parametrize("why", ["it ended as error", "seed 1 was counted in night 000001-abc123"])
def test_a_night_that_counts_for_nothing_is_not_compared(why: str) -> None:
    """And does not say so."""
    nights = nights_of(30)
    last = replace(nights[-1], seeds=[1]) if "seed" in why else judged(nights[-1], "error")
    found = past([*nights[:-1], last])
    assert (found.status, found.why) == ("unavailable", f"not compared: {why}")


def test_a_number_that_no_night_ever_had_is_missing() -> None:
    """As of a name that is misspelt: nothing would be held against anything."""
    nights = nights_of(12)
    for shown in (nights[:1], nights):
        series = series_of(
            shown, (), nights[-1].identity, (ACCURACY, replace(ACCURACY, measurement="acuracy"))
        )
        assert past_of(series, shown[-1]).removed == ["acuracy"]


def test_numbers_that_came_and_went_are_told() -> None:
    """What is held against its past is missing every night; what is new is said once."""
    nights = nights_of(4)
    nights[2:] = [replace(one, values=[replace(one.values[0], name="another")]) for one in nights[2:]]
    found = past(nights[:3])
    assert (found.removed, found.added) == (["accuracy"], ["another"])
    found = past(nights)
    assert (found.removed, found.added) == (["accuracy"], [])


def test_acts_on_other_series_are_not_this_ones() -> None:
    """A pin of another configuration in the same history is none here."""
    nights = nights_of(12)
    pinned = {"night": {"accuracy": 0.95}, "seed": 0}
    elsewhere = Human("pin-12345678", "pin", "now", nights[-1].id, "", night="000099-abc123", pinned=pinned)
    found = past(nights, (elsewhere,))
    assert (found.pin, found.strips[0].pinned) == ("", None)
    assert "pin" not in {one.kind for one in found.marks}
    mine = replace(elsewhere, night=nights[2].id)
    found = past(nights, (elsewhere, mine))
    assert (found.pin, found.strips[0].pinned) == (nights[2].id, 0.95)


def canary(**changed: Any) -> Canary:
    """A canary's record."""
    known: dict[str, Any] = dict(
        seed=0,
        frozen="f",
        fingerprint={"version.torch": "2.1", "machine.cpu": "x"},
        digests={"weights": "a", "maps": "b"},
        right=9,
        images=9,
    )
    return Canary(**known | changed)


def test_a_canary_that_is_other_names_what_changed() -> None:
    """The same digests are no event; under the same fingerprint it does not repeat itself."""
    first, second = nights_of(2)
    before = [replace(first, canary=canary())]
    assert canary_event(before, replace(second, canary=canary())) == ""
    assert canary_event(before, second) == ""
    moved = {"weights": "a", "maps": "other"}
    told = canary_event(before, replace(second, canary=canary(digests=moved)))
    assert told == (
        f"other maps than in night {first.id}; changed: nothing that is recorded: it does not repeat itself"
    )
    newer = canary(digests=moved, fingerprint={"version.torch": "2.2", "machine.cpu": "x"})
    told = canary_event(before, replace(second, canary=newer))
    assert told.endswith("changed: version.torch 2.1 → 2.2")
    assert past([*before, replace(second, canary=newer)]).canary_event == told
    # of other images only what rests on none of them compares
    assert canary_event(before, replace(second, canary=replace(newer, frozen="g"))) == ""
    other = canary(digests={"weights": "c", "maps": "d"}, frozen="g")
    assert canary_event(before, replace(second, canary=other)).startswith("other weights than in night")


def test_a_canary_that_is_worse_is_so_since_a_night() -> None:
    """Of the same pin; another pin begins anew."""
    worse = [Difference("accuracy", -0.1, -0.12, 0.01, "worse", 99)]
    fine = [replace(worse[0], word="not worse")]
    pins = ["p", "p", "p", "p", "q"]
    told = [fine, worse, worse, worse, worse]
    nights = [
        replace(night, canary=canary(pin=pin, differences=differences))
        for night, pin, differences in zip(nights_of(5), pins, told, strict=True)
    ]
    assert past(nights).green == nights[0].id
    assert [one.red for one in past(nights).told] == [False, True, True, True, True]
    assert past(nights[:1]).canary_since == ""
    assert past(nights[:4]).canary_since == nights[1].id
    assert past(nights).canary_since == nights[4].id


def test_where_nothing_can_be_compared_that_is_all_it_says() -> None:
    """With tonight alone in its list."""
    found = unavailable(a_night(3), "locked")
    assert (found.status, found.why, found.nights, found.alarms) == ("unavailable", "locked", 0, [])
    assert [one.night for one in found.told] == ["000003-abc123"]


def test_a_second_measurement_is_no_gap_and_a_lost_number_is() -> None:
    """Of the sequence, between two nights."""
    nights = [a_night(1), a_night(3), a_night(6)]
    again = a_night(2, kind="confirmation", of=nights[0].id)
    series = series_of([*nights, again], (), nights[0].identity, (ACCURACY,))
    gaps = [(one.night, one.text) for one in past_of(series, nights[-1]).marks if one.kind == "gap"]
    assert gaps == [(nights[-1].id, "2 of the sequence before it are of no night here")]


def test_a_run_holds_the_latest_nights_and_is_compared_with_all() -> None:
    """So that a run directory of the tenth year is no larger than one of the second."""
    nights = nights_of(30)
    series = series_of(nights, (), nights[-1].identity, (ACCURACY,))
    found = past_of(series, nights[-1], 5)
    assert (found.nights, len(found.told), len(found.strips[0].points)) == (29, 5, 5)
    assert {one.night for one in found.marks} <= {one.id for one in nights[-5:]}
