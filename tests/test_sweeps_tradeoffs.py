"""Trade-offs: the front is the set that nobody beats, and what is open is said to be."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.records import Floats
from harness.sweeps.grids import grid
from harness.sweeps.records import Sweep
from harness.sweeps.tradeoffs import DRAWN, front, surely_beaten, trades
from tests import swept

few = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=25)


@given(few)
def test_the_front_is_who_is_not_beaten(points: list[tuple[int, int]]) -> None:
    """As the definition says, pair by pair, with ties in one number and in both."""
    x, y = np.array(points, dtype=np.float64).T
    by_hand = [not any(a >= x0 and b >= y0 and (a > x0 or b > y0) for a, b in points) for x0, y0 in points]
    assert front(x, y).tolist() == by_hand


@given(few, st.integers(0, 2**32 - 1))
def test_who_is_surely_beaten_has_an_interval_above_both_of_its(
    points: list[tuple[int, int]], seed: int
) -> None:
    """Pair by pair; a point without an interval neither beats surely nor is surely beaten."""
    generator = np.random.default_rng(seed)
    x, y = (_around(np.array(side, dtype=np.float64), generator) for side in zip(*points, strict=True))
    by_hand = [
        any(x[other, 0] > x[one, 1] and y[other, 0] > y[one, 1] for other in range(len(x)))
        for one in range(len(x))
    ]
    assert surely_beaten(x, y).tolist() == by_hand


def _around(values: Floats, generator: np.random.Generator) -> Floats:
    half = generator.choice([0.0, 0.5, 1.0, np.nan], size=len(values))
    return np.stack([values - half, values + half], axis=1)


def test_the_front_is_named_in_words() -> None:
    """Lower is better of what is unexplained and of the change under noise, higher of accuracy."""
    of_variance, of_accuracy, of_stability = trades(grid(swept.a_sweep()))
    assert of_variance.chart is not None
    assert of_accuracy.chart is not None
    assert of_stability.chart is not None
    assert (
        "Pareto front: k 10, recipe interpretable; k 25, recipe interpretable; k 50, recipe "
        "interpretable; k 50, recipe reference; k 100, recipe reference."
    ) in of_variance.chart.finding
    assert "Pareto front: k 10, recipe interpretable; k 5, recipe reference." in of_stability.chart.finding
    assert of_stability.title == "stability of gradients"
    words = {row[0]: row[-1] for row in of_variance.chart.rows}
    assert words["k 5, recipe reference"] == "dominated"
    assert len(words) == 8


def test_what_is_open_is_said() -> None:
    """Where intervals overlap the dominated are named; where they lie apart nobody is."""
    assert "it is open whether k 10, recipe reference is dominated" in trades(grid(swept.a_sweep()))[2].doubt
    axis = swept.one_axis([5, 10])
    first, second = axis.rows
    worse = {"agreement_above_controls": 0.1, "accuracy": 0.5, "fraction_unexplained": 0.9}
    estimates = dict(second.estimates) | {name: swept.a_number(name, one) for name, one in worse.items()}
    apart = dataclasses.replace(axis, rows=(first, dataclasses.replace(second, estimates=estimates)))
    assert trades(grid(apart))[1].doubt.endswith("by intervals that lie apart, too.")


@pytest.mark.parametrize("sweep", [swept.lost_alone(), swept.one_axis([5])], ids=["none", "one"])
def test_too_few_points_are_no_trade_off(sweep: Sweep) -> None:
    """A reason stands in the chart's place."""
    for one in trades(grid(sweep)):
        assert one.chart is None
        assert "too few" in one.why or "No method's stability" in one.why


def test_of_many_points_as_many_are_drawn_as_can_be_seen() -> None:
    """The front and the reference among them; the sentence says how many."""
    sweep = swept.one_axis(list(range(1, 1001)))
    numbers = {at: 0.5 + 0.1 * np.random.default_rng(at).standard_normal() for at in range(1000)}
    rows = tuple(
        dataclasses.replace(
            row, estimates=dict(row.estimates) | {"accuracy": swept.a_number("accuracy", numbers[at])}
        )
        for at, row in enumerate(sweep.rows)
    )
    of_accuracy = trades(grid(dataclasses.replace(sweep, rows=rows)))[1]
    assert of_accuracy.chart is not None
    assert f"Drawn are {DRAWN} of 1,000 points." in of_accuracy.chart.finding
    texts = [one.get_text() for one in of_accuracy.chart.figure.axes[0].texts]
    assert "1" in texts  # the first is of the greatest agreement, and the reference
