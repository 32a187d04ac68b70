"""Charts along axes and over planes: true to their numbers, and open about what they leave out."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from matplotlib.lines import Line2D

from harness.report.page import Chart
from harness.sweeps.charts import along, parted, planes, spoken
from harness.sweeps.grids import grid
from harness.sweeps.records import Axis, Sweep
from tests import swept


def charts_of(sweep: Sweep) -> tuple[Any, Any]:
    points = grid(sweep)
    moving, _, _ = parted(points)
    return along(points, moving), planes(points, moving)


def lines(chart: Chart) -> list[Line2D]:
    """Those that have a marker, which thresholds have not."""
    return [one for one in chart.figure.axes[0].lines if one.get_marker() not in ("None", None, "")]


def test_what_does_not_move_is_told_and_not_drawn() -> None:
    """With its number; and what has none."""
    sweep = swept.a_sweep()
    moving, still, silent = parted(grid(sweep))
    assert still == {"selection": "Wanted samples that are right and sure 1"}
    assert not silent
    assert len(moving) == 8
    rows = tuple(
        dataclasses.replace(row, estimates={"accuracy": swept.a_number("accuracy", None)}, criteria=())
        for row in sweep.rows
    )
    assert parted(grid(dataclasses.replace(sweep, rows=rows))) == ([], {}, ["Test accuracy"])


def test_each_measurement_has_a_panel_along_each_axis() -> None:
    """Its lines are the estimates, in order of the axis; the table has every point."""
    parts, _ = charts_of(swept.a_sweep())
    assert [one.title for one in parts] == ["Along k", "Along recipe"]
    assert [len(one.charts) for one in parts] == [8, 8]
    chart = next(
        one
        for one in parts[0].charts
        if one.finding.startswith(("Along k: Agreement of", "Over k and recipe: Agreement of"))
    )
    reference, other = lines(chart)
    assert np.asarray(reference.get_xdata()).tolist() == [5, 10, 25, 50, 100]
    expected = [swept.numbers_at(k, False)["agreement"] for k in (5, 10, 25, 50, 100)]
    expected[1] = np.nan
    np.testing.assert_allclose(np.asarray(reference.get_ydata(), dtype=float), expected)
    assert np.isnan(np.asarray(other.get_ydata(), dtype=float)[[0, 4]]).all()
    assert len(chart.rows) == 10
    assert ("k 10", "recipe reference", "–", "–") in chart.rows
    assert parts[0].key is not None
    assert parts[0].key.finding == "The lines are of recipe reference; recipe interpretable."


@pytest.mark.thorough
def test_a_finding_has_ends_threshold_and_misses() -> None:
    """In words, with the points at which they are."""
    parts, _ = charts_of(swept.a_sweep())
    text = next(
        one.finding
        for one in parts[0].charts
        if one.finding.startswith(("Along k: Agreement of", "Over k and recipe: Agreement of"))
    )
    assert text == (
        "Along k: Agreement of the attribution methods, 7 points of 10: lowest 0.5 [0.475, 0.525] at k 100, "
        "recipe reference, highest 0.8352 [0.8102, 0.8602] at k 10, recipe interpretable; threshold ≥ 0.6, "
        "missed at k 50, recipe reference; k 100, recipe reference."
    )


@pytest.mark.thorough
def test_a_threshold_that_differs_from_line_to_line_is_not_drawn() -> None:
    """Along k both lines ask for the same at each k, along the recipe each asks for its own."""
    parts, _ = charts_of(swept.a_sweep())
    along_k, along_recipe = (
        next(one for one in part.charts if ": Active units" in one.finding) for part in parts
    )
    dashed = [one for one in along_k.figure.axes[0].lines if one not in lines(along_k)]
    np.testing.assert_allclose(
        [one.get_ydata() for one in dashed], [[4.5, 9, 22.5, 45, 90], [5.5, 11, 27.5, 55, 110]]
    )
    assert len(along_recipe.figure.axes[0].lines) == len(lines(along_recipe))
    assert "differs from line to line, and is not drawn" in along_recipe.finding
    assert "differs" not in along_k.finding


def test_of_more_than_six_lines_the_reference_is_drawn_alone() -> None:
    """And a sentence says so."""
    axes = (Axis("k", (5, 10), 0), Axis("lr", tuple(range(1, 8)), 1))
    rows = tuple(
        swept.a_row(point, swept.numbers_at(point.values["k"] + point.values["lr"], False))
        for point in swept.points_of(axes)
    )
    parts, _ = charts_of(Sweep("s", axes, rows, rows[3].point.id))
    assert parts[0].notes == [
        "Drawn is one line of 7, that of lr 4; of more than six none could be told apart."
    ]
    (line,) = lines(parts[0].charts[0])
    np.testing.assert_allclose(
        np.asarray(line.get_ydata(), dtype=float), [swept.numbers_at(k, False)["accuracy"] for k in (9, 14)]
    )
    assert not parts[1].notes
    assert len(lines(parts[1].charts[0])) == 2


def test_of_a_long_axis_so_many_values_are_drawn_as_there_is_room_for() -> None:
    """Both ends and the reference among them; an axis that falls is drawn rising."""
    sweep = swept.one_axis(range(1000, 0, -1))
    sweep = dataclasses.replace(sweep, reference=sweep.rows[500].point.id)
    (part,), _ = charts_of(sweep)
    assert part.notes == ["Drawn are 41 of 1,000 values of k."]
    (line,) = lines(part.charts[0])
    x = np.asarray(line.get_xdata(), dtype=float)
    assert (np.diff(x) > 0).all()
    assert {1, 500, 1000} <= set(x.tolist())


def test_a_plane_has_a_cell_a_point() -> None:
    """With the half-width below, a sign where the gate fails, and no cell where there is no number."""
    _, (plane,) = charts_of(swept.a_sweep())
    assert plane.title == "k by recipe"
    assert len(plane.charts) == 6  # the gates that move
    chart = next(
        one
        for one in plane.charts
        if one.finding.startswith(("Along k: Agreement of", "Over k and recipe: Agreement of"))
    )
    texts = [one.get_text() for one in chart.figure.axes[0].texts]
    assert texts.count("± 0.025") == 7
    assert "0.565 ✗" in texts
    assert "0.63" in texts
    assert "nan" not in texts
    assert chart.rows[1] == ("10", "–", "0.8352 [0.8102, 0.8602]")
    assert "the frame is the reference" in chart.finding


@pytest.mark.thorough
def test_a_plane_is_of_the_points_as_the_reference() -> None:
    """Other axes are at its values, and a sentence names them."""
    axes = (Axis("a", (5, 10), 0), Axis("b", (1, 2), 1), Axis("c", ("x", "y"), 2))
    points = swept.points_of(axes)
    rows = tuple(
        swept.a_row(point, swept.numbers_at(5.0 + number, False)) for number, point in enumerate(points)
    )
    _, found = charts_of(Sweep("s", axes, rows, rows[5].point.id))
    assert [one.title for one in found] == ["a by b", "a by c", "b by c"]
    assert [one.notes for one in found] == [["At c y."], ["At b 1."], ["At a 10."]]
    accuracy = found[0].charts[0]
    of_c_y = [f"{swept.numbers_at(5.0 + number, False)['accuracy']:.3g}" for number in (1, 3, 5, 7)]
    texts = [one.get_text() for one in accuracy.figure.axes[0].texts]
    assert [one for one in texts if not one.startswith("±")] == of_c_y


def test_many_names_are_few_and_a_number() -> None:
    """A sentence names eight."""
    assert spoken(["a", "b"]) == "a; b"
    assert spoken([str(one) for one in range(1500)]) == "0; 1; 2; 3; 4; 5; 6; 7; and 1,492 more"
