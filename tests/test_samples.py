"""The selection: right, sure, balanced, drawn by seed, and never refilled."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from harness.records import Floats, Ints
from harness.samples import Others, Selection, bins, confidences, in_bin, others, select

quick = settings(derandomize=True, deadline=None, max_examples=60)


def naive_softmax(row: Floats) -> list[float]:
    """The softmax of a row of moderate logits, as it is defined."""
    powers = [math.exp(float(logit)) for logit in row]
    return [power / math.fsum(powers) for power in powers]


@pytest.mark.parametrize("size", [0.1, 3.0, 80.0])
def test_confidences_are_scipys_to_the_bit(size: float) -> None:
    """Without scipy's import, the softmax maximum is the number that scipy gives."""
    logits = np.random.default_rng(0).normal(size=(2000, 10)).astype(np.float32) * np.float32(size)
    expected = special.softmax(logits.astype(np.float64), axis=1).max(axis=1)
    np.testing.assert_array_equal(confidences(logits), expected)


def is_good(seeds: list[Floats], labels: Ints, image: int, bound: float) -> bool:
    """Whether every seed names an image rightly and is surer than the bound, by hand."""
    for logits in seeds:
        shares = naive_softmax(logits[image])
        if shares.index(max(shares)) != labels[image] or not max(shares) > bound:
            return False
    return True


