"""Choose the images to explain: right, sure, the same number of each class, drawn by seed.

And beside them those that this choice leaves out, so that what it makes of the numbers can be told.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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


@dataclass(frozen=True, eq=False)
class Others:
    """Images that are explained though they were not selected.

    Attributes:
        kinds: str [m]: `below` of a right prediction that is not sure enough, `wrong` of a wrong one.
        indices: int64 [m], positions in the test set.
        labels: int64 [m], the true class.
        targets: int64 [m], the predicted class, which is the one to explain.
        confidences: float64 [m], the softmax maximum.
    """

    kinds: npt.NDArray[np.str_]
    indices: Ints
    labels: Ints
    targets: Ints
    confidences: Floats


BINS = (0.0, 0.4, 0.6, 0.8, 1.0)
"""Edges of the bins of confidence, as far as they lie under the bound of the selection."""


def bins(confidence: float) -> list[tuple[float, float]]:
    """The bins [low, high) of confidences under the bound; the last one ends at the bound, and holds it."""
    edges = [edge for edge in BINS if edge < confidence] + [confidence]
    return list(itertools.pairwise(edges))


def in_bin(values: Floats, one: tuple[float, float], confidence: float) -> npt.NDArray[np.bool_]:
    """Which confidences (float [n]) lie in a bin of `bins(confidence)`."""
    low, high = one
    return (values >= low) & ((values <= high) if high == confidence else (values < high))


def confidences(logits: Floats) -> Floats:
    """The softmax maximum (float64 [n]) of logits [n, classes].

    To the bit what `scipy.special.softmax` gives, which takes half a second to import.
    """
    values = logits.astype(np.float64)
    shifted = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray((shifted / shifted.sum(axis=1, keepdims=True)).max(axis=1))


def select(
    logits: Sequence[Floats],
    labels: Ints,
    classes: int,
    *,
    per_class: int,
    confidence: float,
    generator: np.random.Generator,
    common_order: bool = False,
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
        common_order: Draw an order of all images, whatever the networks say of them, and take the first that
            are right and sure: as likely a choice as any other, of which networks that know the same images
            share as many as can be.
    """
    met = _met(logits, labels, confidence)
    if common_order:
        order = generator.permutation(len(labels))
        drawn = [order[(labels[order] == label) & met.sure[order]] for label in range(classes)]
    else:
        drawn = [
            generator.permutation(np.flatnonzero((labels == label) & met.sure)) for label in range(classes)
        ]
    taken = [np.sort(one[:per_class]) for one in drawn]
    return _selection(met, labels, np.concatenate(taken).astype(np.int64), classes, [per_class] * classes)


def frozen(
    logits: Sequence[Floats], labels: Ints, classes: int, *, indices: Ints, confidence: float
) -> Selection:
    """The choice of images that somebody froze, whatever the networks say of them.

    Args:
        logits: float [n, classes] for each seed.
        labels: int [n], the true classes.
        classes: How many classes there are.
        indices: int [m], positions in the test set.
        confidence: The bound, to count how many exceed it.
    """
    wanted = np.bincount(labels[indices], minlength=classes).tolist()
    return _selection(_met(logits, labels, confidence), labels, indices, classes, wanted)


@dataclass(frozen=True, eq=False)
class _Met:
    """Which images every seed names rightly, which surely too, and the confidence of the least sure."""

    right: npt.NDArray[np.bool_]
    sure: npt.NDArray[np.bool_]
    least: Floats


def _met(logits: Sequence[Floats], labels: Ints, confidence: float) -> _Met:
    right = np.all([one.argmax(axis=1) == labels for one in logits], axis=0)
    least = np.min([confidences(one) for one in logits], axis=0)
    return _Met(right, right & (least > confidence), least)


def _selection(met: _Met, labels: Ints, indices: Ints, classes: int, wanted: Sequence[int]) -> Selection:
    yields = tuple(
        Yield(
            label,
            int((labels == label).sum()),
            int(met.right[labels == label].sum()),
            int(met.sure[labels == label].sum()),
            wanted[label],
            int((labels[indices] == label).sum()),
        )
        for label in range(classes)
    )
    surest = float(met.least[met.right].max()) if met.right.any() else 0.0
    return Selection(indices, labels[indices].astype(np.int64), yields, surest)


def others(
    logits: Floats,
    labels: Ints,
    classes: int,
    *,
    confidence: float,
    per_bin: int = 10,
    wrong_per_class: int = 2,
    generator: np.random.Generator,
) -> Others:
    """What the selection leaves out, of one seed: right but unsure images, and the surest wrong ones.

    Of each class, up to `per_bin` rightly named images of each bin of confidence are drawn, and the wrongly
    named ones of the highest confidence are taken, the first image first where confidences are equal.

    Args:
        logits: float [n, classes].
        labels: int [n], the true classes.
        classes: How many classes there are.
        confidence: The bound of the selection.
        per_bin: How many right images of each class at most, in each bin.
        wrong_per_class: How many wrong images of each true class at most.
        generator: Draws the right ones.

    Returns:
        The right images by bin, class and position, and then the wrong ones, the surest first.
    """
    predicted, sure = logits.argmax(axis=1), confidences(logits)
    # of a row with NaN, argmax would name a class as if its logit were the largest
    finite = np.isfinite(logits).all(axis=1)
    right, wrong = finite & (predicted == labels), finite & (predicted != labels)
    below = [
        np.sort(
            generator.permutation(np.flatnonzero(right & in_bin(sure, one, confidence) & (labels == label)))[
                :per_bin
            ]
        )
        for one in bins(confidence)
        for label in range(classes)
    ]
    ranked = np.argsort(-sure, kind="stable")
    surest = [ranked[(wrong & (labels == label))[ranked]][:wrong_per_class] for label in range(classes)]
    mistakes = np.concatenate(surest)
    mistakes = mistakes[np.argsort(-sure[mistakes], kind="stable")]
    indices = np.concatenate([*below, mistakes]).astype(np.int64)
    kinds = np.repeat(["below", "wrong"], [len(indices) - len(mistakes), len(mistakes)])
    return Others(
        kinds,
        indices,
        labels[indices].astype(np.int64),
        predicted[indices].astype(np.int64),
        sure[indices],
    )
