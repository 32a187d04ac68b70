"""Arrays of one's own: .npz files with named arrays, and series in .ts files."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.datasets import series
from harness.datasets.data import Dataset
from harness.datasets.halves import Half, Settings, digest_of, in_order, joined, positions, split
from harness.errors import DataError
from harness.forms import AXES
from harness.records import Ints

Array = npt.NDArray[Any]

NAMES = (
    ("x_train", "y_train", "x_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("x", "y"),
)
"""The names that the arrays of an .npz may have: in two halves, or in one piece."""

MEANING = ("classes", "shape", "axes", "scale", "unit", "baseline")
"""What an .npz may tell of its arrays, as `Dataset` has it; `axes` as they are in the file."""

CHANNELS = (1, 3, 4)
"""Sides that may be the channels of an image."""


def read_npz(path: Path, settings: Settings) -> Dataset:
    """The arrays of an .npz file, by the names that Keras, MedMNIST and this package give them.

    Raises:
        DataError: they bear other names, hold Python objects, or their axes are not clear.
    """
    arrays = _loaded(path)
    names = next((one for one in NAMES if set(one) <= set(arrays)), None)
    if names is None:
        listed = "; ".join(", ".join(one) for one in NAMES)
        raise DataError(
            f"{path}: its arrays must be named {listed} (got {', '.join(arrays) or 'none'}); rename"
        )
    if unknown := [name for name in arrays if name not in (*names, *MEANING)]:
        raise DataError(
            f"{path}: beside {', '.join(names)} it may tell {', '.join(MEANING)} (got {unknown[0]}); "
            "leave it out"
        )
    allowed = ("axes", "test_share") if len(names) == 2 else ("axes",)
    settings.refuse(str(path), "it is of arrays" if len(names) == 2 else "it has a test of its own", *allowed)
    whole, kind, shape = _arranged(
        path, [arrays[name] for name in names[::2]], _axes(path, arrays, settings), arrays
    )
    labels, classes = _labels(path, [arrays[name] for name in names[1::2]], arrays.get("classes"))
    parts = [Half(inputs, label) for inputs, label in zip(whole, labels, strict=True)]
    for part, name in zip(parts, names[::2], strict=True):
        if len(part.inputs) != len(part.labels):
            raise DataError(
                f"{path}: {name} must have a label each (got {len(part.inputs)} inputs and "
                f"{len(part.labels)} labels); name the label of each"
            )
    meaning: dict[str, Any] = {name: arrays[name].tolist() for name in ("scale", "unit") if name in arrays}
    if "baseline" in arrays:
        told = arrays["baseline"]
        meaning["baseline"] = told.tolist() if told.ndim == 0 else told
    halves = (parts[0], parts[1]) if len(parts) == 2 else split(parts[0], settings.test_share)
    return joined(path, halves, classes, kind=kind, shape=shape, **meaning)


def _loaded(path: Path) -> dict[str, Array]:
    """All arrays of the file, none of them executed.

    Raises:
        DataError: it is no .npz, or holds Python objects.
    """
    try:
        with path.open("rb") as stream:
            found = np.load(stream, allow_pickle=False)
            if isinstance(found, np.ndarray):
                raise DataError(
                    f"{path}: must be an .npz of named arrays (got one array); numpy.savez names them"
                )
            return {name: found[name] for name in found.files}
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        if "allow_pickle" in str(error):
            raise DataError(
                f"{path}: must hold numbers and texts alone (got Python objects, which are not unpickled); "
                "save arrays of one type, without gaps"
            ) from None
        raise DataError(f"{path}: cannot be read as an .npz ({str(error)[:120]}); save it anew") from None


def _axes(path: Path, arrays: Mapping[str, Array], settings: Settings) -> tuple[str, ...]:
    """The names of the axes after the first, as they are said; none where nobody says them."""
    told = tuple(map(str, np.atleast_1d(arrays["axes"]))) if "axes" in arrays else ()
    asked = tuple(settings.axes or ())
    if told and asked and told != asked:
        raise DataError(f"{path}: axes must be as the file tells, {', '.join(told)} (got {', '.join(asked)})")
    return asked or told


def _arranged(
    path: Path, arrays: Sequence[Array], axes: tuple[str, ...], told: Mapping[str, Array]
) -> tuple[list[Array], str, tuple[int, ...]]:
    """The inputs [n, features] with their axes in the order of `AXES`; their kind and shape.

    Raises:
        DataError: the axes are not clear, or do not fit the arrays.
    """
    if "shape" in told:
        sides = tuple(int(side) for side in np.atleast_1d(told["shape"]))
        if any(one.ndim != 2 or one.shape[1] != np.prod(sides) for one in arrays):
            got = ", ".join(str(one.shape) for one in arrays)
            raise DataError(
                f"{path}: where it tells a shape, inputs must be [n, {np.prod(sides)}] (got {got})"
            )
        arrays = [one.reshape(len(one), *sides) for one in arrays]
    if len({one.shape[1:] for one in arrays}) > 1:
        got = " and ".join(str(one.shape[1:]) for one in arrays)
        raise DataError(
            f"{path}: training and test inputs must be of one shape (got {got}); bring them to one"
        )
    axes = axes or _clear_axes(path, arrays[0])
    for kind, forms in AXES.items():
        for form in forms:
            if set(form) == set(axes) and len(form) == len(axes):
                if len(axes) != arrays[0].ndim - 1:
                    break
                order = (0, *(1 + axes.index(name) for name in form))
                turned = [one.transpose(order) for one in arrays]
                return [one.reshape(len(one), -1) for one in turned], kind, turned[0].shape[1:]
    raise DataError(
        f"{path}: axes must name each side of an input, in the array's order: {_fitting(path, arrays[0])} "
        f"(got {','.join(axes)} of sides {arrays[0].shape[1:]})"
    )


def _fitting(path: Path, array: Array) -> str:
    """The axes that an array with so many sides can have, pictures with their channels first or last.

    Of a series' two the longer is taken for time.

    Raises:
        DataError: no kind of data has so many.
    """
    sides = array.shape[1:]
    found = [axes for forms in AXES.values() for axes in forms if len(axes) == len(sides)]
    if not found:
        most = max(len(axes) for forms in AXES.values() for axes in forms)
        raise DataError(
            f"{path}: an input must have 1 to {most} sides (got {len(sides)}); "
            "bring the arrays to [n, features]"
        )
    offered: list[tuple[str, ...]] = []
    for axes in found:
        offered.append(axes[::-1] if "time" in axes and sides[0] > sides[-1] else axes)
        if {"channel", "row"} <= set(axes):
            offered.append((*(name for name in axes if name != "channel"), "channel"))
    return " or ".join(map(",".join, offered))


def _clear_axes(path: Path, array: Array) -> tuple[str, ...]:
    """The axes of an array that can be nothing else.

    Raises:
        DataError: it can.
    """
    sides = array.shape[1:]
    if len(sides) == 2 and array.dtype == np.uint8:
        return ("row", "column")
    if len(sides) == 3:
        first, last = sides[0] in CHANNELS, sides[-1] in CHANNELS
        if first != last:
            return ("channel", "row", "column") if first else ("row", "column", "channel")
    raise DataError(
        f"{path}: the axes of inputs of sides {sides} ({array.dtype}) must be named, they are not clear; say "
        f"--axes {_fitting(path, array)}, whichever they are, in the array's order"
    )


def _labels(path: Path, arrays: Sequence[Array], told: Array | None) -> tuple[list[Ints], tuple[str, ...]]:
    """The labels of each part as positions, and the classes.

    Whole numbers are positions in the classes that the file tells; else the distinct labels are the classes,
    numbers by their size and texts by the alphabet.

    Raises:
        DataError: they are neither whole numbers nor texts, one an input.
    """
    flat = [one[:, 0] if one.ndim == 2 and one.shape[1] == 1 else one for one in arrays]
    for one in flat:
        if one.ndim != 1 or one.dtype.kind not in "iuUS" or one.dtype.kind != flat[0].dtype.kind:
            mend = "make them of one type"
            if one.ndim == 2:
                mend = "labels.argmax(axis=1) where they are one-hot"
            elif _is_whole(one):
                mend = "labels.astype(int), as all of them are whole"
            raise DataError(
                f"{path}: labels must be whole numbers or texts, one an input (got {one.dtype} "
                f"{list(one.shape)}); {mend}"
            )
    classes = () if told is None else tuple(map(str, np.atleast_1d(told).tolist()))
    if classes and flat[0].dtype.kind in "iu":
        return list(flat), classes
    texts = [[one.decode() if isinstance(one, bytes) else str(one) for one in part.tolist()] for part in flat]
    classes = classes or in_order([one for part in texts for one in part])
    return [positions(part, classes, path) for part in texts], classes


def _is_whole(array: Array) -> bool:
    """Whether it holds whole numbers, or booleans, as another type."""
    if array.dtype.kind == "f":
        return bool(np.isfinite(array).all() and np.array_equal(array, np.round(array)))
    return array.dtype.kind == "b"


def read_ts(path: Path, settings: Settings) -> Dataset:
    """The series of a `.ts` file: of `X_TRAIN.ts` with `X_TEST.ts` beside it, or a share held back.

    Raises:
        DataError: it is not in that format, or the two files do not fit.
    """
    stem, _, half = path.stem.rpartition("_")
    beside = path.with_name(f"{stem}_{'test' if half.islower() else 'TEST'}{path.suffix}")
    if half.upper() == "TEST":
        raise DataError(f"{path}: is the test alone; name the file for training, and it is found beside that")
    is_parted = half.upper() == "TRAIN" and beside.is_file()
    allowed = () if is_parted else ("test_share",)
    settings.refuse(str(path), "it has a test of its own" if is_parted else "it has series", *allowed)
    files = [path, beside] if is_parted else [path]
    found = [series.parse(_text(one), str(one)) for one in files]
    if is_parted and found[0].values.shape[1:] != found[1].values.shape[1:]:
        sides = " and ".join(str(one.values.shape[1:]) for one in found)
        raise DataError(
            f"{path}: training and test series must be of one shape (got {sides}); bring them to one"
        )
    classes = tuple(dict.fromkeys(name for one in found for name in one.classes))
    parts = [
        Half(one.values.reshape(len(one.values), -1), positions(one.labels, classes, file))
        for one, file in zip(found, files, strict=True)
    ]
    halves = (parts[0], parts[1]) if is_parted else split(parts[0], settings.test_share)
    digests = {one.name: digest_of(one) for one in files}
    return joined(path, halves, classes, kind="series", shape=found[0].values.shape[1:], sha256=digests)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: must be text in UTF-8 ({error.reason} at byte {error.start}); save it so"
        ) from None
