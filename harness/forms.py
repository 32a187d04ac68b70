"""The form of a data set's inputs: how their features lie, and what their stored numbers stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

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
    """

    kind: str
    axes: tuple[str, ...]
    shape: tuple[int, ...]
    scale: float
    unit: str
    baseline: str | float
    reference: Floats

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
        return cls(
            kind=kind,
            axes=tuple(record.get("axes", ())) or axes_of(kind, len(shape)),
            shape=shape,
            scale=float(record.get("scale", BYTE)),
            unit=record.get("unit", ""),
            baseline=baseline,
            reference=reference,
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
        return {"image": "images", "clip": "clips", "table": "rows"}.get(self.kind, self.kind)

    @property
    def picture(self) -> tuple[int, int]:
        """Rows and columns of the picture that stands for an input; see `drawn`."""
        rows, columns = self._laid(np.zeros((1, int(np.prod(self.shape))))).shape[1:]
        return rows * self._times(rows, columns), columns

    def drawn(self, inputs: Floats) -> Floats:
        """Inputs u as pictures in [0, 1]: float [n, rows * columns].

        Channels of an image or a clip are taken together, frames of a clip stand side by side. A series, or a
        row of a table, is a strip, each channel a row of its own, from the smallest value to the largest.
        """
        values = self.values(inputs)
        if self.kind not in ("image", "clip"):
            low, height = values.min(), np.ptp(values)
            values = (values - low) / (height if height > 0 else 1)
        return self._rows(values, np.mean)

    def drawn_maps(self, maps: Floats) -> Floats:
        """Maps laid out like `drawn`; what the channels of one place contribute is added up."""
        return self._rows(maps, np.sum)

    def _rows(self, values: Floats, together: Any) -> Floats:
        laid = self._laid(values, together)
        times = self._times(*laid.shape[1:])
        return (np.repeat(laid, times, axis=1) if times > 1 else laid).reshape(len(values), -1)

    def _laid(self, values: Floats, together: Any = np.sum) -> Floats:
        """[n, rows, columns]: an axis of channels of an image or clip is gone."""
        n, shape = len(values), self.shape
        found = values.reshape(n, *shape)
        if self.kind in ("image", "clip"):
            if "channel" in self.axes:
                found = together(found, axis=1 + self.axes.index("channel"))
            if self.kind == "clip":
                found = found.transpose(0, 2, 1, 3)
                found = found.reshape(n, found.shape[1], -1)
            return found
        return found.reshape(n, -1, shape[-1])

    def _times(self, rows: int, columns: int) -> int:
        """How often a row is drawn, so that a strip can be seen."""
        return 1 if self.kind in ("image", "clip") else max(1, columns // (4 * rows))

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
