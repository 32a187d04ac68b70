"""Drawings: the same bytes for the same numbers, and colours that follow the page."""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from harness import figures
from harness.figures import Column, Line, Margin, Panel, charts, theme

RANDOM = np.random.default_rng(0)
IMAGE = RANDOM.random(784)
MAPS = {
    name: RANDOM.standard_normal(784) for name in ("gradients", "integrated_gradients", "decoder_weighted")
}


def across(line: Line2D) -> np.ndarray:
    """Where a line's points lie on the x axis: float64 [points]."""
    return np.asarray(line.get_xdata(), dtype=np.float64)


def test_the_same_figure_is_the_same_bytes() -> None:
    """Drawing twice gives the same SVG, without a date or a creator."""
    one, two = (figures.svg(figures.explanation(IMAGE, MAPS, title="x"), "a") for _ in range(2))
    assert one == two
    assert "<dc:date>" not in one


def test_figures_follow_the_page() -> None:
    """No stand-in colour is left, and text is text."""
    text = figures.svg(figures.explanation(IMAGE, MAPS, title="Coat"), "a")
    assert figures.INK not in text
    assert figures.LINE not in text
    assert "currentColor" in text
    assert re.search(r"<text[^>]*>Coat</text>", text)
    ElementTree.fromstring(text)


def test_figures_need_no_style() -> None:
    """All that a figure looks like stands in attributes, its size too; only pictures are pictures."""
    pair = {("x", "y"): (0.5, 0.4, 0.6)}
    drawn = {
        "pictures": figures.svg(figures.explanation(IMAGE, MAPS, title="Coat"), "a"),
        "cells": figures.svg(figures.agreement_matrix(["x", "y"], pair), "a"),
    }
    for text in drawn.values():
        assert "style" not in text
        size = ElementTree.fromstring(text).attrib
        assert float(size["width"]) > 100
        assert float(size["height"]) > 100
    assert drawn["pictures"].count("<image ") == 1 + 3 * len(MAPS)
    assert "<image " not in drawn["cells"]


@pytest.mark.parametrize(
    ("style", "attributes"),
    [
        ("fill: none; stroke: var(--line, #c9ccd1)", 'fill="none" stroke="var(--line, #c9ccd1)"'),
        (
            "font: 700 10px 'DejaVu Sans', sans-serif; fill: red",
            'fill="red" font-weight="700" font-size="10px"',
        ),
        ("font: 9px 'DejaVu Sans Mono'", 'font-size="9px" font-family="\'DejaVu Sans Mono\'"'),
        ("font: italic 8.84px Verdana", 'font-style="italic" font-size="8.84px" font-family="Verdana"'),
    ],
)
def test_a_style_becomes_attributes(style: str, attributes: str) -> None:
    """Each property is an attribute; a font in one property, as older matplotlibs write it, is several."""
    assert theme.attributes_of(style) == f" {attributes}"


def test_ids_are_unique_among_figures() -> None:
    """Two figures in one page share no id, and every reference stays within its figure."""
    ids = []
    for name in ("a", "b"):
        text = figures.svg(figures.agreement_matrix(["x", "y"], {("x", "y"): (0.5, 0.4, 0.6)}), name)
        mine = set(re.findall(r'\bid="([^"]+)"', text))
        references = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text))
        assert {part for pair in references for part in pair if part} <= mine
        ids.append(mine)
    assert not ids[0] & ids[1]


def test_a_figure_has_paper_and_the_page_its_own() -> None:
    """In a notebook, light or dark, it is on white; as SVG it has no ground, and is afterwards as it was."""
    figure = figures.explanation(IMAGE, MAPS)
    text = figures.svg(figure, "a")
    assert figure.get_facecolor() == (1, 1, 1, 1)
    assert "#ffffff" not in text.lower()
    written = io.BytesIO()
    figure.savefig(written)
    assert np.asarray(Image.open(written).convert("RGBA"))[0, 0].tolist() == [255] * 4


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


def test_a_legend_below_a_figure_has_its_lines() -> None:
    """Matplotlib leaves out what lies beyond the sides, which pages show: beside each name is its look."""
    numbers = np.arange(3.0)
    text = figures.svg(
        figures.lines([Panel("a", "x", [Line("up", numbers, numbers), Line("down", numbers, -numbers)])]), "a"
    )
    assert not re.findall(r"<path(?![^>]*\bd=)[^>]*>", text)
    heights = [float(found) for found in re.findall(r'y="([0-9.]+)">(?:up|down)<', text)]
    drawn = [
        float(found) for found in re.findall(r'<path d="M [0-9.]+ ([0-9.]+) [^"]*\n?"[^>]*stroke="#', text)
    ]
    assert sum(abs(height - heights[0]) < 6 for height in drawn) == 2


