"""Charts of nights: true to their numbers, few bytes, and seaborn only where it draws."""

from __future__ import annotations

import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path

from harness import figures
from harness.figures import Axis, Levels, Nights, Span, Tonight
from harness.figures.standing import FARTHEST
from harness.figures.strips import CROWDED
from harness.history.past import Point
from harness.report.nights import numbers_of


def some_nights(count: int = 40, *, missing: tuple[int, ...] = (), out: tuple[int, ...] = ()) -> Nights:
    """Nights 1 to `count` round 0.9, with intervals of 0.01 to either side."""
    at = np.array([one for one in range(1, count + 1) if one not in missing], dtype=np.int64)
    values = 0.9 + 0.004 * np.random.default_rng(0).standard_normal(len(at))
    return Nights(at, values, values - 0.01, values + 0.01, at <= 10, np.isin(at, out), at)


AXIS = Axis(1, 40, {number: f"2026-01-{number:02d}" for number in range(1, 41)})
ALL = Levels(0.9, (0.89, 0.91), (0.88, 0.92), [(1, 20, 0.9), (21, 40, 0.89)])


def dots(figure: Figure) -> list[float]:
    """Heights of all dots that are drawn as ways that lead back to where they began."""
    patches = [one for one in figure.axes[0].get_children() if isinstance(one, PathPatch)]
    paths = [one.get_path() for one in patches]
    return sorted(
        float(corner[1])
        for path in paths
        for codes in [np.asarray(path.codes).tolist()]
        for corner, code in zip(np.asarray(path.vertices), codes, strict=True)
        if code == Path.MOVETO and Path.CLOSEPOLY in codes
    )


def texts(figure: Figure) -> list[str]:
    """Every text beside the axes."""
    return [one.get_text() for one in figure.axes[0].texts]


def lines(figure: Figure) -> list[Line2D]:
    return list(figure.axes[0].lines)


def test_every_night_that_counts_is_a_dot() -> None:
    """At its number, whether of the warm-up or not; what counts for nothing is none."""
    nights = some_nights(missing=(5, 17), out=(20,))
    figure = figures.strip(nights, AXIS, ALL)
    np.testing.assert_allclose(dots(figure), np.sort(nights.values[nights.at != 20]))


def test_a_missing_night_breaks_line_and_band() -> None:
    """Between its neighbours nothing is drawn, and a night alone bears its interval as a stroke."""
    figure = figures.strip(some_nights(missing=(5, 17, 19)), AXIS, Levels())
    (band,) = (one for one in figure.axes[0].collections if isinstance(one, PolyCollection))
    spans = [(path.get_extents().xmin, path.get_extents().xmax) for path in band.get_paths()]
    assert [one for one in spans if one[0] < one[1]] == [(1, 4), (6, 16), (20, 40)]
    line = next(one for one in lines(figure) if len(np.asarray(one.get_xdata())) > 30)
    assert np.isnan(np.asarray(line.get_xdata(), dtype=float)).sum() == 3
    strokes = [
        one for one in figure.axes[0].get_children() if isinstance(one, PathPatch) and one.get_alpha() == 0.3
    ]
    assert [float(np.asarray(one.get_path().vertices)[0, 0]) for one in strokes] == [18.0]


def test_of_many_nights_no_line_is_drawn() -> None:
    """Their dots touch; a line would be as many bytes again."""
    many, few = CROWDED + 1, CROWDED
    for count, drawn in ((many, False), (few, True)):
        figure = figures.strip(some_nights(count), Axis(1, count), Levels())
        assert any(len(np.asarray(one.get_xdata())) == count for one in lines(figure)) == drawn


def test_what_numbers_are_held_against_is_named_beside_them() -> None:
    """Pin, threshold and the last number, none over another; a far threshold is told, outside."""
    nights = some_nights()
    figure = figures.strip(nights, AXIS, Levels(0.9, (0.5,), None))
    assert "pin 0.9" in texts(figure)
    assert "threshold 0.5, below" in texts(figure)
    assert f"{nights.values[-1]:.4g}" in texts(figure)
    assert figure.axes[0].get_ylim()[0] > 0.85
    heights = sorted(one.xy[1] for one in figure.axes[0].texts if hasattr(one, "xy") and one.xy[0] > 1)
    assert len(heights) == 3
    assert np.diff(heights).min() > 0.12
    near = figures.strip(nights, AXIS, Levels(None, (0.87,), None))
    assert "threshold 0.87" in texts(near)
    assert near.axes[0].get_ylim()[0] < 0.87


def test_alarms_span_their_nights() -> None:
    """From the first bad night to the end, or to the edge while open; one before the drawn nights is not."""
    spans = [Span("alarm", 30, None), Span("notice", 12, 15), Span("improvement", -9, -3)]
    figure = figures.strip(some_nights(), AXIS, Levels(), spans=spans)
    found = [
        (one.get_x(), one.get_x() + one.get_width())
        for one in figure.axes[0].patches
        if isinstance(one, Rectangle)
    ]
    assert found == [(29.5, 40.5), (11.5, 14.5)]


def test_letters_stand_above_their_nights_and_apart() -> None:
    """Where two would touch the second is left out, and its dotted line stays."""
    signs = {3: "P", 40: "VS", 45: "M", 390: "C", 499: "A"}
    figure = figures.strip(some_nights(), Axis(1, 400), Levels(), signs=signs)
    assert [one for one in texts(figure) if one.isupper() and one.isalpha()] == ["P", "VS", "C"]
    dotted = [
        one
        for one in figure.axes[0].get_children()
        if isinstance(one, PathPatch) and one.get_linestyle() not in ("solid", "-")
    ]
    (one,) = dotted
    assert np.asarray(one.get_path().vertices)[::2, 0].tolist() == [3, 40, 45, 390]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_nights_are_drawn(count: int) -> None:
    """None, one, two: with bounds and without."""
    nights = some_nights(count)
    bare = Nights(
        nights.at,
        nights.values,
        np.full(count, np.nan),
        np.full(count, np.nan),
        nights.young,
        nights.out,
        nights.place,
    )
    for one in (nights, bare):
        text = figures.svg(figures.strip(one, Axis(1, 1), Levels()), "a")
        ElementTree.fromstring(text)


