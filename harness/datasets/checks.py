"""The door that data comes in by: nothing passes that is not as `Dataset` documents.

What means the same in another form (a list, a tensor, another type of integer, a class named by a number)
is put into this one; what does not is refused, since a run would judge it in silence.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Set
from contextlib import suppress
from dataclasses import replace
from numbers import Number
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.config.values import plain
from harness.datasets.data import Bytes, Dataset
from harness.errors import DataError
from harness.forms import AXES, BYTE, Stored, axes_of, named_of
from harness.records import Floats

Known = Mapping[str, Any]


DIM = 64
"""A set of bytes without a single one as bright as this is on another scale than 0..255."""

SLACK = 1e-6
"""By how much brightness may lie outside [0, 1]: what rounding does to an image that was scaled."""


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
    found = replace(given, **known)
    # told from here on: who puts other arrays in their place is asked whether it still fits
    return replace(found, scale=found.form.scale)


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


def _distinct(value: object, expected: str, each: str) -> tuple[str, ...]:
    """Distinct names, as texts; a number may be one."""
    listed = plain(value)
    if not isinstance(listed, list | tuple) or isinstance(value, Set):
        raise _Unfit(expected, _kind(value), "give a tuple of texts")
    for one in listed:
        if not isinstance(one, str | Number) or not str(one).strip():
            raise _Unfit("texts", f"{_kind(one)} among them", f"name each {each} by a text or a number")
    names = tuple(map(str, listed))
    twice = [one for one in dict.fromkeys(names) if names.count(one) > 1]
    if twice:
        raise _Unfit("distinct", f"{', '.join(map(repr, twice[:3]))} twice", f"name each {each} otherwise")
    return names


def _classes(value: object, known: Known) -> tuple[str, ...]:  # noqa: ARG001
    names = _distinct(value, "the classes' names in the order of their labels", "class")
    if not names:
        raise _Unfit("the classes' names", "none", "name each class")
    return names


def _names(value: object, known: Known) -> tuple[str, ...]:
    expected = "the names of a table's features, or of the channels, in their order"
    names = () if value is None else _distinct(value, expected, "of them")
    count = named_of(known["axes"], known["shape"])
    if names and len(names) != count:
        expected = f"{count} names" if count else "none, where there are no channels"
        raise _Unfit(expected, str(len(names)), "name each of them, or leave the names out")
    return names


def _kind_of_data(value: object, known: Known) -> str:  # noqa: ARG001
    if not isinstance(value, str) or value not in AXES:
        raise _Unfit(f"one of {', '.join(AXES)}", _kind(value), "say what an input is")
    return value


_SUCH = {
    "image": "such as (28, 28), or (3, 28, 28) of colours",
    "series": "such as (24,), or (2, 128) of two channels",
    "clip": "such as (8, 28, 28), or (8, 3, 28, 28) of colours",
    "table": "such as (30,)",
}
"""By kind: shapes that it may have."""


def _shape(value: object, known: Known) -> tuple[int, ...]:
    sides, kind = plain(value), known["kind"]
    is_list = isinstance(sides, list | tuple) and not isinstance(value, Set)
    forms = " or ".join(f"({', '.join(axes)})" for axes in AXES[kind])
    if not is_list or not sides or not all(map(_is_side, sides)) or not axes_of(kind, len(sides)):
        got = f"({', '.join(map(_kind, sides))})" if is_list else _kind(value)
        raise _Unfit(f"whole numbers above 0, the {kind}'s {forms}", got, _SUCH[kind])
    return tuple(sides)


def _axes(value: object, known: Known) -> tuple[str, ...]:
    listed, kind, shape = plain(value), known["kind"], known["shape"]
    whole = axes_of(kind, len(shape))
    if listed is None or (isinstance(listed, list | tuple) and not listed):
        if whole[-3:] == ("channel", "row", "column") and shape[-1] in (1, 3, 4) and shape[-3] > 4:
            got = f"none, of a shape {shape} whose last side looks like the channels"
            raise _Unfit("named where they are not clear", got, f"put the channels first, or name {whole}")
        return whole
    if not isinstance(listed, list | tuple) or isinstance(value, Set) or tuple(listed) != whole:
        got = f"({', '.join(map(str, listed))})" if isinstance(listed, list | tuple) else _kind(value)
        mend = "put the inputs' axes in that order (numpy.moveaxis), or leave the names out"
        raise _Unfit(f"({', '.join(whole)}), as the {kind}'s {len(shape)} sides are", got, mend)
    return whole


def _scale(value: object, known: Known) -> float | None:  # noqa: ARG001
    number = plain(value)
    if number is None:
        return None
    with np.errstate(over="ignore"):
        fits = _is_number(number) and number > 0 and 0 < np.float32(1 / number) < np.inf
    if not fits:
        raise _Unfit("a finite number above 0", _kind(number), "such as 1/255 of bytes; None is by type")
    return float(number)


def _is_number(value: object) -> bool:
    with suppress(OverflowError):  # a whole number beyond all floats
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return False


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


def _images(value: object, known: Known) -> Stored:
    array = _array(value)
    shape, before = known["shape"], known.get("train_images")
    features, brightness = int(np.prod(shape)), known["kind"] in ("image", "clip")
    expected = f"finite numbers [inputs, {features}]"
    if brightness:
        expected = f"uint8 [images, {features}], in 0..255, or finite floats"
    if array.dtype.kind not in "iuf":
        mend = "255 * images.astype('uint8')" if array.dtype.kind == "b" else "make them numbers of that type"
        raise _Unfit(expected, _kind(array), mend)
    if array.ndim != 2:
        mend = "images.reshape(len(images), -1), the features of each in a row"
        raise _Unfit(expected, _kind(array), mend)
    if not len(array):
        raise _Unfit(expected, "no image", "name other files, or another share of them")
    if array.shape[1] != features:
        mend = f"shape must be theirs too (it is {' x '.join(map(str, shape))})"
        raise _Unfit(expected, _kind(array), mend)
    whole = array.dtype.kind in "iu"
    if brightness and whole and (before is None or before.dtype == np.uint8):
        low, high = int(array.min()), int(array.max())
        if low >= 0 and high <= 255:
            _refuse_dim(expected, high, known["scale"])
            return np.ascontiguousarray(array, dtype=np.uint8)
        if known["scale"] is None or before is not None:
            mend = f"bring them to 0..255, or declare the scale of numbers that are meant so{_where(1)}"
            raise _Unfit(expected, f"{low}..{high}", mend)
    elif before is not None and before.dtype == np.uint8:
        raise _Unfit("bytes, as train_images are", _kind(array), "store both alike")
    return _floats(array, expected, known["scale"], brightness and not whole)


def _where(scale: object) -> str:
    """How a scale is declared, of a loader and of an .npz."""
    return f": scale={scale} to Dataset, or beside the arrays to numpy.savez"


def _refuse_dim(expected: str, high: int, scale: float | None) -> None:
    """Refuse bytes that would be divided by 255 and were not meant so."""
    if high < DIM and scale in (None, BYTE):
        first = "multiply by it" if high <= 1 else "bring them to 0..255"
        mend = f"a pixel is divided by 255: {first} first, or declare their scale"
        mend += _where(f"1/{high}" if high > 1 else 1)
        raise _Unfit(expected, f"nothing above {high}", mend)


def _floats(array: npt.NDArray[Any], expected: str, scale: float | None, brightness: bool) -> Stored:
    """Numbers as float32, none of them lost; those of an undeclared scale must be in [0, 1] as brightness."""
    with np.errstate(over="ignore"):
        found = np.ascontiguousarray(array, dtype=np.float32)
        sound = np.isfinite(found) & np.isfinite(found / np.float32(1 / (scale or 1)))
    if not sound.all():
        row, feature = np.argwhere(~sound)[0]
        got = f"{array[row, feature]} at position {feature} of input {row}"
        raise _Unfit(expected, got, "leave such inputs out, or fill the gaps before")
    if array.dtype.kind in "iu" and not np.array_equal(found, array):
        raise _Unfit(expected, f"{array.min()}..{array.max()}", "float32 holds whole numbers to 16,777,216")
    low, high = float(found.min()), float(found.max())
    if brightness and scale == BYTE and high <= 1 + SLACK:
        mend = "they are not divided by 255 again: declare scale = 1 of brightness in [0, 1]"
        raise _Unfit("above 1 somewhere where the scale is 1/255", f"{low:.4g}..{high:.4g}", mend)
    if brightness and scale is None and not (low >= -SLACK and high <= 1 + SLACK):
        mend = "declare scale = 1/255 of brightness in 0..255, or 1 of numbers that are meant as they are"
        mend += _where("1/255")
        raise _Unfit("floats in [0, 1] where no scale is declared", f"{low:.4g}..{high:.4g}", mend)
    return found


def _baseline(value: object, known: Known) -> str | float | Floats:
    expected = "zero, mean, a number, or one number a feature (an array, or the path of a .npy file)"
    if isinstance(value, str) and value in ("zero", "mean"):
        return value
    if isinstance(value, os.PathLike) or (isinstance(value, str) and value.endswith(".npy")):
        value = _from_file(value, expected)
    elif isinstance(value, str):
        raise _Unfit(expected, repr(value), "such as mean, 0.5 or grey.npy")
    if _is_number(number := plain(value)):
        return float(number) if number else "zero"
    if not isinstance(number, list | tuple):
        raise _Unfit(expected, _kind(value), "such as mean, 0.5 or grey.npy")
    array = _array(value)
    shape, features = known["shape"], int(np.prod(known["shape"]))
    if array.dtype.kind not in "iuf" or array.shape not in ((features,), shape):
        raise _Unfit(expected, _kind(array), f"give {features} numbers, or an array {shape}")
    with np.errstate(over="ignore"):
        found = np.ascontiguousarray(array.reshape(-1), dtype=np.float32)
    if not np.isfinite(found).all():
        place = int(np.argmin(np.isfinite(found)))
        raise _Unfit(expected, f"{array.reshape(-1)[place]} at position {place}", "fill the gap")
    return found if found.any() else "zero"


def _from_file(path: str | os.PathLike[str], expected: str) -> npt.NDArray[Any]:
    """The array of a .npy file, of which nothing is executed."""
    try:
        with Path(path).open("rb") as stream:
            array = np.lib.format.read_array(stream, allow_pickle=False)
    except OSError as error:
        raise _Unfit(expected, f"{path}: {error.strerror or error}", "name another file") from None
    except (ValueError, EOFError) as error:
        raise _Unfit(
            expected, f"{path}, which holds no array: {error}"[:200], "save it by numpy.save"
        ) from None
    return np.asarray(array)


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


def _truth(value: object, known: Known) -> npt.NDArray[np.bool_] | None:
    if value is None:
        return None
    array, shape = _array(value), known["test_images"].shape
    expected = f"bool [test images, features] {list(shape)}, or None"
    if array.dtype != np.bool_ or array.shape != shape:
        raise _Unfit(expected, _kind(array), "flag each feature of each test image")
    if not array.any(axis=1).all():
        row = int(np.argmin(array.any(axis=1)))
        raise _Unfit(expected, f"none of the features of input {row}", "flag one of them at least")
    return np.ascontiguousarray(array)


_CHECKS: Mapping[str, Callable[[object, Known], Any]] = {
    "name": _named,
    "source": _text,
    "notice": _text,
    "sha256": _digests,
    "unit": _text,
    "classes": _classes,
    "kind": _kind_of_data,
    "shape": _shape,
    "axes": _axes,
    "names": _names,
    "scale": _scale,
    "train_images": _images,
    "train_labels": _labels,
    "test_images": _images,
    "test_labels": _labels,
    "baseline": _baseline,
    "truth": _truth,
}
"""By field: what puts it into the documented form, given the fields before it."""
