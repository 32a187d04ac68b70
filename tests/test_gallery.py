"""The gallery: every explained sample, true to the maps it was made of."""

from __future__ import annotations

import base64
import io
import re
import shutil
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness import figures, report
from harness.artifacts.directories import RunDirectory
from harness.artifacts.files import Folder
from harness.criteria import diagnosis
from harness.figures import sprites
from harness.report import gallery, page
from harness.runs import Run


def pixels_of(sheet: figures.Sheet, shape: tuple[int, int], mode: str = "RGB") -> Any:
    """The sheet's pictures, one after another: uint8 [n, rows, columns, 3], with opacity 4."""
    content = base64.b64decode(sheet.uri.removeprefix("data:image/png;base64,"))
    whole = np.asarray(Image.open(io.BytesIO(content)).convert(mode))
    height, width = shape
    cells = whole.reshape(sheet.rows, height, sheet.columns, width, len(mode)).swapaxes(1, 2)
    return cells.reshape(-1, height, width, len(mode))


def test_a_heat_sheet_holds_every_map() -> None:
    """Each map stands in its cell, in the colours of its values on its own scale."""
    random = np.random.default_rng(0)
    maps = random.standard_normal((45, 12))
    limits = random.uniform(0.5, 2, 45)
    sheet = figures.heat_sheet(maps.reshape(-1, 3, 4), limits)
    colours = pixels_of(sheet, (3, 4))[:45].reshape(45, 12, 3)
    levels = {tuple(colour): level for colour, level in zip(figures.PALETTE, figures.LEVELS, strict=True)}
    shown = np.array([[levels[tuple(pixel)] for pixel in row] for row in colours]) * limits[:, None]
    inside = np.abs(maps) <= limits[:, None]
    assert inside.mean() > 0.5
    # half a step of 1/25 of the limit
    assert (np.abs(shown - maps)[inside] <= 0.0201 * np.repeat(limits[:, None], 12, axis=1)[inside]).all()
    # beyond the limit the steps grow with the value, up to an end
    beyond = ~inside & (np.abs(maps) < figures.LEVELS[-1] * limits[:, None])
    assert beyond.sum() > 50
    assert (np.abs(shown / maps - 1)[beyond] <= 0.15).all()


def test_the_scale_is_centred_at_zero() -> None:
    """Zero has a colour of its own, the palest, and equal values of both signs are equally far from it."""
    middle = len(figures.LEVELS) // 2
    assert figures.LEVELS[middle] == 0
    assert pytest.approx(-figures.LEVELS[::-1]) == figures.LEVELS
    assert figures.PALETTE.sum(axis=1).argmax() == middle
    assert len({tuple(colour) for colour in figures.PALETTE}) == len(figures.LEVELS) <= 64


def test_a_grey_sheet_holds_every_image() -> None:
    """Each image stands in its cell, to half a grey level."""
    images = np.random.default_rng(0).random((21, 6))
    sheet = figures.picture_sheet(images.reshape(-1, 2, 3))
    shown = pixels_of(sheet, (2, 3))[:21, ..., 0].reshape(21, 6) / 255
    assert np.abs(shown - images).max() <= 0.5 / (sprites.GREYS - 1) + 0.5 / 255


def test_more_samples_than_fit_are_spread_over_classes_and_values() -> None:
    """Small strata are kept whole; of the others the lowest and the highest values are there."""
    strata = np.repeat([0, 1, 2], [500, 10, 300])
    values = np.random.default_rng(0).random(810)
    values[3] = np.nan
    places = gallery.spread(strata, values, 110)
    assert len(places) == 110 == len(set(places.tolist()))
    assert np.bincount(strata[places]).tolist() == [50, 10, 50]
    assert 3 in places
    for stratum in (0, 2):
        members = np.flatnonzero(strata == stratum)
        assert members[np.nanargmax(values[members])] in places
    ranks = np.searchsorted(np.sort(values[510:]), values[places[places >= 510]])
    assert np.diff(np.sort(ranks)).max() <= 7


def test_fewer_samples_are_all_shown() -> None:
    """Where all fit, all are there."""
    assert gallery.spread(np.zeros(5, dtype=int), np.arange(5.0), 5).tolist() == [0, 1, 2, 3, 4]


def section_of(run: RunDirectory) -> str:
    """The section alone: the rest of a page takes seconds to draw."""
    broken: list[str] = []
    part = page._part(report.sections["gallery"], Run(run), page._environment(Folder(run.path)), broken)
    assert broken == []
    return str(part["body"])


