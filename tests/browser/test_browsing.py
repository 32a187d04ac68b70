"""The gallery in a browser: filters, order, scales, the large view by mouse and by keyboard alone."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from harness.artifacts.directories import RunDirectory
from harness.criteria import show
from harness.runs import Run
from harness.text import words
from tests.browser.visits import Visit, sideways, violations

pytestmark = pytest.mark.thorough

Open = Callable[..., Visit]
KINDS = ("right", "wrong", "below")


@pytest.fixture
def page(visit: Open, finished_run: RunDirectory) -> Page:
    """The report, opened on a laptop."""
    return visit(finished_run / "report.html").page


@pytest.fixture(scope="session")
def run(finished_run: RunDirectory) -> Run:
    """The run that is shown."""
    return Run(finished_run)


def control(page: Page, name: str) -> Locator:
    return page.locator(f"#gallery-controls [name={name}]")


def shown(page: Page, what: str = "id") -> list[str]:
    """An attribute of the cards that are to be seen, in their order."""
    script = "(all, what) => all.filter(one => one.checkVisibility()).map(one => one.getAttribute(what))"
    return list(page.eval_on_selector_all("#gallery-cards > li.card", script, what))


def choices(page: Page, name: str) -> list[str]:
    """What a menu offers besides everything."""
    script = "all => all.map(one => one.value)"
    return [value for value in control(page, name).locator("option").evaluate_all(script) if value]


def count(page: Page) -> int:
    """The number of samples that the gallery says it shows."""
    return int(re.findall(r"\d+", page.locator("#gallery-controls output").inner_text())[0])


def everything(page: Page) -> list[str]:
    """Shows the samples of every kind, and gives their ids."""
    control(page, "kind").select_option("")
    return shown(page)


def first(page: Page) -> Locator:
    """The first card that is shown."""
    return page.locator("#gallery-cards > li.card:not([hidden])").first


def heading(page: Page) -> Locator:
    """The heading of the large view."""
    return page.locator("dialog#large").get_by_role("heading").first


def naming(card: str) -> re.Pattern[str]:
    """What a text that names a card's test image matches."""
    return re.compile(rf"\b{card.removeprefix('s-')}\b")


def test_every_explained_sample_has_a_card(page: Page, run: Run) -> None:
    """Each judged sample has a card, and each that was looked at beside them, once."""
    ids = everything(page)
    assert len(ids) == len(set(ids))
    others = run.evidence().sanity["others"]
    wanted = {"right": set(run.evidence().indices.tolist())}
    for kind in ("wrong", "below"):
        wanted[kind] = set(others["indices"][others["kind"] == kind].tolist())
    for kind, indices in wanted.items():
        control(page, "kind").select_option(kind)
        assert {int(one.removeprefix("s-")) for one in shown(page)} == indices


def test_filters_hide_the_others(page: Page) -> None:
    """A class and a kind, alone and together, leave exactly their cards, and the count says how many."""
    ids = everything(page)
    assert count(page) == len(ids) == page.locator("#gallery-cards > li.card").count()
    labels = dict(zip(ids, shown(page, "data-class"), strict=True))
    kinds = dict(zip(ids, shown(page, "data-kind"), strict=True))
    assert set(choices(page, "class")) == set(labels.values())
    assert set(choices(page, "kind")) >= set(kinds.values()) == set(KINDS)
    for label in ["", *choices(page, "class")[:3]]:
        control(page, "class").select_option(label)
        for kind in ("", *KINDS):
            control(page, "kind").select_option(kind)
            kept = {one for one in ids if label in ("", labels[one]) and kind in ("", kinds[one])}
            assert set(shown(page)) == kept
            assert count(page) == len(kept)
            assert page.locator("#gallery-cards > li.card:not([hidden])").count() == len(kept)


@pytest.mark.parametrize("order", ["agreement", "-agreement", "confidence", "-confidence", "index"])
def test_cards_are_put_in_order(page: Page, order: str) -> None:
    """Each order holds over all cards that are shown; one without agreement counts as the lowest."""
    ids = everything(page)
    control(page, "sort").select_option(order)
    key = order.removeprefix("-")
    texts = [one.removeprefix("s-") for one in shown(page)] if key == "index" else shown(page, f"data-{key}")
    values = [-2.0 if text == "–" else float(text) for text in texts]
    assert len(set(values)) > 10
    assert values == sorted(values, reverse=order.startswith("-"))
    assert sorted(shown(page)) == sorted(ids)


