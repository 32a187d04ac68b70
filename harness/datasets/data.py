"""The data of a run: inputs with their classes, and what their numbers stand for."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.errors import DataError
from harness.forms import BYTE, Form, Stored, axes_of
from harness.records import Floats

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Inputs with their classes, verified: images, series, clips or rows of a table.

    Attributes:
        name: The data that was loaded, whatever was asked for.
        train_images: uint8 or float32 [n, features], finite: the inputs as they are stored.
        train_labels: uint8 [n], positions in `classes`; a wider type where there are over 256 classes.
        test_images: Of the same type, [m, features].
        test_labels: uint8 [m], likewise.
        classes: The classes' names, by label.
        shape: The sides of an input, 1 to 4; of a grey image its rows and columns.
        sha256: Digest of each file's decompressed content, by the file's name; empty where there is none.
        source: Where the files were found.
        notice: What the user must be told about this data; empty where nothing.
        kind: `image`, `series`, `clip` or `table`.
        axes: The names of the sides, as `harness.forms.AXES` has them; those of kind and shape by default.
        scale: What a stored number is multiplied with to be in `unit`; by default 1/255 of an image's or
            clip's bytes, and 1 of all else.
        unit: Of the scaled values; empty for brightness, or where none is known.
        baseline: Where attributions start from, in `unit`: `zero`, `mean` (of the training inputs), a number
            of every feature, or an array [features]; a path is that of a .npy file that holds one.
        truth: bool [m, features], by test input the features that are known to tell its class; None where
            nobody knows.
        names: Of a table's features, or of the channels, in their order; none where nobody names them.
    """

    name: str
    train_images: Stored
    train_labels: Bytes
    test_images: Stored
    test_labels: Bytes
    classes: tuple[str, ...]
    shape: tuple[int, ...]
    sha256: Mapping[str, str]
    source: str
    notice: str = ""
    kind: str = "image"
    axes: tuple[str, ...] = ()
    scale: float | None = None
    unit: str = ""
    baseline: str | float | Floats | Path = "zero"
    truth: npt.NDArray[np.bool_] | None = None
    names: tuple[str, ...] = ()

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the four arrays, with their types and shapes: what is computed of them rests on it.

        What else they mean has a part in it where it is not what a byte of a grey image means. `sha256` is
        what a loader says; two sets may say the same.
        """
        digest = hashlib.sha256()
        for array in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            digest.update(f"{array.dtype.str} {array.shape}\n".encode())
            digest.update(np.ascontiguousarray(array).data)
        form = self.form
        if form.axes != ("row", "column"):
            digest.update(f"{form.kind} {form.axes} {form.shape}\n".encode())
        if form.scale != BYTE:
            digest.update(f"scale {form.scale!r}\n".encode())
        if form.baseline != "zero":
            digest.update(form.reference.tobytes())
        if self.truth is not None:
            digest.update(np.packbits(self.truth).tobytes())
        return digest.hexdigest()

    @cached_property
    def form(self) -> Form:
        """How the features lie, and what a stored number stands for."""
        scale, given = _scale_of(self), self.baseline
        baseline: str | float = "array"
        reference = np.zeros(int(np.prod(self.shape)), dtype=np.float32)
        if isinstance(given, np.ndarray):
            reference = given
        elif isinstance(given, int | float):
            baseline = given
            reference += np.float32(given)
        elif given == "mean":
            baseline = given
            reference = (scale * self.train_images.mean(axis=0, dtype=np.float64)).astype(np.float32)
        elif given == "zero":
            baseline = given
        else:
            raise DataError(f"baseline must be read before it is used (got {given!r}); pass it to `load`")
        axes = self.axes or axes_of(self.kind, len(self.shape))
        return Form(self.kind, axes, self.shape, scale, self.unit, baseline, reference, self.names)

    def inputs(self, stored: Stored) -> npt.NDArray[np.float32]:
        """What a network sees of stored inputs [n, features]: u = scale * stored - baseline, float32."""
        return self.form.inputs(stored)


def _scale_of(data: Dataset) -> float:
    """The scale that is declared, or the one that the type of the stored numbers stands for."""
    if data.scale is not None:
        return data.scale
    return BYTE if data.train_images.dtype == np.uint8 else 1.0
