"""Ids of tests of one's own, and what becomes of several rows of one id."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.criteria.rows import PROPERTIES, Case, changed, identify, own_verdict, properties, settled
from harness.records import Verdict


@pytest.mark.parametrize(
    ("names", "name"),
    [
        (("test_shapes", "test_They Are_Round"), "shapes.they_are_round"),
        (("shapes", "TestAll", "test_x[1/2-a]"), "shapes.all.x_1_2-a"),
        (("test", "test_"), "test.test"),
        (("test_é", "[]"), "test.test"),
    ],
)
def test_an_id_holds_only_its_characters(names: tuple[str, ...], name: str) -> None:
    """Lower case, digits, dots, dashes and underscores, without what marks a test as one."""
    assert identify(*names) == name


def a_test(name: str, outcome: Any, why: str = "", place: str = "") -> tuple[Verdict, Case]:
    """A row of a test of one's own, with its test."""
    return own_verdict(name, name, place or f"{name}.py::x", outcome, why), Case("here", why)


def a_criterion(name: str, outcome: Any, why: str = "") -> tuple[Verdict, Case]:
    """A row of a declared criterion, with its test."""
    row, case = a_test(name, outcome, why)
    return Verdict(**vars(row) | {"measurement": name, "relation": ">=", "threshold": 0.5}), case


def told(*found: tuple[Verdict, Case]) -> list[tuple[str, str, str, str]]:
    """Id, outcome, sentence and test of what is settled."""
    rows = settled(found)
    assert list(rows) == [row.id for row, _ in rows.values()]
    return [(row.id, row.verdict, row.why, case.name) for row, case in rows.values()]


def test_the_worst_test_of_a_criterion_decides() -> None:
    """Error over fail over pass, whatever their order; the first at equal ones; ids keep their order."""
    x, y = a_criterion("x", "fail", "1"), a_criterion("y", "pass", "0")
    assert told(x, y, a_criterion("x", "error", "2"), a_criterion("x", "fail", "3")) == [
        ("x", "error", "2", "2"),
        ("y", "pass", "0", "0"),
    ]
    assert told(x, a_criterion("x", "fail", "2"), a_criterion("x", "pass", "3")) == [("x", "fail", "1", "1")]
    assert told(a_criterion("x", "pass", "1"), a_test("x", "error", "2")) == [("x", "error", "2", "2")]


def test_tests_of_one_id_are_told_apart_by_their_places() -> None:
    """Each of them gets an id that rests on its own place alone; whose id is not shared keeps it."""
    places = [f"x.py::{name}" for name in ("test_a[<=]", "test_a[>=]", "test_A", "test_\udcff")]
    alone = told(a_test("x.a", "pass", "why"), a_test("x.b", "pass", "why"))
    assert [name for name, *_ in alone] == ["x.a", "x.b"]
    several = told(*(a_test("x.a", "pass", f"x.a: {place}", place) for place in places))
    names = [name for name, *_ in several]
    assert len(set(names)) == 4
    assert all(identify(name) == name and name.startswith("x.a-") for name in names)
    assert [why for _, _, why, _ in several[:3]] == [
        f"{name}: {place}" for name, place in zip(names[:3], places[:3], strict=True)
    ]
    fewer = told(*(a_test("x.a", "fail", "The claim: no", place) for place in places[1:3]))
    assert [(name, why) for name, _, why, _ in fewer] == [(name, "The claim: no") for name in names[1:3]]


def test_what_cannot_be_told_apart_is_an_error() -> None:
    """Tests of one id and one place are one row, which is red; one that errs already keeps its words."""
    same = told(a_test("x.a", "pass", "1", "p"), a_test("x.a", "fail", "2", "p"))
    assert same == [("x.a", "error", "two tests bear the id 'x.a'; ids must differ", "2")]
    assert told(a_test("x.a", "pass", "1", "p"), a_test("x.a", "error", "2", "p"))[0][2] == "2"
    assert [row[1] for row in told(*(a_test("x.a", "pass", "1", p) for p in "ppq"))] == ["error", "pass"]


def test_settling_twice_changes_nothing() -> None:
    """What the tests of one folder came to is settled again beside those of another."""
    found = [a_test("x.a", "pass", "why", place) for place in "pq"] + [a_criterion("y", "fail")]
    once = settled(found)
    assert settled(once.values()) == once


def test_properties_are_numbers_as_json_and_texts() -> None:
    """Every named one is there, in an order that stays; None is an empty text."""
    row = Verdict(**vars(a_criterion("x", "fail")[0]) | {"estimate": 0.25, "threshold": (0.1, 0.2)})
    found = dict(properties(row))
    assert list(found) == ["criterion", *PROPERTIES]
    assert (found["criterion"], found["verdict"], found["low"]) == ("x", "fail", "")
    assert json.loads(found["estimate"]) == 0.25
    assert json.loads(found["threshold"]) == [0.1, 0.2]
    assert json.loads(found["gate"]) is True


def test_a_changed_verdict_has_a_clean_sentence() -> None:
    """Nothing else of it changes."""
    row = a_criterion("x", "pass")[0]
    after = changed(row, "error", "a\x1b[31mb")
    assert vars(after) == vars(row) | {"verdict": "error", "why": "ab"}
