"""The form of a data set's inputs: how their features lie, and what their stored numbers stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.kinds import IMAGES, WORDS, words_of
from harness.records import Floats

Stored = npt.NDArray[np.uint8] | npt.NDArray[np.float32]
"""Inputs as a data set stores them: [n, features]."""

AXES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "image": (("row", "column"), ("channel", "row", "column")),
    "series": (("time",), ("channel", "time")),
    "clip": (("frame", "row", "column"), ("frame", "channel", "row", "column")),
    "table": (("feature",),),
}
"""By kind of data: the names that its axes can have, the outermost first."""

BYTE = 1 / 255
"""The scale of bytes that stand for brightness in [0, 1]."""


def axes_of(kind: str, sides: int) -> tuple[str, ...]:
    """The names of the axes of that kind of data with so many sides; none where it has no such form."""
    return next((axes for axes in AXES[kind] if len(axes) == sides), ())


def ends_of(kind: str, low: float, high: float, rounding: float = 0.0) -> tuple[float, float]:
    """The ends of the scale that inputs of one kind are drawn on, by their lowest and highest value.

    They are these two, but that pictures within [0, 1] are brightness, and drawn from 0 to 1.

    Args:
        kind: Of the data, a key of `AXES`.
        low: The lowest value, scaled.
        high: The highest.
        rounding: How far brightness may lie outside [0, 1].
    """
    if kind in ("image", "clip") and low >= -rounding and high <= 1 + rounding:
        return 0.0, 1.0
    return low, high


def told_of(record: Mapping[str, Any]) -> str:
    """The inputs of a run's record of its data, with their sides: but for images that are known by a name.

    Data of one's own is asked for by its whole path, and what was understood of it is told.
    """
    words, shape = words_of(record), record["shape"]
    kind = record.get("kind", "image")
    if kind == "image" and not Path(record.get("asked", "")).is_absolute():
        return words.noun
    axes = record.get("axes") or axes_of(kind, len(shape))
    return f"{words.noun} of {sides_of(axes, shape)}"


def sides_of(axes: Sequence[str], shape: Sequence[int]) -> str:
    """The sides of an input in words, the outermost first: 2 channels x 60 points."""
    named = ["point" if axis == "time" else axis for axis in axes]
    sides = [f"{side:,} {word}{'' if side == 1 else 's'}" for word, side in zip(named, shape, strict=True)]
    return " x ".join(sides)


def named_of(axes: tuple[str, ...], shape: tuple[int, ...]) -> int:
    """How many features of a table, or channels, there are to be named; 0 where there are neither."""
    return next((side for axis, side in zip(axes, shape, strict=True) if axis in ("feature", "channel")), 0)


@dataclass(frozen=True, eq=False)
class Form:
    """How the features of an input lie, and how a stored number becomes what a network sees.

    A network, a method and a measurement see u = scale * stored - reference: attributions start at u = 0,
    deleting a feature is setting it to 0, whatever the baseline.

    Attributes:
        kind: A key of `AXES`.
        axes: The axes' names, one for each side.
        shape: The sides; their product is the number of features.
        scale: What a stored number is multiplied with to be in `unit`.
        unit: Of the scaled values; empty for brightness, or where none is known.
        baseline: What `reference` is: `zero`, `mean` (of the training inputs), a number (of every feature)
            or `array`.
        reference: float32 [features], in `unit`: the input that attributions start from.
        names: Of a table's features, or of the channels; none where nobody names them.
    """

    kind: str
    axes: tuple[str, ...]
    shape: tuple[int, ...]
    scale: float
    unit: str
    baseline: str | float
    reference: Floats
    names: tuple[str, ...] = ()

    @classmethod
    def of_record(cls, record: Mapping[str, Any], reference: Floats | None) -> Form:
        """The form that a run's record of its data tells; a run of before there were others has images.

        Args:
            record: With `shape`, and the other attributes but for `reference`.
            reference: float32 [features], where the record's baseline is neither `zero` nor a number.
        """
        shape = tuple(int(side) for side in record["shape"])
        kind, baseline = record.get("kind", "image"), record.get("baseline", "zero")
        if reference is None:
            value = 0.0 if baseline == "zero" else float(baseline)
            reference = np.full(int(np.prod(shape)), value, dtype=np.float32)
        axes = tuple(record.get("axes", ())) or axes_of(kind, len(shape))
        names = tuple(map(str, record.get("names", ())))
        if names and len(names) != (count := named_of(axes, shape)):
            raise ValueError(f"names must be {count} (got {len(names)})")
        return cls(
            kind=kind,
            axes=axes,
            shape=shape,
            scale=float(record.get("scale", BYTE)),
            unit=record.get("unit", ""),
            baseline=baseline,
            reference=reference,
            names=names,
        )

    def as_record(self) -> dict[str, Any]:
        """All but `reference`, as plain values for a run's record of its data."""
        return {
            "kind": self.kind,
            "axes": list(self.axes),
            "shape": list(self.shape),
            "scale": self.scale,
            "unit": self.unit,
            "baseline": self.baseline,
            "names": list(self.names),
        }

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The sides of one input as a model takes it: what has no axis of channels has one of length 1.

        [channels, rows, columns], [channels, time], [frames, channels, rows, columns], or [features].
        """
        if self.kind == "table" or "channel" in self.axes:
            return self.shape
        place = self.axes.index("frame") + 1 if "frame" in self.axes else 0
        return (*self.shape[:place], 1, *self.shape[place:])

    @property
    def noun(self) -> str:
        """What several inputs are called."""
        return WORDS[self.kind].noun

    @property
    def one(self) -> str:
        """What one input is called."""
        return WORDS[self.kind].one

    @property
    def owner(self) -> str:
        """One input, as the owner of something."""
        words = WORDS[self.kind]
        return f"{'an' if words is IMAGES else 'a'} {words.owner}"

    @property
    def feature(self) -> str:
        """What one feature of an input is called."""
        several = "channel" in self.axes and self.shape[self.axes.index("channel")] > 1
        word = WORDS[self.kind].feature
        return f"{word} and channel" if several and word == "pixel" else word

    @property
    def features(self) -> str:
        """What several features of an input are called."""
        return " and ".join(f"{word}s" for word in self.feature.split(" and "))

    @property
    def is_stored(self) -> bool:
        """Whether `reference` cannot be told by the record, and is kept in a file of its own."""
        return self.baseline in ("mean", "array")

    def inputs(self, stored: Stored) -> npt.NDArray[np.float32]:
        """What a network sees of stored inputs [n, features]: float32 [n, features], a copy."""
        found = stored.astype(np.float32)
        if self.scale != 1:
            # by the reciprocal's division: of a byte this is value / 255, to the last bit
            found /= np.float32(1 / self.scale)
        if self.reference.any():
            found -= self.reference
        return found

    def values(self, inputs: Floats) -> Floats:
        """The scaled values (float [n, features], in `unit`) of inputs u, as they are to be drawn."""
        return inputs + self.reference.astype(inputs.dtype) if self.reference.any() else inputs
