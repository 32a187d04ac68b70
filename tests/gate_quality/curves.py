"""How likely red is near a threshold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from harness import criteria
from harness.config.parameters import Criterion
from harness.records import Estimate
from harness.statistics import INTERVAL, Reduced, mean_intervals, two_way
from tests.gate_quality.components import (
    CONFIDENCE,
    QUICK_REPETITIONS,
    REPETITIONS,
    RESAMPLES,
    Components,
    Say,
    batches,
    crossed,
    drawn,
    key_for,
    strata_of_size,
)
from tests.gate_quality.runs import store, stored

DISTANCES = tuple(np.arange(-6, 6.25, 0.5).tolist())
"""Of a true mean from its threshold, in standard errors."""


def operating_curves(arrays: Components, quick: bool, folder: Path, say: Say) -> dict[str, Any]:
    """The probability of red against the true distance of the mean from its threshold.

    At the real size: one seed's agreement with the bootstrap's interval, and three seeds' crossed. Each
    simulated run is judged at every distance, by the point estimate and by the interval's bound.

    Returns:
        For `1 seed` and `3 seeds` the `threshold`, the `standard_error` of the mean, `images_a_class`,
        `repetitions`, and for `point` and `strict` a list of {`distance_se`, `distance`, `red`, `low`,
        `high`}, distances negative where the truth is worse than the threshold.
    """
    size = int(np.bincount(arrays.labels).min())
    repetitions = QUICK_REPETITIONS if quick else REPETITIONS
    key = key_for(arrays, "operating curves", size, repetitions, DISTANCES)
    result = stored(folder, "operating-curves", key)
    if result is None:
        result = {}
        for seeds, runs in ((1, _runs_of_one_seed), (3, _runs_of_three_seeds)):
            generator = np.random.default_rng([seeds, size])
            found = runs(arrays, size, repetitions, generator)
            result[f"{seeds} seed{'s' if seeds > 1 else ''}"] = _curves(found, size)
        store(folder, "operating-curves", key, result)
        for name, curve in result.items():
            red = {row["distance_se"]: row["red"] for row in curve["strict"]}
            say(
                f"operating curves, {name}: red by its interval at 0, 2, 4 s.e.: {red[0]}, {red[2]}, {red[4]}"
            )
    return result


def _estimate(reduced: Reduced) -> Estimate:
    return Estimate(
        name="agreement",
        title="Agreement",
        unit="correlation",
        higher_is_better=True,
        seed=0,
        estimate=reduced.estimate,
        low=reduced.low,
        high=reduced.high,
        standard_error=reduced.standard_error,
        confidence=CONFIDENCE,
        n=1,
        population="simulated",
    )


def _runs_of_one_seed(
    arrays: Components, size: int, repetitions: int, generator: np.random.Generator
) -> list[Estimate]:
    """Estimates of truth 0."""
    found: list[Estimate] = []
    strata = strata_of_size(arrays, size)
    for columns in batches(repetitions):
        values = drawn(arrays.of_one_seed, size, columns, generator)
        one = mean_intervals(values, strata, CONFIDENCE, RESAMPLES, generator, INTERVAL)
        columns_of = (one.estimate, one.low, one.high, one.standard_error)
        rows = zip(*(column.tolist() for column in columns_of), strict=True)
        found += [_estimate(Reduced(*row)) for row in rows]
    return found


def _runs_of_three_seeds(
    arrays: Components, size: int, repetitions: int, generator: np.random.Generator
) -> list[Estimate]:
    """Estimates of truth 0."""
    strata = strata_of_size(arrays, size)
    return [
        _estimate(two_way(crossed(arrays, 3, size, generator), strata, CONFIDENCE))
        for _ in range(repetitions)
    ]


def _curves(runs: list[Estimate], size: int) -> dict[str, Any]:
    criterion = Criterion(id="agreement", measurement="agreement", relation=">=", threshold=0.6)
    error = float(np.std([one.estimate or 0.0 for one in runs], ddof=1))
    curves: dict[str, Any] = {
        "threshold": criterion.threshold,
        "standard_error": error,
        "images_a_class": size,
        "repetitions": len(runs),
    }
    for rule, strict in (("point", False), ("strict", True)):
        curves[rule] = [_point(criterion, runs, distance, error, strict) for distance in DISTANCES]
    return curves


def _point(
    criterion: Criterion, runs: list[Estimate], distance: float, error: float, strict: bool
) -> dict[str, Any]:
    """The share of runs that are red where the truth lies `distance` standard errors over the threshold."""
    truth = 0.6 + distance * error
    moved = [
        replace(
            one,
            estimate=truth + (one.estimate or 0.0),
            low=truth + (one.low or 0.0),
            high=truth + (one.high or 0.0),
        )
        for one in runs
    ]
    red = sum(criteria.judge(criterion, one, strict).verdict != "pass" for one in moved)
    interval = stats.binomtest(red, len(runs)).proportion_ci(0.95, method="wilson")
    return {
        "distance_se": distance,
        "distance": distance * error,
        "red": red / len(runs),
        "low": float(interval.low),
        "high": float(interval.high),
    }
