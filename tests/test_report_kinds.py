"""The report of every kind of data: drawn as what it is, told in its words, and of many classes some."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from harness import figures, report
from harness.artifacts.directories import RunDirectory
from harness.artifacts.files import Folder
from harness.forms import axes_of
from harness.report import classes, comparison, gallery, model, page
from harness.runs import Run

KINDS: dict[str, tuple[str, list[int]]] = {
    "series": ("series", [2, 392]),
    "clip": ("clip", [4, 14, 14]),
    "row": ("table", [784]),
    "channels": ("image", [4, 14, 14]),
}
"""Other forms of inputs of as many features as the finished run's."""


def told_anew(run: RunDirectory, kind: str, shape: list[int]) -> RunDirectory:
    """The run as if its inputs had been of another kind."""
    record = run.read_json("environment.json")
    axes = list(axes_of(kind, len(shape)))
    record["dataset"] |= {"kind": kind, "shape": shape, "axes": axes, "scale": 1 / 255, "unit": ""}
    run.write_json("environment.json", record)
    return run


def section_of(run: RunDirectory, name: str) -> str:
    broken: list[str] = []
    part = page._part(report.sections[name], Run(run), page._environment(Folder(run.path)), broken)
    assert broken == []
    return str(part["body"])


@pytest.fixture(params=KINDS)
def other(request: pytest.FixtureRequest, finished: RunDirectory) -> RunDirectory:
    return told_anew(finished, *KINDS[request.param])


@pytest.mark.thorough
def test_every_section_is_made(other: RunDirectory) -> None:
    """Each is well-formed, and calls inputs and features by their names."""
    one = Run(other).form.one
    for name in ("gallery", "explanations", "class-means", "sparse-code", "switches"):
        body = re.sub(r"<style>.*?</style>", "", section_of(other, name), flags=re.DOTALL)
        for drawing in re.findall(r"<svg.*?</svg>", body, re.DOTALL):
            ElementTree.fromstring(drawing)
        body = re.sub(r"<[^>]*>", " ", body)
        assert one == "image" or "image" not in body, re.findall(r".{30}image.{30}", body)
        assert one in ("image", "clip") or "pixel" not in body, re.findall(r".{30}pixel.{30}", body)


def test_a_card_draws_lines_once_and_lays_them_over_each_map(finished: RunDirectory) -> None:
    """The line of a sample has an id of its own, which every map of the sample refers to."""
    body = section_of(told_anew(finished, "series", [2, 392]), "gallery")
    for card in re.findall(r'<li class="card".*?</li>', body, re.DOTALL):
        (name,) = re.findall(r'<path id="([^"]+)"', card)
        maps = card.count('class="tile map')
        assert card.count(f'<use href="#{name}"/>') == maps >= 3
    assert 'aria-label="Samples: the series as 2 lines over 392 points of time' in body
    assert 'data-again="M' in body


def test_grey_images_are_shown_as_before(finished: RunDirectory) -> None:
    """Of them no word is added, and nothing is drawn as a line."""
    body = section_of(finished, "gallery")
    assert 'aria-label="Samples"' in body
    assert "<svg" not in body
    assert "<p>Red added to the logit" in body
    assert "> over the image</label>" in body


def test_larger_inputs_are_fewer() -> None:
    """However large inputs are, their maps take no more room than a page's limit."""
    for kind, shape in (
        ("image", (3, 224, 224)),
        ("clip", (16, 64, 64)),
        ("series", (12, 5000)),
        ("table", (9,)),
    ):
        layout = figures.Layout.of_shape(kind, shape, np.zeros((1, int(np.prod(shape)))))
        for methods in (1, 4, 9):
            shown = gallery.most(layout, methods)
            assert 1 <= shown <= gallery.MOST
            assert shown * max(4, methods) * np.prod(layout.shape) <= gallery.PLACES
    grey = figures.Layout.of_shape("image", (28, 28), np.zeros((1, 784)))
    assert gallery.most(grey, 4) == gallery.MOST


@pytest.mark.thorough
@pytest.mark.parametrize("kind", KINDS)
def test_two_runs_of_a_kind_are_compared(kind: str, finished: RunDirectory, tmp_path: Path) -> None:
    """The page of a run beside itself shows its inputs as what they are."""
    run = told_anew(finished, *KINDS[kind])
    path, _ = comparison.compare(run, run, tmp_path / "compared.html")
    text = path.read_text(encoding="utf-8")
    form = Run(run).form
    assert f"The same {form.noun}' maps" in text
    assert f'aria-label="The {form.one}"' in text
    assert ("<path id=" in text) == (form.kind in ("series", "table"))
    assert text.count("<tr") == text.count("</tr>")


@pytest.mark.thorough
def test_of_many_classes_those_that_agree_least_are_shown(
    finished: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every figure of classes shows the same ones, and its text says of how many."""
    run = Run(finished)
    labels, values = run.evidence().labels, run.per_sample("agreement").mean(axis=0)
    means = {label: values[labels == label].mean() for label in np.unique(labels)}
    lowest = sorted(sorted(means, key=lambda label: means[label])[:4])
    assert classes.shown(run, 4).tolist() == lowest
    assert classes.told(classes.shown(run, 4), len(means)) == (
        f" Shown are the 4 of {len(means)} classes whose maps agree least."
    )
    assert classes.told(classes.shown(run), len(means)) == ""
    monkeypatch.setattr(classes.shown, "__defaults__", (4,))
    for name in ("explanations", "class-means", "agreement", "sparse-code"):
        assert "Shown are the 4 of" in section_of(finished, name), name
    assert section_of(finished, "explanations").count("<figure") == 4


def test_of_many_classes_the_most_frequent_confusions_are_told() -> None:
    """The most frequent first, and none that never was."""
    table = np.diag([9, 8, 7])
    table[0, 1], table[2, 0] = 1, 3
    columns, rows = model._most_frequent(table, ["a", "b", "c"], "images")
    assert len(columns) == 5
    assert [row[:3] for row in rows] == [("c", "a", 3), ("a", "b", 1)]
