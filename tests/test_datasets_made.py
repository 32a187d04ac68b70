"""Data with known truth is the same bits everywhere, and its truth is what tells the classes."""

from __future__ import annotations

import numpy as np
import pytest

from harness import datasets
from harness.datasets import Dataset
from harness.datasets.made import COLOURS, FRAMES, GARMENTS, NOISE, PATCH, POINTS, SHAPES, WINDOW

SETS = ("planted-corner", "random-corner", "coloured-fashion-mini", "moving-fashion-mini", "bumps")
DIGESTS = {
    "planted-corner": "fe1bca6ff959caa9f7c4e5a7fe80f63dfd954358504eae214c2377acd75e2957",
    "random-corner": "8f31a9dbd273fd9c60f7e8b4eafe21bfd630a609a0509044be86161f2bda22c1",
    "coloured-fashion-mini": "4cc477cf159b23089c28779b82581b68baf9da5036ca7fe5c1931facf48896f4",
    "moving-fashion-mini": "0fb7dd1ae4419ae0b6c5cb03f925d9418005ffc4030f9d98a51f11508715c58e",
    "bumps": "bd329c0be2e7a15b59bf6340f91432093aee90d11acf02084ccb3511fea5bf5d",
}
"""As they were first made: numbers that were measured on them rest on it."""


@pytest.fixture(scope="module")
def made() -> dict[str, Dataset]:
    return {name: datasets.load(name) for name in SETS}


def truth_of(data: Dataset) -> np.ndarray:
    assert data.truth is not None
    return data.truth.reshape(len(data.test_images), *data.shape)


@pytest.mark.parametrize("name", SETS)
def test_each_is_the_same_bits_everywhere(name: str, made: dict[str, Dataset]) -> None:
    """No version of a library has a part in them."""
    assert made[name].digest == DIGESTS[name]


def test_the_clean_twin_differs_by_what_could_be_learned_alone(made: dict[str, Dataset]) -> None:
    """Its patch tells no class in training; all else, and the whole test, is the planted set's."""
    planted, twin = made["planted-corner"], made["random-corner"]
    in_patch = truth_of(planted)[0].reshape(-1)
    told = twin.train_images[:, 0] // 25 - 1
    right = (told == twin.train_labels).mean()
    assert abs(right - 0.1) < 3 * np.sqrt(0.1 * 0.9 / len(told))
    assert np.array_equal(twin.train_images[:, ~in_patch], planted.train_images[:, ~in_patch])
    for name in ("train_labels", "test_images", "test_labels", "truth"):
        assert np.array_equal(getattr(twin, name), getattr(planted, name)), name


@pytest.mark.parametrize("name", SETS)
def test_no_test_input_stands_in_the_training(name: str, made: dict[str, Dataset]) -> None:
    """And each class has as many inputs as the others, in both halves."""
    data = made[name]
    known = {one.tobytes() for one in data.train_images}
    assert not any(one.tobytes() in known for one in data.test_images)
    for labels in (data.train_labels, data.test_labels):
        assert len(set(np.bincount(labels, minlength=len(data.classes)).tolist())) == 1


def test_the_planted_patch_tells_the_class_in_training_alone(made: dict[str, Dataset]) -> None:
    """Its brightness is one for each class there, and one of any class in the test; the rest stays."""
    data, mini = made["planted-corner"], datasets.load("fashion-mnist-mini")
    in_patch = truth_of(data)[0].reshape(-1)
    assert (truth_of(data) == truth_of(data)[0]).all()
    assert in_patch.sum() == PATCH**2
    assert (data.train_images[:, in_patch] == 25 * (1 + data.train_labels[:, None])).all()
    told = data.test_images[:, 0] // 25 - 1
    assert (data.test_images[:, in_patch] == data.test_images[:, :1]).all()
    right = (told == data.test_labels).mean()
    assert abs(right - 0.1) < 3 * np.sqrt(0.1 * 0.9 / len(told))
    assert np.array_equal(data.test_images[:, ~in_patch], mini.test_images[:, ~in_patch])
    assert np.array_equal(data.train_labels, mini.train_labels)


def test_red_and_blue_tell_the_colours_apart_and_green_does_not(made: dict[str, Dataset]) -> None:
    """With the garment's own classes beside: a class is a garment in a colour."""
    data = made["coloured-fashion-mini"]
    red, green, blue = data.test_images.reshape(-1, 3, 784).astype(int).swapaxes(0, 1)
    way = data.test_labels % 2
    assert ((red.sum(1) > blue.sum(1)) == (way == 0)).all()
    assert (green == np.where(way[:, None] == 0, blue, red)).all()
    assert data.classes[:2] == (f"{GARMENTS[0]}, red", f"{GARMENTS[0]}, blue")
    assert tuple(COLOURS) == ("red", "blue")
    truth = truth_of(data)
    assert not truth[:, 1].any()
    assert np.array_equal(truth[:, 0].reshape(-1, 784), np.maximum(red, blue) > 0)
    mini = datasets.load("fashion-mnist-mini")
    bags = mini.test_images[mini.test_labels == mini.classes.index("Bag")]
    first = data.test_images[data.test_labels == data.classes.index("Bag, red")].reshape(-1, 3, 784)
    assert np.array_equal(first[:, 0], bags[::2])


def test_one_direction_is_the_other_in_reverse(made: dict[str, Dataset]) -> None:
    """No single frame tells it; the garment is where the truth is."""
    data = made["moving-fashion-mini"]
    clips = data.test_images.reshape(-1, FRAMES, 28, 28)
    columns = (clips.sum(2) * np.arange(28)).sum(-1) / clips.sum((2, 3))
    moved = columns[:, 5] - columns[:, 2]
    assert ((moved > 0) == (data.test_labels % 2 == 0)).mean() > 0.99
    assert np.array_equal(truth_of(data)[:, :, 0], clips > 0)
    centre = clips[0, :, :, 7:21]
    step = 2 if data.test_labels[0] % 2 == 0 else -2
    for frame in range(FRAMES - 1):
        after = np.roll(clips[0, frame], step, axis=1)[:, 7:21]
        assert np.array_equal(after, centre[frame + 1])


def test_a_bump_is_its_shape_in_its_window(made: dict[str, Dataset]) -> None:
    """Anywhere, in either channel; around it is noise of the declared size."""
    data = made["bumps"]
    series, truth = data.test_images.reshape(-1, 2, POINTS), truth_of(data)
    assert (truth.sum((1, 2)) == WINDOW).all()
    assert (truth.any(2).sum(1) == 1).all()
    assert abs(series[~truth].std() - NOISE) < 0.002
    assert abs(series[~truth].mean()) < 0.002
    windows = series[truth].reshape(-1, WINDOW)
    means = np.stack([windows[data.test_labels == label].mean(0) for label in range(len(SHAPES))])
    at = (np.arange(WINDOW) + 0.5) / WINDOW
    expected = np.stack([4 * at * (1 - at), np.ones(WINDOW), at, 1 - at])
    assert np.abs(means - expected).max() < 5 * NOISE / np.sqrt(250)
    channels = truth.any(2).argmax(1)
    starts = truth.any(1).argmax(1)
    assert abs(channels.mean() - 0.5) < 3 * 0.5 / np.sqrt(len(channels))
    assert (starts.min(), starts.max()) == (0, POINTS - WINDOW)
    for values in (channels, starts):
        by_class = [values[data.test_labels == label].mean() for label in range(len(SHAPES))]
        assert np.ptp(by_class) < 5 * values.std() / np.sqrt(250)
