"""The logit along a path, with its steps: what a switch of the code is, in a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.figures.heat import heat_limit
from harness.figures.layouts import Layout
from harness.figures.rows import Box, draw_axis, draw_heat, draw_input, height_of, sheet_of
from harness.figures.theme import INK, SERIES, themed
from harness.records import Floats

_WHOLE, _STEPS = SERIES[0], SERIES[1]
_TICKS = (0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1)


@dataclass(frozen=True, eq=False)
class Steps:
    """The logit along a path that jumps.

    Attributes:
        along: float [places], at evenly spaced places, the first at 0 and the last at 1.
        at: float [jumps], rising, in [0, 1].
        before: float [jumps], just before each jump.
        jumps: float [jumps], by how much it jumps.
    """

    along: Floats
    at: Floats
    before: Floats
    jumps: Floats

    @property
    def largest(self) -> int:
        """The number of the jump that is largest, to either side."""
        return int(np.abs(self.jumps).argmax())

    def curve(self) -> tuple[Floats, Floats]:
        """The logit as a line that goes straight up or down at its jumps: places and values."""
        even = np.linspace(0, 1, len(self.along))
        x = np.concatenate([even, self.at, self.at])
        y = np.concatenate([self.along, self.before, self.before + self.jumps])
        turn = 2 * np.arange(len(self.at))
        order = np.lexsort((np.r_[np.full(len(even), -1), turn, turn + 1], x))
        return x[order], y[order]

    def by_jumps(self) -> tuple[Floats, Floats]:
        """What it would be by its jumps alone: places and values of a staircase."""
        so_far = self.along[0] + np.r_[0.0, self.jumps.cumsum()]
        return np.r_[0.0, np.repeat(self.at, 2), 1.0], np.repeat(so_far, 2)


def path(
    steps: Steps,
    layout: Layout,
    sample: Floats,
    atoms: Sequence[tuple[Floats, str, str]],
    *,
    explained: str = "logit of the class",
) -> Figure:
    """A sample, the logit on the way to it, and the two units that change places at its largest jump.

    Of images they stand beside the curve, of series, clips and rows of a table below it.

    Args:
        steps: The logit.
        layout: How the sample is drawn.
        sample: float [features].
        atoms: Each float [features], with what stands above it and below.
        explained: What the curve is of.
    """
    width, above, left, gap = 10.5, 0.32, 0.75, 0.3
    cells = 1 + len(atoms)
    with themed():
        if layout.is_wide:
            wide = (width - (cells - 1) * gap) / cells
            each, tall = height_of(layout, wide, 0.6), 2.1
            top = above + tall + 0.95
            figure, sheet = sheet_of(width, top + each + 0.7)
            boxes = [Box(number * (wide + gap), top, wide, each) for number in range(cells)]
            curve = Box(0, above, width, tall)
        else:
            wide = 1.7
            each = tall = height_of(layout, wide, 0)
            figure, sheet = sheet_of(width, above + each + 0.5)
            right = width - len(atoms) * (wide + 0.15) + 0.15
            boxes = [Box(0, above, wide, each)]
            boxes += [Box(right + number * (wide + 0.15), above, wide, each) for number in range(len(atoms))]
            start = wide + left
            curve = Box(start, above, (right - gap if atoms else width) - start, tall)
        _draw_curve(_axes_in(figure, curve), steps, explained)
        draw_input(sheet, boxes[0], layout, sample)
        _label(sheet, boxes[0], f"the {layout.form.one}")
        for box, (atom, head, foot) in zip(boxes[1:], atoms, strict=True):
            places = layout.places(atom[None].astype(np.float64))[0]
            draw_heat(sheet, box, layout, places, heat_limit(places))
            _label(sheet, box, head, "" if layout.is_wide else foot)
        if layout.is_wide:
            for box in boxes:
                draw_axis(sheet, box, layout)
    return figure


def _axes_in(figure: Figure, box: Box) -> Axes:
    width, height = figure.get_size_inches()
    return figure.add_axes(
        (box.left / width, 1 - (box.top + box.height) / height, box.width / width, box.height / height)
    )


def _label(sheet: Axes, box: Box, head: str, foot: str = "") -> None:
    sheet.text(box.left, box.top - 0.06, head, ha="left", va="bottom", fontsize=9, fontweight="bold")
    sheet.text(box.left, box.top + box.height + 0.06, foot, ha="left", va="top", fontsize=8)


def _draw_curve(axes: Axes, steps: Steps, explained: str) -> None:
    """The logit, its jumps, what they come to alone, and the largest of them."""
    ends = steps.before + steps.jumps
    axes.plot(*steps.curve(), color=_WHOLE, linewidth=1.6, label="the logit")
    axes.vlines(steps.at, steps.before, ends, color=_STEPS, linewidth=2.4)
    axes.plot(*steps.by_jumps(), color=_STEPS, linewidth=1.4, linestyle="--", label="by its jumps alone")
    if len(steps.at):
        most = steps.largest
        place, middle = steps.at[most], (steps.before[most] + ends[most]) / 2
        axes.axvline(place, color=INK, linewidth=0.8, linestyle=":")
        look: dict[str, Any] = {"color": INK, "markersize": 7, "fillstyle": "none", "clip_on": False}
        axes.plot(place, middle, "o", label=f"largest jump, {steps.jumps[most]:+.2g}", **look)
    # most switches come early
    axes.set_xscale("function", functions=(_root, np.square))
    axes.set_xlim(0, 1)
    axes.set_xticks(_TICKS, [f"{place:g}" for place in _TICKS])
    axes.set(
        xlabel="place between baseline (0) and input (1), root scale",
        ylabel="\n".join(wrap(explained, 24, max_lines=3, placeholder="…")),
    )
    axes.legend(loc="lower left", bbox_to_anchor=(0, 0.98), ncol=3, fontsize=8, borderaxespad=0)


def _root(places: Floats) -> Floats:
    return np.asarray(np.sqrt(np.maximum(places, 0)))
