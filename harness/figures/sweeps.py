"""Charts of sweeps: a measurement along an axis and over a plane of two, points against their reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.figures.charts import heat_table
from harness.figures.theme import INK, LINE, PAGE, SERIES, list_rows, themed
from harness.records import Floats

COURSES = 6
"""So many lines can be told apart by colour, dashes and marker."""

WIDTH = 40
"""Letters of a line of a panel's title."""

_DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (6, 2, 1, 2, 1, 2)), (0, (8, 3)))
_MARKERS = ("o", "s", "^", "D", "v", "P")


@dataclass(frozen=True)
class Along:
    """The axis that small multiples share.

    Attributes:
        label: Below it.
        ticks: Names of the places 0, 1, 2, ...; none where its values are numbers.
        at: Where ticks stand on an axis of numbers; the scale chooses where they would stand too close.
        log: Whether it is logarithmic.
    """

    label: str
    ticks: Sequence[str] = ()
    at: Sequence[float] = ()
    log: bool = False


@dataclass(frozen=True, eq=False)
class Course:
    """A measurement along an axis, all other axes held.

    Attributes:
        name: What the key says.
        x: float64 [n], rising.
        values: float64 [n]; NaN where there is no number.
        low: Lower bounds, float64 [n]; NaN where there is none.
        high: Upper bounds, likewise.
    """

    name: str
    x: Floats
    values: Floats
    low: Floats
    high: Floats


def courses(
    title: str,
    unit: str,
    along: Along,
    lines: Sequence[Course],
    thresholds: Sequence[tuple[Floats, Floats]] = (),
) -> Figure:
    """One panel: lines with their intervals as bands; of named values dots with strokes side by side.

    Args:
        title: Above it, in lines of its width.
        unit: Beside it.
        along: Its x axis.
        lines: At most `COURSES` of them.
        thresholds: Each (x, y), float64 [n], what the criterion asks for at each x.
    """
    with themed():
        figure = Figure(figsize=(4.4, 2.7))
        axes = figure.subplots()
        for place, one in enumerate(lines):
            if along.ticks:
                _strokes(axes, one, place, len(lines))
            else:
                _band(axes, one, place)
        _thresholds(axes, thresholds)
        axes.set_title("\n".join(wrap(title, WIDTH)), loc="left")
        axes.set(xlabel=along.label, ylabel=unit)
        _x_axis(axes, along)
        axes.yaxis.set_major_locator(mpl.ticker.MaxNLocator(5))
    return figure


def _look(place: int) -> dict[str, Any]:
    return {"color": SERIES[place], "linestyle": _DASHES[place], "marker": _MARKERS[place], "markersize": 5}


def _band(axes: Axes, one: Course, place: int) -> None:
    axes.plot(one.x, one.values, linewidth=1.8, **_look(place))
    known = np.isfinite(one.low) & np.isfinite(one.high)
    axes.fill_between(
        one.x, one.low, one.high, where=known.tolist(), facecolor=SERIES[place], alpha=0.15, linewidth=0
    )
    # a band has no width where both neighbours lack an interval
    beside = np.concatenate([[False], known, [False]])
    alone = known & ~beside[:-2] & ~beside[2:]
    axes.vlines(one.x[alone], one.low[alone], one.high[alone], color=SERIES[place], linewidth=2)


def _strokes(axes: Axes, one: Course, place: int, lines: int) -> None:
    x = one.x + 0.12 * (place - (lines - 1) / 2)
    axes.vlines(x, one.low, one.high, color=SERIES[place], linewidth=2)
    axes.plot(x, one.values, **_look(place) | {"linestyle": "none"})


def _thresholds(axes: Axes, thresholds: Sequence[tuple[Floats, Floats]]) -> None:
    """Dashed lines; one so far away that it would flatten all else is told in words, at its side."""
    low, high = axes.get_ylim()
    for x, y in thresholds:
        there = np.isfinite(y)
        if not there.any():
            continue
        least, most = float(y[there].min()), float(y[there].max())
        if low - 1.5 * (high - low) <= least and most <= high + 1.5 * (high - low):
            if least == most:
                axes.axhline(least, color=INK, linewidth=1, linestyle=(0, (4, 3)))
            else:
                axes.plot(x, y, color=INK, linewidth=1, linestyle=(0, (4, 3)))
            continue
        below = most < low
        text = f"threshold {least:g}" if least == most else f"thresholds {least:g} to {most:g}"
        axes.annotate(
            f"{text} lies {'below' if below else 'above'}",
            (0.99, 0.02 if below else 0.98),
            xycoords="axes fraction",
            ha="right",
            va="bottom" if below else "top",
            fontsize=8,
        )
    axes.margins(y=0.08)


def _x_axis(axes: Axes, along: Along) -> None:
    if along.ticks:
        wide = sum(map(len, along.ticks)) + 2 * len(along.ticks) > 42
        turned: dict[str, Any] = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if wide else {}
        axes.set_xticks(range(len(along.ticks)), list(along.ticks), **turned)
        axes.set_xlim(-0.5, len(along.ticks) - 0.5)
        return
    if along.log:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5), numticks=7))
        axes.xaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
    else:
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(6))
    if _parted(along.at, along.log):
        axes.set_xticks(list(along.at), [f"{one:g}" for one in along.at])
    axes.minorticks_off()


