"""Charts of lines: by epoch, by step, by layer, by rank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.figures.theme import INK, SERIES, themed
from harness.records import Floats

_DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (6, 2, 1, 2, 1, 2)), (0, (1, 3)), (0, (8, 3)))
"""Line styles, so that lines are told apart without their colours."""

POINTS = 60
"""As many points of a long line are drawn: more cannot be seen, and make a page heavy."""


@dataclass(frozen=True)
class Line:
    """One line of a panel.

    Attributes:
        name: What the legend says; the same name has the same look in every panel.
        x: float [points].
        y: float [points].
        control: Whether it only serves as a comparison, and is drawn thin, in the ink of text.
    """

    name: str
    x: Floats
    y: Floats
    control: bool = False


@dataclass(frozen=True)
class Panel:
    """One pair of axes.

    Attributes:
        title: Above it.
        x_label: Below it.
        lines: What it shows.
        y_label: Beside it; none where the title says it.
        log: Whether its y axis is logarithmic.
        ticks: Names of the places 0, 1, 2, ... on the x axis, in place of numbers.
        limits: Ends of the y axis; None where the lines say.
        marked: An x that a vertical dashed line marks.
    """

    title: str
    x_label: str
    lines: Sequence[Line]
    y_label: str = ""
    log: bool = False
    ticks: Sequence[str] = ()
    limits: tuple[float, float] | None = None
    marked: float | None = None


def lines(panels: Sequence[Panel], *, width: float = 10.5, height: float = 2.9) -> Figure:
    """Panels beside one another, with one legend below where there is more than one line."""
    names = list(dict.fromkeys(line.name for panel in panels for line in panel.lines))
    controls = [line.name for panel in panels for line in panel.lines if line.control]
    series = [name for name in names if name not in controls]
    looks: dict[str, dict[str, Any]] = {
        name: {"color": SERIES[place % len(SERIES)], "linestyle": _DASHES[place % len(_DASHES)]}
        for place, name in enumerate(series)
    }
    for place, name in enumerate(dict.fromkeys(controls)):
        looks[name] = {"color": INK, "linewidth": 1.1, "linestyle": ((0, (1, 2)), (0, (5, 3)))[place % 2]}
    with themed():
        figure = Figure(figsize=(width, height))
        all_axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, panel in zip(all_axes, panels, strict=True):
            _panel(axes, panel, looks)
        if len(names) > 1:
            handles = [
                mpl.lines.Line2D([], [], **{"linewidth": 1.8} | looks[name], label=name) for name in names
            ]
            figure.legend(
                handles=handles,
                loc="upper center",
                bbox_to_anchor=(0.5, -0.1 / height),
                ncol=-(-len(names) // -(-len(names) // max(1, int(width / 2)))),
                handlelength=3.5,
            )
        figure.subplots_adjust(left=0, right=1, wspace=0.24 if any(one.y_label for one in panels) else 0.2)
    return figure


def _panel(axes: Axes, panel: Panel, looks: Mapping[str, Mapping[str, Any]]) -> None:
    for line in panel.lines:
        keep = np.unique(np.linspace(0, len(line.x) - 1, min(len(line.x), POINTS)).astype(int))
        style = {"linewidth": 1.8} | dict(looks[line.name])
        axes.plot(np.asarray(line.x)[keep], np.asarray(line.y)[keep], **style)
        if panel.ticks:
            axes.plot(line.x, line.y, "o", color=style["color"], markersize=4)
    if panel.marked is not None:
        axes.axvline(panel.marked, color=INK, linewidth=1, linestyle="--")
    axes.set_title(panel.title, loc="left")
    axes.set(xlabel=panel.x_label, ylabel=panel.y_label)
    if panel.log:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5), numticks=8))
        axes.yaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
    axes.minorticks_off()
    if panel.limits is not None:
        axes.set_ylim(panel.limits)
    if panel.ticks:
        axes.set_xticks(range(len(panel.ticks)), panel.ticks)
        axes.margins(x=0.08)


def training_curves(epochs: Sequence[Mapping[str, Any]], minimised: str = "squared error a pixel") -> Figure:
    """Loss by epoch of the autoencoder and the classifier, and the classifier's training accuracy.

    Args:
        epochs: Records of `seed`, `stage`, `epoch`, `loss` and `accuracy`, in order.
        minimised: What the autoencoder's loss is.
    """
    seeds = list(dict.fromkeys(row["seed"] for row in epochs))
    shown = (
        ("autoencoder", "loss", f"autoencoder: {minimised}"),
        ("classifier", "loss", "classifier: cross-entropy [nats]"),
        ("classifier", "accuracy", "classifier: training accuracy"),
    )
    panels = []
    for stage, column, title in shown:
        found = []
        if not any(row["stage"] == stage for row in epochs):
            continue
        for seed in seeds:
            rows = [row for row in epochs if row["stage"] == stage and row["seed"] == seed]
            along, values = (np.array([row[key] for row in rows], dtype=float) for key in ("epoch", column))
            found.append(Line(f"seed {seed}", along, values))
        panels.append(
            Panel(title, "epoch", found, log=column == "loss" and all((one.y > 0).all() for one in found))
        )
    return lines(panels)


def reliability(by_seed: Mapping[str, Mapping[str, Floats]], edges: Floats, noun: str = "images") -> Figure:
    """Accuracy against confidence, and how many images stand behind each point.

    Args:
        by_seed: By the seed's name, float [bins] each: `confidence` and `accuracy` (NaN where a bin is
            empty), `count`.
        edges: Of the bins, float [bins + 1].
        noun: What inputs are called.
    """
    with themed():
        figure = Figure(figsize=(5.2, 4.6))
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3.4, 1))
        above.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=(0, (1, 2)), label="calibrated")
        for place, (name, bins) in enumerate(by_seed.items()):
            there = bins["count"] > 0
            look = {"color": SERIES[place % len(SERIES)], "linestyle": _DASHES[place % len(_DASHES)]}
            above.plot(bins["confidence"][there], bins["accuracy"][there], marker="o", label=name, **look)
            below.stairs(bins["count"], edges, linewidth=1.5, **look)
        above.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="accuracy")
        above.legend(loc="upper left")
        below.set(xlabel="confidence", ylabel=noun)
        below.set_yscale("symlog", linthresh=10)
        below.yaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
        figure.subplots_adjust(hspace=0.12)
    return figure


def counts(values: Floats, band: tuple[float, float] | None, label: str, counted: str) -> Figure:
    """How many of what is counted have each number (int [n]), with the band it should lie in."""
    low, high = int(values.min()), int(values.max())
    step = max(1, (high - low + 1) // 40)
    edges = np.arange(low, high + step + 1, step) - 0.5
    with themed():
        figure = Figure(figsize=(5.2, 2.9))
        axes = figure.subplots()
        found, _ = np.histogram(values, edges)
        axes.stairs(found, edges, fill=True, color=SERIES[0])
        ends = [edges[0], edges[-1]]
        if band is not None:
            axes.axvspan(*band, facecolor=SERIES[2], alpha=0.18, linewidth=0)
            for place, edge in zip(("left", "right"), band, strict=True):
                axes.axvline(edge, color=INK, linewidth=1, linestyle="--")
                axes.annotate(f"{edge:g}", (edge, 1.02), xycoords=axes.get_xaxis_transform(), ha=place)
            ends += list(band)
        margin = 0.06 * (max(ends) - min(ends))
        axes.set_xlim(min(ends) - margin, max(ends) + margin)
        axes.set(xlabel=label, ylabel=counted)
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(6, integer=True))
        if low == high and band is None:
            axes.set_xticks([low])
    return figure


def firing(by_seed: Mapping[str, Floats], noun: str = "images") -> Figure:
    """Each unit's firing frequency, the most frequent first, on a log axis; the dead ones counted.

    Args:
        by_seed: By the seed's name, float [code width], in [0, 1].
        noun: What inputs are called.
    """
    with themed():
        figure = Figure(figsize=(5.2, 2.9))
        axes = figure.subplots()
        width = max(len(values) for values in by_seed.values())
        for place, (name, values) in enumerate(by_seed.items()):
            alive = np.sort(values[values > 0])[::-1]
            colour = SERIES[place % len(SERIES)]
            keep = np.unique(np.linspace(0, len(alive) - 1, min(len(alive), POINTS)).astype(int))
            axes.plot(
                keep + 1, alive[keep], color=colour, linestyle=_DASHES[place % len(_DASHES)], label=name
            )
            if len(alive) < len(values):
                floor = 0.04 + 0.07 * place
                span = ([len(alive) + 1, len(values)], [floor, floor])
                axes.plot(*span, color=colour, linewidth=3, transform=axes.get_xaxis_transform())
                axes.annotate(
                    f"{len(values) - len(alive):,} dead",
                    ((len(alive) + len(values)) / 2, floor + 0.015),
                    xycoords=axes.get_xaxis_transform(),
                    ha="center",
                    va="bottom",
                    fontsize=9 if len(by_seed) == 1 else 8,
                )
        axes.set_yscale("log")
        axes.set_ylim(top=min(axes.get_ylim()[1], 1.6))
        axes.set_xlim(0, width + 1)
        axes.minorticks_off()
        axes.yaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda share, _: f"{100 * share:g} %"))
        axes.set(xlabel="units, the most frequent first", ylabel=f"fires on training {noun}")
        if len(by_seed) > 1:
            axes.legend()
    return figure
