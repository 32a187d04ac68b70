"""Measurements of the model: how right, how sparse, how faithful to the image, how well explained."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.capabilities import needs
from harness.measurements.evidence import Evidence, measurements
from harness.records import Measurement
from harness.samples import confidences


@measurements.register("accuracy")
def accuracy(evidence: Evidence) -> Iterator[Measurement]:
    """Share of the test images that are named rightly."""
    right = evidence.logits.argmax(axis=1) == evidence.test_labels
    # of a row with NaN, argmax would name a class as if its logit were the largest
    bad = int((~np.isfinite(evidence.logits)).any(axis=1).sum())
    yield Measurement(
        "accuracy",
        "Test accuracy",
        f"share of {evidence.words.noun}",
        True,
        "proportion",
        np.empty(0) if bad else right.astype(np.float64),
        reason=f"{bad} of {len(right)} test {evidence.words.noun} have NaN or infinite logits"
        if bad
        else None,
    )


@measurements.register("sparsity")
@needs("code")
def sparsity(evidence: Evidence) -> Iterator[Measurement]:
    """L0: the number of active code units of each test image; the mean over places where it has several."""
    l0 = evidence.l0.astype(np.float64)
    yield Measurement(
        "sparsity", f"Active units a test {evidence.words.one} (L0)", "units", None, "equivalence", l0
    )


@measurements.register("below_k")
@needs("k")
def below_k(evidence: Evidence) -> Iterator[Measurement]:
    """Share of the test images with fewer than k active units; L0 cannot pass k."""
    below = (evidence.l0 < evidence.k).astype(np.float64)
    title = f"Test {evidence.words.noun} with fewer than k active units"
    yield Measurement("below_k", title, f"share of {evidence.words.noun}", False, "proportion", below)


@measurements.register("dead_units")
@needs("code")
def dead_units(evidence: Evidence) -> Iterator[Measurement]:
    """Code units that no training image activates."""
    dead = np.array([float((evidence.firing_frequency == 0).sum())])
    yield Measurement("dead_units", "Units that never fire on training data", "units", False, "number", dead)


@measurements.register("reconstruction")
@needs("reconstruction")
def reconstruction(evidence: Evidence) -> Iterator[Measurement]:
    """Squared error of the reconstruction, averaged over pixels."""
    errors = evidence.squared_errors / np.prod(evidence.shape)
    title = "Test reconstruction error (MSE)"
    yield Measurement(
        "reconstruction", title, f"squared error a {evidence.words.feature}", False, "mean", errors
    )


@measurements.register("fraction_unexplained")
@needs("decoder")
def fraction_unexplained(evidence: Evidence) -> Iterator[Measurement]:
    """Sum of squared errors over the sum of squared deviations from the mean training image.

    Of a code at a layer both are of the layer's output.
    """
    parts = np.stack([evidence.squared_errors, evidence.squared_deviations], axis=1)
    varied, one = bool(evidence.squared_deviations.any()), evidence.words.one
    yield Measurement(
        "fraction_unexplained",
        "Fraction of variance unexplained",
        "share of variance",
        False,
        "ratio",
        parts if varied else np.empty(0),
        reason=None if varied else f"every test {one} equals the mean training {one}: no variance to explain",
    )


@measurements.register("selection")
def selection(evidence: Evidence) -> Iterator[Measurement]:
    """Share of the wanted samples that meet every condition: there, right, and sure."""
    logits = evidence.logits[evidence.indices]
    good = (logits.argmax(axis=1) == evidence.labels) & (
        evidence.test_labels[evidence.indices] == evidence.labels
    )
    if len(logits):
        good &= confidences(logits) > evidence.confidence
    # no class may make up for another, nor an image for one that it repeats
    good &= np.isin(np.arange(len(good)), np.unique(evidence.indices, return_index=True)[1])
    counts = np.bincount(evidence.labels[good], minlength=len(evidence.classes))
    met = int(np.minimum(counts, evidence.wanted_per_class).sum())
    wanted = evidence.wanted_per_class * len(evidence.classes)
    reason = evidence.shortage()
    yield Measurement(
        "selection",
        "Wanted samples that are right and sure",
        "share of samples",
        True,
        "census",
        np.empty(0) if reason else (np.arange(wanted) < met).astype(np.float64),
        reason=reason,
    )


@measurements.register("test_overlap")
def test_overlap(evidence: Evidence) -> Iterator[Measurement]:
    """Share of the test images that stand in the training set too, pixel for pixel.

    A training set judged as a test set flatters every number and fails no other criterion.
    """
    looked = evidence.in_training is not None
    yield Measurement(
        "test_overlap",
        f"Test {evidence.words.noun} that stand in the training set",
        f"share of {evidence.words.noun}",
        False,
        "proportion",
        evidence.in_training.astype(np.float64) if looked else np.empty(0),
        reason=None if looked else f"nobody looked for test {evidence.words.noun} in the training set",
    )
