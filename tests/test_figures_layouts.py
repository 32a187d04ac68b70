"""Layouts: every kind of input, and every map over it, lies where its features are."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from harness import figures
from harness.errors import InputError
from harness.figures import layouts, sprites
from harness.figures.heat import DIVERGING
from harness.figures.layouts import LANE, Layout
from harness.forms import Form, axes_of
from tests.test_gallery import pixels_of

RANDOM = np.random.default_rng(0)
SHAPES: dict[str, tuple[str, tuple[int, ...]]] = {
    "grey image": ("image", (5, 7)),
    "colour image": ("image", (3, 5, 7)),
    "image of four channels": ("image", (4, 5, 7)),
    "clip": ("clip", (4, 5, 7)),
    "colour clip": ("clip", (4, 3, 5, 7)),
    "long clip": ("clip", (25, 5, 7)),
    "series": ("series", (40,)),
    "series of channels": ("series", (3, 40)),
    "table": ("table", (9,)),
}


def layout_of(kind: str, shape: tuple[int, ...], inputs: Any, **known: Any) -> Layout:
    """The layout of inputs; `known` is told of their form."""
    size = int(np.prod(shape))
    told = dict(scale=1.0, unit="", baseline="zero", reference=np.zeros(size, dtype=np.float32)) | known
    return Layout.of(Form(kind, axes_of(kind, len(shape)), shape, **told), inputs)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", SHAPES)
def test_each_feature_has_its_place(name: str) -> None:
    """A map of one feature alone has one place, another for each feature but for a pixel's channels."""
    kind, shape = SHAPES[name]
    size = int(np.prod(shape))
    layout = layout_of(kind, shape, np.zeros((1, size)))
    laid = layout.laid(layout.places(np.eye(size)))
    assert laid.shape[1:] == layout.shape
    assert (np.nansum(laid, axis=(1, 2)) == 1).all()
    places = {int(np.nanargmax(one)) for one in laid}
    assert len(places) == size // (layout.channels if layout.is_picture else 1)


def test_a_pixels_channels_are_added_up() -> None:
    """With their signs, in images and in clips."""
    for shape, axis in (((3, 5, 7), 1), ((4, 3, 5, 7), 2)):
        maps = RANDOM.standard_normal((2, *shape))
        layout = layout_of("image" if axis == 1 else "clip", shape, maps.reshape(2, -1))
        places = layout.places(maps.reshape(2, -1))
        np.testing.assert_allclose(places, maps.sum(axis=axis).reshape(2, -1))


def test_three_channels_are_red_green_and_blue() -> None:
    """In this order, in [0, 1]; other numbers of channels are the grey of their mean."""
    images = RANDOM.random((2, 3, 5, 7))
    pictures = layout_of("image", (3, 5, 7), images.reshape(2, -1)).pictures(images.reshape(2, -1))
    np.testing.assert_allclose(pictures, images.transpose(0, 2, 3, 1))
    four = RANDOM.random((2, 4, 5, 7))
    pictures = layout_of("image", (4, 5, 7), four.reshape(2, -1)).pictures(four.reshape(2, -1))
    np.testing.assert_allclose(pictures, four.mean(axis=1))


def test_brightness_keeps_its_scale_and_other_values_get_their_own() -> None:
    """A dark image stays dark; temperatures are drawn from the least to the greatest."""
    dark = np.full((1, 6), 0.2)
    np.testing.assert_array_equal(layout_of("image", (2, 3), dark).pictures(dark), 0.2)
    warm = np.linspace(280, 300, 6)[None]
    pictures = layout_of("image", (2, 3), warm, unit="K").pictures(warm)
    np.testing.assert_allclose(pictures.ravel(), np.linspace(0, 1, 6))


def test_the_baseline_is_added_back() -> None:
    """What is drawn are the values, not what the network sees of them."""
    reference = np.full(6, 0.5, dtype=np.float32)
    seen = RANDOM.random((1, 6)) - 0.5
    layout = layout_of("image", (2, 3), seen, baseline=0.5, reference=reference)
    np.testing.assert_allclose(layout.pictures(seen).ravel(), seen.ravel() + 0.5, atol=1e-7)


