"""What a seed adds to the doubt: images crossed with seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.kinds import IMAGES, Words
from harness.records import Floats, Ints
from harness.statistics.reductions import (
    REDUCTIONS,
    SINGLE_VALUE,
    Reduced,
    Resampling,
    extreme,
    of_each,
    wilson,
)
from harness.statistics.resampling import smallest_stratum, stratified_mean

TWO_SEEDS = "two seeds give no interval for the recipe"

_EXTREMES: dict[str, Callable[..., Any]] = {
    "smallest mean": min,
    "largest mean": max,
    "smallest proportion": min,
}


@dataclass(frozen=True, eq=False)
class Classes:
    """Where the images of each class lie, so that many values of the same images are grouped once.

    Attributes:
        order: int [n], the images class by class; None where they lie so.
        starts: int [classes], where each class begins among them.
        sizes: int [classes].
    """

    order: Ints | None
    starts: Ints
    sizes: Ints

    @classmethod
    def of(cls, strata: Ints | None, images: int) -> Classes:
        """Of int [n], or of one class of so many images."""
        if strata is None:
            return cls(None, np.array([0]), np.array([images]))
        order = np.argsort(strata, kind="stable")
        ordered = strata[order]
        starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        return cls(order, starts, np.diff(starts, append=images))

    def sorted(self, values: Floats) -> Floats:
        """Values [..., n] class by class."""
        return values if self.order is None else values[..., self.order]

    def spread_out(self, values: Floats) -> Floats:
        """Of values [..., classes] each image's: [..., n], class by class."""
        return values if len(self.sizes) == 1 else np.repeat(values, self.sizes, axis=-1)

    def means(self, ordered: Floats) -> Floats:
        """The classes' means of values that lie class by class: of [..., n] float64 [..., classes]."""
        if len(self.sizes) == 1:
            return np.asarray(ordered.mean(axis=-1, keepdims=True))
        return np.asarray(np.add.reduceat(ordered, self.starts, axis=-1) / self.sizes)


@dataclass(frozen=True, slots=True)
class Spread:
    """A mean over seeds and images, and what makes it doubtful: variances of the mean.

    Attributes:
        estimate: The mean over seeds of their stratified means.
        seeds: The variance of seeds' means over their number; 0 of one seed.
        images: That of images' means within class over their number.
        rest: What of both is neither seed nor image; likewise.
        seed_freedom: Degrees of freedom of `seeds`.
        image_freedom: Of `images`; `rest` has the product, or this alone of one seed.
    """

    estimate: float
    seeds: float
    images: float
    rest: float
    seed_freedom: int
    image_freedom: int

    @property
    def variance(self) -> float:
        """Of the mean: the sum without what is counted twice, floored at the larger of both."""
        return max(self.seeds + self.images - self.rest, self.seeds, self.images)


def spread(values: Floats, classes: Classes) -> Spread:
    """The components of the variance of a mean, of seeds and images that are crossed; see `two_way`.

    Args:
        values: float64 [S, N]; of one seed the doubt is that of its images.
        classes: Where the images of each class lie.
    """
    return spreads(values[None], classes)[0]


def spreads(values: Floats, classes: Classes) -> tuple[Spread, ...]:
    """The same of several columns of the same seeds and images, float64 [columns, S, N]."""
    _, seeds, images = values.shape
    count, freedom = len(classes.sizes), max(images - len(classes.sizes), 1)
    ordered = classes.sorted(values)
    means = classes.means(ordered)
    # sums: `mean` takes longer to begin than to add up a few hundred values
    of_seeds, of_images, centres = (
        means.sum(axis=2) / count,
        ordered.sum(axis=1) / seeds,
        means.sum(axis=1) / seeds,
    )
    estimates = of_seeds.sum(axis=1) / seeds
    apart = of_images - classes.spread_out(centres)
    weights = np.maximum(classes.sizes - 1, 1) * classes.sizes * count**2
    b = (np.add.reduceat(apart * apart, classes.starts, axis=1) / weights).sum(axis=1)
    a, e = np.zeros((2, len(values)))
    if seeds > 1:
        apart = of_seeds - estimates[:, None]
        a = (apart * apart).sum(axis=1) / (seeds * (seeds - 1))
        rest = ordered - of_images[:, None] - classes.spread_out(means - centres[:, None])
        e = np.einsum("csn,csn->c", rest, rest) / ((seeds - 1) * freedom * seeds * images)
    # rounding would leave a variance that is not quite 0, with next to no degrees of freedom
    varied = (ordered != classes.spread_out(ordered[:, :1, classes.starts])).any(axis=(1, 2))
    rows = np.stack([estimates, *np.where(varied, [a, b, e], 0.0)], axis=1).tolist()
    return tuple(Spread(mean, a, b, e, seeds - 1, freedom) for mean, a, b, e in rows)