def test_maps_are_compared_at_the_coarser_grain() -> None:
    """How a group shares its sum among pixels says nothing: the corner holds the groups' correlation."""
    groups = np.arange(784) // 16
    names = list(MAPS)[:2]
    maps = {names[0]: MAPS[names[0]], names[1]: MAPS[names[0]] + 9 * np.tile([1.0, -1.0], 392)}

    def numbers(**given: dict[str, np.ndarray]) -> list[str]:
        corner = figures.explanation(IMAGE, maps, **given).axes[0].child_axes[0]  # type: ignore[arg-type]
        return [text.get_text() for text in corner.texts]

    assert "1.00" not in numbers()
    assert "1.00" in numbers(grains={names[1]: groups})


class OnAnotherDevice:
    """A tensor that is no array before it is on the CPU."""

    def __init__(self, values: torch.Tensor) -> None:
        self.values = values

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    def detach(self) -> OnAnotherDevice:
        return self

    def cpu(self) -> torch.Tensor:
        return self.values


TENSORS: dict[str, Callable[[torch.Tensor], object]] = {
    "float64": lambda values: values,
    "with a gradient": lambda values: values.clone().requires_grad_(),
    "of a graph": lambda values: values.clone().requires_grad_() * 1,
    "on another device": OnAnotherDevice,
    "a row of a batch": lambda values: values[None],
    "a picture": lambda values: values.view(28, 28),
}


@pytest.mark.thorough
@pytest.mark.parametrize("kind", TENSORS)
def test_tensors_are_drawn_like_arrays(kind: str) -> None:
    """A tensor's figure is that of its numbers, wherever they are and whatever hangs on them."""
    given = {name: TENSORS[kind](torch.from_numpy(values)) for name, values in MAPS.items()}
    image = TENSORS[kind](torch.from_numpy(IMAGE))
    drawn = figures.svg(figures.explanation(image, given, reconstruction=image), "a")
    assert drawn == figures.svg(figures.explanation(IMAGE, MAPS, reconstruction=IMAGE), "a")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_tensors_of_few_digits_are_drawn(dtype: torch.dtype) -> None:
    """A type that numpy does not know is drawn by its values."""
    rounded = {name: torch.from_numpy(values).to(dtype) for name, values in MAPS.items()}
    arrays = {name: values.float().numpy() for name, values in rounded.items()}
    image = torch.from_numpy(IMAGE).to(dtype)
    drawn = figures.svg(figures.explanation(image, rounded), "a")
    assert drawn == figures.svg(figures.explanation(image.float().numpy(), arrays), "a")


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
    epochs = [
        {"seed": seed, "stage": stage, "epoch": epoch, "loss": 1 / epoch, "accuracy": 0.5}
        for seed in (0, 1)
        for stage in ("autoencoder", "classifier")
        for epoch in (1, 2, 3)
    ]
    figure = figures.training_curves(epochs)
    assert [len(axes.lines) for axes in figure.axes] == [2, 2, 2]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["seed 0", "seed 1"]


@pytest.mark.parametrize("lightness", np.linspace(0, 1, 21))
def test_numbers_in_cells_can_be_read(lightness: float) -> None:
    """On every grey a cell's number has a contrast of at least 4.5:1."""
    axes = Figure().subplots()
    charts.heat_table(axes, np.array([[lightness]]), [["1"]], limits=(0, 1), colours="gray")
    ink = {"black": 0.0, "white": 1.0}[str(axes.texts[0].get_color())]
    grey = round(255 * lightness) / 255
    luminance = grey / 12.92 if grey <= 0.04045 else ((grey + 0.055) / 1.055) ** 2.4
    lighter, darker = max(ink, luminance), min(ink, luminance)
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


def test_the_matrix_shows_values_and_intervals() -> None:
    """Each pair has one cell, its interval in a second line, whichever way round the pair is named."""
    values: dict[tuple[str, str], tuple[float, float | None, float | None]] = {
        ("a", "b"): (0.5, 0.41, 0.62),
        ("c", "a"): (-0.25, None, None),
    }
    (axes,) = figures.agreement_matrix(["a", "b", "c"], values).axes
    places = {text.get_text(): tuple(np.floor(text.get_position())) for text in axes.texts}
    assert places == {"0.50": (0, 0), "0.41 to 0.62": (0, 0), "-0.25": (0, 1), "": (0, 1)}