@pytest.mark.parametrize("count", [1, 8, 10, 11, 25])
def test_frames_stand_in_their_order_and_apart(count: int) -> None:
    """Each frame is found where its field says, whole; between fields nothing is drawn."""
    frames = RANDOM.random((1, count, 4, 6))
    layout = layout_of("clip", (count, 4, 6), frames.reshape(1, -1))
    (strip,) = layout.pictures(frames.reshape(1, -1))
    assert layout.frames_a_line <= layouts.FRAMES
    places = []
    for frame, (left, top, width, height) in zip(frames[0], layout.fields, strict=True):
        np.testing.assert_array_equal(strip[top : top + height, left : left + width], frame)
        places.append((top, left))
    assert places == sorted(places)
    assert np.isfinite(strip).sum() == frames.size


@pytest.mark.parametrize("kind", ["image", "series"])
def test_many_neighbours_are_drawn_as_their_mean(kind: str) -> None:
    """No side is drawn in more points than can be told apart, and the mean over all stays."""
    shape = (300, 200) if kind == "image" else (2, 2000)
    maps = RANDOM.standard_normal((1, int(np.prod(shape))))
    layout = layout_of(kind, shape, maps)
    laid = layout.laid(layout.places(maps))
    assert max(laid.shape[1:]) <= layouts.SIDES[kind] < max(shape)
    assert layout.step > 1
    first = maps.reshape(shape)[: layout.step if kind == "image" else 1, : layout.step]
    assert laid[0, 0, 0] == pytest.approx(first.mean())


def test_a_peak_of_a_long_series_is_drawn() -> None:
    """Of points that are drawn as one, the line goes through the lowest and the highest."""
    series = np.zeros((1, 5000))
    series[0, 1234], series[0, 4000] = 1, -1
    where, found = layout_of("series", (5000,), series).traces(series)
    assert found.max() == 1
    assert found.min() == 0
    assert abs(where[found[0, 0].argmax()] - 1234) <= 10


def points_of(path: str) -> list[list[tuple[float, float]]]:
    """A path's lines, each by its points."""
    lines = []
    for line in path.split("M")[1:]:
        start, _, steps = line.partition("l")
        numbers = [float(one) for one in re.findall(r"-?[\d.]+", steps)]
        x, y = (float(one) for one in start.split())
        lines.append([(x, y)])
        for dx, dy in zip(numbers[::2], numbers[1::2], strict=True):
            x, y = x + dx, y + dy
            lines[-1].append((x, y))
    return lines


def test_a_path_goes_through_every_value() -> None:
    """Each channel in its own lane, from its least value below to its greatest above."""
    series = RANDOM.standard_normal((4, 3, 40))
    layout = layout_of("series", (3, 40), series.reshape(4, -1))
    for one, path in zip(series, layout.paths(series.reshape(4, -1)), strict=True):
        lines = points_of(path)
        assert len(lines) == 3
        for lane, (values, line) in enumerate(zip(one, lines, strict=True)):
            low, high = series[:, lane].min(), series[:, lane].max()
            x, y = np.array(line).T
            np.testing.assert_array_equal(x, np.arange(40) + 0.5)
            heights = (LANE * (lane + 1) - 3 - y) / (LANE - 6)
            np.testing.assert_allclose(heights, (values - low) / (high - low), atol=0.02)


def test_bars_stand_on_one_foot() -> None:
    """A row has a bar for each feature, as high as its value between the feature's least and greatest."""
    table = np.array([[0.0, 100.0, 5.0], [1.0, 300.0, 5.0], [0.5, 250.0, 5.0]])
    layout = layout_of("table", (3,), table)
    bars = [re.findall(r"M([\d.]+) (\d+)V(\d+)h", path) for path in layout.paths(table)]
    tops = np.array([[int(top) for *_, top in row] for row in bars], dtype=np.float64)
    heights = (LANE - 3 - tops) / (LANE - 6)
    np.testing.assert_allclose(heights, np.array([[0, 0, 0], [1, 1, 0], [0.5, 0.75, 0]]), atol=0.02)
    assert {foot for row in bars for _, foot, _ in row} == {str(LANE - 1)}


def test_a_colour_sheet_holds_every_image() -> None:
    """Each image stands in its cell; few colours are kept exactly, many nearly."""
    few = np.round(RANDOM.random((21, 2, 3, 3)))
    shown = pixels_of(figures.picture_sheet(few), (2, 3))[:21] / 255
    np.testing.assert_array_equal(shown, few)
    many = RANDOM.random((21, 8, 8, 3))
    shown = pixels_of(figures.picture_sheet(many), (8, 8))[:21] / 255
    assert np.abs(shown - many).mean() < 0.06


