"""What is held back for the test follows from the inputs alone."""

from __future__ import annotations

import numpy as np
import pytest

from harness.datasets.splitting import held_back

generator = np.random.default_rng(0)
INPUTS = generator.integers(0, 256, (100, 5), dtype=np.uint8)
LABELS = np.repeat([0, 1, 2], [50, 30, 20])


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5, 0.9])
def test_each_class_gives_its_share(share: float) -> None:
    """To the nearest whole input."""
    held = held_back(INPUTS, LABELS, share)
    assert np.bincount(LABELS[held]).tolist() == [round(share * n) for n in (50, 30, 20)]


def test_the_order_plays_no_part() -> None:
    """The same inputs are held back wherever they stand."""
    order = generator.permutation(100)
    assert np.array_equal(held_back(INPUTS, LABELS, 0.2)[order], held_back(INPUTS[order], LABELS[order], 0.2))


def test_few_move_where_others_join() -> None:
    """A class of half as many again keeps most of its test."""
    before = held_back(INPUTS[:30], np.zeros(30, dtype=int), 0.2)
    after = held_back(INPUTS[:45], np.zeros(45, dtype=int), 0.2)[:30]
    assert (before & after).sum() >= 3


def test_inputs_that_are_equal_stand_in_one_half() -> None:
    """A copy of a training input is no unseen one."""
    doubled, labels = np.repeat(INPUTS, 2, axis=0), np.repeat(LABELS, 2)
    held = held_back(doubled, labels, 0.25)
    assert np.array_equal(held[::2], held[1::2])
    assert not held_back(np.zeros((4, 5)), np.zeros(4, dtype=int), 0.5).any()


def test_a_class_of_two_is_parted() -> None:
    """However small the share: both halves have one."""
    for share in (0.01, 0.5, 0.99):
        held = held_back(INPUTS[:2], np.zeros(2, dtype=int), share)
        assert held.sum() == 1
