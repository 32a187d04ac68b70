"""Choose the images to explain: right, sure, the same number of each class, drawn by seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from harness.records import Floats, Ints


@dataclass(frozen=True)
class Yield:
    """How many images of a class met each condition, in every seed.

    Attributes:
        label: The class.
        images: Test images of the class.
        right: Those named rightly.
        sure: Those named rightly, with a confidence over the bound.
        wanted: How many were to be chosen.
        chosen: How many were.
    """

    label: int
    images: int
    right: int
    sure: int
    wanted: int
    chosen: int


@dataclass(frozen=True, eq=False)
class Selection:
    """The chosen images.

    Attributes:
        indices: int64 [n], positions in the test set, by class and then ascending.
        labels: int64 [n], the true class, which is also the predicted one in every seed.
        yields: One record a class.
        surest: The highest confidence of any rightly named image, in its least sure seed; 0 if none is.
    """

    indices: Ints
    labels: Ints
    yields: tuple[Yield, ...]
    surest: float


def confidences(logits: Floats) -> Floats:
    """The softmax maximum (float64 [n]) of logits [n, classes]."""
    return np.asarray(softmax(logits.astype(np.float64), axis=1).max(axis=1))


def select(
    logits: Sequence[Floats],
    labels: Ints,
    classes: int,
    *,
    per_class: int,
    confidence: float,
    generator: np.random.Generator,
) -> Selection:
    """A balanced choice of images that every seed names rightly with a softmax maximum over `confidence`.

    A class that has too few gives what it has; none is refilled from another.

    Args:
        logits: float [n, classes] for each seed.
        labels: int [n], the true classes.
        classes: How many classes there are, those without images counted in.
        per_class: How many are wanted of each.
        confidence: The bound, which must be exceeded.
        generator: Draws the choice.
    """
    right = np.all([one.argmax(axis=1) == labels for one in logits], axis=0)
    least = np.min([confidences(one) for one in logits], axis=0)
    sure = right & (least > confidence)
    taken, yields = [], []
    for label in range(classes):
        of_class = labels == label
        candidates = np.flatnonzero(of_class & sure)
        chosen = np.sort(generator.permutation(candidates)[:per_class])
        taken.append(chosen)
        yields.append(
            Yield(
                label,
                int(of_class.sum()),
                int((of_class & right).sum()),
                len(candidates),
                per_class,
                len(chosen),
            )
        )
    indices = np.concatenate(taken).astype(np.int64)
    surest = float(least[right].max()) if right.any() else 0.0
    return Selection(indices, labels[indices].astype(np.int64), tuple(yields), surest)
