"""Charts of sweeps: bands and strokes where intervals are, thresholds, labels that part, frames."""

from __future__ import annotations

import itertools
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.text import Text

from harness import figures
from harness.figures import Along, Course, Shift, Traded
from harness.figures.trades import _overlap

NAN = float("nan")


def a_course(values: list[float], half: float = 0.1, name: str = "a") -> Course:
    numbers = np.array(values)
    return Course(name, np.arange(1.0, len(values) + 1), numbers, numbers - half, numbers + half)


def texts(figure: Figure) -> list[str]:
    return [one.get_text() for one in figure.axes[0].texts]


def test_a_gap_breaks_line_and_band() -> None:
    """A point alone bears its interval as a stroke."""
    figure = figures.courses("t", "u", Along("k"), [a_course([1, NAN, 3, NAN, 5, 6])])
    (band,) = (one for one in figure.axes[0].collections if isinstance(one, PolyCollection))
    spans = [(path.get_extents().xmin, path.get_extents().xmax) for path in band.get_paths()]
    assert [one for one in spans if one[0] < one[1]] == [(5, 6)]
    strokes = [one for one in figure.axes[0].collections if isinstance(one, LineCollection)]
    assert sorted(segment[0][0] for one in strokes for segment in one.get_segments()) == [1, 3]
    (line,) = figure.axes[0].lines
    assert np.isnan(np.asarray(line.get_ydata(), dtype=float)).sum() == 2


def test_lines_are_told_apart_without_their_colours() -> None:
    """Six lines have six markers and six dashes, and so has their key."""
    names = [f"line {one}" for one in range(figures.COURSES)]
    figure = figures.courses("t", "u", Along("k"), [a_course([1, 2], name=name) for name in names])
    assert len({(one.get_marker()) for one in figure.axes[0].lines}) == 6
    assert len({str(one._dash_pattern) for one in figure.axes[0].lines}) == 6  # type: ignore[attr-defined]
    legend = figures.courses_key(names, threshold=True).axes[0].get_legend()
    assert legend is not None
    assert [one.get_text() for one in legend.get_texts()] == [*names, "threshold"]


def test_named_values_are_side_by_side() -> None:
    """Dots with strokes, no line between what has no between."""
    lines = [
        Course(name, np.array([0.0, 1.0]), np.array([1.0, 2.0]), np.array([0.9, 1.9]), np.array([1.1, 2.1]))
        for name in "ab"
    ]
    axes = figures.courses("t", "u", Along("recipe", ("x", "y")), lines).axes[0]
    assert [one.get_linestyle() for one in axes.lines] == ["None", "None"]
    first, second = (np.asarray(one.get_xdata(), dtype=float) for one in axes.lines)
    assert (first < second).all()
    assert [one.get_text() for one in axes.get_xticklabels()] == ["x", "y"]


@pytest.mark.parametrize(
    ("threshold", "text"), [(1.5, ""), (90.0, "threshold 90 lies above"), (-90.0, "threshold -90 lies below")]
)
def test_a_threshold_far_away_is_told_in_words(threshold: float, text: str) -> None:
    """It would flatten all else; one near is a dashed line."""
    asked = [(np.array([1.0, 2.0]), np.full(2, threshold))]
    figure = figures.courses("t", "u", Along("k"), [a_course([1, 2])], asked)
    assert texts(figure) == ([text] if text else [])
    assert len(figure.axes[0].lines) == (1 if text else 2)
    low, high = figure.axes[0].get_ylim()
    assert (low < threshold < high) is not bool(text)


def test_ticks_are_the_values_where_they_can_be_told_apart() -> None:
    """On a scale of factors too."""
    close = figures.courses("t", "u", Along("k", at=(1, 2, 100)), [a_course([1.0] * 100)]).axes[0]
    assert 2 not in close.get_xticks()
    log = figures.courses("t", "u", Along("k", at=(1, 2, 100), log=True), [a_course([1, 2])]).axes[0]
    assert log.get_xscale() == "log"
    assert log.get_xticks().tolist() == [1, 2, 100]


def test_a_trade_off_has_each_point_and_its_intervals() -> None:
    """Of the front a diamond, of others a circle, round the reference a ring."""
    points = [
        Traded("a", (1.0, 0.9, 1.1), (2.0, 1.9, 2.1), True),
        Traded("b", (2.0, None, None), (1.0, 0.9, 1.1), True, reference=True),
        Traded("c", (1.5, None, None), (1.0, None, None), False),
    ]
    axes = figures.trade_off(points, "x", "y").axes[0]
    by_marker = {
        one.get_marker(): one for one in axes.lines if one.get_label() in ("Pareto front", "dominated")
    }
    assert np.asarray(by_marker["D"].get_xydata()).tolist() == [[1, 2], [2, 1]]
    assert np.asarray(by_marker["o"].get_xydata()).tolist() == [[1.5, 1]]
    bars = [one for one in axes.lines if one.get_alpha() == 0.6]
    assert len(bars) == 3
    assert [one.get_text() for one in axes.texts] == ["a", "b", "c"]
    (ring,) = (one for one in axes.lines if one.get_label() == "the reference")
    assert np.asarray(ring.get_xydata()).tolist() == [[2, 1]]


