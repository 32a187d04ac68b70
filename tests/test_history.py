"""The documents of the history: the same bytes for the same values, and no other shape."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.errors import RunError
from harness.history.records import (
    SCHEMA,
    Canary,
    Difference,
    Human,
    Judged,
    NewerSchema,
    Night,
    Value,
    act_of,
    as_text,
    night_of,
)


def a_night(number: int = 1, accuracy: float | None = 0.9, **changed: Any) -> Night:
    """A night of one measurement."""
    values = [Value("accuracy", "Accuracy", "share", True, accuracy, 0.88, 0.92, 0.01, 0.95, 200)]
    known: dict[str, Any] = dict(
        id=f"{number:06d}-abc123",
        kind="night",
        status="ended",
        run_id=f"run-{number}",
        verdict="pass",
        seeds=[number],
        identity={"data": "d", "seeds": "1"},
        environment={"commit": f"c{number}"},
        values=values,
        criteria=[Judged("accuracy", "Accuracy", "accuracy", "within", (0.5, 1.0), True, "pass", "fine")],
    )
    return Night(**known | changed)


PAIRED = Difference("a", 0.1, 0.0, 0.2, "undecided", 9)
WHOLE = a_night(
    7,
    canary=Canary(
        0,
        "f",
        {"torch": "2"},
        {"weights": "w"},
        11,
        12,
        "pin-1",
        [PAIRED],
    ),
)


def test_a_document_comes_back_as_it_was() -> None:
    """Read and written again it is the same bytes, and the same values."""
    act = Human("accept-12345678", "accept", "2026-01-01T00:00:00+00:00", WHOLE.id, "known: ü", alarm="a@7")
    assert night_of(as_text(WHOLE), "n") == WHOLE
    assert act_of(as_text(act), "a") == act
    assert as_text(night_of(as_text(WHOLE), "n")) == as_text(WHOLE)


@pytest.mark.parametrize(
    "damage", ["", "[]", "null", "{}", '{"schema": "1"}', '{"schema": 1, "id": 3}', "{" * 5000]
)
def test_another_shape_is_damage_by_name(damage: str) -> None:
    """Whatever stands there, it is one sentence."""
    with pytest.raises(RunError, match=r"n\.json: damaged") as told:
        night_of(damage, "n.json")
    assert "\n" not in str(told.value)


def test_a_newer_schema_is_refused_by_name() -> None:
    """And not taken for damage."""
    newer = json.dumps(json.loads(as_text(WHOLE)) | {"schema": SCHEMA + 1})
    with pytest.raises(NewerSchema, match=rf"n\.json: schema {SCHEMA + 1} is newer"):
        night_of(newer, "n.json")


@pytest.mark.parametrize(
    ("status", "verdict", "counts"),
    [("ended", "pass", True), ("ended", "fail", True), ("ended", "error", False), ("begun", "pass", False)],
)
def test_error_nights_count_for_nothing(status: Any, verdict: Any, counts: bool) -> None:
    """Nor does one that has not ended."""
    assert a_night(status=status, verdict=verdict).counts is counts


def test_a_pin_that_holds_too_little_is_damaged() -> None:
    """Told by name where it is read, not in each night after."""
    act = Human("pin-12345678", "pin", "now", WHOLE.id, "", night=WHOLE.id, pinned={"seed": 0, "images": []})
    with pytest.raises(RunError, match=r"a: damaged \(a pin without arrays, canary, estimates, night\)"):
        act_of(as_text(act), "a")
