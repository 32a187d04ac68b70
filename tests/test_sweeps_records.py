"""Of a point a sweep keeps little: there may be ten thousand."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

from harness.config import Config
from harness.sweeps.places import Outcome, Place
from harness.sweeps.records import Judged, Number, Point, Row
from tests import swept

POINTS, MOST = 60, 6_000
"""Points that are read, and bytes that each may take: of pydantic's records it took five times as many."""


def written(output: Path) -> list[Point]:
    """Points that ended, each with the sentences and numbers of its own."""
    points = [Point(f"{number:012x}", {"k": number}, Config()) for number in range(POINTS)]
    for point in points:
        numbers = swept.numbers_at(5 + point.values["k"], False)
        estimates = {name: swept.an_estimate(name, number) for name, number in numbers.items()}
        told = Outcome(
            verdict="pass",
            criteria=list(swept.judged(estimates, {})),
            estimates=list(estimates.values()),
        )
        Place(output, point.id).folder.write_json("outcome.json", told.model_dump(mode="json"))
    return points


def test_a_row_is_light(tmp_path: Path) -> None:
    """Rows share their texts, and have no dictionary each."""
    points = written(tmp_path)
    Place(tmp_path, points[0].id).row(points[0])  # what is made once
    tracemalloc.start()
    rows = [Place(tmp_path, point.id).row(point) for point in points]
    taken = tracemalloc.get_traced_memory()[0] / len(rows)
    tracemalloc.stop()
    assert len(rows[0].criteria) == len(swept.GATES)
    assert len(rows[0].estimates) == len(swept.GATES | swept.WATCHED)
    assert taken < MOST


def test_a_row_has_the_numbers_that_were_written(tmp_path: Path) -> None:
    """What stands in the point's file, number by number."""
    point = written(tmp_path)[7]
    row, raw = Place(tmp_path, point.id).row(point), Place(tmp_path, point.id).folder / "outcome.json"
    whole = json.loads(raw.read_bytes())
    for one, its in zip(row.criteria, whole["criteria"], strict=True):
        threshold = tuple(its["threshold"]) if isinstance(its["threshold"], list) else its["threshold"]
        assert {name: getattr(one, name) for name in Judged.__slots__} == {
            name: its[name] for name in Judged.__slots__
        } | {"threshold": threshold}
    for its in whole["estimates"]:
        one_number = row.estimates[its["name"]]
        assert [getattr(one_number, name) for name in Number.__slots__] == [
            its[name] for name in Number.__slots__
        ]


def test_what_there_are_many_of_has_no_dictionary() -> None:
    """A dictionary each is most of what such a record takes."""
    for kind in (Row, Point, Judged, Number):
        assert "__dict__" not in dir(kind)
