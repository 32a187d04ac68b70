"""Points of a sweep written by hand: runs of known values by seed and image, with no network behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.artifacts.directories import RunDirectory
from harness.config import Config
from harness.records import Floats, Ints, Measurement, joint
from harness.statistics import estimate
from harness.sweeps.measured import Inputs, Values
from harness.sweeps.records import Number, Point, Row
from tests import written

TEST = 60
"""Images of the test set, of which those at 10 to 33 are explained where nothing else is said."""

INDICES, LABELS = 10 + np.arange(24), np.arange(24) % 3


@dataclass(frozen=True, eq=False)
class Known:
    """A measurement's values: float64 [seeds, n] or [seeds, n, parts], and by what rule they are a number."""

    values: Floats
    reduction: str = "mean"
    by_class: bool = True
    crossed: bool = True
    up: bool | None = True


def a_point(
    output: Path,
    measured: Mapping[str, Known],
    seeds: Sequence[int] = (0, 1, 2),
    indices: Ints = INDICES,
    labels: Ints = LABELS,
    **data: Any,
) -> Row:
    """A finished point whose run measured that, as the pipeline writes it.

    Args:
        output: The folder of the runs.
        measured: By name.
        seeds: Of the values' rows.
        indices: Of the explained images in the test set.
        labels: Their classes.
        data: Keys of the record of the data.
    """
    estimates, files = [], dict[str, dict[str, Any]]()
    for name, known in measured.items():
        file = files.setdefault(name.split(".")[0], {"seeds": np.array(seeds)})
        strata = labels if known.by_class else None
        by_seed = [
            Measurement(name, name, "share", known.up, known.reduction, values, strata, crossed=known.crossed)
            for values in known.values
        ]
        parts = [(by_seed, seeds)] + [([one], [seed]) for one, seed in zip(by_seed, seeds, strict=True)]
        for part, of in parts if len(seeds) > 1 else parts[:1]:
            drawn = np.random.default_rng(0)
            estimates.append(estimate(part, of, confidence=0.95, resamples=50, generator=drawn))
        if known.crossed:
            file[name] = known.values
            file |= {"strata": labels} if known.by_class else {}
    run = written.a_run(output, {}, {"seeds": list(seeds)}, tuple(estimates), {"test": TEST} | data)
    run.write_arrays("samples.npz", {"indices": indices, "labels": labels})
    for base, arrays in files.items():
        run.write_arrays(f"measurements/{base}.npz", arrays)
    run.finish()
    return row_of(run)


def row_of(run: RunDirectory) -> Row:
    """The row of a run that is there: finished."""
    point = Point(run.path.name, {"run": run.path.name}, Config())
    return Row(
        point,
        "finished",
        run=run.path,
        estimates={name: Number.of(one) for name, one in joint(run.read_estimates()).items()},
    )


def values_of(rows: Floats, labels: Ints | None = None, places: Ints | None = None) -> Values:
    """Values [seeds, n] of a mean as a run has them, of seeds 0, 1, 2 and so on."""
    inputs = Inputs(rows.shape[1], labels, places)
    means = [[row[one].mean() for one in _members(labels, len(row))] for row in rows]
    return Values(tuple(range(len(rows))), np.mean(means, axis=1), rows[None], inputs)


def _members(labels: Ints | None, n: int) -> list[Ints]:
    return [np.arange(n)] if labels is None else [np.flatnonzero(labels == one) for one in np.unique(labels)]
