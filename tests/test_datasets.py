"""Data is loaded only as it was checked, and every kind of damage is refused in words."""

from __future__ import annotations

import gzip
import hashlib
import inspect
import os
import socket
import struct
import sys
import threading
import time
import tracemalloc
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from http.client import HTTPException
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from harness import datasets, environment
from harness.datasets import Absent, Dataset, IdxFile, fetching, published
from harness.datasets import idx as files_of
from harness.errors import ConfigurationError, DataError

FETCH = fetching.fetch
"""The real one; the tests' shared fixture puts another in its place."""

NAMES = tuple(file.name for file in published.FASHION_MNIST)
TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = NAMES

Contents = dict[str, bytes]

full_set_only = pytest.mark.skipif(
    not published.SYSTEM_FOLDER.is_dir(), reason="the full Fashion-MNIST is not installed"
)


def idx(items: datasets.Bytes, *, magic: int | None = None, shape: tuple[int, ...] | None = None) -> bytes:
    """An IDX file of these images [n, 28, 28] or labels [n], with another header where one is given."""
    sizes = items.shape if shape is None else shape
    number = {3: 2051, 1: 2049}[items.ndim] if magic is None else magic
    return struct.pack(f">{1 + len(sizes)}i", number, *sizes) + items.tobytes()


def images(n: int, seed: int = 0) -> datasets.Bytes:
    return np.random.default_rng(seed).integers(0, 256, (n, 28, 28), dtype=np.uint8)


def labels(n: int) -> datasets.Bytes:
    return np.arange(n, dtype=np.uint8) % 10


def sound(train: int = 20, test: int = 10) -> Contents:
    """A small set that nothing is wrong with."""
    return dict(
        zip(
            NAMES,
            (idx(images(train)), idx(labels(train)), idx(images(test, 1)), idx(labels(test))),
            strict=True,
        )
    )


def declared(contents: Contents) -> tuple[IdxFile, ...]:
    """What the set ought to be: as many items as fit into each content, and its digest."""

    def file(name: str, content: bytes) -> IdxFile:
        count = (len(content) - 16) // 784 if "images" in name else len(content) - 8
        return IdxFile(name, count, hashlib.sha256(content).hexdigest())

    return tuple(file(name, content) for name, content in contents.items())


def put(folder: Path, contents: Contents, *, gzipped: bool = True) -> Path:
    """Write the files; the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        if gzipped:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content, compresslevel=1))
        else:
            (folder / name).write_bytes(content)
    return folder


def loaded(folder: Path, files: tuple[IdxFile, ...] | None = None) -> Dataset:
    return datasets.load_folder("small", folder, files or declared(sound()), datasets.FASHION_CLASSES)


@pytest.fixture(scope="module")
def full() -> Dataset:
    """The full set, where the system's package installed it."""
    return datasets.load_folder(
        "fashion-mnist", published.SYSTEM_FOLDER, published.FASHION_MNIST, datasets.FASHION_CLASSES
    )


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory where no data is found; a small set passes for the full one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(published, "SYSTEM_FOLDER", tmp_path / "system")
    monkeypatch.setattr(published, "FASHION_MNIST", declared(sound()))
    return tmp_path


# sound data


@pytest.mark.parametrize("gzipped", [True, False], ids=["gzipped", "plain"])
def test_a_sound_folder_gives_what_was_written(gzipped: bool, tmp_path: Path) -> None:
    """Images come as uint8 [n, 784], labels as uint8 [n], with digests of the decompressed content."""
    found = loaded(put(tmp_path / "set", sound(), gzipped=gzipped))
    assert np.array_equal(found.train_images, images(20).reshape(20, 784))
    assert np.array_equal(found.test_images, images(10, 1).reshape(10, 784))
    assert np.array_equal(found.train_labels, labels(20))
    assert np.array_equal(found.test_labels, labels(10))
    assert {array.dtype for array in (found.train_images, found.test_labels)} == {np.dtype(np.uint8)}
    assert found.sha256 == {name: hashlib.sha256(content).hexdigest() for name, content in sound().items()}
    assert (found.name, found.source, found.notice) == ("small", str(tmp_path / "set"), "")
    assert (found.classes, found.shape) == (datasets.FASHION_CLASSES, (28, 28))


