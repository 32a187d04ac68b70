"""Charts of numbers: tables in colours, intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.figures.theme import LINE, PAGE, SERIES, list_rows, mark_threshold, themed
from harness.records import Floats
from harness.text import words


def heat_table(
    axes: Axes,
    values: Floats,
    texts: Sequence[Sequence[str]],
    *,
    limits: tuple[float, float],
    colours: str,
    size: float = 10,
    below: Sequence[Sequence[str]] | None = None,
) -> None:
    """A table whose cells bear their numbers, on given axes; a cell of NaN is empty.

    Args:
        axes: They get a row and a column for each of the table's.
        values: float [rows, columns], what the colours stand for.
        texts: What stands in each cell.
        limits: Ends of the colours' scale.
        colours: The scale's name.
        size: Of the text, in points.
        below: A second, smaller line in each cell.
    """
    scale = mpl.colormaps[colours]
    shades = scale(np.clip((values - limits[0]) / (limits[1] - limits[0]), 0, 1), bytes=True) / 255
    rows, columns = values.shape
    axes.set(xlim=(0, columns), ylim=(rows, 0))
    for row, column in zip(*np.nonzero(~np.isnan(values)), strict=True):
        # drawn, not a picture: where a page may not show pictures, what stands in a cell can be read
        cell = {"facecolor": shades[row, column], "linewidth": 0, "clip_on": False}
        axes.add_patch(mpl.patches.Rectangle((column, row), 1, 1, **cell))
        ink = _ink_on(shades[row, column])
        middle = row + (0.42 if below else 0.5)
        style: dict[str, Any] = {"color": ink, "ha": "center", "va": "center"}
        axes.text(column + 0.5, middle, texts[row][column], fontsize=size, **style)
        if below:
            axes.text(column + 0.5, row + 0.72, below[row][column], fontsize=0.68 * size, **style)
    axes.hlines(range(1, rows), 0, columns, color=PAGE, linewidth=1)
    axes.vlines(range(1, columns), 0, rows, color=PAGE, linewidth=1)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, rotation=0)
    axes.set_xticks(np.arange(columns) + 0.5)
    axes.set_yticks(np.arange(rows) + 0.5)


def _ink_on(shade: Floats) -> str:
    """Black or white, whichever is told better from a colour: always at least 4.5:1 (WCAG 2.2)."""
    linear = np.where(shade[:3] <= 0.04045, shade[:3] / 12.92, ((shade[:3] + 0.055) / 1.055) ** 2.4)
    return "black" if linear @ (0.2126, 0.7152, 0.0722) > 0.179 else "white"


def matrix(
    axes: Axes,
    values: Floats,
    labels: Sequence[str],
    size: float = 10,
    below: Sequence[Sequence[str]] | None = None,
) -> None:
    """The lower triangle of a symmetric table, with its numbers, on given axes."""
    if len(labels) < 2:
        axes.axis("off")
        return
    # the first row and the last column of a lower triangle are empty
    triangle = np.where(np.tri(len(labels), k=-1, dtype=bool), values, np.nan)[1:, :-1]
    texts = [[f"{value:.2f}" for value in row] for row in triangle]
    below = None if below is None else [row[:-1] for row in below[1:]]
    heat_table(axes, triangle, texts, limits=(-1, 1), colours="RdBu_r", size=size, below=below)
    axes.set_xticks(axes.get_xticks(), list(labels)[:-1])
    axes.set_yticks(axes.get_yticks(), list(labels)[1:])
    axes.set_aspect("equal")


def agreement_matrix(
    names: Sequence[str], values: Mapping[tuple[str, str], tuple[float, float | None, float | None]]
) -> Figure:
    """The pairs' agreements as a lower triangle, each (value, low, high) with its interval."""
    size = len(names)
    table = np.full((size, size), np.nan)
    below = [[""] * size for _ in names]
    for (a, b), (value, low, high) in values.items():
        first, second = sorted((names.index(a), names.index(b)))
        table[second, first] = value
        if low is not None and high is not None:
            below[second][first] = f"{low:.2f} to {high:.2f}"
    with themed():
        figure = Figure(figsize=(1.5 * size, 1.15 * size))
        axes = figure.subplots()
        matrix(axes, table, [words(name).replace(" ", "\n") for name in names], size=13, below=below)
        axes.tick_params(labelsize=9)
    return figure


