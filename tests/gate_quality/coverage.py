"""What each kind of interval covers, on data of known truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special, stats

from harness.records import Floats
from harness.statistics import (
    REDUCTIONS,
    Kind,
    Reduced,
    Resampling,
    look_confidence,
    looks,
    mean_intervals,
    ratio_intervals,
    two_way,
)
from harness.statistics.crossed import across_seeds
from harness.statistics.reductions import of_each
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
from tests.gate_quality.curves import operating_curves
from tests.gate_quality.runs import store, stored

__all__ = ["Components", "measure", "operating_curves"]

SIZES, QUICK_SIZES = (3, 5, 10, 20, 50, 200), (3, 20)
SEEDS = (3, 5, 10)
POOL = 200
"""Images a class that the sequential rule may go on to."""

TOLERANCE = 0.02
"""How far a coverage may lie from the nominal one before it is named as an exception."""


@dataclass(frozen=True)
class Cell:
    """How many of how many intervals held, at one size."""

    images_a_class: int
    seeds: int
    covered: int
    repetitions: int

    def as_json(self) -> dict[str, Any]:
        """With Wilson's interval of the coverage."""
        found = stats.binomtest(self.covered, self.repetitions).proportion_ci(0.95, method="wilson")
        return {
            "images_a_class": self.images_a_class,
            "seeds": self.seeds,
            "coverage": self.covered / self.repetitions,
            "repetitions": self.repetitions,
            "low": float(found.low),
            "high": float(found.high),
        }


Simulate = Callable[[Components, int, int, np.random.Generator], int | None]
"""`(components, images a class, repetitions, generator)`: how many intervals held; None without intervals."""


def _held(low: Floats, high: Floats, truth: float) -> int:
    return int(((low <= truth) & (truth <= high)).sum())


def _mean(
    kind: Kind,
    confidence: float,
    components: Components,
    size: int,
    times: int,
    generator: np.random.Generator,
) -> int:
    covered, strata = 0, strata_of_size(components, size)
    for columns in batches(times):
        values = drawn(components.of_one_seed, size, columns, generator)
        found = mean_intervals(values, strata, confidence, RESAMPLES, generator, kind)
        covered += _held(found.low, found.high, 0.0)
    return covered


def _skewed_mean(
    kind: Kind, components: Components, size: int, times: int, generator: np.random.Generator
) -> int:
    """Of squared errors, which are far more skewed than agreement; classes play no part in them."""
    covered, pool, n = 0, components.squared_errors, size * components.classes
    for columns in batches(times):
        values = pool.take(generator.integers(0, len(pool), (n, columns)))
        found = mean_intervals(values, None, CONFIDENCE, RESAMPLES, generator, kind)
        covered += _held(found.low, found.high, float(pool.mean()))
    return covered


def _ratio(kind: Kind, components: Components, size: int, times: int, generator: np.random.Generator) -> int:
    tops, bottoms = components.squared_errors, components.squared_deviations
    covered, n = 0, size * components.classes
    for columns in batches(times):
        drawn = generator.integers(0, len(tops), (n, columns))
        found = ratio_intervals(
            tops.take(drawn), bottoms.take(drawn), None, CONFIDENCE, RESAMPLES, generator, kind
        )
        covered += _held(found.low, found.high, float(tops.sum() / bottoms.sum()))
    return covered


def _all_hold(found: list[Reduced], truth: float) -> int | None:
    bounds = [(one.low, one.high) for one in found]
    known = [(low, high) for low, high in bounds if low is not None and high is not None]
    if len(known) < len(found):
        return None
    return sum(low <= truth <= high for low, high in known)


def _proportion(
    share: float, components: Components, size: int, times: int, generator: np.random.Generator
) -> int | None:
    values = (generator.random((times, size * components.classes)) < share).astype(np.float64)
    return _all_hold(
        [REDUCTIONS["proportion"](row, None, Resampling(CONFIDENCE, 0, generator)) for row in values], share
    )


