"""The pages under a server's policy: whole where it is mild, plain and readable where it forbids style."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.conftest import PATIENCE
from tests.browser.visits import faint, sideways, unfold

pytestmark = pytest.mark.thorough

Serve = Callable[..., Page]

STRICT = {
    "nothing": "default-src 'none'",
    "files": "default-src 'self'",
    "jenkins": "sandbox allow-same-origin; default-src 'none'; img-src 'self'; style-src 'self';",
    "sandboxed": "sandbox; default-src 'none'; img-src 'self'; style-src 'self'",
    "script": "default-src 'self'; script-src 'unsafe-inline'; img-src data:",
}
"""Policies that forbid a page its own style; the last lets its script and its pictures be."""

MILD = {
    "none": "",
    "allowed": "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; img-src data:",
    "elements": "style-src 'unsafe-inline'; style-src-attr 'none'",
}
"""Policies under which a page is what it is without one; the second is the one that the README names."""

PICTURELESS = "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'"
"""A policy that lets style and script be, and no pictures of a page's own."""

BLACK = """() => {
  const shapes = document.querySelectorAll("figure svg :is(path, rect, circle, polygon, use)");
  return [...shapes].filter((one) => {
    const box = one.getBoundingClientRect();
    return getComputedStyle(one).fill === "rgb(0, 0, 0)" && box.width * box.height > 400;
  }).map((one) => one.outerHTML.slice(0, 160));
}"""
"""Shapes larger than a letter that are filled with the colour that a shape has whose own got lost."""

LOOKS = """() => [...document.querySelectorAll("figure svg *")].map((one) => {
  const looks = getComputedStyle(one);
  return [one.tagName, looks.fill === "none", looks.stroke === "none", looks.strokeWidth,
    looks.strokeDasharray, looks.strokeLinecap, looks.strokeLinejoin, looks.opacity, looks.fillOpacity,
    looks.fontSize, looks.fontWeight, looks.fontFamily, looks.textAnchor, looks.imageRendering].join();
})"""
"""How everything in the drawings looks, but for its colours, which the page's theme may choose."""

BESIDE = """() => [...document.querySelectorAll("body *")].filter((one) =>
  one.getBoundingClientRect().right > innerWidth && !one.closest("svg, code")
    && !one.closest("table:not([role])")).map((one) => one.outerHTML.slice(0, 160))"""
"""What stands out over the window's side and is no table of numbers, nor a digest."""


