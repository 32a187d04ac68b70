"""Pictures: images, heatmaps and overlays, many of them on one sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.environment.state import clean
from harness.errors import InputError
from harness.figures import rows
from harness.figures.heat import DIVERGING, GREY, grey_of, heat_limit, in_numbers, small_matrix, veil
from harness.figures.layouts import Layout
from harness.figures.theme import themed
from harness.forms import AXES, axes_of
from harness.records import Floats
from harness.text import words

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
    if image.ndim == 3:
        _show(sheet, place, image)
    else:
        _show(sheet, place, image, cmap=GREY, vmin=0, vmax=1)


def _heat(sheet: Axes, place: tuple[float, float], heat: Floats, limit: float) -> None:
    _show(sheet, place, heat, cmap=DIVERGING, vmin=-limit, vmax=limit)
    if not np.any(heat):
        half = PICTURE / 2
        sheet.text(place[0] + half, place[1] + half, "all zero", ha="center", va="center", color="#333333")


def _overlay(sheet: Axes, place: tuple[float, float], image: Floats, heat: Floats, limit: float) -> None:
    # on a pale negative of the image both of the scale's ends can be seen
    _show(sheet, place, grey_of(image), cmap=GREY.reversed(), vmin=0, vmax=3)
    _show(sheet, place, veil(heat, limit))


def array_of(values: Any) -> Floats:
    """Numbers as an array; those of a tensor on any device, of any float type, and with a gradient, too."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        if values.dtype.itemsize < 4:  # bfloat16, which numpy does not know, among them
            values = values.float()
    return np.asarray(values)


def explanation(
    image: Any,
    maps: Mapping[str, Any],
    *,
    shape: tuple[int, ...] = (28, 28),
    kind: str = "image",
    layout: Layout | None = None,
    title: str = "",
    reconstruction: Any = None,
    grains: Mapping[str, Any] | None = None,
    scale: float = 0.0,
) -> Figure:
    """The three-row figure of one sample.

    First row: the original and each method's heatmap on a symmetric scale, printed below it; what the
    channels of a pixel contribute is added up. Second row: the reconstruction, where given, and the heatmaps
    laid over the original. Third row: the methods' correlations, and each map's mean, maximum, standard
    deviation and 99th percentile. Of a series, a clip or a row of a table the methods stand below
    one another, along one axis: see `rows.explanation`.

    Args:
        image: float [features], an image in [0, 1]; arrays or tensors, here and below.
        maps: Each method's signed map, float [features].
        shape: The sample's sides: of an image rows and columns, or channels, rows and columns.
        kind: Of the data, a key of `harness.forms.AXES`.
        layout: How the sample is drawn; says what `shape` and `kind` would.
        title: The figure's title.
        reconstruction: float [features].
        grains: By method, int64 [features], the group of each, where it asks of groups: pairs of maps are
            compared at the coarser grain.
        scale: The end of every map's scale; of 0, of each its own: the 99th percentile of |map|.

    Raises:
        InputError: maps or sample of other sizes than the sides say, or no such kind of data.
    """
    with clean(), themed():
        if not isinstance(maps, Mapping):
            raise InputError(f"maps must be each method's by its name (got {type(maps).__name__})")
        sides = _sides(shape, kind) if layout is None else layout.form.shape
        called = kind if layout is None else layout.form.one
        _refuse_other_sizes({f"the {called}": image, **maps}, sides, called)
        sample = array_of(image).reshape(1, -1)
        if sample.dtype == np.uint8:
            sample = sample / 255
        layout = layout or Layout.of_shape(kind, sides, sample)
        flats = {name: array_of(one).astype(np.float64).ravel() for name, one in maps.items()}
        rebuilt = None if reconstruction is None else array_of(reconstruction).reshape(1, -1)
        draw = rows.explanation if layout.is_wide else _three_rows
        return draw(layout, sample, flats, title, rebuilt, grains or {}, scale)


