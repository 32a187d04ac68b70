"""The life of an alarm on plain numbers: the rule that raises it, its size, and what ends it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from harness.history.charts import SILENT, Monitor, Spell
from harness.statistics.monitoring import limit

H = limit(10)


def noise(n: int, start: int = 0) -> list[float]:
    """Numbers of mean 100 and standard deviation 1, as normal ones spread, and so even that none alarms."""
    shares = (np.arange(1, n + 1) + 100 * start) * 0.6180339887498949 % 1
    return [100 + float(one) for one in stats.norm.ppf(0.01 + 0.98 * shares)]


def monitored(
    numbers: list[float],
    again: dict[int, float] | None = None,
    *,
    higher_is_better: bool | None = True,
    min_change: float = 0.0,
) -> Monitor:
    """A monitor that has seen the numbers; `again` holds second measurements by index."""
    monitor = Monitor(higher_is_better, H, min_change)
    for index, number in enumerate(numbers):
        monitor.add(number, (again or {}).get(index))
    return monitor


def alarms(monitor: Monitor) -> list[Spell]:
    return [one for one in monitor.spells if one.harmful]


def test_noise_raises_nothing() -> None:
    """A year of it, on either side."""
    assert monitored(noise(365), higher_is_better=None).spells == []


def test_a_break_is_found_in_its_first_night() -> None:
    """Seven standard deviations, and the second measurement confirms them."""
    (found,) = monitored([*noise(40), 93.0], {40: 93.2}).spells
    assert (found.rule, found.found, found.first, found.harmful, found.red) == (
        "one night",
        40,
        40,
        True,
        True,
    )
    assert (found.earliest, found.latest) == (40, 40)
    assert found.size == pytest.approx(-7, abs=0.4)
    assert found.size_sd is not None
    assert -9 < found.size_sd < -5
    assert found.p[0] < 0.001
    assert found.p[1] < 0.01


def test_a_second_measurement_that_is_normal_takes_the_alarm_back() -> None:
    """And the number is learned from: it was one of the level's own."""
    monitor = monitored([*noise(40), 93.0], {40: 100.3})
    assert monitor.spells == []
    assert monitor.candidate
    monitor.add(93.5, 93.5)
    assert monitor.spells == []
    assert not monitor.candidate


def test_what_was_not_measured_again_stays_an_alarm() -> None:
    """Nothing is green that may be broken."""
    monitor = monitored([*noise(40), 93.0])
    assert monitor.candidate
    assert [(one.rule, one.state, len(one.p)) for one in monitor.spells] == [("one night", "open", 1)]


def test_good_news_asks_for_no_second_measurement() -> None:
    """One night on the better side is no improvement yet; measured again, or lasting, it is one."""
    monitor = monitored([*noise(40), 107.0])
    assert (monitor.candidate, monitor.spells) == (False, [])
    (confirmed,) = monitored([*noise(40), 107.0], {40: 106.5}).spells
    (lasting,) = monitored([*noise(40), *(one + 3 for one in noise(12, 1))]).spells
    assert (confirmed.rule, lasting.rule) == ("one night", "drift")
    assert not any(one.harmful or one.red for one in (confirmed, lasting))


def test_a_small_break_is_found_by_the_sum() -> None:
    """Of one and a half standard deviations, soon; and the night of the change is in its range."""
    numbers, again = [*noise(60), *(one - 1.5 for one in noise(20, 1))], dict.fromkeys(range(60, 80), 100.0)
    (found,) = monitored(numbers, again).spells
    assert found.rule == "drift"
    assert 60 < found.found < 75
    assert found.earliest <= 60 <= found.latest
    assert found.first == pytest.approx(60, abs=2)
    assert found.size == pytest.approx(-1.5, abs=1)


@pytest.mark.parametrize("slope", [0.02, 0.05])
def test_a_slow_slide_is_found(slope: float) -> None:
    """Although it teaches the reference to follow."""
    numbers = [one - slope * max(0, index - 60) for index, one in enumerate(noise(200))]
    found = alarms(monitored(numbers))
    assert found
    assert found[0].rule == "drift"
    assert found[0].found > 65


@pytest.mark.parametrize("earlier", [SILENT - 1, SILENT])
def test_nothing_alarms_before_there_are_ten_numbers(earlier: int) -> None:
    """With nine earlier ones even the grossest break is silent."""
    monitor = monitored([*noise(earlier), 50.0])
    assert monitor.held_against == earlier
    assert bool(monitor.spells) == (earlier == SILENT)


def test_silent_numbers_teach_and_do_not_alarm() -> None:
    """A warm-up's."""
    monitor = Monitor(True, H)
    for number in [*noise(40), 50.0]:
        monitor.add(number, silent=True)
    assert (monitor.spells, monitor.candidate) == ([], False)
    monitor.add(45.0)
    assert monitor.held_against == 41


@pytest.mark.parametrize(
    ("higher_is_better", "number", "harmful"),
    [
        (True, 0.9, [True]),
        (True, 1.1, [False]),
        (False, 1.1, [True]),
        (None, 0.9, [True]),
        (None, 1.1, [True]),
    ],
)
def test_any_change_of_a_constant_is_one(
    higher_is_better: bool | None, number: float, harmful: list[bool]
) -> None:
    """Without a division by zero, and no second measurement is asked for."""
    monitor = monitored([*[1.0] * 30, number], higher_is_better=higher_is_better)
    assert [one.harmful for one in monitor.spells] == harmful
    assert [(one.rule, one.size_sd) for one in monitor.spells] == [("constant", None)]
    assert monitor.spells[0].size == pytest.approx(number - 1)
    monitor.add(number)
    assert monitor.open
    monitor.add(1.0)
    assert not monitor.open
    assert monitor.spells[0].ended == 32


