"""The studio's page before anybody asks, its script and style, and the saved view: inert, whole, and safe."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from harness.criteria import show
from harness.records import Floats
from harness.studio import page, saved
from tests import faked_studio
from tests.hostile import HOSTILE, OWNED

HANDLER = re.compile(r"^on[a-z]+$")


class Seen(HTMLParser):
    """Elements of a page with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if {"script", "style"} & set(self.inside):
            self.elements.append(("inline", {"text": data}))
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def attributes(self) -> list[tuple[str, str, str]]:
        return [(tag, key, value or "") for tag, found in self.elements for key, value in found.items()]


def two() -> list[dict[str, Any]]:
    return [faked_studio.about(), faked_studio.about(name="other", title="The night before")]


def view(told: dict[str, Any], *, units: tuple[tuple[int, str, float], ...] = (), **query: str) -> str:
    inputs = faked_studio.test_input(told, 3)
    asked = {"seed": "0", "parts": "maps,integrity,agreement,deletion,units,path", "index": "3"} | query
    if units:
        asked["units"] = ",".join(f"{unit}:{how}:{value:g}" for unit, how, value in units)
    found = faked_studio.answer(told, asked, inputs, broken="gradients")
    return saved.render(told, faked_studio.Question(0, units, 3, inputs), found)


@pytest.mark.parametrize("form", faked_studio.FORMS)
def test_the_first_page_holds_to_the_policy(form: str) -> None:
    """No script, style or handler stands in the page itself; what it loads are its own two files."""
    seen = Seen(page.render([faked_studio.about(form)]))
    assert [one for one in seen.elements if one[0] in ("inline", "style", "form", "iframe", "object")] == []
    assert [one for one in seen.attributes() if one[1] == "style" or HANDLER.match(one[1])] == []
    loaded = [value for _, key, value in seen.attributes() if key in ("src", "href")]
    assert sorted(loaded) == ["#paper", "/studio.css", "/studio.js", "data:,"]


@pytest.mark.parametrize("form", faked_studio.FORMS)
def test_what_goes_of_a_place_is_told_where_it_has_channels(form: str) -> None:
    """Deletion takes single features, and the hatch is of places: in colour the page says how they differ."""
    text = Seen(page.render([faked_studio.about(form)])).text
    assert ("all its channels are gone" in text) is (form == "colour")


def test_no_file_names_a_network() -> None:
    """Nothing in page, style and script leads out of the machine; what is evaluated is none of it."""
    for path, (_, content) in page.files(two()).items():
        text = content.decode().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"(?:https?:)?//[a-z0-9]+\.[a-z]|@import|url\(", text), path
    script = page.files(two())["/studio.js"][1].decode()
    for word in (
        "eval(",
        "new Function",
        "innerHTML",
        "outerHTML",
        "insertAdjacent",
        "document.write",
        "import(",
    ):
        assert word not in script, word


def test_the_script_is_small() -> None:
    """A few tens of kB, as they stand: nothing builds it."""
    files = page.files(two())
    assert 10_000 < len(files["/studio.js"][1]) < 60_000
    assert {kind for kind, _ in files.values()} == {"text/html", "text/css", "text/javascript"}


def test_the_style_has_the_reports_colours_first() -> None:
    """The report's style comes first, the studio's own may overrule it."""
    style = page.files(two())["/studio.css"][1].decode()
    assert style.index("--page:") < style.index(".workbench")


def test_it_can_be_read_without_a_script() -> None:
    """Names, verdicts, abilities and the explained images by class stand in the page itself."""
    text = Seen(page.render(two())).text
    for words in (
        "Fashion, tonight",
        "The night before",
        "FAIL",
        "k sparse on fashion-mnist-mini",
        "JavaScript",
    ):
        assert words in text, words
    assert "30 of 200 test images" in text
    assert "Ankle boot 27, 57, 87" in text
    assert len(re.findall(r"<li>\s*<b>|<li><b>", page.render(two()))) == 10