def test_gzipped_or_not_gives_the_same(tmp_path: Path) -> None:
    """A folder may hold each file gzipped or plain, also mixed, and the data are the same."""
    contents = sound()
    gzipped = loaded(put(tmp_path / "gzipped", contents))
    mixed = put(tmp_path / "mixed", {name: contents[name] for name in NAMES[:2]})
    put(mixed, {name: contents[name] for name in NAMES[2:]}, gzipped=False)
    for folder in (put(tmp_path / "plain", contents, gzipped=False), mixed):
        plain = loaded(folder)
        assert plain.sha256 == gzipped.sha256
        for part in ("train_images", "train_labels", "test_images", "test_labels"):
            assert np.array_equal(getattr(plain, part), getattr(gzipped, part))


@full_set_only
def test_the_installed_full_set_holds_all_images_of_each_class(full: Dataset) -> None:
    """The system's package matches the digests, with 6,000 training and 1,000 test images a class."""
    assert full.train_images.shape == (60_000, 784)
    assert full.test_images.shape == (10_000, 784)
    assert np.bincount(full.train_labels).tolist() == [6_000] * 10
    assert np.bincount(full.test_labels).tolist() == [1_000] * 10


# the excerpt


@pytest.mark.parametrize("file", published.FASHION_MNIST_MINI, ids=lambda file: file.name)
def test_the_excerpts_files_match_their_digests(file: IdxFile) -> None:
    """What the package carries decompresses to the content whose SHA-256 the code states."""
    content = gzip.decompress((published.MINI_FOLDER / f"{file.name}.gz").read_bytes())
    assert len(content) == file.size
    assert hashlib.sha256(content).hexdigest() == file.sha256


def test_the_excerpt_is_balanced() -> None:
    """It holds 500 training and 200 test images of each class."""
    mini = datasets.load("fashion-mnist-mini")
    assert np.bincount(mini.train_labels).tolist() == [500] * 10
    assert np.bincount(mini.test_labels).tolist() == [200] * 10
    assert mini.train_images.shape == (5_000, 784)
    assert mini.test_images.shape == (2_000, 784)
    assert mini.notice == ""


@full_set_only
@pytest.mark.parametrize("split", ["train", "test"])
def test_the_excerpt_is_a_subset_of_the_full_set(split: str, full: Dataset) -> None:
    """Each of its images stands in the same split of the full set, with the same label."""
    mini = datasets.load("fashion-mnist-mini")

    def rows(dataset: Dataset) -> set[tuple[bytes, int]]:
        pixels, classes = getattr(dataset, f"{split}_images"), getattr(dataset, f"{split}_labels")
        return {(image.tobytes(), label) for image, label in zip(pixels, classes.tolist(), strict=True)}

    assert rows(mini) <= rows(full)


# where data is looked for


