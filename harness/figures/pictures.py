"""Pictures: images, heatmaps and overlays, many of them on one sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.environment.state import clean
from harness.errors import InputError
from harness.figures.charts import matrix
from harness.figures.sprites import GREYS
from harness.figures.theme import themed
from harness.measurements import correlations
from harness.records import Floats
from harness.text import words


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


_STEPS = 31
"""Colours on each side of 0: more cannot be told apart, and make a picture several times as large."""

_GREY = mpl.colormaps["gray"].resampled(GREYS)
_DIVERGING = mpl.colormaps["RdBu_r"].resampled(2 * _STEPS + 1)

PICTURE = 0.9
"""The side of a picture on a sheet whose cells have side 1."""


def _sheet(figure: Figure, columns: int, rows: float) -> Axes:
    """One pair of axes for many pictures, in cells of side 1 from the upper left; axes of their own for
    each would take most of the time that drawing takes.
    """
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, columns), ylim=(rows, 0), aspect="equal", autoscale_on=False)
    return axes


def _show(sheet: Axes, place: tuple[float, float], image: Floats, **style: Any) -> None:
    column, row = place
    extent = (column, column + PICTURE, row + PICTURE, row)
    sheet.imshow(image, extent=extent, interpolation="none", aspect="equal", clip_on=False, **style)


def _label(sheet: Axes, place: tuple[float, float], text: str, *, below: bool = False, **style: Any) -> None:
    """Text above a picture, or below it."""
    column, row = place
    style = {"ha": "center", "va": "top" if below else "bottom"} | style
    sheet.text(column + PICTURE / 2, row + PICTURE + 0.04 if below else row - 0.04, text, **style)


def _picture(sheet: Axes, place: tuple[float, float], image: Floats) -> None:
    _show(sheet, place, image, cmap=_GREY, vmin=0, vmax=1)


def _heat(sheet: Axes, place: tuple[float, float], heat: Floats, limit: float) -> None:
    _show(sheet, place, heat, cmap=_DIVERGING, vmin=-limit, vmax=limit)
    if not np.any(heat):
        half = PICTURE / 2
        sheet.text(place[0] + half, place[1] + half, "all zero", ha="center", va="center", color="#333333")


def _overlay(sheet: Axes, place: tuple[float, float], image: Floats, heat: Floats, limit: float) -> None:
    steps = np.round(np.clip(heat / limit, -1, 1) * _STEPS) / _STEPS
    colours = _DIVERGING((steps + 1) / 2)
    colours[..., 3] = np.clip(1.6 * np.abs(steps), 0, 1)
    # on a pale negative of the image both of the scale's ends can be seen
    _show(sheet, place, image, cmap=_GREY.reversed(), vmin=0, vmax=3)
    _show(sheet, place, colours)


def array_of(values: Any) -> Floats:
    """Numbers as an array; those of a tensor on any device, of any float type, and with a gradient, too."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        if values.dtype.itemsize < 4:  # bfloat16, which numpy does not know, among them
            values = values.float()
    return np.asarray(values)


@clean()
def explanation(
    image: Any,
    maps: Mapping[str, Any],
    *,
    shape: tuple[int, ...] = (28, 28),
    title: str = "",
    reconstruction: Any = None,
) -> Figure:
    """The three-row figure of one sample.

    First row: the original and each method's heatmap, each on its own symmetric scale, printed below it.
    Second row: the reconstruction, where given, and the heatmaps laid over the original. Third row: the
    methods' correlations, and each map's mean, maximum, standard deviation and 99th percentile.

    Args:
        image: float [pixels], in [0, 1]; arrays or tensors, here and below.
        maps: Each method's signed map, float [pixels].
        shape: Rows and columns of the image.
        title: The figure's title.
        reconstruction: float [pixels].
    """
    if not isinstance(maps, Mapping):
        raise InputError(f"maps must be each method's by its name (got {type(maps).__name__})")
    names = list(maps)
    for name, one in {"the image": image, **maps}.items():
        if array_of(one).size != shape[0] * shape[1]:
            raise InputError(
                f"{name} must be one of {shape[0]} x {shape[1]} pixels (got {list(array_of(one).shape)}); "
                "draw one sample of a batch at a time, and name its shape"
            )
    picture = array_of(image).reshape(shape)
    if picture.dtype == np.uint8:
        picture = picture / 255
    flats = {name: array_of(one).astype(np.float64).ravel() for name, one in maps.items()}
    with themed():
        figure = Figure(figsize=(1.62 * (len(names) + 1), 5.0))
        columns, height = len(names) + 1, 3.05
        sheet = _sheet(figure, columns, height)
        figure.suptitle(title, fontweight="bold", fontsize=11, y=1.14)
        bold: dict[str, Any] = {"fontweight": "bold", "fontsize": 10}
        _picture(sheet, (0, 0), picture)
        _label(sheet, (0, 0), "original", **bold)
        if reconstruction is not None:
            _picture(sheet, (0, 1.2), array_of(reconstruction).reshape(shape))
            _label(sheet, (0, 1.2), "reconstruction", below=True)
        for column, (name, flat) in enumerate(flats.items(), start=1):
            limit = heat_limit(flat)
            _heat(sheet, (column, 0), flat.reshape(shape), limit)
            _label(sheet, (column, 0), words(name).replace(" ", "\n"), **bold)
            _label(sheet, (column, 0), f"±{limit:.2g}", below=True)
            _overlay(sheet, (column, 1.2), picture, flat.reshape(shape), limit)
            numbers = (flat.mean(), flat.max(), flat.std(), np.quantile(flat, 0.99))
            text = "\n".join(
                f"{word:<5}{number: .3f}"
                for word, number in zip(("mean", "max", "s.d.", "99 %"), numbers, strict=True)
            )
            _label(sheet, (column, 1.3), text, below=True, family="monospace", fontsize=9)
        corner = sheet.inset_axes((0.15 / columns, 0.0, 0.7 / columns, 0.7 / height))
        _small_matrix(corner, names, flats)
    return figure


