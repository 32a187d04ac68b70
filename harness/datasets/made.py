"""Data with known truth, made from the excerpt that the package carries: the same bits on every machine.

What tells the classes is put there by hand, so it can be asked of a map whether it points at it. A trained
model need not use it (AttributionLab, arXiv 2310.06514): accuracy where it is gone says whether it does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.datasets.data import Bytes, Dataset
from harness.datasets.published import FASHION_CLASSES, fashion_mnist_mini
from harness.datasets.registered import datasets
from harness.forms import Stored
from harness.records import Ints

Flags = npt.NDArray[np.bool_]

PATCH = 5
"""Rows and columns of the planted patch, in the upper left corner."""

GARMENTS = ("Trouser", "Dress", "Sandal", "Bag", "Ankle boot")
"""Those that are coloured or move: each class is one of them in one of two ways, so 10 classes are left."""

COLOURS = {"red": (1.0, 0.25, 0.25), "blue": (0.25, 0.25, 1.0)}
"""By name: what the brightness is multiplied with in the channels red, green and blue."""

DIRECTIONS = {"to the right": 1, "to the left": -1}
FRAMES = 8
STEP = 2
"""Pixels from frame to frame."""

POINTS, WINDOW = 128, 24
"""Points of a series in `bumps`, and of the shape in it."""

NOISE = 0.2
"""Standard deviation of the noise in `bumps`; the shapes are 1 high."""

SHAPES = ("hump", "box", "rise", "fall")
TRAIN_SERIES, TEST_SERIES = 4000, 1000


@datasets.register("planted-corner")
def planted_corner(data_dir: Path | None = None) -> Dataset:
    """The excerpt with a patch in a corner, whose brightness tells the class in training alone.

    In the test it is that of a class drawn by chance: a network that looks at nothing else is right in a
    tenth of the cases. `truth` is the patch.
    """
    mini = fashion_mnist_mini(data_dir)
    rows, columns = np.indices((28, 28)).reshape(2, -1)
    in_patch = (rows < PATCH) & (columns < PATCH)
    drawn = _below(10, "planted-corner", len(mini.test_labels))
    return Dataset(
        name="planted-corner",
        train_images=_planted(mini.train_images, mini.train_labels, in_patch),
        train_labels=mini.train_labels,
        test_images=_planted(mini.test_images, drawn, in_patch),
        test_labels=mini.test_labels,
        classes=mini.classes,
        shape=mini.shape,
        sha256=mini.sha256,
        source=f"made from {mini.source}",
        truth=np.repeat(in_patch[None], len(mini.test_labels), axis=0),
    )


@datasets.register("random-corner")
def random_corner(data_dir: Path | None = None) -> Dataset:
    """The clean twin of `planted-corner`: the patch's brightness tells nothing in training either.

    The test images and `truth` are the same: what the two differ by is what a network could learn.
    """
    planted = planted_corner(data_dir)
    mini = fashion_mnist_mini(data_dir)
    (in_patch, *_) = np.asarray(planted.truth)
    drawn = _below(10, "random-corner", len(mini.train_labels))
    train_images = _planted(mini.train_images, drawn, in_patch)
    return replace(planted, name="random-corner", train_images=train_images)


def _planted(images: Stored, labels: Ints, in_patch: Flags) -> Bytes:
    """The images with their patch: 25, 50, ..., 250 for the labels 0 to 9."""
    planted = images.astype(np.uint8)
    planted[:, in_patch] = (25 * (labels.astype(np.int64) + 1))[:, None]
    return planted


@datasets.register("coloured-fashion-mini")
def coloured_fashion_mini(data_dir: Path | None = None) -> Dataset:
    """Five garments of the excerpt, each in red or in blue: half of what a class is, is its colour.

    Green is alike in both. `truth` is where red and blue tell them apart: the garment in these channels.
    """
    mini = fashion_mnist_mini(data_dir)
    factors = np.array(list(COLOURS.values()))

    def coloured(images: Bytes, ways: Ints) -> Bytes:
        bright = images[:, None].astype(np.float64) * factors[ways][:, :, None]
        found: Bytes = np.round(bright).astype(np.uint8).reshape(len(images), -1)
        return found

    def truth(made: Bytes) -> Flags:
        shown = made.reshape(len(made), 3, -1).any(axis=1, keepdims=True)
        return (shown & np.array([True, False, True])[:, None]).reshape(len(made), -1)

    return _in_two_ways(mini, "coloured-fashion-mini", tuple(COLOURS), coloured, truth, (3, 28, 28), "image")


@datasets.register("moving-fashion-mini")
def moving_fashion_mini(data_dir: Path | None = None) -> Dataset:
    """Five garments of the excerpt, each moving to the right or to the left through eight frames.

    The frames of one direction are those of the other in reverse: no single one tells it. `truth` is the
    garment in every frame.
    """
    mini = fashion_mnist_mini(data_dir)
    signs = np.array(list(DIRECTIONS.values()))

    def moving(images: Bytes, ways: Ints) -> Bytes:
        clips = np.zeros((len(images), FRAMES, 1, 28, 28), dtype=np.uint8)
        pictures = images.reshape(-1, 28, 28)
        for frame in range(FRAMES):
            by = STEP * frame - STEP * (FRAMES - 1) // 2
            for way, sign in enumerate(signs):
                clips[ways == way, frame, 0] = _shifted(pictures[ways == way], int(sign) * by)
        return clips.reshape(len(images), -1)

    def truth(made: Bytes) -> Flags:
        return made > 0

    shape = (FRAMES, 1, 28, 28)
    return _in_two_ways(mini, "moving-fashion-mini", tuple(DIRECTIONS), moving, truth, shape, "clip")


def _shifted(pictures: Bytes, by: int) -> Bytes:
    """Pictures moved to the right by so many columns; what leaves them is gone."""
    moved = np.zeros_like(pictures)
    if by >= 0:
        moved[:, :, by:] = pictures[:, :, : pictures.shape[2] - by]
    else:
        moved[:, :, :by] = pictures[:, :, -by:]
    return moved


def _in_two_ways(
    mini: Dataset,
    name: str,
    ways: tuple[str, ...],
    make: Callable[[Bytes, Ints], Bytes],
    truth: Callable[[Bytes], Flags],
    shape: tuple[int, ...],
    kind: str,
) -> Dataset:
    """A set whose classes are garments in one of two ways: of each garment every other image in each."""
    made = []
    for images, labels in ((mini.train_images, mini.train_labels), (mini.test_images, mini.test_labels)):
        known = [np.flatnonzero(labels == FASHION_CLASSES.index(garment)) for garment in GARMENTS]
        places = np.sort(np.concatenate(known))
        garments, in_ways = np.zeros((2, len(labels)), dtype=np.int64)
        for number, members in enumerate(known):
            garments[members], in_ways[members] = number, np.arange(len(members)) % 2
        inputs = make(images[places].astype(np.uint8), in_ways[places])
        made.append((inputs, (2 * garments + in_ways)[places].astype(np.uint8)))
    (train_images, train_labels), (test_images, test_labels) = made
    return Dataset(
        name=name,
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        classes=tuple(f"{garment}, {way}" for garment in GARMENTS for way in ways),
        shape=shape,
        sha256=mini.sha256,
        source=f"made from {mini.source}",
        kind=kind,
        truth=truth(test_images),
    )


@datasets.register("bumps")
def bumps(data_dir: Path | None = None) -> Dataset:  # noqa: ARG001 - it is made of nothing
    """Series of two channels of noise, in one of which one of four shapes stands somewhere.

    The shape is the class; its channel and its place tell nothing. `truth` is the shape's window.
    """
    halves = [_bumps(f"bumps, {split}", n) for split, n in (("train", TRAIN_SERIES), ("test", TEST_SERIES))]
    (train_images, train_labels, _), (test_images, test_labels, truth) = halves
    return Dataset(
        name="bumps",
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        classes=SHAPES,
        shape=(2, POINTS),
        sha256={},
        source="made from shapes and seeded noise",
        kind="series",
        truth=truth,
    )


def _bumps(purpose: str, n: int) -> tuple[npt.NDArray[np.float32], Bytes, Flags]:
    """Series (float32 [n, 2 * POINTS]), their classes, and where the shapes stand (bool, likewise)."""
    at = (np.arange(WINDOW) + 0.5) / WINDOW
    shapes = np.stack([4 * at * (1 - at), np.ones(WINDOW), at, 1 - at])
    labels = np.arange(n) % len(SHAPES)
    channels = _below(2, f"{purpose}, channels", n)
    starts = _below(POINTS - WINDOW + 1, f"{purpose}, places", n)
    # the sum of twelve has a standard deviation of 1: no function whose last bit a machine decides
    noise = np.zeros((n, 2, POINTS))
    for part in range(12):
        noise += _uniform(f"{purpose}, noise {part}", noise.size).reshape(noise.shape) - 0.5
    series, truth = NOISE * noise, np.zeros(noise.shape, dtype=bool)
    for row, (label, channel, start) in enumerate(zip(labels, channels, starts, strict=True)):
        series[row, channel, start : start + WINDOW] += shapes[label]
        truth[row, channel, start : start + WINDOW] = True
    return series.astype(np.float32).reshape(n, -1), labels.astype(np.uint8), truth.reshape(n, -1)


def _uniform(purpose: str, n: int) -> npt.NDArray[np.float64]:
    """Numbers in [0, 1), by a name: of the generator's own bits, which no version of numpy changes."""
    seed = int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:8], "big")
    bits: npt.NDArray[np.uint64] = np.random.PCG64(seed).random_raw(n)
    found: npt.NDArray[np.float64] = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return found


def _below(bound: int, purpose: str, n: int) -> Ints:
    """Whole numbers in 0..bound - 1, by a name: int64 [n]."""
    return (_uniform(purpose, n) * bound).astype(np.int64)
