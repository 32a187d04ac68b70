"""Numbers against independent derivations, intervals against the coverage that they promise."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from harness import statistics
from harness.records import Estimate, Floats, Ints, Measurement
from harness.statistics import (
    REDUCTIONS,
    Kind,
    Reduced,
    Resampling,
    bootstrap_deviations,
    stratified_mean,
    two_way,
)
from harness.statistics.resampling import accelerations, intervals

KINDS: tuple[Kind, ...] = ("percentile", "bca")

quick = settings(derandomize=True, deadline=None, max_examples=60)


def classes_of(*sizes: int) -> Ints:
    """Strata 0, 1, 2, ... of the sizes given."""
    return np.repeat(np.arange(len(sizes)), sizes)


def reduced(
    rule: str, values: Any, strata: Ints | None = None, confidence: float = 0.95, resamples: int = 2000
) -> Reduced:
    generator = np.random.default_rng(0)
    return REDUCTIONS[rule](
        np.asarray(values, dtype=np.float64), strata, Resampling(confidence, resamples, generator)
    )


def a_measurement(
    values: Any, rule: str = "mean", strata: Ints | None = None, reason: str | None = None
) -> Measurement:
    array = np.asarray(values, dtype=np.float64)
    return Measurement("agreement", "Agreement", "correlation", True, rule, array, strata, reason)


def estimated(*by_seed: Measurement, confidence: float = 0.95, draw: int = 0) -> Estimate:
    return statistics.estimate(
        by_seed,
        range(len(by_seed)),
        confidence=confidence,
        resamples=1000,
        generator=np.random.default_rng(draw),
    )


def bounds(one: Reduced | Estimate) -> tuple[float, float]:
    """The bounds of an interval that must be there."""
    assert one.low is not None
    assert one.high is not None
    return one.low, one.high


def covers(one: Reduced, truth: float) -> bool:
    """Whether the truth lies in an interval that must be there."""
    low, high = bounds(one)
    return low <= truth <= high


def binomial_error(share: float, n: int) -> float:
    """The standard error of a simulated coverage."""
    return math.sqrt(share * (1 - share) / n)


# the mean, and the bootstrap


def test_each_class_weighs_the_same() -> None:
    """The stratified mean is the mean of the classes' means, whatever their sizes."""
    values = np.array([0.0, 3.0, 3.0, 6.0])
    assert stratified_mean(values, classes_of(1, 3)) == 2.0
    assert stratified_mean(values) == 3.0


@quick
@given(st.lists(st.lists(st.floats(-9, 9), min_size=1, max_size=5), min_size=1, max_size=4))
def test_the_stratified_mean_is_the_mean_of_means(groups: list[list[float]]) -> None:
    """It is what a loop over the classes gives, for each column alike, in whatever order images come."""
    values = np.array([value for group in groups for value in group])
    strata = classes_of(*map(len, groups))
    order = np.random.default_rng(0).permutation(len(values))
    expected = sum(math.fsum(group) / len(group) for group in groups) / len(groups)
    both = np.stack([values, -2 * values], axis=1)
    assert stratified_mean(both[order], strata[order]) == pytest.approx([expected, -2 * expected], abs=1e-12)


@pytest.mark.parametrize("sizes", [(3, 3, 3), (2, 5, 20), (4,)])
def test_the_bootstraps_deviations_have_the_unbiased_variance(sizes: tuple[int, ...]) -> None:
    """Their variance is the sum over classes of s^2 / n / C^2, with n - 1 in s^2."""
    resamples, strata = 40_000, classes_of(*sizes)
    generator = np.random.default_rng(1)
    values = generator.normal(10.0 * strata, 1.0 + strata)
    deviations = bootstrap_deviations(values[:, None], strata, resamples, generator)[:, 0]
    within = [values[strata == one] for one in range(len(sizes))]
    exact = sum(float(v.var(ddof=1)) / len(v) for v in within) / len(sizes) ** 2
    # the fourth moment of a resampled mean is at most about that of a normal one
    assert deviations.var() == pytest.approx(exact, rel=4 * math.sqrt(2 / resamples))
    assert deviations.mean() == pytest.approx(0, abs=4 * math.sqrt(exact / resamples))


def test_the_bootstrap_of_three_values_has_the_distribution_of_all_27_resamples() -> None:
    """Deviations and their frequencies are those of an enumeration, scaled by the root of 3 / 2."""
    values, resamples = np.array([0.0, 1.0, 5.0]), 20_000
    expected = Counter(
        round(math.sqrt(3 / 2) * (sum(draw) / 3 - 2.0), 9) for draw in itertools.product(values, repeat=3)
    )
    drawn = bootstrap_deviations(values[:, None], None, resamples, np.random.default_rng(2))[:, 0]
    counted = Counter(np.round(drawn, 9).tolist())
    assert counted.keys() == expected.keys()
    frequencies = [expected[key] / 27 * resamples for key in expected]
    assert stats.chisquare([counted[key] for key in expected], frequencies).pvalue > 1e-3


def test_the_bootstrap_resamples_columns_jointly() -> None:
    """Every column sees the same images in a resample, so that methods stay paired."""
    values = np.random.default_rng(3).normal(size=(12, 1))
    columns = np.concatenate([values, -3 * values], axis=1)
    first, second = bootstrap_deviations(columns, classes_of(6, 6), 200, np.random.default_rng(4)).T
    assert second == pytest.approx(-3 * first)
    assert len(np.unique(first)) > 100


def test_the_bootstrap_resamples_each_class_on_its_own() -> None:
    """What separates the classes does not enter the deviations."""
    values, strata = np.random.default_rng(3).normal(size=(12, 1)), classes_of(4, 8)
    apart = values + 1000.0 * strata[:, None]
    together, separated = (
        bootstrap_deviations(one, strata, 200, np.random.default_rng(4)) for one in (values, apart)
    )
    assert separated == pytest.approx(together, abs=1e-9)


def test_the_bootstrap_draws_every_resample_anew_where_it_works_in_parts() -> None:
    """With more values than are held at once, no resample is left out or repeated."""
    values = np.random.default_rng(5).normal(size=(30_000, 1))
    deviations = bootstrap_deviations(values, None, 300, np.random.default_rng(6))[:, 0]
    assert len(np.unique(deviations)) == 300
    assert deviations.std() == pytest.approx(values.std(ddof=1) / math.sqrt(30_000), rel=0.2)


