"""The report in a browser: silent, whole at every width, legible to everyone, inert to foreign text."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from harness.artifacts.directories import RunDirectory
from tests.browser import visits
from tests.browser.visits import WIDTHS, Visit, faint, sideways, unfold, violations

pytestmark = pytest.mark.thorough

Open = Callable[..., Visit]


@pytest.fixture
def faulty_file(tmp_path: Path) -> Path:
    """A page that does what no report may."""
    path = tmp_path / "faulty.html"
    path.write_text(
        "<!doctype html><html lang=en><title>Faults</title><body style='background: white'>"
        "<main><h1>Faults</h1><img src='stranger.png'><p style='color: #ccc; width: 3000px'>wide</p>"
        "<figure id='drawing'><svg width=90 height=40><rect width=90 height=40 fill='#444'></rect>"
        "<text x=9 y=20 fill='#666'>low</text><text x=50 y=20 fill='#fff'>high</text></svg></figure></main>"
        "<script>console.log('here'); undefined.gone</script>",
        encoding="utf-8",
    )
    return path


def test_faults_are_found(visit: Open, faulty_file: Path) -> None:
    """The checks of this file bite: each finds its fault in a page that has it."""
    faulty = visit(faulty_file)
    faulty.page.wait_for_load_state("networkidle")
    stranger, *said = sorted(faulty.complaints())
    assert stranger == f"asked for {faulty_file.with_name('stranger.png').as_uri()}"
    assert [line.split(":")[0] for line in said] == ["error", "error", "log"]
    assert [line.rsplit(" ", 1)[0] for line in faint(faulty.page)] == ['drawing: "low"']
    rules = {line.split(" ")[0] for line in violations(faulty.page)}
    assert {"image-alt", "color-contrast"} <= rules
    assert sideways(faulty.page)
    faulty.asked, faulty.said = [], []


def test_a_browser_may_be_required(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no browser the tests are skipped with the reason, and fail where one is required."""
    monkeypatch.setattr(visits, "NAMES", ("no-such-browser",))
    assert visits.installed() is None
    monkeypatch.delenv("HARNESS_BROWSER", raising=False)
    with pytest.raises(pytest.skip.Exception, match="none is there"):
        visits.without_browser("none is there")
    monkeypatch.setenv("HARNESS_BROWSER", "required")
    with pytest.raises(pytest.fail.Exception, match="none is there"):
        visits.without_browser("none is there")


def test_the_page_is_silent(visit: Open, page_file: Path) -> None:
    """The page loads without a message, an error, or a request for anything but itself."""
    visited = visit(page_file)
    unfold(visited.page)
    visited.page.wait_for_load_state("networkidle")
    assert visited.asked[0] == page_file.as_uri()
    assert visited.complaints() == []


def test_every_link_leads_somewhere(visit: Open, page_file: Path) -> None:
    """Every link inside the page has its target, and following one brings the target into view."""
    page = visit(page_file).page
    links = page.eval_on_selector_all("a[href^='#']", "all => all.map(one => one.getAttribute('href'))")
    assert len(links) > 10
    targets = page.evaluate(
        "ids => ids.map(id => document.getElementById(id) !== null)", [one[1:] for one in links]
    )
    assert [link for link, there in zip(links, targets, strict=True) if not there] == []
    for link in page.locator("nav a").all():
        link.click()
        expect(page.locator(str(link.get_attribute("href")))).to_be_in_viewport()


@pytest.mark.parametrize("width", [768, 1024, 1280, 1300, 1920])
def test_every_link_of_the_sections_is_seen(visit: Open, page_file: Path, width: int) -> None:
    """On all but a telephone none is cut, however many sections there are."""
    page = visit(page_file).page
    page.set_viewport_size({"width": width, "height": 800})
    page.locator("nav").scroll_into_view_if_needed()
    links = page.locator("nav a").all()
    assert len(links) > 10
    for link in links:
        expect(link).to_be_in_viewport(ratio=0.9)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_no_width_scrolls_sideways(visit: Open, page_file: Path, dark: bool) -> None:
    """From a telephone to a large screen the page is no wider than its window, folded parts open too."""
    page = visit(page_file, dark=dark).page
    for opened in (False, True):
        if opened:
            unfold(page)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            assert sideways(page) == [], f"at {width}, parts {'open' if opened else 'folded'}"


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_the_verdict_stands_above_the_fold(visit: Open, finished_run: RunDirectory, script: bool) -> None:
    """On a laptop's screen the verdict's sentence is whole, and the first gate's row too."""
    page = visit(finished_run / "report.html", script=script).page
    expect(page.locator("h1")).to_contain_text("PASS")
    expect(page.locator("h1")).to_be_in_viewport(ratio=1)
    verdict = finished_run.read_verdict()
    assert verdict is not None
    gate = next(one for one in verdict["criteria"] if one.gate)
    row = page.locator("#criteria tbody tr", has_text=gate.title).first
    expect(row).to_be_in_viewport(ratio=1)


