"""Scores, sums and predictions against tables, simulations and other libraries."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.statistics.monitoring import (
    ALLOWANCE,
    expected_nights,
    improbability,
    likely_starts,
    limit,
    normal_score,
    normal_scores,
    place,
    sd_within,
)

quick = settings(derandomize=True, deadline=None, max_examples=60)
numbers = st.floats(-1e6, 1e6, allow_nan=False)


@quick
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=40))
def test_scores_are_of_middle_ranks(values: list[int]) -> None:
    """As scipy ranks, ties in the middle."""
    expected = stats.norm.ppf((stats.rankdata(values) - 0.5) / len(values))
    assert normal_scores(values) == pytest.approx(expected, abs=1e-9)


@quick
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=40))
def test_the_newest_values_score_is_its_score_among_all(values: list[int]) -> None:
    """A sequential score looks at no later value."""
    below, equal = place(sorted(values[:-1]), values[-1])
    assert normal_score(below, equal, len(values)) == normal_scores(values)[-1]


def test_scores_do_not_depend_on_the_distribution() -> None:
    """Whatever keeps the order keeps the scores."""
    values = np.random.default_rng(0).standard_normal(50)
    assert normal_scores(np.exp(values).tolist()) == normal_scores(values.tolist())


# Brook and Evans' Markov chain with many states, as in the research
@pytest.mark.parametrize(
    ("charts", "h", "nights"),
    [
        (1, 4.08, (8.5, 3.4, 2.2)),
        (5, 5.67, (11.7, 4.5, 2.8)),
        (10, 6.36, (13.1, 4.9, 3.1)),
        (16, 6.83, (14.0, 5.2, 3.3)),
        (20, 7.05, (14.5, 5.4, 3.4)),
        (30, 7.46, (15.3, 5.6, 3.6)),
    ],
)
def test_limits_are_those_of_the_table(charts: int, h: float, nights: tuple[float, ...]) -> None:
    """To the table's own hundredth."""
    assert limit(charts) == pytest.approx(h, abs=0.011)
    found = [expected_nights(limit(charts), shift) for shift in (1, 2, 3)]
    assert found == pytest.approx(nights, abs=0.06)


def _markov_chain(h: float, shift: float, states: int = 2000) -> float:
    """The mean run by Brook and Evans (1972): heights in so many cells."""
    width = 2 * h / (2 * states - 1)
    steps = (np.arange(states)[None, :] - np.arange(states)[:, None]) * width + ALLOWANCE - shift
    moves = stats.norm.cdf(steps + width / 2) - stats.norm.cdf(steps - width / 2)
    moves[:, 0] = stats.norm.cdf(steps[:, 0] + width / 2)
    return float(np.linalg.solve(np.eye(states) - moves, np.ones(states))[0])


@pytest.mark.thorough
@pytest.mark.parametrize(("h", "shift"), [(4.0, 0.0), (6.36, 1.0), (2.0, 3.0)])
def test_the_mean_run_is_that_of_a_markov_chain(h: float, shift: float) -> None:
    """Two ways to the same number."""
    assert expected_nights(h, shift) == pytest.approx(_markov_chain(h, shift), rel=1e-4)


def test_a_limit_keeps_its_promise() -> None:
    """All charts' mean time between false alarms is 365 nights, however many they are."""
    for charts in (1, 7, 1000):
        assert expected_nights(limit(charts), 0.0) / charts == pytest.approx(365, rel=1e-8)


def test_a_limit_of_no_chart_is_refused() -> None:
    """There is nothing to alarm."""
    with pytest.raises(ValueError, match="at least one chart"):
        limit(0)


def test_a_prediction_of_symmetric_values_is_students() -> None:
    """Where there is no skewness to take out, the probability is the textbook's."""
    values = [-2.0, -1.0, -0.5, 0.5, 1.0, 2.0]
    deviate = 5.0 / (np.std(values, ddof=1) * np.sqrt(1 + 1 / 6))
    assert improbability(values, 5.0) == pytest.approx(stats.t.sf(deviate, 5), rel=1e-9)


