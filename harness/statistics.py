"""From values by image to one number with an interval; and what a seed adds to the doubt.

Classes are strata, not clusters: every class weighs the same and is resampled on its own. Images are
crossed with seeds: every seed explains the same images.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from harness.records import Estimate, Floats, Ints, Measurement

_DRAWS_AT_ONCE = 4_000_000
"""Resampled values in memory at once; keeps the bootstrap's memory flat."""

MISSING_SHARE = 0.01
"""Where more images than this have no value, or a whole class, there is no estimate."""

ONE_MODEL = "this model, on images like these"
RECIPE = "networks of this recipe, on images like these"


@dataclass(frozen=True)
class Reduced:
    """An estimate, its interval's bounds and its standard error; None where there is none, and why."""

    estimate: float
    low: float | None = None
    high: float | None = None
    standard_error: float | None = None
    reason: str | None = None


def _strata_of(values: Floats, strata: Ints | None) -> list[Ints]:
    """The positions of each stratum's values."""
    if strata is None:
        return [np.arange(len(values))]
    return [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]


def stratified_mean(values: Floats, strata: Ints | None = None) -> Floats:
    """The mean over strata of the means within them, over the first axis: each class weighs the same."""
    means = [values[members].mean(axis=0) for members in _strata_of(values, strata)]
    return np.asarray(np.mean(means, axis=0))


