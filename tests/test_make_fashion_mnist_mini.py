"""The excerpt that the package carries can be made again, and comes out the same."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import datasets
from harness.datasets import Dataset, published

SCRIPT = Path(__file__).parents[1] / "tools" / "make_fashion_mnist_mini.py"

Contents = dict[str, bytes]


def load_script() -> Any:
    spec = importlib.util.spec_from_file_location("make_fashion_mnist_mini", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tool = load_script()


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Contents]:
    """Runs the tool into a folder of that name; its files as they lie there."""

    def run(name: str) -> Contents:
        monkeypatch.setattr(sys, "argv", [SCRIPT.name, "--output", str(tmp_path / name)])
        tool.main()
        return {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}

    return run


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """300 training and 100 test images in the full set's place, of which 3 and 2 of a class are taken."""
    generator = np.random.default_rng(0)
    parts = [generator.integers(0, 256, (n, 784), dtype=np.uint8) for n in (300, 100)]
    classes = [generator.permutation(np.arange(n, dtype=np.uint8) % 10) for n in (300, 100)]
    data = Dataset(
        name="fashion-mnist",
        train_images=parts[0],
        train_labels=classes[0],
        test_images=parts[1],
        test_labels=classes[1],
        classes=datasets.FASHION_CLASSES,
        shape=(28, 28),
        sha256={},
        source="",
    )
    monkeypatch.setattr(datasets, "load", lambda *_: data)
    monkeypatch.setattr(tool, "PER_CLASS", {"train": 3, "t10k": 2})
    return data


@pytest.mark.thorough
@pytest.mark.skipif(not published.SYSTEM_FOLDER.is_dir(), reason="the full Fashion-MNIST is not installed")
def test_making_it_again_gives_the_shipped_content_byte_for_byte(make: Callable[[str], Contents]) -> None:
    """From the full set the four files come out with the content that the package carries."""
    made = make("again")
    shipped = {path.name: path.read_bytes() for path in published.MINI_FOLDER.glob("*.gz")}
    assert made.keys() == shipped.keys()
    for name, packed in shipped.items():
        assert gzip.decompress(made[name]) == gzip.decompress(packed), name


def test_two_runs_give_the_same_files(
    small: Dataset, make: Callable[[str], Contents], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No time, name or random draw goes into a file: a run at another hour writes the same bytes."""
    first = make("first")
    monkeypatch.setattr(time, "time", lambda: 1e9)
    assert make("second") == first


def test_the_digests_printed_are_those_of_the_content(
    small: Dataset, make: Callable[[str], Contents], capsys: pytest.CaptureFixture[str]
) -> None:
    """Each file's name and the SHA-256 of its decompressed content are printed, for the code to hold."""
    made = make("made")
    printed = dict(line.split() for line in capsys.readouterr().out.splitlines())
    assert printed == {
        name.removesuffix(".gz"): hashlib.sha256(gzip.decompress(packed)).hexdigest()
        for name, packed in made.items()
    }


def test_the_harness_loads_what_the_tool_makes(
    small: Dataset, make: Callable[[str], Contents], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The excerpt is balanced, and each of its images is one of its split, with that image's label."""
    make("made")
    counts = {"train": 30, "t10k": 20}
    files = tuple(
        datasets.IdxFile(name, counts[name.split("-")[0]], digest)
        for name, digest in (line.split() for line in capsys.readouterr().out.splitlines())
    )
    made = datasets.load_folder("made", tmp_path / "made", files, datasets.FASHION_CLASSES)
    assert np.bincount(made.train_labels).tolist() == [3] * 10
    assert np.bincount(made.test_labels).tolist() == [2] * 10
    for split in ("train", "test"):
        of_full, labels_of_full = getattr(small, f"{split}_images"), getattr(small, f"{split}_labels")
        for image, label in zip(
            getattr(made, f"{split}_images"), getattr(made, f"{split}_labels"), strict=True
        ):
            (position,) = np.flatnonzero((of_full == image).all(axis=1))
            assert labels_of_full[position] == label


def test_the_choice_is_by_rank_of_the_digest(small: Dataset) -> None:
    """Of each class those images are taken whose SHA-256 of seed, split and index is smallest, ascending."""

    def rank(index: int) -> str:
        return hashlib.sha256(f"2017:train:{index}".encode()).hexdigest()

    taken = tool.chosen(small.train_labels, "train")
    assert taken == sorted(set(taken))
    for label in range(10):
        members = {index for index in range(300) if small.train_labels[index] == label}
        inside, outside = members & set(taken), members - set(taken)
        assert len(inside) == 3
        assert max(map(rank, inside)) < min(map(rank, outside))


def test_the_choice_does_not_depend_on_other_classes_or_splits(small: Dataset) -> None:
    """Leaving later images out takes away only those, and each split draws its own."""
    whole = tool.chosen(small.train_labels, "train")
    without_last = np.where(small.train_labels == 9, 0, small.train_labels)
    others = {index for index in whole if 1 <= small.train_labels[index] <= 8}
    assert others == {index for index in tool.chosen(without_last, "train") if 1 <= without_last[index] <= 8}
    assert tool.chosen(small.train_labels[:100], "t10k") != tool.chosen(small.train_labels[:100], "train")
