"""Foreign text, cleaned, harms neither a terminal nor a report."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.text import (
    LONGEST,
    clean,
    is_number,
    lasting,
    listed,
    origin,
    sure,
    without_password,
    words_of_pair,
)

XML_TEXT = re.compile("[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")
"""What XML 1.0 (section 2.2) allows in a text."""

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=600)
"""Lone surrogates, control and unassigned characters included."""

HOSTILE = st.lists(
    st.sampled_from(
        ["\x1b[31m", "\x1b]0;t\x07", "\x1b", "\x00", "\u202e", "\ufffe", "\ud800", "\U0001f600", "a"]
    )
).map("".join)


@settings(deadline=None)
@given(text=ANY_TEXT | HOSTILE, longest=st.integers(0, 400))
def test_cleaned_text_is_legal_xml_and_never_longer_than_the_limit(text: str, longest: int) -> None:
    """Whatever comes in, what comes out is text of XML 1.0 and has at most `longest` characters."""
    cleaned = clean(text, longest)
    assert XML_TEXT.fullmatch(cleaned)
    assert len(cleaned) <= longest
    assert (ET.fromstring(f"<a>{escape(cleaned)}</a>").text or "") == cleaned


@settings(deadline=None)
@given(text=ANY_TEXT | HOSTILE)
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    """Removing a sequence never leaves another one behind that a second cleaning would find."""
    assert clean(clean(text)) == clean(text)


@pytest.mark.parametrize(
    ("coloured", "plain"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[1;38;5;208mbold\x1b[m", "bold"),
        ("wiped\x1b[2J\x1b[10;10H", "wiped"),
        ("\x1b]0;a title\x07branch", "branch"),
        ("\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b[31", "[31"),
        ("\x1b\x1b[0m[31mred", "[31mred"),
    ],
)
def test_ansi_sequences_are_removed(coloured: str, plain: str) -> None:
    """Colours, cursor movements, titles and links of a terminal go; an escape cut short loses its force."""
    assert clean(coloured) == plain


@pytest.mark.parametrize("code", [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
def test_bidirectional_characters_are_removed(code: int) -> None:
    """No character that turns the direction of what is shown stays in the text."""
    assert clean(f"user{chr(code)}gnp.exe") == "usergnp.exe"


@pytest.mark.parametrize("code", [*(set(range(0x20)) - {0x09, 0x0A}), *range(0x7F, 0xA0)])
def test_control_characters_are_removed(code: int) -> None:
    """Of the C0 and C1 controls only the tab and the line feed stay."""
    assert clean(f"a{chr(code)}b") == "ab"


@pytest.mark.parametrize("code", [0xD800, 0xDFFF, 0xFFFE, 0xFFFF, 0x1FFFF, 0xE000])
def test_surrogates_noncharacters_and_private_characters_are_removed(code: int) -> None:
    """What has no meaning outside the program that wrote it does not stay."""
    assert clean(f"a{chr(code)}b") == "ab"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "T-shirt/top",
        "two\n\tlines",
        "Größe 3 µm, 数字, עברית",
        "<script>{{7*7}}</script> & 'quotes'",
        "🙂",
    ],
)
def test_printable_text_is_left_as_it_is(text: str) -> None:
    """Letters of every script, markup and line breaks pass unchanged; escaping is the writer's work."""
    assert clean(text) == text


def test_a_label_of_ten_kilobytes_is_cut_in_the_middle() -> None:
    """Of an over-long text both ends can be read, with an ellipsis between, within the limit."""
    cleaned = clean("begin" + "x" * 10_000 + "end")
    assert LONGEST - 2 <= len(cleaned) <= LONGEST
    assert cleaned.startswith("beginx")
    assert cleaned.endswith("xend")
    assert "x … x" in cleaned


def test_text_exactly_as_long_as_the_limit_is_whole() -> None:
    """The limit itself is allowed; one more character is not."""
    assert clean("x" * 20, 20) == "x" * 20
    assert "…" in clean("x" * 21, 20)


def test_what_is_removed_does_not_count_towards_the_limit() -> None:
    """Text is measured after it is cleaned, so colours do not cost visible characters."""
    assert clean("\x1b[31mx\x1b[0m" * 20, 20) == "x" * 20


def test_anything_with_a_text_form_can_be_cleaned() -> None:
    """An exception is cleaned as the message it prints."""
    assert clean(ValueError("\x1b[31mbad\x00 value")) == "bad value"


def test_a_pair_is_told_by_its_methods() -> None:
    """A hyphen inside a method's name parts no pair."""
    assert words_of_pair("grad-cam-smooth_grad", ["grad-cam", "smooth_grad"]) == "grad-cam – smooth grad"
    assert words_of_pair("a_b", ["a_b"]) == "a b"


def test_only_certainty_is_a_hundred_percent() -> None:
    """A confidence is rounded down."""
    assert (sure(0.99999), sure(1.0), sure(0.8)) == ("99.9 %", "100 %", "80 %")


@pytest.mark.parametrize("word", ["secret", "se:cr/et", "s@cret@", "?password=", ""])
@pytest.mark.parametrize("form", ["db://me:{}@there:5432/nights", "db://there/nights?password={}&user=me"])
def test_a_password_in_a_url_is_hidden(word: str, form: str) -> None:
    """Wherever it stands, whatever signs it has that should have been encoded; the place can be read."""
    said = without_password(f"harness nightly --history {form.format(word)} --quiet")
    assert said == f"harness nightly --history {form.format('***')} --quiet"


@pytest.mark.parametrize(
    "text", ["postgresql+psycopg://me@there/nights", "artifacts/history.db", "a@b c://d:1/e", "--k 50"]
)
def test_what_holds_no_password_is_left_as_it_is(text: str) -> None:
    """A user, a port and an address are none."""
    assert without_password(text) == text


@pytest.mark.parametrize(
    ("given", "known"),
    [("1", True), ("-1e-3", True), (" 2 ", True), ("nan", True), ("", False), ("1,5", False)],
)
def test_a_number_in_words_is_known(given: str, known: bool) -> None:
    """As Python writes it."""
    assert is_number(given) == known


def test_data_comes_from_a_place_or_is_made() -> None:
    """As a reader says it; a folder may bear any name."""
    assert origin("data/mnist") == "from data/mnist"
    assert origin("made from data/mini") == "made from data/mini"
    assert origin("made") == "from made"


def test_names_with_commas_are_parted_by_semicolons() -> None:
    """Else nobody could tell where one ends."""
    assert listed(["Shirt (1)", "Bag (2)"]) == "Shirt (1), Bag (2)"
    assert listed(iter(["Dress, red", "Bag"])) == "Dress, red; Bag"
    assert listed([]) == ""


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.2, "0 seconds"),
        (1.2, "1 second"),
        (89.4, "89 seconds"),
        (90.0, "1.5 minutes"),
        (120.0, "2 minutes"),
        (599.0, "10 minutes"),
        (3600.0, "60 minutes"),
        (5400.0, "1.5 hours"),
        (360_000.0, "100 hours"),
    ],
)
def test_a_time_is_told_in_the_unit_that_fits_it(seconds: float, told: str) -> None:
    """Two digits of it, and no hundredths of hours."""
    assert lasting(seconds) == told