def test_a_cell_without_a_number_is_empty() -> None:
    """A class without a value for a pair has neither a colour nor a text."""
    figure = figures.class_table(np.array([[0.5, np.nan]]), ["a"], ["x", "y"], (0, 0))
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["0.50"]
    (cell,) = [one for one in axes.patches if one.get_fill()]
    assert cell.get_window_extent().x0 == axes.transData.transform((0, 0))[0]
    assert len(axes.patches) == 2  # and the frame


def test_the_rare_stays_empty_in_a_confusion_matrix() -> None:
    """Shares are percentages; less than one percent has no text."""
    (axes,) = figures.confusion(np.array([[0.991, 0.009], [0.25, 0.75]]), ["a", "b"]).axes
    assert [text.get_text() for text in axes.texts] == ["99", "25", "75"]


def test_a_forest_puts_margins_at_their_places() -> None:
    """Gates are circles and watched ones diamonds, hollow without a standard error; red is a word."""
    rows = [
        Margin("a", True, "fail", True, -2.0, -4.0, 0.5, (-1.0, -3.0), -1),
        Margin("b", False, "pass", False, 500.0, 400.0, 600.0, (), 1),
        Margin("c", True, "pass", False, None, None, None, (), 1),
        Margin("d", True, "error", True, None, None, None, (), 0),
    ]
    (axes,) = figures.forest(rows).axes
    drawn = {(line.get_marker(), tuple(across(line))): line for line in axes.lines if len(across(line))}
    assert ("o", (-2.0,)) in drawn
    assert ("D", (500.0,)) in drawn
    assert ("|", (-1.0, -3.0)) in drawn
    assert ("None", (-4.0, 0.5)) in drawn
    edge = drawn["o", (0.985,)]
    assert edge.get_markerfacecolor() == "none"
    texts = [text.get_text() for text in axes.texts]
    assert {"-2.0  FAIL", "+500.0  pass", "pass", "no number  ERROR"} <= set(texts)
    low, high = axes.get_xlim()
    assert low < -4
    assert high > 600


def test_lines_are_told_apart_without_colour() -> None:
    """No two lines of a panel share a style; the same name looks the same in every panel."""
    x = np.arange(3.0)
    names = [f"seed {seed}" for seed in range(5)]
    found = [Line(name, x, x) for name in names] + [Line("random", x, x, control=True)]
    figure = figures.lines([Panel("a", "x", found), Panel("b", "x", found[::-1])])
    assert [one.get_text() for one in figure.legends[0].get_texts()] == [*names, "random"]
    looks = [[str(line._dash_pattern) for line in axes.lines] for axes in figure.axes]  # type: ignore[attr-defined]
    assert len(set(looks[0])) == len(found)
    assert looks[0] == looks[1][::-1]


def test_a_long_line_is_thinned_and_keeps_its_ends() -> None:
    """Of ten thousand points few are drawn, the first and the last among them."""
    x = np.arange(10_000.0)
    (axes,) = figures.lines([Panel("a", "x", [Line("a", x, 2 * x)])]).axes
    drawn = across(axes.lines[0])
    assert len(drawn) <= 60
    assert (drawn[0], drawn[-1]) == (0, 9999)


def test_firing_counts_the_dead() -> None:
    """Units that never fire are no part of the curve, and are counted beside it."""
    values = np.array([0.5, 0.0, 0.25, 0.0, 0.0])
    (axes,) = figures.firing({"seed 0": values}).axes
    np.testing.assert_allclose(np.asarray(axes.lines[0].get_ydata(), dtype=float), [0.5, 0.25])
    assert [text.get_text() for text in axes.texts] == ["3 dead"]


@pytest.mark.parametrize("values", [np.array([50, 50]), np.arange(1000)], ids=["all the same", "many"])
def test_counts_lose_no_image(values: np.ndarray) -> None:
    """The bars hold every image, however few or many different numbers there are."""
    (axes,) = figures.counts(values, (45.0, 55.0), "active units", "images").axes
    stairs = axes.patches[0]
    assert stairs.get_data().values.sum() == len(values)  # type: ignore[attr-defined]


