"""Layouts: where the features of each kind of input lie when it, or a map over it, is drawn.

Images and clips are pictures, in colour where they have three channels; a clip is a film strip. Series are
lines, and the rows of a table bars, in a lane for each channel, and maps are strips of the same lanes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from harness.forms import BYTE, Form, axes_of, ends_of
from harness.records import Floats

SIDES = {"image": 112, "clip": 56, "series": 512, "table": 512}
"""By kind: points along a side that are drawn apart; of more, neighbours are drawn as their mean."""

FRAMES = 10
"""Frames of a clip that stand on one line."""

_GAP = 2
"""Empty points between frames."""

LANE = 40
"""The height of a lane in the coordinates of `Layout.paths`."""

_ROUNDING = 1e-3
"""How far brightness may lie outside [0, 1], as adding a baseline back can bring it there."""


def _coarse(values: Floats, axis: int, step: int, rule: Any = np.add) -> Floats:
    """`step` neighbours along an axis as their mean, or what another rule makes of them."""
    if step == 1:
        return values
    starts = np.arange(0, values.shape[axis], step)
    found = rule.reduceat(values, starts, axis=axis)
    if rule is np.add:
        counts = np.diff(np.r_[starts, values.shape[axis]])
        found = found / counts.reshape(-1, *[1] * (values.ndim - 1 - axis))
    return np.asarray(found)


@dataclass(frozen=True, eq=False)
class Layout:
    """How inputs of one form are drawn.

    Attributes:
        form: Of the inputs.
        low: What is drawn darkest, or lowest: float64, one for all, or by channel or feature.
        high: What is drawn brightest, or highest; over `low`.
    """

    form: Form
    low: Floats
    high: Floats

    @classmethod
    def of(cls, form: Form, inputs: Floats) -> Layout:
        """The layout whose scales hold these inputs u, float [n, features].

        Brightness keeps its scale from 0 to 1. Other pictures have one scale for all, a series one for each
        channel, a table one for each feature.
        """
        values = form.values(inputs).reshape(-1, *form.shape).astype(np.float64)
        over = {"series": (0, values.ndim - 1), "table": (0,)}.get(form.kind)
        if not values.size:
            return cls(form, np.zeros(()), np.ones(()))
        low, high = (rule(values, axis=over, keepdims=over is not None) for rule in (np.min, np.max))
        if over is None:
            low, high = map(np.asarray, ends_of(form.kind, float(low), float(high), _ROUNDING))
        return cls(form, np.asarray(low), np.asarray(np.where(high > low, high, low + 1)))

    @classmethod
    def of_shape(cls, kind: str, shape: tuple[int, ...], inputs: Floats) -> Layout:
        """The layout of inputs that nothing but their kind and their sides is known of."""
        zero = np.zeros(int(np.prod(shape)), dtype=np.float32)
        return cls.of(Form(kind, axes_of(kind, len(shape)), shape, BYTE, "", "zero", zero), inputs)

    @property
    def is_picture(self) -> bool:
        """Whether inputs are pictures; else they are lines or bars."""
        return self.form.kind in ("image", "clip")

    @property
    def is_wide(self) -> bool:
        """Whether drawings stand below one another, along one axis; images stand side by side."""
        return self.form.kind != "image"

    @property
    def channels(self) -> int:
        """Channels of an input; 1 where it has no axis of them."""
        axes = self.form.axes
        return self.form.shape[axes.index("channel")] if "channel" in axes else 1

    @property
    def is_colour(self) -> bool:
        """Whether an input is drawn in red, green and blue."""
        return self.is_picture and self.channels == 3

    @property
    def lanes(self) -> int:
        """Lanes of lines, bars or strips; 0 of a picture."""
        return 0 if self.is_picture else self.channels

    @property
    def length(self) -> int:
        """Points along a lane, or frames of a clip."""
        return self.form.shape[0 if self.form.kind == "clip" else -1]

    @property
    def step(self) -> int:
        """How many neighbours along a side are drawn as one."""
        sides = self.form.shape[-2:] if self.is_picture else self.form.shape[-1:]
        return -(-max(sides) // SIDES[self.form.kind])

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a laid map."""
        found = self.laid(self.places(np.zeros((1, int(np.prod(self.form.shape))))))
        return found.shape[1], found.shape[2]

    @property
    def told(self) -> str:
        """What is drawn of an input and its maps, in words; nothing of a grey image."""
        one, count = self.form.one, f"{self.length:,}"
        if self.form.kind == "series":
            lines = "a line" if self.lanes == 1 else f"{self.lanes} lines"
            strips = "a strip" if self.lanes == 1 else f"{self.lanes} strips"
            return f"the {one} as {lines} over {count} points of time, and each map as {strips} along them"
        if self.form.kind == "table":
            return f"the {one} as {count} bars, and each map as a strip below them"
        if self.form.kind == "clip":
            return f"the {one} as a film strip of {count} frames, and each map frame under frame"
        return "the image in colour, and each map of a pixel's channels together" if self.is_colour else ""

    @property
    def fields(self) -> list[tuple[int, int, int, int]]:
        """Left, top, width and height of each frame, or of all lanes, in columns and rows of a laid map."""
        if self.form.kind != "clip":
            rows, columns = self.shape
            return [(0, 0, columns, rows)]
        high, wide = (-(-side // self.step) for side in self.form.shape[-2:])
        places = [divmod(frame, self.frames_a_line) for frame in range(self.length)]
        return [(left * (wide + _GAP), top * (high + _GAP), wide, high) for top, left in places]

    @property
    def frames_a_line(self) -> int:
        """Frames of a clip on one line, all lines alike."""
        return -(-self.length // -(-self.length // FRAMES))

    def places(self, maps: Floats) -> Floats:
        """What is drawn of maps: float [n, places].

        What the channels of one place of a picture contribute is added up.
        """
        found = maps.reshape(len(maps), *self.form.shape)
        if self.is_picture and "channel" in self.form.axes:
            found = found.sum(axis=1 + self.form.axes.index("channel"))
        return self._coarsened(found).reshape(len(maps), -1)

    def laid(self, places: Floats) -> Floats:
        """Places as they lie: float [n, rows, columns]; NaN between frames.

        A strip has a row for each lane, and a column for each point.
        """
        n = len(places)
        if not self.is_picture:
            return places.reshape(n, self.lanes, -1)
        rows, columns = (-(-side // self.step) for side in self.form.shape[-2:])
        found = places.reshape(n, -1, rows, columns)
        return self._strip(found) if self.form.kind == "clip" else found[:, 0]

    def pictures(self, inputs: Floats) -> Floats:
        """Images or clips in [0, 1]: float [n, rows, columns], in colour [n, rows, columns, 3].

        Channels that are not three are drawn as the grey of their mean.
        """
        found = np.clip(self._scaled(inputs), 0, 1)
        if "channel" in self.form.axes:
            axis = 1 + self.form.axes.index("channel")
            found = np.moveaxis(found, axis, -1) if self.is_colour else found.mean(axis=axis)
        found = self._coarsened(found, 1 if self.is_colour else 0)
        return self._strip(found) if self.form.kind == "clip" else found

    def traces(self, inputs: Floats) -> tuple[Floats, Floats]:
        """Lines of series, or bars' heights: where points lie (float [points]), and how high, in [0, 1]
        (float [n, lanes, points]). Of neighbours drawn as one the lowest and the highest are points.
        """
        found = self._scaled(inputs).reshape(len(inputs), self.lanes, self.length)
        if self.form.kind == "table":
            found = _coarse(found, 2, self.step)
            return (np.arange(found.shape[2]) + 0.5) * self.step, found
        if self.step == 1:
            return np.arange(found.shape[2]) + 0.5, found
        ends = [_coarse(found, 2, self.step, rule) for rule in (np.minimum, np.maximum)]
        pairs = np.stack(ends, axis=3).reshape(*found.shape[:2], 2 * ends[0].shape[2])
        return (np.arange(pairs.shape[2]) + 0.5) * self.step / 2, pairs

    def paths(self, inputs: Floats) -> list[str]:
        """Each input's lines, or bars, as an SVG path's data, in `length` x `lanes * LANE` units."""
        where, found = self.traces(inputs)
        tops = LANE * np.arange(self.lanes)[:, None]
        heights = np.round(tops + LANE - 3 - (LANE - 6) * np.clip(found, 0, 1)).astype(int)
        width = f"{where[1] - where[0]:g}" if len(where) > 1 else "0"
        if self.form.kind == "table":
            foot = LANE - 1
            return [
                "".join(
                    f"M{x - self.step / 2:g} {foot}V{y}h{0.8 * self.step:g}V{foot}z"
                    for x, y in zip(where.tolist(), lanes[0].tolist(), strict=True)
                )
                for lanes in heights
            ]
        return ["".join(_line(where[0], width, lane.tolist()) for lane in lanes) for lanes in heights]

    def _scaled(self, inputs: Floats) -> Floats:
        values = self.form.values(inputs).reshape(len(inputs), *self.form.shape)
        return np.asarray((values - self.low) / (self.high - self.low))

    def _coarsened(self, found: Floats, behind: int = 0) -> Floats:
        """Along the last axes, before those behind, neighbours are drawn as one."""
        for back in range(2 if self.is_picture else 1):
            found = _coarse(found, found.ndim - 1 - behind - back, self.step)
        return found

    def _strip(self, frames: Floats) -> Floats:
        """Frames [n, frames, rows, columns, ...] in their order on lines of equal length."""
        right, foot = (max(one[at] + one[at + 2] for one in self.fields) for at in (0, 1))
        found = np.full((len(frames), foot, right, *frames.shape[4:]), np.nan)
        for at, (left, top, wide, high) in enumerate(self.fields):
            found[:, top : top + high, left : left + wide] = frames[:, at]
        return found


def _line(start: float, width: str, heights: Sequence[int]) -> str:
    """A line through heights that lie `width` apart; each point is told from the one before it."""
    steps = [after - before for before, after in pairwise(heights)]
    told = " ".join(f"{width}{'' if one < 0 else ' '}{one}" for one in steps)
    return f"M{start:g} {heights[0]}{f'l{told}' if told else 'h0'}"
