"""Where a series changed its level, seen from afterwards: for a page to draw, never to alarm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SHORTEST = 5
"""Values that a level has at least; fewer are an outlier, not a level."""


def change_points(values: Sequence[float], penalty: float | None = None) -> list[int]:
    """The indices at which a new level starts.

    The partition into levels with the least sum of squares about their means, plus a penalty for each
    change, found exactly by dynamic programming (optimal partitioning; Jackson et al. 2005).

    Args:
        values: In order, finite.
        penalty: What each change must save, in squared units of the values. None takes 3 σ² ln n, which is
            that of BIC for a place, a level and a variance, with σ of the differences of neighbours
            (see `noise`), which a change of level hardly touches.
    """
    numbers = np.asarray(values, dtype=np.float64)
    n = len(numbers)
    if n < 2 * SHORTEST:
        return []
    if penalty is None:
        penalty = 3 * noise(numbers) ** 2 * float(np.log(n))
    numbers = numbers - numbers.mean()
    sums, squares = (np.concatenate([[0.0], part.cumsum()]) for part in (numbers, numbers**2))
    # what costs nothing saves nothing: rounding must not make a change of a constant
    slack = 1e-12 * float(squares[-1])
    best, came_from = np.full(n + 1, np.inf), np.zeros(n + 1, dtype=np.int64)
    best[0] = -penalty
    for end in range(SHORTEST, n + 1):
        starts = np.arange(0, end - SHORTEST + 1)
        costs = squares[end] - squares[starts] - (sums[end] - sums[starts]) ** 2 / (end - starts)
        totals = best[starts] + np.maximum(costs, 0.0) + penalty + slack
        came_from[end] = totals.argmin()
        best[end] = totals.min()
    found = []
    end = int(came_from[n])
    while end > 0:
        found.append(end)
        end = int(came_from[end])
    return found[::-1]


def noise(values: Sequence[float] | np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """The standard deviation of values about levels that change seldom.

    Of the differences of neighbours, by their quartiles: the normal distribution's standard deviation where
    they have its spread. Where more than half of them are equal, the differences' root mean square instead.

    Args:
        values: Two or more, in order.
    """
    steps = np.diff(np.asarray(values, dtype=np.float64))
    spread = float(np.subtract(*np.quantile(steps, [0.75, 0.25]))) / 1.3489795
    return (spread or float(np.sqrt((steps**2).mean()))) / float(np.sqrt(2))
