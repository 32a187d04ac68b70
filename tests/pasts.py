"""Pasts made by hand: what pages show of the nights, of every kind, small and over a year."""

from __future__ import annotations

import dataclasses
from dataclasses import asdict
from typing import Any, Literal

import numpy as np

from harness.artifacts.directories import RunDirectory
from harness.history.past import Mark, Past, Point, Standing, Strip, Told
from harness.history.records import Alarm, Change, Difference
from tests.hostile import HOSTILE

MEASURED: dict[str, tuple[str, str, bool | None, str, Any, float, float, float]] = {
    "accuracy": ("Test accuracy", "share", True, ">=", 0.85, 0.874, 0.001, 0.005),
    "agreement": ("Agreement of the methods", "correlation", True, ">=", 0.6, 0.7, 0.004, 0.02),
    "sparsity": ("Active units", "units", None, "within", (49.5, 50.5), 50.0, 0.0, 0.5),
    "reconstruction": ("Reconstruction error", "squared error", False, "<=", 0.02, 0.0098, 0.0002, 0.002),
    "dead_units": ("Dead units", "units", False, "", None, 104.0, 6.0, 0.0),
}
"""By name: title, unit, direction, relation, threshold, centre, spread of nights, smallest change."""


def night_id(number: int) -> str:
    """The id of a night."""
    return f"{number:06d}-{(number * 2654435761) % (1 << 24):06x}"


def date(number: int) -> str:
    """The time at which a night began: one a day."""
    return str(np.datetime64("2026-01-01T02:00:00") + np.timedelta64(number, "D")) + "+00:00"


def a_strip(
    name: str,
    nights: int,
    *,
    warm_up: int = 0,
    missing: tuple[int, ...] = (),
    excluded: tuple[int, ...] = (),
    shift: dict[int, float] | None = None,
    pinned: bool = True,
    **changed: Any,
) -> Strip:
    """A measurement in nights 1 to `nights`; from the nights of `shift` on it is moved by so many spreads."""
    title, unit, better, relation, threshold, centre, spread, least = MEASURED.get(name, MEASURED["accuracy"])
    generator = np.random.default_rng(sum(map(ord, name)))
    values = centre + spread * generator.standard_normal(nights)
    for first, size in (shift or {}).items():
        values[first - 1 :] += size * (spread or 1.0)
    points = []
    for number, value in enumerate(values.tolist(), start=1):
        state: Literal["counted", "warm-up", "excluded", "error"] = "counted"
        if number in missing:
            points.append(Point(night_id(number), None, None, None, "error"))
            continue
        if number in excluded:
            state = "excluded"
        elif number <= warm_up:
            state = "warm-up"
        low, high = (value - spread, value + spread) if spread else (None, None)
        points.append(Point(night_id(number), value, low, high, state))
    known: dict[str, Any] = dict(
        measurement=name,
        title=title,
        unit=unit,
        higher_is_better=better,
        gate=bool(relation),
        relation=relation,
        threshold=threshold,
        min_change=least,
        pinned=centre if pinned else None,
        green=values[-2].item() if nights > 1 else None,
        points=points,
    )
    return Strip(**known | changed)


def told(number: int, **changed: Any) -> Told:
    """A night in the list, green where nothing else is said."""
    known: dict[str, Any] = dict(
        night=night_id(number),
        created=date(number),
        kind="night",
        verdict="pass",
        red=False,
        excluded=False,
        commit=f"{number:07x}",
        run_id=f"run-{number}",
        place=f"artifacts/runs/run-{number}",
        sentence="PASS on blobs: 9 of 9 gates hold",
        duration_s=600.0 + 3 * (number % 7),
        memory_mb=1500.0 + number,
    )
    return Told(**known | changed)


def an_alarm(name: str, first: int, found: int, **changed: Any) -> Alarm:
    """An open alarm of a measurement."""
    title, unit, better, *_, spread, _ = MEASURED.get(name, MEASURED["accuracy"])
    known: dict[str, Any] = dict(
        id=f"{name}@{found}",
        measurement=name,
        title=title,
        unit=unit,
        rule="drift",
        found=night_id(found),
        first=night_id(first),
        began=(night_id(first - 1), night_id(first + 1)),
        last_good=night_id(first - 2),
        size=-6 * spread if better else 6 * spread,
        size_sd=-6.0 if better else 6.0,
        changes=(
            Change("commit", "commit", "aaaaaaa", "bbbbbbb"),
            Change("version", "versions.torch", "2.10.0", "2.11.0"),
            Change("setting", "attribution.attribution_steps", "50", "25"),
        ),
    )
    return Alarm(**known | changed)


