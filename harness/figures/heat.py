"""Heat: the colours of maps, their scales, and a sample's maps in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from harness.figures.charts import matrix
from harness.figures.sprites import GREYS
from harness.measurements import correlations
from harness.measurements.agreement import at_one_grain
from harness.records import Floats

_STEPS = 31
"""Colours on each side of 0: more cannot be told apart, and make a picture several times as large."""

GREY = mpl.colormaps["gray"].resampled(GREYS)
"""The levels of grey pictures."""

DIVERGING = mpl.colormaps["RdBu_r"].resampled(2 * _STEPS + 1)
"""The colours of maps, from -1 to 1 in units of a map's limit."""


def heat_limit(maps: Floats) -> float:
    """The symmetric limit of a diverging scale: the 99th percentile of |map|, and never 0."""
    return float(heat_limits(np.reshape(maps, (1, -1)))[0])


def heat_limits(maps: Floats) -> Floats:
    """Each map's own limit: float [n], of float [n, pixels]."""
    if not maps.size:
        return np.ones(len(maps))
    sizes = np.abs(maps)
    limits = np.quantile(sizes, 0.99, axis=1)
    limits = np.where(limits > 0, limits, sizes.max(axis=1))
    return np.where(limits > 0, limits, 1.0)


def grey_of(picture: Floats) -> Floats:
    """A picture's brightness: float [rows, columns]."""
    return picture.mean(axis=2) if picture.ndim == 3 else picture


def veil(heat: Floats, limit: float) -> Floats:
    """A map's colours, to be laid over a picture, the clearer the nearer to 0: float [rows, columns, 4]."""
    steps = np.round(np.clip(np.nan_to_num(heat) / limit, -1, 1) * _STEPS) / _STEPS
    colours = DIVERGING((steps + 1) / 2)
    colours[..., 3] = np.clip(1.6 * np.abs(steps), 0, 1)
    return np.asarray(colours)


def in_numbers(flat: Floats) -> str:
    """A map's mean, maximum, standard deviation and 99th percentile, a line each."""
    numbers = (flat.mean(), flat.max(), flat.std(), np.quantile(flat, 0.99))
    return "\n".join(
        f"{word:<5}{number: .3f}"
        for word, number in zip(("mean", "max", "s.d.", "99 %"), numbers, strict=True)
    )


def small_matrix(axes: Axes, maps: Mapping[str, Floats], grains: Mapping[str, Any]) -> None:
    """The correlations of one sample's maps at each pair's grain, as a small lower triangle of numbers."""
    found, groups = {name: one[None] for name, one in maps.items()}, {name: grains.get(name) for name in maps}
    table = [[float(correlations(*at_one_grain(found, groups, (a, b)))[0]) for b in maps] for a in maps]
    short = ["".join(part[0].upper() for part in name.split("_")) for name in maps]
    matrix(axes, np.array(table), short, size=7)
    axes.tick_params(labelsize=8, length=0)