def test_two_runs_are_told_apart() -> None:
    """By what they were asked for otherwise; points of one sweep may bear one name. A red one says why."""
    first, other = two()
    settings = {"k": "10", "epochs": "30", "model": "k-sparse"}
    first |= {"id": "one-night", "settings": settings, "why": "Accuracy is under 0.75"}
    other |= {"id": "one-night", "settings": settings | {"k": "50"}, "verdict": "pass", "why": "all hold"}
    text = Seen(page.render([first, other])).text
    assert text.count("k 10") == text.count("k 50") == 1
    assert "epochs" not in text
    assert "Accuracy is under 0.75" in text
    assert "all hold" not in text
    assert page.differing([first, first]) == ["", ""]


def test_it_tells_no_secret() -> None:
    """No pixel and no token is in what anybody may ask for."""
    for _, content in page.files(two()).values():
        assert faked_studio.TOKEN not in content.decode()
        assert "data:image" not in content.decode()


@pytest.mark.parametrize("how", ["page", "view"])
def test_hostile_names_are_inert(how: str) -> None:
    """Names of classes, runs and data that try to be markup stay text, on the page and in a saved view."""
    told = faked_studio.about(classes=HOSTILE, title=HOSTILE[1], name=HOSTILE[0], methods=(HOSTILE[2], "b"))
    told["model"], told["dataset"], told["verdict"] = HOSTILE[3], HOSTILE[8], HOSTILE[2]
    text = page.render([told]) if how == "page" else view(told)
    seen = Seen(text)
    assert [one for one in seen.attributes() if HANDLER.match(one[1]) or one[2] == "x"] == []
    assert OWNED not in text
    assert OWNED in seen.text
    assert [
        value
        for tag, found in seen.elements
        for value in [found.get("text")]
        if tag == "inline" and "owned" in str(value)
    ] == []


def test_a_model_without_a_code_says_so() -> None:
    """What needs a code is absent, and the first page says why."""
    told = faked_studio.about(capabilities=("gradient",))
    assert page.lacks(told) == ["The model has no code: units and switches are absent."]
    assert "The model has no code" in Seen(page.render([told])).text
    assert page.lacks(faked_studio.about()) == []
    text = Seen(view(told)).text
    assert "it has no units" in text
    assert "nothing switches on the way" in text


@pytest.mark.parametrize("form", faked_studio.FORMS)
def test_a_saved_view_is_one_page_without_a_script(form: str) -> None:
    """All that was seen is there, as drawings and numbers, and the page asks for nothing."""
    text = view(faked_studio.about(form))
    seen = Seen(text)
    assert {"script", "form", "link"}.isdisjoint({tag for tag, _ in seen.elements})
    addresses = [value for _, key, value in seen.attributes() if key in ("src", "href", "xlink:href")]
    assert [one for one in addresses if not one.startswith(("#", "data:"))] == []
    parts = [found["id"] for tag, found in seen.elements if tag == "section"]
    assert parts == ["prediction", "maps", "integrity", "agreement", "deletion", "units", "path"]
    assert text.count("<svg") >= 5
    assert "is not what it claims" in seen.text
    assert "script-src" not in text


def places(told: dict[str, Any], map_: dict[str, Any] | None) -> Floats:
    """What is drawn of a map, in absolute numbers: of a picture the sum over the channels of a place."""
    found = saved.floats(map_)
    assert found is not None
    shape = tuple(told["shape"])
    summed = found.reshape(shape).sum(axis=0) if told["axes"][0] == "channel" and len(shape) == 3 else found
    return np.abs(summed).ravel()


@pytest.mark.parametrize("form", faked_studio.FORMS)
def test_all_maps_of_a_view_share_one_scale(form: str) -> None:
    """It ends at the 99th percentile of all that is drawn, of controls only where there is nothing else."""
    told, inputs = faked_studio.about(form), faked_studio.test_input(faked_studio.about(form), 3)
    found = faked_studio.answer(told, {"seed": "0", "parts": "maps"}, inputs)
    found["maps"][3]["control"] = True
    found["maps"][3]["map"] = faked_studio.array(1000 * np.ones(told["features"]))
    limit = float(np.quantile([places(told, one["map"]) for one in found["maps"][:3]], 0.99))
    text = saved.render(told, faked_studio.Question(0, (), 3, inputs), found)
    assert f"all on one scale that ends at ±{show(limit)}" in Seen(text).text
    assert re.findall(r"±[0-9.e+-]+(?=</t)", text) == [f"±{limit:.2g}"] * 4
    found["maps"] = found["maps"][3:]
    text = saved.render(told, faked_studio.Question(0, (), 3, inputs), found)
    limit = float(np.quantile(places(told, found["maps"][0]["map"]), 0.99))
    assert f"ends at ±{show(limit)}" in Seen(text).text