def _parted(at: Sequence[float], log: bool) -> bool:
    """Whether ticks at these places can be told apart."""
    if not 0 < len(at) < 10:
        return False
    places = np.sort(np.log(at) if log else np.asarray(at, dtype=np.float64))
    return len(at) == 1 or bool(np.diff(places).min() >= 0.09 * np.ptp(places))


def courses_key(names: Sequence[str], *, dots: bool = False, threshold: bool = False) -> Figure:
    """What the lines of small multiples mean; of dots without lines, those."""
    style = {"linewidth": 1.8}
    handles = [
        mpl.lines.Line2D([], [], **_look(place) | style | ({"linestyle": "none"} if dots else {}), label=name)
        for place, name in enumerate(names)
    ]
    if threshold:
        handles.append(mpl.lines.Line2D([], [], color=INK, linewidth=1, linestyle="--", label="threshold"))
    columns = max(1, min(len(handles), int(100 / (8 + max(len(str(one.get_label())) for one in handles)))))
    with themed():
        figure = Figure(figsize=(11, 0.28 * -(-len(handles) // columns)))
        axes = figure.add_axes((0, 0, 1, 1))  # as wide as the page, that letters are as large as others
        axes.axis("off")
        axes.legend(handles=handles, loc="center left", ncol=columns, handlelength=3.5)
    return figure


@dataclass(frozen=True)
class Shift:
    """How a point differs from the reference.

    Attributes:
        title: The row's name.
        change: Point minus reference; None where that cannot be told.
        low: The interval's lower bound; None where there is none.
        high: The upper bound, likewise.
        text: What stands at the row's end.
    """

    title: str
    change: float | None
    low: float | None
    high: float | None
    text: str

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def shifts(rows: Sequence[Shift], label: str, better: bool | None) -> Figure:
    """Points one under another, the reference at 0: a diamond where the interval leaves it out.

    Args:
        rows: The points.
        label: Of the x axis.
        better: Whether more is better; None where neither end is.
    """
    with themed():
        figure = Figure(figsize=(6.4, 0.9 + 0.28 * len(rows)))
        axes = figure.subplots()
        axes.axvline(0, color=INK, linewidth=1)
        for place, row in enumerate(rows):
            colour = SERIES[0] if row.clear else SERIES[1]
            if row.low is not None and row.high is not None:
                axes.plot(
                    [row.low, row.high], [place, place], color=colour, linewidth=2.5, solid_capstyle="butt"
                )
            if row.change is None:
                axes.axhline(place, color=LINE, linewidth=1, linestyle=":")
            else:
                face = colour if row.clear else PAGE
                style: dict[str, Any] = {"markersize": 6, "markerfacecolor": face, "markeredgewidth": 1.5}
                axes.plot(row.change, place, "D" if row.clear else "o", color=colour, **style)
            axes.annotate(
                row.text,
                (1.01, place),
                xycoords=axes.get_yaxis_transform(),
                va="center",
                fontsize=8,
                fontweight="bold" if row.clear else "normal",
            )
        # the zero is in sight, and has a side to either hand for its words
        low, high = axes.get_xlim()
        reach = max(-low, high) * 0.35 or 1.0
        axes.set_xlim(min(low, -reach), max(high, reach))
        if better is not None:
            right, left = ("better", "worse") if better else ("worse", "better")
            style = {"textcoords": "offset points", "fontsize": 9}
            axes.annotate(left, (0, -0.65), (-6, 0), ha="right", **style)
            axes.annotate(right, (0, -0.65), (6, 0), **style)
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(6))
        list_rows(axes, [row.title for row in rows], top=-0.95)
        axes.set_xlabel(label)
    return figure


def plane(
    values: Floats,
    texts: Sequence[Sequence[str]],
    below: Sequence[Sequence[str]],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    title: str,
    labels: tuple[str, str],
    framed: tuple[int, int] | None = None,
) -> Figure:
    """A measurement over two axes, a cell a point.

    Args:
        values: float64 [rows, columns], what the colours stand for; a cell of NaN is empty.
        texts: What stands in each cell.
        below: A second, smaller line in each cell.
        rows: Names of the rows.
        columns: Names of the columns.
        title: Above it, in lines of its width.
        labels: What rows and columns are.
        framed: The reference's cell; None where it is not among them.
    """
    with themed():
        figure = Figure(figsize=(0.95 * len(columns) + 1.2, 0.52 * len(rows) + 0.9))
        axes = figure.subplots()
        known = values[np.isfinite(values)]
        low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
        limits = (low, high) if low < high else (low - 1, high + 1)
        heat_table(axes, values, texts, limits=limits, colours="Blues", below=below)
        if framed is not None:
            corner = (framed[1] + 0.04, framed[0] + 0.06)
            frame = mpl.patches.Rectangle(corner, 0.92, 0.88, fill=False, color=SERIES[1], linewidth=2.5)
            axes.add_patch(frame)
        wide = max(map(len, columns), default=0) > 9
        turned: dict[str, Any] = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if wide else {}
        axes.set_xticks(axes.get_xticks(), list(columns), **turned)
        axes.set_yticks(axes.get_yticks(), list(rows))
        axes.set(ylabel=labels[0], xlabel=labels[1])
        axes.set_title("\n".join(wrap(title, max(24, 11 * len(columns)))), loc="left")
    return figure