def _quantile(
    rule: str, q: float, components: Components, size: int, times: int, generator: np.random.Generator
) -> int | None:
    """Of agreement; between the real values the population is filled up, so that it has no steps."""
    population = components.agreement[0]
    values = np.quantile(population, generator.random((times, size * components.classes)))
    found = [REDUCTIONS[rule](row, None, Resampling(CONFIDENCE, 0, generator)) for row in values]
    return _all_hold(found, float(np.quantile(population, q)))


def _smallest_mean(
    kind: Kind, components: Components, size: int, times: int, generator: np.random.Generator
) -> int:
    """Of as many columns as there are seeds, of equal truth: where the choice of one misleads the most."""
    covered, strata, parts = 0, strata_of_size(components, size), len(components.agreement)
    pools = components.of_all_seeds
    for columns in batches(times):
        drawn = [block[:, generator.integers(0, block.shape[1], (size, columns))] for block in pools]
        values = np.concatenate(drawn, axis=1).transpose(1, 2, 0).reshape(len(strata), -1)
        each = of_each(CONFIDENCE, parts)
        found = mean_intervals(values, strata, each, RESAMPLES, generator, kind)
        low, high = (one.reshape(columns, parts).min(axis=1) for one in (found.low, found.high))
        covered += _held(low, high, 0.0)
    return covered


def _answers(share: float, shape: tuple[int, int, int], generator: np.random.Generator) -> Floats:
    """Ones and zeros [seeds, n, 4 columns] of equal truth; half of the difficulty is the image's."""
    seeds, n, columns = shape
    image = generator.standard_normal((1, n, 1))
    difficulty = np.sqrt(0.5) * (image + generator.standard_normal((seeds, n, columns)))
    return np.asarray(difficulty < special.ndtri(share), dtype=np.float64)


def _smallest_proportion(
    seeds: int, components: Components, size: int, times: int, generator: np.random.Generator
) -> int | None:
    share, rule, n = 0.95, "smallest proportion", size * components.classes
    found = []
    for _ in range(times):
        values = _answers(share, (seeds, n, 4), generator)
        if seeds == 1:
            found.append(REDUCTIONS[rule](values[0], None, Resampling(CONFIDENCE, 0, generator)))
        else:
            found.append(across_seeds(rule, list(values), None, CONFIDENCE))
    return _all_hold(found, share)


def _two_way(
    seeds: int, components: Components, size: int, times: int, generator: np.random.Generator
) -> int | None:
    strata = strata_of_size(components, size)
    return _all_hold(
        [two_way(crossed(components, seeds, size, generator), strata, CONFIDENCE) for _ in range(times)], 0.0
    )


def _sequential(
    kind: Kind, components: Components, size: int, times: int, generator: np.random.Generator
) -> int:
    """All looks from `size` to the pool together: a sequence holds where every look's interval does."""
    covered, sizes = 0, looks(size, max(size, POOL))
    confidence = look_confidence(sizes, CONFIDENCE)
    for columns in batches(times):
        values = drawn(components.of_one_seed, sizes[-1], columns, generator)
        by_class = values.reshape(components.classes, sizes[-1], columns)
        holds = np.ones(columns, dtype=bool)
        for taken in sizes:
            part = by_class[:, :taken].reshape(-1, columns)
            strata = strata_of_size(components, taken)
            found = mean_intervals(part, strata, confidence, RESAMPLES, generator, kind)
            holds &= (found.low <= 0) & (found.high >= 0)
        covered += int(holds.sum())
    return covered