def random_task(
    seed: int, images: int = 120, classes: int = 4, seeds: int = 1, spread: float = 2.0
) -> tuple[list[Floats], Ints]:
    """Logits that lean to the true class without always reaching it, for each seed, and the labels."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, images)
    logits = [
        generator.normal(0, 1, (images, classes)) + spread * np.eye(classes)[labels] for _ in range(seeds)
    ]
    return list(logits), labels


def chosen(
    seeds: list[Floats],
    labels: Ints,
    classes: int = 4,
    per_class: int = 3,
    confidence: float = 0.6,
    draw: int = 0,
) -> Selection:
    return select(
        seeds,
        labels,
        classes,
        per_class=per_class,
        confidence=confidence,
        generator=np.random.default_rng(draw),
    )


@quick
@given(task=st.integers(0, 10**6), bound=st.floats(0.3, 0.95), seeds=st.integers(1, 3))
def test_chosen_images_are_right_and_sure_in_every_seed(task: int, bound: float, seeds: int) -> None:
    """Each chosen image is named rightly and over the bound by every seed, by a slow derivation."""
    logits, labels = random_task(task, images=40, seeds=seeds)
    selection = chosen(logits, labels, confidence=bound)
    assert all(is_good(logits, labels, image, bound) for image in selection.indices)


@quick
@given(task=st.integers(0, 10**6), bound=st.floats(0.3, 0.95), seeds=st.integers(1, 3))
def test_each_class_gives_what_was_wanted_or_all_it_has(task: int, bound: float, seeds: int) -> None:
    """A class gives as many images as were wanted, or all its good ones where there are fewer."""
    logits, labels = random_task(task, images=40, seeds=seeds)
    selection = chosen(logits, labels, confidence=bound)
    for label in range(4):
        good = [i for i in np.flatnonzero(labels == label).tolist() if is_good(logits, labels, i, bound)]
        assert (selection.labels == label).sum() == min(3, len(good))


def test_the_choice_is_balanced() -> None:
    """Where every class has enough, each gives exactly the number that was wanted."""
    logits, labels = random_task(1, images=400)
    selection = chosen(logits, labels, per_class=7)
    assert np.bincount(selection.labels).tolist() == [7, 7, 7, 7]


def test_a_class_that_is_short_is_never_refilled() -> None:
    """A class with one good image gives one, and no other class gives more for it."""
    labels = np.array([0] * 10 + [1] * 10)
    logits = 9.0 * np.eye(2)[labels]
    logits[11:] = 0.0
    selection = chosen([logits], labels, classes=2, per_class=4)
    assert np.bincount(selection.labels).tolist() == [4, 1]
    assert 10 in selection.indices


def test_no_image_is_chosen_twice() -> None:
    """The chosen positions differ from each other, also where a class gives all that it has."""
    logits, labels = random_task(2)
    selection = chosen(logits, labels, per_class=1000)
    assert len(set(selection.indices.tolist())) == len(selection.indices)


def test_an_absent_class_gives_nothing_and_is_still_reported() -> None:
    """A class without a test image has a row of zeros among the yields, and leaves the others alone."""
    labels = np.array([0, 0, 2, 2])
    selection = chosen([9.0 * np.eye(3)[labels]], labels, classes=3, per_class=2)
    assert selection.labels.tolist() == [0, 0, 2, 2]
    row = selection.yields[1]
    assert (row.label, row.images, row.right, row.sure, row.wanted, row.chosen) == (1, 0, 0, 0, 2, 0)


def test_nothing_is_chosen_where_nothing_is_right() -> None:
    """A network that is always wrong gives an empty selection, and no image is sure at all."""
    labels = np.array([0, 1, 2])
    selection = chosen([9.0 * np.eye(3)[[1, 2, 0]]], labels, classes=3)
    assert selection.indices.shape == selection.labels.shape == (0,)
    assert selection.surest == 0


def test_one_unsure_or_mistaken_seed_is_enough_to_leave_an_image_out() -> None:
    """Of several seeds, an image needs all of them: right in each, and sure in each."""
    labels = np.zeros(3, dtype=np.int64)
    sure = np.tile([9.0, 0.0], (3, 1))
    other = np.array([[9.0, 0.0], [0.1, 0.0], [0.0, 9.0]])  # sure, right but unsure, surely wrong
    for seeds in ([sure, other], [other, sure], [sure, other, sure]):
        assert chosen(seeds, labels, classes=2).indices.tolist() == [0]


def test_the_same_draw_makes_the_same_choice() -> None:
    """Two generators of the same seed choose the same images."""
    logits, labels = random_task(3)
    first, second = chosen(logits, labels, draw=5), chosen(logits, labels, draw=5)
    assert first.indices.tolist() == second.indices.tolist()


def test_another_draw_makes_another_choice() -> None:
    """Generators of different seeds do not choose the same images."""
    logits, labels = random_task(3)
    choices = {tuple(chosen(logits, labels, draw=draw).indices.tolist()) for draw in range(5)}
    assert len(choices) == 5


def test_every_good_image_is_drawn_equally_often() -> None:
    """Over many draws no good image of a class is preferred to another (chi-squared test)."""
    labels = np.zeros(10, dtype=np.int64)
    logits = np.tile([9.0, 0.0], (10, 1))
    drawn = [chosen([logits], labels, classes=2, draw=draw).indices for draw in range(1000)]
    counts = np.bincount(np.concatenate(drawn), minlength=10)
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("seeds", [1, 2])
def test_yields_count_images_right_ones_sure_ones_and_chosen_ones(seeds: int) -> None:
    """Each class's row counts what a slow derivation counts."""
    logits, labels = random_task(4, seeds=seeds)
    selection = chosen(logits, labels, per_class=12, confidence=0.7)
    for label, row in enumerate(selection.yields):
        members = np.flatnonzero(labels == label).tolist()
        right = [i for i in members if is_good(logits, labels, i, 0.0)]
        sure = [i for i in members if is_good(logits, labels, i, 0.7)]
        expected = (label, len(members), len(right), len(sure), 12, min(12, len(sure)))
        assert (row.label, row.images, row.right, row.sure, row.wanted, row.chosen) == expected


def test_images_are_ordered_by_class_and_then_by_position() -> None:
    """The chosen positions ascend within each class, the classes ascend, and both are int64."""
    logits, labels = random_task(5)
    selection = chosen(logits, labels.astype(np.uint8), per_class=5)
    pairs = list(zip(selection.labels.tolist(), selection.indices.tolist(), strict=True))
    assert pairs == sorted(pairs)
    assert selection.indices.dtype == selection.labels.dtype == np.int64
    assert selection.labels.tolist() == labels[selection.indices].tolist()


