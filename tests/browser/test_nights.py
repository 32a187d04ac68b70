"""The pages on the nights before in a browser: held to what the report is held to."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from harness import report
from harness.artifacts.directories import RunDirectory
from harness.history.past import Past
from harness.judging import verdicts
from harness.report import trends
from tests import pasts
from tests.browser.visits import WIDTHS, Visit, faint, sideways, unfold, violations
from tests.pasts import with_past
from tests.written import a_run

pytestmark = pytest.mark.thorough

Open = Callable[..., Visit]
KINDS = ("red", "young", "unavailable", "hostile")
MADE: dict[str, Callable[[], Past]] = {
    "red": pasts.red,
    "young": pasts.young,
    "unavailable": pasts.unavailable,
    "hostile": pasts.hostile,
    "year": pasts.a_year,
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The report, or the page of the nights, of a past: `report red`, `trends year`."""
    made: dict[str, Path] = {}

    def file(name: str) -> Path:
        if name not in made:
            folder = tmp_path_factory.mktemp("nights")
            page, kind = name.split()
            past = MADE[kind]()
            if page == "trends":
                made[name] = trends.render(past, folder / "trends.html")
            else:
                run = with_past(a_run(folder), past)
                verdicts.judge(run)
                made[name] = _sections(run)
        return made[name]

    return file


def _sections(run: RunDirectory) -> Path:
    """The report with its head and its sections on the past alone: the others are tested elsewhere."""
    entries = report.sections._entries
    kept = {name: one for name, one in entries.items() if name in ("changes", "trends", "provenance")}
    try:
        report.sections._entries = kept
        return report.render(RunDirectory.open(run.path))
    finally:
        report.sections._entries = entries


NAMES = [f"{page} {kind}" for page in ("report", "trends") for kind in KINDS]


@pytest.mark.parametrize("name", [*NAMES, "trends year"])
def test_no_width_scrolls_sideways(visit: Open, files: Callable[[str], Path], name: str) -> None:
    """From a telephone to a large screen no page is wider than its window, unfolded too, in any theme."""
    page = visit(files(name)).page
    for opened in (False, True):
        if opened:
            unfold(page)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            assert sideways(page) == [], f"at {width}, parts {'open' if opened else 'folded'}"


@pytest.mark.parametrize("name", [*NAMES, "trends year"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_everybody_can_read_it(visit: Open, files: Callable[[str], Path], name: str, dark: bool) -> None:
    """Axe finds no violation, and every text of a drawing can be read, in either theme."""
    page = visit(files(name), dark=dark).page
    unfold(page)
    assert faint(page) == []
    assert violations(page) == []


@pytest.mark.parametrize("name", ["report red", "trends red", "trends year"])
@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_pages_are_silent_and_whole_without_script(
    visit: Open, files: Callable[[str], Path], name: str, script: bool
) -> None:
    """No request, no message; every link inside has its target, every strip is drawn."""
    visited = visit(files(name), script=script)
    visited.page.wait_for_load_state("networkidle")
    assert visited.complaints() == []
    links = visited.page.eval_on_selector_all("a[href^='#']", "all => all.map(one => one.hash.slice(1))")
    assert len(links) > 3
    assert [one for one in links if visited.page.locator(f"[id='{one}']").count() != 1] == []
    strips = visited.page.locator("figure[id^='strip-'] svg")
    assert strips.count() == (16 if name.endswith("year") else 5)
    for one in strips.all():
        box = one.bounding_box()
        assert box is not None
        assert box["height"] > 60


def test_what_is_open_stands_above_the_fold(visit: Open, files: Callable[[str], Path]) -> None:
    """On a laptop's screen the headline is whole, and the first alarm's name."""
    page = visit(files("trends red")).page
    expect(page.locator("h1")).to_be_in_viewport(ratio=1)
    expect(page.get_by_role("heading", name="Agreement of the methods").first).to_be_in_viewport(ratio=1)


def test_small_lines_fit_their_table(visit: Open, files: Callable[[str], Path]) -> None:
    """On a laptop's screen the table of criteria needs no scrolling for them."""
    page = visit(files("report red")).page
    table = page.locator("#criteria .scroll")
    assert page.locator("#criteria .spark svg").count() == 4
    assert table.evaluate("one => one.scrollWidth <= one.clientWidth")


def test_a_dot_is_drawn_where_a_night_is(visit: Open, files: Callable[[str], Path]) -> None:
    """Ways that lead back to where they began show as dots, which rests on their round ends."""
    page = visit(files("trends red")).page
    strip = page.locator("figure#strip-1 svg")
    look = "figure#strip-1 path[stroke-linecap='round']"
    assert page.locator(look).count() >= 2
    before = strip.screenshot()
    page.eval_on_selector_all(look, "all => all.forEach(one => one.setAttribute('stroke-linecap', 'butt'))")
    assert strip.screenshot() != before


@pytest.mark.parametrize("name", ["report hostile", "trends hostile"])
def test_foreign_text_stays_text(visit: Open, files: Callable[[str], Path], name: str) -> None:
    """Names that try to be markup or script are but text."""
    visited = visit(files(name), width=360)
    visited.page.wait_for_load_state("networkidle")
    assert "owned" not in visited.page.title()
    assert visited.page.locator("[onerror], [onload], img[src='x']").count() == 0
    assert visited.page.locator("script").count() == (1 if name.startswith("report") else 0)
    assert "</script><img src=x" in visited.page.locator("body").inner_text()
    assert visited.complaints() == []


@pytest.mark.parametrize("name", ["report red", "trends red"])
def test_print_expands_everything(visit: Open, files: Callable[[str], Path], name: str) -> None:
    """On paper the folded parts are open."""
    page = visit(files(name), script=False).page
    page.emulate_media(media="print")
    hidden = page.eval_on_selector_all(
        "details > :not(summary)",
        "all => all.filter(one => !one.checkVisibility()).map(one => one.outerHTML.slice(0, 120))",
    )
    assert hidden == []
    assert page.locator("details").count() > 3
    clipped = page.eval_on_selector_all(
        ".shelf", "all => all.filter(one => one.scrollHeight > one.clientHeight + 1).length"
    )
    assert clipped == 0
    assert page.pdf(format="A4").startswith(b"%PDF-")


def test_a_night_leads_to_its_report(visit: Open, tmp_path: Path) -> None:
    """The page's link opens that night's report."""
    runs = tmp_path / "artifacts/runs"
    run = with_past(a_run(tmp_path / "artifacts"), pasts.red())
    verdicts.judge(run)
    _sections(run)
    assert run.path.parent == runs
    past = pasts.a_past(2, told=[pasts.told(1, place=""), pasts.told(2, place=str(run.path))])
    moved = tmp_path / "moved"
    page = trends.render(past, tmp_path / "artifacts" / "trends.html")
    shutil.copytree(page.parent, moved)
    visited = visit(moved / "trends.html")
    visited.page.locator("#nights a").click()
    expect(visited.page.locator("#changes")).to_contain_text("Open alarms")
    assert visited.page.url == (moved / "runs" / run.path.name / "report.html").as_uri()
    visited.asked, visited.said = [], []