def test_a_constant_series_has_room() -> None:
    """Its axis has two ends."""
    nights = some_nights()
    constant = np.full(len(nights.at), 50.0)
    empty = np.full(len(nights.at), np.nan)
    figure = figures.strip(
        Nights(nights.at, constant, empty, empty, nights.young, nights.out, nights.place), AXIS, Levels(50.0)
    )
    low, high = figure.axes[0].get_ylim()
    assert low < 50 < high


def test_a_year_is_few_bytes_and_the_same_again() -> None:
    """A year of dots and intervals is under forty thousand bytes, and the same bytes each time."""
    year = Axis(1, 365, dict.fromkeys(range(1, 366), "2026-01-01"))
    nights = some_nights(365, missing=tuple(range(3, 365, 11)), out=(100, 200))
    one, two = (
        figures.svg(figures.strip(nights, year, ALL, spans=[Span("alarm", 300, None)], signs={40: "V"}), "a")
        for _ in range(2)
    )
    assert one == two
    assert len(one) < 40_000
    assert "style=" not in one
    ElementTree.fromstring(one)


def test_nights_stand_below_themselves() -> None:
    """Every chart of the same nights is as wide as another, whatever stands beside its axes."""
    names = [
        figures.strip(some_nights(), AXIS, ALL),
        figures.strip(some_nights(), AXIS, Levels(1234567.0)),
        figures.timeline({"commit": [1, 2, 40], "not recorded": [7]}, AXIS),
    ]
    sizes = {ElementTree.fromstring(figures.svg(one, "a")).attrib["width"] for one in names}
    assert len(sizes) == 1


def test_a_timeline_has_a_stroke_a_night() -> None:
    """In its row; nights outside the axis are left out."""
    figure = figures.timeline({"commit": [1, 2, 40, 41], "machine": [], "version": [7]}, AXIS)
    paths = [
        np.asarray(one.get_path().vertices)[::2].tolist()
        for one in figure.axes[0].get_children()
        if isinstance(one, PathPatch)
    ]
    assert [[corner[0] for corner in one] for one in paths] == [[1, 2, 40], [7]]


def test_the_key_names_every_sign() -> None:
    """The words of the legend."""
    text = figures.svg(figures.strip_key(), "a")
    for word in ("night", "warm-up", "interval", "pin", "threshold", "alarm", "excluded", "no number"):
        assert f">{word}</text>" in text


def test_a_small_line_ends_in_its_last_number() -> None:
    """The dot is tonight, in the colour of an alarm where one is open; what counts for nothing is no part."""
    nights = some_nights(30, out=(30,))
    for red in (False, True):
        figure = figures.sparkline(nights, (0.89, 0.91), red=red)
        dot = lines(figure)[-1]
        assert np.asarray(dot.get_ydata()).tolist() == [nights.values[28]]
        assert (dot.get_color() == figures.SERIES[5]) == red
    assert len(figures.svg(figures.sparkline(nights, None, red=False), "a")) < 1500
    ElementTree.fromstring(figures.svg(figures.sparkline(some_nights(0), None, red=False), "a"))


def test_tonight_stands_among_the_nights_before() -> None:
    """A shape a row that moved, a dot for tonight, at the axis's end what lies beyond it."""
    generator = np.random.default_rng(0)
    rows = [
        Tonight("Usual", generator.standard_normal(60), 0.5, "+0.5", False),
        Tonight("Far", generator.standard_normal(60), -40.0, "-40.0", True),
        Tonight("Constant", np.empty(0), None, "as ever", False),
    ]
    figure = figures.standing(rows)
    assert texts(figure)[:3] == ["+0.5", "-40.0", "as ever"]
    places = {
        float(np.asarray(one.get_ydata())[0]): float(np.asarray(one.get_xdata())[0])
        for one in lines(figure)
        if one.get_marker() in ("o", "<")
    }
    assert places[0.0] == 0.5
    assert -FARTHEST < places[1.0] < -0.9 * FARTHEST
    assert len([one for one in figure.axes[0].collections if isinstance(one, PolyCollection)]) == 2
    ElementTree.fromstring(figures.svg(figure, "a"))
    ElementTree.fromstring(figures.svg(figures.standing(rows[2:]), "a"))


@pytest.mark.thorough
def test_seaborn_is_loaded_where_it_draws() -> None:
    """To draw a strip does not load it, nor pandas and scipy with it."""
    code = (
        "import sys; from harness import figures; "
        "from tests.test_figures_nights import some_nights, AXIS, ALL; "
        "figures.svg(figures.strip(some_nights(), AXIS, ALL), 'a'); "
        "sys.exit(any(name in sys.modules for name in ('seaborn', 'pandas', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_second_measurement_parts_no_nights() -> None:
    """Its number lies between those of neighbours; a night that is missing parts them."""
    points = [Point(f"{number:06d}-a", 0.9, None, None, "counted") for number in (1, 2, 4, 6, 7)]
    assert numbers_of(points).place.tolist() == [1, 2, 4, 6, 7]
    assert numbers_of(points, ["000003-b"]).place.tolist() == [1, 2, 3, 5, 6]
