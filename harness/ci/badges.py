"""A verdict as a badge: for shields.io to draw, and drawn."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from string import Template
from typing import Any
from xml.sax.saxutils import escape

from harness.artifacts.files import shipped
from harness.text import clean

LABEL = "explanations"

COLORS = {"pass": "#1a7040", "fail": "#b3261e", "error": "#8a2f8f", "interrupted": "#8a5a00"}
"""The report's own; white on each has a contrast of at least 5:1."""

LONGEST = 40
"""Characters of what stands after the verdict's word."""

SIZE, MARGIN = 11, 6
"""Height of the letters and space beside a text, in pixels."""

_WIDTHS = {
    "'IJijl": 0.3,
    " ,./:;\\|·": 0.35,
    "()-[]ft": 0.4,
    "!r": 0.45,
    '"*_`–': 0.5,
    "?csz": 0.55,
    "FLkvxy": 0.6,
    "ABCKRVXZ": 0.7,
    "NU": 0.75,
    "&DGHOQ": 0.8,
    "#+<=>^w~": 0.85,
    "M": 0.9,
    "%@Wm…": 1,
}
_WIDTH_OF = {character: width for group, width in _WIDTHS.items() for character in group}
"""Advance widths of DejaVu Sans in ems, rounded up; all others of ASCII have 0.65."""


def badge(verdict: Mapping[str, Any]) -> dict[str, Any]:
    """The badge's values, by the schema of shields.io's endpoint badge.

    Args:
        verdict: What stands in `verdict.json`, the criteria as records.

    Returns:
        The message is the verdict's word and what it rests on: of a pass the agreement, of a fail or an
        error the first such gate, of a run that broke off its stage.
    """
    word = verdict["verdict"]
    values = {
        "schemaVersion": 1,
        "label": LABEL,
        "message": " · ".join(filter(None, [word, clean(_subject(verdict), LONGEST).replace("\n", " ")])),
        "color": COLORS[word],
    }
    # shields draws an error so that no parameter of the address can recolour it
    return values | ({"isError": True} if word == "error" else {})


def _subject(verdict: Mapping[str, Any]) -> str:
    if verdict["failure"]:
        return str(verdict["failure"]["stage"])
    criteria = verdict["criteria"]
    if verdict["verdict"] == "pass":
        found = (one.estimate for one in criteria if one.measurement == "agreement")
        number = next(found, None)
        return "" if number is None else f"{number:.2f}"
    red = [one.id for one in criteria if one.gate and one.verdict == verdict["verdict"]]
    return f"{red[0]}{f' and {len(red) - 1} more' if red[1:] else ''}" if red else "no gate"


def svg(values: Mapping[str, Any]) -> str:
    """The badge as SVG text, its words as text of the width that they take, so that none is cut."""
    label, message = str(values["label"]), str(values["message"])
    left, right = (width_of(text) + 2 * MARGIN for text in (label, message))
    words = {"label": label, "message": message, "whole": f"{label}: {message}"}
    template = Template((shipped("templates") / "badge.svg").read_text(encoding="utf-8"))
    return template.substitute(
        {name: escape(text, {'"': "&quot;"}) for name, text in words.items()},
        color=values["color"],
        width=left + right,
        left=left,
        right=right,
        label_middle=left / 2,
        label_length=left - 2 * MARGIN,
        message_middle=left + right / 2,
        message_length=right - 2 * MARGIN,
    )


def width_of(text: str) -> int:
    """Pixels that a text takes in a wide sans-serif, at the badge's size, rounded up a little."""
    ems = sum(_WIDTH_OF.get(one, 0.65 if one.isascii() else _wide(one)) for one in text)
    return int(ems * SIZE) + 1


def _wide(character: str) -> float:
    return 1.0 if unicodedata.east_asian_width(character) in "WF" else 0.9
