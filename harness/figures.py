"""Draw: the only importer of matplotlib and seaborn. Figures come from numbers, and leave as SVG text.

Text and lines are drawn in two stand-in colours that leave as CSS (`currentColor`, `var(--line)`), so a
figure inside a page follows the page's light or dark theme.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.measurements import correlations
from harness.records import Floats

INK, LINE = "#010203", "#040506"
_STAND_INS = {INK: "currentColor", LINE: "var(--line, #c9ccd1)"}

SERIES = ("#3d7fc1", "#c8742b", "#3a9a6a", "#a35fae", "#b8892b", "#c4577a", "#5f8f9c", "#8a7a5a")
"""Colours of series: each at least 3:1 on white and on the dark page."""

THEME: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "harness",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "text.parse_math": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": LINE,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.frameon": False,
    "image.composite_image": False,
}


@contextmanager
def _themed() -> Iterator[None]:
    with mpl.rc_context(THEME), warnings.catch_warnings():  # type: ignore[arg-type]
        # text leaves as text: the reader's fonts draw what the measuring font lacks
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


def svg(figure: Figure, name: str) -> str:
    """The figure as SVG text for a page: no size of its own, ids made unique by `name`, the same bytes
    for the same figure.
    """
    stream = io.StringIO()
    with _themed():
        figure.savefig(stream, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    for stand_in, css in _STAND_INS.items():
        text = text.replace(stand_in, css)
    text = re.sub(r'(<svg [^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg [^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, count=1, flags=re.DOTALL)
    # of the ids only those stay that something refers to: equal pictures bear equal ids
    needed = {part for pair in re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text) for part in pair}
    text = re.sub(
        r' id="([^"]+)"', lambda found: f' id="{name}-{found[1]}"' if found[1] in needed else "", text
    )
    text = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    # what DejaVu was measured with, any sans-serif of the reader may show
    return re.sub(r"'DejaVu Sans'(, sans-serif)*", "'DejaVu Sans', Verdana, sans-serif", text).strip()


def heat_limit(maps: Floats) -> float:
    """The symmetric limit of a diverging scale: the 99th percentile of |map|, and never 0."""
    limit = float(np.quantile(np.abs(maps), 0.99)) if maps.size else 0.0
    return limit or float(np.abs(maps).max(initial=0.0)) or 1.0


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
    sheet.imshow(image, extent=extent, interpolation="none", aspect="equal", **style)


def _label(sheet: Axes, place: tuple[float, float], text: str, *, below: bool = False, **style: Any) -> None:
    """Text above a picture, or below it."""
    column, row = place
    style = {"ha": "center", "va": "top" if below else "bottom"} | style
    sheet.text(column + PICTURE / 2, row + PICTURE + 0.04 if below else row - 0.04, text, **style)


def _picture(sheet: Axes, place: tuple[float, float], image: Floats) -> None:
    _show(sheet, place, image, cmap="gray", vmin=0, vmax=1)


def _heat(sheet: Axes, place: tuple[float, float], heat: Floats, limit: float) -> None:
    _show(sheet, place, heat, cmap="RdBu_r", vmin=-limit, vmax=limit)
    if not np.any(heat):
        half = PICTURE / 2
        sheet.text(place[0] + half, place[1] + half, "all zero", ha="center", va="center", color="#333333")


def _overlay(sheet: Axes, place: tuple[float, float], image: Floats, heat: Floats, limit: float) -> None:
    colours = mpl.colormaps["RdBu_r"]((heat / limit + 1) / 2)
    colours[..., 3] = np.clip(1.6 * np.abs(heat) / limit, 0, 1)
    # on a pale negative of the image both of the scale's ends can be seen
    _show(sheet, place, image, cmap="gray_r", vmin=0, vmax=3)
    _show(sheet, place, colours)


def words(name: str) -> str:
    """A name of the code as readers see it."""
    return name.replace("_", " ")


def explanation(
    image: Floats,
    maps: Mapping[str, Floats],
    *,
    shape: tuple[int, int] = (28, 28),
    title: str = "",
    reconstruction: Floats | None = None,
) -> Figure:
    """The three-row figure of one sample.

    First row: the original and each method's heatmap, each on its own symmetric scale, printed below it.
    Second row: the reconstruction, where given, and the heatmaps laid over the original. Third row: the
    methods' correlations, and each map's mean, maximum, standard deviation and 99th percentile.

    Args:
        image: float [pixels], in [0, 1].
        maps: Each method's signed map, float [pixels].
        shape: Rows and columns of the image.
        title: The figure's title.
        reconstruction: float [pixels].
    """
    names = list(maps)
    picture = np.asarray(image).reshape(shape)
    with _themed():
        figure = Figure(figsize=(1.62 * (len(names) + 1), 5.0))
        columns, height = len(names) + 1, 3.05
        sheet = _sheet(figure, columns, height)
        figure.suptitle(title, fontweight="bold", fontsize=11, y=1.14)
        bold: dict[str, Any] = {"fontweight": "bold", "fontsize": 10}
        _picture(sheet, (0, 0), picture)
        _label(sheet, (0, 0), "original", **bold)
        if reconstruction is not None:
            _picture(sheet, (0, 1.2), np.asarray(reconstruction).reshape(shape))
            _label(sheet, (0, 1.2), "reconstruction", below=True)
        for column, name in enumerate(names, start=1):
            flat = np.asarray(maps[name], dtype=np.float64)
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
        _small_matrix(corner, names, maps)
    return figure


def _small_matrix(axes: Axes, names: Sequence[str], maps: Mapping[str, Floats]) -> None:
    """The correlations of one sample's maps, as a small lower triangle of numbers."""
    rows = [np.asarray(maps[name], dtype=np.float64)[None] for name in names]
    table = [[float(correlations(a, b)[0]) for b in rows] for a in rows]
    short = ["".join(part[0].upper() for part in name.split("_")) for name in names]
    _matrix(axes, np.array(table), short, size=7)
    axes.tick_params(labelsize=8, length=0)


