"""Rules that make one number with an interval of one seed's values."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.records import Floats, Ints
from harness.statistics.resampling import (
    INTERVAL,
    Intervals,
    Kind,
    mean_intervals,
    ratio_intervals,
    smallest_stratum,
    stratified_mean,
)

SINGLE_VALUE = "no interval: a class has a single value"


@dataclass(frozen=True)
class Reduced:
    """An estimate, its interval's bounds and its standard error; None where there is none, and why."""

    estimate: float
    low: float | None = None
    high: float | None = None
    standard_error: float | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Resampling:
    """How an interval is made.

    Attributes:
        confidence: Nominal.
        resamples: Bootstrap resamples.
        generator: Draws them.
        interval: `percentile` or `bca`.
    """

    confidence: float
    resamples: int
    generator: np.random.Generator
    interval: Kind = INTERVAL

    @property
    def settings(self) -> tuple[float, int, np.random.Generator, Kind]:
        """The same as arguments."""
        return self.confidence, self.resamples, self.generator, self.interval

    def of_each(self, columns: int) -> Resampling:
        """The same for each of several columns whose intervals are to hold together."""
        return replace(self, confidence=of_each(self.confidence, columns))


Reduction = Callable[[Floats, "Ints | None", Resampling], Reduced]


def _column(of: Intervals, column: int = 0) -> Reduced:
    return Reduced(
        float(of.estimate[column]),
        float(of.low[column]),
        float(of.high[column]),
        float(of.standard_error[column]),
    )


def _mean(values: Floats, strata: Ints | None, how: Resampling) -> Reduced:
    """The stratified mean, with the bootstrap's interval of scaled deviations."""
    if smallest_stratum(values, strata) < 2:
        return Reduced(float(stratified_mean(values, strata)), reason=SINGLE_VALUE)
    return _column(mean_intervals(values[:, None], strata, *how.settings))


def _ratio(values: Floats, strata: Ints | None, how: Resampling) -> Reduced:
    """The sum of the first column over the sum of the second, both resampled together."""
    if smallest_stratum(values, strata) < 2:
        top, bottom = stratified_mean(values, strata)
        return Reduced(float(top / bottom), reason=SINGLE_VALUE)
    tops, bottoms = values[:, :1], values[:, 1:]
    return _column(ratio_intervals(tops, bottoms, strata, *how.settings))


def wilson(share: float, n: int, confidence: float) -> tuple[float, float]:
    """Wilson's interval of a share of n (Wilson 1927)."""
    from scipy import special  # a report needs none of it, and it takes half a second to import

    z = float(special.ndtri((1 + confidence) / 2))
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # at a share of 0 or 1 the bound is the share, which rounding would miss
    return (0.0 if share == 0 else middle - half), (1.0 if share == 1 else middle + half)


def _proportion(values: Floats, strata: Ints | None, how: Resampling) -> Reduced:
    """The share of ones, with Wilson's interval."""
    n, share = len(values), float(values.mean())
    return Reduced(share, *wilson(share, n, how.confidence), math.sqrt(share * (1 - share) / n))


def _quantile(q: float) -> Reduction:
    def reduce(values: Floats, strata: Ints | None, how: Resampling) -> Reduced:
        """The quantile over all images, with the distribution-free interval of order statistics."""
        from scipy import stats  # takes a second to import, and a report needs none of it

        found: Any = stats.quantile_test(values, p=q).confidence_interval(how.confidence)
        bounded = math.isfinite(found.low) and math.isfinite(found.high)
        reason = None if bounded else f"no interval: {len(values)} values do not bound this quantile"
        return Reduced(
            float(np.quantile(values, q)),
            float(found.low) if bounded else None,
            float(found.high) if bounded else None,
            None,
            reason,
        )

    return reduce


def of_each(confidence: float, columns: int) -> float:
    """The confidence of each column's interval that holds all of them together (Bonferroni)."""
    return 1 - (1 - confidence) / columns


def extreme(columns: list[Reduced], pick: Callable[[list[float]], float]) -> Reduced:
    """The smallest (`min`) or the largest (`max`) of several columns' numbers.

    Where every column's interval covers its number, the extreme of the lower bounds and that of the upper
    ones enclose the extreme of the numbers. So intervals that hold together give one that holds, and is on
    the wide side. The standard error is that of the column that attains the extreme.
    """
    number = pick([one.estimate for one in columns])
    attained = next(one for one in columns if one.estimate == number)
    lows = [one.low for one in columns if one.low is not None]
    highs = [one.high for one in columns if one.high is not None]
    if len(lows) < len(columns) or len(highs) < len(columns):
        return Reduced(number, reason=next(one.reason for one in columns if one.reason))
    return Reduced(number, pick(lows), pick(highs), attained.standard_error)


def _extreme_mean(pick: Callable[[list[float]], float]) -> Reduction:
    def reduce(values: Floats, strata: Ints | None, how: Resampling) -> Reduced:
        """The extreme of the columns' stratified means, with a simultaneous interval."""
        if smallest_stratum(values, strata) < 2:
            return Reduced(pick(stratified_mean(values, strata).tolist()), reason=SINGLE_VALUE)
        columns = values.shape[1]
        found = mean_intervals(values, strata, *how.of_each(columns).settings)
        return extreme([_column(found, column) for column in range(columns)], pick)

    return reduce


def _smallest_proportion(values: Floats, strata: Ints | None, how: Resampling) -> Reduced:
    """The smallest of the columns' shares of ones, with a simultaneous interval; classes play no part."""
    each = how.of_each(values.shape[1])
    return extreme([_proportion(one, None, each) for one in values.T], min)


def _number(values: Floats, strata: Ints | None, how: Resampling) -> Reduced:
    """The one value itself."""
    return Reduced(float(values[0]), reason="one number a run has no interval")


def _largest(values: Floats, strata: Ints | None, how: Resampling) -> Reduced:
    """The largest of the values, alone; of several seeds the largest of theirs."""
    return Reduced(float(values.max()), reason="a largest number has no interval")


def _census(values: Floats, strata: Ints | None, how: Resampling) -> Reduced:
    """The mean of everything there is: nothing was sampled, so the interval has no width."""
    mean = float(values.mean())
    return Reduced(mean, mean, mean, 0.0)


REDUCTIONS: dict[str, Reduction] = {
    "mean": _mean,
    "equivalence": _mean,
    "ratio": _ratio,
    "proportion": _proportion,
    "median": _quantile(0.5),
    "95th percentile": _quantile(0.95),
    "smallest mean": _extreme_mean(min),
    "largest mean": _extreme_mean(max),
    "smallest proportion": _smallest_proportion,
    "number": _number,
    "largest": _largest,
    "census": _census,
}
"""Rules `(values, strata, how) -> Reduced`. `equivalence` is the
mean with the interval of two one-sided tests: 90 % where 95 % is nominal (Schuirmann 1987)."""

OF_PARTS = frozenset({"ratio", "smallest mean", "largest mean", "smallest proportion"})
"""The rules that take values [n, parts]; all others take one value of each, [n]."""
