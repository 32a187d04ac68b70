"""Intervals that hold together: Howe's of two parts, by hand, and what they and the p-values promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, stats

from harness.records import Floats
from harness.statistics.crossed import Classes, Spread, spread, spreads, two_way
from harness.statistics.simultaneous import together

LABELS = np.repeat(np.arange(4), 5)


def half_width(one: Spread, miss: float) -> float:
    """Howe's half width of one mean, term by term."""
    few = stats.t.isf(miss / 2, one.seed_freedom) ** 2 * one.seeds if one.seeds else 0.0
    rest = max(one.images - one.rest, 0.0)
    return float(math.sqrt(few + stats.t.isf(miss / 2, one.image_freedom) ** 2 * rest))


def of_seeds(count: int, seeds: int = 5, draw: int = 0) -> list[tuple[Spread, ...]]:
    """Spreads of means of which some are far from 0, as their few seeds tell, and some are not."""
    generator = np.random.default_rng(draw)
    values = generator.normal(size=(count, seeds, 20)) + generator.normal(size=(count, 1, 20))
    values += generator.normal(0.0, 0.3, (count, seeds, 1)) + generator.uniform(
        0, 8 if seeds == 3 else 1.5, (count, 1, 1)
    )
    return [(one,) for one in spreads(values, Classes.of(LABELS, 20))]


def test_a_spread_of_one_seed_is_the_error_of_a_stratified_mean() -> None:
    """It is the sum over classes of s^2 / n / C^2, with as many degrees as images without their classes."""
    values, labels = np.random.default_rng(1).normal(size=9), np.array([0, 2, 0, 2, 2, 2, 0, 2, 2])
    one = spread(values[None], Classes.of(labels, 9))
    groups = [values[labels == name] for name in (0, 2)]
    assert one.estimate == pytest.approx(sum(g.mean() for g in groups) / 2)
    assert one.variance == pytest.approx(sum(g.var(ddof=1) / len(g) for g in groups) / 4)
    assert (one.seeds, one.rest, one.image_freedom) == (0.0, 0.0, 7)


def test_a_spread_has_the_error_of_the_two_way_interval() -> None:
    """Of several seeds the variance of each column is the square of that interval's standard error."""
    values = np.random.default_rng(2).normal(size=(3, 4, 20)) + np.arange(20)
    found = spreads(values, Classes.of(LABELS, 20))
    for one, column in zip(found, values, strict=True):
        expected = two_way(column, LABELS, 0.95)
        assert expected.standard_error is not None
        assert one.variance == pytest.approx(expected.standard_error**2)
        assert one.estimate == pytest.approx(expected.estimate)


def test_labels_of_any_kind_in_any_order_group_the_same() -> None:
    """Classes of bytes, in an order of their own, give what sorted ones do."""
    values, order = np.random.default_rng(3).normal(size=(3, 20)), np.random.default_rng(4).permutation(20)
    one = spread(values, Classes.of(LABELS, 20))
    other = spread(values[:, order], Classes.of(LABELS.astype(np.uint8)[order], 20))
    assert other.variance == pytest.approx(one.variance)
    assert other.seeds == pytest.approx(one.seeds)


def test_bounds_are_howes_at_bonferronis_level() -> None:
    """Each interval is its mean and the root of both parts' squares, at a third of the miss of three."""
    numbers = of_seeds(3)
    found = together(numbers, 0.9)
    for (one,), low, high in zip(numbers, found.low, found.high, strict=True):
        assert one.images > one.rest
        half = half_width(one, 0.1 / 3)
        assert (low, high) == pytest.approx((one.estimate - half, one.estimate + half))


def test_one_seed_has_students_interval_and_p() -> None:
    """The doubt of one seed is that of its images, whose degrees of freedom are many."""
    values = np.random.default_rng(5).normal(0.3, 1.0, (1, 20))
    found = together([(spread(values, Classes.of(None, 20)),)], 0.95)
    expected = stats.ttest_1samp(values[0], 0.0)
    interval = expected.confidence_interval(0.95)
    assert (found.low[0], found.high[0]) == pytest.approx((interval.low, interval.high))
    assert found.p[0] == pytest.approx(expected.pvalue)


def test_one_number_a_seed_has_students_interval_and_p() -> None:
    """Without images, the degrees of freedom are the seeds less one."""
    values = np.array([1.0, 1.5, 0.7, 2.0])
    found = together([(spread(values[:, None], Classes.of(None, 1)),)], 0.95)
    expected = stats.ttest_1samp(values, 0.0)
    interval = expected.confidence_interval(0.95)
    assert (found.low[0], found.high[0]) == pytest.approx((interval.low, interval.high))
    assert found.p[0] == pytest.approx(expected.pvalue)


