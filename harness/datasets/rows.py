"""Tables of one's own in .csv files: a row of features each, or a list of image files."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.datasets import photos
from harness.datasets.data import Dataset
from harness.datasets.halves import (
    Half,
    Settings,
    digest_of,
    digest_of_files,
    in_order,
    joined,
    positions,
    split,
)
from harness.errors import DataError
from harness.text import is_number

if TYPE_CHECKING:
    import pandas as pd

LABELS = ("label", "class", "target")
"""Names by which a column is known to hold the labels."""

IMAGE, SPLIT = "image", "split"
"""The names of the columns that list image files, and that say which half a row belongs to."""

HALVES = {"train": 0, "training": 0, "test": 1, "val": 1, "valid": 1, "validation": 1}
"""What may stand in the column `split`."""


def read_csv(path: Path, settings: Settings) -> Dataset:
    """The rows of a table, or the images that it lists in a column `image`, beside their labels.

    Raises:
        DataError: its label's column is not clear, a cell is no number, or a row is of another length.
    """
    table, label, headed = _table(path, settings.label_column)
    classes = in_order(table[label].tolist())
    labels = positions(table[label].tolist(), classes, path)
    listed = IMAGE in table.columns
    allowed = ["label_column", "image_size" if listed else "axes"]
    settings.refuse(
        str(path),
        "it says which rows are the test" if SPLIT in table.columns else "it has one row each",
        *allowed,
        *(() if SPLIT in table.columns else ("test_share",)),
    )
    meaning: dict[str, Any]
    if listed:
        files = [path.parent / name for name in table[IMAGE].tolist()]
        if gone := next((file for file in files if not file.is_file()), None):
            raise DataError(f"{path}: lists {gone}, which is not there; put it there, or leave its row out")
        inputs, shape = photos.stacked(files, settings.image_size)
        digests = {name: digest_of(file) for name, file in zip(table[IMAGE], files, strict=True)}
        meaning = {"shape": shape, "sha256": {path.name: digest_of(path), "images": digest_of_files(digests)}}
    else:
        features = [name for name in table.columns if name not in (label, SPLIT)]
        inputs = _numbers(path, table, features)
        axes = tuple(settings.axes or ("feature",))
        if axes not in (("feature",), ("time",)):
            raise DataError(f"{path}: the axis of a row must be feature or time (got {', '.join(axes)})")
        meaning = {"shape": (len(features),), "kind": "series" if axes == ("time",) else "table"}
        if headed and axes == ("feature",):
            meaning["names"] = tuple(features)
    whole = Half(inputs, labels)
    halves = _halves(path, whole, table) if SPLIT in table.columns else split(whole, settings.test_share)
    return joined(path, halves, classes, **meaning)


def _table(path: Path, asked: str | None) -> tuple[pd.DataFrame, str, bool]:
    """The table, its cells as texts where they are no numbers; the name of the label's column;
    and whether its first row names the columns.

    Raises:
        DataError: it is no table, or does not tell where its labels are.
    """
    import pandas as pd

    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            first, second = next(reader, []), next(reader, [])
        if len(first) < 2:
            raise DataError(f"{path}: must be a table with commas between its columns (got {first!r:.80})")
        headed = _is_header(first, second)
        names = [name.strip() for name in first] if headed else [str(place) for place in range(len(first))]
        if len(set(names)) < len(names) or not all(names):
            raise DataError(f"{path}: its columns must bear distinct names (got {', '.join(names)!r:.120})")
        label = _label_column(path, names, asked, headed)
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # of rows that are longer
            table = pd.read_csv(
                path,
                header=None,
                names=names,
                skiprows=1 if headed else 0,
                dtype={name: str for name in (label, IMAGE, SPLIT) if name in names},
                keep_default_na=False,
                encoding="utf-8-sig",
                skipinitialspace=True,
                index_col=False,
                low_memory=False,
            )
    except (
        UnicodeDecodeError,
        csv.Error,
        pd.errors.ParserError,
        pd.errors.ParserWarning,
        ValueError,
    ) as error:
        raise DataError(
            f"{path}: cannot be read as a table ({' '.join(str(error).split())[:160]}); save it anew"
        ) from None
    if table.empty:
        raise DataError(f"{path}: must have rows (got none); name another file")
    if (bare := table[label].str.strip() == "").any():
        raise DataError(
            f"{path}: row {1 + int(bare.to_numpy().argmax())} must have a label (got none); name it"
        )
    return table, label, headed


def _label_column(path: Path, names: Sequence[str], asked: str | None, headed: bool) -> str:
    """The name of the column that holds the labels.

    Raises:
        DataError: the one that is asked for is not there, or none is known by its name.
    """
    if asked is not None:
        if asked in names:
            return asked
        if asked.lstrip("-").isdigit() and -len(names) <= int(asked) < len(names):
            return names[int(asked)]
        raise DataError(
            f"{path}: label_column must be one of its columns, {', '.join(names)[:200]}, or a position "
            f"(got {asked!r:.60})"
        )
    known = [name for name in names if name.lower() in LABELS]
    if len(known) != 1:
        shown = [f"{one:.40}" for one in names]
        shown = shown if len(shown) < 9 else [*shown[:6], "…", shown[-1]]
        what = f"columns {', '.join(shown)}" if headed else f"{len(names)} columns without a header"
        raise DataError(
            f"{path}: the label's column must be clear (got {what}); say --label-column: its name, or its "
            "position from 0, -1 for the last"
        )
    return known[0]


def _numbers(path: Path, table: pd.DataFrame, features: Sequence[str]) -> Any:
    """The features as float32 [n, features].

    Raises:
        DataError: there is none, or a cell is no number.
    """
    import pandas as pd

    if not features:
        raise DataError(f"{path}: must have features beside the label (got none); add columns")
    for name in features:
        if table[name].dtype.kind not in "iuf":
            bad = pd.to_numeric(table[name], errors="coerce").isna()
            row = int(bad.to_numpy().argmax())
            raise DataError(
                f"{path}: row {1 + row}, column {name!r} must be a number "
                f"(got {table[name].iloc[row]!r:.60}); fill the gap, or leave the column out"
            )
    return table[list(features)].to_numpy(dtype=np.float32)


def _halves(path: Path, whole: Half, table: pd.DataFrame) -> tuple[Half, Half]:
    """The halves that the column `split` says.

    Raises:
        DataError: something else stands in it.
    """
    told = table[SPLIT].str.strip().str.lower()
    if (bad := ~told.isin(list(HALVES))).any():
        row = int(bad.to_numpy().argmax())
        raise DataError(
            f"{path}: row {1 + row}, column {SPLIT!r} must be one of {', '.join(HALVES)} "
            f"(got {table[SPLIT].iloc[row]!r:.60})"
        )
    test = (told.map(HALVES) == 1).to_numpy()
    return Half(whole.inputs[~test], whole.labels[~test]), Half(whole.inputs[test], whole.labels[test])


def _is_header(first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether the first row names the columns: by a name that is known, or by texts where numbers follow."""
    known = {name.strip().lower() for name in first} & {*LABELS, IMAGE, SPLIT}
    over = any(not is_number(name) and is_number(below) for name, below in zip(first, second, strict=False))
    return bool(known) or over or not any(map(is_number, first))
