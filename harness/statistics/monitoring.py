"""Whether a number has moved since the nights before, or is noise.

Two rules, for what comes at once and for what comes slowly: a prediction for one more night, and a cumulative
sum of ranks. Both learn from the series itself from its first night on; a limit that was taken from a few
nights of reference would alarm far too often (Lombard and Hawkins, arXiv 1904.00340).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist

import numpy as np

ALLOWANCE = 0.5
"""k of the cumulative sum, in standard deviations: half of the shift that it finds soonest."""

NIGHTS_BETWEEN_FALSE_ALARMS = 365
"""On average, over all charts together."""

_NODES = 60
"""Of the rule that solves for a chart's mean run; 200 give the same nine digits."""

_NORMAL = NormalDist()


def normal_score(below: int, equal: int, n: int) -> float:
    """The sequential normal score of a series' newest value (Conover, Tercero-Gómez and Cordero-Franco 2017).

    z = Φ⁻¹((rank - ½) / n), the rank among all values so far, a tie's the middle one. In a series without
    change the ranks are independent of each other and of the values' distribution, so that a chart of the
    scores keeps its rate of false alarms whatever the noise is like.

    Args:
        below: How many earlier values are smaller.
        equal: How many earlier ones are equal.
        n: How many values there are, the newest included.
    """
    return _NORMAL.inv_cdf((below + (equal + 1) / 2) / n)


def normal_scores(values: Sequence[float]) -> list[float]:
    """The normal scores of values among each other: Φ⁻¹((rank - ½) / n), a tie's rank the middle one."""
    order = sorted(values)
    places = [place(order, one) for one in values]
    return [normal_score(below, equal - 1, len(order)) for below, equal in places]


def place(order: Sequence[float], value: float) -> tuple[int, int]:
    """How many of sorted values are smaller than this one, and how many are equal."""
    below = bisect_left(order, value)
    return below, bisect_right(order, value, lo=below) - below


def improbability(earlier: Sequence[float], value: float) -> float:
    """The probability that one more value is as large as this one, or larger.

    Student's t for a new value, of a deviate that takes the earlier values' own shape into account. A normal
    deviate d stands in skewed, heavy-tailed noise at

        ((1 - a² + a d)³ - 1) / 3a + b (d³ - 3d) / 24

    with a, a sixth of the skewness where that is positive (Wilson and Hilferty 1931), and b, what of the
    excess kurtosis lies beyond its standard error (the term of Cornish and Fisher 1938), of both tails or of
    twice the upper one, whichever is less, for a lower tail says nothing of an upper one. Student's t alone
    would alarm far too often in a tail, and on normal noise this costs little.

    Args:
        earlier: Three values or more that are not all equal.
        value: The new one.
    """
    from scipy import special  # a night without anything remarkable needs none of it

    n, values = len(earlier), np.asarray(earlier, dtype=np.float64)
    deviations = values - values.mean()
    variance = float((deviations**2).mean())
    deviate = (value - float(values.mean())) / np.sqrt(variance * n / (n - 1) * (1 + 1 / n))
    skewness = float((deviations**3).mean()) / variance**1.5 * np.sqrt(n * (n - 1)) / (n - 2)
    tails = min(float((deviations**4).mean()), 2 * float((np.maximum(deviations, 0) ** 4).mean()))
    kurtosis = tails / variance**2 - 3
    a, b = max(0.0, skewness) / 6, max(0.0, kurtosis - np.sqrt(24 / n))
    c = 1 - a**2
    cubic = [a**2 / 3 + b / 24, a * c, c**2 - b / 8, -a + a**3 - a**5 / 3 - deviate]
    roots = np.roots(cubic)
    return float(special.stdtr(n - 1, -roots[roots.imag == 0].real.max()))


@lru_cache(maxsize=64)
def limit(charts: int) -> float:
    """The height h at which a cumulative sum alarms.

    With it, all charts together alarm falsely once in 365 nights on average: one of them in 365 nights times
    their number. Expectations add, so that this holds however the measurements hang together.

    Args:
        charts: How many there are, at least 1.
    """
    if charts < 1:
        raise ValueError(f"a limit needs at least one chart (got {charts})")
    wanted, h = NIGHTS_BETWEEN_FALSE_ALARMS * charts, 4.0
    while True:
        # a mean run grows nearly like exp(h), so that this step all but ends at the answer
        step = float(np.log(wanted / expected_nights(h, 0.0)))
        h += step
        if abs(step) < 1e-9:
            return h


def expected_nights(h: float, shift: float) -> float:
    """The nights until a cumulative sum of normal values alarms, on average.

    The mean run L(u) from a height u solves L(u) = 1 + L(0) Φ(k - u - shift) + ∫₀ʰ L(y) φ(y - u + k - shift)
    dy (Page 1954), here by Gauss and Legendre's rule.

    Args:
        h: The limit.
        shift: A lasting change from the first night on, in standard deviations; 0 tells how long it takes
            until a false alarm. Mean and standard deviation are taken as known.
    """
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    heights = np.concatenate([[0.0], h / 2 * (nodes + 1)])
    steps = heights[None, :] - heights[:, None] + ALLOWANCE - shift
    moves = np.exp(-(steps**2) / 2) / np.sqrt(2 * np.pi) * np.concatenate([[0.0], h / 2 * weights])
    moves[:, 0] = [_NORMAL.cdf(ALLOWANCE - height - shift) for height in heights.tolist()]
    return float(np.linalg.solve(np.eye(len(heights)) - moves, np.ones(len(heights)))[0])


def likely_starts(
    values: Sequence[float], candidates: Sequence[int], units: float = 2.0
) -> tuple[int, int, int]:
    """Where a rise of the mean most likely began, and how early and how late it may have been.

    Normal values with one mean before, another from the start on, and the same standard deviation, all
    unknown; a start counts as possible within `units` of the largest log-likelihood.

    Args:
        values: In order, the newest last.
        candidates: Indices of values that may be the first of the new level, each 1 or more.
        units: Of log-likelihood.

    Returns:
        The likeliest index, the earliest, and the latest.
    """
    numbers = np.asarray(values, dtype=np.float64)
    n, starts = len(numbers), np.asarray(candidates)
    numbers = numbers - numbers.mean()
    later = numbers[::-1].cumsum()[::-1][starts]
    # the sum of squares between the two levels; their total is 0 after centring
    between = np.where(later > 0, later**2 * n / (starts * (n - starts)), 0.0)
    within = np.maximum(float((numbers**2).sum()) - between, np.finfo(np.float64).tiny)
    likelihoods = -n / 2 * np.log(within)
    possible = starts[likelihoods >= likelihoods.max() - units]
    return int(starts[likelihoods.argmax()]), int(possible.min()), int(possible.max())


def sd_within(*groups: Sequence[float]) -> float:
    """The standard deviation of values about their own group's mean.

    Args:
        groups: Values by group, more of them than there are groups.
    """
    squares = sum(float(((values - values.mean()) ** 2).sum()) for values in map(np.asarray, groups))
    return float(np.sqrt(squares / (sum(map(len, groups)) - len(groups))))
