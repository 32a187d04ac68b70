"""Intervals of many numbers that hold together, where few seeds tell how doubtful each is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.records import Floats
from harness.statistics.crossed import Spread
from harness.statistics.permutation import holm
from harness.statistics.reductions import of_each

_DIGITS = 1e-9
"""How close, as a share of it, a p is found."""

_LEAST = 1e-300
"""Below this a p is 0: Student's quantile there, and its square, are still numbers."""


@dataclass(frozen=True, eq=False)
class Together:
    """Bounds that hold together, and adjusted p-values: float64 [numbers]."""

    low: Floats
    high: Floats
    p: Floats


@dataclass(frozen=True, eq=False)
class _Doubts:
    """Of several means: each, and the two parts of its variance with their degrees of freedom."""

    means: Floats
    few: Floats
    many: Floats
    few_freedom: Floats
    many_freedom: Floats

    @classmethod
    def of(cls, spreads: Sequence[Spread]) -> _Doubts:
        # of one seed, all doubt is the images'
        rows = [
            (
                one.estimate,
                one.seeds,
                max(one.variance - one.seeds, 0.0),
                one.seed_freedom or one.image_freedom,
                one.image_freedom,
            )
            for one in spreads
        ]
        return cls(*np.array(rows, dtype=np.float64).reshape(len(rows), 5).T)

    def half_widths(self, tails: Floats) -> Floats:
        """Half the width of each interval that misses with twice the probability of a tail."""
        from scipy import special  # a report needs none of it, and it takes half a second to import

        few, many = (special.stdtrit(one, tails) for one in (self.few_freedom, self.many_freedom))
        return np.sqrt(few**2 * self.few + many**2 * self.many)

    def p_values(self) -> Floats:
        """Two-sided: the probability with which the interval that 0 just leaves would miss."""
        from scipy import special  # likewise

        error, distance = np.sqrt(self.few + self.many), np.abs(self.means)
        ratio = np.divide(distance, error, out=np.where(distance > 0, np.inf, 0.0), where=error > 0)
        # Student's tails of either degrees of freedom enclose it
        tails = [special.stdtr(one, -ratio) for one in (self.few_freedom, self.many_freedom)]
        low, high = np.log(np.maximum(np.sort(tails, axis=0), _LEAST))
        while (high - low).max(initial=0.0) > _DIGITS:
            middle = (low + high) / 2
            left = self.half_widths(np.exp(middle)) <= distance
            low, high = np.where(left, low, middle), np.where(left, middle, high)
        # not the upper end: an interval that 0 has left must not have a larger p
        return np.where(high > np.log(_LEAST), np.minimum(2 * np.exp(low), 1.0), 0.0)


def together(numbers: Sequence[Sequence[Spread]], confidence: float) -> Together:
    """Intervals of several numbers that hold together, and their p-values against 0.

    A mean whose variance has a part of few degrees of freedom (of seeds) and one of many (of images) lies
    within sqrt(t1^2 v1 + t2^2 v2) of the truth, where t1 and t2 are Student's quantiles of each part's own
    degrees (Howe 1974). Satterthwaite's degrees, which `two_way` takes for one interval of 95 %, are
    estimated of few seeds themselves: far out in the tails, where intervals that hold together end, those
    with them miss up to ten times as often as they say. Levels are Bonferroni's: errors that are estimated
    of few seeds each hardly move together, and a multivariate t of the estimated covariance misses more
    often still.

    The p-values are those at which the same intervals just hold 0, and Holm adjusts them. He is never
    stricter than Bonferroni: an interval without 0 has p <= 1 - confidence; one that holds 0 may have
    such a p, too.

    Args:
        numbers: Of each number the spread of its mean; of one that is an extreme over several columns, those
            of the columns' changes. Columns' intervals that hold together enclose the extreme's change.
        confidence: That all hold.
    """
    columns = np.array([len(one) for one in numbers], dtype=np.int64)
    if not len(columns):
        return Together(*np.empty((3, 0)))
    doubts = _Doubts.of([column for one in numbers for column in one])
    each = of_each(confidence, len(columns))
    half = doubts.half_widths(np.repeat((1 - each) / columns / 2, columns))
    starts = np.concatenate([[0], np.cumsum(columns)[:-1]])
    low = np.minimum.reduceat(doubts.means - half, starts)
    high = np.maximum.reduceat(doubts.means + half, starts)
    # 0 leaves the enclosing interval when it has left every column's, on the same side
    signs = np.sign(doubts.means)
    one_sided = np.minimum.reduceat(signs, starts) == np.maximum.reduceat(signs, starts)
    p = np.minimum(np.maximum.reduceat(doubts.p_values(), starts) * columns, 1.0)
    return Together(low, high, holm(np.where(one_sided, p, 1.0)))