def test_a_red_verdict_stands_above_the_fold(visit: Open, hostile_file: Path) -> None:
    """With notices and what is red and why, in names longer than anybody's, the red row is still seen."""
    page = visit(hostile_file).page
    expect(page.locator("h1")).to_contain_text("FAIL")
    expect(page.locator("h1")).to_be_in_viewport(ratio=1)
    expect(page.locator("#criteria tbody tr", has_text="fail").first).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing(visit: Open, page_file: Path, dark: bool) -> None:
    """Axe finds no violation in the page, all folded parts open, in either theme."""
    page = visit(page_file, dark=dark).page
    unfold(page)
    assert violations(page) == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_in_drawings_can_be_read(visit: Open, page_file: Path, dark: bool) -> None:
    """Every text of a drawing has 4.5:1 against what lies below it, in either theme."""
    page = visit(page_file, dark=dark).page
    assert page.locator("figure svg text").count() > 50
    assert faint(page) == []


def test_print_expands_everything(visit: Open, page_file: Path) -> None:
    """On paper the folded parts are open: as many pages as with all of them opened by hand."""
    page = visit(page_file, script=False).page
    page.emulate_media(media="print")
    hidden = page.eval_on_selector_all(
        "details > :not(summary)",
        "all => all.filter(one => !one.checkVisibility()).map(one => one.outerHTML.slice(0, 120))",
    )
    assert hidden == []
    assert page.locator("details").count() > 3
    scripted = visit(page_file).page
    scripted.emulate_media(media="print")
    cards = "#gallery-cards > li.card"
    assert scripted.locator(f"{cards}:visible").count() == page.locator(cards).count()

    def sheets() -> int:
        printed = page.pdf(format="A4")
        assert printed.startswith(b"%PDF-")
        return len(re.findall(rb"/Type /Page\b(?!s)", printed))

    folded = sheets()
    unfold(page)
    assert folded == sheets() > 3


def test_the_page_reads_without_script(visit: Open, page_file: Path) -> None:
    """Without script verdict, criteria, sections and samples are there, and no control that needs script."""
    plain, scripted = visit(page_file, script=False).page, visit(page_file).page
    expect(plain.locator("h1")).to_contain_text("PASS")
    assert plain.locator("#criteria tbody tr:visible").count() > 5
    sections = plain.locator("main > section")
    assert sections.count() == scripted.locator("main > section").count() > 5
    for one in sections.all():
        assert len(one.inner_text()) > 40
    cards = plain.locator("#gallery-cards > li.card:visible").count()
    assert cards == scripted.locator("#gallery-cards > li.card").count() > 0
    dead = "#gallery-controls select, #gallery-controls button, button.open, dialog"
    seen = plain.eval_on_selector_all(dead, "all => all.map(one => one.checkVisibility())")
    assert not any(seen)
    assert scripted.locator(dead).count() > cards


def test_foreign_text_stays_text(visit: Open, hostile_file: Path) -> None:
    """Names that try to be markup, script, templates, direction marks or a wall of letters are but text."""
    visited = visit(hostile_file)
    page = visited.page
    for one in page.locator("summary").all():
        one.evaluate("one => { one.parentElement.open = true }")
    page.wait_for_load_state("networkidle")
    assert page.title().startswith("FAIL – ")
    assert "<img src=x" in page.title()
    assert page.locator("[onerror], [onload], img[src='x']").count() == 0
    assert page.locator("script").count() == 1
    body = page.locator("body").inner_text()
    assert "{{7*7}}" in body
    assert "</script><img src=x" in body
    assert "W" * 500 not in body
    markup = page.content()
    assert re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", markup) == []
    assert visited.complaints() == []


@pytest.mark.parametrize("width", [360, 1280])
def test_foreign_text_does_not_widen_the_page(visit: Open, hostile_file: Path, width: int) -> None:
    """A name without a place to break stays inside the page."""
    page = visit(hostile_file, width=width).page
    unfold(page)
    assert sideways(page) == []
