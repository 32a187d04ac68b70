"""The documents that runs, nights and sweeps write are what their schemas say, and nothing else is."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from harness.artifacts.directories import RunDirectory
from harness.artifacts.files import Folder
from harness.cli.schemas import ENDING, FOLDER
from harness.history.records import Human, as_text
from harness.history.rows import enter
from harness.judging import publishing
from harness.sweeps import table
from harness.sweeps.records import Cost, Sweep
from tests import swept
from tests.test_history import WHOLE, a_night
from tests.test_history_rows import ALARM, a_past

Values = dict[str, Any]
NAMES = sorted(path.name.removesuffix(ENDING) for path in FOLDER.glob(f"*{ENDING}"))
NONSENSE = [["nonsense"]]


def schema_of(name: str) -> Values:
    found: Values = json.loads((FOLDER / f"{name}{ENDING}").read_text(encoding="utf-8"))
    return found


def refusals(name: str, document: Values) -> list[str]:
    """What a schema says against a document, by place."""
    found = Draft202012Validator(schema_of(name)).iter_errors(document)
    return [f"{one.json_path}: {one.message:.200}" for one in found]


def told(sweep: Sweep, folder: Path) -> Values:
    table.write_json(folder, sweep, "harness sweep --k 5,10", Cost(12.5, 3, 2, 1, "processes"))
    return Folder(folder).read_json(table.JSON)


def broken_off(run: RunDirectory) -> RunDirectory:
    """The run as one that broke off, as `harness run` leaves it."""
    failure = publishing.failure_of("training", RuntimeError("no number"), "Traceback …")
    run.write_json("failure.json", failure)
    run.finish()
    publishing.unjudged(run, failure)
    return run


def of_a_night(run: RunDirectory, staged: Folder) -> Values:
    """The run's verdict, the nights before with a say in it."""
    values = run.read_verdict()
    assert values is not None
    changes = a_past(alarms=[replace(ALARM, p=(0.001, 0.002))])
    enter(changes, a_night(42), values, staged)
    run.write_verdict(values, into=staged)
    return staged.read_json("verdict.json")


@pytest.fixture
def document(finished: RunDirectory, tmp_path: Path) -> Callable[[str], Values]:
    """A document by its schema's name, as full as it can be."""

    def make(name: str) -> Values:
        if name == "verdict":
            return of_a_night(broken_off(finished), Folder(tmp_path / "staged"))
        if name == "sweep":
            return told(swept.a_sweep(), tmp_path)
        if name == "night":
            found: Values = json.loads(as_text(replace(WHOLE, kind="confirmation", of="000001-abc123")))
        elif name == "act":
            act = Human("accept-12345678", "accept", "now", WHOLE.id, "known", alarm="a@7")
            found = json.loads(as_text(act))
        else:
            found = finished.read_json(f"{name}.json")
        return found

    return make


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_one(name: str) -> None:
    """Of draft 2020-12, with a name of its own, a version, and a word on every property."""
    whole = schema_of(name)
    Draft202012Validator.check_schema(whole)
    assert whole["$id"] == f"urn:interpretability-harness:{name}:{whole['properties']['schema']['const']}"
    assert whole["title"] == name
    for record in (whole, *whole["$defs"].values()):
        assert record["description"]
        assert all(one["description"] for one in record["properties"].values())


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_is_what_its_schema_says(name: str, document: Callable[[str], Values]) -> None:
    assert refusals(name, document(name)) == []


def test_a_run_that_was_judged_and_one_that_broke_off(finished: RunDirectory) -> None:
    """With a verdict, and with one that says that there is none."""
    for name in ("verdict", "estimates", "samples", "environment"):
        assert refusals(name, finished.read_json(f"{name}.json")) == []
    verdict = broken_off(finished).read_json("verdict.json")
    assert (verdict["verdict"], verdict["failure"]["stage"]) == ("error", "training")
    assert refusals("verdict", verdict) == []


@pytest.mark.parametrize("night", [WHOLE, a_night(2, status="begun"), a_night(3, accuracy=None)])
def test_a_night_of_any_kind(night: Any) -> None:
    assert refusals("night", json.loads(as_text(night))) == []


@pytest.mark.parametrize("sweep", [swept.one_axis([5, 10]), swept.lost_alone(), Sweep("empty", (), (), "")])
def test_a_sweep_of_any_kind(sweep: Sweep, tmp_path: Path) -> None:
    assert refusals("sweep", told(sweep, tmp_path)) == []


def records(whole: Values, name: str, shape: Values, place: Values) -> Iterator[tuple[str, Values, Values]]:
    """Each record of a document, the first of each list: its name, its shape, and where it stands."""
    yield name, shape, place
    for key, one in shape["properties"].items():
        inside = place.get(key)
        first = inside[0] if isinstance(inside, list) and inside else inside
        for part in (one, *one.get("anyOf", ()), one.get("items", {})):
            if "$ref" in part and isinstance(first, dict):
                inner = part["$ref"].rsplit("/", 1)[-1]
                yield from records(whole, inner, whole["$defs"][inner], first)


def damages(shape: Values, place: Values) -> Iterator[str]:
    """Each damage that a record can have; what it is, while it is there."""
    kept = dict(place)
    for key in kept:
        place[key] = NONSENSE
        yield f"{key} of another type"
        if key in shape["required"]:
            del place[key]
            yield f"{key} gone"
        place.update(kept)
    place["nonsense"] = 1
    yield "nonsense beside its keys"
    del place["nonsense"]


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_document_is_refused(name: str, document: Callable[[str], Values]) -> None:
    """A key that is missing, a value of another type, a key too many: in every record that there can be."""
    shape, found = schema_of(name), document(name)
    validator, before, met = Draft202012Validator(shape), copy.deepcopy(found), set()
    for record, its_shape, place in records(shape, name, shape, found):
        met.add(record)
        for what in damages(its_shape, place):
            assert not validator.is_valid(found), f"{record}: {what}"
    assert met == {name, *shape["$defs"]}
    assert found == before
