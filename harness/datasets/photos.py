"""Folders and lists of image files, each kind of file by one stated rule, and nothing resized unasked."""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from harness.datasets.data import Dataset
from harness.datasets.halves import Half, Settings, digest_of, digest_of_files, joined, positions, split
from harness.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

FORMATS = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg"),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "PPM": (".pgm", ".ppm"),
}
"""Formats that are opened, and the endings of their files."""

ENDINGS = tuple(ending for endings in FORMATS.values() for ending in endings)
TESTS = ("test", "val", "valid", "validation")
"""Folders that may stand beside `train`; the first there is taken."""

_COLOURS = ("RGB", "RGBA", "P", "PA")
_GREYS = ("L", "LA", "1")


def read_folder(path: Path, settings: Settings) -> Dataset:
    """The images of a folder that has one folder a class, or `train` and `test` with one a class each.

    Raises:
        DataError: it has none, or a file in it is no image or cannot stand beside the others.
    """
    train, test = _halves(path)
    allowed = ("image_size",) if test else ("image_size", "test_share")
    settings.refuse(f"{path}", "it has a test of its own" if test else "it has images", *allowed)
    folders = [train, test] if test else [train]
    found = [_by_class(folder) for folder in folders]
    classes = tuple(sorted({name for one in found for name in one}))
    if not classes:
        raise DataError(f"{path}: must have a folder of images for each class (got none); make one for each")
    files = [file for one in found for members in one.values() for file in members]
    if empty := next((name for name in classes if not any(one.get(name) for one in found)), None):
        raise DataError(
            f"{path}: the folder of each class must hold images (got none in {empty!r}); {_endings()}"
        )
    images, shape = stacked(files, settings.image_size)
    labels = [name for one in found for name, members in one.items() for _ in members]
    whole = Half(images, positions(labels, classes, path))
    count = sum(map(len, found[0].values()))
    halves = (
        (Half(images[:count], whole.labels[:count]), Half(images[count:], whole.labels[count:]))
        if test
        else split(whole, settings.test_share)
    )
    digests = {file.relative_to(path).as_posix(): digest_of(file) for file in files}
    source = f"{path}, its folder {test.name!r} as the test" if test and test.name != TESTS[0] else str(path)
    return joined(
        path, halves, classes, shape=shape, source=source, sha256={f"{path.name}/": digest_of_files(digests)}
    )


def _halves(path: Path) -> tuple[Path, Path | None]:
    """The folders of the two halves; the folder itself, and None, where it has one folder a class."""
    train = path / "train"
    if not train.is_dir() or not any(one.is_dir() for one in train.iterdir()):
        return path, None
    test = next((path / name for name in TESTS if (path / name).is_dir()), None)
    if test is None:
        raise DataError(
            f"{path}: must have a folder 'test' beside 'train' (got none); hold some images back, or put the "
            "classes' folders in its place, and a share of each is held back"
        )
    return train, test


def _by_class(folder: Path) -> dict[str, list[Path]]:
    """The image files by class, sorted; hidden ones are left out.

    Raises:
        DataError: a file that is no image, or stands beside the classes' folders.
    """
    found: dict[str, list[Path]] = {}
    for one in sorted(folder.iterdir()):
        if one.name.startswith("."):
            continue
        if not one.is_dir():
            raise DataError(f"{one}: must be a folder of one class's images; move it into one, or away")
        if any("\ud800" <= character <= "\udfff" for character in one.name):
            raise DataError(f"{one!r}: the name of a class must be text in UTF-8; name the folder otherwise")
        members = found.setdefault(one.name, [])
        for place, folders, names in os.walk(one, onerror=_raise):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            if linked := next((name for name in folders if (Path(place) / name).is_symlink()), None):
                raise DataError(
                    f"{Path(place) / linked}: is a link to a folder, which is not followed; copy it"
                )
            for name in sorted(names):
                if name.startswith("."):
                    continue
                if not name.lower().endswith(ENDINGS):
                    raise DataError(f"{Path(place) / name}: must be an image; {_endings()}, or move it away")
                members.append(Path(place) / name)
    return found


def _raise(error: OSError) -> None:
    raise error