def test_a_spread_without_images_or_without_a_spread_is_drawn() -> None:
    """A row of NaN is empty; a row of one value is its dot alone."""
    rows = {"a": (np.full(5, np.nan), False), "b": (np.full(5, 0.5), True), "c": (RANDOM.random(50), False)}
    (axes,) = figures.distributions(rows, 0.6, "correlation").axes
    assert len(axes.collections) == 1
    dots = [across(line)[0] for line in axes.lines if line.get_marker() in ("o", "D")]
    np.testing.assert_allclose(dots, [0.5, np.median(rows["c"][0])])


def test_the_worst_is_named_in_words() -> None:
    """Beside one another, the worst row says so, and a row without a number too."""
    column = Column("gap", "x", [(0.1, 0.05, 0.2), (0.9, None, None), (None, None, None)], worst=1)
    (axes,) = figures.beside(["a", "b", "c"], [column], width=5).axes
    assert [text.get_text() for text in axes.texts] == ["0.1", "0.9, worst", "no number"]


def test_what_is_outside_the_tolerance_has_another_shape() -> None:
    """Numbers near what they should be are dots, others crosses."""
    (axes,) = figures.ranges([("a", [0.94, 0.9, 0.955], 0.95)], 0.02, "coverage").axes
    by_marker = {line.get_marker(): across(line) for line in axes.lines if len(across(line))}
    np.testing.assert_allclose(by_marker["o"], [0.94, 0.955])
    np.testing.assert_allclose(by_marker["X"], [0.9])


def test_atoms_stand_beside_their_class() -> None:
    """One picture holds a row for each class: image, reconstruction, and each atom with its text."""
    images, strongest = RANDOM.random((2, 6)), RANDOM.standard_normal((2, 3, 6))
    texts = [["1", "2", "3"], ["4", "5", "6"]]
    layout = figures.Layout.of_shape("image", (2, 3), images)
    figure = figures.atoms(["<a>", "b"], images, images, strongest, texts, layout)
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts][:8] == ["<a>", "1", "2", "3", "b", "4", "5", "6"]
    (picture,) = axes.images
    pixels = np.asarray(picture.get_array())
    # every picture's pixels are opaque, what lies between is not
    assert (pixels[..., 3] == 1).sum() == 2 * (2 + 3) * 6
    ElementTree.fromstring(figures.svg(figure, "atoms"))


def test_class_means_have_a_row_a_method() -> None:
    """Ten classes and two methods are three rows of ten pictures."""
    rows = RANDOM.random((10, 784))
    layout = figures.Layout.of_shape("image", (28, 28), rows)
    figure = figures.class_means({"a": rows, "b": rows}, rows, list("abcdefghij"), layout)
    places = {(one.get_extent()[0], one.get_extent()[3]) for one in figure.axes[0].images}
    assert places == {(column, row) for column in range(10) for row in range(3)}


def test_interval_charts_draw_what_has_no_interval_too() -> None:
    """An estimate without an interval is a mark without a bar."""
    rows = [("a", 0.5, 0.4, 0.6, False), ("b", -0.2, None, None, True)]
    figure = figures.intervals(rows, 0.6, "correlation")
    text = figures.svg(figure, "a")
    assert "threshold 0.6" in text
    assert "−0.20" in text or "-0.20" in text


@pytest.mark.parametrize(
    "text",
    ["data:image/png;base64,AAAA", f"{figures.INK} x", 'a id="b"', "url(#x)", 'y="1.23456" d="0.12345"'],
)
def test_what_is_written_leaves_as_it_was(text: str) -> None:
    """Text that looks like markup of a drawing is not taken for it (fault 44)."""
    drawn = figures.svg(figures.explanation(IMAGE, MAPS, title=f"<{text}>"), "a")
    told = [one.text for one in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]
    assert f"<{text}>" in told


def test_figures_do_not_depend_on_the_users_settings() -> None:
    """What a user's matplotlibrc says of lines and ticks changes no byte."""
    rows = [("a", 0.5, 0.4, 0.6, False)]
    before = figures.svg(figures.intervals(rows, 0.6, "correlation"), "a")
    with mpl.rc_context(
        {"lines.markersize": 20, "xtick.direction": "in", "legend.fontsize": 30, "axes.linewidth": 4}
    ):
        assert figures.svg(figures.intervals(rows, 0.6, "correlation"), "a") == before


def test_an_interval_is_drawn_to_its_end() -> None:
    """The axis reaches below the lowest bound."""
    (axes,) = figures.intervals([("a", 0.1, -0.9, 0.6, False)], None, "correlation").axes
    assert axes.get_xlim()[0] < -0.9


# whatever the shell and the notebook have set

