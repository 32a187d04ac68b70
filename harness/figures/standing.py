"""Where tonight's numbers lie among those of the nights before: the one chart that seaborn draws.

Seaborn is imported here alone and only when the chart is drawn: with pandas and scipy it takes longer to load
than everything else on a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from harness.figures.strips import BAD, NIGHT
from harness.figures.theme import INK, LINE, list_rows, themed
from harness.records import Floats

FARTHEST = 8.0
"""The axis ends here, in standard deviations; what lies beyond is drawn at its end, with its number."""


@dataclass(frozen=True)
class Tonight:
    """A measurement tonight beside its nights before.

    Attributes:
        title: The row's name.
        before: The nights before in standard deviations from their middle, the better side positive, float64
            [n]; empty where they never moved.
        tonight: Tonight in the same unit; None where there is no such number.
        text: Tonight in words.
        red: Whether an alarm is open.
    """

    title: str
    before: Floats
    tonight: float | None
    text: str
    red: bool


def standing(rows: Sequence[Tonight]) -> Figure:
    """A row a measurement: the spread of the nights before with its quartiles, and a dot for tonight."""
    import seaborn as sns

    with themed():
        figure = Figure(figsize=(10.5, 0.9 + 0.28 * len(rows)))
        axes = figure.subplots()
        axes.axvline(0, color=INK, linewidth=1, linestyle="--")
        number = [np.full(len(row.before), place) for place, row in enumerate(rows)]
        before = {
            "y": np.concatenate([*number, np.empty(0)]),
            "x": np.concatenate([*(row.before for row in rows), np.empty(0)]),
        }
        if len(before["x"]):
            sns.violinplot(
                before,
                x="x",
                y="y",
                orient="h",
                native_scale=True,
                cut=0,
                gridsize=24,
                density_norm="width",
                inner="quart",
                width=0.8,
                color=NIGHT,
                alpha=0.35,
                linewidth=0.9,
                linecolor=INK,
                ax=axes,
            )
        reach = [abs(row.tonight) for row in rows if row.tonight is not None]
        end = min(FARTHEST, max([3.5, *(1.15 * one for one in reach)]))
        axes.set_xlim(-end, end)
        for place, row in enumerate(rows):
            if row.tonight is not None:
                beyond = abs(row.tonight) > end
                colour = BAD if row.red else NIGHT
                look: dict[str, Any] = {"color": colour, "markeredgecolor": INK, "markersize": 7}
                marker = "o" if not beyond else "<" if row.tonight < 0 else ">"
                held = float(np.clip(row.tonight, -0.985 * end, 0.985 * end))
                axes.plot(held, place, marker, zorder=4, **look)
            axes.annotate(
                row.text,
                (1.01, place),
                xycoords=axes.get_yaxis_transform(),
                va="center",
                fontweight="bold" if row.red else "normal",
            )
        list_rows(axes, [row.title for row in rows], top=-0.9)
        axes.annotate("worse", (0, -0.65), (-6, 0), textcoords="offset points", ha="right")
        axes.annotate("better", (0, -0.65), (6, 0), textcoords="offset points")
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(9, integer=True))
        axes.set(xlabel="standard deviations of the nights before, from their middle", ylabel="")
        axes.grid(visible=True, axis="x", color=LINE)
    return figure