def class_table(
    values: Floats, rows: Sequence[str], columns: Sequence[str], lowest: tuple[int, int] | None
) -> Figure:
    """Agreement by class and pair, float [rows, columns], the lowest cell framed."""
    with themed():
        figure = Figure(figsize=(1.2 * len(columns) + 3, 0.36 * len(rows) + 0.7))
        axes = figure.subplots()
        texts = [[f"{value:.2f}" for value in row] for row in values]
        bottom = float(np.floor(10 * np.nanmin(values, initial=0.9)) / 10)
        heat_table(axes, values, texts, limits=(bottom, 1), colours="Blues")
        if lowest is not None:
            corner = (lowest[1] + 0.03, lowest[0] + 0.05)
            axes.add_patch(mpl.patches.Rectangle(corner, 0.94, 0.9, fill=False, color=SERIES[1], linewidth=3))
        axes.set_xticks(axes.get_xticks(), columns, fontsize=8)
        axes.set_yticks(axes.get_yticks(), rows)
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
    return figure


NUMBERED = 20
"""Classes whose confusions are told in numbers; of more the cells would be too small."""


def confusion(shares: Floats, classes: Sequence[str]) -> Figure:
    """Of each true class (row) the percentage that is named each class (column), float [classes, classes].

    Less than one percent stays empty. Of many classes the colours alone are shown, with their scale.
    """
    shown = np.where(shares >= 0.01, shares, np.nan)
    with themed():
        if len(classes) > NUMBERED:
            return _colours_alone(shown, classes)
        figure = Figure(figsize=(0.52 * len(classes) + 1.4, 0.44 * len(classes) + 1.2))
        axes = figure.subplots()
        texts = [[f"{100 * share:.0f}" if share >= 0.01 else "" for share in row] for row in shares]
        # the root brings out what is rare
        heat_table(axes, np.sqrt(shown), texts, limits=(0, 1), colours="Blues", size=9)
        axes.set_xticks(axes.get_xticks(), classes, rotation=40, ha="right")
        axes.set_yticks(axes.get_yticks(), classes)
        axes.set(xlabel="named [% of the class]", ylabel="true class")
    return figure


def _colours_alone(shares: Floats, classes: Sequence[str]) -> Figure:
    """A table of so many cells that its side is given, and theirs follows."""
    count, side = len(classes), 10.0
    figure = Figure(figsize=(side, side))
    axes = figure.add_axes((0, 0, 1, 1))
    style: dict[str, Any] = {"cmap": "Blues", "vmin": 0, "vmax": 1, "interpolation": "none"}
    drawn = axes.imshow(np.sqrt(shares), extent=(0, count, count, 0), **style)
    size = min(9.0, 0.95 * 72 * side / count)
    axes.set_xticks(np.arange(count) + 0.5, classes, rotation=90, fontsize=size)
    axes.set_yticks(np.arange(count) + 0.5, classes, fontsize=size)
    axes.tick_params(length=0, pad=2)
    # the eye finds its row and column by a line at every fifth class
    axes.grid(visible=False)
    axes.hlines(range(0, count + 1, 5), 0, count, color=LINE, linewidth=0.5)
    axes.vlines(range(0, count + 1, 5), 0, count, color=LINE, linewidth=0.5)
    axes.spines[:].set_visible(False)
    axes.set(xlabel="named", ylabel="true class")
    key = axes.inset_axes((0.75, 1.03, 0.25, 0.012))
    bar = figure.colorbar(drawn, cax=key, orientation="horizontal")
    marks = (0, 0.01, 0.1, 0.25, 0.5, 1)
    bar.set_ticks(np.sqrt(marks).tolist(), labels=[f"{100 * one:.0f}" for one in marks])
    bar.outline.set_visible(False)
    key.tick_params(labelsize=8, length=2)
    key.xaxis.set_label_position("top")
    key.set_xlabel("% of the true class", fontsize=8)
    return figure


def intervals(
    rows: Sequence[tuple[str, float, float | None, float | None, bool]], threshold: float | None, label: str
) -> Figure:
    """Estimates with their intervals, one under another: (name, estimate, low, high, is a control)."""
    with themed():
        figure = Figure(figsize=(6.4, 0.8 + 0.32 * len(rows)))
        axes = figure.subplots()
        for place, (_, value, low, high, control) in enumerate(rows):
            colour = SERIES[1] if control else SERIES[0]
            if low is not None and high is not None:
                axes.plot([low, high], [place, place], color=colour, linewidth=2.5, solid_capstyle="butt")
            axes.plot(value, place, "D" if control else "o", color=colour, markersize=6)
            axes.annotate(
                f"{round(value, 2) + 0.0:.2f}",
                (value, place),
                (0, 6),
                textcoords="offset points",
                ha="center",
                fontsize=8,
            )
        axes.axvline(0, color=LINE, linewidth=1)
        mark_threshold(axes, threshold)
        list_rows(axes, [row[0] for row in rows], top=-1)
        axes.set_xlim(min([-0.12, *((row[1] if row[2] is None else row[2]) - 0.08 for row in rows)]), 1.02)
        axes.set_xlabel(label)
    return figure