@pytest.fixture
def serve(browser: Browser) -> Iterator[Serve]:
    """Opens a file as a server gives it that sends a policy along."""
    opened = []
    expect.set_options(timeout=PATIENCE)

    def open_page(file: Path, policy: str, *, width: int = 1280, dark: bool = False) -> Page:
        headers = {"Content-Type": "text/html; charset=utf-8"}
        if policy:
            headers["Content-Security-Policy"] = policy

        def answer(route: Route) -> None:
            route.fulfill(headers=headers, body=file.read_bytes())

        context = browser.new_context(
            viewport={"width": width, "height": 720},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        opened.append(context)
        context.set_default_timeout(PATIENCE)
        context.route("**/*", answer)
        page = context.new_page()
        page.goto(f"http://server.test/{file.name}")
        return page

    yield open_page
    for context in opened:
        context.close()


@pytest.fixture(params=["page_file", "compared_file"], ids=["report", "compare"])
def file(request: pytest.FixtureRequest) -> Path:
    """The report, and the page of two runs."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Path)
    return found


def test_drawings_keep_their_looks(serve: Serve, page_file: Path) -> None:
    """Without its style a page's drawings have every line, letter and colour of their own, no shape black."""
    whole = serve(page_file, "")
    assert len(looks := whole.evaluate(LOOKS)) > 1000
    assert whole.evaluate(BLACK) == []
    for name, policy in STRICT.items():
        plain = serve(page_file, policy)
        assert plain.evaluate(LOOKS) == looks, name
        assert plain.evaluate(BLACK) == [], name


@pytest.mark.parametrize("policy", STRICT.values(), ids=STRICT)
def test_a_plain_page_can_be_read(serve: Serve, file: Path, policy: str) -> None:
    """Without style the verdict comes first, then the sentence that says why the page is plain; tables are
    ruled, nothing is wider than the window, no control is dead, and all words of the page are there. On a
    telephone drawings and prose stay inside the window; tables of numbers may be wider.
    """
    page = serve(file, policy)
    unfold(page)
    expect(page.locator("h1")).to_contain_text("PASS")
    expect(page.locator("h1")).to_be_in_viewport(ratio=1)
    words = page.locator("body").inner_text()
    assert words.index("PASS") < 80
    note = page.locator(".unstyled")
    expect(note).to_be_visible()
    assert words.index("PASS") < words.index(note.inner_text()) < words.index("criterion")
    expect(page.locator("#criteria")).to_be_visible()
    assert page.locator("#criteria td").first.evaluate("one => getComputedStyle(one).borderTopWidth") != "0px"
    assert sideways(page) == []
    if "script-src" not in policy:
        controls = page.locator("form, select, button, a.skip, dialog")
        assert [one for one in controls.all() if one.is_visible()] == []
    page.set_viewport_size({"width": 360, "height": 720})
    assert page.evaluate(BESIDE) == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_in_plain_drawings_can_be_read(serve: Serve, page_file: Path, dark: bool) -> None:
    """Without style and pictures every text of a drawing stands out from what is left below it."""
    assert faint(serve(page_file, STRICT["nothing"], dark=dark)) == []


def test_drawings_are_no_larger_than_they_were_made(serve: Serve, page_file: Path) -> None:
    """Without style a drawing is as large as its file says, however wide the window."""
    page = serve(page_file, STRICT["nothing"], width=2400)
    for one in page.locator("figure svg").all():
        box = one.bounding_box()
        name = one.evaluate("one => one.closest('figure').id")
        drawn = (page_file.parent / "figures" / f"{name}.svg").read_text(encoding="utf-8")
        assert box is not None
        assert f'<svg width="{box["width"]:.0f}" ' in drawn


@pytest.mark.parametrize("policy", [*MILD.values(), PICTURELESS], ids=[*MILD, "no pictures"])
def test_the_notes_stand_where_they_are_true(serve: Serve, file: Path, policy: str) -> None:
    """Where style is allowed nothing says that it is not, and pictures are told missing where they are."""
    page = serve(file, policy)
    expect(page.locator(".unstyled")).to_be_hidden()
    note = page.locator(".pictures img")
    note.scroll_into_view_if_needed()
    box = note.bounding_box()
    assert box is not None
    assert (box["height"] > 10) == (policy == PICTURELESS)
    assert note.evaluate("one => one.naturalWidth") == (policy != PICTURELESS)
    above = page.locator("main").bounding_box()
    assert above is not None
    assert above["y"] > box["y"]


def test_a_mild_policy_changes_nothing(serve: Serve, file: Path) -> None:
    """Where a policy leaves a page its style elements, every picture stands at its place on its sheet."""
    script = """() => [...document.querySelectorAll(".tile i, .changed i")].map((one) => {
      const looks = getComputedStyle(one);
      return looks.backgroundImage.slice(0, 500) + looks.backgroundPosition + looks.width;
    })"""
    places = serve(file, MILD["none"]).evaluate(script)
    assert len(set(places)) > 10
    for name in ("allowed", "elements"):
        assert serve(file, MILD[name]).evaluate(script) == places, name


def test_where_only_script_is_allowed_the_samples_can_be_filtered(serve: Serve, page_file: Path) -> None:
    """Script without style still shows its controls, so that no sample is hidden for good."""
    page = serve(page_file, STRICT["script"])
    expect(page.locator("#gallery-controls")).to_be_visible()
    page.locator("#gallery-controls [name=kind]").select_option("")
    cards = page.locator("#gallery-cards > li")
    assert cards.count() == page.locator("#gallery-cards > li:visible").count() > 0
