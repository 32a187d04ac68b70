"""The studio's page in a browser, driven as a person would, against a server whose answers are known."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from tests import faked_studio
from tests.browser.conftest import PATIENCE
from tests.browser.visits import WIDTHS, sideways, unfold, violations
from tests.faked_studio import Faked
from tests.hostile import HOSTILE

pytestmark = pytest.mark.thorough

Studio = Callable[..., tuple[Page, Faked]]

ABOUTS = {
    "grey": [faked_studio.about()],
    "colour": [faked_studio.about("colour")],
    "series": [faked_studio.about("series")],
    "table": [faked_studio.about("table")],
    "two": [faked_studio.about(), faked_studio.about(name="other", title="The night before")],
    "fewer": [
        faked_studio.about(methods=("gradients", "smoothgrad")),
        faked_studio.about(name="other", methods=("gradients",)),
    ],
    "plain": [faked_studio.about(capabilities=("gradient",))],
    "hostile": [faked_studio.about(classes=HOSTILE, title=HOSTILE[1], methods=(HOSTILE[2], "gradients"))],
}


@pytest.fixture(scope="module")
def servers() -> Iterator[Callable[[str], Faked]]:
    """A server of each kind of runs, as it is wanted."""
    running: dict[str, tuple[object, Faked]] = {}

    def server(kind: str) -> Faked:
        if kind not in running:
            opened = faked_studio.serving(*ABOUTS[kind])
            running[kind] = (opened, opened.__enter__())
        return running[kind][1]

    yield server
    for opened, _ in running.values():
        opened.__exit__(None, None, None)  # type: ignore[attr-defined]


@pytest.fixture
def studio(browser: Browser, servers: Callable[[str], Faked]) -> Iterator[Studio]:
    """Opens the studio; a page that asks anybody else, or complains, fails the test at its end."""
    pages: list[tuple[Page, Faked, list[str], list[str]]] = []
    expect.set_options(timeout=PATIENCE)

    def open_page(
        kind: str = "grey",
        fragment: str = "",
        *,
        width: int = 1280,
        dark: bool = False,
        script: bool = True,
        touch: bool = False,
    ) -> tuple[Page, Faked]:
        faked = servers(kind)
        faked.asked.clear()
        faked.broken, faked.superseding, faked.refusing = "", 0, ""
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            java_script_enabled=script,
            has_touch=touch,
            reduced_motion="reduce",
        )
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        asked: list[str] = []
        said: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(f"error: {error}"))
        pages.append((page, faked, asked, said))
        page.goto(f"{faked.address}{fragment}")
        if script and not fragment.startswith("!"):
            settled(page)
        return page, faked

    yield open_page
    complaints: list[str] = []
    for page, faked, asked, said in pages:
        home = faked.address.split("#")[0]
        complaints += [url for url in asked if not url.startswith((home, "data:", f"blob:{home}"))]
        # the browser itself says that a request was refused, as some tests want it to be
        complaints += [one for one in said if "the server responded with a status of" not in one]
        page.context.close()
    assert complaints == []


def settled(page: Page) -> None:
    """Every part shows the newest answer."""
    expect(page.locator(".panels > section[aria-busy=false]")).to_have_count(6)


def picture(canvas: Locator) -> str:
    return str(canvas.evaluate("one => one.toDataURL()"))


def paper(page: Page) -> Locator:
    return page.locator("#paper")


def drag(
    page: Page, ends: tuple[tuple[float, float], tuple[float, float]] = ((0.2, 0.2), (0.6, 0.5))
) -> None:
    """Draw a stroke between two places of the paper, given as shares of its sides."""
    box = paper(page).bounding_box()
    assert box is not None
    (x, y), (right, down) = ends
    page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + right * box["width"], box["y"] + down * box["height"], steps=5)
    page.mouse.up()


def do(page: Page, name: str) -> None:
    page.locator(f"[data-do='{name}']").click()


def remembered(page: Page, words: str) -> None:
    """The address comes to hold these words."""
    page.wait_for_function("words => location.hash.includes(words)", arg=words)


@pytest.mark.parametrize("kind", ["grey", "colour", "series", "table"])
def test_painting_moves_every_map(studio: Studio, kind: str) -> None:
    """A stroke changes the input, the prediction and all maps, which share one scale; the latency is told."""
    page, faked = studio(kind)
    before = [picture(one) for one in page.locator("#maps canvas").all()]
    assert len(before) == 4
    drawn, told = picture(paper(page)), page.locator("#prediction .body").inner_text()
    drag(page)
    expect(page.locator("#about-input")).to_contain_text("changed")
    settled(page)
    assert picture(paper(page)) != drawn
    assert page.locator("#prediction .body").inner_text() != told
    expect(page.locator("#prediction")).to_contain_text("Changed by at most")
    after = [picture(one) for one in page.locator("#maps canvas").all()]
    assert all(one != other for one, other in zip(before, after, strict=True))
    expect(page.locator("#scale")).to_have_text(re.compile(r"^±[0-9.e-]+ on every map$"))
    expect(page.locator("#latency")).to_have_text(re.compile(r"^\d+ ms, 12 of them the model's$"))
    sizes = {size for method, path, _, size in faked.asked if path == "/api/answer"}
    assert sizes == {4 * ABOUTS[kind][0]["features"]}


def test_tools_change_the_input_and_undo_takes_it_back(studio: Studio) -> None:
    """Noise, shifts, inversion and the eraser change it; undo goes back step by step, reset at once."""
    page, _ = studio()
    states = [picture(paper(page))]
    for name in ("noise", "left", "up", "right", "down", "invert"):
        do(page, name)
        states.append(picture(paper(page)))
    page.locator("[value=erase]").check()
    drag(page, ((0.3, 0.5), (0.7, 0.5)))
    states.append(picture(paper(page)))
    assert len(set(states)) == len(states)
    for state in reversed(states[:-1]):
        do(page, "undo")
        assert picture(paper(page)) == state
    do(page, "noise")
    do(page, "reset")
    assert picture(paper(page)) == states[0]
    expect(page.locator("#about-input")).to_have_text("Test image 0, T-shirt.")


def test_a_broken_map_is_red_while_one_looks(studio: Studio) -> None:
    """The light says in words and by a sign what holds; a map that is not what it claims is marked."""
    page, faked = studio()
    expect(page.locator(".light.holds")).to_have_count(3)
    expect(page.locator(".light.unknown")).to_have_text("– no definition of it is known")
    expect(page.locator(".light.broken")).to_have_count(0)
    faked.broken = "gradients"
    drag(page)
    light = page.locator(".light.broken")
    expect(light).to_have_text("✗ is not what it claims: error 0.4, over 0.05")
    expect(page.locator(".map", has=light)).to_contain_text("gradients")
    expect(page.locator(".map", has_text="integrated gradients")).to_contain_text(
        "Its sum is to be the change of the logit from the baseline, and misses it by 2.1 %."
    )


def test_agreement_stands_beside_its_controls(studio: Studio) -> None:
    """The number, the four controls, the percentile, and the pairs where one unfolds them."""
    page, _ = studio()
    rows = page.locator("#agreement .bars li .name")
    expect(rows).to_have_text(["these maps", "untrained", "brightness", "edges", "random"])
    expect(page.locator("#agreement")).to_contain_text("31.4 % of the run's explained images agree less.")
    page.locator("#agreement summary").click()
    expect(page.locator("#agreement tbody tr")).to_have_count(6)
    drag(page)
    settled(page)
    expect(page.locator("#agreement details")).to_have_attribute("open", "")


def test_any_class_and_any_contrast_is_explained(studio: Studio) -> None:
    """Another class, the runner-up, one against another; what cannot take it says why."""
    page, faked = studio()
    page.locator("#target").select_option("4")
    settled(page)
    assert faked.posted()[-1]["target"] == "4"
    expect(page.locator("#prediction .explained")).to_contain_text("Coat (explained)")
    page.locator("#target").select_option("")
    settled(page)
    do(page, "runner-up")
    settled(page)
    last = faked.posted()[-1]
    assert {"target", "against"} <= set(last)
    names = page.locator("#prediction li .name").all_inner_texts()
    assert names[0].endswith("(explained)")
    assert names[1].endswith("(against)")
    expect(page.locator(".map .absent")).to_have_text("it explains one logit alone")
    expect(page.locator("#units")).to_contain_text("Contributions are to the difference of the two logits.")
    expect(page.locator("#path svg")).to_have_attribute(
        "aria-label", re.compile("^The difference of the logits")
    )
    page.locator("#against").select_option(last["target"])
    settled(page)
    assert "against" not in faked.posted()[-1]
    expect(page.locator("#trouble")).to_have_text(
        "A class is not held against itself: it is explained alone."
    )


def test_a_contrast_that_falls_away_is_told(studio: Studio) -> None:
    """As one paints the predicted class may come to be the other one: a live region says so while it is."""
    page, _ = studio()
    noted = page.locator("#noted[role=status]")
    named = str(page.locator("#prediction li .name").first.text_content()).replace(" (explained)", "")
    label = str(faked_studio.CLASSES.index(named))
    expect(noted).to_have_text("")
    other = str((int(label) + 1) % 10)
    page.locator("#against").select_option(other)
    settled(page)
    expect(noted).to_have_text("")
    page.locator("#against").select_option(label)
    settled(page)
    expect(noted).to_have_text(
        f"{named} is predicted, the class that was to be taken away: there is no contrast, and it is "
        "explained alone."
    )
    page.locator("#target").select_option(other)
    settled(page)
    expect(noted).to_have_text("")


def test_the_deletion_follows_the_finger_without_asking(studio: Studio) -> None:
    """Dragging the share shows what is left, in each method's order, from the answer that is there."""
    page, faked = studio()
    before, asked = picture(page.locator("#deletion canvas")), len(faked.asked)
    share = page.locator("#share")
    share.focus()
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    expect(page.locator("#share-said")).to_have_text("50 %")
    after = picture(page.locator("#deletion canvas"))
    assert after != before
    page.locator("#order").select_option("smoothgrad")
    assert picture(page.locator("#deletion canvas")) != after
    expect(page.locator("#deletion .key li")).to_have_count(4)
    expect(page.locator("#deletion [role=img][aria-label^='Probability left at 50 %']")).to_have_count(1)
    remembered(page, "share=50")
    assert len(faked.asked) == asked


