"""Charts of nights: a strip a measurement, what happened beside it, and the small line of a table's cell.

A page has a strip for each of twenty measurements over a year, so what it draws by the hundred is one path.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.figures.theme import INK, LINE, SERIES, list_rows, themed
from harness.records import Floats, Ints

Bools = npt.NDArray[np.bool_]
Kind = Literal["alarm", "notice", "improvement"]
NIGHT, LEVEL, GOOD, BAD = SERIES[0], SERIES[3], SERIES[2], SERIES[5]
_COLOURS: dict[Kind, str] = {"alarm": BAD, "notice": SERIES[1], "improvement": GOOD}
_APART = 0.13
"""Least distance of two labels beside a strip, as a share of its height."""


CROWDED = 150
"""Of more nights than these the dots touch, and no line is drawn from one to the next."""


@dataclass(frozen=True)
class Nights:
    """A measurement's numbers.

    Attributes:
        at: Numbers of the nights, int64 [n], rising.
        values: float64 [n]; NaN in a night without a number.
        low: Lower bounds, float64 [n]; NaN where there is none.
        high: Upper bounds, likewise.
        young: Whether it is a first point of a young series, bool [n].
        out: Whether it counts for nothing, bool [n].
        place: Places in the sequence, int64 [n]: nights whose places follow are neighbours, though second
            measurements of one may bear numbers between theirs.
    """

    at: Ints
    values: Floats
    low: Floats
    high: Floats
    young: Bools
    out: Bools
    place: Ints


@dataclass(frozen=True)
class Span:
    """Nights in which an alarm was open.

    Attributes:
        kind: Whether it is red, only said, or for the better.
        first: Number of the first night.
        last: Number of the night that ended it; None while it is open.
    """

    kind: Kind
    first: int
    last: int | None


@dataclass(frozen=True)
class Levels:
    """What a strip's numbers are held against.

    Attributes:
        pinned: The pinned night's number; None where nothing is pinned.
        thresholds: What the criterion asks for: none, one, or both ends.
        band: Changes that are not worth a night's sleep: round the middle of the nights before; None without.
        steps: Mean of each stretch of nights between two change points: (first night, last night, mean).
    """

    pinned: float | None = None
    thresholds: tuple[float, ...] = ()
    band: tuple[float, float] | None = None
    steps: Sequence[tuple[int, int, float]] = ()


@dataclass(frozen=True)
class Axis:
    """The nights that charts of one page share.

    Attributes:
        first: Number of the first night that is drawn.
        last: Number of the last one.
        dates: By number, the day as readers see it.
    """

    first: int
    last: int
    dates: Mapping[int, str] = field(default_factory=dict)

    def apply(self, axes: Axes) -> None:
        """Give axes these nights: at most seven are named, with their days."""
        room = 0.01 * (self.last - self.first) + 0.6
        axes.set_xlim(self.first - room, self.last + room)
        step = max(1, -(-(self.last - self.first + 1) // 7))
        # from the last night backwards, which is named always
        ticks = list(range(self.last, self.first - 1, -step))
        axes.set_xticks(
            ticks, [f"{tick}\n{self.dates[tick]}" if tick in self.dates else str(tick) for tick in ticks]
        )


def strip(
    nights: Nights,
    axis: Axis,
    levels: Levels,
    *,
    spans: Iterable[Span] = (),
    signs: Mapping[int, str] | None = None,
) -> Figure:
    """One measurement over the nights.

    Args:
        nights: Its numbers.
        axis: Which nights are drawn.
        levels: What they are held against.
        spans: Its alarms.
        signs: By night, letters of what happened in it, drawn above a dotted line.
    """
    with themed():
        figure = Figure(figsize=(10.5, 1.9))
        axes = figure.subplots()
        axis.apply(axes)
        counts = ~nights.out & ~np.isnan(nights.values)
        limits = _limits(nights, counts, levels)
        axes.set_ylim(limits)
        axes.yaxis.set_major_locator(mpl.ticker.MaxNLocator(4))
        axes.ticklabel_format(axis="y", useOffset=False)
        axes.grid(visible=False, axis="x")
        if levels.band is not None:
            axes.axhspan(*levels.band, facecolor=LINE, alpha=0.35, linewidth=0)
        for one in spans:
            last = axis.last + 0.5 if one.last is None else one.last - 0.5
            if last > axis.first:
                first = max(one.first, axis.first) - 0.5
                axes.axvspan(first, last, facecolor=_COLOURS[one.kind], alpha=0.16, linewidth=0)
                axes.plot([first] * 2, limits, color=_COLOURS[one.kind], linewidth=1.2)
        _numbers(axes, nights, counts, limits)
        for first, last, mean in levels.steps:
            axes.plot([first - 0.4, last + 0.4], [mean, mean], color=LEVEL, linewidth=1.6)
        _beside(axes, nights, counts, levels, limits)
        _letters(axes, signs or {}, axis)
        _frame(figure)
    return figure


def _limits(nights: Nights, counts: Bools, levels: Levels) -> tuple[float, float]:
    """Ends of the y axis: all that counts and what it is held against; a threshold far off stays outside."""
    found = np.concatenate([nights.values[counts], nights.low[counts], nights.high[counts]])
    ends = [
        *found[~np.isnan(found)],
        *(levels.band or ()),
        *([] if levels.pinned is None else [levels.pinned]),
    ]
    low, high = (float(min(ends)), float(max(ends))) if ends else (0.0, 1.0)
    reach = high - low
    near = [one for one in levels.thresholds if low - reach <= one <= high + reach]
    low, high = min([low, *near]), max([high, *near])
    margin = 0.08 * (high - low) or 0.01 * abs(high) or 1.0
    return low - margin, high + margin


def _numbers(axes: Axes, nights: Nights, counts: Bools, limits: tuple[float, float]) -> None:
    """The numbers with their intervals: a line that breaks where a night is missing, a dot a night."""
    at, place, values = nights.at[counts], nights.place[counts], nights.values[counts]
    low, high = nights.low[counts], nights.high[counts]
    # a number that is none, put between two nights that are no neighbours, breaks line and band
    breaks = np.flatnonzero(np.diff(place) > 1) + 1
    along = np.insert(at.astype(np.float64), breaks, np.nan)
    line, lower, upper = (np.insert(one, breaks, np.nan) for one in (values, low, high))
    axes.fill_between(along, lower, upper, color=NIGHT, alpha=0.2, linewidth=0)
    # a night without neighbours has no room for a band: a stroke
    alone = ~np.isnan(low) & (np.diff(place, prepend=-2) > 1) & (np.diff(place, append=place[-1:] + 2) > 1)
    _strokes(axes, at[alone], low[alone], high[alone], color=NIGHT, alpha=0.3, linewidth=2)
    if len(nights.at) <= CROWDED:
        axes.plot(along, line, color=NIGHT, linewidth=0.9, alpha=0.7)
    size = float(np.clip(400 / max(1, len(nights.at)), 2.4, 5))
    young = nights.young[counts]
    for which, alpha in ((~young, 1.0), (young, 0.5)):
        _strokes(axes, at[which], values[which], values[which], color=NIGHT, alpha=alpha, linewidth=size)
    out = nights.out & ~np.isnan(nights.values)
    held = np.clip(nights.values[out], *limits)
    axes.plot(nights.at[out], held, "x", color=INK, markersize=5, clip_on=False)
    broken = nights.at[nights.out & np.isnan(nights.values)]
    axes.plot(broken, [limits[0]] * len(broken), "x", color=BAD, markersize=5, clip_on=False)


def _strokes(axes: Axes, at: Any, low: Floats, high: Floats, **look: Any) -> None:
    """Upright strokes as one path, dots where both ends are one: markers would take five times the bytes."""
    if not len(at):
        return
    dots = bool(np.all(low == high))
    # a way that leads back to where it began is a dot, where its ends are round
    second = mpl.path.Path.CLOSEPOLY if dots else mpl.path.Path.LINETO
    corners = np.column_stack([at, low, at, high]).reshape(-1, 2)
    codes = np.tile([mpl.path.Path.MOVETO, second], len(at)).astype(np.uint8)
    path = mpl.path.Path(corners, codes)
    path.should_simplify = False
    drawn = mpl.patches.PathPatch(path, fill=False, capstyle="round" if dots else "butt", zorder=3, **look)
    # the axes' limits stand; to widen them for a patch would walk along all its corners
    axes.add_artist(drawn)


def _beside(axes: Axes, nights: Nights, counts: Bools, levels: Levels, limits: tuple[float, float]) -> None:
    """Lines across for pin and threshold, and at the right what they and the last number are."""
    labels: list[tuple[float, str, str]] = []
    if levels.pinned is not None:
        axes.axhline(levels.pinned, color=GOOD, linewidth=1.4)
        labels.append((levels.pinned, f"pin {levels.pinned:.4g}", "normal"))
    for one in levels.thresholds:
        if limits[0] <= one <= limits[1]:
            axes.axhline(one, color=INK, linewidth=1, linestyle="--")
            labels.append((one, f"threshold {one:g}", "normal"))
        else:
            where, end = ("below", limits[0]) if one < limits[0] else ("above", limits[1])
            labels.append((end, f"threshold {one:g}, {where}", "normal"))
    if counts.any():
        last = nights.values[counts][-1]
        axes.plot(
            nights.at[counts][-1:], [last], "o", color=NIGHT, markeredgecolor=INK, markersize=6, zorder=4
        )
        labels.append((last, f"{last:.4g}", "bold"))
    place, height = -1.0, limits[1] - limits[0]
    for number, text, weight in sorted(labels):
        place = max(place, (number - limits[0]) / height)
        axes.annotate(
            text,
            (1.006, place),
            xycoords="axes fraction",
            va="center",
            fontsize=8,
            fontweight=weight,
            annotation_clip=False,
        )
        place += _APART


def _letters(axes: Axes, signs: Mapping[int, str], axis: Axis) -> None:
    """Letters above the nights in which something happened; where two would touch, the line alone."""
    at = np.array(sorted(one for one in signs if axis.first <= one <= axis.last), dtype=np.int64)
    bottom, top = (np.full(len(at), end) for end in axes.get_ylim())
    _strokes(axes, at, bottom, top, color=INK, linewidth=0.7, linestyle=(0, (1, 2)))
    room, before = 0.022 * (axis.last - axis.first), -np.inf
    for one in at.tolist():
        if one - before > room * len(signs[one]):
            place: dict[str, Any] = {"xycoords": axes.get_xaxis_transform(), "ha": "center", "va": "bottom"}
            axes.annotate(signs[one], (one, 1.01), fontsize=8, annotation_clip=False, **place)
            before = one


def _frame(figure: Figure) -> None:
    """Room beside the axes, the same for every chart of nights, so that a night stands below itself."""
    figure.subplots_adjust(left=0, right=1)
    figure.add_artist(mpl.lines.Line2D([-0.1, 1.14], [0.5, 0.5], alpha=0))


def timeline(rows: Mapping[str, Sequence[int]], axis: Axis) -> Figure:
    """What happened in which night, a row a kind, a stroke a night."""
    with themed():
        figure = Figure(figsize=(10.5, 0.5 + 0.22 * len(rows)))
        axes = figure.subplots()
        axis.apply(axes)
        list_rows(axes, list(rows), top=-0.6)
        for place, numbers in enumerate(rows.values()):
            at = np.array([one for one in numbers if axis.first <= one <= axis.last], dtype=np.int64)
            _strokes(
                axes, at, np.full(len(at), place - 0.3), np.full(len(at), place + 0.3), color=NIGHT, lw=1.6
            )
        _frame(figure)
    return figure


def strip_key() -> Figure:
    """What the signs of strips mean, once a page; letters stand in its words."""
    line, patch = mpl.lines.Line2D, mpl.patches.Patch
    with themed():
        figure = Figure(figsize=(10.5, 0.9))
        handles = [
            line([], [], color=NIGHT, marker="o", markersize=4, linewidth=0.9, label="night"),
            line([], [], color=NIGHT, marker="o", markersize=4, linewidth=0, alpha=0.5, label="warm-up"),
            patch(color=NIGHT, alpha=0.2, linewidth=0, label="interval"),
            line([], [], color=GOOD, linewidth=1.4, label="pin"),
            line([], [], color=INK, linewidth=1, linestyle="--", label="threshold"),
            patch(color=LINE, alpha=0.35, linewidth=0, label="no change worth red"),
            line([], [], color=LEVEL, linewidth=1.6, label="level between change points"),
            patch(color=BAD, alpha=0.16, linewidth=0, label="alarm"),
            patch(color=_COLOURS["notice"], alpha=0.16, linewidth=0, label="notice"),
            patch(color=GOOD, alpha=0.16, linewidth=0, label="improvement"),
            line([], [], color=INK, marker="x", markersize=5, linewidth=0, label="excluded"),
            line([], [], color=BAD, marker="x", markersize=5, linewidth=0, label="no number"),
        ]
        figure.legend(handles=handles, loc="upper left", ncol=6, handlelength=1.8, fontsize=9)
    return figure


def sparkline(nights: Nights, band: tuple[float, float] | None, *, red: bool) -> Figure:
    """Nights as the line of a table's cell, the last one a dot.

    Args:
        nights: The numbers; what counts for nothing is left out.
        band: Changes that are not worth a night's sleep; None without.
        red: Whether an alarm is open.
    """
    values = np.where(nights.out, np.nan, nights.values)
    with themed():
        figure = Figure(figsize=(1.1, 0.2))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.axis("off")
        known = np.flatnonzero(~np.isnan(values))
        if band is not None:
            axes.axhspan(*band, facecolor=LINE, alpha=0.6, linewidth=0)
        axes.plot(values, color=INK, linewidth=1, clip_on=False)
        if len(known):
            look: dict[str, Any] = {"color": BAD if red else NIGHT, "markersize": 4, "clip_on": False}
            axes.plot(known[-1:], values[known[-1:]], "o", **look)
        axes.set_xlim(0, max(1, len(values) - 1))
    return figure