def side_by_side(
    sample: Floats,
    maps: Mapping[str, Sequence[Floats | None]],
    names: Sequence[str],
    layout: Layout,
    scale: float,
) -> Figure:
    """One sample's maps of several networks, on one scale.

    Of an image the networks stand below one another, the image beside the first; of what is wide the methods.

    Args:
        sample: float [features].
        maps: By method, of each network float [features]; None where it has none.
        names: Of the networks.
        layout: How the sample is drawn.
        scale: The end of every map's scale.
    """

    def heat(flat: Floats | None) -> rows.Heat | None:
        return None if flat is None else rows.Heat(layout.places(flat[None])[0], limit=scale)

    cells = [[heat(flat) for flat in of_method] for of_method in maps.values()]
    methods = [words(name).replace(" ", "\n") for name in maps]
    with themed():
        if layout.is_wide:
            return rows.table(layout, methods, names, cells)
        below = [
            [None if place else rows.Input(sample), *some]
            for place, some in enumerate(zip(*cells, strict=True))
        ]
        return rows.table(layout, names, [f"the {layout.form.one}", *methods], below)


def deletion(sample: Floats, left: Floats, gone: Floats, layout: Layout) -> Figure:
    """One sample, the same without some of its features, and which of them these are.

    Args:
        sample: float [features].
        left: float [features], what is left of it.
        gone: float [features], 1 where a feature is gone, else 0; the channels of a pixel are added up.
        layout: How the sample is drawn.
    """
    most = float(layout.places(np.ones((1, gone.size))).max())
    cells = [
        rows.Input(sample),
        rows.Input(left),
        rows.Heat(layout.places(gone[None])[0], limit=most),
    ]
    names = [f"the {layout.form.one}", "what is left", "what is gone"]
    with themed():
        if layout.is_wide:
            return rows.table(layout, names, [""], [[one] for one in cells])
        return rows.table(layout, [""], names, [[*cells, None, None]])


def _sides(shape: tuple[int, ...], kind: str) -> tuple[int, ...]:
    if kind not in AXES:
        raise InputError(f"kind must be one of {', '.join(AXES)} (got {kind!r})")
    if not axes_of(kind, len(shape)):
        known = " or ".join(f"({', '.join(axes)})" for axes in AXES[kind])
        raise InputError(
            f"the shape of {kind} data must be {known} (got {shape}); name its sides and its kind"
        )
    return shape


def _refuse_other_sizes(arrays: Mapping[str, Any], sides: tuple[int, ...], called: str) -> None:
    whole = f"{' x '.join(map(str, sides))} {'pixels' if called == 'image' else 'values'}"
    for name, one in arrays.items():
        if array_of(one).size != np.prod(sides):
            raise InputError(
                f"{name} must be one of {whole} (got {list(array_of(one).shape)}); "
                "draw one sample of a batch at a time, and name its shape"
            )


def _three_rows(
    layout: Layout,
    sample: Floats,
    maps: Mapping[str, Floats],
    title: str,
    reconstruction: Floats | None,
    grains: Mapping[str, Any],
    scale: float,
) -> Figure:
    """Of an image; arguments as those of `rows.explanation`."""
    columns, height = len(maps) + 1, 3.05
    figure = Figure(figsize=(1.62 * columns, 5.0))
    sheet = _sheet(figure, columns, height)
    figure.suptitle(title, fontweight="bold", fontsize=11, y=1.14)
    bold: dict[str, Any] = {"fontweight": "bold", "fontsize": 10}
    picture = layout.pictures(sample)[0]
    _picture(sheet, (0, 0), picture)
    _label(sheet, (0, 0), "original", **bold)
    if reconstruction is not None:
        _picture(sheet, (0, 1.2), layout.pictures(reconstruction)[0])
        _label(sheet, (0, 1.2), "reconstruction", below=True)
    for column, (name, flat) in enumerate(maps.items(), start=1):
        places = layout.places(flat[None])
        heat, limit = layout.laid(places)[0], scale or heat_limit(places)
        _heat(sheet, (column, 0), heat, limit)
        _label(sheet, (column, 0), words(name).replace(" ", "\n"), **bold)
        _label(sheet, (column, 0), f"±{limit:.2g}", below=True)
        _overlay(sheet, (column, 1.2), picture, heat, limit)
        _label(sheet, (column, 1.3), in_numbers(flat), below=True, family="monospace", fontsize=9)
    corner = sheet.inset_axes((0.15 / columns, 0.0, 0.7 / columns, 0.7 / height))
    small_matrix(corner, maps, grains)
    return figure


BAND = 10
"""Classes beside one another; more go on below."""


