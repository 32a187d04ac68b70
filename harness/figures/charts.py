"""Charts of numbers: matrices, intervals, curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.figures.theme import INK, LINE, SERIES, themed
from harness.records import Floats
from harness.text import words


def matrix(axes: Axes, values: Floats, labels: Sequence[str], size: float = 10) -> None:
    """The lower triangle of a symmetric table, with its numbers, on given axes."""
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
    with themed():
        figure = Figure(figsize=(4.6, 3.6))
        axes = figure.subplots()
        matrix(axes, table, [words(name).replace(" ", "\n") for name in names], size=13)
        axes.tick_params(labelsize=9)
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
    with themed():
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