def test_what_lies_between_frames_is_seen_through() -> None:
    """Empty places of a sheet have a number of the palette of their own, without opacity."""
    strip = RANDOM.random((3, 4, 9))
    strip[:, :, 4] = np.nan
    for sheet in (
        figures.picture_sheet(strip),
        figures.heat_sheet(strip - 0.5, 1.0),
        figures.picture_sheet(np.repeat(strip[..., None], 3, axis=3)),
    ):
        alpha = pixels_of(sheet, (4, 9), mode="RGBA")[:3, ..., 3]
        np.testing.assert_array_equal(alpha == 0, np.isnan(strip))
        assert sheet.columns == sprites.COLUMNS


def test_a_sheet_is_no_wider_than_browsers_draw() -> None:
    """Wide pictures stand in fewer columns, in the same order."""
    maps = RANDOM.standard_normal((30, 1, 512))
    sheet = figures.heat_sheet(maps, 3.0)
    assert sheet.columns * 512 <= 8192
    assert sheet.rows * sheet.columns >= 30


@pytest.mark.thorough
@pytest.mark.parametrize("name", SHAPES)
def test_every_kind_has_its_figures(name: str) -> None:
    """The explanation, the class means and the atoms of every kind leave as SVG, with their words."""
    kind, shape = SHAPES[name]
    size = int(np.prod(shape))
    inputs, maps = RANDOM.random((3, size)), RANDOM.standard_normal((3, 2, size))
    layout = layout_of(kind, shape, inputs, unit="mV" if kind == "series" else "")
    by_method = {"gradients": maps[:, 0], "smoothgrad": maps[:, 1]}
    drawn = {
        "one": figures.explanation(
            inputs[0],
            {name: rows[0] for name, rows in by_method.items()},
            layout=layout,
            title="a title",
            reconstruction=inputs[1],
        ),
        "means": figures.class_means(by_method, inputs, ["a", "b", "c"], layout),
        "atoms": figures.atoms(["a", "b", "c"], inputs, inputs, maps, [["1 · +0.1", "2"]] * 3, layout),
    }
    texts = {key: figures.svg(figure, key) for key, figure in drawn.items()}
    for text in texts.values():
        ElementTree.fromstring(text)
    assert "a title" in texts["one"]
    assert "reconstruction" in texts["one"]
    for values in maps[0]:
        assert f"max  {values.max(): .3f}" in texts["one"].replace("&#160;", " ")
    assert "1 · +0.1" in texts["atoms"]
    if kind == "series":
        assert "time [points]" in texts["one"]
        assert "mV" in texts["one"]
    if name == "series of channels":
        assert "channel 2" in texts["one"]


@pytest.mark.parametrize(("kind", "shape"), [("series", (3, 40)), ("table", (3,)), ("table", (300,))])
def test_what_has_a_name_is_drawn_with_it(kind: str, shape: tuple[int, ...]) -> None:
    """On one line, cut where it is long, without what a page or a terminal would act upon."""
    count, size = shape[0], int(np.prod(shape))
    names = ("<b>&$x$\n\u202e", *(f"name of the place that is {place}" for place in range(1, count)))
    inputs = RANDOM.random((2, size))
    layout = layout_of(kind, shape, inputs, names=names)
    maps = {"gradients": RANDOM.standard_normal((1, size))}
    figures_of = [
        figures.explanation(inputs[0], {"gradients": inputs[1]}, layout=layout),
        figures.class_means(maps, inputs[:1], ["a"], layout),
    ]
    for figure in figures_of:
        texts = [text.get_text().split("\n")[0] for text in figure.axes[0].texts]
        assert "<b>&$x$" in texts
        assert any(text.startswith("name") and text.endswith("…") for text in texts)
        assert max(map(len, (text for text in texts if text.startswith("name")))) < 30
        ElementTree.fromstring(figures.svg(figure, "one"))


def test_an_image_in_colour_is_drawn_in_colour() -> None:
    """The three-row figure has the image itself, and the map over its brightness."""
    image = np.zeros((3, 4, 4))
    image[0] = 1
    figure = figures.explanation(image, {"gradients": image}, shape=(3, 4, 4))
    first, heat, *_ = figure.axes[0].images
    np.testing.assert_array_equal(np.asarray(first.get_array())[0, 0], [1, 0, 0])
    assert np.asarray(heat.get_array()).shape == (4, 4)


