"""Rows: series, clips and rows of tables, drawn below one another along one axis, with their maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from harness.figures.heat import DIVERGING, GREY, grey_of, heat_limit, in_numbers, small_matrix, veil
from harness.figures.layouts import Layout
from harness.figures.theme import LINE, PAGE, SERIES
from harness.records import Floats
from harness.text import clean, words

_NAMED = 12
"""Lanes that bear their channel's name or number; of more only some do."""

_LETTER = 0.07
"""The width of a letter of a name, in inches."""


@dataclass(frozen=True)
class Box:
    """Where a drawing stands on its sheet, in inches from the upper left."""

    left: float
    top: float
    width: float
    height: float

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """As `imshow` takes it."""
        return self.left, self.left + self.width, self.top + self.height, self.top

    def across(self, layout: Layout, where: Floats) -> Floats:
        """Places along the axis, in inches."""
        return np.asarray(self.left + self.width * where / layout.length)


@dataclass(frozen=True)
class Input:
    """An input u to be drawn: float [features]."""

    values: Floats


@dataclass(frozen=True)
class Heat:
    """A map's places to be drawn, float [places]; `text` stands below.

    Its scale ends at the limit; of 0, where the map's own does.
    """

    places: Floats
    text: str = ""
    limit: float = 0.0


