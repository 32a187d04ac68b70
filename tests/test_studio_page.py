"""The studio's page before anybody asks, its script and style: inert, whole, and safe."""

from __future__ import annotations

import re
from typing import Any

import pytest

from harness.studio import page
from tests import faked_studio
from tests.faked_studio import Seen, view
from tests.hostile import HOSTILE, OWNED

HANDLER = re.compile(r"^on[a-z]+$")


def two() -> list[dict[str, Any]]:
    return [faked_studio.about(), faked_studio.about(name="other", title="The night before")]


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


@pytest.mark.thorough
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


def test_a_run_that_was_not_judged_says_so() -> None:
    """No verdict is told as that."""
    told = faked_studio.about() | {"verdict": None}
    assert "Not judged." in Seen(page.render([told])).text
    assert 'class="verdict "' in view(told)
