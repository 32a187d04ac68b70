"""Faults planted in nights: each is found, in its night, and nothing before it."""

from __future__ import annotations

import numpy as np
import pytest

from harness.config import Config
from harness.history.records import Night, Value
from harness.history.store import History
from tests.replay import NIGHTS, PLANTINGS, Found, Planting, replay
from tests.test_history import a_night

CONFIG = Config()
CENTRES = {"accuracy": (0.9, True), "dead_units": (100.0, False)}


@pytest.fixture(scope="module")
def nights() -> list[Night]:
    """More than are replayed, of two measurements; none lies far out."""
    generator = np.random.default_rng(0)
    numbers = np.clip(generator.standard_normal((NIGHTS + 8, 2)), -2.2, 2.2)

    def values(row: np.ndarray) -> list[Value]:
        return [
            Value(name, name, "", better, centre * (1 + 0.005 * float(one)), None, None, None, 0.95, 9)
            for (name, (centre, better)), one in zip(CENTRES.items(), row, strict=True)
        ]

    return [a_night(number, kind="warm-up", values=values(row)) for number, row in enumerate(numbers, 1)]


def replayed(nights: list[Night], place: str, planting: Planting) -> Found:
    return replay(nights, CONFIG, History.open(place), planting)


def planting(words: str) -> Planting:
    return next(one for one in PLANTINGS if words in one.name)


@pytest.mark.thorough
@pytest.mark.parametrize("one", PLANTINGS, ids=lambda one: one.name)
def test_every_planting_is_kept(nights: list[Night], tmp_path: object, one: Planting) -> None:
    """Nothing before it; what moved is found, and what did not is not."""
    found = replayed(nights, f"{tmp_path}/history.db", one)
    assert found.kept
    assert not one.shift(0) or "accuracy" in found.alarms


@pytest.mark.thorough
def test_a_break_is_found_in_its_night(nights: list[Night], place: str) -> None:
    """By the second measurement of that night, with the commits on both sides of it; in either store."""
    alarm = (found := replayed(nights, place, planting("5 sd"))).alarms["accuracy"]
    assert (alarm.rule, found.number(alarm.found), found.number(alarm.last_good)) == ("one night", 40, 39)
    commits = [(one.before, one.after) for one in alarm.changes if one.name == "commit.commit"]
    assert commits == [("c39", "c40")]
    assert History.open(place).nights()[40].kind == "confirmation"


@pytest.mark.thorough
def test_a_library_is_an_event_and_no_alarm(nights: list[Night], tmp_path: object) -> None:
    """The event names it, in its night alone."""
    found = replayed(nights, f"{tmp_path}/history.db", planting("library"))
    assert list(found.events) == [50]
    assert "version.torch 1 → 2" in found.events[50]
    assert not found.alarms


@pytest.mark.thorough
def test_what_is_found_before_is_told(nights: list[Night], tmp_path: object) -> None:
    """A fault that is in the nights before its planting breaks the promise."""
    late = Planting("late", 55, lambda _: 0.0)
    numbers = [
        a_night(
            night.sequence,
            kind="warm-up",
            values=[Value(**vars(one) | {"estimate": 0.5}) for one in night.values],
        )
        if night.sequence > 45
        else night
        for night in nights
    ]
    found = replayed(numbers, f"{tmp_path}/history.db", late)
    assert found.early
    assert not found.kept