KINDS: Mapping[str, tuple[float, int, Simulate]] = {
    "mean, percentile": (CONFIDENCE, 1, partial(_mean, "percentile", CONFIDENCE)),
    "mean, bca": (CONFIDENCE, 1, partial(_mean, "bca", CONFIDENCE)),
    "skewed mean, percentile": (CONFIDENCE, 1, partial(_skewed_mean, "percentile")),
    "skewed mean, bca": (CONFIDENCE, 1, partial(_skewed_mean, "bca")),
    "ratio, percentile": (CONFIDENCE, 1, partial(_ratio, "percentile")),
    "ratio, bca": (CONFIDENCE, 1, partial(_ratio, "bca")),
    "equivalence, percentile": (0.9, 1, partial(_mean, "percentile", 0.9)),
    "equivalence, bca": (0.9, 1, partial(_mean, "bca", 0.9)),
    "proportion of 0.75": (CONFIDENCE, 1, partial(_proportion, 0.75)),
    "proportion of 0.95": (CONFIDENCE, 1, partial(_proportion, 0.95)),
    "median": (CONFIDENCE, 1, partial(_quantile, "median", 0.5)),
    "95th percentile": (CONFIDENCE, 1, partial(_quantile, "95th percentile", 0.95)),
    "smallest mean, percentile": (CONFIDENCE, 1, partial(_smallest_mean, "percentile")),
    "smallest mean, bca": (CONFIDENCE, 1, partial(_smallest_mean, "bca")),
    "smallest proportion": (CONFIDENCE, 1, partial(_smallest_proportion, 1)),
    "smallest proportion, 3 seeds": (CONFIDENCE, 3, partial(_smallest_proportion, 3)),
    **{f"two-way, {seeds} seeds": (CONFIDENCE, seeds, partial(_two_way, seeds)) for seeds in SEEDS},
    "all looks, percentile": (CONFIDENCE, 1, partial(_sequential, "percentile")),
    "all looks, bca": (CONFIDENCE, 1, partial(_sequential, "bca")),
}
"""Nominal confidence, seeds, and how to simulate."""


def measure(arrays: Components, quick: bool, folder: Path, say: Say) -> dict[str, Any]:
    """The coverage of every kind of interval.

    Args:
        arrays: What a real run's values are.
        quick: Fewer repetitions at fewer sizes.
        folder: Where each kind's result is kept, and taken from where nothing it depends on has changed.
        say: Told of each kind as it is done.

    Returns:
        By kind `nominal`, `cells`, `inside` (every coverage within two points of the nominal one) and
        `exceptions`, a sentence for each that is not.
    """
    sizes = QUICK_SIZES if quick else SIZES
    repetitions = QUICK_REPETITIONS if quick else REPETITIONS
    key = key_for(arrays, sizes, repetitions)
    found: dict[str, Any] = {}
    for kind, (nominal, seeds, simulate) in KINDS.items():
        name = kind.replace(", ", "-").replace(" ", "-")
        result = stored(folder, name, key)
        if result is None:
            cells: dict[int, Cell | None] = {}
            for size in sizes:
                covered = simulate(arrays, size, repetitions, _generator(kind, size))
                cells[size] = None if covered is None else Cell(size, seeds, covered, repetitions)
            result = _row(nominal, cells)
            store(folder, name, key, result)
            shares = ", ".join(f"{cell['coverage']:.3f}" for cell in result["cells"])
            say(f"coverage of {kind} ({nominal:.0%}): {shares}")
        found[kind] = result
    return found


def _generator(kind: str, size: int) -> np.random.Generator:
    """The same for both kinds of a number's interval, which thereby meet the same data."""
    return np.random.default_rng([*kind.split(",")[0].encode(), size])


def _row(nominal: float, cells: Mapping[int, Cell | None]) -> dict[str, Any]:
    there = [cell.as_json() for cell in cells.values() if cell is not None]
    exceptions = [f"{size} images a class: no interval" for size, cell in cells.items() if cell is None]
    exceptions += [
        f"{cell['images_a_class']} images a class: {cell['coverage']:.1%}"
        for cell in there
        if abs(cell["coverage"] - nominal) > TOLERANCE + 1e-9
    ]
    return {"nominal": nominal, "cells": there, "inside": not exceptions, "exceptions": exceptions}
