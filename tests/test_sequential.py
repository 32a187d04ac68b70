"""Looks at growing samples against tables, another integration, and simulation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from harness.statistics import look_confidence, looks
from harness.statistics.sequential import chance_within

quick = settings(derandomize=True, deadline=None, max_examples=40)


@pytest.mark.parametrize(
    ("first", "pool", "expected"),
    [
        (20, 200, (20, 40, 80, 160, 200)),
        (20, 160, (20, 40, 80, 160)),
        (20, 21, (20, 21)),
        (20, 20, (20,)),
        (20, 7, (7,)),
    ],
)
def test_looks_double_until_the_pool_is_used_up(first: int, pool: int, expected: tuple[int, ...]) -> None:
    """Each look has twice the images of the last, and the last one has all."""
    assert looks(first, pool) == expected


@quick
@given(st.integers(1, 500), st.integers(1, 5000))
def test_looks_grow_and_end_with_the_pool(first: int, pool: int) -> None:
    """No look is without new images, none has more than twice those of the last."""
    sizes = looks(first, pool)
    assert sizes[0] == min(first, pool)
    assert sizes[-1] == pool
    assert all(a < b <= 2 * a for a, b in itertools.pairwise(sizes))


@pytest.mark.parametrize(("first", "pool"), [(0, 5), (5, 0)])
def test_looks_without_images_are_refused(first: int, pool: int) -> None:
    """There is nothing to look at."""
    with pytest.raises(ValueError, match="at least one image"):
        looks(first, pool)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.987654321])
def test_one_look_has_the_nominal_confidence_itself(confidence: float) -> None:
    """Looking once costs nothing, to the last digit; and a look that adds nothing is no look."""
    assert look_confidence((20,), confidence) == confidence
    assert look_confidence((20, 20), confidence) == confidence


# Jennison and Turnbull 2000, table 2.1: Pocock's constants for two-sided tests
@pytest.mark.parametrize(
    ("count", "error", "constant"),
    [
        (2, 0.05, 2.178),
        (3, 0.05, 2.289),
        (4, 0.05, 2.361),
        (5, 0.05, 2.413),
        (10, 0.05, 2.555),
        (20, 0.05, 2.672),
        (2, 0.1, 1.875),
        (5, 0.1, 2.122),
        (5, 0.01, 2.986),
    ],
)
def test_looks_at_equal_steps_have_pococks_constants(count: int, error: float, constant: float) -> None:
    """The published table, to its three digits."""
    found = look_confidence(range(1, count + 1), 1 - error)
    assert special.ndtri((1 + found) / 2) == pytest.approx(constant, abs=6e-4)


@pytest.mark.parametrize("sizes", [(20, 40), (20, 40, 80, 160, 200), (3, 6, 7), (2000, 2001)])
def test_the_chance_is_the_multivariate_normals(sizes: tuple[int, ...]) -> None:
    """Means of growing samples correlate by sqrt(n_i / n_j), and scipy integrates that another way."""
    correlation = np.sqrt(np.minimum.outer(sizes, sizes) / np.maximum.outer(sizes, sizes))
    reach = np.full(len(sizes), 2.3)
    expected = stats.multivariate_normal.cdf(
        reach, np.zeros(len(sizes)), correlation, lower_limit=-reach, abseps=1e-6, maxpts=200_000
    )
    assert chance_within(sizes, 2.3) == pytest.approx(expected, abs=2e-5)


def test_twenty_looks_at_95_percent_are_wrong_in_a_quarter_of_cases() -> None:
    """What the rule is for: without it the error after 20 looks is 0.25."""
    assert 1 - chance_within(range(1, 21), 1.959964) == pytest.approx(0.248, abs=5e-4)


def test_the_chance_is_that_of_growing_samples() -> None:
    """Of 20 000 simulated growing samples, as many as promised stay within at every look."""
    generator, sizes, simulations = np.random.default_rng(0), (3, 6, 12, 20), 20_000
    values = generator.normal(size=(simulations, sizes[-1]))
    reach = special.ndtri((1 + look_confidence(sizes, 0.95)) / 2)
    inside = [np.abs(values[:, :n].mean(axis=1)) * np.sqrt(n) <= reach for n in sizes]
    covered = np.all(inside, axis=0).mean()
    assert covered == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / simulations))


@pytest.mark.thorough
@quick
@given(st.lists(st.integers(1, 300), min_size=1, max_size=6, unique=True), st.floats(0.6, 0.99))
def test_more_looks_and_more_confidence_never_narrow_an_interval(sizes: list[int], asked: float) -> None:
    """It lies between the nominal confidence and Bonferroni's, and grows with what is asked."""
    sizes = sorted(sizes)
    found = look_confidence(sizes, asked)
    assert asked - 1e-9 <= found <= 1 - (1 - asked) / len(sizes) + 1e-9
    assert look_confidence([*sizes, 2 * sizes[-1]], asked) > found
    assert look_confidence(sizes, asked + 0.005) > found


def test_the_unit_of_the_sizes_plays_no_part() -> None:
    """Ten classes of 20, 40 and 60 images are 200, 400 and 600."""
    assert look_confidence((20, 40, 60), 0.95) == pytest.approx(look_confidence((200, 400, 600), 0.95))
