"""A folder of images is what its pictures show, each kind of file by one rule, or it is refused by name."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from harness import datasets
from harness.datasets.photos import opened
from harness.errors import ConfigurationError, DataError

Pixels = npt.NDArray[np.uint8]
generator = np.random.default_rng(0)


def grey(high: int = 4, wide: int = 5) -> Pixels:
    return generator.integers(0, 256, (high, wide), dtype=np.uint8)


def put(path: Path, pixels: Pixels | None = None, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grey() if pixels is None else pixels).save(path, **options)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Ten images of each of two classes."""
    for name in ("boot", "bag"):
        for number in range(10):
            put(tmp_path / f"photos/{name}/{number}.png")
    return tmp_path / "photos"


def load(path: Path, **settings: Any) -> datasets.Dataset:
    return datasets.load(f"{path}/", **settings)


# layouts


def test_a_folder_of_classes_is_split_by_content(photos: Path) -> None:
    """A fifth of each class is the test, whatever the files are called; the classes are sorted."""
    found = load(photos)
    assert (found.name, found.classes, found.shape, found.source) == (
        "photos", ("bag", "boot"), (4, 5), str(photos),
    )  # fmt: skip
    assert np.bincount(found.test_labels).tolist() == [2, 2]
    assert np.bincount(load(photos, test_share=0.5).test_labels).tolist() == [5, 5]
    for number, file in enumerate(sorted((photos / "boot").iterdir())):
        file.rename(file.with_name(f"x{9 - number}.png"))
    renamed = load(photos)
    assert {one.tobytes() for one in renamed.test_images} == {one.tobytes() for one in found.test_images}
    assert renamed.sha256 != found.sha256


@pytest.mark.parametrize("test", ["test", "val", "validation"])
def test_a_split_is_taken_as_it_stands(test: str, tmp_path: Path) -> None:
    """`val` serves as the test, and is named; folders may have folders; what is hidden is left out."""
    images = [grey() for _ in range(4)]
    put(tmp_path / "train/boot/deep/1.png", images[0])
    put(tmp_path / "train/bag/1.JPG".replace("JPG", "PNG"), images[1])
    put(tmp_path / test / "boot/1.png", images[2])
    put(tmp_path / test / "bag/1.png", images[3])
    (tmp_path / "train/bag/.DS_Store").write_bytes(b"?")
    found = load(tmp_path)
    assert [one.reshape(4, 5).tolist() for one in found.train_images] == [
        images[1].tolist(),
        images[0].tolist(),
    ]
    assert found.test_labels.tolist() == [0, 1]
    assert ("'val'" in found.source) == (test == "val")


def test_a_class_that_is_called_train_is_a_class(tmp_path: Path) -> None:
    """Where a folder `train` holds images itself, it is one class among others."""
    for name in ("train", "tram"):
        for number in range(3):
            put(tmp_path / name / f"{number}.png")
    assert load(tmp_path).classes == ("train", "tram")


@pytest.mark.parametrize("half", ["train", "test"])
def test_a_class_of_one_half_shifts_no_label(half: str, tmp_path: Path) -> None:
    """It is refused by name; the labels of the others would be other classes' in that half."""
    for name in ("bag", "boot", "coat"):
        for split in ("train", "test"):
            if (name, split) != ("boot", half):
                put(tmp_path / split / name / "1.png")
    with pytest.raises(DataError, match=rf"must have inputs in both halves .*'boot', and no {half}"):
        load(tmp_path)


def test_the_digest_is_of_all_files_and_their_places(photos: Path) -> None:
    """An image that is moved to another class is another set."""
    before = load(photos).sha256
    assert load(photos).sha256 == before
    (photos / "boot/1.png").rename(photos / "bag/99.png")
    assert load(photos).sha256 != before


# how each kind of image is taken


def test_each_mode_has_one_rule(tmp_path: Path) -> None:
    """Greys stay grey, a palette is its colours, and what is transparent lies on white."""
    red = np.zeros((2, 2, 4), dtype=np.uint8)
    red[..., 0], red[0, 0, 3], red[1, 1, 3] = 200, 0, 255
    palette = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), "P")
    palette.putpalette([10, 20, 30, 40, 50, 60])
    one_bit = Image.fromarray(np.array([[0, 255]], dtype=np.uint8)).convert("1")
    found = {}
    for name, image in {
        "rgba": Image.fromarray(red), "p": palette, "1": one_bit, "l": Image.fromarray(grey()),
        "la": Image.fromarray(red[..., [0, 3]], "LA"),
    }.items():  # fmt: skip
        image.save(tmp_path / f"{name}.png")
        found[name] = opened(tmp_path / f"{name}.png", None)
    assert found["rgba"][0, 0].tolist() == [255, 255, 255]
    assert found["rgba"][1, 1].tolist() == [200, 0, 0]
    assert found["p"].tolist() == [[[10, 20, 30], [40, 50, 60]]]
    assert found["1"].tolist() == [[0, 255]]
    assert (found["la"][0, 0], found["la"][1, 1]) == (255, 200)
    assert found["l"].ndim == 2


def test_a_photograph_stands_as_its_camera_was_held(tmp_path: Path) -> None:
    """The orientation of EXIF is applied."""
    tag = Image.Exif()
    tag[0x0112] = 6
    pixels = grey(4, 6)
    Image.fromarray(pixels).save(tmp_path / "x.png", exif=tag)
    assert np.array_equal(opened(tmp_path / "x.png", None), np.rot90(pixels, -1))


