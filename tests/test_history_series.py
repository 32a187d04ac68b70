"""Which nights make a series, and which of them count."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.history.alarms import Watched
from harness.history.comparison import past_of
from harness.history.records import Human, Night, Value
from harness.history.series import Series, series_of
from harness.statistics.monitoring import limit
from tests.test_history import a_night
from tests.test_history_alarms import ACCURACY, LEVEL, nights_of

IDENTITY = {"data": "d", "seeds": "1"}
SPARSITY = Watched("sparsity", "Sparsity", "units", None, 0.5, True)


def series(nights: list[Night], *acts: Human, family: tuple[Watched, ...] = (ACCURACY,)) -> Series:
    return series_of(nights, acts, IDENTITY, family)


def exclusion(night: Night) -> Human:
    return Human("exclude-1", "exclude", "", night.id, "a broken fan", night=night.id)


def test_nights_of_another_meaning_are_another_series() -> None:
    """Other data or settings are other numbers."""
    nights = nights_of(LEVEL[:5])
    other = replace(nights[2], identity=IDENTITY | {"data": "e"})
    assert series([*nights[:2], other, *nights[3:]]).nights == (*nights[:2], *nights[3:])


def test_nights_are_ordered_by_their_numbers() -> None:
    """Neither by a clock nor by the order of a store."""
    nights = [replace(one, created=f"{99 - one.sequence}") for one in nights_of(LEVEL[:12])]
    shuffled = random.Random(0).sample(nights, len(nights))
    assert series(shuffled).nights == tuple(nights)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (dict(status="begun"), "it has not ended"),
        (dict(verdict="error"), "it ended as error"),
        (dict(verdict="interrupted"), "it ended as interrupted"),
        (dict(seeds=[3]), "seed 3 was counted in night 000003-abc123"),
    ],
)
def test_nights_that_count_for_nothing_say_why(changed: dict[str, Any], why: str) -> None:
    """They stand in the list; the next night is as without them."""
    nights = nights_of(LEVEL[:20])
    broken = [*nights[:10], replace(nights[10], **changed), *nights[11:]]
    found = series(broken)
    assert found.nights == tuple(broken)
    assert found.uncounted == {nights[10].id: why}
    assert found.counted == (*nights[:10], *nights[11:])
    assert found.held_against == {"accuracy": 18}


def test_a_seed_of_a_night_that_does_not_count_may_be_used() -> None:
    """Its number stands nowhere yet."""
    nights = nights_of(LEVEL[:3])
    rerun = replace(a_night(4), seeds=nights[1].seeds)
    assert series([*nights, rerun], exclusion(nights[1])).uncounted == {
        nights[1].id: "excluded: a broken fan"
    }
    broken = replace(nights[1], verdict="error")
    assert rerun.id not in series([nights[0], broken, nights[2], rerun]).uncounted


def test_an_exclusion_derives_everything_anew() -> None:
    """The night that was broken raised an alarm; without it there is none, and none was."""
    nights = nights_of([*LEVEL[:40], 0.5, *LEVEL[40:45]])
    assert [one.state for one in series(nights).alarms] == ["recovered"]
    found = series(nights, exclusion(nights[40]))
    assert found.alarms == []
    assert found.uncounted == {nights[40].id: "excluded: a broken fan"}


def test_the_second_measurement_is_the_first_that_counts() -> None:
    """Who measures until a number pleases proves nothing; one that broke off, or reuses a seed, is none."""
    nights = nights_of([*LEVEL[:40], 0.85])
    last = nights[-1]

    def measured(number: int, accuracy: float, **changed: Any) -> Night:
        return a_night(number, accuracy, kind="confirmation", of=last.id, **changed)

    broken_off, reused = measured(42, 0.9, verdict="error"), measured(43, 0.9, seeds=last.seeds)
    bad, good = measured(44, 0.851), measured(45, 0.9)
    assert series([*nights, broken_off, reused]).alarms[0].p[1:] == ()
    assert series([*nights, broken_off, reused]).candidates == ("accuracy",)
    confirmed = series([*nights, broken_off, reused, bad, good])
    assert confirmed.confirmations == {last.id: bad}
    assert len(confirmed.alarms[0].p) == 2
    assert confirmed.candidates == ()
    assert confirmed.nights == tuple(nights)
    assert series([*nights, good]).alarms == []


def test_a_seed_of_a_second_measurement_is_used_up() -> None:
    """The night after may not count it again."""
    nights = nights_of([*LEVEL[:40], 0.85])
    confirmation = a_night(42, 0.9, kind="confirmation", of=nights[-1].id)
    after = replace(a_night(43), seeds=confirmation.seeds)
    assert list(series([*nights, confirmation, after]).uncounted) == [after.id]


def test_only_the_newest_night_asks_for_a_second_measurement() -> None:
    """A newer one that broke off has none to be confirmed."""
    nights = nights_of([*LEVEL[:40], 0.85])
    assert series(nights).candidates == ("accuracy",)
    assert series([*nights, a_night(42, verdict="error")]).candidates == ()
    assert series([]).candidates == ()


def test_the_family_shares_the_false_alarms() -> None:
    """A measurement without a direction has two charts, and the limit is that of all."""
    found = series(nights_of(LEVEL[:3]), family=(ACCURACY, SPARSITY))
    assert found.charts == 3
    assert found.limit == limit(3)
    assert list(found.expected) == ["1", "2", "3"]
    assert found.expected["1"] > found.expected["2"] > found.expected["3"] > 1


def test_an_empty_family_alarms_never() -> None:
    """And there is no limit of nothing to be solved for."""
    found = series(nights_of(LEVEL[:3]), family=())
    assert (found.charts, found.alarms, found.candidates) == (0, [], ())
    assert found.limit == limit(1)


def test_alarms_are_listed_open_ones_first_and_the_newest_first() -> None:
    """As a reader wants them."""
    base = nights_of([*LEVEL[:40], 0.85, *LEVEL[40:45], 0.84, *LEVEL[45:50], 0.83])
    nights = [
        replace(one, values=[*one.values, Value("sparsity", "", "units", None, s, None, None, None, 0.95, 1)])
        for one, s in zip(base, [50.0] * 44 + [49.0] * (len(base) - 44), strict=True)
    ]
    found = series(nights, family=(SPARSITY, ACCURACY)).alarms
    assert [one.id for one in found] == ["accuracy@53", "sparsity@45", "accuracy@47", "accuracy@41"]


def test_an_alarm_keeps_its_id_from_night_to_night() -> None:
    """Whatever is recorded afterwards, acts apart."""
    steps = np.repeat([0, -0.006, 0, -0.02], 30)
    nights = nights_of([float(one + step) for one, step in zip(LEVEL * 2, steps, strict=True)])
    whole = {one.id: one for one in series(nights).alarms}
    assert len(whole) >= 2
    for end in range(20, len(nights), 7):
        for alarm in series(nights[:end]).alarms:
            later = whole[alarm.id]
            assert (alarm.rule, alarm.first, alarm.began, alarm.changes) == (
                later.rule,
                later.first,
                later.began,
                later.changes,
            )


def test_another_series_says_what_its_numbers_mean_otherwise() -> None:
    """While it is young: since which night, and which settings; a first series follows none."""
    known = nights_of(LEVEL[:3])
    other = nights_of(LEVEL[3:5], start=4, identity={"data": "d", "seeds": "1", "model.k": "48"})
    mixed = [*known, *other, *nights_of(LEVEL[5:6], start=6)]
    again = series_of(mixed, [], other[0].identity, [ACCURACY])
    assert again.follows is not None
    assert list(again.follows.nights) == known
    why = past_of(again, other[-1]).why
    assert why.endswith(f"without a past; another series than night {known[-1].id}: model.k – → 48")
    first = series_of(mixed, [], known[0].identity, [ACCURACY])
    assert first.follows is None
    assert "another series" not in past_of(first, known[-1]).why


def test_what_is_open_in_the_series_before_is_not_lost_with_it() -> None:
    """Another setting makes a young, silent series: it names the alarms that it leaves behind."""
    known = nights_of([*LEVEL, *(one - 0.02 for one in LEVEL[:3])])
    (left,) = [one for one in series(known).alarms if one.state == "open"]
    other = nights_of(LEVEL[3:5], start=len(known) + 1, identity={"data": "d", "seeds": "1", "model.k": "48"})
    young = series_of([*known, *other], [], other[0].identity, [ACCURACY])
    assert past_of(young, other[-1]).why.endswith(f"; still open in that series: {left.id}")
