"""The permutation test against enumeration and its promised error, Holm against the literal procedure."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.records import Floats
from harness.statistics import holm, pairing_p_values

quick = settings(derandomize=True, deadline=None, max_examples=60)


def enumerated(by_class: Sequence[Floats], pair: int) -> float:
    """The share of all pairings within class whose agreement reaches the observed one."""

    def agreement(orders: tuple[tuple[int, ...], ...]) -> float:
        return float(
            np.mean(
                [
                    np.mean([matrices[pair, i, j] for i, j in enumerate(order)])
                    for matrices, order in zip(by_class, orders, strict=True)
                ]
            )
        )

    observed = agreement(tuple(tuple(range(matrices.shape[1])) for matrices in by_class))
    every = itertools.product(*(itertools.permutations(range(m.shape[1])) for m in by_class))
    reached = [agreement(orders) >= observed - 1e-9 for orders in every]
    return sum(reached) / len(reached)


def test_p_is_that_of_all_pairings_within_class() -> None:
    """Of classes of 4, 3 and 2 images, p is the enumeration's of all 288 pairings, pair by pair."""
    generator, permutations = np.random.default_rng(0), 20_000
    by_class = [generator.normal(size=(3, n, n)) + 0.5 * np.eye(n) for n in (4, 3, 2)]
    found = pairing_p_values(by_class, permutations, np.random.default_rng(1))
    for pair in range(3):
        exact = enumerated(by_class, pair)
        error = 4 * np.sqrt(exact * (1 - exact) / permutations) + 1 / permutations
        assert found[pair] == pytest.approx(exact, abs=error)


def test_maps_that_agree_on_each_image_alone_have_the_smallest_p_there_is() -> None:
    """Where no other pairing agrees, p is 1 / (1 + permutations), never 0."""
    by_class = [np.eye(8)[None]] * 5
    assert pairing_p_values(by_class, 999, np.random.default_rng(2)).tolist() == [0.001]


def test_maps_that_agree_with_every_image_of_the_class_have_p_1() -> None:
    """Where the pairing plays no part every permutation ties, and a tie counts against the pair."""
    by_class = [np.full((1, 5, 5), value) for value in (0.1, 0.7, 0.3)]
    assert pairing_p_values(by_class, 99, np.random.default_rng(3)).tolist() == [1.0]


def test_without_agreement_p_is_small_as_seldom_as_it_says() -> None:
    """Of maps that know nothing of each other, p is at most 0.05 and 0.2 in at most as many cases."""
    generator, simulations = np.random.default_rng(4), 2000
    # pairs share permutations, not maps: each is a case of its own
    by_class = [generator.normal(size=(simulations, 5, 5)) for _ in range(4)]
    found = pairing_p_values(by_class, 199, generator)
    for level in (0.05, 0.2):
        assert (found <= level).mean() == pytest.approx(level, abs=4 * np.sqrt(level / simulations))


def test_the_permutations_come_from_the_generator() -> None:
    """The same generator gives the same p, another one a p close by."""
    by_class = [np.random.default_rng(5).normal(size=(2, 6, 6)) for _ in range(3)]
    first, again, other = (pairing_p_values(by_class, 499, np.random.default_rng(s)) for s in (6, 6, 7))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


def test_holm_is_the_published_procedure() -> None:
    """By hand: 0.01, 0.02, 0.03 and 0.04 of four become 0.04, 0.06, 0.06 and 0.06."""
    assert holm(np.array([0.03, 0.01, 0.04, 0.02])) == pytest.approx([0.06, 0.04, 0.06, 0.06])


@quick
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.001, 0.5))
def test_holm_rejects_what_stepping_down_rejects(p_values: list[float], level: float) -> None:
    """The smallest is compared with level / m, the next with level / (m - 1), until one is larger."""
    rejected, count = set(), len(p_values)
    for step, place in enumerate(sorted(range(count), key=lambda i: p_values[i])):
        if p_values[place] * (count - step) > level:
            break
        rejected.add(place)
    adjusted = holm(np.array(p_values))
    assert set(np.flatnonzero(adjusted <= level).tolist()) == rejected
    assert ((adjusted >= p_values) & (adjusted <= 1)).all()


def test_holm_of_one_is_itself() -> None:
    """With one pair there is nothing to adjust for."""
    assert holm(np.array([0.2])).tolist() == [0.2]


def test_holm_is_never_above_bonferroni_nor_under_what_false_discovery_asks() -> None:
    """It lies between Benjamini and Hochberg's adjustment and Bonferroni's."""
    p_values = np.random.default_rng(8).random(6) ** 3
    adjusted = holm(p_values)
    assert (adjusted <= np.minimum(1, 6 * p_values) + 1e-12).all()
    assert (adjusted >= stats.false_discovery_control(p_values) - 1e-12).all()