def test_units_are_switched_by_a_forward_pass(studio: Studio) -> None:
    """Off, doubled, set to a value, put back: the question says so, and the logits stand beside."""
    page, faked = studio()
    row = page.locator("#units tbody tr", has=page.locator("[data-at='0:3:off']"))
    row.get_by_role("button", name="switch off unit 3").click()
    settled(page)
    assert faked.posted(part="units")[-1]["units"] == "3:set:0"
    expect(row).to_contain_text("3 off")
    expect(page.locator("#prediction .bars .switched")).to_have_count(10)
    expect(page.locator("#prediction figure")).to_have_count(2)
    expect(page.locator("#prediction")).to_contain_text("After each → what it is with the units switched")
    expect(page.locator("#noted")).to_contain_text("Units are switched: that moves the prediction alone.")
    expect(row.get_by_role("button", name="switch off unit 3")).to_be_focused()
    row.get_by_role("button", name="double unit 3").click()
    settled(page)
    assert faked.posted(part="units")[-1]["units"] == "3:times:2"
    page.locator("[data-at='0:7:to']").fill("1.5")
    page.keyboard.press("Tab")
    settled(page)
    assert faked.posted(part="units")[-1]["units"] == "3:times:2,7:set:1.5"
    row.get_by_role("button", name="reset unit 3").click()
    page.locator("[data-at='0:all:reset']").click()
    settled(page)
    assert "units" not in faked.posted(part="units")[-1]
    expect(page.locator("#prediction .bars .switched")).to_have_count(0)
    expect(page.locator("#noted")).to_have_text("")
    page.locator("[data-at='0:7:to']").fill("2000000")
    page.keyboard.press("Tab")
    expect(page.locator("#trouble")).to_have_text("A unit is set to 1000000 at most.")