def test_colours_come_channel_by_channel(photos: Path) -> None:
    """One image in colour makes a set of colours; a grey one has it three times."""
    colour = generator.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    put(photos / "boot/0.png", colour)
    found = load(photos)
    assert (found.shape, found.form.axes) == ((3, 4, 5), ("channel", "row", "column"))
    whole = np.concatenate([found.train_images, found.test_images]).reshape(-1, 3, 4, 5)
    assert any(np.array_equal(one, np.moveaxis(colour, 2, 0)) for one in whole)
    assert sum((one[0] == one[2]).all() for one in whole) == 19


def test_images_of_two_sizes_are_stretched_where_that_is_asked_for(photos: Path) -> None:
    """Never in silence: else the second is named, with both sizes."""
    put(photos / "boot/3.png", grey(6, 7))
    with pytest.raises(
        DataError, match=r"boot/3\.png: images must be of one size, 5 x 4 .*got 7 x 6.*--image-size"
    ):
        load(photos)
    assert load(photos, image_size=(6,)).shape == (6, 6)
    assert load(photos, image_size=(3, 8)).shape == (3, 8)


# refusals


def png_of_16_bits(path: Path) -> None:
    """Two pixels in colours of 16 bits, which Pillow itself cannot write."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" + bytes(range(12)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))


def cut(path: Path) -> None:
    put(path, generator.integers(0, 256, (64, 64), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[:200])


FAULTY: dict[str, tuple[Callable[[Path], object], str]] = {
    "16 bits of grey": (lambda path: Image.fromarray(grey().astype(np.uint16)).save(path), "8 bits a chan"),
    "16 bits of colour": (png_of_16_bits, "8 bits a channel"),
    "several frames": (
        lambda path: Image.fromarray(grey()).save(
            path, "GIF", save_all=True, append_images=[Image.fromarray(grey())]
        ),
        "one picture .got 2 frames",
    ),
    "inks": (lambda path: Image.fromarray(grey()).convert("CMYK").save(path, "JPEG"), "got CMYK"),
    "cut off": (cut, "cannot be read as an image"),
    "no image": (lambda path: path.write_text("no image"), "cannot be read as an image"),
    "another program's": (
        lambda path: path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 5 4\n"), "cannot be read"
    ),
    "too large": (
        lambda path: Image.new("1", (9000, 10000)).save(path, "PNG"), r"at most 89,478,485 pixels"
    ),
    "far too large": (
        lambda path: Image.new("1", (20000, 10000)).save(path, "PNG"), r"at most 89,478,485 pixels"
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTY)
def test_what_no_rule_takes_is_refused_by_its_file(fault: str, photos: Path) -> None:
    """The file's name, what it must be, and the mend, whatever its ending says."""
    make, message = FAULTY[fault]
    make(photos / "boot/4.png")
    with pytest.raises(DataError, match=rf"boot/4\.png: .*{message}") as caught:
        load(photos)
    assert "\n" not in str(caught.value)


def test_what_is_no_folder_of_classes_is_refused(photos: Path) -> None:
    """Files beside the classes' folders or that are no images, empty folders, a split without a test."""
    stray = photos / "labels.txt"
    stray.write_text("0")
    with pytest.raises(DataError, match=r"labels\.txt: must be a folder of one class's images"):
        load(photos)
    stray.rename(photos / "boot/labels.txt")
    with pytest.raises(DataError, match=r"boot/labels\.txt: must be an image"):
        load(photos)
    (photos / "boot/labels.txt").unlink()
    (photos / "coat").mkdir()
    with pytest.raises(DataError, match=r"must hold images \(got none in 'coat'\)"):
        load(photos)
    photos.rename(photos.parent / "train")
    with pytest.raises(DataError, match="must have a folder 'test' beside 'train'"):
        load(photos.parent)
    (photos.parent / "none").mkdir()
    with pytest.raises(DataError, match=r"a folder of images for each class .got none"):
        load(photos.parent / "none")


def test_a_setting_that_plays_no_part_is_refused(tmp_path: Path, photos: Path) -> None:
    """A share of a set that has its test, and what is of other kinds of data."""
    for split in ("train", "test"):
        put(tmp_path / f"whole/{split}/boot/1.png")
    with pytest.raises(ConfigurationError, match=r"data\.test_share: plays no part .*a test of its own"):
        load(tmp_path / "whole", test_share=0.5)
    for name, value in {"label_column": "0", "axes": ("time",)}.items():
        with pytest.raises(ConfigurationError, match=rf"data\.{name}: plays no part"):
            load(photos, **{name: value})
    with pytest.raises(ConfigurationError, match=r"data\.image_size: .*'fashion-mnist-mini'.*by path"):
        datasets.load("fashion-mnist-mini", image_size=(8,))


def test_a_link_to_a_folder_is_not_passed_over(tmp_path: Path, photos: Path) -> None:
    """It is refused: what is not followed would be missing in silence. A link to a file is the file."""
    put(tmp_path / "elsewhere/1.png")
    (photos / "boot/more").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="boot/more: is a link to a folder"):
        load(photos)
    (photos / "boot/more").unlink()
    (photos / "boot/10.png").symlink_to(tmp_path / "elsewhere/1.png")
    assert len(load(photos).train_images) + len(load(photos).test_images) == 21