def _small_matrix(axes: Axes, names: Sequence[str], maps: Mapping[str, Floats]) -> None:
    """The correlations of one sample's maps, as a small lower triangle of numbers."""
    rows = [maps[name][None] for name in names]
    table = [[float(correlations(a, b)[0]) for b in rows] for a in rows]
    short = ["".join(part[0].upper() for part in name.split("_")) for name in names]
    matrix(axes, np.array(table), short, size=7)
    axes.tick_params(labelsize=8, length=0)


def class_means(
    means: Mapping[str, Floats], images: Floats, classes: Sequence[str], shape: tuple[int, ...]
) -> Figure:
    """Each method's mean map of each class, beside the class's mean image.

    Args:
        means: By method, float [classes, pixels].
        images: float [classes, pixels].
        classes: Names.
        shape: Rows and columns of an image.
    """
    with themed():
        figure = Figure(figsize=(1.15 * len(classes), 1.15 * (len(means) + 1)))
        sheet = _sheet(figure, len(classes), len(means) + 1)
        for column, name in enumerate(classes):
            _picture(sheet, (column, 0), images[column].reshape(shape))
            _label(sheet, (column, 0), name, fontsize=9, fontweight="bold")
            for row, maps in enumerate(means.values(), start=1):
                _heat(sheet, (column, row), maps[column].reshape(shape), heat_limit(maps[column]))
        for row, name in enumerate(["mean image", *means]):
            text = words(name).replace(" ", "\n")
            sheet.text(-0.08, row + PICTURE / 2, text, ha="right", va="center", fontsize=9)
    return figure


_FEW = 10
"""Colours on each side of 0 of an atom, few because many atoms stand on one sheet."""


def atoms(
    classes: Sequence[str],
    images: Floats,
    reconstructions: Floats,
    strongest: Floats,
    texts: Sequence[Sequence[str]],
    shape: tuple[int, ...],
) -> Figure:
    """A row for each class: an image, its reconstruction, and the class's strongest atoms.

    All pictures are one, which takes a fraction of the room that each by itself would.

    Args:
        classes: Names.
        images: float [classes, pixels], in [0, 1].
        reconstructions: float [classes, pixels].
        strongest: Atoms, the strongest first, float [classes, atoms, pixels]; each on a scale of its own.
        texts: What stands below each atom.
        shape: Rows and columns of an image.
    """
    high, wide = shape
    gap, below, count = max(1, wide // 8), max(1, high // 3), strongest.shape[1]
    lefts = [place * (wide + gap) + (2 * gap if place > 1 else 0) for place in range(2 + count)]
    height, width = len(classes) * (high + below), lefts[-1] + wide
    picture = np.zeros((height, width, 4))
    greys, shades = mpl.colormaps["gray"].resampled(_FEW + 4), _DIVERGING.resampled(2 * _FEW + 1)
    for row in range(len(classes)):
        limits = [heat_limit(atom) for atom in strongest[row]]
        cells = [greys(np.clip(one[row], 0, 1)) for one in (images, reconstructions)]
        cells += [shades((atom / limit + 1) / 2) for atom, limit in zip(strongest[row], limits, strict=True)]
        top = row * (high + below)
        for left, cell in zip(lefts, cells, strict=True):
            picture[top : top + high, left : left + wide] = cell.reshape(high, wide, 4)
    with themed():
        figure = Figure(figsize=(10.5, 10.5 * height / width))
        sheet = _sheet(figure, width, height)
        sheet.imshow(picture, extent=(0, width, height, 0), interpolation="none", aspect="equal")
        for row, name in enumerate(classes):
            top = row * (high + below)
            sheet.text(-gap, top + high / 2, name, ha="right", va="center", fontweight="bold")
            for left, text in zip(lefts[2:], texts[row], strict=True):
                sheet.text(left + wide / 2, top + high + 1, text, ha="center", va="top", fontsize=8)
        for left, title in zip(lefts, ("image", "reconstruction", "strongest atom"), strict=False):
            sheet.text(left + wide / 2, -1, title, ha="center", va="bottom", fontsize=9)
    return figure