def test_switches_on_the_way_are_drawn_and_told(studio: Studio) -> None:
    """The line with its jumps, who changes places at them, and how near the nearest tie is."""
    page, _ = studio()
    part = page.locator("#path")
    expect(part.locator("svg .mark")).to_have_count(2)
    expect(part).to_contain_text("Largest: -0.8 at 0.3 of the way, where unit 11 leaves and unit 15 enters.")
    expect(part).to_contain_text("The nearest tie is 1.2 % away")
    part.locator("summary").click()
    expect(part.locator("tbody tr")).to_have_count(2)


def test_a_model_without_a_code_says_what_is_absent(studio: Studio) -> None:
    """No units, no switches, no reconstruction: each says so, and the rest works."""
    page, _ = studio("plain")
    expect(page.locator("#units .absent")).to_contain_text("no code")
    expect(page.locator("#path .absent")).to_contain_text("no code")
    expect(page.locator("#prediction .absent")).to_contain_text("No reconstruction")
    expect(page.locator("#maps canvas")).to_have_count(4)


def test_what_was_seen_becomes_a_check(studio: Studio) -> None:
    """The name and the question go to the server, and what it wrote is told; so is why it wrote nothing."""
    page, faked = studio()
    expect(page.locator("#name")).to_have_accessible_description(
        re.compile("^A check's name: up to 60 letters")
    )
    do(page, "check")
    expect(page.locator("#done")).to_have_text(
        "Not done: a check's name has 1 to 60 small letters, digits and single _, a letter first (got '')"
    )
    page.locator("#name").fill("  Böots look-odd! ")
    do(page, "check")
    expect(page.locator("#done")).to_contain_text("checks/test_boots_look_odd.py")
    assert faked.posted("/api/check", "")[-1]["name"] == "boots_look_odd"


