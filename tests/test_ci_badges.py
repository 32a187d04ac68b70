"""The badge: what it says of each verdict, and that nobody has to guess at its words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from matplotlib import get_data_path
from matplotlib.ft2font import FT2Font, LoadFlags

from harness.ci.badges import COLORS, SIZE, badge, svg, width_of
from harness.criteria.rows import own_verdict
from harness.judging import verdicts
from harness.records import Verdict
from tests.written import a_run

NAME = "{http://www.w3.org/2000/svg}"


def one_of(name: str, outcome: Any, number: float | None = None, gate: bool = True) -> Verdict:
    row = own_verdict(name, name, "x.py::x", outcome, f"why {name}", gate)
    return Verdict(**vars(row) | {"estimate": number, "measurement": name})


def whole(word: str, *criteria: Verdict, failure: Any = None) -> dict[str, Any]:
    return {"verdict": word, "failure": failure, "criteria": list(criteria)}


@pytest.mark.parametrize(
    ("verdict", "message"),
    [
        (whole("pass", one_of("a", "pass"), one_of("agreement", "pass", 0.7449)), "pass · 0.74"),
        (whole("pass", one_of("a", "pass")), "pass"),
        (whole("fail", one_of("a", "pass"), one_of("b", "fail")), "fail · b"),
        (whole("fail", one_of("w", "fail", gate=False), one_of("b", "fail")), "fail · b"),
        (
            whole("fail", one_of("b", "fail"), one_of("c", "fail"), one_of("d", "fail")),
            "fail · b and 2 more",
        ),
        (whole("error", one_of("b", "fail"), one_of("c", "error")), "error · c"),
        (whole("error"), "error · no gate"),
        (whole("error", one_of("b", "error"), failure={"stage": "training"}), "error · training"),
        (whole("interrupted", failure={"stage": "probing"}), "interrupted · probing"),
    ],
)
def test_the_message_is_the_word_and_what_it_rests_on(verdict: dict[str, Any], message: str) -> None:
    """A pass tells its agreement, a red run its first gate of that kind, a broken one its stage."""
    values = badge(verdict)
    assert values["message"] == message
    assert values["color"] == COLORS[verdict["verdict"]]
    assert values.get("isError", False) is (verdict["verdict"] == "error")
    assert values["schemaVersion"] == 1
    # shields refuses keys that it does not know
    assert set(values) <= {"schemaVersion", "label", "message", "color", "isError"}


def test_both_files_stand_beside_the_verdict(tmp_path: Path) -> None:
    """Judging writes the values and the drawing, of the same words."""
    run = a_run(tmp_path / "artifacts", {"agreement": 0.57})
    verdicts.judge(run)
    values = json.loads((run / "badge.json").read_text(encoding="utf-8"))
    assert values["message"] == "fail · agreement"
    root = ElementTree.parse(run / "badge.svg").getroot()
    assert root.get("role") == "img"
    assert root.get("aria-label") == "explanations: fail · agreement"
    title = root.find(f"{NAME}title")
    assert title is not None
    assert title.text == root.get("aria-label")
    assert [one.text for one in root.iter(f"{NAME}text")] == ["explanations", "fail · agreement"]


def test_foreign_text_is_text_in_the_drawing() -> None:
    """Markup, quotes and controls in an id neither end an attribute nor add an element (fault 44)."""
    nasty = 'x"/><script>alert(1)</script>\n\u202e\x1b[31m' + "y" * 500
    values = badge(whole("fail", one_of(nasty, "fail")))
    root = ElementTree.fromstring(svg(values))
    tags = {one.tag.removeprefix(NAME) for one in root.iter()}
    assert tags == {"svg", "title", "clipPath", "rect", "g", "text"}
    assert len(values["message"]) <= 50
    assert not {"\n", "\u202e", "\x1b"} & set(values["message"])
    assert root.get("aria-label") == f"explanations: {values['message']}"


def luminance(color: str) -> float:
    """Relative luminance of WCAG 2."""
    whole = color if len(color) == 7 else "#" + "".join(2 * one for one in color[1:])
    parts = [int(whole[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("word", sorted(COLORS))
def test_both_words_can_be_read(word: str) -> None:
    """White on each ground has at least 4.5:1, and each text has the room that it says it takes."""
    root = ElementTree.fromstring(svg(badge(whole(word, failure={"stage": "training"}))))
    grounds = [str(one.get("fill")) for one in root.iter(f"{NAME}rect") if one.get("fill")]
    assert len(grounds) == 2
    for ground in grounds:
        assert 1.05 / (luminance(ground) + 0.05) >= 4.5
    boxes = [one for one in root.iter(f"{NAME}rect") if one.get("fill")]
    for box, text in zip(boxes, root.iter(f"{NAME}text"), strict=True):
        left, width = float(box.get("x", 0)), float(box.get("width", 0))
        middle, length = float(text.get("x", 0)), float(text.get("textLength", 0))
        assert left < middle - length / 2
        assert middle + length / 2 < left + width
    assert float(root.get("width", 0)) == sum(float(box.get("width", 0)) for box in boxes)


@pytest.mark.parametrize(
    "text",
    ["explanations", "pass · 0.74", "fail · WWWW.MMMM_%@", "ill · iii", "".join(map(chr, range(32, 127)))],
)
def test_a_text_gets_the_width_that_it_takes(text: str) -> None:
    """By a wide sans-serif's own widths it is never too narrow, and at most a tenth too wide."""
    font = FT2Font(f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf")
    font.set_size(SIZE, 72)
    flags = LoadFlags.NO_HINTING
    taken = sum(font.load_char(ord(one), flags=flags).linearHoriAdvance / 65536 for one in text)
    assert taken <= width_of(text) <= 1.1 * taken + 1
