"""Data of one's own by path: a folder of images by class, an .npz, .csv or .ts file."""

from __future__ import annotations

import os

from harness.config.values import named_place
from harness.datasets import arrays, photos, rows
from harness.datasets.data import Dataset
from harness.datasets.halves import Settings as Settings
from harness.errors import DataError

READERS = {".npz": arrays.read_npz, ".csv": rows.read_csv, ".ts": arrays.read_ts}
"""By a file's ending: who reads it."""


def is_path(name: object) -> bool:
    """Whether a data set's name is a path: it has a separator, or a known ending."""
    if not isinstance(name, str):
        return False
    return any(sep in name for sep in (os.sep, os.altsep) if sep) or name.lower().endswith(tuple(READERS))


def read(name: str, settings: Settings) -> Dataset:
    """The data of that path, not yet checked; its name is the file's or the folder's.

    Raises:
        ConfigurationError: a setting that plays no part in it.
        DataError: it is not there, of no known kind, or cannot be taken for data without a guess.
    """
    path = named_place("data.dataset", name)
    try:
        if path.is_dir():
            return photos.read_folder(path, settings)
        if not path.is_file():
            raise DataError(
                f"{path}: there is no such file or folder; name another, or a data set by its name"
            )
        reader = READERS.get(path.suffix.lower())
        if reader is None:
            raise DataError(
                f"{path}: data must be a folder of images by class, or a file in {', '.join(READERS)} "
                f"(got {path.suffix or 'no ending'}); save it as one of these"
            )
        return reader(path, settings)
    except OSError as error:
        place = error.filename or path
        raise DataError(f"{place}: cannot be read ({error.strerror or error}); name another") from None
    except MemoryError:
        raise DataError(f"{path}: does not fit into memory; name a part of it, or smaller inputs") from None
