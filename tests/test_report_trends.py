"""The page of the nights: whole, small, linked, and true to its past."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.errors import StorageError
from harness.history.past import Past
from harness.history.records import Difference
from harness.report import trends
from harness.report.strips import cost_strips
from tests import pasts
from tests.pasts import told

PASTS = {
    "red": pasts.red(),
    "green": pasts.a_past(),
    "young": pasts.young(),
    "first": pasts.young(1),
    "unavailable": pasts.unavailable(),
    "canary": pasts.a_past(
        canary=[Difference("accuracy", -0.02, -0.013, 0.005, "worse", 99)],
        told=[*pasts.a_past().told[:-1], dataclasses.replace(pasts.a_past().told[-1], red=True)],
    ),
    "failed": pasts.a_past(
        told=[
            *pasts.a_past().told[:-1],
            dataclasses.replace(pasts.a_past().told[-1], verdict="fail", red=True),
        ]
    ),
}


def drawn(past: Past, path: Path) -> str:
    return trends.render(past, path / "trends.html").read_text(encoding="utf-8")


def part(page: str, name: str) -> str:
    """The markup of one section."""
    return page.split(f'<section id="{name}"')[1].split("</section>")[0]


def words_of(markup: str) -> str:
    """What a reader reads."""
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", markup))


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("kind", "headline"),
    [
        ("red", "2 alarms are open, the canary is worse."),
        ("green", "No alarm is open."),
        ("young", "Too few nights to alarm."),
        ("unavailable", "Not compared."),
        ("canary", "The canary is worse."),
        ("failed", "The newest night ended with fail."),
    ],
)
def test_the_page_says_first_how_it_stands(tmp_path: Path, kind: str, headline: str) -> None:
    """What is open, or that nothing was compared, and why."""
    past = PASTS[kind]
    head = words_of(drawn(past, tmp_path).split("</header>")[0].split("<h1>")[1])
    assert head.startswith(f" {headline}" if head.startswith(" ") else headline)
    assert past.why[1:] in head


@pytest.mark.thorough
@pytest.mark.parametrize("kind", PASTS)
def test_the_page_is_green_only_where_the_newest_night_is(tmp_path: Path, kind: str) -> None:
    """A series that does not alarm makes no green page of a night that was red by a gate or its canary."""
    past = PASTS[kind]
    (tone,) = re.findall(r'<header class="verdict (\w+)">', drawn(past, tmp_path))
    assert (tone == "pass") is (past.status != "unavailable" and not past.told[-1].red)
    assert ("than the pinned one" in words_of(drawn(past, tmp_path))) is any(
        one.word == "worse" for one in past.canary
    )


@pytest.mark.thorough
@pytest.mark.parametrize("past", PASTS.values(), ids=PASTS)
def test_the_page_asks_for_nothing(tmp_path: Path, past: Past) -> None:
    """It forbids requests and scripts, holds no address of another place, and every id once."""
    page = drawn(past, tmp_path)
    assert "default-src 'none'" in page
    assert "<script" not in page
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert all(one.startswith(("#", "data:")) for one in addresses)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert {one[1:] for one in addresses if one.startswith("#")} <= set(ids)
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ElementTree.fromstring(svg)


@pytest.mark.thorough
def test_every_measurement_has_its_strip(tmp_path: Path) -> None:
    """In the past's order, with a sentence of its numbers, and duration and memory after them."""
    past = pasts.red()
    page = drawn(past, tmp_path)
    found = re.findall(r'<figure id="((?:strip|cost)-\w+)"', page)
    assert found == [*(f"strip-{place}" for place in range(1, 6)), "cost-duration", "cost-memory"]
    for strip in past.strips:
        assert f'aria-label="{strip.title} in 38 nights' in page


@pytest.mark.thorough
def test_alarms_are_listed_by_their_state(tmp_path: Path) -> None:
    """Open ones first, with the line that accepts them; ended ones and improvements folded, without one."""
    page = drawn(pasts.red(), tmp_path)
    alarms = part(page, "alarms")
    opened, folded = alarms.split("2 that ended")
    assert opened.count("harness accept ") == 3
    assert "harness accept" not in folded
    assert "known: a shorter recipe" in folded
    assert "1 for the better" in folded


