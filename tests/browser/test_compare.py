"""The page of two runs in a browser: held to what the report is held to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from harness.artifacts.directories import RunDirectory
from harness.report import comparison
from tests.browser.visits import WIDTHS, Visit, faint, sideways, unfold, violations

pytestmark = pytest.mark.thorough

Open = Callable[..., Visit]


@pytest.fixture(scope="module")
def foreign_file(
    finished_run: RunDirectory, hostile_run: RunDirectory, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The page of a run beside one with hostile names."""
    path = tmp_path_factory.mktemp("foreign") / "compared.html"
    comparison.compare(finished_run, hostile_run, path)
    return path


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_both_verdicts_are_told(visit: Open, compared_file: Path, script: bool) -> None:
    """Both verdicts and what moved stand above the fold, and the page is silent, with script or without."""
    visited = visit(compared_file, script=script)
    for word in ("PASS", "FAIL"):
        expect(visited.page.locator(".verdict", has_text=word).locator("h2")).to_be_in_viewport()
    expect(visited.page.locator("h1")).to_be_in_viewport(ratio=1)
    assert visited.complaints() == []


def test_the_same_samples_maps_stand_side_by_side(visit: Open, compared_file: Path) -> None:
    """The page shows maps of samples, and every link in it has its target."""
    page = visit(compared_file).page
    assert page.locator("main [role=img]:visible").count() > 10
    links = page.eval_on_selector_all("a[href^='#']", "all => all.map(one => one.hash.slice(1))")
    assert links
    assert [one for one in links if page.locator(f"[id='{one}']").count() != 1] == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_no_width_scrolls_sideways(visit: Open, compared_file: Path, dark: bool) -> None:
    """From a telephone to a large screen the page is no wider than its window."""
    page = visit(compared_file, dark=dark).page
    unfold(page)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        assert sideways(page) == [], f"at {width}"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_everybody_can_read_it(visit: Open, compared_file: Path, dark: bool) -> None:
    """Axe finds no violation, and every text of a drawing can be read, in either theme."""
    page = visit(compared_file, dark=dark).page
    unfold(page)
    assert faint(page) == []
    assert violations(page) == []


def test_foreign_text_stays_text(visit: Open, foreign_file: Path) -> None:
    """Hostile names are but text, and do not widen the page."""
    visited = visit(foreign_file, width=360)
    visited.page.wait_for_load_state("networkidle")
    assert visited.page.title().startswith("Two runs compared")
    assert visited.page.locator("[onerror], [onload], img[src='x'], script").count() == 0
    assert "</script><img src=x" in visited.page.locator("body").inner_text()
    assert sideways(visited.page) == []
    assert visited.complaints() == []
