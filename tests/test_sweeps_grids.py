"""How points lie: dimensions of axes, lines, numbers and thresholds by point."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from harness.sweeps.grids import grid
from harness.sweeps.records import Axis, Row, Sweep
from tests import swept


def rows_of(axes: tuple[Axis, ...]) -> tuple[Row, ...]:
    return tuple(Row(point, "missing") for point in swept.points_of(axes))


def test_axes_of_one_group_are_one_dimension() -> None:
    """Side by side they move together; an axis of one value is none."""
    axes = (
        Axis("k", (10, 20), 0),
        Axis("code_width", (512, 1024), 0),
        Axis("seed", (0,), 1),
        Axis("lr", (1, 2), 2),
    )
    found = grid(Sweep("s", axes, rows_of(axes), ""))
    assert [one.names for one in found.dimensions] == [("k", "code_width"), ("lr",)]
    pair, rate = found.dimensions
    assert pair.at(1) == "k 20, code_width 1024"
    assert pair.value(0) == "10 / 512"
    assert pair.numbers is None
    assert rate.numbers == (1.0, 2.0)
    assert found.places.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert found.reference is None


@pytest.mark.parametrize(
    ("values", "numbers", "log"),
    [
        ((5, 50), (5.0, 50.0), False),
        ((5, 51), (5.0, 51.0), True),
        ((-5, 500), (-5.0, 500.0), False),
        ((True, False), None, False),
        ((None, 3), None, False),
        ((1, "1 "), None, False),
        ((1.5, float("nan")), None, False),
        ((10**400, 1), None, False),
    ],
)
def test_only_numbers_are_to_scale(values: tuple[object, ...], numbers: object, log: bool) -> None:
    """On a logarithmic axis where they span more than a factor of ten."""
    axes = (Axis("x", values, 0),)
    (dimension,) = grid(Sweep("s", axes, rows_of(axes), "")).dimensions
    assert dimension.numbers == numbers
    assert dimension.log is log


def test_a_line_holds_all_other_axes() -> None:
    """Its points are in order of their axis."""
    sweep = swept.a_sweep()
    found = grid(sweep)
    assert {key: line.tolist() for key, line in found.lines(0).items()} == {
        (0,): [0, 2, 4, 6, 8],
        (1,): [1, 3, 5, 7, 9],
    }
    assert next(iter(found.lines(1))) == (3,)  # the reference's k
    assert found.held([0], (1,)) == "recipe interpretable"
    assert found.title(3) == "k 10, recipe interpretable"
    assert found.short(3) == "10, interpretable"


def test_a_point_without_a_number_is_a_gap() -> None:
    """NaN, of the estimate and of both bounds; where no estimate is there, what was judged."""
    sweep = swept.a_sweep()
    bare = dataclasses.replace(sweep.rows[0], estimates={})
    found = grid(dataclasses.replace(sweep, rows=(bare, *sweep.rows[1:])))
    numbers = found.numbers("agreement")
    assert np.isnan(numbers[[1, 2, 9]]).all()
    np.testing.assert_allclose(numbers[0], [0.78, 0.755, 0.805])
    assert np.isnan(found.numbers("unheard of")).all()


def test_thresholds_are_each_points_own() -> None:
    """What `within` asks for moves with k; of one end the other is open."""
    found = grid(swept.a_sweep())
    np.testing.assert_allclose(found.thresholds("sparsity")[[0, 8]], [[4.5, 5.5], [90.0, 110.0]])
    np.testing.assert_array_equal(found.thresholds("accuracy")[0], [0.75, np.nan])
    assert np.isnan(found.thresholds("accuracy")[1]).all()


def test_gates_come_first_then_what_is_always_shown() -> None:
    """Each once, with title, unit and direction; the first stability that all points have."""
    found = grid(swept.a_sweep())
    names = [one.name for one in found.measured]
    assert names == [*swept.GATES, "agreement_above_controls", "max_sensitivity.gradients"]
    assert [one.gate for one in found.measured] == [True] * 7 + [False] * 2
    assert found.of("fraction_unexplained").label == "share, lower is better"
    assert found.of("unheard of").title == "unheard of"


def test_stability_is_of_a_method_that_all_have() -> None:
    """One that a point lacks is passed over, and points without any number do not count."""
    sweep = swept.a_sweep()
    less = {name: one for name, one in sweep.rows[4].estimates.items() if name != "max_sensitivity.gradients"}
    rows = [*sweep.rows[:4], dataclasses.replace(sweep.rows[4], estimates=less), *sweep.rows[5:]]
    assert grid(dataclasses.replace(sweep, rows=tuple(rows))).stability == "max_sensitivity.smoothgrad"
    assert grid(swept.lost_alone()).stability == ""
