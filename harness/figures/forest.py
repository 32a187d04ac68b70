"""Charts of criteria: how far each number lies from its threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.figures.theme import INK, LINE, SERIES, list_rows, themed

LINEAR = 3.0
"""The axis is linear as far as this many standard errors to either side of 0, and logarithmic beyond."""

_STEPS = tuple(factor * 10.0**power for power in range(1, 9) for factor in (1, 3))


@dataclass(frozen=True)
class Margin:
    """One criterion's distance from its threshold in standard errors, positive on the good side.

    Attributes:
        title: The row's name.
        gate: Whether it has a say, or is only watched.
        word: Its verdict, in words.
        red: Whether it does not hold.
        value: The distance; None where there is no standard error to measure by.
        low: The interval's bound on the bad side, in the same unit; None where there is none.
        high: The interval's bound on the good side, likewise.
        seeds: Each seed's own distance, where there are several.
        side: 1 on the good side, -1 on the bad one, 0 where there is no number.
    """

    title: str
    gate: bool
    word: str
    red: bool
    value: float | None
    low: float | None
    high: float | None
    seeds: tuple[float, ...]
    side: int


def forest(rows: Sequence[Margin]) -> Figure:
    """Criteria one under another, the threshold at 0.

    A circle is a gate, a diamond a watched criterion; hollow, at the edge of its side, where there is no
    standard error; a small stroke is a seed.
    """
    reach = [
        number for row in rows for number in (row.value, row.low, row.high, *row.seeds) if number is not None
    ]
    lowest, highest = min([-LINEAR, *reach]) * 1.6, max([10.0, *reach]) * 2
    with themed():
        figure = Figure(figsize=(10.5, 0.9 + 0.3 * len(rows)))
        axes = figure.subplots()
        axes.set_xscale("symlog", linthresh=LINEAR, linscale=0.8)
        axes.set_xlim(lowest, highest)
        axes.axvspan(lowest, 0, facecolor=SERIES[5], alpha=0.1, linewidth=0)
        axes.axvline(0, color=INK, linewidth=1, linestyle="--")
        for place, row in enumerate(rows):
            _row(axes, place, row)
        axes.annotate("misses its threshold", (0, -0.65), (-6, 0), textcoords="offset points", ha="right")
        axes.annotate("keeps it", (0, -0.65), (6, 0), textcoords="offset points")
        ticks = [0.0, LINEAR, -LINEAR, *_STEPS, *(-step for step in _STEPS)]
        ticks = sorted(tick for tick in ticks if lowest < tick < highest)
        axes.set_xticks(ticks, [f"{tick:+g}" if tick else "0" for tick in ticks])
        axes.minorticks_off()
        list_rows(axes, [row.title for row in rows], top=-0.9)
        axes.set_xlabel("distance from the threshold in standard errors")
        for colour, (marker, word) in zip(SERIES, (("o", "gate"), ("D", "watched")), strict=False):
            axes.plot([], [], marker, color=colour, label=word)
        axes.plot([], [], "s", color=INK, markerfacecolor="none", label="hollow: no standard error")
        if any(row.seeds for row in rows):
            axes.plot([], [], "|", color=INK, markersize=9, label="a seed's own")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.55 / figure.get_figheight()), ncol=4)
    return figure


def _row(axes: Axes, place: int, row: Margin) -> None:
    colour = SERIES[0] if row.gate else SERIES[1]
    style: dict[str, Any] = {"marker": "o" if row.gate else "D", "color": colour, "markersize": 7}
    text = row.word.upper() if row.red else row.word
    if row.low is not None and row.high is not None:
        axes.plot([row.low, row.high], [place, place], color=colour, linewidth=2.5, solid_capstyle="butt")
    if row.value is not None:
        axes.plot(row.value, place, **style)
        text = f"{row.value:+.1f}  {text}"
    elif row.side:
        edge = 0.985 if row.side > 0 else 0.015
        axes.plot(
            edge, place, **style, markerfacecolor="none", transform=axes.get_yaxis_transform(), clip_on=False
        )
    else:
        axes.axhline(place, color=LINE, linewidth=1, linestyle=":")
        text = f"no number  {text}"
    axes.plot(row.seeds, [place] * len(row.seeds), "|", color=INK, markersize=9)
    axes.annotate(
        text,
        (1.01, place),
        xycoords=axes.get_yaxis_transform(),
        va="center",
        fontweight="bold" if row.red else "normal",
    )
