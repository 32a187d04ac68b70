"""What other packages carry is read without importing them, verified, and missed in words."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import sys
from dataclasses import replace
from importlib import invalidate_caches
from pathlib import Path

import numpy as np
import pytest

from harness import datasets
from harness.datasets import packages
from harness.datasets.packages import PackagedFile, read
from harness.errors import DataError

CONTENT = b"1,2,3\n"
FILE = PackagedFile("carrier", "carrier-on-pypi", "data/set.csv.gz", 6, hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def carrier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that cannot be imported; the file that it carries."""
    (tmp_path / "carrier/data").mkdir(parents=True)
    (tmp_path / "carrier/__init__.py").write_text("raise ImportError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    invalidate_caches()
    path = tmp_path / "carrier/data/set.csv.gz"
    path.write_bytes(gzip.compress(CONTENT))
    return path


def test_a_file_is_found_without_importing_its_package(carrier: Path) -> None:
    """A package whose own demands are not met carries its data all the same."""
    assert read(FILE) == (CONTENT, carrier)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(b"1,2,4\n"), "SHA-256 of the content must be"),
        (gzip.compress(CONTENT * 10**6), "SHA-256 of the content must be"),
        (gzip.compress(CONTENT)[:-4], "truncated: .*must decompress to 6 bytes"),
        (b"no gzip", "cannot be read"),
    ],
    ids=["another", "longer", "cut", "no gzip"],
)
def test_another_content_is_refused(content: bytes, message: str, carrier: Path) -> None:
    """Damaged, of another version, or without end; with the package to install anew."""
    carrier.write_bytes(content)
    with pytest.raises(DataError, match=rf"{message}.*install carrier-on-pypi anew"):
        read(FILE)


@pytest.mark.parametrize("gone", ["file", "package"])
def test_what_is_not_installed_is_absent_with_the_command(gone: str, carrier: Path) -> None:
    """A package that is not there, and one that carries no such file."""
    file = replace(FILE, package="nobody_s_package") if gone == "package" else FILE
    if gone == "file":
        carrier.unlink()
    with pytest.raises(datasets.Absent, match=r"set\.csv\.gz comes with .*; pip install carrier-on-pypi$"):
        read(file)


def test_digits_are_those_of_scikit_learn() -> None:
    """Grey levels of 0 to 16 are brightness in [0, 1], and no image is lost."""
    found = datasets.load("digits")
    sklearn = pytest.importorskip("sklearn.datasets").load_digits()
    whole = np.concatenate([found.train_images, found.test_images])
    order, theirs = np.lexsort(whole.T), np.lexsort(sklearn.data.T)
    assert np.array_equal(whole[order], sklearn.data[theirs])
    labels = np.concatenate([found.train_labels, found.test_labels])
    assert np.array_equal(labels[order], sklearn.target[theirs])
    assert found.inputs(found.test_images).max() == 1
    assert np.abs(np.bincount(found.test_labels) / np.bincount(labels) - 0.2).max() < 0.01


def test_digits_import_no_package() -> None:
    """Only their file is read."""
    code = (
        "import sys; from harness import datasets; datasets.load('digits'); print('sklearn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"


def series(classes: int, n: int, channels: int = 1) -> bytes:
    """A `.ts` file of n series of 4 points."""
    values = np.random.default_rng(n).standard_normal((n, channels, 4)).round(3)
    rows = [":".join(",".join(map(str, one)) for one in row) for row in values]
    head = f"@problemName x\n@classLabel true {' '.join(str(one + 1) for one in range(classes))}\n@data\n"
    return (head + "".join(f"{row}:{place % classes + 1}\n" for place, row in enumerate(rows))).encode()


@pytest.mark.parametrize(("name", "constant", "classes", "channels"), [
    ("japanese-vowels", "JAPANESE_VOWELS", 9, 2),
    ("italy-power-demand", "ITALY_POWER_DEMAND", 2, 1),
])  # fmt: skip
def test_series_come_with_their_split(
    name: str, constant: str, classes: int, channels: int, carrier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archive's training and test files, their labels from 0, channels before time."""
    files = []
    for split, n in (("TRAIN", 18), ("TEST", 36)):
        content = series(classes, n, channels)
        (carrier.parent / f"{split}.ts").write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        files.append(PackagedFile("carrier", "aeon", f"data/{split}.ts", len(content), digest))
    monkeypatch.setattr(packages, constant, tuple(files))
    found = datasets.load(name)
    assert (found.form.kind, found.shape) == ("series", (2, 4) if channels == 2 else (4,))
    assert (len(found.train_images), len(found.test_images), len(found.classes)) == (18, 36, classes)
    assert found.test_labels.tolist() == [place % classes for place in range(36)]
    expected = np.random.default_rng(36).standard_normal((36, channels, 4)).round(3).reshape(36, -1)
    assert np.array_equal(found.test_images, expected.astype(np.float32))


@pytest.mark.parametrize("name", ["mnist-5k", "japanese-vowels", "italy-power-demand"])
def test_the_real_files_hold_what_they_should(name: str) -> None:
    """Where the packages are installed: sizes, and both halves of every class."""
    try:
        found = datasets.load(name)
    except datasets.Absent as absent:
        pytest.skip(str(absent))
    sizes = {"mnist-5k": (4000, 1000), "japanese-vowels": (270, 370), "italy-power-demand": (67, 1029)}
    assert (len(found.train_images), len(found.test_images)) == sizes[name]
    for labels in (found.train_labels, found.test_labels):
        assert set(labels.tolist()) == set(range(len(found.classes)))