def test_two_runs_answer_about_one_image(studio: Studio) -> None:
    """Each map stands in A, in B and as their difference, and every other part is there twice."""
    page, faked = studio("two")
    expect(page.locator(".map").first.locator("figcaption")).to_have_text(["A", "B", "B − A"])
    expect(page.locator("#maps canvas")).to_have_count(12)
    expect(page.locator("#said")).to_have_text(re.compile("^A: .* sure; B: .* sure$"))
    drag(page)
    settled(page)
    assert {one["run"] for one in faked.posted()} == {"0", "1"}
    for part in ("prediction", "agreement", "deletion", "units", "path"):
        expect(page.locator(f"#{part} .side")).to_have_count(2)
    page.locator("[data-at='1:3:off']").click()
    settled(page)
    last = {one["run"]: one for one in faked.posted(part="units")[-2:]}
    assert "units" not in last["0"]
    assert last["1"]["units"] == "3:set:0"
    remembered(page, "units1=3%3Aset%3A0")


@pytest.mark.parametrize("kind", ["grey", "colour", "series"])
def test_the_address_gives_the_same_view(studio: Studio, kind: str) -> None:
    """A reload, and the address in another window, show the same input, choices and switches."""
    page, faked = studio(kind)
    page.locator("#index").fill("17")
    page.keyboard.press("Enter")
    settled(page)
    drag(page)
    do(page, "noise")
    page.locator("#target").select_option("2")
    page.locator("#against").select_option("5")
    page.locator("#seed").select_option("1")
    page.locator("#own").check()
    page.locator("[data-at='0:7:double']").click()
    page.locator("summary", has_text="Methods").click()
    page.locator("#methods [value=smoothgrad]").uncheck()
    page.locator("#order").select_option("integrated_gradients")
    settled(page)
    remembered(page, "order=integrated")
    seen, told, address = picture(paper(page)), faked.posted(part="deletion")[-1], page.url
    page.reload()
    settled(page)
    assert picture(paper(page)) == seen
    assert faked.posted(part="deletion")[-1] == told
    assert page.url == address
    assert page.locator("#own").is_checked()
    assert page.locator("#order").input_value() == "integrated_gradients"
    other, _ = studio(kind, f"&{address.split('#')[1].split('&', 1)[1]}")
    assert picture(paper(other)) == seen