def a_past(count: int = 40, **changed: Any) -> Past:
    """A green past of so many nights, ten of them of the warm-up, one that broke off, one excluded."""
    broken, out = (17,) if count > 17 else (), (23,) if count > 23 else ()
    listed = [
        told(
            number,
            kind="warm-up" if number <= 10 else "night",
            **(
                {"verdict": "error", "red": True, "sentence": "ERROR: it broke off"}
                if number in broken
                else {}
            ),
            excluded=number in out,
        )
        for number in range(1, count + 1)
    ]
    known: dict[str, Any] = dict(
        night=night_id(count),
        status="compared",
        why=f"compared with {count - 1} nights: 5 measurements, 0 regressions",
        nights=count - 1,
        charts=6,
        limit=5.84,
        expected={"1": 12.1, "2": 4.6, "3": 2.9},
        strips=[a_strip(name, count, warm_up=10, missing=broken, excluded=out) for name in MEASURED],
        alarms=[],
        improvements=[],
        standings=[Standing(name, "holds") for name, row in MEASURED.items() if row[3]],
        changes=[Change("commit", "commit", f"{count - 1:07x}", f"{count:07x}")],
        canary=[Difference("accuracy", -0.0004, -0.0011, 0.005, "not worse", 1000)],
        canary_event="",
        marks=[
            *(Mark(night_id(number), "commit", f"commit {number:07x}") for number in range(11, count + 1)),
            *(Mark(night_id(number), "error", "it broke off in stage training") for number in broken),
            *(Mark(night_id(number), "exclude", "excluded: the disk was full") for number in out),
        ],
        told=listed,
        pin=night_id(min(12, count)),
        green=night_id(max(1, count - 1)),
        identity={"data.sha256": "d" * 12, "model.k": "50", "seeds": "3"},
        removed=[],
        added=[],
    )
    return Past(**known | changed)


def red(nights: int = 40) -> Past:
    """A red night: two alarms open, a notice, one that recovered tonight, one accepted, a better number."""
    before = a_past(nights)
    shifts: dict[str, dict[int, float]] = {"agreement": {30: -6.0}, "sparsity": {nights: 1.0}}
    strips = [
        a_strip(name, nights, warm_up=10, missing=(17,), excluded=(23,), shift=shifts.get(name))
        for name in MEASURED
    ]
    alarms = [
        an_alarm("agreement", 30, 33),
        an_alarm(
            "sparsity",
            nights,
            nights,
            rule="constant",
            size_sd=None,
            size=1.0,
            began=(night_id(nights), night_id(nights)),
            last_good=night_id(nights - 1),
        ),
        an_alarm("dead_units", 34, 36, red=False),
        an_alarm(
            "accuracy", 38, 38, rule="one night", p=(0.0004, 0.006), state="recovered", ended=night_id(nights)
        ),
        an_alarm("accuracy", 14, 16, state="accepted", ended=night_id(18), reason="known: a shorter recipe"),
    ]
    standings = [
        Standing("accuracy", "fixed"),
        Standing("agreement", "still failing", night_id(33)),
        Standing("sparsity", "new", night_id(nights)),
        Standing("reconstruction", "added"),
    ]
    marks = [
        *before.marks,
        Mark(night_id(12), "pin", "pinned: the first release"),
        Mark(night_id(18), "accept", "accuracy@16 accepted: known: a shorter recipe"),
        Mark(night_id(20), "gap", "night 20 was never recorded"),
        Mark(night_id(30), "version", "torch 2.10.0 -> 2.11.0"),
        Mark(night_id(30), "setting", "attribution.attribution_steps 50 -> 25"),
        Mark(night_id(35), "machine", "cpu: EPYC 7763 -> EPYC 9654"),
        Mark(night_id(nights), "canary", "other predictions under the same fingerprint"),
    ]
    return dataclasses.replace(
        before,
        why="compared with 38 nights: 5 measurements, 2 regressions",
        strips=strips,
        alarms=alarms,
        improvements=[an_alarm("reconstruction", 31, 35, size=-0.0012, size_sd=-6.0)],
        standings=standings,
        changes=[
            Change("commit", "commit", "0000027", "0000028"),
            Change("machine", "machine.cpu", "EPYC 7763", "EPYC 9654"),
            Change("threshold", "accuracy", ">= 0.85", ">= 0.86"),
        ],
        canary=[
            Difference("accuracy", -0.01, -0.013, 0.005, "worse", 1000),
            Difference("agreement", None, None, 0.02, "unknown", 0, "no image of it was explained tonight"),
        ],
        canary_event="The canary is other than the pinned one under the same fingerprint: predictions.",
        marks=sorted(marks, key=lambda one: one.night),
        told=[
            dataclasses.replace(one, red=one.red or index >= 33)
            for index, one in enumerate(before.told, start=1)
            if index != 20
        ],
        removed=["attribution_copies"],
        added=["test_overlap"],
    )