@pytest.mark.parametrize(("bound", "images"), [(0.5, 0), (np.nextafter(0.5, 0), 2)])
def test_the_bound_on_confidence_must_be_exceeded(bound: float, images: int) -> None:
    """A confidence equal to the bound is not enough; the least bit over it is."""
    logits = np.zeros((2, 2))  # a confidence of exactly 0.5, for class 0
    selection = chosen([logits], np.zeros(2, dtype=np.int64), classes=2, confidence=bound)
    assert len(selection.indices) == images


def test_the_surest_is_the_highest_confidence_of_a_right_image_in_its_least_sure_seed() -> None:
    """Wrong images do not count, and an image is as sure as its least sure seed."""
    labels = np.array([0, 0, 0])
    first = np.array([[1.0, 0.0], [3.0, 0.0], [0.0, 9.0]])
    second = np.array([[2.0, 0.0], [0.5, 0.0], [0.0, 9.0]])
    assert chosen([first, second], labels, classes=2).surest == pytest.approx(1 / (1 + math.exp(-1.0)))


@quick
@given(st.lists(st.lists(st.floats(-20, 20), min_size=4, max_size=4), min_size=1, max_size=5))
def test_confidences_are_the_softmax_maximum(rows: Any) -> None:
    """The confidence is the largest share of the softmax, as it is defined."""
    logits = np.array(rows)
    expected = [max(naive_softmax(row)) for row in logits]
    assert confidences(logits) == pytest.approx(expected, rel=1e-12)


def test_confidences_of_huge_logits_stay_finite() -> None:
    """Logits whose exponentials overflow give the confidence of their differences."""
    logits = np.array([[3e38, 0.0, -3e38], [1e4, 1e4, -1e4], [-1e5, -1e5 + 1.0, -2e5]], dtype=np.float32)
    expected = [1.0, 0.5, 1 / (1 + math.exp(-1.0))]
    assert confidences(logits) == pytest.approx(expected, rel=1e-12)


def test_confidences_are_float64_whatever_the_logits_are() -> None:
    """Logits in float32 give confidences in float64, so that a bound near 1 can still tell them apart."""
    logits = np.array([[20.0, 0.0]], dtype=np.float32)
    assert confidences(logits).dtype == np.float64
    assert confidences(logits)[0] == pytest.approx(1 / (1 + math.exp(-20.0)), abs=1e-15)
    assert confidences(logits)[0] < 1


# what the selection leaves out


def left_out(
    logits: Floats, labels: Ints, classes: int = 4, confidence: float = 0.8, draw: int = 0
) -> Others:
    return others(logits, labels, classes, confidence=confidence, generator=np.random.default_rng(draw))


@quick
@given(st.floats(0.15, 0.999), st.floats(0, 1))
def test_every_confidence_up_to_the_bound_lies_in_one_bin(bound: float, value: float) -> None:
    """The bins share no value, leave none out, and hold none over the bound."""
    inside = [in_bin(np.array([value]), one, bound)[0] for one in bins(bound)]
    assert sum(inside) == (value <= bound)


@pytest.mark.parametrize(
    ("bound", "edges"), [(0.8, [0, 0.4, 0.6, 0.8]), (0.5, [0, 0.4, 0.5]), (0.9, [0, 0.4, 0.6, 0.8, 0.9])]
)
def test_bins_end_at_the_bound(bound: float, edges: list[float]) -> None:
    """Bins over the bound are left out, and the last is cut off by it."""
    assert bins(bound) == list(itertools.pairwise(edges))


def test_others_are_right_and_unsure_or_wrong() -> None:
    """By hand: below are right images not over the bound, wrong ones explain the class that was named."""
    logits, labels = random_task(10, images=600)
    found = left_out(logits[0], labels)
    assert set(found.kinds) == {"below", "wrong"}
    for kind, index, label, target, confidence in zip(
        found.kinds, found.indices, found.labels, found.targets, found.confidences, strict=True
    ):
        shares = naive_softmax(logits[0][index])
        assert confidence == pytest.approx(max(shares))
        assert target == shares.index(max(shares))
        assert label == labels[index]
        assert (target == label) == (kind == "below")
        assert kind == "wrong" or confidence <= 0.8


