"""Sets of IDX files, as MNIST and its kin are published: read no further than declared, and verified."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.datasets.data import Bytes, Dataset
from harness.datasets.packed import read_packed
from harness.errors import DataError

_IMAGE_MAGIC, _LABEL_MAGIC = 2051, 2049


@dataclass(frozen=True)
class IdxFile:
    """One of the four files.

    Attributes:
        name: Its name, without the `.gz` that it may have.
        count: How many items it holds.
        sha256: Of its decompressed content; empty where none is published.
        gzip_sha256: Of the gzipped file, in that case; it must be gzipped then.
    """

    name: str
    count: int
    sha256: str
    gzip_sha256: str = ""

    @property
    def is_images(self) -> bool:
        """Whether it holds images, rather than labels."""
        return "images" in self.name

    @property
    def size(self) -> int:
        """Bytes of the decompressed content."""
        return 16 + self.count * 784 if self.is_images else 8 + self.count


def load_folder(name: str, folder: Path, files: tuple[IdxFile, ...], classes: tuple[str, ...]) -> Dataset:
    """The four IDX files of a folder (training images and labels, test images and labels), verified."""
    contents = {file.name: read_idx(folder, file) for file in files}
    train_images, train_labels, test_images, test_labels = contents.values()
    check_pair(_path(folder, files[1]), train_images, train_labels, len(classes))
    check_pair(_path(folder, files[3]), test_images, test_labels, len(classes))
    if train_images.shape == test_images.shape and np.array_equal(train_images, test_images):
        raise DataError(f"{folder}: training and test images are the same file; a test needs unseen images")
    for file in files:
        path, must, of = _path(folder, file), file.sha256, "decompressed content"
        digest = _digest(contents[file.name], file)
        if file.gzip_sha256:
            must, of = file.gzip_sha256, "gzipped file"
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest != must:
            raise DataError(
                f"{path}: damaged, or another set's file of the same name (MNIST's are "
                f"named alike): SHA-256 of the {of} must be {must} (got {digest}); "
                "fetch it anew, or name another folder with --data-dir"
            )
    return Dataset(
        name=name,
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        classes=classes,
        shape=(28, 28),
        sha256={
            f"{file.name}{'' if file.sha256 else '.gz'}": file.sha256 or file.gzip_sha256 for file in files
        },
        source=str(folder),
    )


def _path(folder: Path, file: IdxFile) -> Path:
    """The file in the folder, gzipped or not.

    Raises:
        DataError: it is missing, or a link that leads out of the folder.
    """
    name = f"{file.name}.gz" if file.gzip_sha256 else file.name
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            if not path.resolve().is_relative_to(folder.resolve()):
                raise DataError(
                    f"{path}: leads out of the data folder, to {path.resolve()}; "
                    "copy the file there, or name that folder with --data-dir"
                )
            return path
    raise DataError(f"{folder / name}: missing, while other files of the set are there; fetch it anew")


def read_idx(folder: Path, file: IdxFile) -> Bytes:
    """The payload of one IDX file: uint8 [n, pixels] for images, [n] for labels.

    Raises:
        DataError: truncated, too long, wrong magic, or a header unlike the payload.
    """
    path = _path(folder, file)
    content = read_packed(path, file.size)
    header = 16 if file.is_images else 8
    if len(content) < header:
        raise DataError(f"{path}: truncated: must be {file.size} bytes (got {len(content)}); fetch it anew")
    magic, count, *sides = struct.unpack(f">{header // 4}i", content[:header])
    expected = _IMAGE_MAGIC if file.is_images else _LABEL_MAGIC
    if magic != expected:
        kind = "images" if file.is_images else "labels"
        raise DataError(
            f"{path}: magic number must be {expected} for IDX {kind} (got {magic}); fetch it anew"
        )
    if len(content) != file.size:
        got = f"more than {file.size}" if len(content) > file.size else str(len(content))
        raise DataError(f"{path}: content must be {file.size} bytes (got {got}); fetch it anew")
    declared = count * int(np.prod(sides)) if sides else count
    if (file.is_images and sides != [28, 28]) or declared != len(content) - header:
        raise DataError(
            f"{path}: header declares {' x '.join(map(str, [count, *sides]))} "
            f"but the payload has {len(content) - header} bytes; fetch it anew"
        )
    payload = np.frombuffer(content, dtype=np.uint8, offset=header)
    return payload.reshape(count, -1) if file.is_images else payload


def _digest(payload: Bytes, file: IdxFile) -> str:
    """SHA-256 of the file's whole content, its header rebuilt from the shape that was checked."""
    sides = (28, 28) if file.is_images else ()
    magic = _IMAGE_MAGIC if file.is_images else _LABEL_MAGIC
    header = struct.pack(f">{2 + len(sides)}i", magic, len(payload), *sides)
    return hashlib.sha256(header + payload.tobytes()).hexdigest()


def check_pair(path: Path, images: Bytes, labels: Bytes, classes: int) -> None:
    """Images and labels belong together; `path` is the labels' file.

    Raises:
        DataError: they differ in number, or a label names no class.
    """
    if len(images) != len(labels):
        raise DataError(
            f"{path}: {len(images)} images but {len(labels)} labels; they must be as many; fetch both anew"
        )
    if len(labels) and labels.max() >= classes:
        raise DataError(
            f"{path}: labels must be in 0..{classes - 1} (got {labels.max()} at position {labels.argmax()}); "
            "fetch it anew"
        )
