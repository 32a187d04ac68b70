"""From inputs with labels to a data set's two halves: settings, classes, and what is held back."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from harness.datasets.data import Bytes, Dataset
from harness.datasets.splitting import TEST_SHARE, held_back
from harness.errors import ConfigurationError, DataError
from harness.records import Ints
from harness.text import is_number


@dataclass(frozen=True)
class Settings:
    """What may be said of data by path; None where nothing is.

    Attributes:
        test_share: The share of each class that is held back for the test.
        image_size: Rows and columns to stretch images to, or one number for both.
        label_column: The label's column of a table, by its name or position.
        axes: The names of an array's axes after the first.
    """

    test_share: float | None = None
    image_size: Sequence[int] | None = None
    label_column: str | None = None
    axes: Sequence[str] | None = None

    def refuse(self, what: str, why: str, *allowed: str) -> None:
        """Refuse settings that play no part in the data: they were meant for something.

        Args:
            what: The data.
            why: Why a setting plays none.
            allowed: The settings that do.

        Raises:
            ConfigurationError: another one is set.
        """
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and field.name not in allowed:
                raise ConfigurationError(
                    f"data.{field.name}: plays no part in {what} (got {value!r:.60}): {why}; leave it out"
                )


@dataclass(frozen=True, eq=False)
class Half:
    """Inputs [n, features] and their labels, n classes by position or by name."""

    inputs: npt.NDArray[Any]
    labels: Ints


def in_order(labels: Sequence[str]) -> tuple[str, ...]:
    """The distinct labels: numbers by their size, texts by the alphabet."""
    distinct = set(labels)
    return tuple(sorted(distinct, key=float if all(map(is_number, distinct)) else None))


def positions(labels: Sequence[str], classes: Sequence[str], path: Path) -> Ints:
    """Each label's position in the classes: int64 [n].

    Raises:
        DataError: a label that is none of them.
    """
    place = {name: number for number, name in enumerate(classes)}
    if unknown := sorted(set(labels) - set(place)):
        raise DataError(
            f"{path}: labels must be among the classes {', '.join(map(repr, list(place)[:10]))} "
            f"(got {unknown[0]!r:.60}); declare it too, or leave its inputs out"
        )
    return np.array([place[label] for label in labels], dtype=np.int64)


def split(whole: Half, share: float | None) -> tuple[Half, Half]:
    """The halves of data that come in one piece: of each class a share is held back, by its content."""
    held = held_back(whole.inputs, whole.labels, TEST_SHARE if share is None else share)
    return Half(whole.inputs[~held], whole.labels[~held]), Half(whole.inputs[held], whole.labels[held])


def joined(path: Path, halves: tuple[Half, Half], classes: tuple[str, ...], **meaning: Any) -> Dataset:
    """A data set of two halves.

    Args:
        path: Where they come from; its name is the data set's.
        halves: For training, and for the test.
        classes: All classes, by label.
        meaning: Further fields of `Dataset`.

    Raises:
        DataError: a class has inputs in one half alone.
    """
    for half, others, words in zip(
        halves, halves[::-1], (("training", "test"), ("test", "training")), strict=True
    ):
        known = [label for label in np.unique(half.labels) if 0 <= label < len(classes)]
        gone = [classes[label] for label in known if label not in others.labels]
        if gone:
            named = ", ".join(map(repr, gone[:5])) + (", …" if len(gone) > 5 else "")
            raise DataError(
                f"{path}: a class must have inputs in both halves (got {words[0]} inputs of {named}, and no "
                f"{words[1]} input); add some, or leave that class out"
            )
    train, test = halves
    meaning = {"source": str(path)} | meaning
    if "sha256" not in meaning:
        meaning["sha256"] = {path.name: digest_of(path)}
    return Dataset(
        name=Path(os.path.abspath(path)).name,  # noqa: PTH100 - without "..", whatever is a link
        train_images=train.inputs,
        train_labels=cast("Bytes", train.labels),  # the door narrows them
        test_images=test.inputs,
        test_labels=cast("Bytes", test.labels),
        classes=classes,
        **meaning,
    )


def digest_of(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as stream:
        digest = hashlib.sha256()
        while piece := stream.read(2**20):
            digest.update(piece)
    return digest.hexdigest()


def digest_of_files(digests: Mapping[str, str]) -> str:
    """SHA-256 over the sorted names and digests of several files."""
    return hashlib.sha256(
        "".join(f"{name}\0{digests[name]}\n" for name in sorted(digests)).encode()
    ).hexdigest()