def test_titles_of_a_trade_off_are_whole() -> None:
    """However long, in lines of the chart's width, and above the key."""
    long = "Agreement over the largest control without a trained model [correlation, higher is better]"
    figure = figures.trade_off([Traded("a", (1.0, None, None), (2.0, None, None), True)], long, long)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    (title,) = (
        one
        for one in axes.get_children()
        if isinstance(one, Text) and one.get_text() and one.get_text() == axes.get_title(loc="left")
    )
    for text in (axes.xaxis.label, title):
        assert text.get_text().replace("\n", " ") == long
        assert text.get_text().splitlines()[-1] == "[correlation, higher is better]"
        assert text.get_window_extent().width < figure.bbox.width
    legend = axes.get_legend()
    assert legend is not None
    assert legend.get_window_extent().y1 <= axes.xaxis.label.get_window_extent().y0


def test_labels_cover_neither_points_nor_one_another() -> None:
    """Of points close to one another some have none."""
    generator = np.random.default_rng(3)
    points = [
        Traded(f"point {one}", (float(x), None, None), (float(y), None, None), False)
        for one, (x, y) in enumerate(generator.normal(size=(40, 2)))
    ]
    figure = figures.trade_off(points, "x", "y")
    figure.draw_without_rendering()
    boxes = [one.get_window_extent().extents for one in figure.axes[0].texts]
    assert 10 < len(boxes) <= 40
    assert not any(_overlap(tuple(a), tuple(b)) for a, b in itertools.combinations(boxes, 2))
    dots = figure.axes[0].transData.transform([(one.x[0], one.y[0]) for one in points])
    assert not any(a[0] < x < a[2] and a[1] < y < a[3] for a in boxes for x, y in dots)


def test_a_shift_is_clear_by_shape_and_weight() -> None:
    """Zero is in sight, with its sides named; without a direction they have no names."""
    rows = [
        Shift("a", 0.3, 0.2, 0.4, "+0.3"),
        Shift("b", 0.3, -0.1, 0.7, "+0.3"),
        Shift("c", None, None, None, "no number"),
    ]
    assert [row.clear for row in rows] == [True, False, False]
    axes = figures.shifts(rows, "x", better=False).axes[0]
    assert [one.get_marker() for one in axes.lines if len(np.atleast_1d(one.get_xdata())) == 1] == ["D", "o"]
    assert [one.get_text() for one in axes.texts] == ["+0.3", "+0.3", "no number", "better", "worse"]
    assert [one.get_fontweight() for one in axes.texts[:3]] == ["bold", "normal", "normal"]
    assert axes.get_xlim()[0] < 0
    assert len(figures.shifts(rows, "x", better=None).axes[0].texts) == 3


def test_a_plane_frames_its_reference() -> None:
    """A cell without a number is empty; of equal numbers the colours are one."""
    values = np.array([[1.0, NAN], [1.0, 1.0]])
    words = [["1", ""], ["1", "1"]]
    figure = figures.plane(
        values, words, words, ["r", "s"], ["c", "d"], title="t", labels=("x", "y"), framed=(1, 0)
    )
    patches = figure.axes[0].patches
    assert len(patches) == 4
    assert len({one.get_facecolor() for one in patches[:3]}) == 1
    assert not patches[3].get_fill()
    assert (patches[3].get_x(), patches[3].get_y()) == (0.04, 1.06)  # type: ignore[attr-defined]


def test_drawings_are_xml_whatever_they_say() -> None:
    """Names with markup in them are text."""
    name = "<b>&$x$"
    drawn = [
        figures.courses(name, name, Along(name, (name, name)), [a_course([1, 2], name=name)]),
        figures.courses_key([name]),
        figures.trade_off(
            [Traded(name, (1, None, None), (1, None, None), True, reference=True)], name, name, log=True
        ),
        figures.shifts([Shift(name, 0.0, 0.0, 0.0, name)], name, better=True),
        figures.plane(
            np.full((1, 1), NAN), [[name]], [[name]], [name], [name], title=name, labels=(name, name)
        ),
    ]
    for number, figure in enumerate(drawn):
        ElementTree.fromstring(figures.svg(figure, f"n{number}"))
