"""Data of known truth with the variance components of a real run.

Image effects are drawn from the real ones, so that their skew is real; those of seeds and of the rest are
normal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

import harness.statistics
from harness import criteria
from harness.artifacts.files import key_of
from harness.records import Floats, Ints
from harness.statistics import stratified_mean

Say = Callable[[str], None]

REPETITIONS, QUICK_REPETITIONS = 2000, 200
RESAMPLES = 1000
CONFIDENCE = 0.95

SHARED = 25
"""Simulations that share their resamples: each has its own data, and the draws cost a 25th."""


@dataclass(frozen=True, eq=False)
class Components:
    """What the simulations take from a real run.

    Attributes:
        agreement: float64 [seeds, n], crossed; three seeds or more.
        labels: int64 [n].
        squared_errors: float64 [t], of a seed's reconstructions of the test images.
        squared_deviations: float64 [t], of the test images from the mean training image.
    """

    agreement: Floats
    labels: Ints
    squared_errors: Floats
    squared_deviations: Floats

    @property
    def classes(self) -> int:
        """How many there are."""
        return len(np.unique(self.labels))

    def _within(self, values: Floats) -> list[Floats]:
        """Values [.., n] less their class's mean, a class at a time."""
        blocks = [values[..., self.labels == label] for label in np.unique(self.labels)]
        return [block - block.mean(axis=-1, keepdims=True) for block in blocks]

    @cached_property
    def of_one_seed(self) -> list[Floats]:
        """By class, the first seed's values less their mean."""
        return self._within(self.agreement[0])

    @cached_property
    def of_all_seeds(self) -> list[Floats]:
        """By class float64 [seeds, images], each seed's values less their mean."""
        return self._within(self.agreement)

    @cached_property
    def residual(self) -> float:
        """The standard deviation of what neither seed nor image explains."""
        rest = [block - block.mean(axis=0) for block in self.of_all_seeds]
        seeds, images = self.agreement.shape
        freedom = (seeds - 1) * (images - self.classes)
        return float(np.sqrt(sum((block**2).sum() for block in rest) / freedom))

    @cached_property
    def seed(self) -> float:
        """The standard deviation of seeds' means, without what finite images add to it."""
        means = stratified_mean(self.agreement.T, self.labels)
        return float(np.sqrt(max(0.0, means.var(ddof=1) - self.residual**2 / self.agreement.shape[1])))

    @cached_property
    def images(self) -> list[Floats]:
        """By class, the effects of images, shrunk by what the residual adds to a mean over seeds."""
        means = self._within(self.agreement.mean(axis=0))
        seeds, images = self.agreement.shape
        variance = float(sum((one**2).sum() for one in means)) / (images - self.classes)
        kept = max(0.0, 1 - self.residual**2 / seeds / variance)
        return [one * np.sqrt(kept) for one in means]

    def key(self) -> str:
        """Of the values."""
        return key_of({field.name: getattr(self, field.name).tolist() for field in fields(self)})


def strata_of_size(components: Components, per_class: int) -> Ints:
    """The classes of so many images each."""
    return np.repeat(np.arange(components.classes), per_class)


def drawn(pools: list[Floats], per_class: int, columns: int, generator: np.random.Generator) -> Floats:
    """Effects drawn from each class's own: float64 [classes * images, columns], of truth 0."""
    return np.concatenate(
        [pool.take(generator.integers(0, len(pool), (per_class, columns))) for pool in pools]
    )


def crossed(components: Components, seeds: int, size: int, generator: np.random.Generator) -> Floats:
    """Values [seeds, n] of truth 0."""
    images = drawn(components.images, size, 1, generator)[:, 0]
    of_seeds = components.seed * generator.standard_normal((seeds, 1))
    return np.asarray(
        images + of_seeds + components.residual * generator.standard_normal((seeds, len(images)))
    )


def batches(repetitions: int) -> Iterator[int]:
    """How many simulations share their resamples, again and again."""
    for start in range(0, repetitions, SHARED):
        yield min(SHARED, repetitions - start)


def key_for(arrays: Components, *settings: Any) -> str:
    """What a result depends on: values, settings, and the code that judges and simulates."""
    paths = [
        *Path(harness.statistics.__file__).parent.glob("*.py"),
        Path(criteria.__file__),
        *Path(__file__).parent.glob("co*.py"),
        Path(__file__).with_name("curves.py"),
    ]
    code = {path.name: path.read_text(encoding="utf-8") for path in sorted(paths)}
    return key_of({"arrays": arrays.key(), "settings": settings, "resamples": RESAMPLES, "code": code})