def test_others_share_no_image_with_the_selection_or_each_other() -> None:
    """No image is explained twice."""
    logits, labels = random_task(11, images=600)
    found = left_out(logits[0], labels)
    assert len(set(found.indices.tolist())) == len(found.indices)
    assert not set(found.indices) & set(chosen(logits, labels, per_class=600, confidence=0.8).indices)


def test_each_class_gives_up_to_ten_of_each_bin() -> None:
    """Ten where a bin has ten of a class, and all of them where it has fewer."""
    logits, labels = random_task(12, images=400)
    found, sure = left_out(logits[0], labels), confidences(logits[0])
    right = logits[0].argmax(axis=1) == labels
    below = found.kinds == "below"
    for low, high in [(0.0, 0.4), (0.4, 0.6), (0.6, 0.8)]:
        for label in range(4):
            there = right & (labels == label) & (sure >= low) & (sure < high)
            mine = below & (found.labels == label) & (found.confidences >= low) & (found.confidences < high)
            assert mine.sum() == min(10, there.sum())


def test_the_wrong_ones_are_the_surest_two_of_each_class() -> None:
    """Of each true class the two that were named wrongly with the highest confidence, the surest first."""
    logits, labels = random_task(13, images=400)
    found, sure = left_out(logits[0], labels), confidences(logits[0])
    wrong = logits[0].argmax(axis=1) != labels
    expected: list[int] = []
    for label in range(4):
        members = np.flatnonzero(wrong & (labels == label)).tolist()
        expected += sorted(members, key=lambda i: -sure[i])[:2]
    expected.sort(key=lambda i: -sure[i])
    assert found.indices[found.kinds == "wrong"].tolist() == expected


def test_the_same_draw_leaves_the_same_images_out() -> None:
    """The seed decides which right images are drawn, and nothing else does."""
    logits, labels = random_task(14, images=900)
    first, again, other = (left_out(logits[0], labels, draw=draw) for draw in (1, 1, 2))
    assert first.indices.tolist() == again.indices.tolist()
    assert first.indices.tolist() != other.indices.tolist()


def test_a_network_that_is_always_right_and_sure_leaves_nothing_out() -> None:
    """There may be no others at all."""
    labels = np.arange(4)
    found = left_out(30.0 * np.eye(4), labels)
    assert found.indices.shape == found.kinds.shape == found.confidences.shape == (0,)


def test_logits_that_are_not_finite_are_nobodys_mistake() -> None:
    """An image with NaN logits is neither right nor wrong, and is not explained."""
    logits, labels = random_task(15)
    logits[0][:20] = math.nan
    with np.errstate(invalid="ignore"):
        found = left_out(logits[0], labels)
    assert not set(range(20)) & set(found.indices.tolist())


def test_networks_that_know_the_same_images_share_their_choice() -> None:
    """Drawn in one order of all images: each as likely as another, and what both know first is in both."""
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(2), 100)
    shared, counts = {True: 0, False: 0}, np.zeros(200)
    for draw in range(300):
        known = [generator.random(200) < 0.8 for _ in range(2)]
        logits = [np.where(one[:, None], 9.0, 0.0) * np.eye(2)[labels] for one in known]
        for common in (True, False):
            found = [
                select(
                    [one],
                    labels,
                    2,
                    per_class=10,
                    confidence=0.6,
                    generator=np.random.default_rng(draw),
                    common_order=common,
                )
                for one in logits
            ]
            shared[common] += len(np.intersect1d(found[0].indices, found[1].indices))
            if common:
                for one, of in zip(logits, found, strict=True):
                    assert all(is_good([one], labels, int(image), 0.6) for image in of.indices)
                    assert (np.bincount(of.labels) == 10).all()
                counts[found[0].indices] += 1
    # of the first 12.5 or so of a class two networks that know four in five both know 64 %
    assert shared[True] / 6000 == pytest.approx(0.64 * 1.16, abs=0.03)
    assert shared[False] / 6000 == pytest.approx(10 / 80, abs=0.03)
    assert stats.chisquare(counts).pvalue > 0.001
