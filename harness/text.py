"""Foreign text made safe to print: class names, branches, messages and traces come from outside."""

from __future__ import annotations

import itertools
import math
import re
import unicodedata
from collections.abc import Iterable

LONGEST = 300

# ESC [ ... letter, and ESC ] ... BEL: what colours and titles terminals
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?")

_PASSWORD = re.compile(r"(://[^\s/:@]*:)[^\s]*@")  # up to the last @, for one may stand in it
_PARAMETER = re.compile(r"([?&]password=)[^\s&]*")


def words(name: str) -> str:
    """A name of the code as readers see it."""
    return name.replace("_", " ")


def words_of_pair(name: str, methods: Iterable[str]) -> str:
    """`a-b`, of two of these methods, as readers see it; a method's own name may hold a hyphen too."""
    return words({f"{a}-{b}": f"{a} – {b}" for a, b in itertools.combinations(methods, 2)}.get(name, name))


def sure(confidence: float) -> str:
    """A confidence as readers see it, rounded down: only 1 is 100 %."""
    return f"{math.floor(1000 * confidence) / 10:g} %"


def clean(text: object, longest: int = LONGEST) -> str:
    """`text` without ANSI sequences, control, bidirectional and unassigned characters, and not over-long.

    What is left is legal in XML 1.0, shows left to right as it was written, and keeps its line breaks.
    Longer text is cut in the middle, so that both its ends can be read.
    """
    text = str(text)
    if len(text) <= longest and text.isascii() and text.isprintable():
        return text  # as most is, and a page has thousands
    text = _ANSI.sub("", text)
    kept = "".join(
        character
        for character in text
        # C*: control, format (the bidirectional ones among them), surrogate, private, unassigned
        if character in "\n\t" or not unicodedata.category(character).startswith("C")
    )
    if len(kept) <= longest:
        return kept
    half = (longest - 3) // 2
    if half < 1:
        return kept[:longest]
    return f"{kept[:half]} … {kept[-half:]}"


def origin(source: str) -> str:
    """Where data comes from, as it follows on its name; what was made says so itself."""
    return source if source.startswith("made from ") else f"from {source}"


def listed(names: Iterable[str]) -> str:
    """Names in a row, parted by semicolons where one has a comma of its own."""
    there = [*names]
    return ("; " if any("," in one for one in there) else ", ").join(there)


def counted(number: int, thing: str) -> str:
    """So many things, in the singular where it is one."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def lasting(seconds: float) -> str:
    """A time in the unit that fits it: `45 seconds`, `12 minutes`, `2.5 hours`."""
    name, length = next(
        ((unit, one) for unit, one in (("hour", 3600), ("minute", 60)) if seconds >= 1.5 * one), ("second", 1)
    )
    number = f"{seconds / length:.{1 if length > 1 and seconds < 9.95 * length else 0}f}".removesuffix(".0")
    return f"{number} {name}" if number == "1" else f"{number} {name}s"


def without_password(text: str) -> str:
    """`text` with the passwords of the URLs in it hidden: for whatever is written down, or shown."""
    return _PARAMETER.sub(r"\1***", _PASSWORD.sub(r"\1***@", text))


def is_number(text: str) -> bool:
    """Whether a text is a number, finite or not."""
    try:
        float(text)
    except ValueError:
        return False
    return True