def test_reset_restores_the_beginning(page: Page) -> None:
    """Reset brings back filters, order, methods and scale as they were when the page was opened."""
    before = shown(page)
    text = str(first(page).text_content())
    control(page, "class").select_option(choices(page, "class")[1])
    control(page, "kind").select_option("wrong")
    control(page, "method").select_option(choices(page, "method")[0])
    control(page, "sort").select_option("-confidence")
    control(page, "overlay").check()
    control(page, "shared").check()
    assert shown(page) != before
    page.locator("#gallery-controls button[type=reset]").click()
    expect(first(page)).to_have_text(text)
    assert first(page).locator(".map:visible").count() == len(choices(page, "method"))
    assert shown(page) == before
    assert count(page) == len(before)
    for name in ("overlay", "shared"):
        expect(control(page, name)).not_to_be_checked()


def test_one_method_can_be_shown_alone(page: Page, run: Run) -> None:
    """A method's choice leaves its maps alone in every card, under its name."""
    methods = run.config.attribution.methods
    assert choices(page, "method") == list(methods)
    maps = first(page).locator(".map:visible")
    for method in methods:
        control(page, "method").select_option(method)
        (text,) = maps.all_text_contents()
        assert text.strip().startswith(words(method))
    control(page, "method").select_option("")
    assert maps.count() == len(methods)


def until(shot: Callable[[], bytes], holds: Callable[[bytes], bool]) -> bytes:
    """The first picture for which something holds, of a few: browsers decode pictures when they find time."""
    for _ in range(20):
        if holds(taken := shot()):
            return taken
    pytest.fail("the picture did not become what it should")


@pytest.mark.parametrize("toggle", ["overlay", "shared"])
def test_toggles_redraw_and_undo(page: Page, toggle: str) -> None:
    """The overlay, and the scale that all share, change each map that is drawn, and changes back."""
    tile = first(page).locator(".map").first
    tile.scroll_into_view_if_needed()
    before = tile.screenshot()
    assert tile.screenshot() == before
    control(page, toggle).check()
    until(tile.screenshot, lambda taken: taken != before)
    control(page, toggle).uncheck()
    until(tile.screenshot, lambda taken: taken == before)


def test_the_scale_is_printed(page: Page) -> None:
    """Below each map stands where its scale ends: its own, or the one that all share."""
    script = "all => all.map(one => one.textContent.match(/±\\s*([\\d.e+-]+)/)[1]).map(Number)"
    tiles = page.locator("#gallery-cards > li.card:not([hidden]) .map")
    own = tiles.evaluate_all(script)
    assert len(set(own)) > 10
    control(page, "shared").check()
    expect(tiles.first).not_to_contain_text(f"{own[0]}")
    (one,) = set(tiles.evaluate_all(script))
    assert min(own) < one < max(own)
    control(page, "shared").uncheck()
    expect(tiles.first).to_contain_text(f"{own[0]}")
    assert tiles.evaluate_all(script) == own


def test_the_large_view_tells_the_sample(page: Page, run: Run) -> None:
    """Large: class and test image, larger maps, and the correlation of every pair as it was measured."""
    card = shown(page)[3]
    index, small = int(card.removeprefix("s-")), page.locator(f"#{card} .map i").first.bounding_box()
    page.locator(f"#{card} button.open").click()
    large = page.locator("dialog#large:modal")
    place = run.evidence().indices.tolist().index(index)
    expect(heading(page)).to_contain_text(run.classes[run.evidence().labels[place]])
    expect(heading(page)).to_contain_text(str(index))
    maps = [one.bounding_box() for one in large.locator(".map i").all()]
    assert small is not None
    assert len(maps) >= len(run.config.attribution.methods)
    assert all(one is not None and one["width"] > 1.5 * small["width"] for one in maps)
    measured = [
        run.per_sample(one.name)[0, place] for one in run.estimates if one.name.startswith("agreement_pair.")
    ]
    told = large.locator("table").first.locator("td").all_inner_texts()
    assert len(measured) == len(told) == 6
    np.testing.assert_allclose(sorted(map(float, told)), sorted(measured), rtol=6e-3)
    worst = show(float(np.min(measured)))
    expect(large.locator("p").first).to_contain_text(worst)
    large.locator("button.close").click()
    expect(large).to_be_hidden()
    expect(page.locator(f"#{card} button.open")).to_be_focused()


