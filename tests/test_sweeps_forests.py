"""Differences from the reference: who is clear is named, and what cannot be told is said."""

from __future__ import annotations

import dataclasses

from harness.sweeps.forests import FOREST, REASONS, forests, untold
from harness.sweeps.grids import grid
from harness.sweeps.records import Difference, Sweep
from tests import swept


def test_a_forest_a_measurement_in_the_order_of_the_page() -> None:
    """Every point that was compared is a row, whatever the order of the differences."""
    sweep = swept.a_sweep()
    found = forests(grid(sweep), tuple(reversed(sweep.differences)))
    assert [one.finding.split(" is ")[0] for one in found] == [
        "Test accuracy",
        "Agreement of the attribution methods",
        "Fraction of variance unexplained",
        "Agreement above its largest control",
    ]
    assert [len(one.rows) for one in found] == [7] * 4
    assert len({one.name for one in found}) == 4


def test_a_point_is_named_where_its_interval_leaves_out_0() -> None:
    """With its direction and whether that is better; a bound at 0 does not leave it out."""
    sweep = swept.one_axis([5, 10, 25, 50, 100])
    known = [
        ("fraction_unexplained", 0.1, 0.05, 0.15),
        ("fraction_unexplained", -0.1, -0.15, -0.05),
        ("fraction_unexplained", 0.1, 0.0, 0.2),
        ("fraction_unexplained", None, None, None),
    ]
    differences = [
        Difference(
            row.point.id,
            name,
            change,
            low,
            high,
            None if change is None else 0.01,
            12,
            "why not" * (change is None),
        )
        for row, (name, change, low, high) in zip(sweep.rows[1:], known, strict=True)
    ]
    (chart,) = forests(grid(sweep), differences)
    assert chart.finding == (
        "Fraction of variance unexplained is higher than the reference, worse, at k 10 (+0.1); "
        "it is lower than the reference, better, at k 25 (-0.1). Of 1 point nothing can be told."
    )
    assert chart.rows[0] == ("k 10", "0.1", "0.05 to 0.15", "0.01", "12", "–")
    assert chart.rows[3] == ("k 100", "–", "–", "–", "12", "why not")


def test_where_nobody_is_clear_nobody_is_named() -> None:
    """The sentence says that of none."""
    sweep = swept.one_axis([5, 10])
    (chart,) = forests(grid(sweep), [Difference(sweep.rows[1].point.id, "accuracy", 0.1, -0.1, 0.3, 0.5, 9)])
    assert chart.finding == "Test accuracy: of no point does the interval leave out 0."


def test_of_many_points_the_clear_and_the_large_are_drawn() -> None:
    """In the order of the points, and the sentence says how many."""
    sweep = swept.one_axis(range(1, 202))
    differences = [
        Difference(
            row.point.id,
            "accuracy",
            at / 1000,
            *((at / 1000 - 0.001, 1.0) if at == 3 else (-1.0, 1.0)),
            0.5,
            9,
        )
        for at, row in enumerate(sweep.rows)
        if at
    ]
    (chart,) = forests(grid(sweep), differences)
    assert f"Drawn are {FOREST} of 200, the clear and the large ones first." in chart.finding
    names = [row[0] for row in chart.rows]
    assert names == ["k 4", *(f"k {one}" for one in range(173, 202))]


def silent(sweep: Sweep, name: str, *reasons: str) -> list[Difference]:
    """Nothing of a measurement at any point but the first."""
    points = [row.point.id for row in sweep.rows[1:]]
    return [
        Difference(point, name, None, None, None, None, 0, reason)
        for point, reason in zip(points, reasons, strict=True)
    ]


def test_where_nothing_can_be_told_nothing_is_drawn() -> None:
    """A sentence has the measurements, those of one reason together, and of many reasons the first few."""
    sweep = swept.one_axis([5, 10, 25])
    lost = "the reference is lost"
    both = [*silent(sweep, "accuracy", lost, lost), *silent(sweep, "agreement", lost, lost)]
    whole = grid(sweep)
    assert forests(whole, both) == []
    assert untold(whole, both) == (
        "No difference can be told of Test accuracy; Agreement of the attribution methods "
        "(the reference is lost)."
    )
    told = Difference(sweep.rows[1].point.id, "accuracy", 0.1, -0.1, 0.3, 0.5, 9)
    one = [told, *silent(sweep, "accuracy", "a", "b"), *silent(sweep, "agreement", "a", "b")]
    assert [chart.name for chart in forests(whole, one)] == ["differences-1"]
    assert untold(whole, one) == "No difference can be told of Agreement of the attribution methods (a; b)."
    assert untold(whole, [told]) == ""
    many = swept.one_axis(range(40))
    reasons = [f"reason {number}" for number in range(39)]
    assert untold(grid(many), silent(many, "accuracy", *reasons)).endswith(
        f"reason {REASONS - 1}; and {39 - REASONS} more)."
    )


def test_a_measurement_that_nobody_has_is_drawn_by_its_name() -> None:
    """A difference of what the page knows nothing else of, at a point that it does not know."""
    sweep = dataclasses.replace(swept.one_axis([5, 10]), differences=())
    (chart,) = forests(grid(sweep), [Difference("gone", "other", 1.0, 0.5, 1.5, 0.01, 3)])
    assert chart.finding == "other is higher than the reference, at gone (+1)."