def test_the_mean_has_the_percentiles_of_its_scaled_deviations() -> None:
    """Of many images, the interval is close to the normal one about the stratified mean."""
    strata = classes_of(100, 400)
    values = np.random.default_rng(7).normal(strata, 1 + strata)
    one = reduced("mean", values, strata, resamples=20_000)
    exact = math.sqrt(sum(values[strata == c].var(ddof=1) / n for c, n in ((0, 100), (1, 400))) / 4)
    assert one.estimate == pytest.approx((values[:100].mean() + values[100:].mean()) / 2)
    assert one.standard_error == pytest.approx(exact, rel=0.03)
    assert one.low == pytest.approx(one.estimate - 1.96 * exact, abs=0.1 * exact)
    assert one.high == pytest.approx(one.estimate + 1.96 * exact, abs=0.1 * exact)


def test_a_skewed_sample_has_a_skewed_interval() -> None:
    """The interval leans to the side of the long tail, as a percentile interval does."""
    one = reduced("mean", [0.0] * 9 + [1.0], resamples=20_000)
    low, high = bounds(one)
    assert high - one.estimate > 1.5 * (one.estimate - low)


@pytest.mark.parametrize(("images", "simulations", "expected"), [(3, 4000, 0.93), (20, 2000, 0.948)])
def test_the_bootstraps_interval_covers_as_the_definitions_say(
    images: int, simulations: int, expected: float
) -> None:
    """Nominal 95 % intervals cover 0.93 at 3 images in each of 10 classes, and 0.948 at 20."""
    generator, strata, covered = np.random.default_rng(8), classes_of(*[images] * 10), 0
    truth, together = 4.5, 400  # simulations that share their resamples
    for _ in range(simulations // together):
        values = generator.normal(strata[:, None], 1.0, (len(strata), together))
        deviations = bootstrap_deviations(values, strata, 2000, generator)
        low, high = stratified_mean(values, strata) + np.quantile(deviations, [0.025, 0.975], axis=0)
        covered += int(((low <= truth) & (truth <= high)).sum())
    # two more thousandths: the quantiles of 2000 shared resamples
    tolerance = 3 * binomial_error(expected, simulations) + 0.002
    assert covered / simulations == pytest.approx(expected, abs=tolerance)


@pytest.mark.thorough
def test_the_mean_itself_covers_as_the_definitions_say() -> None:
    """The interval of the reduction, at 3 images in each of 10 classes, covers 0.93 too."""
    generator, strata, simulations = np.random.default_rng(9), classes_of(*[3] * 10), 1500
    covered = 0
    for _ in range(simulations):
        one = REDUCTIONS["mean"](generator.normal(strata, 1.0), strata, Resampling(0.95, 500, generator))
        covered += covers(one, 4.5)
    assert covered / simulations == pytest.approx(0.93, abs=3 * binomial_error(0.93, simulations))


def test_equivalence_has_the_90_percent_interval_of_two_one_sided_tests() -> None:
    """Where 95 % is nominal, an equivalence's interval is the mean's at 90 %, and says so."""
    values, strata = np.random.default_rng(10).normal(size=60), classes_of(30, 30)
    one = estimated(a_measurement(values, "equivalence", strata))
    mean = estimated(a_measurement(values, "mean", strata), confidence=0.9)
    wider = estimated(a_measurement(values, "mean", strata))
    assert one.confidence == 0.9
    assert wider.confidence == 0.95
    assert (one.estimate, one.low, one.high) == pytest.approx((mean.estimate, mean.low, mean.high))
    assert bounds(wider)[0] < bounds(one)[0]
    assert bounds(wider)[1] > bounds(one)[1]


def test_equivalence_across_seeds_is_at_90_percent_too() -> None:
    """Several seeds' equivalence is the two-way interval at 90 %."""
    values = np.random.default_rng(11).normal(size=(3, 40))
    one = estimated(*(a_measurement(row, "equivalence") for row in values))
    expected = two_way(values, None, 0.9)
    assert (one.low, one.high) == pytest.approx((expected.low, expected.high))
    assert one.confidence == 0.9


# other reductions


def test_a_ratio_is_the_sum_over_the_sum() -> None:
    """It divides sums, it does not average ratios."""
    assert reduced("ratio", [[1.0, 2.0], [3.0, 4.0], [5.0, 10.0]]).estimate == pytest.approx(9 / 16)


def test_a_ratios_interval_agrees_with_the_delta_method() -> None:
    """Of many images its standard error and bounds are those of the linearised ratio."""
    generator = np.random.default_rng(12)
    bottom = generator.gamma(9.0, 1.0, 2000)
    top = 0.3 * bottom + generator.normal(0, 0.5, 2000)
    one = reduced("ratio", np.stack([top, bottom], axis=1), resamples=10_000)
    ratio = top.sum() / bottom.sum()
    error = (top - ratio * bottom).std(ddof=1) / bottom.mean() / math.sqrt(2000)
    assert one.estimate == pytest.approx(ratio)
    assert one.standard_error == pytest.approx(error, rel=0.04)
    assert (one.low, one.high) == pytest.approx(
        (ratio - 1.96 * error, ratio + 1.96 * error), abs=0.15 * error
    )


def wilson(ones: float, n: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """Wilson's bounds in closed form: where the score test of a share just fails."""
    share = ones / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return middle - half, middle + half


@quick
@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_proportion_has_wilsons_interval(counts: tuple[int, int]) -> None:
    """Share, bounds and standard error are the closed forms."""
    ones, n = counts
    one = reduced("proportion", [1.0] * ones + [0.0] * (n - ones))
    assert one.estimate == pytest.approx(ones / n)
    assert (one.low, one.high) == pytest.approx(wilson(ones, n), abs=1e-9)
    assert one.standard_error == pytest.approx(math.sqrt(ones * (n - ones) / n**3), abs=1e-12)


@pytest.mark.parametrize("share", [0.75, 0.9, 0.98])
def test_a_proportions_interval_covers_its_nominal_share(share: float) -> None:
    """The exact coverage of 300 images, summed over every count that can occur, is 0.95 within 0.02."""
    n, covered = 300, 0.0
    counts = np.arange(n + 1)
    chances = stats.binom.pmf(counts, n, share)
    for ones in counts[chances > 1e-9]:
        one = reduced("proportion", np.arange(n) < ones)
        covered += float(chances[ones]) * covers(one, share)
    assert covered == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize(("rule", "q"), [("median", 0.5), ("95th percentile", 0.95)])
def test_a_quantiles_interval_is_the_narrowest_one_of_order_statistics(rule: str, q: float) -> None:
    """By the binomial distribution each tail is at most 2.5 %, and one order statistic less is too little."""
    n = 301
    one = reduced(rule, np.random.default_rng(13).permutation(n))  # each value is its own rank
    assert one.estimate == pytest.approx(q * (n - 1))
    low, high = bounds(one)
    assert stats.binom.cdf(low, n, q) <= 0.025 < stats.binom.cdf(low + 1, n, q)
    assert stats.binom.sf(high, n, q) <= 0.025 < stats.binom.sf(high - 1, n, q)


def test_too_few_values_do_not_bound_a_quantile() -> None:
    """The 95th percentile of 20 images has an estimate, no interval, and a reason that counts them."""
    one = reduced("95th percentile", np.arange(20.0))
    assert one.estimate == pytest.approx(18.05)
    assert (one.low, one.high) == (None, None)
    assert "20 values" in str(one.reason)


def test_a_single_number_is_itself() -> None:
    """What is measured once a run has no interval of images, and says so."""
    one = reduced("number", [17.0])
    assert (one.estimate, one.low, one.high, one.standard_error) == (17.0, None, None, None)
    assert "no interval" in str(one.reason)


def test_a_census_has_an_interval_of_width_0() -> None:
    """Where nothing was sampled the share is exact: its bounds are the share, and its error is 0."""
    one = reduced("census", [1.0, 1.0, 0.0, 1.0])
    assert one.estimate == one.low == one.high == 0.75
    assert one.standard_error == 0


@pytest.mark.parametrize(("rule", "values"), [("mean", [0.5] * 6), ("ratio", [[0.25, 0.5]] * 6)])
def test_equal_values_have_an_interval_of_width_0(rule: str, values: Any) -> None:
    """Where nothing varies the bounds are the estimate, the error is 0, and nothing is NaN."""
    one = reduced(rule, values, classes_of(3, 3))
    assert one.estimate == one.low == one.high == 0.5
    assert one.standard_error == 0


def test_values_that_are_equal_within_each_class_have_an_interval_of_width_0() -> None:
    """What separates classes is no uncertainty, also where the values have no exact binary form."""
    one = reduced("mean", [0.1] * 3 + [0.7] * 3, classes_of(3, 3))
    assert one.estimate == pytest.approx(0.4)
    assert one.low == one.high == one.estimate
    assert one.standard_error == 0


def test_a_class_with_a_single_value_gives_no_interval_and_says_so() -> None:
    """One value shows no spread within its class; the estimate stands without an interval."""
    one = reduced("mean", [1.0, 2.0, 4.0], classes_of(1, 2))
    assert one.estimate == 2.0
    assert (one.low, one.high, one.standard_error) == (None, None, None)
    assert "single value" in str(one.reason)


# several seeds


def literal_two_way(values: Floats, strata: Ints) -> tuple[float, float, float]:
    """Estimate, variance and degrees of freedom, by loops over the definitions' sums."""
    seeds, images = values.shape
    names = sorted(set(strata.tolist()))
    cell = {(s, c): float(values[s, strata == c].mean()) for s in range(seeds) for c in names}
    of_seed = [sum(cell[s, c] for c in names) / len(names) for s in range(seeds)]
    grand = sum(of_seed) / seeds
    a = sum((one - grand) ** 2 for one in of_seed) / (seeds - 1) / seeds
    b, squares = 0.0, 0.0
    for c in names:
        members = np.flatnonzero(strata == c)
        centre = sum(cell[s, c] for s in range(seeds)) / seeds
        image = {i: sum(float(values[s, i]) for s in range(seeds)) / seeds for i in members}
        spread = sum((image[i] - centre) ** 2 for i in members) / (len(members) - 1)
        b += spread / len(members) / len(names) ** 2
        squares += sum(
            (float(values[s, i]) - image[i] - cell[s, c] + centre) ** 2 for s in range(seeds) for i in members
        )
    freedom = images - len(names)
    e = squares / ((seeds - 1) * freedom) / (seeds * images)
    variance = max(a + b - e, a, b)
    parts = a**2 / (seeds - 1) + b**2 / freedom + e**2 / ((seeds - 1) * freedom)
    return grand, variance, variance**2 / parts


def crossed(
    generator: np.random.Generator, seeds: int, strata: Ints, seed: float, image: float, rest: float
) -> Floats:
    """Values [seeds, images] of mean 0, with these standard deviations of seeds, images and the rest."""
    images = len(strata)
    return np.asarray(
        seed * generator.standard_normal((seeds, 1))
        + image * generator.standard_normal((1, images))
        + rest * generator.standard_normal((seeds, images))
    )


@pytest.mark.parametrize(
    "spread", [(0.5, 1.0, 0.5), (1.0, 0.0, 0.1), (0.0, 1.0, 0.1), (0.0, 0.0, 1.0), (0.05, 0.1, 3.0)]
)
@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("sizes", [(5, 5, 5), (12,)])
def test_two_way_is_the_literal_formula(
    sizes: tuple[int, ...], seeds: int, spread: tuple[float, float, float]
) -> None:
    """Estimate, error and bounds are the definitions' sums, with each of the floors among the cases."""
    strata = classes_of(*sizes)
    values = crossed(np.random.default_rng(14), seeds, strata, *spread) + strata
    grand, variance, degrees = literal_two_way(values, strata)
    one = two_way(values, strata if len(sizes) > 1 else None, 0.9)
    half = stats.t.ppf(0.95, degrees) * math.sqrt(variance)
    assert one.estimate == pytest.approx(grand)
    assert one.standard_error == pytest.approx(math.sqrt(variance))
    assert (one.low, one.high) == pytest.approx((grand - half, grand + half))


def test_two_way_has_the_mean_squares_of_an_analysis_of_variance() -> None:
    """Without classes the variance is (MS seeds + MS images - MS rest) / (seeds images)."""
    values = crossed(np.random.default_rng(15), 4, classes_of(9), 1.0, 1.0, 1.0)
    rows, columns, mean = values.mean(axis=1), values.mean(axis=0), values.mean()
    of_seeds = 9 * ((rows - mean) ** 2).sum() / 3
    of_images = 4 * ((columns - mean) ** 2).sum() / 8
    rest = ((values - rows[:, None] - columns + mean) ** 2).sum() / 24
    one = two_way(values, None, 0.95)
    assert one.standard_error == pytest.approx(math.sqrt((of_seeds + of_images - rest) / 36))


@pytest.mark.thorough
@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize(
    "spread", [(0.01, 0.1, 0.05), (0.0, 0.1, 0.05), (0.2, 0.1, 0.05)], ids=["images", "no seeds", "seeds"]
)
def test_two_way_covers_its_nominal_share(seeds: int, spread: tuple[float, float, float]) -> None:
    """Seeds crossed with 10 classes of 20 images: nominal 95 % intervals cover between 0.93 and 0.97."""
    generator, strata, simulations = np.random.default_rng(16), classes_of(*[20] * 10), 1500
    covered = 0
    for _ in range(simulations):
        one = two_way(crossed(generator, seeds, strata, *spread), strata, 0.95)
        covered += covers(one, 0.0)
    tolerance = 2 * binomial_error(0.95, simulations)
    assert 0.93 - tolerance <= covered / simulations <= 0.97 + tolerance


def test_equal_values_across_seeds_have_an_interval_of_width_0() -> None:
    """Where neither seeds nor images vary the bounds are the estimate, and nothing is NaN."""
    one = estimated(*[a_measurement([0.5] * 6, strata=classes_of(3, 3))] * 3)
    assert one.estimate == one.low == one.high == 0.5
    assert one.standard_error == 0


def test_two_seeds_give_no_interval() -> None:
    """Their mean stands, for networks of the recipe, without an interval and with the reason."""
    one = estimated(a_measurement([0.0, 1.0, 2.0]), a_measurement([1.0, 2.0, 6.0]))
    assert one.estimate == 2.0
    assert (one.low, one.high, one.standard_error) == (None, None, None)
    assert "two seeds" in str(one.reason)
    assert one.population == f"{statistics.RECIPE}, on images like these"


def test_three_seeds_of_a_mean_are_crossed_with_images() -> None:
    """The estimate of several seeds is the two-way one, of every image in every seed, class by class."""
    values, strata = np.random.default_rng(17).normal(size=(3, 12)), classes_of(4, 8)
    one = estimated(*(a_measurement(row, strata=strata) for row in values))
    expected = two_way(values, strata, 0.95)
    found = (one.estimate, one.low, one.high, one.standard_error)
    assert found == (expected.estimate, expected.low, expected.high, expected.standard_error)
    assert one.n == 12


def test_three_seeds_of_a_proportion_are_crossed_with_images() -> None:
    """Right and wrong answers of several networks on the same images are crossed too, and what no seed saw
    is as doubtful as in one seed: the interval holds Wilson's, and stays within 0 and 1.
    """
    values = (np.random.default_rng(18).random((3, 50)) < 0.8).astype(np.float64)
    one = estimated(*(a_measurement(row, "proportion") for row in values))
    expected = two_way(values, None, 0.95)
    wilson = stats.binomtest(40, 50).proportion_ci(0.95, method="wilson")
    assert one.estimate == expected.estimate
    assert (one.low, one.high) != (None, None)
    assert one.low <= min(expected.low, 1)  # type: ignore[operator,type-var]
    assert one.high >= expected.high  # type: ignore[operator]
    assert one.high - one.low >= (wilson.high - wilson.low) * 0.9  # type: ignore[operator]
    none = estimated(*[a_measurement(np.zeros(50), "proportion")] * 3)
    alone = estimated(a_measurement(np.zeros(50), "proportion"))
    assert none.low == 0.0
    assert none.high == pytest.approx(alone.high)


def uncrossed(values: Any, strata: Any = None) -> Measurement:
    return Measurement(**vars(a_measurement(values, "mean", strata)) | {"crossed": False})


def test_a_seeds_own_images_are_resampled() -> None:
    """Alone, a measurement on a seed's own images is like any other: its interval is the bootstrap's."""
    values = np.random.default_rng(3).normal(size=40)
    own, any_other = estimated(uncrossed(values)), estimated(a_measurement(values, "mean"))
    assert own == any_other
    assert own.n == 40
    assert own.low is not None


def test_seeds_with_their_own_images_are_joined_by_their_means() -> None:
    """Each seed's mean counts once, however many images it has; one of 200 without a value is left out."""
    generator = np.random.default_rng(4)
    rows = [generator.normal(size=n) for n in (200, 150, 120)]
    means = [row.mean() for row in rows]
    spoiled = np.append(rows[0], np.nan)
    one = estimated(uncrossed(spoiled), uncrossed(rows[1]), uncrossed(rows[2]))
    half = stats.t.ppf(0.975, 2) * np.std(means, ddof=1) / math.sqrt(3)
    assert one.estimate == pytest.approx(np.mean(means))
    assert one.low == pytest.approx(np.mean(means) - half)
    assert one.high == pytest.approx(np.mean(means) + half)
    assert one.n == 1
    two = estimated(uncrossed(rows[1]), uncrossed(rows[2]))
    assert two.estimate == pytest.approx(np.mean(means[1:]))
    assert two.low is None


def test_a_seed_whose_own_images_have_too_few_values_gives_no_number() -> None:
    """More than one in a hundred without a value is no estimate, in any seed."""
    values = np.random.default_rng(5).normal(size=100)
    spoiled = np.where(np.arange(100) < 2, np.nan, values)
    one = estimated(uncrossed(values), uncrossed(spoiled), uncrossed(values))
    assert one.estimate is None
    assert one.reason is not None


def test_three_seeds_of_a_ratio_have_the_mean_of_their_ratios() -> None:
    """The estimate is the mean of the ratios; doubling both columns changes nothing."""
    values = np.random.default_rng(19).gamma(4.0, size=(3, 40, 2))
    ratios = values[:, :, 0].sum(axis=1) / values[:, :, 1].sum(axis=1)
    one, doubled = (
        estimated(*(a_measurement(factor * rows, "ratio") for rows in values)) for factor in (1, 2)
    )
    assert one.estimate == pytest.approx(ratios.mean())
    assert (one.low, one.high) == pytest.approx((doubled.low, doubled.high))


def test_three_seeds_of_a_ratio_over_ones_are_those_of_a_mean() -> None:
    """Where every image's second part is 1, the ratio is a mean and has the mean's interval."""
    tops = np.random.default_rng(20).normal(size=(3, 40))
    parts = np.stack([tops, np.ones_like(tops)], axis=2)
    one = estimated(*(a_measurement(rows, "ratio") for rows in parts))
    expected = two_way(tops, None, 0.95)
    assert (one.low, one.high) == pytest.approx((expected.low, expected.high))


def test_three_seeds_of_a_ratio_vary_by_what_each_image_moves() -> None:
    """With no difference between seeds the error is the delta method's, of one seed."""
    generator = np.random.default_rng(21)
    bottom = generator.gamma(9.0, 1.0, 500)
    top = 0.3 * bottom + generator.normal(0, 0.5, 500)
    one = estimated(*[a_measurement(np.stack([top, bottom], axis=1), "ratio")] * 3)
    ratio = top.sum() / bottom.sum()
    error = (top - ratio * bottom).std(ddof=1) / bottom.mean() / math.sqrt(500)
    assert one.standard_error == pytest.approx(error)


def test_one_number_a_seed_has_students_interval_of_its_seeds() -> None:
    """What is one number a run has Student's interval of the seeds' numbers."""
    numbers = np.random.default_rng(22).normal(size=4)
    one = estimated(*(a_measurement(np.array([number]), "number") for number in numbers))
    expected = stats.ttest_1samp(numbers, 0).confidence_interval(0.95)
    assert one.estimate == pytest.approx(numbers.mean())
    assert (one.low, one.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(("rule", "share"), [("median", 0.5), ("95th percentile", 0.95)])
def test_a_quantile_of_several_seeds_has_no_interval(rule: str, share: float) -> None:
    """A quantile over seeds and images is the mean of the seeds', and says that it has no interval."""
    values = np.random.default_rng(22).normal(size=(4, 30))
    one = estimated(*(a_measurement(row, rule) for row in values))
    assert one.estimate == pytest.approx(np.quantile(values, share, axis=1).mean())
    assert (one.low, one.high) == (None, None)
    assert "no interval" in str(one.reason)


def test_a_census_has_no_width_whatever_the_seeds() -> None:
    """What was counted in full is exact, of one seed, of two and of three."""
    for seeds in (1, 2, 3):
        one = estimated(*[a_measurement(np.array([1.0, 1.0, 0.0, 1.0]), "census")] * seeds)
        assert (one.estimate, one.low, one.high, one.standard_error) == (0.75, 0.75, 0.75, 0.0)
        assert one.n == 4


def test_too_many_images_without_a_value_give_no_estimate() -> None:
    """Above 1 % of images without a value there is no estimate, so NaN is never averaged away (fault 18)."""
    values = np.ones(200)
    values[:2] = np.nan
    assert estimated(a_measurement(values, "mean")).estimate == 1.0
    values[2] = np.nan
    one = estimated(a_measurement(values, "mean"))
    assert one.estimate is None
    assert one.reason == "3 of 200 images have no value"


def test_a_whole_class_without_a_value_gives_no_estimate() -> None:
    """A class that has no value at all is not left out of the mean over classes in silence."""
    values = np.ones(201)
    values[0] = np.nan
    strata = np.r_[9, np.zeros(200, dtype=np.int64)]
    assert estimated(a_measurement(values, "mean", strata)).estimate is None


# what an estimate says


def test_an_estimate_bears_its_measurements_name_title_unit_and_direction() -> None:
    """An estimate says what it is of, and counts the values behind it."""
    one = estimated(a_measurement([1.0, 2.0, 4.0]))
    assert (one.name, one.title, one.unit) == ("agreement", "Agreement", "correlation")
    assert (one.higher_is_better, one.n, one.confidence) == (True, 3, 0.95)


def test_one_seed_speaks_of_its_model_and_several_of_the_recipe() -> None:
    """The population is named, and the seed only where there is one."""
    rows = [a_measurement([0.0, 1.0, 2.0])] * 3
    alone, together = estimated(rows[0]), estimated(*rows)
    assert (alone.seed, alone.population) == (0, f"{statistics.ONE_MODEL}, on images like these")
    assert (together.seed, together.population) == (
        None,
        f"{statistics.RECIPE}, on images like these",
    )


def test_images_without_a_value_are_left_out_and_counted() -> None:
    """NaN rows enter neither estimate nor interval, and the reason says how many there were."""
    values = np.random.default_rng(23).normal(size=200)
    strata = classes_of(100, 100)
    with_gaps = values.copy()
    with_gaps[[3, 150]] = np.nan
    there = ~np.isnan(with_gaps)
    one = estimated(a_measurement(with_gaps, strata=strata))
    rest = estimated(a_measurement(values[there], strata=strata[there]))
    assert (one.estimate, one.low, one.high, one.n) == (rest.estimate, rest.low, rest.high, 198)
    assert "2 of 200" in str(one.reason)
    assert rest.reason is None


def test_an_image_without_a_value_in_one_column_is_left_out_of_all() -> None:
    """A row with a gap is left out whole, so that columns stay on the same images."""
    values = np.tile([1.0, 2.0], (200, 1))
    values[7] = [np.nan, -1000.0]
    one = estimated(a_measurement(values, "ratio"))
    assert one.estimate == 0.5
    assert one.n == 199


def test_an_image_without_a_value_in_one_seed_is_left_out_of_all() -> None:
    """Seeds are compared on the same images, so a gap in one is a gap in each."""
    values = np.random.default_rng(24).normal(size=(3, 200))
    with_gaps = values.copy()
    with_gaps[0, 5] = with_gaps[2, 150] = np.nan
    kept = np.delete(values, [5, 150], axis=1)
    one = estimated(*map(a_measurement, with_gaps))
    rest = estimated(*map(a_measurement, kept))
    assert (one.estimate, one.low, one.high, one.n) == (rest.estimate, rest.low, rest.high, 198)
    assert "2 of 200" in str(one.reason)


@pytest.mark.parametrize("seeds", [1, 3])
def test_where_no_image_has_a_value_there_is_no_estimate(seeds: int) -> None:
    """All values NaN give no number at all, and a reason."""
    one = estimated(*[a_measurement([np.nan] * 4)] * seeds)
    assert (one.estimate, one.low, one.high, one.standard_error, one.n) == (None, None, None, None, 0)
    assert one.reason


@pytest.mark.parametrize("value", [math.inf, -math.inf])
@pytest.mark.parametrize("seeds", [1, 3])
def test_an_infinite_value_gives_no_estimate_and_says_so(value: float, seeds: int) -> None:
    """One infinite value among many is enough: it is neither averaged nor left out."""
    rows = [a_measurement([0.5] * 400) for _ in range(seeds - 1)] + [a_measurement([0.5] * 399 + [value])]
    one = estimated(*rows)
    assert (one.estimate, one.low, one.high, one.standard_error) == (None, None, None, None)
    assert "infinite" in str(one.reason)


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_a_measurements_reason_passes_through(seeds: int) -> None:
    """What could not be measured in one seed has no estimate of any, and keeps its reason."""
    rows = [a_measurement([1.0, 2.0]) for _ in range(seeds - 1)] + [
        a_measurement([], reason="no coat is sure")
    ]
    one = estimated(*rows)
    assert (one.estimate, one.low, one.high, one.standard_error, one.n) == (None, None, None, None, 0)
    assert "no coat is sure" in str(one.reason)


def test_the_same_draw_gives_the_same_interval_and_another_one_another() -> None:
    """The generator that is passed in is the only source of chance."""
    measurement = a_measurement(np.random.default_rng(25).normal(size=30))
    first, again, other = (estimated(measurement, draw=draw) for draw in (1, 1, 2))
    assert first == again
    assert first.estimate == other.estimate
    assert first.low != other.low


def test_an_interval_does_not_depend_on_what_else_is_estimated() -> None:
    """With a generator of its own, a measurement has the same interval alone and after any others."""
    values = np.random.default_rng(26).normal(size=30)
    alone = estimated(a_measurement(values), draw=3)
    for rule in ("mean", "equivalence", "proportion", "median", "number"):
        estimated(a_measurement(values > 0, rule), draw=4)
    assert estimated(a_measurement(values), draw=3) == alone


def test_estimating_leaves_the_values_as_they_were() -> None:
    """No reduction writes into the measurement that it reads."""
    values, strata = np.random.default_rng(27).random((30, 2)), classes_of(15, 15)
    for rule in REDUCTIONS:
        in_columns = rule == "ratio" or rule.startswith(("smallest", "largest "))
        parts = np.round(values) if in_columns and "proportion" in rule else values
        parts = parts if in_columns else np.round(values[:, 0])
        before = parts.copy()
        estimated(*[a_measurement(parts, rule, strata)] * 3)
        estimated(a_measurement(parts, rule, strata))
        assert (parts == before).all()


@pytest.mark.parametrize("value", [0.1, 0.7])
@pytest.mark.parametrize("sizes", [(31,), (3, 3)])
def test_equal_values_across_seeds_have_width_0_whatever_they_are(
    value: float, sizes: tuple[int, ...]
) -> None:
    """Rounding makes no interval where nothing varies."""
    strata = classes_of(*sizes) if len(sizes) > 1 else None
    one = estimated(*[a_measurement([value] * sum(sizes), strata=strata)] * 3)
    assert one.low == one.high == one.estimate
    assert one.standard_error == 0


def test_gaps_are_counted_beside_any_other_reason() -> None:
    """An estimate without an interval says so, and how many images are left out."""
    values = np.ones(200)
    values[0] = np.nan
    reason = str(estimated(a_measurement(values, "largest")).reason)
    assert "a largest number has no interval" in reason
    assert "1 of 200" in reason


def test_a_class_with_a_single_value_gives_no_interval_across_seeds_either() -> None:
    """Three seeds show no spread between images of a class that has one."""
    one = estimated(*[a_measurement(np.arange(4.0) + s, strata=classes_of(1, 3)) for s in range(3)])
    assert one.estimate is not None
    assert (one.low, one.high) == (None, None)
    assert "single value" in str(one.reason)


def test_a_ratio_of_one_image_has_no_interval() -> None:
    """One image shows no spread."""
    one = estimated(a_measurement([[1.0, 2.0]], "ratio"))
    assert (one.estimate, one.low) == (0.5, None)


def test_a_reason_names_the_seed_it_comes_from() -> None:
    """Of several seeds the one that could not be measured is named."""
    one = estimated(a_measurement([1.0, 2.0]), a_measurement([], reason="no coat is sure"))
    assert one.reason == "seed 1: no coat is sure"


def test_a_lone_seeds_reason_stands_as_it_is() -> None:
    """Where there is one seed, no seed is named."""
    assert estimated(a_measurement([], reason="no coat is sure")).reason == "no coat is sure"


def test_infinite_values_are_counted_by_image() -> None:
    """An image counts once, in whichever seed and column its value is infinite; a missing one is none."""
    values = np.ones((2, 5, 2))
    values[1, 3], values[0, 0, 1], values[1, 4, 0], values[0, 2, 0] = math.inf, math.inf, -math.inf, math.nan
    one = estimated(*(a_measurement(rows, "ratio") for rows in values))
    assert one.reason == "3 of 5 images have infinite values"
    assert (one.estimate, one.n) == (None, 0)


def test_a_mean_of_what_is_missing_is_missing() -> None:
    """The mean itself never passes over a NaN: leaving out is decided, and told, before it."""
    assert np.isnan(stratified_mean(np.array([1.0, np.nan, 3.0]), np.array([0, 0, 1])))


def test_each_seed_needs_its_measurement() -> None:
    """Seeds and measurements that differ in number are never paired in part."""
    with pytest.raises(ValueError, match="zip"):
        statistics.estimate(
            [a_measurement([1.0, 2.0])],
            (0, 1),
            confidence=0.95,
            resamples=100,
            generator=np.random.default_rng(0),
        )


# BCa


def literal_bca(estimate: float, resampled: Floats, acceleration: float, confidence: float) -> Any:
    """Efron's formula as it stands, with the standard library's normal distribution."""
    normal = NormalDist()
    bias = normal.inv_cdf(float((resampled < estimate).mean()))
    levels = []
    for tail in ((1 - confidence) / 2, (1 + confidence) / 2):
        moved = bias + normal.inv_cdf(tail)
        levels.append(normal.cdf(bias + moved / (1 - acceleration * moved)))
    return np.quantile(resampled, levels)


@pytest.mark.parametrize("acceleration", [0.0, 0.04, -0.1])
def test_bca_is_efrons_formula(acceleration: float) -> None:
    """Each column's bounds are the percentiles at the levels of bias and acceleration, column by column."""
    resampled = np.random.default_rng(28).gamma(3.0, size=(2000, 2))
    estimates = np.array([2.5, 3.4])
    found = intervals(estimates, resampled, 0.9, "bca", np.array([acceleration, 0.02]))
    for column, a in enumerate((acceleration, 0.02)):
        expected = literal_bca(float(estimates[column]), resampled[:, column], a, 0.9)
        assert (found.low[column], found.high[column]) == pytest.approx(tuple(expected))


def test_without_bias_and_acceleration_bca_is_the_percentile_interval() -> None:
    """Symmetric resamples about the estimate need no correction."""
    half = np.random.default_rng(29).normal(size=500)
    resampled = np.concatenate([half, -half])[:, None]
    plain, corrected = (intervals(np.zeros(1), resampled, 0.95, kind) for kind in KINDS)
    assert corrected.low == pytest.approx(plain.low)
    assert corrected.high == pytest.approx(plain.high)


def test_the_acceleration_is_a_sixth_of_the_means_skewness() -> None:
    """Of one stratum it is the sample's skewness over 6 sqrt(n), scaled for n - 1, whatever the unit."""
    values = np.random.default_rng(30).gamma(2.0, size=40)
    expected = stats.skew(values) / 6 / math.sqrt(40)
    found = accelerations(np.stack([values, 1e-3 * values, -values], axis=1), None)
    assert found == pytest.approx([expected, expected, -expected])


def test_the_acceleration_of_strata_is_a_sixth_of_the_skewness_of_the_scaled_deviations() -> None:
    """It is the skewness that the bootstrap's own deviations have."""
    strata = classes_of(3, 5, 12)
    values = np.random.default_rng(31).gamma(0.5, 1.0 + strata)[:, None]
    deviations = bootstrap_deviations(values, strata, 200_000, np.random.default_rng(32))
    assert 6 * accelerations(values, strata)[0] == pytest.approx(stats.skew(deviations[:, 0]), abs=0.03)


def test_bca_agrees_with_scipys_of_one_stratum() -> None:
    """Of 200 skewed values the bounds are those of scipy, within what two bootstraps differ by."""
    values = np.random.default_rng(33).gamma(1.0, size=200)
    one = REDUCTIONS["mean"](values, None, Resampling(0.95, 20_000, np.random.default_rng(0), "bca"))
    oracle = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(1)
    ).confidence_interval
    width = oracle.high - oracle.low
    assert (one.low, one.high) == pytest.approx((oracle.low, oracle.high), abs=0.03 * width)


def test_bca_of_a_ratio_agrees_with_scipys() -> None:
    """Top and bottom are resampled together, and the acceleration is the ratio's."""
    bottom = np.random.default_rng(34).gamma(2.0, size=150)
    top = bottom * np.random.default_rng(35).gamma(0.5, size=150)
    values = np.stack([top, bottom], axis=1)
    one = REDUCTIONS["ratio"](values, None, Resampling(0.95, 20_000, np.random.default_rng(0), "bca"))
    oracle = stats.bootstrap(
        (top, bottom),
        lambda t, b, axis: t.sum(axis=axis) / b.sum(axis=axis),
        n_resamples=20_000,
        method="BCa",
        paired=True,
        rng=np.random.default_rng(1),
    ).confidence_interval
    width = oracle.high - oracle.low
    assert (one.low, one.high) == pytest.approx((oracle.low, oracle.high), abs=0.03 * width)


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_bca_falls_back_where_all_resamples_lie_on_one_side(side: float) -> None:
    """No bias can be told there, so the interval is the percentile one, and is finite."""
    resampled = side + np.random.default_rng(36).random((500, 1))
    plain, corrected = (
        intervals(np.array([2 * side - 1]), resampled, 0.95, kind, np.array([0.1])) for kind in KINDS
    )
    assert corrected.low == plain.low
    assert corrected.high == plain.high


@pytest.mark.parametrize("acceleration", [5.0, -5.0, math.nan])
def test_bca_falls_back_where_the_acceleration_passes_its_pole(acceleration: float) -> None:
    """Past the pole a level would come from the wrong tail; the percentile interval stands instead."""
    resampled = np.random.default_rng(37).normal(size=(500, 1))
    plain, corrected = (
        intervals(np.zeros(1), resampled, 0.95, kind, np.array([acceleration])) for kind in KINDS
    )
    assert (corrected.low[0], corrected.high[0]) == (plain.low[0], plain.high[0])


@pytest.mark.parametrize("rule", ["mean", "ratio", "smallest mean"])
def test_bca_of_equal_values_has_width_0_and_no_reason(rule: str) -> None:
    """Where nothing varies the bounds are the estimate, and no reason is made up."""
    values = np.full((6, 2), 0.1) if rule != "mean" else np.full(6, 0.1)
    one = REDUCTIONS[rule](values, classes_of(3, 3), Resampling(0.95, 200, np.random.default_rng(0), "bca"))
    assert one.low == one.high == one.estimate
    assert one.standard_error == 0
    assert one.reason is None


def test_the_kind_of_interval_reaches_the_estimate() -> None:
    """`interval` changes bounds, and neither the number nor its error."""
    measurement = a_measurement(np.random.default_rng(38).gamma(0.3, size=60), strata=classes_of(20, 40))
    plain, corrected = (
        statistics.estimate(
            [measurement],
            [0],
            confidence=0.95,
            resamples=1000,
            generator=np.random.default_rng(0),
            interval=kind,
        )
        for kind in KINDS
    )
    assert (plain.estimate, plain.standard_error) == (corrected.estimate, corrected.standard_error)
    assert bounds(corrected)[0] > bounds(plain)[0]
    assert bounds(corrected)[1] > bounds(plain)[1]


# extremes over columns


def test_the_smallest_and_largest_mean_have_the_extremes_of_adjusted_intervals() -> None:
    """Bounds are the least or the largest of what each column has at 1 - 0.05 / 3; the error is its own."""
    strata = classes_of(10, 30)
    values = np.random.default_rng(39).normal([0.0, 0.1, 3.0], [1.0, 0.2, 2.0], (40, 3))
    each = [
        REDUCTIONS["mean"](column, strata, Resampling(1 - 0.05 / 3, 2000, np.random.default_rng(0)))
        for column in values.T
    ]
    for rule, pick in (("smallest mean", min), ("largest mean", max)):
        one = reduced(rule, values, strata)
        number = pick(column.estimate for column in each)
        attained = next(column for column in each if column.estimate == number)
        assert one.estimate == pytest.approx(number)
        assert one.low == pytest.approx(pick(bounds(column)[0] for column in each))
        assert one.high == pytest.approx(pick(bounds(column)[1] for column in each))
        assert one.standard_error == pytest.approx(attained.standard_error)


def test_the_extreme_of_one_column_is_its_mean() -> None:
    """With nothing to choose from nothing is adjusted."""
    values = np.random.default_rng(40).normal(size=30)
    one, mean = reduced("smallest mean", values[:, None]), reduced("mean", values)
    assert (one.estimate, one.low, one.high) == pytest.approx((mean.estimate, mean.low, mean.high))


@pytest.mark.thorough
def test_the_smallest_mean_covers_at_least_its_nominal_share() -> None:
    """Six columns of equal truth, 5 images in each of 4 classes: where choosing one misleads the most."""
    generator, strata, simulations, covered = np.random.default_rng(41), classes_of(*[5] * 4), 600, 0
    for _ in range(simulations):
        shared = generator.normal(size=(20, 1))
        values = 0.6 * shared + 0.8 * generator.normal(size=(20, 6))
        covered += covers(REDUCTIONS["smallest mean"](values, strata, Resampling(0.95, 1000, generator)), 0.0)
    assert covered / simulations >= 0.95 - 3 * binomial_error(0.95, simulations)


def test_the_smallest_proportion_has_the_smallest_of_wilsons_intervals() -> None:
    """Each column has Wilson's interval at 1 - 0.05 / 2, and classes play no part."""
    values = np.zeros((50, 2))
    values[:45, 0] = values[:40, 1] = 1.0
    one = reduced("smallest proportion", values, classes_of(10, 40))
    z = NormalDist().inv_cdf(1 - 0.05 / 4)
    assert one.estimate == 0.8
    assert (one.low, one.high) == pytest.approx((wilson(40, 50, z)[0], wilson(40, 50, z)[1]))
    assert one.standard_error == pytest.approx(math.sqrt(0.8 * 0.2 / 50))


def test_wilsons_interval_is_scipys() -> None:
    """Of every count of 30 the bounds are those of scipy's."""
    for ones in range(31):
        one = reduced("proportion", np.arange(30) < ones, confidence=0.99)
        oracle = stats.binomtest(ones, 30).proportion_ci(0.99, method="wilson")
        assert (one.low, one.high) == pytest.approx((oracle.low, oracle.high))


@pytest.mark.parametrize("rule", ["smallest mean", "largest mean"])
def test_an_extreme_of_several_seeds_is_crossed_column_by_column(rule: str) -> None:
    """Each column's two-way interval at the adjusted confidence; the number is the extreme of means."""
    values, strata = np.random.default_rng(42).normal(size=(4, 12, 3)), classes_of(4, 8)
    pick = min if rule == "smallest mean" else max
    one = estimated(*(a_measurement(rows, rule, strata) for rows in values))
    each = [two_way(values[:, :, column], strata, 1 - 0.05 / 3) for column in range(3)]
    assert one.estimate == pytest.approx(pick(column.estimate for column in each))
    assert one.low == pytest.approx(pick(bounds(column)[0] for column in each))
    assert one.high == pytest.approx(pick(bounds(column)[1] for column in each))
    assert one.standard_error in [column.standard_error for column in each]


@pytest.mark.parametrize("rule", ["smallest mean", "largest mean", "smallest proportion"])
def test_an_extreme_of_two_seeds_has_no_interval(rule: str) -> None:
    """The extreme of the means stands alone, with the reason."""
    values = (np.random.default_rng(43).random((2, 20, 3)) < 0.7).astype(np.float64)
    one = estimated(*(a_measurement(rows, rule, classes_of(10, 10)) for rows in values))
    means = values.mean(axis=(0, 1))
    assert one.estimate == pytest.approx(means.max() if "largest" in rule else means.min())
    assert (one.low, one.high) == (None, None)
    assert "two seeds" in str(one.reason)


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("rule", ["smallest mean", "largest mean"])
def test_an_extreme_with_a_single_value_in_a_class_has_no_interval(rule: str, seeds: int) -> None:
    """One value shows no spread in any column."""
    values = np.random.default_rng(44).normal(size=(seeds, 4, 2))
    one = estimated(*(a_measurement(rows, rule, classes_of(1, 3)) for rows in values))
    assert one.estimate is not None
    assert (one.low, one.high) == (None, None)
    assert "single value" in str(one.reason)


def test_a_smallest_proportion_of_several_seeds_holds_the_crossed_interval_and_wilsons() -> None:
    """It spans both, at the adjusted confidence, and stays within 0 and 1."""
    values = (np.random.default_rng(45).random((3, 40, 2)) < [0.9, 0.7]).astype(np.float64)
    one = estimated(*(a_measurement(rows, "smallest proportion", classes_of(10, 30)) for rows in values))
    crossed, share = two_way(values[:, :, 1], None, 0.975), values[:, :, 1].mean()
    low, high = wilson(float(40 * share), 40, NormalDist().inv_cdf(0.9875))
    assert one.estimate == pytest.approx(share)
    assert one.low == pytest.approx(min(low, bounds(crossed)[0]))
    assert one.high == pytest.approx(max(high, bounds(crossed)[1]))
    assert bounds(one)[1] <= 1


def test_all_ones_in_every_seed_leave_doubt() -> None:
    """A share of 1 has Wilson's lower bound, of as many images as there are, not an interval of width 0."""
    one = estimated(*[a_measurement(np.ones((60, 2)), "smallest proportion")] * 3)
    low, high = bounds(one)
    assert low == pytest.approx(wilson(60, 60, NormalDist().inv_cdf(0.9875))[0])
    assert high == one.estimate == 1.0


@pytest.mark.parametrize("values", [[[0.02]], [[0.02], [0.5], [0.1]], [[0.5], [0.1]]])
def test_the_largest_number_of_any_seeds_is_their_largest(values: list[list[float]]) -> None:
    """It has no interval, and says so, of one seed, of two and of three."""
    one = estimated(*(a_measurement(row, "largest") for row in values))
    assert one.estimate == max(row[0] for row in values)
    assert (one.low, one.high) == (None, None)
    assert "largest" in str(one.reason)