def test_below_the_smallest_change_it_is_a_notice_until_it_grows() -> None:
    """Real, and not worth a night's sleep; the night it is, it becomes red, and stays so."""
    monitor = monitored([*[50.0] * 30, *[49.9] * 20], min_change=0.5)
    assert [one.red for one in monitor.spells] == [False]
    (found,) = monitor.open
    for _ in range(3):
        monitor.add(40.0)
    assert found.red
    assert found.size == -10
    for _ in range(5):
        monitor.add(49.9)
    assert monitor.open == [found]
    assert found.red


def test_the_farthest_number_of_a_small_change_makes_it_no_red_one() -> None:
    """What is said to be red when it is found is as large as it is said to be."""
    found = []
    for seed in range(20):
        monitor = Monitor(True, H, 2.0)
        numbers = np.random.default_rng(seed).normal(size=80) - np.repeat([0.0, 1.2], 40)
        for number in numbers.tolist():
            known = len(monitor.spells)
            monitor.add(number, 0.0)
            found += [(one.red, one.size <= -2) for one in monitor.spells[known:] if one.harmful]
    assert len(found) > 10
    assert {red == large for red, large in found} == {True}


def test_a_constant_that_trifles_is_none() -> None:
    """Said once, learned when it came back by itself; a change that is worth a night's sleep never is."""
    jitter = [*[1.0] * 30, 0.995, 1.0, 1.0, 0.995, 1.0, 0.995]
    assert len(monitored(jitter, min_change=0.01).spells) == 1
    assert [one.red for one in monitored(jitter, min_change=0.001).spells] == [True] * 3
    (trifle, real) = monitored([*jitter, 1.0, 0.9], {37: 0.9}, min_change=0.01).spells
    assert (trifle.red, real.red, real.rule) == (False, True, "one night")


def test_one_normal_night_ends_a_large_alarm() -> None:
    """Of seven standard deviations."""
    monitor = monitored([*noise(40), 93.0, 93.1, 100.1], {40: 93.2})
    (found,) = monitor.spells
    assert (found.state, found.ended) == ("recovered", 42)


def test_a_small_alarm_ends_after_a_few_normal_nights() -> None:
    """Two standard deviations need more than one, and less than ten."""
    numbers = [*noise(60), *(one - 2 for one in noise(20, 1)), *noise(10, 2)]
    (found,) = alarms(monitored(numbers))
    assert found.state == "recovered"
    assert found.ended is not None
    assert 80 < found.ended < 90


def test_an_alarm_does_not_become_the_level_it_is_held_against() -> None:
    """Sixty nights later it is open still, as large as it was; back again, the old level is the level."""
    broken = [one - 4 for one in noise(60, 1)]
    monitor = monitored([*noise(60), *broken])
    (found,) = monitor.open
    assert found.size == pytest.approx(-4, abs=1)
    for number in noise(20, 2):
        monitor.add(number)
    assert monitor.open == []
    assert monitor.held_against < 60 + 20
    monitor.add(96.0 - 2, 94.0)
    assert [one.state for one in monitor.spells] == ["recovered", "open"]


def test_an_accepted_level_is_the_new_level() -> None:
    """It is silent until it has ten numbers; then a break from it alarms."""
    broken = [one - 6 for one in noise(40, 1)]
    monitor = monitored([*noise(40), *broken[:3]])
    (found,) = monitor.open
    monitor.accept(found, "known")
    assert (found.state, found.reason, found.ended) == ("accepted", "known", 42)
    for number in broken[3:]:
        monitor.add(number)
    assert monitor.spells == [found]
    monitor.add(86.0, 86.0)
    assert [one.state for one in monitor.spells] == ["accepted", "open"]
    assert monitor.spells[1].first == 80


def test_right_after_an_acceptance_nothing_alarms() -> None:
    """Its three nights are no level to judge by."""
    monitor = monitored([*noise(40), 93.0, 93.1, 92.9])
    monitor.accept(monitor.open[0])
    assert monitor.held_against == 40
    monitor.add(50.0)
    assert (monitor.held_against, monitor.open) == (3, [])


def test_later_numbers_change_nothing_that_was_found() -> None:
    """An alarm's number, rule and place are those of the night that found it."""
    numbers = [
        *noise(60),
        *(one - 2 for one in noise(30, 1)),
        *noise(60, 2),
        *(one + 3 for one in noise(9, 3)),
    ]

    def told(spells: list[Spell]) -> list[object]:
        return [(one.rule, one.side, one.found, one.first, one.earliest, one.latest) for one in spells]

    whole = told(monitored(numbers, higher_is_better=None).spells)
    assert len(whole) >= 2
    for end in range(60, len(numbers)):
        part = told(monitored(numbers[:end], higher_is_better=None).spells)
        assert part == whole[: len(part)]


def test_a_mirrored_series_is_mirrored() -> None:
    """What alarms below for one direction alarms above for the other."""
    numbers = [*noise(60), *(one - 2 for one in noise(30, 1)), 80.0]
    below = monitored(numbers, higher_is_better=True).spells
    above = monitored([-one for one in numbers], higher_is_better=False).spells
    assert [(one.found, one.side, one.size) for one in below] == [
        (one.found, -one.side, -one.size) for one in above
    ]
    assert below
