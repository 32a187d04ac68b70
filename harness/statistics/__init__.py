"""From values by image to one number with an interval; and what a seed adds to the doubt.

Classes are strata, not clusters: every class weighs the same and is resampled on its own. Images are
crossed with seeds: every seed explains the same images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from harness.kinds import IMAGES, Words
from harness.records import Estimate, Measurement
from harness.statistics.crossed import across_seeds, two_way
from harness.statistics.permutation import holm, pairing_p_values
from harness.statistics.reductions import REDUCTIONS, Reduced, Reduction, Resampling
from harness.statistics.resampling import (
    INTERVAL,
    Kind,
    bootstrap_deviations,
    mean_intervals,
    ratio_intervals,
    stratified_mean,
)
from harness.statistics.sequential import look_confidence, looks

__all__ = [
    "INTERVAL",
    "MISSING_SHARE",
    "ONE_MODEL",
    "RECIPE",
    "REDUCTIONS",
    "Kind",
    "Reduced",
    "Reduction",
    "Resampling",
    "bootstrap_deviations",
    "estimate",
    "holm",
    "look_confidence",
    "looks",
    "mean_intervals",
    "pairing_p_values",
    "ratio_intervals",
    "stratified_mean",
    "two_way",
]

MISSING_SHARE = 0.01
"""Where more images than this have no value, or a whole class, there is no estimate."""

ONE_MODEL = "this model"
RECIPE = "networks of this recipe"
"""Whom an interval speaks of, on inputs like these."""


def estimate(
    by_seed: Sequence[Measurement],
    seeds: Sequence[int],
    *,
    confidence: float,
    resamples: int,
    generator: np.random.Generator,
    interval: Kind = INTERVAL,
    words: Words = IMAGES,
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
        interval: `percentile` or `bca`, of the means and ratios of one seed.
        words: What the inputs are called.
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
        population=f"{ONE_MODEL if len(seeds) == 1 else RECIPE}, on {words.noun} like these",
        definition=first.definition,
    )
    nothing: dict[str, Any] = dict.fromkeys(("estimate", "low", "high", "standard_error"))
    for seed, measurement in zip(seeds, by_seed, strict=True):
        if measurement.reason:
            where = f"seed {seed}: " if len(seeds) > 1 else ""
            return Estimate(**known, **nothing, n=0, reason=where + measurement.reason)
    if len(seeds) > 1 and not first.crossed:
        by_seed = [_as_number(one) for one in by_seed]
        first = by_seed[0]
    stacked = np.stack([measurement.values for measurement in by_seed])
    if np.isinf(stacked).any():
        infinite = int(np.isinf(stacked).reshape(len(seeds), stacked.shape[1], -1).any(axis=(0, 2)).sum())
        reason = f"{infinite} of {stacked.shape[1]} {words.noun} have infinite values"
        return Estimate(**known, **nothing, n=0, reason=reason)
    there = np.asarray(~np.isnan(stacked).reshape(len(seeds), stacked.shape[1], -1).any(axis=(0, 2)))
    left_out = int((~there).sum())
    missing = f"{left_out} of {len(there)} {words.noun} have no value" if left_out else None
    classes = np.zeros(len(there)) if first.strata is None else first.strata
    if left_out > MISSING_SHARE * len(there) or len(set(classes[there])) < len(set(classes)):
        return Estimate(**known, **nothing, n=len(there) - left_out, reason=missing)
    strata = None if first.strata is None else first.strata[there]
    rows = [values[there] for values in stacked]
    if len(seeds) == 1:
        how = Resampling(confidence, resamples, generator, interval)
        reduced = REDUCTIONS[first.reduction](rows[0], strata, how)
    else:
        reduced = across_seeds(first.reduction, rows, strata, confidence, words)
    return Estimate(
        **known,
        estimate=reduced.estimate,
        low=reduced.low,
        high=reduced.high,
        standard_error=reduced.standard_error,
        n=len(rows[0]),
        reason="; ".join(filter(None, [reduced.reason, missing])) or None,
    )


def _as_number(measurement: Measurement) -> Measurement:
    """The mean of a seed's own images as one number; NaN where too many of them have no value."""
    values, strata = measurement.values, measurement.strata
    there = ~np.isnan(values)
    few = (~there).sum() > MISSING_SHARE * len(values)
    mean = stratified_mean(values[there], None if strata is None else strata[there])
    number: dict[str, Any] = dict(reduction="number", values=np.array([np.nan if few else mean]), strata=None)
    return replace(measurement, **number)
