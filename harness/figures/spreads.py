"""Charts of spreads: what images differ by, and methods beside one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib import mlab
from matplotlib.figure import Figure

from harness.figures.theme import INK, SERIES, list_rows, mark_threshold, themed
from harness.records import Floats

_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def distributions(values: Mapping[str, tuple[Floats, bool]], threshold: float | None, label: str) -> Figure:
    """The spread of images, one shape under another, a dot at the median.

    Args:
        values: By name, float [n] and whether it is a control; NaN is left out.
        threshold: A vertical line; None where there is none.
        label: Of the x axis.
    """
    with themed():
        figure = Figure(figsize=(10.5, 0.8 + 0.34 * len(values)))
        axes = figure.subplots()
        for place, (numbers, control) in enumerate(values.values()):
            there = numbers[np.isfinite(numbers)]
            if len(there) > 1 and np.ptp(there) > 0:
                # Scott's bandwidth; cut at the lowest and the highest image, each shape as wide as another
                along = np.linspace(there.min(), there.max(), 24)
                density = mlab.GaussianKDE(there)(along)
                half = 0.45 * density / density.max()
                colour = SERIES[1] if control else SERIES[0]
                axes.fill_between(along, place - half, place + half, color=colour, linewidth=0)
            if len(there):
                axes.plot(np.median(there), place, "D" if control else "o", color=INK, markersize=4, zorder=3)
        mark_threshold(axes, threshold)
        list_rows(axes, list(values), top=-1)
        axes.set(xlabel=label, ylabel="")
    return figure


@dataclass(frozen=True)
class Column:
    """One question asked of every row.

    Attributes:
        title: Above it.
        label: Below it: the unit, and which end is better.
        rows: (value, low, high) of each row; None where there is no number, or no interval.
        log: Whether its axis is logarithmic.
        worst: The row that is worst; None where that cannot be said.
    """

    title: str
    label: str
    rows: Sequence[tuple[float | None, float | None, float | None]]
    log: bool = False
    worst: int | None = None


def beside(names: Sequence[str], columns: Sequence[Column], *, width: float) -> Figure:
    """Rows of dots with their intervals, a pair of axes for each question; the worst named in words."""
    with themed():
        figure = Figure(figsize=(width, 1.0 + 0.34 * len(names)))
        all_axes = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
        for axes, column in zip(all_axes, columns, strict=True):
            if column.log:
                axes.set_xscale("log")
                axes.xaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5), numticks=6))
                axes.xaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
                axes.minorticks_off()
            else:
                axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(5))
            for place, (value, low, high) in enumerate(column.rows):
                look = {"color": SERIES[place % len(SERIES)]}
                if low is not None and high is not None:
                    axes.plot([low, high], [place, place], linewidth=2.5, solid_capstyle="butt", **look)
                if value is None:
                    axes.annotate("no number", (0.5, place), xycoords=axes.get_yaxis_transform(), va="center")
                    continue
                axes.plot(value, place, _MARKERS[place % len(_MARKERS)], markersize=6, **look)
                text = f"{value:.3g}" + (", worst" if place == column.worst else "")
                axes.annotate(
                    text, (value, place), (0, 6), textcoords="offset points", ha="center", fontsize=8
                )
            axes.set_title(column.title, loc="left")
            axes.set_xlabel(column.label)
            axes.margins(x=0.15)
            list_rows(axes, names, top=-0.8)
        figure.subplots_adjust(left=0, right=1, wspace=0.12)
    return figure


def ranges(
    rows: Sequence[tuple[str, Sequence[float], float]], tolerance: float, label: str, *, width: float = 10.5
) -> Figure:
    """For each row its numbers as dots, beside what they should be (a stroke) and how far they may miss it.

    Args:
        rows: Name, numbers, and what they should be.
        tolerance: How far a number may lie from that.
        label: Of the x axis.
        width: Of the figure, in inches.
    """
    with themed():
        figure = Figure(figsize=(width, 0.8 + 0.25 * len(rows)))
        axes = figure.subplots()
        nominal = np.array([row[2] for row in rows])
        sizes = [len(row[1]) for row in rows]
        places = np.repeat(np.arange(len(rows)), sizes)
        found = np.concatenate([np.asarray(row[1], dtype=np.float64) for row in rows])
        inside = np.abs(found - nominal[places]) <= tolerance
        axes.hlines(
            range(len(rows)),
            nominal - tolerance,
            nominal + tolerance,
            color=SERIES[2],
            alpha=0.35,
            linewidth=8,
        )
        axes.plot(found[inside], places[inside], "o", color=SERIES[0], markersize=4, label="a setting")
        axes.plot(
            found[~inside], places[~inside], "X", color=SERIES[5], markersize=6, label="outside the tolerance"
        )
        axes.plot(nominal, np.arange(len(rows)), "|", color=INK, markersize=10, label="nominal")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.5 / figure.get_figheight()), ncol=3)
        list_rows(axes, [row[0] for row in rows], top=-0.6)
        axes.xaxis.set_major_formatter(mpl.ticker.PercentFormatter(1, decimals=0))
        axes.set_xlabel(label)
    return figure
