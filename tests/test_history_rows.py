"""What the past says, as rows of a verdict."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.criteria.rows import PAST
from harness.history.past import Past
from harness.history.records import Alarm, Change, Difference
from harness.history.rows import in_words, rows_of, sentence_of
from tests.test_history import a_night

ALARM = Alarm(
    "accuracy@41",
    "accuracy",
    "Test accuracy",
    "share",
    "drift",
    found="000041-a",
    first="000038-a",
    began=("000037-a", "000040-a"),
    last_good="000036-a",
    size=-0.02,
    size_sd=-4.2,
    changes=(
        Change("commit", "commit.commit", "abc", "def"),
        Change("version", "version.torch", "2.1", "2.2"),
    ),
)
CHANGED = "changed since night 36: commit.commit abc → def, version.torch 2.1 → 2.2"


def a_past(**changed: Any) -> Past:
    """A past in which nothing happened."""
    known: dict[str, Any] = dict(
        night="000042-a",
        status="compared",
        why="compared with 41 nights: 10 measurements, 0 regressions",
        nights=41,
        charts=10,
        limit=6.36,
        expected={"1": 13.0, "2": 4.9, "3": 3.1},
        pin="",
        green="",
        canary_event="",
        identity={},
    )
    lists = "strips alarms improvements standings changes canary marks told removed added"
    return Past(**known | {name: [] for name in lists.split()} | changed)


def test_nothing_to_say_is_no_row() -> None:
    """Nor is an alarm that ended."""
    assert rows_of(a_past(), a_night(42)) == []
    ended = [replace(ALARM, state="recovered"), replace(ALARM, state="accepted")]
    assert rows_of(a_past(alarms=ended), a_night(42)) == []


@pytest.mark.parametrize("red", [True, False])
def test_an_open_alarm_is_a_gate_where_it_is_red(red: bool) -> None:
    """With tonight's number; a notice is only watched."""
    (row,) = rows_of(a_past(alarms=[replace(ALARM, red=red)]), a_night(42, accuracy=0.88))
    assert (row.id, row.verdict, row.gate, row.relation) == ("regression.accuracy-41", "fail", red, PAST)
    assert (row.estimate, row.n, row.threshold) == (0.88, 200, None)
    for said in (
        "-0.02 (4.2 sd)",
        "since night 38 (37 to 40)",
        "'drift'",
        CHANGED,
    ):
        assert said in row.why


def test_a_sentence_leaves_out_what_is_not_known() -> None:
    """No standard deviations, one night alone, nothing that changed."""
    told = sentence_of(replace(ALARM, size_sd=None, began=("000038-a", "000038-a"), changes=()))
    assert " sd)" not in told
    assert "(" not in told
    assert "nothing that is recorded" in told
    many = tuple(Change("setting", f"s{number}", "", "1") for number in range(9))
    assert in_words(many).endswith("s3 – → 1, and 5 more")


def test_a_canary_that_is_worse_is_red_and_no_other_word_is() -> None:
    """Undecided and unknown are told on the page."""
    words = ("not worse", "undecided", "unknown")
    others = [Difference("a", -0.1, -0.2, 0.1, word, 9) for word in words]  # type: ignore[arg-type]
    assert rows_of(a_past(canary=others), a_night(42)) == []
    worse = Difference("agreement", -0.31, -0.4, 0.02, "worse", 200)
    (row,) = rows_of(a_past(canary=[*others, worse]), a_night(42))
    assert (row.id, row.gate, row.verdict) == ("regression.canary", True, "fail")
    assert "agreement -0.31" in row.why


def test_a_number_that_is_missing_tonight_is_an_error_by_name() -> None:
    """With its reason where it was asked for and has none; once, where a criterion says so too."""
    past, night = a_past(removed=["accuracy", "gone"]), a_night(42, accuracy=None)
    said = replace(night, criteria=[replace(night.criteria[0], verdict="error")])
    assert [row.id for row in rows_of(past, said)] == ["regression.gone.missing"]
    rows = rows_of(past, night)
    assert [(row.id, row.verdict, row.gate) for row in rows] == [
        ("regression.accuracy.missing", "error", True),
        ("regression.gone.missing", "error", True),
    ]
    assert "it is no number" in rows[0].why
    assert "nobody measured it" in rows[1].why