def test_an_index_that_is_none_is_told(studio: Studio) -> None:
    """Beyond the test set its range is said beside the field, until another is chosen; nothing is asked."""
    page, faked = studio()
    count, field, said = len(faked.asked), page.locator("#index"), page.locator("#index-said")
    for text in ("5000", "-1", "2.5"):
        field.fill(text)
        page.keyboard.press("Enter")
        expect(said).to_have_text(f"The test set has images 0 to 199 (got {text}).")
        expect(field).to_have_attribute("aria-invalid", "true")
    assert len(faked.asked) == count
    field.fill("199")
    page.keyboard.press("Enter")
    expect(page.locator("#about-input")).to_contain_text("Test image 199")
    expect(said).to_have_text("")
    expect(field).to_have_attribute("aria-invalid", "false")
    settled(page)


def test_one_method_stays(studio: Studio) -> None:
    """The last one of the first run cannot be left, and the page says so; of the second none is none."""
    page, faked = studio("fewer")
    page.locator("summary", has_text="Methods").click()
    page.locator("#methods [value=gradients]").uncheck()
    settled(page)
    assert [one["methods"] for one in faked.posted()[-2:]] == ["smoothgrad", ""]
    expect(page.locator(".map .absent")).to_have_text("B: this run does not ask this method")
    page.locator("#methods [value=smoothgrad]").click()
    expect(page.locator("#trouble")).to_contain_text("One method at least is asked")
    assert page.locator("#methods [value=smoothgrad]").is_checked()


def test_a_damaged_address_shows_what_it_can(studio: Studio) -> None:
    """An edit that was cut, units that are not there, a class against itself: the rest is shown."""
    for edit in ("AAAAA", "%25%25"):
        page, faked = studio(
            "grey", f"&index=3&target=2&against=2&units0=99:set:1,3:set:1e99,4:set:0&edit={edit}"
        )
        settled(page)
        expect(page.locator("#trouble")).to_contain_text("This address is damaged")
        expect(page.locator("#about-input")).to_contain_text("Test image 3")
        last = faked.posted(part="units")[-1]
        assert (last["units"], last["target"], "against" in last) == ("4:set:0", "2", False)
        drag(page)
        settled(page)
        expect(page.locator("#trouble")).to_be_hidden()


def test_units_are_of_one_seed(studio: Studio) -> None:
    """Another seed's unit of that number is another unit."""
    page, faked = studio()
    page.locator("[data-at='0:7:double']").click()
    settled(page)
    assert faked.posted(part="units")[-1]["units"] == "7:times:2"
    page.locator("#seed").select_option("1")
    settled(page)
    assert "units" not in faked.posted(part="units")[-1]


def test_a_view_is_saved_as_one_page(studio: Studio, tmp_path: Path, browser: Browser) -> None:
    """The file opens offline, shows the input's class, has no script, and asks for nothing."""
    page, faked = studio()
    drag(page)
    settled(page)
    with page.expect_download() as waiting:
        do(page, "view")
    file = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(file)
    expect(page.locator("#done")).to_have_text("The view was saved as one page, studio-view-1.html.")
    told = faked.posted("/api/view")[-1]
    assert (told["share"], told["order"]) == ("20", "gradients")
    context = browser.new_context(offline=True)
    saved = context.new_page()
    asked: list[str] = []
    saved.on("request", lambda request: asked.append(request.url))
    saved.goto(file.as_uri())
    expect(saved.locator("h1")).to_contain_text("Test image 0, changed")
    assert saved.locator("script").count() == 0
    assert saved.locator("section svg").count() >= 5
    assert [one for one in asked if one != file.as_uri() and not one.startswith("data:")] == []
    assert violations(saved) == []
    for width in WIDTHS:
        saved.set_viewport_size({"width": width, "height": 800})
        assert sideways(saved) == [], width
    context.close()


