"""A report of series, in a browser: lines over strips, at every width, in either theme, for everybody."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import report
from harness.artifacts.directories import RunDirectory
from tests.browser.visits import WIDTHS, Visit, faint, sideways, violations
from tests.test_report_kinds import KINDS, told_anew
from tests.written import sealed_anew

pytestmark = pytest.mark.thorough

Open = Callable[..., Visit]


@pytest.fixture(scope="module")
def series_file(finished_run: RunDirectory, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a run of series."""
    target = tmp_path_factory.mktemp("series") / finished_run.path.name
    shutil.copytree(finished_run.path, target)
    run = sealed_anew(told_anew(RunDirectory(target), *KINDS["series"]))
    return report.render(run)


def test_lines_lie_over_maps_where_asked(visit: Open, series_file: Path) -> None:
    """The line of a card is always there; over its maps it comes with the control, and in the large view."""
    page = visit(series_file).page
    card = page.locator(".card:visible").first
    assert card.locator(".image .trace").is_visible()
    assert not card.locator(".map .trace").first.is_visible()
    page.get_by_label("over the series").check()
    assert card.locator(".map .trace").first.is_visible()
    card.locator(".open").click()
    large = page.locator("dialog .overlaid")
    assert large.locator(".map .trace").first.is_visible()
    assert large.locator(".reconstruction path").get_attribute("d") == card.locator(
        "[data-again]"
    ).get_attribute("data-again")
    assert page.locator("dialog path[id]").count() == 0


def test_inputs_and_maps_share_their_axis(visit: Open, series_file: Path) -> None:
    """A card's drawings begin and end at the same places across."""
    page = visit(series_file).page
    boxes = [one.bounding_box() for one in page.locator(".card:visible").first.locator("i").all()]
    assert len(boxes) >= 4
    assert len({(round(box["x"]), round(box["width"])) for box in boxes if box}) == 1


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_everybody_can_read_it(visit: Open, series_file: Path, dark: bool) -> None:
    """No width scrolls sideways, axe finds no violation, and text in drawings can be read."""
    page = visit(series_file, dark=dark).page
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        assert sideways(page) == [], f"at {width}"
    assert violations(page) == []
    assert faint(page) == []
