"""The change of a number between two networks, or two runs, on the same images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.records import Floats, Ints
from harness.statistics.resampling import INTERVAL, bootstrap_deviations, mean_intervals, stratified_mean

RESAMPLES = 2000
"""Enough for two digits of a bound, and soon done on 10,000 images."""

RULES: Mapping[str, Callable[[Floats], Floats]] = {
    "mean": lambda means: means[..., 0],
    "ratio": lambda means: means[..., 0] / means[..., 1],
    "smallest": lambda means: means.min(axis=-1),
    "largest": lambda means: means.max(axis=-1),
}
"""What makes a number of the stratified means of a measurement's parts: float64 [..., parts] to [...]."""

_PARTS = {"mean": (1, 1), "ratio": (2, 2), "smallest": (2, None), "largest": (2, None)}


@dataclass(frozen=True)
class Change:
    """Second minus first, its interval, and how many images stand behind it."""

    change: float
    low: float
    high: float
    n: int


def rule_of(values: Floats, strata: Ints | None, estimate: float) -> list[str]:
    """The rules that make the estimate of the values, over all images.

    Args:
        values: float64 [n] or [n, parts]; images without a value are left out.
        strata: int [n], or None.
        estimate: The number.
    """
    rows = values.reshape(len(values), -1)
    if strata is not None and len(strata) != len(rows):
        return []
    there = np.isfinite(rows).all(axis=1)
    if not there.any():
        return []
    means = np.atleast_1d(stratified_mean(rows[there], None if strata is None else strata[there]))
    return rules_of(means[None], np.array([estimate]))


def rules_of(means: Floats, estimates: Floats) -> list[str]:
    """The rules that make every seed's estimate of the stratified means of its values.

    Args:
        means: float64 [seeds, parts].
        estimates: float64 [seeds].
    """
    found = []
    for name, rule in RULES.items():
        least, most = _PARTS[name]
        if least <= means.shape[1] <= (most or means.shape[1]):
            with np.errstate(divide="ignore", invalid="ignore"):
                off = np.abs(rule(means) - estimates)
            if (off <= 1e-12 + 1e-6 * np.abs(estimates)).all():
                found.append(name)
    return found


def paired(values: Sequence[Floats], strata: Ints | None, rule: str, confidence: float) -> Change:
    """The change with its percentile interval, by a bootstrap of images within classes, jointly over both.

    Args:
        values: float64 [n] or [n, parts] of the first and the second, finite, the same images in the same
            order.
        strata: int [n], each class at least two images; or None.
        rule: Of `RULES`.
        confidence: Nominal confidence.
    """
    rows = [one.reshape(len(one), -1) for one in values]
    generator = np.random.default_rng(0)
    if rule == "mean":
        differences = rows[1] - rows[0]
        found = mean_intervals(differences, strata, confidence, RESAMPLES, generator, INTERVAL)
        estimate, low, high = (float(one[0]) for one in (found.estimate, found.low, found.high))
        return Change(estimate, low, high, len(differences))
    both, parts = np.concatenate(rows, axis=1), rows[0].shape[1]
    means, number = stratified_mean(both, strata), RULES[rule]
    moved = means + bootstrap_deviations(both, strata, RESAMPLES, generator)
    tail = (1 - confidence) / 2
    changes = number(moved[:, parts:]) - number(moved[:, :parts])
    low, high = (float(one) for one in np.quantile(changes, [tail, 1 - tail]))
    return Change(float(number(means[parts:]) - number(means[:parts])), low, high, len(both))