@pytest.mark.parametrize("form", faked_studio.FORMS)
def test_a_view_of_two_runs_shows_both_and_their_difference(form: str) -> None:
    """Each method's maps stand in A, in B and as B less A, on one scale; a run without it says so."""
    told = faked_studio.about(form)
    other = faked_studio.about(form, name="other", methods=(*faked_studio.METHODS[:3], "occlusion"))
    inputs, query = faked_studio.test_input(told, 3), {"seed": "0", "parts": "maps", "target": "1"}
    found, theirs = faked_studio.answer(told, query, inputs), faked_studio.beside(other, query, inputs)
    question = faked_studio.Question(0, (), 3, inputs)
    elsewhere = saved.render(told, question, found, (other, question, theirs | {"target": 2}))
    assert "B explains Pullover, the class that it predicts." in Seen(elsewhere).text
    text = saved.render(told, question, found, (other, question, theirs))
    assert "the class that it predicts" not in text
    seen = Seen(text).text
    limit = float(np.quantile([places(told, one["map"]) for one in found["maps"] + theirs["maps"]], 0.99))
    assert f"ends at ±{show(limit)}" in seen
    assert "run B other" in seen
    assert "B, decoder weighted: this run does not ask it." in seen
    assert "A, occlusion: this run does not ask it." in seen
    mine, its = (saved.floats(one["maps"][0]["map"]) for one in (found, theirs))
    assert mine is not None
    assert its is not None
    row = ["gradients", *(show(float(one.sum())) for one in (mine, its, its - mine))]
    assert " ".join([*row, show(float(np.abs(its - mine).max()))]) in seen
    assert re.search(r">B − A</text>", text)


def test_a_saved_view_tells_what_was_switched_and_against_what() -> None:
    """Units, the contrast, and a method without a map are told."""
    text = Seen(
        view(faked_studio.about(), units=((3, "set", 0.0), (7, "times", 2.0)), target="1", against="2")
    ).text
    assert "3 set to 0, 7 times 2" in text
    assert "Trouser against Pullover" in text
    assert "probability with units switched" in text
    assert "it explains one logit alone" in text


def test_a_saved_view_has_only_what_was_asked() -> None:
    """A part that nobody asked for has no section."""
    parts = [
        found["id"]
        for tag, found in Seen(view(faked_studio.about(), parts="integrity")).elements
        if tag == "section"
    ]
    assert parts == ["prediction", "integrity"]


def test_arrays_come_back() -> None:
    """What an answer packs is what the view draws."""
    values = np.arange(6, dtype=np.float32).reshape(2, 3) / 7
    found = saved.floats(faked_studio.array(values))
    assert found is not None
    np.testing.assert_array_equal(found, values)
    assert saved.floats(None) is None


def test_the_path_is_straight_between_its_jumps() -> None:
    """Just before a jump the line is where its slope leads, whichever jumps came before it."""
    found = {"t": [0.0, 0.5, 1.0], "logit": [0.0, 3.0, 4.0]}
    jumps = [{"t": 0.1, "size": 1.0}, {"t": 0.3, "size": 1.0}, {"t": 0.75, "size": -1.0}]
    steps = saved._steps(found, jumps)
    np.testing.assert_allclose(steps.before, [0.2, 1.6, 4.0])
    np.testing.assert_allclose(steps.jumps, [1, 1, -1])
    assert len(saved._steps(found, []).at) == 0


def test_a_run_that_was_not_judged_says_so() -> None:
    """No verdict is told as that."""
    told = faked_studio.about() | {"verdict": None}
    assert "Not judged." in Seen(page.render([told])).text
    assert 'class="verdict "' in view(told)