def class_means(
    means: Mapping[str, Floats], images: Floats, classes: Sequence[str], layout: Layout
) -> Figure:
    """Each method's mean map of each class, beside the class's mean input.

    Args:
        means: By method, float [classes, features].
        images: float [classes, features].
        classes: Names.
        layout: Of the inputs.
    """
    pictures = layout.pictures(images) if layout.is_picture else images
    heats = {name: layout.places(maps) for name, maps in means.items()}
    names = [f"mean {layout.form.one}", *means]
    with themed():
        if layout.is_wide:
            cells = [
                [rows.Input(one), *(rows.Heat(map_) for map_ in maps)]
                for one, *maps in zip(images, *heats.values(), strict=True)
            ]
            return rows.table(layout, classes, [words(name) for name in names], cells)
        across, between = min(len(classes), BAND), 0.45
        bands, high = -(-len(classes) // BAND), len(names) + between
        height = bands * high - between
        figure = Figure(figsize=(1.15 * across, 1.15 * height))
        sheet = _sheet(figure, across, height)
        for place, name in enumerate(classes):
            band, column = divmod(place, BAND)
            top = band * high
            _picture(sheet, (column, top), pictures[place])
            _label(sheet, (column, top), folded(name), fontsize=9, fontweight="bold")
            for row, maps in enumerate(heats.values(), start=1):
                one = maps[place : place + 1]
                _heat(sheet, (column, top + row), layout.laid(one)[0], heat_limit(one))
        for band in range(bands):
            for row, name in enumerate(names):
                text = words(name).replace(" ", "\n")
                middle = band * high + row + PICTURE / 2
                sheet.text(-0.08, middle, text, ha="right", va="center", fontsize=9)
    return figure


def folded(name: str) -> str:
    """A class's name on two lines, where it is longer than a picture is wide."""
    lines = wrap(name, 13, max_lines=2, placeholder="…")
    return "\n".join(lines)


_FEW = 10
"""Colours on each side of 0 of an atom, few because many atoms stand on one sheet."""


def atoms(
    classes: Sequence[str],
    images: Floats,
    reconstructions: Floats,
    strongest: Floats,
    texts: Sequence[Sequence[str]],
    layout: Layout,
) -> Figure:
    """A row for each class: an input, its reconstruction, and the class's strongest atoms.

    All pictures are one, which takes a fraction of the room that each by itself would.

    Args:
        classes: Names.
        images: float [classes, features].
        reconstructions: float [classes, features].
        strongest: Atoms, the strongest first, float [classes, atoms, features]; each on a scale of its own.
        texts: What stands below each atom.
        layout: Of the inputs.
    """
    titles = (layout.form.one, "reconstruction", "strongest atom")
    drawn = [layout.places(one) for one in strongest]
    if layout.is_wide:
        with themed():
            examples = [
                [rows.Input(one), rows.Input(again), *map(rows.Heat, places, labels)]
                for one, again, places, labels in zip(images, reconstructions, drawn, texts, strict=True)
            ]
            return rows.table(layout, classes, titles, examples)
    high, wide = layout.shape
    gap, below, count = max(1, wide // 8), max(1, high // 3), strongest.shape[1]
    lefts = [place * (wide + gap) + (2 * gap if place > 1 else 0) for place in range(2 + count)]
    height, width = len(classes) * (high + below), lefts[-1] + wide
    picture = np.zeros((height, width, 4))
    greys, shades = mpl.colormaps["gray"].resampled(_FEW + 4), DIVERGING.resampled(2 * _FEW + 1)
    shown = [layout.pictures(one) for one in (images, reconstructions)]
    for row in range(len(classes)):
        cells = [one[row] if one.ndim == 4 else greys(one[row]) for one in shown]
        cells += [shades((layout.laid(one[None])[0] / heat_limit(one) + 1) / 2) for one in drawn[row]]
        top = row * (high + below)
        for left, cell in zip(lefts, cells, strict=True):
            picture[top : top + high, left : left + wide, : cell.shape[2]] = cell
            picture[top : top + high, left : left + wide, 3] = 1
    with themed():
        figure = Figure(figsize=(10.5, 10.5 * height / width))
        sheet = _sheet(figure, width, height)
        sheet.imshow(picture, extent=(0, width, height, 0), interpolation="none", aspect="equal")
        for row, name in enumerate(classes):
            top = row * (high + below)
            sheet.text(-gap, top + high / 2, name, ha="right", va="center", fontweight="bold")
            for left, text in zip(lefts[2:], texts[row], strict=True):
                sheet.text(left + wide / 2, top + high + 1, text, ha="center", va="top", fontsize=8)
        for left, title in zip(lefts, titles, strict=False):
            sheet.text(left + wide / 2, -1, title, ha="center", va="bottom", fontsize=9)
    return figure