def test_a_p_is_where_the_interval_just_holds_0() -> None:
    """Holm's of the roots that another solver finds, the smallest times their number."""
    numbers = of_seeds(4)
    roots = [
        optimize.brentq(lambda miss, one=one: half_width(one, miss) - abs(one.estimate), 1e-12, 1.0)
        for (one,) in numbers
    ]
    ordered = np.argsort(roots)
    expected, largest = np.empty(4), 0.0
    for rank, place in enumerate(ordered):
        largest = max(largest, roots[place] * (4 - rank))
        expected[place] = min(largest, 1.0)
    assert together(numbers, 0.95).p == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("seeds", [1, 3, 5])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_no_interval_without_0_has_a_larger_p(seeds: int, confidence: float) -> None:
    """Of hundreds of numbers, in families of many sizes, each that is clear of 0 has p <= 1 - confidence;
    and some of those that hold 0 have such a p as well.
    """
    clear, both = 0, 0
    for draw, size in enumerate([1, 2, 5, 20, 100] * 4):
        found = together(of_seeds(size, seeds, draw), confidence)
        without = (found.low > 0) | (found.high < 0)
        assert (found.p[without] <= 1 - confidence + 1e-12).all()
        clear += int(without.sum())
        both += int((~without & (found.p <= 1 - confidence)).sum())
    assert clear > 20
    assert both > 0


def test_what_does_not_vary_is_sure() -> None:
    """Equal differences have an interval of no width, and p 0; differences of 0 have p 1."""
    numbers = [(spread(np.full((3, 4), value), Classes.of(None, 4)),) for value in (-25.0, 0.0)]
    found = together(numbers, 0.95)
    assert found.low.tolist() == found.high.tolist() == [-25.0, 0.0]
    assert found.p.tolist() == [0.0, 1.0]


def test_numbers_too_far_out_for_a_p_have_0() -> None:
    """A mean of thousands of errors is clear, and nothing overflows."""
    values = np.random.default_rng(6).normal(1e9, 1.0, (1, 400))
    assert together([(spread(values, Classes.of(None, 400)),)], 0.95).p[0] == 0.0


def test_no_number_has_no_interval() -> None:
    """Of an empty family nothing comes."""
    assert together([], 0.95).low.shape == (0,)


def columns_of(generator: np.random.Generator, shift: Floats) -> Floats:
    """Values [3 columns, 5 seeds, 20 images] around these means."""
    return np.asarray(
        shift[:, None, None]
        + generator.normal(0, 0.05, (3, 5, 1))
        + generator.normal(0, 0.2, (3, 1, 20))
        + generator.normal(0, 0.1, (3, 5, 20))
    )


def test_an_extreme_is_enclosed_by_its_columns() -> None:
    """The interval goes from the lowest to the highest of the columns' at the level of all of them; it is
    clear of 0 exactly where p says so.
    """
    generator = np.random.default_rng(7)
    for shift in ((0.3, 0.4, 0.5), (0.3, -0.3, 0.5), (-0.5, -0.1, -0.4), (0.02, 0.01, 0.03)):
        columns = spreads(columns_of(generator, np.array(shift)), Classes.of(LABELS, 20))
        found = together([columns], 0.95)
        halves = [half_width(one, 0.05 / 3) for one in columns]
        low = min(one.estimate - half for one, half in zip(columns, halves, strict=True))
        high = max(one.estimate + half for one, half in zip(columns, halves, strict=True))
        assert (found.low[0], found.high[0]) == pytest.approx((low, high))
        assert (low > 0 or high < 0) == (found.p[0] < 0.05)


def test_the_change_of_a_smallest_mean_is_covered() -> None:
    """Whichever columns are the smallest of both, and where several are: 300 simulations, at least 95 %."""
    generator = np.random.default_rng(8)
    for before, after in (((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)), ((0.2, 0.5, 0.9), (0.6, 0.3, 0.9))):
        truth, held = min(after) - min(before), 0
        for _ in range(300):
            moved = columns_of(generator, np.array(after)) - columns_of(generator, np.array(before))
            found = together([spreads(moved, Classes.of(LABELS, 20))], 0.95)
            held += bool(found.low[0] <= truth <= found.high[0])
        assert held >= 300 * 0.95 - 2 * math.sqrt(300 * 0.95 * 0.05)


def test_satterthwaites_degrees_would_not_hold_together() -> None:
    """At Bonferroni's level those of `two_way` fail over a tenth of 300 families of 24 numbers of 3 seeds,
    and the intervals here a twentieth or less.
    """
    generator, classes, families = np.random.default_rng(9), Classes.of(LABELS, 20), 300
    theirs, ours = 0, 0
    for _ in range(families):
        values = generator.normal(0, 0.2, (24, 3, 1)) + generator.normal(0, 0.2, (24, 1, 20))
        columns = spreads(values + generator.normal(0, 0.05, (24, 3, 20)), classes)
        found = together([(one,) for one in columns], 0.95)
        ours += bool(((found.low <= 0) & (found.high >= 0)).all())
        a, b, e = np.array([(one.seeds, one.images, one.rest) for one in columns]).T
        variance = np.array([one.variance for one in columns])
        degrees = variance**2 / (a**2 / 2 + b**2 / 16 + e**2 / 32)
        half = stats.t.isf(0.05 / 24 / 2, degrees) * np.sqrt(variance)
        theirs += bool((np.abs([one.estimate for one in columns]) <= half).all())
    assert theirs < 0.9 * families
    assert ours >= families * 0.95 - 2 * math.sqrt(families * 0.95 * 0.05)
