"""CIFAR-10 from its binary archive: fixed records, of which nothing is unpickled and nothing extracted."""

from __future__ import annotations

import hashlib
import io
import tarfile
import urllib.request
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.datasets import fetching
from harness.datasets.data import Bytes, Dataset
from harness.datasets.registered import datasets
from harness.errors import DataError

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

FEATURES = 3 * 32 * 32
"""Bytes of an image: red, green and blue, row by row."""


@dataclass(frozen=True)
class Archive:
    """What the archive is: its name and address, its size and SHA-256, and the images of each member."""

    name: str
    url: str
    size: int
    sha256: str
    images: int


CIFAR10 = Archive(
    "cifar-10-binary.tar.gz",
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    170_052_171,
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    10_000,
)

MEMBERS = (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin")


@datasets.register("cifar10")
def cifar10(data_dir: Path | None = None) -> Dataset:
    """CIFAR-10 (Krizhevsky 2009): 50,000 training and 10,000 test images in colour, of 32 x 32 pixels.

    Raises:
        DataError: absent (with the places looked in and the ways to get it), or unlike its digest.
    """
    archive = CIFAR10

    def find(place: Path) -> Path | None:
        return place / archive.name if (place / archive.name).is_file() else None

    def download(place: Path) -> str | None:
        return fetching.fetch(place, archive.url, lambda part: _download(part / archive.name, archive))

    files = f"{archive.url} (the archive for C, no other)"
    looked = fetching.places(data_dir)
    return load_archive(fetching.found("CIFAR-10", looked, find, download, files), archive)


def load_archive(path: Path, archive: Archive) -> Dataset:
    """The images of the archive, verified before anything of it is read.

    Raises:
        DataError: it is not the one that is known, or cannot be read.
    """
    try:
        if (size := path.stat().st_size) != archive.size:
            raise DataError(f"{path}: must be {archive.size} bytes (got {size}); fetch it anew")
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error}; fetch it anew") from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != archive.sha256:
        raise DataError(f"{path}: SHA-256 must be {archive.sha256} (got {digest}); fetch it anew")
    found: dict[str, Bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as members:
            for member in members:
                stream = members.extractfile(member) if Path(member.name).name in MEMBERS else None
                if stream is not None:
                    records = stream.read(archive.images * (1 + FEATURES) + 1)
                    found[Path(member.name).name] = np.frombuffer(records, dtype=np.uint8)
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}; fetch it anew") from None
    for name in MEMBERS:
        if len(found.get(name, ())) != archive.images * (1 + FEATURES):
            raise DataError(f"{path}: must hold {archive.images} images in {name}; fetch it anew")
    *train, test = (found[name].reshape(-1, 1 + FEATURES) for name in MEMBERS)
    whole = np.concatenate(train)
    return Dataset(
        name="cifar10",
        train_images=whole[:, 1:],
        train_labels=whole[:, 0],
        test_images=test[:, 1:],
        test_labels=test[:, 0],
        classes=CLASSES,
        shape=(3, 32, 32),
        sha256={archive.name: archive.sha256},
        source=str(path),
    )


def _download(path: Path, archive: Archive) -> None:
    """Fetch the archive, and no more than shows that it is longer than declared."""
    with urllib.request.urlopen(archive.url) as answer, path.open("wb") as out:  # noqa: S310 - https
        left = archive.size + 1
        while left > 0 and (piece := answer.read(min(left, 2**20))):
            out.write(piece)
            left -= len(piece)
