"""Change points against brute force, another library, and what was planted."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.statistics.segments import SHORTEST, change_points, noise


def _cost(values: np.ndarray, cuts: tuple[int, ...], penalty: float) -> float:
    parts = np.split(values, cuts)
    return sum(float(((part - part.mean()) ** 2).sum()) for part in parts) + penalty * len(cuts)


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(5, 22), st.floats(0.1, 20))
def test_the_partition_is_the_best_there_is(seed: int, n: int, penalty: float) -> None:
    """No other partition into levels of five values or more costs less."""
    generator = np.random.default_rng(seed)
    values = generator.standard_normal(n) + 3 * (np.arange(n) > generator.integers(0, n + 1))
    found = change_points(values.tolist(), penalty)
    allowed = (
        cuts
        for count in range(n // SHORTEST + 1)
        for cuts in itertools.combinations(range(1, n), count)
        if min(np.diff([0, *cuts, n])) >= SHORTEST
    )
    least = min(_cost(values, cuts, penalty) for cuts in allowed)
    assert _cost(values, tuple(found), penalty) == pytest.approx(least, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_ruptures_finds_the_same(seed: int) -> None:
    """Its PELT, of every place and with the same shortest level, is exact as well."""
    ruptures = pytest.importorskip("ruptures")
    generator = np.random.default_rng(seed)
    values = generator.standard_normal(200) + np.repeat(generator.normal(0, 3, 8), 25)
    penalty = 3 * noise(values) ** 2 * np.log(len(values))
    found = ruptures.Pelt(model="l2", jump=1, min_size=SHORTEST).fit(values).predict(pen=penalty)
    assert change_points(values.tolist()) == found[:-1]


def test_planted_levels_are_found_where_they_start() -> None:
    """Steps of five standard deviations, a year long."""
    generator = np.random.default_rng(1)
    values = generator.standard_normal(365) + np.repeat([0.0, 5.0, 0.0], [100, 200, 65])
    assert change_points(values.tolist()) == [100, 300]


@pytest.mark.thorough
def test_noise_alone_has_one_level() -> None:
    """Of 200 years without a change few show one."""
    rows = np.random.default_rng(2).standard_normal((200, 365))
    assert np.mean([bool(change_points(row.tolist())) for row in rows]) < 0.05


@pytest.mark.parametrize("values", [[], [1.0], [1.0] * 9, [0.1 + 0.2] * 50, [1e9 + 0.1] * 365])
def test_what_never_moves_has_no_change(values: list[float]) -> None:
    """Nor has what is too short for two levels; rounding makes none."""
    assert change_points(values) == []


def test_a_constant_that_moved_once_has_one_change() -> None:
    """Without noise any step is one."""
    assert change_points([50.0] * 30 + [49.9] * 10) == [30]


def test_one_outlier_is_no_level() -> None:
    """A level has five values."""
    values = np.random.default_rng(4).standard_normal(60)
    values[30] += 8
    assert change_points(values.tolist()) == []


def test_the_noise_is_not_that_of_the_steps() -> None:
    """Levels far apart do not widen it; values that are mostly equal have one."""
    generator = np.random.default_rng(5)
    values = generator.standard_normal(400) + np.repeat([0.0, 50.0], 200)
    assert noise(values) == pytest.approx(1, rel=0.15)
    assert noise([0.0] * 10 + [1.0] + [0.0] * 10) > 0