def test_arrows_go_through_the_filtered_samples(page: Page) -> None:
    """In the large view the arrow keys go along the cards that are shown, in their order, to both ends."""
    control(page, "class").select_option(choices(page, "class")[2])
    control(page, "sort").select_option("-confidence")
    ids = shown(page)
    assert len(ids) > 2
    page.locator(f"#{ids[0]} button.open").click()
    for step, wanted in [("ArrowRight", one) for one in ids[1:]] + [
        ("ArrowLeft", one) for one in ids[-2::-1]
    ]:
        page.keyboard.press(step)
        expect(heading(page)).to_have_text(naming(wanted))
    page.keyboard.press("Escape")
    expect(page.locator(f"#{ids[0]} button.open")).to_be_focused()


def test_the_keyboard_reaches_everything(page: Page) -> None:
    """From the top by keyboard alone: skip link, sections, a sample, large, next, back; focus is kept."""
    focused = "one => document.activeElement.matches(one)"

    def tab_to(selector: str, at_most: int) -> None:
        for _ in range(at_most):
            page.keyboard.press("Tab")
            if page.evaluate(focused, selector):
                return
        pytest.fail(f"{selector} is not among the next {at_most} stops")

    tab_to("a.skip", 1)
    expect(page.locator("a.skip").first).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#criteria")).to_be_in_viewport()
    tab_to("nav a[href='#gallery']", 12)
    page.keyboard.press("Enter")
    expect(page.locator("#gallery-controls")).to_be_in_viewport()
    tab_to("#gallery-controls select", 2)
    tab_to(".gallery a.skip", 8)
    expect(page.locator(".gallery a.skip")).to_be_in_viewport()
    expect(page.locator("#gallery-controls")).to_be_in_viewport()  # it stands where it is, not at the top
    tab_to("button.open", 4)
    ids = shown(page)
    expect(page.locator(f"#{ids[0]} button.open")).to_be_focused()
    page.keyboard.press("Enter")
    large = page.locator("dialog#large")
    expect(large).to_be_visible()
    for _ in range(12):  # nothing behind the large view can be reached
        page.keyboard.press("Tab")
        assert page.evaluate(
            "document.activeElement === document.body || !!document.activeElement.closest('dialog')"
        )
    tab_to("dialog button", 3)
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    expect(heading(page)).to_have_text(naming(ids[2]))
    page.keyboard.press("Control+ArrowRight")  # the browser's
    expect(heading(page)).to_have_text(naming(ids[2]))
    expect(large.locator(".finding[aria-live]")).to_contain_text("Test image")
    page.keyboard.press("Escape")
    expect(large).to_be_hidden()
    expect(page.locator(f"#{ids[2]} button.open")).to_be_focused()


def at_sight(page: Page, card: str) -> None:
    """The card comes into the window, and nothing lies over its middle then."""
    expect(page.locator(f"#{card}")).to_be_in_viewport()
    script = """card => {
      const box = document.getElementById(card).getBoundingClientRect();
      const there = document.elementFromPoint((box.left + box.right) / 2, (box.top + box.bottom) / 2);
      return there !== null && there.closest("li") === document.getElementById(card);
    }"""
    page.wait_for_function(script, arg=card, timeout=10_000)


def test_a_samples_address_shows_it(visit: Open, page: Page, finished_run: RunDirectory) -> None:
    """An address that ends in a sample's id shows its card, filtered out or not, at once and later."""
    ids = everything(page)
    control(page, "kind").select_option("right")
    hidden = next(one for one in reversed(ids) if one not in shown(page))
    at_sight(visit(finished_run / "report.html", f"#{hidden}").page, hidden)
    at_sight(visit(finished_run / "report.html", f"#{ids[30]}").page, ids[30])
    page.evaluate("card => { location.hash = card }", hidden)
    at_sight(page, hidden)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_in_the_large_view(visit: Open, finished_run: RunDirectory, dark: bool) -> None:
    """Axe finds no violation in the large view, and it fits a telephone."""
    page = visit(finished_run / "report.html", width=360, dark=dark).page
    first(page).locator("button.open").click()
    large = page.locator("dialog#large:modal")
    expect(large).to_be_visible()
    assert violations(page, "dialog") == []
    assert large.evaluate("one => one.scrollWidth <= one.clientWidth")
    assert sideways(page) == []