def _endings() -> str:
    return f"images end in {', '.join(ENDINGS)}"


def stacked(
    files: Sequence[Path], size: Sequence[int] | None
) -> tuple[npt.NDArray[np.uint8], tuple[int, ...]]:
    """The images of files: uint8 [n, features], and the shape of each, grey (row, column) or with 3 channels.

    Where any has colours, all have: grey ones are repeated in each channel. The channels come first.

    Args:
        files: At least one.
        size: Rows and columns to stretch them to, or one number for both; None where all are of one size.

    Raises:
        DataError: one cannot be read, or is of another size than the first.
    """
    found: list[npt.NDArray[np.uint8]] = []
    for file in files:
        picture = opened(file, size)
        if found and picture.shape[:2] != found[0].shape[:2]:
            first, here = ("{1} x {0}".format(*one.shape[:2]) for one in (found[0], picture))
            raise DataError(
                f"{file}: images must be of one size, {first} pixels as {files[0].name} (got {here}); bring "
                "them to one, or say --image-size, to which they are stretched"
            )
        found.append(picture)
    coloured = any(one.ndim == 3 for one in found)
    if coloured:
        found = [one if one.ndim == 3 else np.repeat(one[:, :, None], 3, axis=2) for one in found]
    whole = np.stack(found)
    whole = np.moveaxis(whole, 3, 1) if coloured else whole
    return np.ascontiguousarray(whole.reshape(len(whole), -1)), whole.shape[1:]


def opened(file: Path, size: Sequence[int] | None) -> npt.NDArray[np.uint8]:
    """One image: uint8 [rows, columns], or [rows, columns, 3] of colours.

    It is turned as its camera held it (EXIF); a palette's colours are taken for its numbers; what is
    transparent is laid on white; 16 bits, several frames, and colours that are not red, green and blue are
    refused, and so is what would be larger than Pillow takes for an attack.

    Raises:
        DataError: it is none of these, or damaged.
    """
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.filterwarnings(
                "ignore", category=UserWarning, module="PIL"
            )  # of what surrounds the pixels
            with Image.open(file, formats=tuple(FORMATS)) as image:
                _refuse_unfit(file, image)
                image.load()
                turned = ImageOps.exif_transpose(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataError(
            f"{file}: must be at most {Image.MAX_IMAGE_PIXELS:,} pixels; make it smaller before"
        ) from None
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as error:
        reason = " ".join(str(error).split()).replace(str(file), "it")[:200]
        raise DataError(
            f"{file}: cannot be read as an image ({reason}); save it anew, or move it away"
        ) from None
    flat = _flat(turned)
    if size is not None:
        height, width = (size[0], size[-1])
        flat = flat.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(flat, dtype=np.uint8)


def _refuse_unfit(file: Path, image: Picture) -> None:
    """Refuse what no rule says how to take.

    Raises:
        DataError: 16 bits, several frames, other colours.
    """
    if getattr(image, "n_frames", 1) > 1:
        raise DataError(
            f"{file}: must be one picture (got {getattr(image, 'n_frames', 1)} frames); save the one"
        )
    if image.mode.startswith(("I", "F")) or any(";16" in _raw(tile) for tile in getattr(image, "tile", ())):
        raise DataError(
            f"{file}: must have 8 bits a channel (got more); save such images as an .npz with their scale"
        )
    if image.mode not in (*_COLOURS, *_GREYS):
        raise DataError(f"{file}: must be grey, or red, green and blue (got {image.mode}); convert it before")


def _raw(tile: Any) -> str:
    """How the numbers of a part of a file are stored: of colours of 16 bits Pillow gives the upper 8."""
    stored = tile[3][0] if isinstance(tile[3], tuple) and tile[3] else tile[3]
    return str(stored)


def _flat(image: Picture) -> Picture:
    """Grey or red, green and blue, without palette and transparency."""
    from PIL import Image

    grey = image.mode in _GREYS
    if image.mode in ("LA", "RGBA", "PA") or "transparency" in image.info:
        whole = image.convert("RGBA")
        white = Image.new("RGBA", whole.size, "white")
        return Image.alpha_composite(white, whole).convert("L" if grey else "RGB")
    return image.convert("L" if grey else "RGB")
