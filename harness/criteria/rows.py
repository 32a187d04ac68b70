"""Rows of a verdict beside the declared criteria: tests of one's own, their ids, and the worst of an id."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from harness.records import Outcome, Verdict
from harness.text import clean

PROPERTIES = (
    "estimate",
    "low",
    "high",
    "n",
    "threshold",
    "relation",
    "margin_se",
    "minimum_detectable_difference",
    "gate",
    "verdict",
)
"""What junit.xml holds of a verdict, beside its id."""

WORST: tuple[Outcome, ...] = ("pass", "fail", "error")

HOLDS = "holds"
"""The relation of a row without number and threshold."""

CANARY = "canary"
"""What the row of a canary that is worse is called after."""

PAST = "past"
"""The relation of a row that the nights before gave: a regression, or a number that is missing tonight."""


REASON_WIDE = 240
"""Letters of a reason that stands in a line."""


@dataclass(frozen=True)
class Case:
    """The test that gave a row, as junit.xml names it.

    Attributes:
        classname: The file's path with dots, and the test's class.
        name: The test's name.
        seconds: How long it took, set-up and teardown with it.
        text: What pytest says of it where it is red; empty otherwise.
    """

    classname: str
    name: str
    seconds: float = 0.0
    text: str = ""


def own_verdict(name: str, title: str, place: str, outcome: Outcome, why: str, gate: bool = True) -> Verdict:
    """The verdict of a test of one's own, which has neither number nor threshold.

    Args:
        name: Its id.
        title: What it claims.
        place: The file and the test in it.
        outcome: How it ended.
        why: The sentence about it.
        gate: Whether it has a say.
    """
    return Verdict(
        id=name,
        title=title,
        measurement=clean(place, 1000),
        estimate=None,
        low=None,
        high=None,
        confidence=0.95,
        n=0,
        relation=HOLDS,
        threshold=None,
        unit="",
        margin_se=None,
        gate=gate,
        verdict=outcome,
        marginal=False,
        why=clean(why, 1000),
    )


def reason(verdict: Verdict) -> str:
    """The first line of the sentence about it, as short as one is read, without its id before it."""
    text = verdict.why.removeprefix(f"{verdict.id}:").strip()
    return clean(text.partition("\n")[0].rstrip(), REASON_WIDE)


def changed(verdict: Verdict, outcome: Outcome, why: str) -> Verdict:
    """The verdict with another outcome and its sentence."""
    return Verdict(**vars(verdict) | {"verdict": outcome, "why": clean(why, 1000)})


def identify(*names: str) -> str:
    """An id out of the names of files, classes and tests: what follows `test_`, in an id's characters."""
    bare = (re.sub(r"^test_?", "", name.lower()) for name in names)
    return ".".join(re.sub(r"[^a-z0-9_.\-]+", "_", name).strip("_") or "test" for name in bare)


def properties(verdict: Verdict) -> list[tuple[str, str]]:
    """A verdict as properties of junit.xml: numbers as JSON, and an empty text for None."""
    values = ((key, getattr(verdict, key)) for key in PROPERTIES)
    shown = [(k, v if isinstance(v, str) else "" if v is None else json.dumps(v)) for k, v in values]
    return [("criterion", verdict.id), *shown]


def settled(found: Iterable[tuple[Verdict, Case]]) -> dict[str, tuple[Verdict, Case]]:
    """One row an id, with the test that gave it.

    Of several tests of a declared criterion the worst decides, the first at equal ones. Tests of one's own
    whose names come to one id are rows of their own: each id ends with a digest of its place. Where the
    places are one as well, nobody could tell them apart, which is an error.
    """
    alike: dict[str, list[tuple[Verdict, Case]]] = {}
    for row, case in found:
        alike.setdefault(row.id, []).append((row, case))
    return {one[0].id: one for name in alike for one in _told_apart(alike[name])}


def _told_apart(alike: list[tuple[Verdict, Case]]) -> list[tuple[Verdict, Case]]:
    """The rows that become of those of one id."""
    if any(row.relation != HOLDS for row, _ in alike):
        return [_worst(alike)]
    places: dict[str, list[tuple[Verdict, Case]]] = {}
    for row, case in alike:
        places.setdefault(row.measurement, []).append((row, case))
    ones = [_single(rows) for rows in places.values()]
    return ones if len(ones) == 1 else [(_suffixed(row), case) for row, case in ones]


def _single(rows: list[tuple[Verdict, Case]]) -> tuple[Verdict, Case]:
    """The row of one place."""
    row, case = _worst(rows)
    if len(rows) > 1 and row.verdict != "error":
        row = changed(row, "error", f"two tests bear the id {row.id!r}; ids must differ")
    return row, case


def _worst(rows: list[tuple[Verdict, Case]]) -> tuple[Verdict, Case]:
    return max(rows, key=lambda one: WORST.index(one[0].verdict))  # the first of equal ones


def _suffixed(row: Verdict) -> Verdict:
    """The row under an id of its own; its sentence too, where it begins with the id."""
    digest = hashlib.sha256(row.measurement.encode()).hexdigest()
    name = f"{row.id}-{digest[:6]}"
    why = name + row.why.removeprefix(row.id) if row.why.startswith(f"{row.id}:") else row.why
    return Verdict(**vars(row) | {"id": name, "why": why})