def test_a_series_lies_over_its_strips() -> None:
    """Each method's contributions stand twice, the second time with the line, at the same places."""
    series, maps = RANDOM.standard_normal((2, 30)), RANDOM.standard_normal((2, 30))
    figure = figures.explanation(series, {"gradients": maps}, shape=(2, 30), kind="series")
    sheet = figure.axes[0]
    strips = [one for one in sheet.images if np.asarray(one.get_array()).shape[:2] == (2, 30)]
    assert len(strips) == 2
    lines = [line for line in sheet.lines if np.size(line.get_xdata()) == 30]
    assert len(lines) == 4  # a channel each: alone, and over the strips
    left, right, bottom, top = strips[1].get_extent()
    for line in lines[2:]:
        x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
        np.testing.assert_allclose(x, left + (right - left) * (np.arange(30) + 0.5) / 30)
        assert top <= y.min()
        assert y.max() <= bottom


@pytest.mark.parametrize(("kind", "shape"), [("image", (4, 5)), ("image", (3, 4, 5)), ("series", (2, 30))])
def test_maps_of_several_networks_share_a_scale(kind: str, shape: tuple[int, ...]) -> None:
    """Each map is drawn once, in the colour of its share of the one limit; of none, nothing."""
    sample, one = RANDOM.random((2, int(np.prod(shape))))
    layout = Layout.of_shape(kind, shape, sample[None])
    maps = {"gradients": (one, -one / 2, None), "smoothgrad": (None, one / 4, None)}
    limit = 2 * float(np.abs(layout.places(one[None])).max())
    figure = figures.side_by_side(sample, maps, ("A", "B", "B − A"), layout, limit)
    drawn = [np.asarray(image.get_array()) for image in figure.axes[0].images]
    heat = layout.laid(layout.places(one[None]))[0]
    expected = [DIVERGING((share * heat / limit + 1) / 2) for share in (1, -0.5, 0.25)]
    for one_ in expected:
        assert sum(each.shape == one_.shape and np.allclose(each, one_) for each in drawn) == 1
    assert len(drawn) == len(expected) + layout.is_picture
    written = {text.get_text() for text in figure.axes[0].texts}
    assert {"A", "B", "B − A", "gradients", "smoothgrad"} <= written
    assert ("feature" in written) is False


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ({"shape": (2, 30)}, "the image must be one of 2 x 30 pixels"),
        ({"shape": (5, 5, 5, 5)}, "the shape of image data must be"),
        ({"shape": (30,), "kind": "film"}, "kind must be one of image, series, clip, table"),
    ],
)
def test_a_sample_of_another_shape_is_refused(known: dict[str, Any], told: str) -> None:
    """In a sentence that says what must be."""
    with pytest.raises(InputError, match=re.escape(told)):
        figures.explanation(np.zeros(30), {"gradients": np.zeros(30)}, **known)


def test_what_is_drawn_is_told_but_for_grey_images() -> None:
    """The words for whoever does not see it."""
    told = {
        name: layout_of(kind, shape, np.zeros((1, int(np.prod(shape))))).told
        for name, (kind, shape) in SHAPES.items()
    }
    assert told["grey image"] == ""
    assert told["colour image"].startswith("the image in colour")
    assert "3 lines over 40 points of time" in told["series of channels"]
    assert "a film strip of 25 frames" in told["long clip"]
    assert "9 bars" in told["table"]


def test_a_hundred_classes_have_a_figure_of_bounded_size() -> None:
    """No figure of classes grows past a screen's width, and no name is smaller than can be read."""
    names = [f"class number {place}" for place in range(100)]
    shares = np.full((100, 100), 0.005) + np.eye(100) * 0.5
    figure = figures.confusion(shares, names)
    assert max(figure.get_size_inches()) <= 12
    assert min(float(label.get_fontsize()) for label in figure.axes[0].get_yticklabels()) >= 6
    assert len(figure.axes[0].get_yticklabels()) == 100
    rows = RANDOM.random((20, 36))
    layout = layout_of("image", (6, 6), rows)
    means = figures.class_means({"a": rows, "b": rows}, rows, names[:20], layout)
    assert means.get_size_inches()[0] <= 12
    texts = [text.get_text() for text in means.axes[0].texts]
    assert sum(text.replace("\n", " ") in names for text in texts) == 20