def test_the_places_come_in_order(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The named folder, HARNESS_DATA_DIR, `data`, the system's folder: the first with files is taken."""
    named, by_variable = nowhere / "named", nowhere / "variable"
    monkeypatch.setenv("HARNESS_DATA_DIR", str(by_variable))
    order = [named, by_variable, Path("data")]
    assert fetching.places(named) == order
    for place in (nowhere / "system", *reversed(order)):
        put(place, sound())
        assert datasets.load("fashion-mnist", named).source == str(place)


def test_a_place_that_is_not_named_is_not_looked_in(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a named folder, and with an empty variable, the working folder's `data` is left."""
    monkeypatch.setenv("HARNESS_DATA_DIR", "")
    assert fetching.places() == [Path("data")]


@pytest.mark.parametrize("gzipped", [True, False], ids=["gzipped", "plain"])
def test_torchvisions_folder_layout_is_found(gzipped: bool, nowhere: Path) -> None:
    """The folder that torchvision was given is enough; its files lie two levels below."""
    raw = put(nowhere / "shared" / "FashionMNIST" / "raw", sound(), gzipped=gzipped)
    assert datasets.load("fashion-mnist", nowhere / "shared").source == str(raw)


def test_an_unknown_data_set_is_refused_with_a_suggestion() -> None:
    """A misspelt name is never taken for another set; `auto` is among the names that are meant."""
    with pytest.raises(ConfigurationError, match="unknown dataset 'atuo': did you mean 'auto'"):
        datasets.load("atuo")
    with pytest.raises(
        ConfigurationError, match="unknown dataset 'fasion-mnist': did you mean 'fashion-mnist'"
    ):
        datasets.load("fasion-mnist")


# absence


def test_absent_data_names_the_places_and_the_ways_to_get_it(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing is found and nothing can be fetched, the message says where to put what."""
    monkeypatch.setenv("HARNESS_DATA_DIR", str(nowhere / "variable"))
    with pytest.raises(DataError) as caught:
        datasets.load("fashion-mnist", nowhere / "named")
    message = str(caught.value)
    for place in (nowhere / "named", nowhere / "variable", "data", nowhere / "system"):
        assert f"- {place}\n" in message
    for way in ("dataset-fashion-mnist", "--data-dir", "HARNESS_DATA_DIR", "network", "fashion-mnist-mini"):
        assert way in message
    assert f"no download to {nowhere / 'named'} in tests." in message
    assert caught.value.exit_code == 2


def test_auto_takes_the_full_set_where_it_is_found(nowhere: Path) -> None:
    """There is nothing to be told then."""
    put(nowhere / "data", sound())
    found = datasets.load("auto")
    assert (found.name, found.notice, len(found.train_images)) == ("fashion-mnist", "", 20)


def test_auto_falls_back_on_the_excerpt_with_a_notice(nowhere: Path) -> None:
    """The data that is used bears its own name, and the notice says why and how small it is."""
    found = datasets.load("auto", nowhere / "named")
    assert found.name == "fashion-mnist-mini"
    assert found.source == str(published.MINI_FOLDER)
    assert "fashion-mnist-mini" in found.notice
    assert "5000 training and 2000 test images" in found.notice
    assert f"no download to {nowhere / 'named'} in tests." in found.notice


def test_auto_refuses_damaged_data(nowhere: Path) -> None:
    """The excerpt takes the full set's place for absence alone, never in silence for damage."""
    damaged = sound() | {TEST_IMAGES: idx(images(10, seed=2))}
    put(nowhere / "data", damaged)
    with pytest.raises(DataError, match="damaged") as caught:
        datasets.load("auto")
    assert not isinstance(caught.value, Absent)


@pytest.mark.parametrize("name", ["auto", "fashion-mnist"])
@pytest.mark.parametrize("missing", NAMES)
def test_a_set_with_a_file_missing_is_refused(missing: str, name: str, nowhere: Path) -> None:
    """Three files of four are damage, not absence, even where a later place has them all."""
    put(nowhere / "system", sound())
    put(nowhere / "data", {name: content for name, content in sound().items() if name != missing})
    with pytest.raises(DataError, match=f"{missing}: missing") as caught:
        datasets.load(name)
    assert not isinstance(caught.value, Absent)


# damage


def test_a_truncated_gzip_tells_expected_and_actual_size(tmp_path: Path) -> None:
    """The message has the path, the bytes that are there, and the bytes that it must decompress to."""
    path = put(tmp_path, sound()) / f"{TRAIN_IMAGES}.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="truncated") as caught:
        loaded(tmp_path)
    message = str(caught.value)
    assert str(path) in message
    assert str(len(whole) // 2) in message
    assert str(16 + 20 * 784) in message


@pytest.mark.parametrize("left", [0, 1, 2, 9, 10, 11, 200, -9, -8, -4, -1])
def test_a_gzip_cut_anywhere_is_refused(left: int, tmp_path: Path) -> None:
    """In its header, its content or its checksum: a file that ends early never passes."""
    path = put(tmp_path, sound()) / f"{TRAIN_LABELS}.gz"
    path.write_bytes(
        path.read_bytes()[:left] if left < 200 else path.read_bytes()[: path.stat().st_size // 2]
    )
    with pytest.raises(DataError, match="fetch it anew") as caught:
        loaded(tmp_path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("left", [0, 1, 15, 16, -1])
def test_a_plain_file_cut_anywhere_is_refused(left: int, tmp_path: Path) -> None:
    """The message has the expected and the actual number of bytes."""
    path = put(tmp_path, sound(), gzipped=False) / TRAIN_IMAGES
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(DataError, match=rf"must be {16 + 20 * 784} bytes \(got {path.stat().st_size}\)"):
        loaded(tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_one_flipped_bit_is_refused_by_the_digest(name: str, tmp_path: Path) -> None:
    """Content of the right form that differs in one bit is refused with both digests."""
    content = bytearray(sound()[name])
    content[-1] ^= 1
    put(tmp_path, sound() | {name: bytes(content)})
    with pytest.raises(DataError, match="SHA-256 of the decompressed content") as caught:
        loaded(tmp_path)
    message = str(caught.value)
    assert str(tmp_path / f"{name}.gz") in message
    assert hashlib.sha256(sound()[name]).hexdigest() in message
    assert f"got {hashlib.sha256(content).hexdigest()}" in message


def test_a_flipped_bit_in_the_gzip_stream_is_refused(tmp_path: Path) -> None:
    """The stream's own checksum, or its form, gives it away before the digest does."""
    path = put(tmp_path, sound()) / f"{TRAIN_IMAGES}.gz"
    whole = path.read_bytes()
    for position in (len(whole) // 3, len(whole) // 2, len(whole) - 8, len(whole) - 1):
        damaged = bytearray(whole)
        damaged[position] ^= 4
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=f"{TRAIN_IMAGES}.gz: cannot be read"):
            loaded(tmp_path)


def test_a_file_that_is_no_gzip_is_refused(tmp_path: Path) -> None:
    """An error page saved under the data's name is told as what it is not."""
    path = put(tmp_path, sound()) / f"{TRAIN_IMAGES}.gz"
    path.write_bytes(b"<html>404 Not Found</html>")
    with pytest.raises(DataError, match=r"cannot be read: .*gzip.*; fetch it anew"):
        loaded(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "expected", "got"),
    [
        (TRAIN_IMAGES, idx(images(20), magic=2052), 2051, 2052),
        (TRAIN_IMAGES, idx(images(20), magic=0), 2051, 0),
        (TEST_LABELS, idx(labels(10), magic=2051), 2049, 2051),
        (TEST_IMAGES, idx(labels(10)), 2051, 2049),
    ],
)
def test_a_wrong_magic_number_is_refused(
    name: str, content: bytes, expected: int, got: int, tmp_path: Path
) -> None:
    """Another format, or labels in the images' place, is refused by its first four bytes."""
    put(tmp_path, sound() | {name: content})
    with pytest.raises(DataError, match=rf"{name}\.gz: magic number must be {expected} .*\(got {got}\)"):
        loaded(tmp_path)


@pytest.mark.parametrize(
    ("items", "shape"),
    [
        (images(20), (21, 28, 28)),
        (images(20), (19, 28, 28)),
        (images(20), (20, 56, 14)),
        (images(20), (5, 56, 56)),
        (images(20), (-20, 28, 28)),
        (images(20), (20, 2**31 - 1, 2**31 - 1)),
        (labels(20), (21,)),
        (labels(20), (0,)),
    ],
    ids=lambda value: "x".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_a_header_unlike_its_payload_is_refused(
    items: datasets.Bytes, shape: tuple[int, ...], tmp_path: Path
) -> None:
    """A count or shape that the payload does not have is told next to the payload's size."""
    name = TRAIN_IMAGES if items.ndim == 3 else TRAIN_LABELS
    put(tmp_path, sound() | {name: idx(items, shape=shape)})
    told = f"header declares {' x '.join(map(str, shape))} but the payload has {items.size} bytes"
    with pytest.raises(DataError, match=f"{name}.gz: {told}"):
        loaded(tmp_path)


@pytest.mark.parametrize("extra", [-784, -1, 1, 784])
def test_a_payload_longer_or_shorter_than_declared_is_refused(extra: int, tmp_path: Path) -> None:
    """A whole image or a single byte too many or too few is refused with the size it must have."""
    content = sound()[TRAIN_IMAGES]
    put(tmp_path, sound() | {TRAIN_IMAGES: content + bytes(extra) if extra > 0 else content[:extra]})
    got = f"more than {len(content)}" if extra > 0 else str(len(content) + extra)
    with pytest.raises(DataError, match=rf"content must be {len(content)} bytes \(got {got}\)"):
        loaded(tmp_path)


@pytest.mark.parametrize("gzipped", [True, False], ids=["gzip bomb", "endless plain file"])
def test_a_file_without_end_is_read_in_bounded_memory(gzipped: bool, tmp_path: Path) -> None:
    """Of a file that decompresses to 256 MiB no more is held than the few kilobytes that it should have."""
    file, begin, excess = IdxFile(TRAIN_IMAGES, 10, ""), idx(images(10)), 2**28
    if gzipped:
        packer = zlib.compressobj(1, zlib.DEFLATED, 31)
        parts = [packer.compress(begin), *(packer.compress(bytes(2**22)) for _ in range(excess >> 22))]
        (tmp_path / f"{file.name}.gz").write_bytes(b"".join([*parts, packer.flush()]))
    else:
        (tmp_path / file.name).write_bytes(begin)
        os.truncate(tmp_path / file.name, excess)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=f"must be {file.size} bytes .got more than {file.size}"):
            files_of.read_idx(tmp_path, file)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**20


@pytest.mark.parametrize("split", ["train", "t10k"])
def test_images_and_labels_that_differ_in_number_are_refused(split: str, tmp_path: Path) -> None:
    """Files that are sound by themselves do not pass as a pair, in either split."""
    one_less = sound() | {f"{split}-labels-idx1-ubyte": idx(labels(19 if split == "train" else 9))}
    put(tmp_path, one_less)
    numbers = "20 images but 19 labels" if split == "train" else "10 images but 9 labels"
    with pytest.raises(DataError, match=numbers):
        loaded(tmp_path, declared(one_less))


@pytest.mark.parametrize("split", ["train", "t10k"])
@pytest.mark.parametrize("wrong", [10, 255])
def test_a_label_that_names_no_class_is_refused(wrong: int, split: str, tmp_path: Path) -> None:
    """The message has the bounds, the label and its position, whatever the digest says."""
    marked = labels(20 if split == "train" else 10)
    marked[7] = wrong
    set_with_it = sound() | {f"{split}-labels-idx1-ubyte": idx(marked)}
    put(tmp_path, set_with_it)
    with pytest.raises(DataError, match=rf"labels must be in 0\.\.9 \(got {wrong} at position 7\)"):
        loaded(tmp_path, declared(set_with_it))


def test_training_and_test_images_that_are_the_same_are_refused(tmp_path: Path) -> None:
    """A test on images that were learned shows nothing, even with the digests that are declared (fault 9)."""
    same = sound(10, 10)
    same |= {TEST_IMAGES: same[TRAIN_IMAGES], TEST_LABELS: same[TRAIN_LABELS]}
    put(tmp_path, same)
    with pytest.raises(DataError, match="training and test images are the same"):
        loaded(tmp_path, declared(same))


@pytest.mark.parametrize("gzipped", [True, False], ids=["gzipped", "plain"])
def test_training_files_copied_over_the_test_files_are_refused(gzipped: bool, tmp_path: Path) -> None:
    """Where the splits differ in size, the copy's size gives it away."""
    copied = sound()
    copied |= {TEST_IMAGES: copied[TRAIN_IMAGES], TEST_LABELS: copied[TRAIN_LABELS]}
    put(tmp_path, copied, gzipped=gzipped)
    with pytest.raises(DataError, match=rf"{TEST_IMAGES}.*: content must be {16 + 7840} bytes"):
        loaded(tmp_path)


@pytest.mark.parametrize("gzipped", [True, False], ids=["gzipped", "plain"])
@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_leads_out_of_the_data_folder_is_refused(
    name: str, gzipped: bool, tmp_path: Path
) -> None:
    """A link to elsewhere is refused with its target, even where that is the right file."""
    folder = put(tmp_path / "set", sound(), gzipped=gzipped)
    inside = folder / (f"{name}.gz" if gzipped else name)
    outside = inside.rename(tmp_path / "elsewhere")
    inside.symlink_to(outside)
    with pytest.raises(DataError, match="leads out of the data folder") as caught:
        loaded(folder)
    assert str(inside) in str(caught.value)
    assert str(outside) in str(caught.value)


def test_a_link_that_climbs_out_by_dots_is_refused(tmp_path: Path) -> None:
    """A relative link is judged by where it ends."""
    folder = put(tmp_path / "set", sound())
    inside = folder / f"{TRAIN_LABELS}.gz"
    inside.rename(tmp_path / "elsewhere")
    inside.symlink_to(Path("..") / "set" / ".." / "elsewhere")
    with pytest.raises(DataError, match="leads out of the data folder"):
        loaded(folder)


def test_torchvisions_folder_that_leads_out_is_refused(nowhere: Path) -> None:
    """A link in the place of a folder below the named one is refused like a file's."""
    put(nowhere / "elsewhere" / "raw", sound())
    (nowhere / "data").mkdir()
    (nowhere / "data" / "FashionMNIST").symlink_to(nowhere / "elsewhere")
    with pytest.raises(DataError, match="leads out of the data folder"):
        datasets.load("fashion-mnist")


def test_a_place_that_cannot_be_looked_into_is_refused(nowhere: Path) -> None:
    """A name that the system refuses is told in one line with the reason."""
    with pytest.raises(DataError, match=r"cannot be looked into: .*File name too long"):
        datasets.load("fashion-mnist", nowhere / ("x" * 300))


def test_links_that_stay_in_the_data_folder_are_followed(tmp_path: Path) -> None:
    """A link within the folder, and a folder that is itself a link, lead nowhere else."""
    folder = put(tmp_path / "set", sound())
    inside = folder / f"{TRAIN_LABELS}.gz"
    inside.rename(folder / "kept")
    inside.symlink_to("kept")
    (tmp_path / "link").symlink_to(folder)
    assert loaded(tmp_path / "link").sha256 == loaded(folder).sha256


# its kin

KIN = {"mnist": ("MNIST", "0123456789"), "kmnist": ("KMNIST", published.KMNIST_CLASSES)}


@pytest.mark.parametrize("name", KIN)
def test_the_kin_are_found_as_torchvision_leaves_them(
    name: str, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MNIST by the digests of its contents, KMNIST by those of its gzipped files, with plain ones beside."""
    folder, classes = KIN[name]
    place = put(nowhere / "data" / folder / "raw", sound())
    files = declared(sound())
    if name == "kmnist":
        put(place, sound(), gzipped=False)
        files = tuple(
            IdxFile(
                one.name, one.count, "", hashlib.sha256((place / f"{one.name}.gz").read_bytes()).hexdigest()
            )
            for one in files
        )
    monkeypatch.setattr(published, folder, files)
    found = datasets.load(name)
    assert (found.name, found.classes, found.source) == (
        name,
        tuple(classes),
        str(Path("data", folder, "raw")),
    )
    assert np.array_equal(found.train_images, images(20).reshape(20, 784))


def test_digests_of_gzipped_files_are_asked_of_them(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another compression of the same content is refused, and so is a file that is not gzipped."""
    files = tuple(IdxFile(one.name, one.count, "", "0" * 64) for one in declared(sound()))
    monkeypatch.setattr(published, "KMNIST", files)
    put(nowhere / "data", sound())
    with pytest.raises(DataError, match=r"\.gz: damaged.*SHA-256 of the gzipped file must be 0000"):
        datasets.load("kmnist")
    put(nowhere / "plain", sound(), gzipped=False)
    with pytest.raises(DataError, match=r"ubyte\.gz: missing"):
        datasets.load("kmnist", nowhere / "plain")


@pytest.mark.parametrize("name", KIN)
def test_absent_kin_tell_the_ways_to_get_them(name: str, nowhere: Path) -> None:
    """As Fashion-MNIST does."""
    with pytest.raises(Absent) as caught:
        datasets.load(name, nowhere / "named")
    for part in (str(nowhere / "named"), "--data-dir", "HARNESS_DATA_DIR", "no download to"):
        assert part in str(caught.value)


def test_nothing_is_downloaded_where_only_what_is_there_is_asked_for(mirror: Mirror, nowhere: Path) -> None:
    """A list of what is found does not wait for a network, nor fill the disk."""
    waits = datasets.downloading.set(False)
    try:
        for name in ("fashion-mnist", *KIN, "cifar10"):
            with pytest.raises(Absent, match="Nothing is downloaded"):
                datasets.load(name)
    finally:
        datasets.downloading.reset(waits)
    assert mirror.asked == []


# the download


class Mirror:
    """Stands in for the network and for torchvision's data set.

    Attributes:
        answer: What opening the first file's address does.
        fetch: What torchvision's download does with the folder it was given.
        asked: The addresses opened, each with its time limit.
        given: The folders that torchvision was given.
    """

    mirrors = ("http://mirror.invalid/",)
    resources = ((f"{TRAIN_IMAGES}.gz", "md5"),)

    def __init__(self) -> None:
        self.answer: Callable[[], BytesIO] = lambda: BytesIO(b"answer")
        self.fetch: Callable[[Path], object] = nothing
        self.asked: list[tuple[str, float]] = []
        self.given: list[str] = []

    def urlopen(self, url: str, timeout: float) -> BytesIO:
        self.asked.append((url, timeout))
        return self.answer()

    def __call__(self, root: str, *, download: bool) -> None:
        assert download
        self.given.append(root)
        self.fetch(Path(root))


@pytest.fixture
def mirror(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> Mirror:
    """The real download, with nothing but this behind it."""
    mirror = Mirror()
    monkeypatch.setattr(fetching, "fetch", FETCH)
    monkeypatch.setattr(urllib.request, "urlopen", mirror.urlopen)
    torchvision = ModuleType("torchvision.datasets")
    monkeypatch.setattr(torchvision, "FashionMNIST", mirror, raising=False)
    monkeypatch.setitem(sys.modules, "torchvision", ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.datasets", torchvision)
    return mirror


def nothing(_: Path) -> None:
    """Leaves no files."""


def raising(error: Exception) -> Callable[..., Any]:
    def act(*_: object) -> None:
        raise error

    return act


def delivered(root: Path) -> None:
    """Leaves what torchvision leaves."""
    put(root / "FashionMNIST" / "raw", sound())
    put(root / "FashionMNIST" / "raw", sound(), gzipped=False)


@pytest.mark.slow
def test_torchvisions_data_set_is_as_the_download_expects() -> None:
    """It has mirrors that end in a slash, the four files by name, and a constructor that downloads."""
    from torchvision.datasets import FashionMNIST

    assert all(mirror.startswith("http") and mirror.endswith("/") for mirror in FashionMNIST.mirrors)
    assert [name for name, _ in FashionMNIST.resources] == [f"{name}.gz" for name in NAMES]
    assert {"root", "download"} <= set(inspect.signature(FashionMNIST).parameters)


def test_a_download_that_works_leads_to_loading(mirror: Mirror, nowhere: Path) -> None:
    """The set is fetched into the first place, verified like any other, and found there the next time."""
    mirror.fetch = delivered
    found = datasets.load("auto", nowhere / "named")
    assert (found.name, found.notice) == ("fashion-mnist", "")
    assert Path(found.source).is_relative_to(nowhere / "named")
    assert mirror.asked == [(f"http://mirror.invalid/{TRAIN_IMAGES}.gz", fetching.DOWNLOAD_SECONDS)]
    again = datasets.load("fashion-mnist", nowhere / "named")
    assert np.array_equal(again.train_images, found.train_images)
    assert len(mirror.asked) == len(mirror.given) == 1


def test_nothing_is_downloaded_where_data_is_found(mirror: Mirror, nowhere: Path) -> None:
    """Not even the mirror is asked."""
    put(nowhere / "system", sound())
    datasets.load("auto")
    assert mirror.asked == []


@pytest.mark.parametrize(
    "error",
    [
        urllib.error.URLError("no route to host"),
        HTTPException("no route to host"),
        TimeoutError("no route to host"),
        OSError("no route to host"),
    ],
)
def test_a_download_that_cannot_start_is_given_up(error: Exception, mirror: Mirror) -> None:
    """Without a network the set is absent, with the network's own reason; torchvision is not asked."""
    mirror.answer = raising(error)
    with pytest.raises(
        Absent, match=r"The download could not start within 10 s \(.*no route to host"
    ) as caught:
        datasets.load("fashion-mnist")
    assert "no route to host" in caught.value.download
    assert mirror.given == []


def test_a_download_that_hangs_is_given_up(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that never answers, nor keeps to its time limit, is waited for no longer than the bound."""
    monkeypatch.setattr(fetching, "DOWNLOAD_SECONDS", 0.05)
    hung_up = threading.Event()

    def hang() -> BytesIO:
        hung_up.wait(30)
        raise TimeoutError

    mirror.answer = hang
    begin = time.perf_counter()
    try:
        found = datasets.load("auto")
        spent = time.perf_counter() - begin
    finally:
        hung_up.set()
    assert spent < 10
    assert found.name == "fashion-mnist-mini"
    assert "The download could not start" in found.notice
    assert "no answer" in found.notice
    assert mirror.given == []


@pytest.mark.parametrize(
    "error", [OSError("connection lost"), HTTPException("connection lost"), RuntimeError("connection lost")]
)
def test_a_download_that_breaks_off_is_told(error: Exception, mirror: Mirror) -> None:
    """What ended it stands in the notice of the run that goes on without it."""
    mirror.fetch = raising(error)
    assert "The download failed (connection lost)." in datasets.load("auto").notice
    with pytest.raises(Absent, match=r"The download failed \(connection lost\)"):
        datasets.load("fashion-mnist")


def test_a_download_that_breaks_off_halfway_is_absence(mirror: Mirror) -> None:
    """Files that a failed download left behind are not taken for the set, nor for a damaged one."""

    def half(root: Path) -> None:
        put(root / "FashionMNIST" / "raw", {TRAIN_LABELS: sound()[TRAIN_LABELS]})
        raise RuntimeError("connection lost")

    mirror.fetch = half
    for _ in range(2):
        found = datasets.load("auto")
        assert found.name == "fashion-mnist-mini"
        assert "connection lost" in found.notice


def test_a_download_that_leaves_nothing_is_told(mirror: Mirror) -> None:
    """Success is believed only of files that are there."""
    with pytest.raises(Absent, match="The download left no files in data"):
        datasets.load("fashion-mnist")


def test_a_download_of_damaged_files_is_refused(mirror: Mirror) -> None:
    """What the mirror sent is verified like any other data, also for `auto`."""
    mirror.fetch = lambda root: put(
        root / "FashionMNIST" / "raw", sound() | {TEST_LABELS: idx(labels(10)[::-1])}
    )
    with pytest.raises(DataError, match="SHA-256") as caught:
        datasets.load("auto")
    assert not isinstance(caught.value, Absent)


@pytest.mark.parametrize(
    "fetch", [delivered, raising(OSError("connection lost"))], ids=["works", "breaks off"]
)
def test_the_download_leaves_the_sockets_time_limit_as_it_was(
    fetch: Callable[[Path], object], mirror: Mirror
) -> None:
    """Within the download a socket that stalls times out; before and after, the process's own limit holds."""
    limits: list[float | None] = []

    def watched(root: Path) -> None:
        limits.append(socket.getdefaulttimeout())
        fetch(root)

    mirror.fetch = watched
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(77.0)
    try:
        datasets.load("auto")
        after = socket.getdefaulttimeout()
    finally:
        socket.setdefaulttimeout(before)
    assert limits == [fetching.DOWNLOAD_SECONDS]
    assert after == 77.0


# the page


@pytest.mark.thorough
def test_the_page_lists_every_set_with_its_sizes() -> None:
    """`docs/data.md` names what is registered, and the sizes of what is at hand."""
    page = (Path(__file__).parents[1] / "docs" / "data.md").read_text(encoding="utf-8")
    table = page.split("## By name")[1].split("\n\n")[1].splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in table]
    rows = {row[0].strip("`"): row[1:] for row in cells}
    shipped = {name for name, loader in datasets.datasets.items() if environment.ships(loader)}
    assert set(rows) == {"auto", *shipped}
    waits = datasets.downloading.set(False)
    for name in shipped:
        try:
            found = datasets.load(name)
        except Absent:
            continue
        _, classes, sizes, _ = rows[name]
        assert int(classes) == len(found.classes), name
        assert sizes == f"{len(found.train_images):,}, {len(found.test_images):,}", name
    datasets.downloading.reset(waits)


def test_a_path_is_kept_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run's data is found again from anywhere; a name stays a name, also one that looks like a file."""
    monkeypatch.chdir(tmp_path)
    assert datasets.kept("photos/") == str(tmp_path / "photos")
    assert datasets.kept("x.npz") == str(tmp_path / "x.npz")
    assert datasets.kept("auto") == "auto"
    monkeypatch.setitem(datasets.datasets._entries, "x.npz", lambda _: None)
    assert datasets.kept("x.npz") == "x.npz"
