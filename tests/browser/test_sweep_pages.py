"""The page of a sweep in a browser: held to what the report is held to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from harness.sweeps import page as pages
from harness.sweeps.records import Sweep
from tests import swept
from tests.browser.visits import WIDTHS, Visit, faint, sideways, unfold, violations

pytestmark = pytest.mark.thorough

Open = Callable[..., Visit]
MADE: dict[str, Callable[[Path], Sweep]] = {
    "ten": lambda _: swept.a_sweep(),
    "lost": lambda _: swept.lost_alone(),
    "hostile": swept.hostile,
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The page of a sweep of a kind."""
    made: dict[str, Path] = {}

    def file(name: str) -> Path:
        if name not in made:
            folder = tmp_path_factory.mktemp("sweeps")
            made[name] = pages.render(MADE[name](folder), folder / "sweep.html", command="harness sweep " * 9)
        return made[name]

    return file


@pytest.mark.parametrize("name", MADE)
def test_no_width_scrolls_sideways(visit: Open, files: Callable[[str], Path], name: str) -> None:
    """From a telephone to a large screen no page is wider than its window, unfolded too."""
    page = visit(files(name)).page
    for opened in (False, True):
        if opened:
            unfold(page)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            assert sideways(page) == [], f"at {width}, parts {'open' if opened else 'folded'}"


def test_what_scrolls_sideways_shows_that_it_does(visit: Open, files: Callable[[str], Path]) -> None:
    """The table of points too, on the ground that it lies on: a shadow where there is more to see."""
    page = visit(files("ten"), width=360).page
    shelf = page.locator("#points .shelf")
    assert shelf.evaluate("one => one.scrollWidth > one.clientWidth")
    drawn, ground, card = shelf.evaluate(
        "one => { const is = getComputedStyle(one), mark = document.body.appendChild(new Option());"
        " mark.style.color = is.getPropertyValue('--card');"
        " return [is.backgroundImage, is.backgroundColor, getComputedStyle(mark).color]; }"
    )
    assert drawn.count("linear-gradient") == 4
    assert drawn.count(card) == 2
    assert ground == card


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_everybody_can_read_it(visit: Open, files: Callable[[str], Path], name: str, dark: bool) -> None:
    """Axe finds no violation, and every text of a drawing can be read, in either theme."""
    page = visit(files(name), dark=dark).page
    unfold(page)
    assert faint(page) == []
    assert violations(page) == []


def test_the_page_is_silent_and_whole(visit: Open, files: Callable[[str], Path]) -> None:
    """No request, no message; every link inside has its target, every chart is drawn."""
    visited = visit(files("ten"), script=False)
    visited.page.wait_for_load_state("networkidle")
    assert visited.complaints() == []
    links = visited.page.eval_on_selector_all("a[href^='#']", "all => all.map(one => one.hash.slice(1))")
    assert len(links) > 7
    assert [one for one in links if visited.page.locator(f"[id='{one}']").count() != 1] == []
    charts = visited.page.locator("figure:not([id$='-key']) svg")
    assert charts.count() == 29
    for one in charts.all():
        box = one.bounding_box()
        assert box is not None
        assert box["height"] > 100
    expect(visited.page.locator("h1")).to_be_in_viewport(ratio=1)


def test_foreign_text_stays_text(visit: Open, files: Callable[[str], Path]) -> None:
    """Names that try to be markup or script are but text."""
    visited = visit(files("hostile"), width=360)
    visited.page.wait_for_load_state("networkidle")
    assert "owned" not in visited.page.title().replace("document.title='owned'", "")
    assert visited.page.locator("[onerror], [onload], img[src='x'], script").count() == 0
    assert "</script><img src=x" in visited.page.locator("body").inner_text()
    assert visited.complaints() == []


def test_print_expands_everything(visit: Open, files: Callable[[str], Path]) -> None:
    """On paper the folded parts are open, and no table is cut."""
    page = visit(files("ten"), script=False).page
    page.emulate_media(media="print")
    hidden = page.eval_on_selector_all(
        "details > :not(summary)", "all => all.filter(one => !one.checkVisibility()).length"
    )
    assert hidden == 0
    assert page.locator("details").count() > 20
    clipped = page.eval_on_selector_all(
        ".shelf", "all => all.filter(one => one.scrollHeight > one.clientHeight + 1).length"
    )
    assert clipped == 0
