"""The studio's first page, readable without JavaScript, and the style and the script that go with it.

It holds what may be known without the token: names, verdicts and positions, no pixel of the data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.artifacts.files import shipped
from harness.capabilities import CAPABILITIES
from harness.forms import AXES
from harness.kinds import WORDS
from harness.report.page import templates
from harness.studio import asked, pinning
from harness.text import words

About = Mapping[str, Any]
"""What `Live.about` tells of a run."""

MOST = 24
"""Positions of a class that the page lists."""

MOST_KEYS = 4
"""Keys by which two runs are told apart."""

LACKS: Mapping[str, str] = {
    "code": "units and switches are absent",
    "reconstruction": "no reconstruction is shown",
    "atoms": "units are shown without pictures",
}
"""By what a model may have beside its logits: what that means for this page where it is absent."""


def kind_of(about: About) -> str:
    """The kind of a run's inputs, a key of `harness.forms.AXES`, by the names of their axes."""
    axes = tuple(about["axes"])
    return next((kind for kind, known in AXES.items() if axes in known), "table")


def render(abouts: Sequence[About]) -> str:
    """The page `/` of one run or two.

    Args:
        abouts: What each run tells of itself; both have inputs of one form.
    """
    kind = kind_of(abouts[0])
    named = WORDS[kind]
    return (
        templates()
        .get_template("studio.html.j2")
        .render(
            runs=[
                _told(about, "AB"[place], own)
                for place, (about, own) in enumerate(zip(abouts, differing(abouts), strict=True))
            ],
            noun=named.one,
            nouns=named.noun,
            is_wide=kind in ("series", "table"),
            is_colour=_channels(abouts[0]) == 3,
            has_channels=_channels(abouts[0]) > 1,
            abilities=_abilities(named.one, len(abouts)),
            most=MOST,
            largest=f"{asked.MOST:g}",
            longest=pinning.LONGEST,
        )
    )


def differing(abouts: Sequence[About]) -> list[str]:
    """By what each of several runs was asked for otherwise than the first, and the first than the second."""
    known = [dict(about.get("settings", {})) for about in abouts]
    keys = [key for key in known[0] if len({one.get(key) for one in known}) > 1]
    return [", ".join(f"{words(key)} {one.get(key, 'none')}" for key in keys[:MOST_KEYS]) for one in known]


def files(abouts: Sequence[About]) -> dict[str, tuple[str, bytes]]:
    """All that is public, by its path: its type, and its content."""
    folder = shipped("templates")

    def of(*names: str) -> bytes:
        return "\n".join((folder / name).read_text(encoding="utf-8") for name in names).encode()

    return {
        "/": ("text/html", render(abouts).encode()),
        "/studio.css": ("text/css", of("style.css", "studio.css")),
        "/studio.js": ("text/javascript", of("studio.js")),
    }


def lacks(about: About) -> list[str]:
    """What a run's model does not have, and what that means for the page: a sentence each."""
    there = about["capabilities"]
    absent = [name for name in LACKS if name not in there]
    if "code" in absent:
        absent = ["code"]  # of which all else would be
    return [f"{_first_upper(CAPABILITIES[name])}: {LACKS[name]}." for name in absent]


def _first_upper(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _channels(about: About) -> int:
    """How many channels a place of a picture has; 0 where inputs are no pictures with an axis of them."""
    sides = dict(zip(about["axes"], about["shape"], strict=True))
    return int(sides.get("channel", 0)) if kind_of(about) in ("image", "clip") else 0


def _told(about: About, letter: str, own: str) -> dict[str, Any]:
    """A run's part of the page; `own` is how it differs from the other."""
    found: dict[int, list[int]] = {}
    for sample in about["samples"]:
        found.setdefault(int(sample["label"]), []).append(int(sample["index"]))
    return {
        "letter": letter,
        "own": own,
        "why": "" if about["verdict"] == "pass" else about.get("why", ""),
        **{key: about[key] for key in ("id", "title", "verdict", "model", "dataset", "digest", "seeds")},
        "methods": about["methods"],
        "lacking": lacks(about),
        "explained": len(about["samples"]),
        "tests": about["tests"],
        "by_class": [(name, sorted(found.get(label, []))) for label, name in enumerate(about["classes"])],
    }


def _abilities(one: str, runs: int) -> list[tuple[str, str]]:
    """What can be done here: a head and a sentence each."""
    return [
        ("Paint and see.", f"Draw on the {one}, erase, shift it, add noise: prediction and maps follow."),
        ("The integrity light.", "Each map is asked for its own definition by forward passes, as you look."),
        ("Agreement beside its controls.", f"What the number is worth for this {one}, and where it lies."),
        ("Any class, any contrast.", "Explain the runner-up, another class, or one logit less another."),
        (
            "Delete by each method's order.",
            f"Drag a share; see what is left of the {one} and of the probability.",
        ),
        ("Switch units.", "Turn one off, double it, or set it: what the logits do is computed."),
        (
            "Switches on the way.",
            f"The logit from the baseline to the {one}, with its jumps and who changes places.",
        ),
        ("Make it a check.", "What you saw becomes a test of every run that is judged with --checks."),
        (
            f"Two runs, one {one}.",
            "Both are live, and their difference." if runs > 1 else "Name a second run on the command line.",
        ),
        ("Everything in the address.", "A reload gives the same view; save it as one offline page."),
    ]