@pytest.mark.thorough
@pytest.mark.parametrize("n", [10, 30, 100])
def test_a_prediction_of_normal_values_keeps_its_promise(n: int) -> None:
    """Of normal values 1 in 100 new ones is as improbable as 0.01, or somewhat fewer; never more."""
    generator = np.random.default_rng(n)
    found = [improbability(row[:-1].tolist(), row[-1]) for row in generator.standard_normal((4000, n + 1))]
    assert 0.003 < np.mean(np.less(found, 0.01)) < 0.013


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["lognormal", "t3"])
def test_the_noises_own_shape_is_taken_into_account(name: str) -> None:
    """A skewed or a heavy upper tail is met far less often than by Student's t alone."""
    generator = np.random.default_rng(0)
    rows = (
        generator.standard_t(3, (6000, 101))
        if name == "t3"
        else np.exp(generator.standard_normal((6000, 101)))
    )
    found = np.mean([improbability(row[:-1].tolist(), row[-1]) < 0.001 for row in rows])
    earlier = rows[:, :-1]
    deviates = (rows[:, -1] - earlier.mean(axis=1)) / earlier.std(axis=1, ddof=1) / np.sqrt(1 + 1 / 100)
    assert found < 0.6 * np.mean(stats.t.sf(deviates, 99) < 0.001)


def test_a_tail_on_the_other_side_hides_nothing() -> None:
    """Where values end, a small step beyond them is improbable, however far the others reach down."""
    values = -np.exp(np.random.default_rng(0).standard_normal(100))
    end, sd = values.max(), values.std(ddof=1)
    assert improbability(values.tolist(), end + 3 * sd) < 0.001
    assert improbability((-values).tolist(), -values.min() + 3 * sd) > 0.001


@pytest.mark.parametrize("deviate", [2.0, 3.0, 4.5])
def test_a_prediction_solves_its_equation(deviate: float) -> None:
    """Put where a deviate stands by the formula of the docstring, a value is as improbable as it."""
    values = np.exp(np.random.default_rng(7).standard_normal(40))
    skewness, kurtosis = stats.skew(values, bias=False), stats.kurtosis(values) - np.sqrt(24 / 40)
    a = skewness / 6
    where = ((1 - a**2 + a * deviate) ** 3 - 1) / (3 * a) + kurtosis * (deviate**3 - 3 * deviate) / 24
    value = values.mean() + where * values.std(ddof=1) * np.sqrt(1 + 1 / 40)
    assert improbability(values.tolist(), value) == pytest.approx(stats.t.sf(deviate, 39), rel=1e-6)


@quick
@given(st.lists(numbers, min_size=4, max_size=30).filter(lambda one: np.ptp(one) > 1e-3), numbers, numbers)
def test_what_lies_further_out_is_less_probable(values: list[float], one: float, other: float) -> None:
    """A probability falls with the value, and is one."""
    near, far = (improbability(values, value) for value in sorted((one, other)))
    assert 1 >= near >= far >= 0


def test_a_start_is_where_the_rise_was_planted() -> None:
    """A clear step is found at its place, and nowhere else."""
    values = [0.0, 0.1, -0.1, 0.05, -0.05, 5.0, 5.1, 4.9]
    assert likely_starts(values, range(1, 8)) == (5, 5, 5)


def test_only_a_rise_counts_as_a_start() -> None:
    """A fall is no start, however clear; a rise that may have begun then or then is a range."""
    values = [9.0, 0.0, 0.1, 0.6, 1.0, 1.1]
    likeliest, earliest, latest = likely_starts(values, range(2, 6))
    assert earliest <= likeliest <= latest
    assert earliest > 1


def test_starts_are_those_of_the_profile_likelihood() -> None:
    """Against the likelihood written out: two means and a standard deviation, each at its best."""
    values = np.random.default_rng(3).standard_normal(30)
    values[20:] += 1.5

    def likelihood(start: int) -> float:
        parts = values[:start], values[start:]
        sd = np.sqrt(sum(((part - part.mean()) ** 2).sum() for part in parts) / 30)
        return float(sum(stats.norm.logpdf(part, part.mean(), sd).sum() for part in parts))

    rises = [start for start in range(1, 30) if values[start:].mean() > values[:start].mean()]
    by_start = {start: likelihood(start) for start in rises}
    best = max(by_start, key=lambda one: by_start[one])
    near = [start for start, found in by_start.items() if found >= by_start[best] - 2]
    assert likely_starts(values.tolist(), range(1, 30)) == (best, min(near), max(near))


def test_the_spread_within_groups_knows_no_difference_between_them() -> None:
    """Levels far apart with one spread."""
    assert sd_within([0.0, 2.0], [100.0, 102.0]) == pytest.approx(np.sqrt(2))
