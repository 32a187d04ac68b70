"""How long a sweep takes still, told by what ended and by what is in flight beside it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.sweeps.pacing import left


def played(points: int, at_once: int, each: float) -> Iterator[tuple[float, list[float], int, int]]:
    """A sweep of points of one length, by a clock: at every end the time, ages, those waiting, and ended."""
    begun = [0.0] * min(points, at_once)
    waiting, ended, now = points - len(begun), 0, 0.0
    while begun:
        now = begun.pop(0) + each
        ended += 1
        yield now, [now - one for one in begun], waiting, ended
        if waiting:
            begun.append(now)
            waiting -= 1


@pytest.mark.parametrize("points", [1, 2, 5, 8, 23])
@pytest.mark.parametrize("at_once", [1, 2, 3, 8])
def test_points_of_one_length_are_told_to_the_second(points: int, at_once: int) -> None:
    """What is left at every end is what the rest took, the points beside the one that ended too."""
    told = list(played(points, at_once, 60.0))
    whole = told[-1][0]
    for now, ages, waiting, ended in told:
        assert left([60.0] * ended, ages, waiting, at_once) == pytest.approx(whole - now)


def test_whoever_is_slow_is_not_told_as_less_than_nothing() -> None:
    """One that has taken longer than all others may end at any time."""
    assert left([60.0, 70.0], [500.0], 0, 2) == 0.0
    assert left([60.0, 60.0], [500.0, 30.0], 2, 2) == pytest.approx(90.0)


def test_what_was_handed_over_and_waits_has_not_begun() -> None:
    """Of four at a scheduler with two places two run: the other two come after them."""
    assert left([60.0], [60.0, 60.0, 60.0, 0.0], 0, 2) == pytest.approx(60.0)


def test_nothing_that_ended_tells_nothing() -> None:
    """Where all were lost before they took any time."""
    assert left([], [1.0], 3, 2) is None