def cards_of(run: RunDirectory) -> list[dict[str, str]]:
    return [
        dict(
            re.findall(
                r'([\w-]+)(?:="([^"]*)")?',
                card.split(">")[0]
                + ' aria-label="'
                + re.findall(r'role="img" aria-label="([^"]*)"', card)[0]
                + '"',
            )
        )
        for card in re.findall(r'<li class="card".*?</li>', section_of(run), re.DOTALL)
    ]


def test_every_explained_sample_has_a_card(finished: RunDirectory) -> None:
    """Each judged sample and each other explained one has a card, with its stored agreement."""
    run, cards = Run(finished), cards_of(finished)
    evidence = run.evidence()
    stored = dict(zip(evidence.indices.tolist(), run.per_sample("agreement")[0].tolist(), strict=True))
    right = [card for card in cards if card["data-kind"] == "right"]
    assert {int(card["id"].removeprefix("s-")) for card in right} == set(stored)
    for card in right:
        assert float(card["data-agreement"]) == pytest.approx(stored[int(card["id"][2:])], rel=6e-3)
    values = [float(card["data-agreement"]) for card in right]
    assert values == sorted(values)
    assert len([card for card in right if "data-mark" in card]) == 2 * len(set(evidence.labels.tolist()))
    others = evidence.sanity["others"]
    assert len(cards) - len(right) == len(others["indices"])
    wrong = [card for card in cards if card["data-kind"] == "wrong"]
    assert {int(card["id"][2:]) for card in wrong} == set(
        others["indices"][others["kind"] == "wrong"].tolist()
    )


def test_a_card_says_in_words_what_its_picture_shows(finished: RunDirectory) -> None:
    """The alternative text names image, class, confidence, agreement and the weakest pair."""
    for card in cards_of(finished):
        text = card["aria-label"]
        assert re.match(r"Test image \d+, .+ sure\. Its maps (agree at|have no)", text), text


def test_of_too_many_samples_some_are_shown_and_it_is_said(
    finished: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over the limit the page shows so many, and says of how many."""
    whole = len(cards_of(finished))
    monkeypatch.setattr(gallery, "MOST", 15)
    assert len(cards_of(finished)) == 15
    assert f"Shown are 15 of {whole}, spread evenly" in section_of(finished)


@pytest.mark.thorough
def test_maps_that_show_nothing_are_labelled(finished: RunDirectory) -> None:
    """A map of zeros, and one with a value that is not finite, say so in words; the page stands."""
    path = finished / "seed-0/attributions/gradients.npz"
    arrays = dict(np.load(path))
    arrays["maps"][0], arrays["maps"][1] = 0, np.nan
    finished.write_arrays("seed-0/attributions/gradients.npz", arrays)
    text = section_of(finished)
    assert text.count("<i>all zero</i>") == 1
    assert text.count("<i>not finite</i>") == 1
    assert text.count("Its maps have no correlation.") == 2


def test_an_older_run_shows_what_it_has(finished: RunDirectory) -> None:
    """A run of which only the judged samples were explained has a gallery of those."""
    shutil.rmtree(finished / "seed-0/sanity")
    cards = cards_of(finished)
    assert {card["data-kind"] for card in cards} == {"right"}


def test_the_limit_is_a_page_of_under_five_megabytes() -> None:
    """A thousand samples of noise, the worst to compress, fit in the sheets' share of the page."""
    noise = np.random.default_rng(0).standard_normal((100, 784))
    limits = np.array([figures.heat_limit(row) for row in noise])
    a_sample = len(figures.heat_sheet(noise.reshape(-1, 28, 28), limits).uri) / 100
    assert 4 * a_sample * gallery.MOST < 5e6


def test_the_sample_that_the_head_links_to_is_there(
    finished: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over several seeds the lowest mean need not be the lowest of the first seed; it has its card anyway."""
    index = int(Run(finished).evidence().indices[7])
    monkeypatch.setattr(gallery, "MOST", 0)
    lowest = diagnosis.Lowest(index, "x", 0.1, "", None)
    monkeypatch.setattr(gallery, "lowest_agreement", lambda _: lowest)
    assert [card["id"] for card in cards_of(finished)] == [f"s-{index}"]


@pytest.mark.parametrize(("limit", "printed"), [(0.2, "0.20"), (1.26, "1.3"), (12.4, "12"), (123.0, "123")])
def test_scales_are_printed_plainly(limit: float, printed: str) -> None:
    """Two digits, and never an exponent where a number is meant to be read."""
    assert gallery._limit(limit) == printed