def _matrix(axes: Axes, values: Floats, labels: Sequence[str], size: float = 10) -> None:
    if len(labels) < 2:
        axes.axis("off")
        return
    sns.heatmap(
        values,
        ax=axes,
        mask=np.triu(np.ones_like(values, dtype=bool)),
        vmin=-1,
        vmax=1,
        cmap="RdBu_r",
        annot=True,
        fmt=".2f",
        annot_kws={"fontsize": size},
        cbar=False,
        square=True,
        linewidths=1,
        linecolor="none",
        xticklabels=list(labels),
        yticklabels=list(labels),
    )
    axes.grid(visible=False)
    axes.tick_params(length=0, rotation=0)
    # the first row and the last column of a lower triangle are empty
    axes.set_ylim(len(labels), 1)
    axes.set_xlim(0, len(labels) - 1)


def agreement_matrix(names: Sequence[str], values: Mapping[tuple[str, str], float]) -> Figure:
    """The pairs' agreements as a lower triangle."""
    table = np.full((len(names), len(names)), np.nan)
    for (a, b), value in values.items():
        i, j = names.index(a), names.index(b)
        table[i, j] = table[j, i] = value
    with _themed():
        figure = Figure(figsize=(4.6, 3.6))
        axes = figure.subplots()
        _matrix(axes, table, [words(name).replace(" ", "\n") for name in names], size=13)
        axes.tick_params(labelsize=9)
    return figure


def intervals(
    rows: Sequence[tuple[str, float, float | None, float | None, bool]], threshold: float | None, label: str
) -> Figure:
    """Estimates with their intervals, one under another: (name, estimate, low, high, is a control)."""
    with _themed():
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
        if threshold is not None:
            axes.axvline(threshold, color=INK, linewidth=1, linestyle="--")
            axes.annotate(
                f"threshold {threshold:g}", (threshold, -0.75), (3, 0), textcoords="offset points", fontsize=8
            )
        axes.set_yticks(range(len(rows)), [row[0] for row in rows])
        axes.set_ylim(len(rows) - 0.4, -1)
        axes.set_xlim(min(-0.12, *(row[1] - 0.08 for row in rows)), 1.02)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(label)
    return figure


def training_curves(table: pd.DataFrame) -> Figure:
    """Loss by epoch of the autoencoder and the classifier, and the classifier's training accuracy."""
    panels = (
        ("autoencoder", "loss", "autoencoder: squared error a pixel", "log"),
        ("classifier", "loss", "classifier: cross-entropy [nats]", "log"),
        ("classifier", "accuracy", "classifier: training accuracy", "linear"),
    )
    with _themed():
        figure = Figure(figsize=(10.2, 2.9))
        for axes, (stage, column, title, scale) in zip(figure.subplots(1, 3), panels, strict=True):
            part = table[table["stage"] == stage]
            for number, (seed, rows) in enumerate(part.groupby("seed")):
                colour = SERIES[number % len(SERIES)]
                axes.plot(rows["epoch"], rows[column], color=colour, linewidth=1.8, label=f"seed {seed}")
            axes.set_title(title)
            axes.set_yscale(scale)
            axes.set_xlabel("epoch")
            axes.minorticks_off()
            axes.yaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
            if scale == "log":
                axes.yaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
        if len(set(table["seed"])) > 1:
            axes.legend()
        figure.tight_layout()
    return figure


def class_means(
    means: Mapping[str, Floats], images: Floats, classes: Sequence[str], shape: tuple[int, int]
) -> Figure:
    """Each method's mean map of each class, beside the class's mean image.

    Args:
        means: By method, float [classes, pixels].
        images: float [classes, pixels].
        classes: Names.
        shape: Rows and columns of an image.
    """
    with _themed():
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