def test_a_night_is_linked_where_it_lies_below_the_page(tmp_path: Path) -> None:
    """Relative to the page, its characters quoted; else its place is text."""
    runs = tmp_path / "artifacts" / "runs"
    for name in ("here", "a b#c?d%&"):
        (runs / name).mkdir(parents=True)
        (runs / name / "report.html").write_text("x")
    (runs / "unreported").mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "report.html").write_text("x")
    places = [str(runs / "here"), str(runs / "a b#c?d%&"), str(runs / "unreported"), str(elsewhere), "", "\0"]
    past = dataclasses.replace(
        pasts.a_past(6), told=[told(number, place=place) for number, place in enumerate(places, start=1)]
    )
    nights = part(drawn(past, tmp_path / "artifacts"), "nights")
    links = re.findall(r'href="([^"]*)"', nights)
    assert links == ["runs/a%20b%23c%3Fd%25%26/report.html", "runs/here/report.html"]
    assert f">{elsewhere}<" in nights


@pytest.mark.thorough
def test_broken_and_excluded_nights_are_listed(tmp_path: Path) -> None:
    """With what they say of themselves; the newest night comes first."""
    text = words_of(part(drawn(pasts.red(), tmp_path), "nights"))
    assert re.search(r"17 2026-01-18 ! error red", text)
    assert "ERROR: it broke off" in text
    assert "23 excluded" in text
    assert text.index("40 2026-02-10") < text.index("39 2026-02-09")


@pytest.mark.thorough
def test_the_numbers_of_every_night_stand_in_a_table(tmp_path: Path) -> None:
    """As strips draw them; a night without one has a dash."""
    past = pasts.red()
    numbers = part(drawn(past, tmp_path), "numbers")
    rows = re.findall(r'<tr><th scope="row">(\d+)</th>(.*?)</tr>', numbers)
    assert [int(one) for one, _ in rows] == [number for number in range(40, 0, -1) if number != 17]
    cells = re.findall("<td>(.*?)</td>", rows[0][1])
    assert cells == [f"{strip.points[-1].value:.4g}" for strip in past.strips]


def test_costs_are_drawn_and_never_judged() -> None:
    """Duration, and memory where it is known."""
    nights = [told(1, memory_mb=None), told(2, verdict="error"), told(3, kind="warm-up")]
    duration, memory = cost_strips(nights)
    assert [one.value for one in memory.points] == [None, 1502.0, 1503.0]
    assert [one.state for one in duration.points] == ["counted", "error", "warm-up"]
    assert not duration.gate
    assert duration.threshold is None
    assert len(cost_strips([told(1, memory_mb=None)])) == 1


@pytest.mark.thorough
def test_a_year_is_under_a_million_bytes(tmp_path: Path) -> None:
    """Sixteen measurements, a tenth of the nights missing; of a thousand nights the others are said."""
    page = drawn(pasts.a_year(), tmp_path)
    assert len(page.encode()) < 1_000_000
    assert "Drawn are the latest" not in page
    longer = drawn(pasts.a_year(500, measurements=2), tmp_path)
    assert "Drawn are the latest 400 of" in longer
    assert longer.count('<tr><th scope="row">') > 800


@pytest.mark.thorough
def test_the_same_past_is_the_same_bytes(tmp_path: Path) -> None:
    """Drawn again the page is the same."""
    assert drawn(pasts.red(), tmp_path) == drawn(pasts.red(), tmp_path)


@pytest.mark.thorough
def test_foreign_text_is_inert(tmp_path: Path) -> None:
    """Whatever a title, a commit, a place or a reason says, it is text."""
    page = drawn(pasts.hostile(), tmp_path)
    assert "<img src=x" not in page
    assert "<svg/onload" not in page
    assert "W" * 500 not in page
    assert "{{7*7}}" in page
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ElementTree.fromstring(svg)


@pytest.mark.thorough
def test_a_time_that_is_none_is_text(tmp_path: Path) -> None:
    """Short, and without what XML forbids, also below an axis."""
    nights = [told(number, created="\x1b[31m\x07" + "W" * 90) for number in range(1, 7)]
    page = drawn(dataclasses.replace(pasts.a_past(6), told=nights), tmp_path)
    assert "W" * 20 not in page
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ElementTree.fromstring(svg)


def test_a_place_that_refuses_is_told(tmp_path: Path) -> None:
    """A folder that is a file is a sentence."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError):
        trends.render(pasts.young(), tmp_path / "file" / "trends.html")