def bootstrap_deviations(
    values: Floats, strata: Ints | None, resamples: int, generator: np.random.Generator
) -> Floats:
    """Resampled deviations of the stratified mean, corrected for small strata.

    Each stratum of n values is resampled on its own, jointly over columns, and its deviations are scaled
    by sqrt(n / (n - 1)): a resampled mean's variance is (n - 1) / n of the unbiased one (Davison and
    Hinkley 1997, section 2.3 and 3.2).

    Args:
        values: float64 [n, columns].
        strata: int [n], or None for a single stratum; each at least two values.
        resamples: How many.
        generator: Draws them.

    Returns:
        float64 [resamples, columns].
    """
    members = _strata_of(values, strata)
    total = np.zeros((resamples, values.shape[1]))
    for positions in members:
        within, n = values[positions], len(positions)
        columns = np.ascontiguousarray((within - within.mean(axis=0)).T)
        scale = math.sqrt(n / (n - 1)) / len(members)
        part = max(1, _DRAWS_AT_ONCE // n)
        for start in range(0, resamples, part):
            # 32-bit draws, and a column at a time: many times faster than rows of 64-bit indices
            drawn = generator.integers(0, n, (min(part, resamples - start), n), dtype=np.int32)
            for column, centred in enumerate(columns):
                total[start : start + part, column] += scale * centred.take(drawn).mean(axis=1)
    return total


def _mean(
    values: Floats, strata: Ints | None, confidence: float, resamples: int, generator: np.random.Generator
) -> Reduced:
    """The stratified mean, with the bootstrap's percentile interval of scaled deviations."""
    estimate = float(stratified_mean(values, strata))
    if min(len(members) for members in _strata_of(values, strata)) < 2:
        return Reduced(estimate, reason="no interval: a class has a single value")
    if all(np.ptp(values[members]) == 0 for members in _strata_of(values, strata)):
        return Reduced(estimate, estimate, estimate, 0.0)
    deviations = bootstrap_deviations(values[:, None], strata, resamples, generator)[:, 0]
    return _percentiles(estimate, estimate + deviations, confidence)


def _percentiles(estimate: float, resampled: Floats, confidence: float) -> Reduced:
    tail = (1 - confidence) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Reduced(estimate, float(low), float(high), float(resampled.std(ddof=1)))


def _ratio(
    values: Floats, strata: Ints | None, confidence: float, resamples: int, generator: np.random.Generator
) -> Reduced:
    """The sum of the first column over the sum of the second, both resampled together."""
    means = stratified_mean(values, strata)
    if min(len(members) for members in _strata_of(values, strata)) < 2:
        return Reduced(float(means[0] / means[1]), reason="no interval: a class has a single value")
    deviations = bootstrap_deviations(values, strata, resamples, generator)
    top, bottom = (means + deviations).T
    return _percentiles(float(means[0] / means[1]), top / bottom, confidence)


def _proportion(
    values: Floats, strata: Ints | None, confidence: float, resamples: int, generator: np.random.Generator
) -> Reduced:
    """The share of ones, with Wilson's interval (Wilson 1927)."""
    n, share = len(values), float(values.mean())
    test = stats.binomtest(int(values.sum()), n)
    interval = test.proportion_ci(confidence, method="wilson")
    return Reduced(share, float(interval.low), float(interval.high), math.sqrt(share * (1 - share) / n))


def _quantile(q: float) -> Callable[..., Reduced]:
    def reduce(
        values: Floats, strata: Ints | None, confidence: float, resamples: int, generator: np.random.Generator
    ) -> Reduced:
        """The quantile over all images, with the distribution-free interval of order statistics."""
        interval: Any = stats.quantile_test(values, p=q).confidence_interval(confidence)
        bounded = math.isfinite(interval.low) and math.isfinite(interval.high)
        reason = None if bounded else f"no interval: {len(values)} values do not bound this quantile"
        return Reduced(
            float(np.quantile(values, q)),
            float(interval.low) if bounded else None,
            float(interval.high) if bounded else None,
            None,
            reason,
        )

    return reduce


def _smallest(
    values: Floats, strata: Ints | None, confidence: float, resamples: int, generator: np.random.Generator
) -> Reduced:
    """The smallest of the columns' stratified means."""
    return Reduced(float(stratified_mean(values, strata).min()), reason="a minimum has no regular interval")


def _number(
    values: Floats, strata: Ints | None, confidence: float, resamples: int, generator: np.random.Generator
) -> Reduced:
    """The one value itself."""
    return Reduced(float(values[0]), reason="one number a run has no interval")


def _census(
    values: Floats, strata: Ints | None, confidence: float, resamples: int, generator: np.random.Generator
) -> Reduced:
    """The mean of everything there is: nothing was sampled, so the interval has no width."""
    mean = float(values.mean())
    return Reduced(mean, mean, mean, 0.0)


REDUCTIONS: dict[str, Callable[..., Reduced]] = {
    "mean": _mean,
    "equivalence": _mean,
    "ratio": _ratio,
    "proportion": _proportion,
    "median": _quantile(0.5),
    "95th percentile": _quantile(0.95),
    "smallest": _smallest,
    "number": _number,
    "census": _census,
}
"""Rules `(values, strata, confidence, resamples, generator) -> Reduced`. `equivalence` is the mean with
the interval of two one-sided tests: 90 % where 95 % is nominal (Schuirmann 1987)."""


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
    members = _strata_of(values.T, strata)
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
    half = float(stats.t.ppf((1 + confidence) / 2, degrees)) * error
    return Reduced(estimate, estimate - half, estimate + half, error)


def _across_seeds(by_seed: Sequence[Measurement], rows: Sequence[Floats], confidence: float) -> Reduced:
    """The recipe's estimate of several seeds' values."""
    first, strata = by_seed[0], by_seed[0].strata
    alone = [
        REDUCTIONS[first.reduction](values, strata, confidence, 100, np.random.default_rng(0)).estimate
        for values in rows
    ]
    if first.reduction == "census":
        mean = float(np.mean(alone))
        return Reduced(mean, mean, mean, 0.0)
    if len(rows) == 2:
        return Reduced(float(np.mean(alone)), reason="two seeds give no interval for the recipe")
    if strata is not None and min(len(members) for members in _strata_of(rows[0], strata)) < 2:
        return Reduced(float(np.mean(alone)), reason="no interval: a class has a single value")
    if first.reduction in ("mean", "equivalence", "proportion"):
        return two_way(np.stack(rows), strata, confidence)
    if first.reduction == "ratio":
        # linearised: values whose mean is the ratio, and whose spread is the ratio's influence by image
        influences = [
            ratio + (values[:, 0] - ratio * values[:, 1]) / values[:, 1].mean()
            for ratio, values in zip(alone, rows, strict=True)
        ]
        return two_way(np.stack(influences), strata, confidence)
    if first.reduction == "smallest":
        return Reduced(float(np.mean(alone)), reason="a minimum has no regular interval")
    if first.reduction != "number":
        return Reduced(float(np.mean(alone)), reason="a quantile over seeds and images has no interval here")
    return two_way(np.array(alone)[:, None], None, confidence)


def estimate(
    by_seed: Sequence[Measurement],
    seeds: Sequence[int],
    *,
    confidence: float,
    resamples: int,
    generator: np.random.Generator,
) -> Estimate:
    """One number with its interval, of one seed's measurement or of several seeds' together.

    Images without a value in any seed (a constant map has no correlation) are left out of all, and the
    estimate says how many.

    Args:
        by_seed: The same measurement, a record for each seed, its values in the same order of images.
        seeds: The seeds.
        confidence: Nominal confidence.
        resamples: Bootstrap resamples.
        generator: Draws them.
    """
    first = by_seed[0]
    if first.reduction == "equivalence":
        confidence = 2 * confidence - 1
    known: dict[str, Any] = dict(
        name=first.name,
        title=first.title,
        unit=first.unit,
        higher_is_better=first.higher_is_better,
        seed=seeds[0] if len(seeds) == 1 else None,
        confidence=round(confidence, 12),
        population=ONE_MODEL if len(seeds) == 1 else RECIPE,
    )
    nothing: dict[str, Any] = dict.fromkeys(("estimate", "low", "high", "standard_error"))
    for seed, measurement in zip(seeds, by_seed, strict=True):
        if measurement.reason:
            where = f"seed {seed}: " if len(seeds) > 1 else ""
            return Estimate(**known, **nothing, n=0, reason=where + measurement.reason)
    stacked = np.stack([measurement.values for measurement in by_seed])
    if np.isinf(stacked).any():
        infinite = int(np.isinf(stacked).reshape(len(seeds), stacked.shape[1], -1).any(axis=(0, 2)).sum())
        reason = f"{infinite} of {stacked.shape[1]} images have infinite values"
        return Estimate(**known, **nothing, n=0, reason=reason)
    there = np.asarray(~np.isnan(stacked).reshape(len(seeds), stacked.shape[1], -1).any(axis=(0, 2)))
    left_out = int((~there).sum())
    missing = f"{left_out} of {len(there)} images have no value" if left_out else None
    classes = np.zeros(len(there)) if first.strata is None else first.strata
    if left_out > MISSING_SHARE * len(there) or len(set(classes[there])) < len(set(classes)):
        return Estimate(**known, **nothing, n=len(there) - left_out, reason=missing)
    strata = None if first.strata is None else first.strata[there]
    rows = [values[there] for values in stacked]
    if len(seeds) == 1:
        reduced = REDUCTIONS[first.reduction](rows[0], strata, confidence, resamples, generator)
    else:
        reduced = _across_seeds([_with_strata(m, strata) for m in by_seed], rows, confidence)
    return Estimate(
        **known,
        estimate=reduced.estimate,
        low=reduced.low,
        high=reduced.high,
        standard_error=reduced.standard_error,
        n=len(rows[0]),
        reason="; ".join(filter(None, [reduced.reason, missing])) or None,
    )


def _with_strata(measurement: Measurement, strata: Ints | None) -> Measurement:
    return Measurement(**vars(measurement) | {"strata": strata})
