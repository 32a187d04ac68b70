"""The page's benchmark times what it says it times. No time is asserted."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from harness.artifacts.directories import RunDirectory
from tests.benchmarks import page

pytestmark = pytest.mark.thorough


def test_a_page_is_timed(browser: Browser, finished_run: RunDirectory) -> None:
    """A visit tells when the page could be used, and how long each act took, in order."""
    told = page.visit(browser, finished_run / "report.html", rounds=1)
    assert 0 < told["interactive_ms"] <= told["loaded_ms"]
    assert set(told) == {"interactive_ms", "painted_ms", "loaded_ms", *page.ACTS}
    assert all(value > 0 for value in told.values())


def test_each_act_is_done(browser: Browser, finished_run: RunDirectory) -> None:
    """What the benchmark does in the gallery is seen in it: sorted, filtered, and on one scale."""
    opened = browser.new_page()
    opened.goto((finished_run / "report.html").as_uri())
    cards = opened.locator("#gallery-cards > li.card:not([hidden])")
    before = [card.get_attribute("id") for card in cards.all()]
    page.open_once(opened)
    after = [card.get_attribute("id") for card in cards.all()]
    assert 0 < len(after) < len(before)
    assert {card.get_attribute("data-class") for card in cards.all()} == {"3"}
    sure = [float(str(card.get_attribute("data-confidence"))) for card in cards.all()]
    assert sure == sorted(sure, reverse=True)
    scales = set(opened.locator("#gallery-cards .map b").all_text_contents())
    assert len(scales) == 1
    opened.close()