def sheet_of(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of some inches, and axes over all of it that have the same inches from the upper left."""
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, width), ylim=(height, 0), autoscale_on=False)
    return figure, axes


def draw_input(sheet: Axes, box: Box, layout: Layout, values: Floats) -> None:
    """An input u, float [features], as pictures, lines or bars."""
    if layout.is_picture:
        _pixels(sheet, box, layout.pictures(values[None])[0])
        _outline(sheet, box, layout)
    else:
        _frame(sheet, box, layout)
        _trace(sheet, box, layout, values, SERIES[0])


def draw_heat(sheet: Axes, box: Box, layout: Layout, places: Floats, limit: float) -> None:
    """A map's places, float [places], on a scale that ends at the limit."""
    _pixels(sheet, box, DIVERGING((layout.laid(places[None])[0] / limit + 1) / 2))
    _between(sheet, box, layout)
    _outline(sheet, box, layout)
    if not np.any(places):
        middle = box.left + box.width / 2, box.top + box.height / 2
        sheet.text(*middle, "all zero", ha="center", va="center", color="#333333")


def _over(sheet: Axes, box: Box, layout: Layout, values: Floats, places: Floats, limit: float) -> None:
    """A map over its input: on a pale negative of the pictures, or below the lines."""
    if layout.is_picture:
        _pixels(sheet, box, GREY(1 - grey_of(layout.pictures(values[None])[0]) / 3))
        _pixels(sheet, box, veil(layout.laid(places[None])[0], limit))
        _outline(sheet, box, layout)
    else:
        draw_heat(sheet, box, layout, places, limit)
        _trace(sheet, box, layout, values, "#111111", halo=True)


def _pixels(sheet: Axes, box: Box, picture: Floats) -> None:
    """A picture, clear where it is empty."""
    if picture.ndim == 2:
        colours = GREY(picture)
        colours[np.isnan(picture), 3] = 0
    elif picture.shape[2] == 3:
        clear = np.isnan(picture).any(axis=2)
        colours = np.dstack([np.nan_to_num(picture), ~clear])
    else:
        colours = picture
    sheet.imshow(colours, extent=box.extent, interpolation="none", aspect="auto", clip_on=False)


def _frame(sheet: Axes, box: Box, layout: Layout) -> None:
    """Fine lines between the lanes of an input, and below them."""
    tops = box.top + box.height * np.arange(layout.lanes + 1) / layout.lanes
    sheet.hlines(tops, box.left, box.left + box.width, color=LINE, linewidth=0.5, clip_on=False)


def _outline(sheet: Axes, box: Box, layout: Layout) -> None:
    """A fine line around all lanes, or around each frame: a pale map would have no bounds on a pale page."""
    rows, columns = layout.shape
    for left, top, width, height in layout.fields:
        place = box.left + box.width * left / columns, box.top + box.height * top / rows
        size = box.width * width / columns, box.height * height / rows
        sheet.add_patch(Rectangle(place, *size, fill=False, edgecolor=LINE, linewidth=0.5, clip_on=False))


def _between(sheet: Axes, box: Box, layout: Layout) -> None:
    """The page's colour between strips."""
    if layout.lanes > 1:
        tops = box.top + box.height * np.arange(1, layout.lanes) / layout.lanes
        width = 1.2 if layout.lanes <= _NAMED else 0.4
        sheet.hlines(tops, box.left, box.left + box.width, color=PAGE, linewidth=width, clip_on=False)


def _trace(sheet: Axes, box: Box, layout: Layout, values: Floats, colour: str, halo: bool = False) -> None:
    """The lines of a series, or a row's bars, in their lanes."""
    where, found = layout.traces(values[None])
    lane = box.height / layout.lanes
    style: dict[str, Any] = {"color": colour, "clip_on": False}
    for place, heights in enumerate(np.clip(found[0], 0, 1)):
        foot = box.top + (place + 1) * lane
        ups = foot - lane * (0.08 + 0.84 * heights)
        if layout.form.kind == "table":
            half = 0.35 * box.width / len(where)
            edge = {"edgecolor": "#ffffff", "linewidth": 0.8} if halo else {"linewidth": 0}
            bars = _bars(box.across(layout, where), half, foot, ups)
            sheet.add_patch(PathPatch(bars, facecolor=colour, clip_on=False, **edge))
        else:
            around = (
                [withStroke(linewidth=2.6 if layout.lanes <= 6 else 1.8, foreground="#ffffff")]
                if halo
                else []
            )
            sheet.plot(
                box.across(layout, where),
                ups,
                linewidth=1.2 if layout.lanes <= 6 else 0.8,
                path_effects=around,
                **style,
            )


def _bars(middles: Floats, half: float, foot: float, tops: Floats) -> Path:
    """Bars as one path: thousands of their own would take seconds to draw."""
    lefts, rights, feet = middles - half, middles + half, np.full_like(tops, foot)
    corners = [(lefts, feet), (lefts, tops), (rights, tops), (rights, feet), (lefts, feet)]
    points = np.stack([np.stack(corner, axis=1) for corner in corners], axis=1)
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
    return Path(points.reshape(-1, 2), codes * len(middles))


def draw_axis(sheet: Axes, box: Box, layout: Layout) -> None:
    """The axis below a drawing: time, features, or a clip's frames."""
    kind, foot = layout.form.kind, box.top + box.height
    if kind == "clip":
        if layout.frames_a_line == layout.length:
            for frame in range(layout.length):
                middle = box.across(layout, np.array(frame + 0.5)).item()
                sheet.text(middle, foot + 0.04, str(frame), ha="center", va="top", fontsize=8)
        text = "frame" if layout.frames_a_line == layout.length else "frames, line by line"
    else:
        names = layout.form.names if kind == "table" else ()
        most = max(1, int(box.width / (12 * _LETTER))) if names else 8
        found = np.asarray(MaxNLocator(min(8, most), integer=True).tick_values(0, layout.length - 1))
        shown = found[(found >= 0) & (found < layout.length)].astype(int)
        longest = int(box.width / max(1, len(shown)) / _LETTER) - 1
        for tick in shown.tolist():
            middle = box.across(layout, np.array(tick + 0.5)).item()
            sheet.plot([middle] * 2, [foot, foot + 0.05], color=LINE, linewidth=0.8, clip_on=False)
            text, side = str(tick), "center"
            if names:
                text = _shortened(names[tick], longest)
                # a name at an end does not reach into the neighbour's
                half = min(len(text) * _LETTER, box.width) / 2
                over = middle + half > box.left + box.width
                side = "left" if middle - half < box.left else "right" if over else side
                middle = {"left": box.left, "right": box.left + box.width}.get(side, middle)
            sheet.text(middle, foot + 0.06, text, ha=side, va="top", fontsize=8)
        text = "time [points]" if kind == "series" else "feature"
    sheet.text(box.left + box.width / 2, foot + 0.22, text, ha="center", va="top", fontsize=9)


def _shortened(name: str, longest: int) -> str:
    """A name that somebody gave, on one line of so many letters."""
    text = " ".join(clean(name).split())
    return text if len(text) <= longest else f"{text[: max(1, longest - 1)]}…"


def _lanes(sheet: Axes, box: Box, layout: Layout, ends: bool = False) -> None:
    """The channels' names or numbers at the left of their lanes; with the ends of their scales."""
    if layout.form.kind != "series":
        return
    lane = box.height / layout.lanes
    low, high = (np.broadcast_to(np.ravel(one), layout.lanes) for one in (layout.low, layout.high))
    every = -(-layout.lanes // _NAMED)
    for place in range(0, layout.lanes, every):
        name = f"channel {place}" if layout.lanes <= 4 else str(place)
        if layout.form.names:
            name = _shortened(layout.form.names[place], 11)
        elif layout.lanes == 1:
            name = ""
        if ends and layout.lanes <= 4:
            unit = f" {layout.form.unit}" if layout.form.unit else ""
            name += f"\n{low[place]:.3g} to {high[place]:.3g}{unit}"
        middle = box.top + (place + 0.5) * lane
        sheet.text(box.left - 0.08, middle, name.strip(), ha="right", va="center", fontsize=8)


def height_of(layout: Layout, width: float, least: float) -> float:
    """How high a drawing of some width is."""
    if layout.is_picture:
        rows, columns = layout.shape
        return width * rows / columns
    return max(least, min(3.2, 0.3 * layout.lanes if layout.lanes <= 4 else 0.15 * layout.lanes))


def explanation(
    layout: Layout,
    sample: Floats,
    maps: Mapping[str, Floats],
    title: str,
    reconstruction: Floats | None,
    grains: Mapping[str, Any],
    scale: float,
) -> Figure:
    """One sample, and below it each method's contributions along the same axis.

    At the left the contributions alone, at the right laid over the input; beside them their numbers, and at
    the top the maps' correlations.

    Args:
        layout: How it is drawn.
        sample: float [1, features].
        maps: Each method's signed map, float64 [features].
        title: Of the figure.
        reconstruction: float [1, features]; None of a model that gives none.
        grains: By method, int64 [features], each one's group; nothing of a method that asks of features.
        scale: The end of every map's scale; of 0, of each its own.
    """
    names_wide, lanes_wide, wide, between, numbers_wide = 1.35, 0.85, 4.3, 0.35, 1.35
    first, each = height_of(layout, wide, 1.0), height_of(layout, wide, 0.62)
    gap, above = 0.16, 0.6
    tops = above + np.r_[0, first + 0.55 + (each + gap) * np.arange(len(maps))]
    left = names_wide + lanes_wide
    right = left + wide + between
    height = float(tops[-1]) + each + 0.42
    figure, sheet = sheet_of(right + wide + numbers_wide, height)
    bold: dict[str, Any] = {"fontweight": "bold", "fontsize": 10}
    sheet.text(0, 0, title, va="top", fontweight="bold", fontsize=11)
    one = layout.form.one

    def headed(column: float, top: float, text: str) -> None:
        sheet.text(column, top - 0.07, text, va="bottom", **bold)

    box = Box(left, above, wide, first)
    headed(left, above, f"the {one}")
    draw_input(sheet, box, layout, sample[0])
    _lanes(sheet, box, layout, ends=True)
    if reconstruction is not None:
        headed(right, above, "reconstruction")
        draw_input(sheet, Box(right, above, wide, first), layout, reconstruction[0])
    headed(left, tops[1], "contributions")
    headed(right, tops[1], f"laid over the {one}")
    for (name, flat), top in zip(maps.items(), tops[1:].tolist(), strict=True):
        places = layout.places(flat[None])[0]
        limit = scale or heat_limit(places)
        pair = Box(left, top, wide, each), Box(right, top, wide, each)
        draw_heat(sheet, pair[0], layout, places, limit)
        _over(sheet, pair[1], layout, sample[0], places, limit)
        _lanes(sheet, pair[0], layout)
        middle = top + each / 2
        text = f"{words(name).replace(' ', chr(10), 1)}\n±{limit:.2g}"
        sheet.text(names_wide - 0.05, middle, text, ha="right", va="center", fontsize=9)
        sheet.text(right + wide + 0.15, middle, in_numbers(flat), va="center", family="monospace", fontsize=8)
    for column in (left, right):
        draw_axis(sheet, Box(column, float(tops[-1]), wide, each), layout)
    width, high = figure.get_size_inches()
    corner = sheet.inset_axes(
        (1 - (numbers_wide - 0.35) / width, 1 - (above + first) / high, 1.0 / width, 0.95 / high)
    )
    small_matrix(corner, maps, grains)
    return figure


def table(
    layout: Layout, names: Sequence[str], titles: Sequence[str], cells: Sequence[Sequence[Any]]
) -> Figure:
    """Inputs and maps in named rows and columns.

    Args:
        layout: How they are drawn.
        names: Of the rows.
        titles: Of the columns, or of the first of them.
        cells: By row, each an `Input`, a `Heat` or nothing.
    """
    count = len(cells[0])
    wide, between = 10.2 / count - 0.12, 0.12
    each = height_of(layout, wide, 0.4)
    below = 0.22 if any(isinstance(cell, Heat) and cell.text for some in cells for cell in some) else 0.1
    left, above = (2.0 if layout.lanes > 1 else 1.4), 0.35
    height = above + len(cells) * (each + below) + 0.5
    figure, sheet = sheet_of(left + count * (wide + between), height)
    for column, title in enumerate(titles):
        sheet.text(left + column * (wide + between), above - 0.08, title, va="bottom", fontsize=9)
    for row, (name, some) in enumerate(zip(names, cells, strict=True)):
        top = above + row * (each + below)
        style: dict[str, Any] = {"ha": "right", "va": "center", "fontweight": "bold"}
        sheet.text(left - (0.8 if layout.lanes > 1 else 0.1), top + each / 2, name, **style)
        for column, cell in enumerate(some):
            box = Box(left + column * (wide + between), top, wide, each)
            if isinstance(cell, Input):
                draw_input(sheet, box, layout, cell.values)
            elif cell is not None:
                draw_heat(sheet, box, layout, cell.places, cell.limit or heat_limit(cell.places))
                middle = box.left + wide / 2
                sheet.text(middle, top + each + 0.03, cell.text, ha="center", va="top", fontsize=8)
    for column in range(count if layout.is_wide else 0):
        draw_axis(sheet, Box(left + column * (wide + between), top, wide, each + below - 0.1), layout)
    _lanes(sheet, Box(left, above, wide, each), layout)
    return figure