def two_way(values: Floats, strata: Ints | None, confidence: float) -> Reduced:
    """The mean over seeds and images that are crossed, with an interval for the recipe.

    With S seeds, N images and C classes, the variance of the mean is A + B - E: A the variance of seed
    means over S, B that of image means within class over N, E the residual's over S N, floored at the
    larger of A and B; degrees of freedom after Satterthwaite (1946).

    Args:
        values: float64 [S, N], S >= 3.
        strata: int [N], or None.
        confidence: Nominal.
    """
    found = spread(values, Classes.of(strata, values.shape[1]))
    # the number itself as that of one seed is made, to the last digit
    estimate, variance = float(stratified_mean(values.T, strata).mean()), found.variance
    if variance == 0:
        only = float(stratified_mean(values[0], strata))
        return Reduced(only, only, only, 0.0)
    a, b, e, few, freedom = found.seeds, found.images, found.rest, found.seed_freedom, found.image_freedom
    degrees = variance**2 / (a**2 / few + b**2 / freedom + e**2 / (few * freedom))
    error = math.sqrt(variance)
    from scipy import special  # a report needs none of it, and it takes half a second to import

    half = float(special.stdtrit(degrees, (1 + confidence) / 2)) * error
    return Reduced(estimate, estimate - half, estimate + half, error)


def across_seeds(
    reduction: str,
    rows: Sequence[Floats],
    strata: Ints | None,
    confidence: float,
    words: Words = IMAGES,
) -> Reduced:
    """The recipe's estimate of several seeds' values.

    Args:
        reduction: The rule's name.
        rows: Of each of two or more seeds, float64 [n] or [n, columns].
        strata: int [n], or None.
        confidence: Nominal.
        words: What the inputs are called.
    """
    if reduction in _EXTREMES:
        return _extreme_across(reduction, np.stack(rows), strata, confidence)
    alone = [
        REDUCTIONS[reduction](values, strata, Resampling(confidence, 100, np.random.default_rng(0))).estimate
        for values in rows
    ]
    if reduction == "census":
        mean = float(np.mean(alone))
        return Reduced(mean, mean, mean, 0.0)
    if reduction == "largest":
        return Reduced(max(alone), reason="a largest number has no interval")
    if len(rows) == 2:
        return Reduced(float(np.mean(alone)), reason=TWO_SEEDS)
    if strata is not None and smallest_stratum(rows[0], strata) < 2:
        return Reduced(float(np.mean(alone)), reason=SINGLE_VALUE)
    if reduction == "proportion":
        return _share(np.stack(rows), strata, confidence)
    if reduction in ("mean", "equivalence"):
        return two_way(np.stack(rows), strata, confidence)
    if reduction == "ratio":
        # linearised: values whose mean is the ratio, and whose spread is the ratio's influence by image
        influences = [
            ratio + (values[:, 0] - ratio * values[:, 1]) / values[:, 1].mean()
            for ratio, values in zip(alone, rows, strict=True)
        ]
        return two_way(np.stack(influences), strata, confidence)
    if reduction != "number":
        reason = f"a quantile over seeds and {words.noun} has no interval here"
        return Reduced(float(np.mean(alone)), reason=reason)
    return two_way(np.array(alone)[:, None], None, confidence)


def _extreme_across(reduction: str, values: Floats, strata: Ints | None, confidence: float) -> Reduced:
    """The extreme of the columns' numbers for the recipe: of [seeds, n, columns]."""
    pick, shares = _EXTREMES[reduction], reduction == "smallest proportion"
    strata = None if shares else strata
    columns = np.moveaxis(values, -1, 0)
    means = [float(stratified_mean(one.T, strata).mean()) for one in columns]
    if values.shape[0] == 2:
        return Reduced(pick(means), reason=TWO_SEEDS)
    if strata is not None and smallest_stratum(values[0], strata) < 2:
        return Reduced(pick(means), reason=SINGLE_VALUE)
    each, of_column = of_each(confidence, len(columns)), _share if shares else two_way
    return extreme([of_column(one, strata, each) for one in columns], pick)


def _share(values: Floats, strata: Ints | None, confidence: float) -> Reduced:
    """A share of ones for the recipe, of [seeds, n].

    Near 0 and 1 the spread between ones and zeros says little of what was not seen: of all ones it is 0.
    The interval therefore holds Wilson's, of as many values as there are images.
    """
    crossed = two_way(values, strata, confidence)
    low, high = wilson(crossed.estimate, values.shape[1], confidence)
    bounds = min(low, max(0.0, crossed.low or 0.0)), max(high, min(1.0, crossed.high or 0.0))
    return Reduced(crossed.estimate, *bounds, crossed.standard_error)