def young(nights: int = 3) -> Past:
    """Too few nights to compare with, nothing pinned."""
    return a_past(
        nights,
        status="young",
        why=f"compared with {nights} of 10 nights: silent until then",
        nights=nights,
        strips=[a_strip(name, nights, pinned=False) for name in MEASURED],
        canary=[],
        pin="",
        green=night_id(nights - 1) if nights > 1 else "",
    )


def unavailable() -> Past:
    """The history could not be asked."""
    return a_past(
        1,
        status="unavailable",
        why="unavailable: the history artifacts/history.db is locked; recorded later",
        nights=0,
        strips=[],
        standings=[],
        changes=[],
        canary=[],
        marks=[],
        told=[],
        pin="",
        green="",
        identity={},
    )


def a_year(nights: int = 365, measurements: int = 16) -> Past:
    """A year of measurements: a tenth of the nights missing, alarms, marks."""
    generator = np.random.default_rng(0)
    gone = set((1 + generator.choice(nights - 60, nights // 10, replace=False)).tolist())
    broken = tuple(sorted(gone)[::3])
    missing = gone - set(broken)
    strips = []
    for number in range(measurements):
        name = f"measurement_{number}"
        strip = a_strip(name, nights, warm_up=30, missing=broken, shift={250: -4.0} if number == 1 else None)
        kept = [one for place, one in enumerate(strip.points, start=1) if place not in missing]
        strips.append(dataclasses.replace(strip, title=f"Measurement {number}", points=kept))
    past = a_past(nights)
    alarm = an_alarm("measurement_1", 250, 256, title="Measurement 1")
    ended = an_alarm("measurement_3", 90, 95, state="recovered", ended=night_id(101), title="Measurement 3")
    return dataclasses.replace(
        past,
        strips=strips,
        alarms=[alarm, ended],
        told=[one for place, one in enumerate(past.told, start=1) if place not in missing],
        marks=sorted(
            [
                *past.marks,
                *(Mark(night_id(number), "gap", f"night {number} was never recorded") for number in missing),
                *(
                    Mark(night_id(n), "version", f"torch 2.{n}.0 -> 2.{n + 1}.0")
                    for n in range(40, nights, 40)
                ),
            ],
            key=lambda one: one.night,
        ),
    )


def hostile(names: tuple[str, ...] = HOSTILE) -> Past:
    """A red night whose every text comes from somebody who means harm."""
    text = iter(names * 40)
    past = red()

    def spoilt(record: Any, *fields: str) -> Any:
        return dataclasses.replace(record, **{field: next(text) for field in fields})

    return dataclasses.replace(
        past,
        why=next(text),
        strips=[spoilt(one, "title", "unit", "measurement") for one in past.strips],
        alarms=[
            dataclasses.replace(
                spoilt(one, "title", "unit", "reason", "measurement"),
                id=f"{place} {next(text)}",
                changes=tuple(spoilt(change, "name", "before", "after") for change in one.changes),
            )
            for place, one in enumerate(past.alarms)
        ],
        improvements=[spoilt(one, "id", "title", "unit") for one in past.improvements],
        standings=[spoilt(one, "id") for one in past.standings],
        changes=[spoilt(one, "name", "before", "after") for one in past.changes],
        canary=[spoilt(one, "measurement", "why") for one in past.canary],
        canary_event=next(text),
        marks=[spoilt(one, "text") for one in past.marks],
        told=[spoilt(one, "commit", "run_id", "place", "sentence", "created") for one in past.told],
        identity=dict(zip(names, reversed(names), strict=True)),
        removed=list(names),
        added=list(names),
    )


def with_past(run: RunDirectory, past: Past) -> RunDirectory:
    """The run with a past beside its verdict."""
    run.write_json("history.json", asdict(past))
    return run
