"""The data of a run, and the door that it comes in by: nothing passes that is not as `Dataset` documents.

What means the same in another form (a list, a tensor, another type of integer, a class named by a number)
is put into this one; what does not is refused, since a run would judge it in silence.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Number
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.config.values import plain
from harness.errors import DataError

Bytes = npt.NDArray[np.uint8]
Known = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images with their classes, verified.

    Attributes:
        name: The data that was loaded, whatever was asked for.
        train_images: uint8 [n, pixels].
        train_labels: uint8 [n], positions in `classes`; a wider type where there are over 256 classes.
        test_images: uint8 [m, pixels].
        test_labels: uint8 [m], likewise.
        classes: The classes' names, by label.
        shape: Rows and columns of an image.
        sha256: Digest of each file's decompressed content, by the file's name; empty where there is none.
        source: Where the files were found.
        notice: What the user must be told about this data; empty where nothing.
    """

    name: str
    train_images: Bytes
    train_labels: Bytes
    test_images: Bytes
    test_labels: Bytes
    classes: tuple[str, ...]
    shape: tuple[int, int]
    sha256: Mapping[str, str]
    source: str
    notice: str = ""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input as a model takes it, channels first."""
        return (1, *self.shape)

    def inputs(self, stored: Bytes) -> npt.NDArray[np.float32]:
        """What networks see of stored values: float32 [n, features]."""
        return stored.astype(np.float32) / np.float32(255)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the four arrays, with their types and shapes: what is computed of them rests on it.

        `sha256` is what a loader says; two sets may say the same.
        """
        digest = hashlib.sha256()
        for array in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            digest.update(f"{array.dtype.str} {array.shape}\n".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


DIM = 64
"""A set without a single pixel as bright as this is on another scale than 0..255."""


class _Unfit(Exception):
    """What was expected of a field, what was got, and the mend."""


def checked(name: str, given: object) -> Dataset:
    """The data that the loader `name` gave, each field in the form that `Dataset` documents.

    Raises:
        DataError: it is no `Dataset`, or a field is something else; with the mend.
    """
    if not isinstance(given, Dataset):
        raise DataError(
            f"data set {name!r}: its loader must return a harness.datasets.Dataset (got {_kind(given)})"
        )
    known: dict[str, Any] = {}
    for field, check in _CHECKS.items():
        try:
            known[field] = check(getattr(given, field), known)
        except _Unfit as unfit:
            expected, got, mend = unfit.args
            raise DataError(f"data set {name!r}: {field} must be {expected} (got {got}); {mend}") from None
    for split in ("train", "test"):
        images, labels = known[f"{split}_images"], known[f"{split}_labels"]
        if len(images) != len(labels):
            raise DataError(
                f"data set {name!r}: {split}_labels must be one for each of {split}_images "
                f"(got {len(labels)} labels of {len(images)} images); name the label of each image"
            )
    if np.array_equal(known["train_images"], known["test_images"]):
        raise DataError(
            f"data set {name!r}: test_images must be other images than train_images (got the same); "
            "a test needs unseen images: hold some back from the training"
        )
    return replace(given, **known)


def _kind(value: object) -> str:
    """A value in a few words: the type, and of an array what it holds."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} [{', '.join(map(str, value.shape))}]"
    if value is None or isinstance(value, Number | str | bytes):
        return repr(value) if len(repr(value)) <= 60 else f"{repr(value)[:60]}…"
    return f"a {value.__name__} itself" if isinstance(value, type) else f"a {type(value).__name__}"


def _text(value: object, known: Known) -> str:  # noqa: ARG001 - checks share one signature
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, str):
        raise _Unfit("a text", _kind(value), "write it as one")
    return str(value)


def _named(value: object, known: Known) -> str:
    if not (text := _text(value, known)).strip():
        raise _Unfit("a name", repr(text), "give the data one")
    return text


def _classes(value: object, known: Known) -> tuple[str, ...]:  # noqa: ARG001
    listed = plain(value)
    if not isinstance(listed, list | tuple) or isinstance(value, Set):
        raise _Unfit("the classes' names in the order of their labels", _kind(value), "give a tuple of texts")
    for one in listed:
        if not isinstance(one, str | Number) or not str(one).strip():
            raise _Unfit("texts", f"{_kind(one)} among them", "name each class by a text or a number")
    names = tuple(map(str, listed))
    if not names:
        raise _Unfit("the classes' names", "none", "name each class")
    twice = [one for one in dict.fromkeys(names) if names.count(one) > 1]
    if twice:
        raise _Unfit("distinct", f"{', '.join(map(repr, twice[:3]))} twice", "name each class otherwise")
    return names


def _shape(value: object, known: Known) -> tuple[int, int]:  # noqa: ARG001
    sides = plain(value)
    if (
        isinstance(value, Set)
        or not isinstance(sides, list | tuple)
        or len(sides) != 2
        or not all(map(_is_side, sides))
    ):
        got = f"({', '.join(map(_kind, sides))})" if isinstance(sides, list | tuple) else _kind(value)
        colours = isinstance(sides, list | tuple) and len(sides) == 3
        mend = "make the images grey: one value a pixel" if colours else "such as (28, 28)"
        raise _Unfit("the rows and columns of an image, two whole numbers above 0", got, mend)
    return sides[0], sides[1]


def _is_side(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _digests(value: object, known: Known) -> dict[str, str]:
    expected = "digests (texts) by the names of their files"
    mend = "such as {'digits.npz': '9f86…'}; {} where there are none"
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise _Unfit(expected, _kind(value), mend)
    try:
        return {_named(file, known): _named(digest, known) for file, digest in value.items()}
    except _Unfit as unfit:
        raise _Unfit(expected, f"{unfit.args[1]} among them", mend) from None


def _array(value: object) -> npt.NDArray[Any]:
    """`value` as an array, nothing of it lost."""
    if np.ma.is_masked(value):
        raise _Unfit("without a mask", "masked values", "leave these images out")
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        reason = " ".join(str(error).split())[:120]
        raise _Unfit("an array", f"{_kind(value)}: {reason}", "make it a numpy array") from None
    if not array.ndim:
        raise _Unfit("an array", _kind(value), "make it a numpy array")
    return array


def _images(value: object, known: Known) -> Bytes:
    array = _array(value)
    rows, columns = known["shape"]
    expected = f"uint8 [images, {rows * columns}], in 0..255"
    if array.dtype.kind not in "iu":
        mends = {
            "f": "where they are in [0, 1]: (255 * images).round().astype('uint8'), without a NaN",
            "b": "255 * images.astype('uint8')",
        }
        raise _Unfit(expected, _kind(array), mends.get(array.dtype.kind, "make them numbers of that type"))
    if array.ndim != 2:
        raise _Unfit(expected, _kind(array), "images.reshape(len(images), -1), of grey images")
    if not len(array):
        raise _Unfit(expected, "no image", "name other files, or another share of them")
    if array.shape[1] != rows * columns:
        mend = f"shape must be theirs too (it is {rows} x {columns})"
        raise _Unfit(expected, _kind(array), mend)
    low, high = int(array.min()), int(array.max())
    if low < 0 or high > 255:
        raise _Unfit(expected, f"{low}..{high}", "bring them to 0..255")
    if high < DIM:
        mend = f"a pixel is divided by 255: {'multiply by it' if high <= 1 else 'bring them to 0..255'} first"
        raise _Unfit(expected, f"nothing above {high}", mend)
    return np.ascontiguousarray(array, dtype=np.uint8)


def _labels(value: object, known: Known) -> Bytes:
    array, classes = _array(value), len(known["classes"])
    expected = f"whole numbers [images], in 0..{classes - 1} (positions in classes)"
    if array.ndim != 1:
        mend = "labels[:, 0]" if array.shape[1:] == (1,) else "labels.argmax(axis=1) where they are one-hot"
        raise _Unfit(expected, _kind(array), mend)
    if not len(array):
        raise _Unfit(expected, "no label", "name the label of each image")
    if array.dtype.kind not in "iu":
        mend = (
            "labels.astype(int), without a NaN" if array.dtype.kind in "fb" else "give positions in classes"
        )
        raise _Unfit(expected, _kind(array), mend)
    low, high = int(array.min()), int(array.max())
    if low < 0 or high >= classes:
        mend = "subtract 1" if (low, high) == (1, classes) else "give each image's position in classes"
        raise _Unfit(expected, f"{low}..{high}", mend)
    return np.ascontiguousarray(array, dtype=np.min_scalar_type(classes - 1))


_CHECKS: Mapping[str, Callable[[object, Known], Any]] = {
    "name": _named,
    "source": _text,
    "notice": _text,
    "sha256": _digests,
    "classes": _classes,
    "shape": _shape,
    "train_images": _images,
    "train_labels": _labels,
    "test_images": _images,
    "test_labels": _labels,
}
"""By field: what puts it into the documented form, given the fields before it."""
