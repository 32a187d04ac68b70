"""Drawings: the same bytes for the same numbers, and colours that follow the page."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from harness import figures

RANDOM = np.random.default_rng(0)
IMAGE = RANDOM.random(784)
MAPS = {
    name: RANDOM.standard_normal(784) for name in ("gradients", "integrated_gradients", "decoder_weighted")
}


def test_the_same_figure_is_the_same_bytes() -> None:
    """Drawing twice gives the same SVG, without a date or a creator."""
    one, two = (figures.svg(figures.explanation(IMAGE, MAPS, title="x"), "a") for _ in range(2))
    assert one == two
    assert "<dc:date>" not in one


def test_figures_follow_the_page() -> None:
    """No stand-in colour is left, text is text, and the figure has no size of its own."""
    text = figures.svg(figures.explanation(IMAGE, MAPS, title="Coat"), "a")
    assert figures.INK not in text
    assert figures.LINE not in text
    assert "currentColor" in text
    assert re.search(r"<text[^>]*>Coat</text>", text)
    assert " width=" not in text.split(">", 1)[0]
    ElementTree.fromstring(text)


def test_ids_are_unique_among_figures() -> None:
    """Two figures in one page share no id, and every reference stays within its figure."""
    ids = []
    for name in ("a", "b"):
        text = figures.svg(figures.agreement_matrix(["x", "y"], {("x", "y"): 0.5}), name)
        mine = set(re.findall(r'\bid="([^"]+)"', text))
        references = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text))
        assert {part for pair in references for part in pair if part} <= mine
        ids.append(mine)
    assert not ids[0] & ids[1]


def test_the_three_rows_show_image_maps_and_numbers() -> None:
    """The figure holds the image, each map and its overlay, and each map's mean, maximum, s.d., 99 %."""
    figure = figures.explanation(IMAGE, MAPS, reconstruction=IMAGE)
    # by column and row: the image and its reconstruction, then each map and its overlay of two layers
    pairs = [((0, 0), 1), ((0, 1.2), 1)]
    for column in (1, 2, 3):
        pairs += [((column, 0), 1), ((column, 1.2), 2)]
    places = [(one.get_extent()[0], one.get_extent()[3]) for one in figure.axes[0].images]
    assert {place: places.count(place) for place in places} == dict(pairs)
    text = figures.svg(figure, "a")
    for values in MAPS.values():
        assert f"max  {values.max(): .3f}" in text.replace("&#160;", " ")


def test_heat_is_centred_at_zero() -> None:
    """A heatmap's limits are symmetric at the 99th percentile of |map|."""
    figure = figures.explanation(IMAGE, {"gradients": MAPS["gradients"]})
    _, heat, *_ = figure.axes[0].images
    limits = heat.get_clim()
    expected = np.quantile(np.abs(MAPS["gradients"]), 0.99)
    assert limits == pytest.approx((-expected, expected))


@pytest.mark.parametrize("values", [np.zeros(784), np.r_[np.zeros(783), 5.0], np.empty(0)])
def test_a_scale_is_never_empty(values: np.ndarray) -> None:
    """Maps of zeros, and maps with a single pixel that is not 0, have a scale of their own."""
    assert figures.heat_limit(values) > 0


def test_an_all_zero_map_is_labelled() -> None:
    """A map of zeros says so in words."""
    assert "all zero" in figures.svg(figures.explanation(IMAGE, {"gradients": np.zeros(784)}), "a")


def test_markup_in_a_title_is_text() -> None:
    """A title with markup leaves as text (fault 44)."""
    text = figures.svg(figures.explanation(IMAGE, MAPS, title="</svg><script>$x$"), "a")
    assert "<script" not in text
    ElementTree.fromstring(text)


def test_curves_show_every_seed() -> None:
    """Each seed has its line in each panel, and a legend where there are several."""
    table = pd.DataFrame(
        [
            {"seed": seed, "stage": stage, "epoch": epoch, "loss": 1 / epoch, "accuracy": 0.5}
            for seed in (0, 1)
            for stage in ("autoencoder", "classifier")
            for epoch in (1, 2, 3)
        ]
    )
    figure = figures.training_curves(table)
    assert [len(axes.lines) for axes in figure.axes] == [2, 2, 2]
    assert figure.axes[2].get_legend() is not None


def test_class_means_have_a_row_a_method() -> None:
    """Ten classes and two methods are three rows of ten pictures."""
    rows = RANDOM.random((10, 784))
    figure = figures.class_means({"a": rows, "b": rows}, rows, list("abcdefghij"), (28, 28))
    places = {(one.get_extent()[0], one.get_extent()[3]) for one in figure.axes[0].images}
    assert places == {(column, row) for column in range(10) for row in range(3)}


def test_interval_charts_draw_what_has_no_interval_too() -> None:
    """An estimate without an interval is a mark without a bar."""
    rows = [("a", 0.5, 0.4, 0.6, False), ("b", -0.2, None, None, True)]
    figure = figures.intervals(rows, 0.6, "correlation")
    text = figures.svg(figure, "a")
    assert "threshold 0.6" in text
    assert "−0.20" in text or "-0.20" in text
