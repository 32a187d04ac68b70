"""The change of a number on the same images: the rule that makes it, and what its interval holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.statistics.paired import RULES, paired, rule_of

LABELS = np.repeat([0, 1, 2], 40)


def worse_parts(generator: np.random.Generator, shift: float) -> Any:
    """Values of three parts, of which the last is the lowest by far: float64 [120, 3]."""
    return generator.normal([1.0, 0.8, 0.2 + shift], 0.3, (120, 3))


@pytest.mark.thorough
@pytest.mark.parametrize("rule", RULES)
def test_intervals_hold_the_true_change_about_as_often_as_they_say(rule: str) -> None:
    """Of images drawn anew, 95 % intervals of each rule's change: 100 sets of 40 images a class."""
    generator, covered = np.random.default_rng(3), 0
    for _ in range(100):
        if rule == "mean":
            values = [generator.normal(0.1 * LABELS, 1.0) for _ in range(2)]
            values[1] += 0.3
            truth = 0.3
        elif rule == "ratio":
            bottoms = [generator.uniform(5, 15, 120) for _ in range(2)]
            tops = [
                one * share * generator.uniform(0.5, 1.5, 120)
                for one, share in zip(bottoms, (0.1, 0.2), strict=True)
            ]
            values = [np.stack(one, axis=1) for one in zip(tops, bottoms, strict=True)]
            truth = 0.1
        else:
            sign = 1 if rule == "smallest" else -1
            values = [sign * worse_parts(generator, 0.0), sign * worse_parts(generator, 0.1)]
            truth = sign * 0.1
        found = paired(values, LABELS, rule, 0.95)
        covered += found.low <= truth <= found.high
        assert found.n == 120
    assert 88 <= covered <= 100


@pytest.mark.parametrize(("rule", "parts"), [("mean", 1), ("ratio", 2), ("smallest", 3), ("largest", 3)])
def test_the_rule_is_seen_by_the_number_it_gives(rule: str, parts: int) -> None:
    """Images without a value are left out; another number has no rule; too few labels neither."""
    values = np.random.default_rng(0).uniform(1, 2, (120, parts))
    values[3] = np.nan
    there = np.arange(120) != 3
    means = np.mean([values[there & (label == LABELS)].mean(axis=0) for label in range(3)], axis=0)
    assert rule_of(values, LABELS, float(RULES[rule](means))) == [rule]
    assert rule_of(values, LABELS, float(RULES[rule](means)) + 0.01) == []
    assert rule_of(values, LABELS[:-1], float(RULES[rule](means))) == []
    assert rule_of(np.full((5, parts), np.nan), None, 1.0) == []


def test_the_same_values_have_changed_by_nothing() -> None:
    """Without any doubt, whatever the rule."""
    values = np.random.default_rng(0).uniform(1, 2, (120, 2))
    for rule in ("ratio", "smallest", "largest"):
        found = paired([values, values], LABELS, rule, 0.95)
        assert (found.change, found.low, found.high) == (0, 0, 0)