DRAWN = """
import hashlib, os, sys
kept = dict(os.environ), os.getcwd, os.getcwd()
from harness import figures
from harness.figures import charts
figure = charts.intervals([("a", 0.5, 0.4, 0.6, False)], 0.3, "r")
print(hashlib.sha256(figures.svg(figure, "x").encode()).hexdigest())
assert kept == (dict(os.environ), os.getcwd, os.getcwd())
"""
BROKEN = {
    "bytes": b"\xff\xfe\x00",
    "lines": b"nothing\nno.such.key: 5\nfont.size: huge\nbackend: nonsense\n",
    "settings": b"text.usetex: True\nxaxis.labellocation: left\nfigure.dpi: 7\nbackend: tkagg\n",
}
"""What may stand in a matplotlibrc."""


def drawn(folder: Path, program: str = DRAWN, /, **variables: str | None) -> str:
    """What a process in the folder prints; a variable that is None is not set."""
    names = ("MPLBACKEND", "MATPLOTLIBRC")
    outside = {name: value for name, value in os.environ.items() if name not in names}
    package = str(Path(figures.__file__).parent.parent.parent)
    changed = {"PYTHONPATH": package, **variables}
    environment = {name: value for name, value in (outside | changed).items() if value is not None}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def same() -> str:
    """The digest of the figure that DRAWN makes, drawn in this process."""
    figure = charts.intervals([("a", 0.5, 0.4, 0.6, False)], 0.3, "r")
    return hashlib.sha256(figures.svg(figure, "x").encode()).hexdigest() + "\n"


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["nonsense", "module://not.there", "tkagg", ""])
def test_a_backend_has_no_say(name: str, tmp_path: Path) -> None:
    """The figure is the same under any MPLBACKEND, and the variable is left as it was."""
    assert drawn(tmp_path, MPLBACKEND=name) == same()


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("where", "content"),
    [*(("", content) for content in BROKEN), ("MATPLOTLIBRC", "bytes"), ("MPLCONFIGDIR", "bytes")],
)
def test_a_file_of_settings_has_no_say(where: str, content: str, tmp_path: Path) -> None:
    """Wherever it lies, and whether it can be read or not."""
    (tmp_path / "there").mkdir()
    (tmp_path / "there/matplotlibrc").write_bytes(BROKEN[content])
    if where:
        assert drawn(tmp_path, **{where: str(tmp_path / "there")}) == same()
    else:
        assert drawn(tmp_path / "there") == same()


@pytest.mark.thorough
def test_a_folder_of_matplotlibs_that_is_none_has_no_say(tmp_path: Path) -> None:
    """MPLCONFIGDIR may name a file or nothing, and there may be no home."""
    (tmp_path / "file").write_text("")
    for place in ("file", "file/below", "/proc/no"):
        assert drawn(tmp_path, MPLCONFIGDIR=str(tmp_path / place)) == same()
    homeless = "import pwd\ndef nobody(_): raise KeyError\npwd.getpwuid = nobody\n"
    assert drawn(tmp_path, homeless + DRAWN, HOME=None, MPLCONFIGDIR=None, XDG_CACHE_HOME=None) == same()
    strict: dict[str, str | None] = {
        "PYTHONWARNINGS": "error",
        "HOME": str(tmp_path / "new"),
        "MPLCONFIGDIR": None,
    }
    assert drawn(tmp_path, **strict) == same()  # its font cache is made anew


@pytest.mark.thorough
def test_a_notebooks_settings_stay(tmp_path: Path) -> None:
    """Where matplotlib is loaded already, all its settings and modules are afterwards what they were."""
    head = """
import matplotlib as mpl, sys
mpl.rcParams.update({"font.size": 31, "xaxis.labellocation": "left", "backend": "svg"})
before, loaded = dict(mpl.rcParams), mpl
"""
    tail = """
assert dict(mpl.rcParams) == before
assert sys.modules["matplotlib"] is loaded
assert mpl.get_backend() == "svg"
"""
    assert drawn(tmp_path, head + DRAWN + tail) == same()


def test_a_user_gets_matplotlib_as_it_is_set_up(tmp_path: Path) -> None:
    """Settings that are whole are there after the harness has loaded it, as if the user had."""
    (tmp_path / "matplotlibrc").write_text("font.size: 31\n")
    tail = "import matplotlib as mpl; assert mpl.rcParams['font.size'] == 31 and mpl.get_backend() == 'pdf'"
    assert drawn(tmp_path, DRAWN + tail, MPLBACKEND="pdf") == same()
