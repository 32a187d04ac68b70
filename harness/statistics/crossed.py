"""What a seed adds to the doubt: images crossed with seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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
from harness.statistics.resampling import smallest_stratum, strata_of, stratified_mean

TWO_SEEDS = "two seeds give no interval for the recipe"

_EXTREMES: dict[str, Callable[..., Any]] = {
    "smallest mean": min,
    "largest mean": max,
    "smallest proportion": min,
}


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
    seeds = len(values)
    members = strata_of(values.T, strata)
    if all(np.ptp(values[:, positions]) == 0 for positions in members):
        # rounding would leave a variance that is not quite 0, with next to no degrees of freedom
        only = float(stratified_mean(values[0], strata))
        return Reduced(only, only, only, 0.0)
    classes, images = len(members), values.shape[1]
    seed_means = stratified_mean(values.T, strata)
    residual, between_images = 0.0, 0.0
    for positions in members:
        block = values[:, positions]
        image_means = block.mean(axis=0)
        rest = block - image_means - block.mean(axis=1, keepdims=True) + block.mean()
        residual += float((rest**2).sum())
        if len(positions) > 1:
            between_images += float(image_means.var(ddof=1)) / len(positions) / classes**2
    freedom = max(images - classes, 1)
    a = float(seed_means.var(ddof=1)) / seeds
    b = between_images
    e = residual / ((seeds - 1) * freedom) / (seeds * images)
    estimate = float(seed_means.mean())
    variance = max(a + b - e, a, b)
    if variance == 0:
        return Reduced(estimate, estimate, estimate, 0.0)
    degrees = variance**2 / (a**2 / (seeds - 1) + b**2 / freedom + e**2 / ((seeds - 1) * freedom))
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
