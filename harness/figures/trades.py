"""One measurement against another, and the Pareto front of the points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.figures.theme import INK, PAGE, POINTS, SERIES, themed

WIDTH = 64
"""Letters of a line of an axis's title."""

_LETTER = 0.62
"""The mean width of a letter, as a share of its height."""


@dataclass(frozen=True)
class Traded:
    """A point of a sweep by two measurements.

    Attributes:
        label: What stands beside it; empty where nothing does.
        x: (estimate, low, high); the bounds None where there is no interval.
        y: Likewise.
        front: Whether no other point is better in both.
        reference: Whether others are compared with it.
    """

    label: str
    x: tuple[float, float | None, float | None]
    y: tuple[float, float | None, float | None]
    front: bool
    reference: bool = False


def trade_off(points: Sequence[Traded], x_label: str, y_label: str, *, log: bool = False) -> Figure:
    """One measurement against another, named above: a diamond is of the Pareto front, a circle is not."""
    with themed():
        figure = Figure(figsize=(6.4, 4.6))
        axes = figure.subplots()
        if log:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5), numticks=7))
            axes.xaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
        for one in points:
            colour = SERIES[0] if one.front else SERIES[1]
            if one.x[1] is not None and one.x[2] is not None:
                axes.plot([one.x[1], one.x[2]], [one.y[0]] * 2, color=colour, linewidth=1.2, alpha=0.6)
            if one.y[1] is not None and one.y[2] is not None:
                axes.plot([one.x[0]] * 2, [one.y[1], one.y[2]], color=colour, linewidth=1.2, alpha=0.6)
        front = sorted((one.x[0], one.y[0]) for one in points if one.front)
        axes.plot(*zip(*front, strict=True), color=SERIES[0], linewidth=1, linestyle="--") if front else None
        for is_front, marker, face in ((False, "o", PAGE), (True, "D", SERIES[0])):
            there = [(one.x[0], one.y[0]) for one in points if one.front is is_front]
            if there:
                colour = SERIES[0] if is_front else SERIES[1]
                label = "Pareto front" if is_front else "dominated"
                style: dict[str, Any] = {
                    "linestyle": "none",
                    "markersize": 7,
                    "markeredgewidth": 1.6,
                    "label": label,
                }
                x, y = zip(*there, strict=True)
                axes.plot(x, y, marker=marker, color=colour, markerfacecolor=face, **style)
        for one in points:
            if one.reference:
                ring: dict[str, Any] = {"color": INK, "markerfacecolor": "none", "linestyle": "none"}
                axes.plot(one.x[0], one.y[0], marker="o", markersize=13, label="the reference", **ring)
        axes.margins(0.1)
        axes.minorticks_off()
        axes.set_title("\n".join(_lines(y_label)), loc="left", fontweight="normal")
        below = _lines(x_label)
        axes.set_xlabel("\n".join(below))
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.11 - 0.04 * len(below)), ncol=3)
        _labels(axes, points)
    return figure


def _lines(title: str) -> list[str]:
    """An axis's title in lines; what does not fit into one has its unit, in brackets, on another."""
    if len(title) <= WIDTH:
        return [title]
    name, bracket, unit = title.partition(" [")
    return [*wrap(name, WIDTH), *(wrap(f"[{unit}", WIDTH) if bracket else [])]


def _labels(axes: Axes, points: Sequence[Traded]) -> None:
    """Each label where it covers neither a point nor another; none where there is no such place."""
    size = 8
    axes.autoscale_view()  # places are asked for below
    scale = POINTS / axes.figure.dpi
    at = axes.transData.transform([(one.x[0], one.y[0]) for one in points]) * scale
    frame = axes.get_window_extent()
    left, right = frame.x0 * scale, frame.x1 * scale
    taken = [(x - 4, y - 4, x + 4, y + 4) for x, y in at.tolist()]
    for one, (x, y) in zip(points, at.tolist(), strict=True):
        if not one.label:
            continue
        width, height = _LETTER * size * len(one.label), 1.15 * size
        for side, rise in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)):
            near = 8 if rise == 0 or side == 0 else 6
            x0 = x + side * near - width * {1: 0, 0: 0.5, -1: 1}[side]
            y0 = y + rise * near - height * {1: 0, 0: 0.5, -1: 1}[rise]
            box = (x0, y0, x0 + width, y0 + height)
            if box[0] < left or box[2] > right + 20 or any(_overlap(box, other) for other in taken):
                continue
            taken.append(box)
            axes.annotate(
                one.label,
                (one.x[0], one.y[0]),
                (side * near, rise * near),
                textcoords="offset points",
                fontsize=size,
                ha={1: "left", 0: "center", -1: "right"}[side],
                va={1: "bottom", 0: "center", -1: "top"}[rise],
            )
            break


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