def test_the_keyboard_alone_paints(studio: Studio) -> None:
    """The skip link leads to the paper; arrows move the brush, space paints, shift moves all."""
    page, faked = studio()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(paper(page)).to_be_focused()
    expect(page.locator("#brush")).to_be_visible()
    before = picture(paper(page))
    for _ in range(12):
        page.keyboard.press("ArrowUp")
    expect(page.locator("#cursor")).to_contain_text("row 2, column 14")
    assert picture(paper(page)) == before
    page.keyboard.press("Space")
    one = picture(paper(page))
    assert one != before
    page.keyboard.down("Space")
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    page.keyboard.up("Space")
    line = picture(paper(page))
    assert line != one
    expect(page.locator("#cursor")).to_contain_text("value there 1.")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowRight")
    assert picture(paper(page)) != line
    for state in (line, one, before):
        page.keyboard.press("Control+z")
        assert picture(paper(page)) == state
    settled(page)
    assert faked.posted()


def test_the_keyboard_draws_a_series(studio: Studio) -> None:
    """Up and down set the height, page down goes to the next channel, space draws there."""
    page, _ = studio("series")
    paper(page).focus()
    before = picture(paper(page))
    page.keyboard.press("PageDown")
    for _ in range(8):
        page.keyboard.press("ArrowUp")
    expect(page.locator("#cursor")).to_contain_text("channel 1, place 30")
    page.keyboard.press("Space")
    assert picture(paper(page)) != before
    settled(page)


def test_a_finger_paints(studio: Studio) -> None:
    """A touch on the paper paints, and does not scroll the page."""
    page, _ = studio(width=360, touch=True)
    before, box = picture(paper(page)), paper(page).bounding_box()
    assert box is not None
    page.touchscreen.tap(box["x"] + box["width"] / 8, box["y"] + box["height"] / 8)
    expect(page.locator("#about-input")).to_contain_text("changed")
    assert picture(paper(page)) != before
    assert paper(page).evaluate("one => getComputedStyle(one).touchAction") == "none"
    settled(page)


def test_an_image_of_ones_own_is_scaled_and_never_sent_as_a_file(studio: Studio) -> None:
    """The browser decodes it to the input's size; the server gets as many bytes as ever, and no index."""
    page, faked = studio()
    stream = io.BytesIO()
    Image.linear_gradient("L").resize((300, 200)).save(stream, format="PNG")
    page.locator("#file").set_input_files(
        {"name": "a.png", "mimeType": "image/png", "buffer": stream.getvalue()}
    )
    expect(page.locator("#about-input")).to_have_text("One's own.")
    settled(page)
    assert "index" not in faked.posted()[-1]
    assert {size for method, _, _, size in faked.asked if method == "POST"} == {4 * 784}
    seen = picture(paper(page))
    remembered(page, "edit=")
    page.reload()
    settled(page)
    assert picture(paper(page)) == seen
    found = Image.open(io.BytesIO(base64.b64decode(seen.split(",")[1]))).convert("L")
    assert found.size == (28, 28)
    assert found.getpixel((14, 2)) == 0  # nothing was stretched: it is wider than high
    assert found.getpixel((14, 20)) > found.getpixel((14, 8)) > 0  # type: ignore[operator]
    page.locator("#file").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": b"no image"})
    expect(page.locator("#trouble")).to_have_text("This file is no image that the browser knows.")


def test_a_series_of_ones_own_is_checked(studio: Studio) -> None:
    """Numbers of another count, or out of range, are refused in a line; others are taken."""
    page, _ = studio("series")

    def give(text: str) -> None:
        page.locator("#file").set_input_files(
            {"name": "a.csv", "mimeType": "text/csv", "buffer": text.encode()}
        )

    give("1, 2, 3")
    expect(page.locator("#trouble")).to_have_text("The file must hold 120 numbers (it holds 3).")
    give("9 " * 120)
    expect(page.locator("#trouble")).to_have_text("Its numbers must be in -2.5 to 3.")
    give("0.123456\n" * 120)
    expect(page.locator("#about-input")).to_have_text("One's own.")
    settled(page)
    expect(page.locator("#trouble")).to_be_hidden()


def test_on_a_phone_the_maps_come_before_the_tools(studio: Studio) -> None:
    """Image, prediction, maps, tools: so they stand in the page, too, and the tools move as it is widened."""
    page, _ = studio(width=360)
    order = ["paper", "said", "maps", "kit", "prediction", "agreement"]
    tops = [page.locator(f"#{name}").evaluate("one => one.getBoundingClientRect().top") for name in order]
    assert tops == sorted(tops)
    there = page.locator(", ".join(f"#{name}" for name in order)).evaluate_all(
        "found => found.map(one => one.id)"
    )
    assert there == order
    page.locator("[value=erase]").check()
    page.locator("#index").fill("17")
    page.set_viewport_size({"width": 1280, "height": 900})
    expect(page.locator(".easel #kit")).to_have_count(1)
    expect(page.locator("#index")).to_be_focused()
    expect(page.locator("#index")).to_have_value("17")
    assert page.locator("[value=erase]").is_checked()
    page.set_viewport_size({"width": 360, "height": 900})
    expect(page.locator("#maps + #kit")).to_have_count(1)
    settled(page)


@pytest.mark.parametrize("kind", ["grey", "series", "two"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_everybody_can_use_it(studio: Studio, kind: str, dark: bool) -> None:
    """At four widths nothing is wider than the window, and axe finds nothing, in either theme."""
    page, faked = studio(kind, dark=dark)
    faked.broken = "gradients"
    expect(page.locator(".without-script")).to_be_hidden()
    page.locator("[data-at='0:3:off']").click()
    settled(page)
    unfold(page)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert sideways(page) == [], width
    for width in (360, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert violations(page) == [], width


def test_foreign_names_are_but_text(studio: Studio) -> None:
    """Hostile names of classes and methods run nothing, wherever the script puts them."""
    page, _ = studio("hostile", width=360)
    unfold(page)
    assert page.title() == f"Studio – {HOSTILE[1]}"
    assert page.locator("[onerror], [onload], img").count() == 0
    expect(page.locator("#target option")).to_have_count(11)
    assert "onerror" in page.locator("#prediction").inner_text()
    assert sideways(page) == []


def test_without_a_script_it_is_a_page(studio: Studio) -> None:
    """What can be known without the token can be read, and no control that does nothing is shown."""
    page, _ = studio("two", script=False, width=360)
    expect(page.locator("h1")).to_have_text("Two runs, one image")
    expect(page.locator(".without-script")).to_be_visible()
    expect(page.locator(".abilities li")).to_have_count(10)
    assert page.locator("button:visible, input:visible, select:visible, canvas:visible").count() == 0
    assert sideways(page) == []


def test_without_its_token_it_says_so(studio: Studio) -> None:
    """An address cut short, and one with another token, are told apart from a studio that ended."""
    page, faked = studio()
    home = faked.address.split("#")[0]
    other = page.context.new_page()
    other.goto(home)
    expect(other.locator("#trouble")).to_contain_text("lacks its token")
    expect(other.locator("#workbench")).to_be_hidden()
    other.goto("about:blank")
    other.goto(f"{home}#token=another")
    expect(other.locator("#trouble")).to_have_text("a token is needed")


def test_a_question_that_was_overtaken_is_asked_again(studio: Studio) -> None:
    """Where a later question came first the page asks anew; a refusal is shown, once."""
    page, faked = studio()
    faked.superseding = 2
    drag(page)
    expect(page.locator("#prediction")).to_contain_text("Changed by at most")
    settled(page)
    assert faked.superseding == 0
    faked.refusing = "features must be in [0, 1] (got 2 at 7)"
    do(page, "noise")
    expect(page.locator("#trouble")).to_have_text(faked.refusing)
    count = len(faked.asked)
    page.wait_for_timeout(300)
    assert len(faked.asked) == count
    faked.refusing = ""
    do(page, "undo")
    settled(page)
    expect(page.locator("#trouble")).to_be_hidden()


def test_it_never_asks_twice_at_once(studio: Studio) -> None:
    """However fast the finger is, one question is out, and the newest state is asked last."""
    page, faked = studio()
    faked.asked.clear()
    faked.most_at_once = 0  # what other pages asked before does not count
    for row in range(4):
        drag(page, ((0.1, 0.2 + 0.2 * row), (0.9, 0.2 + 0.2 * row)))
    settled(page)
    assert faked.most_at_once == 1
    assert len(faked.posted()) <= 30
