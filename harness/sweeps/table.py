"""A sweep's table: a row a point in `points.csv`, all of it in `sweep.json`, tidy for notebooks."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.artifacts.files import Folder
from harness.environment import gate_digest
from harness.sweeps.places import EXIT_CODES
from harness.sweeps.records import (
    Axis,
    AxisTold,
    Cost,
    Difference,
    Document,
    Number,
    PointTold,
    Row,
    Sweep,
    shown,
)

if TYPE_CHECKING:
    import pandas as pd

CSV, JSON, PAGE = "points.csv", "sweep.json", "index.html"

BESIDE = ("difference", "difference_low", "difference_high", "p", "reason")
"""What a table has of a measurement beside its number: how far it is from the reference, or why not."""


def exit_code(rows: Sequence[Row]) -> int:
    """0: every point was judged and holds. 1: some fail. 3: some could not be judged, or anew, which wins."""
    if any(row.before or row.verdict not in ("pass", "fail") for row in rows):
        return EXIT_CODES["error"]
    return EXIT_CODES["fail" if any(row.verdict == "fail" for row in rows) else "pass"]


def others(folder: Path, points: Collection[str]) -> int:
    """How many points stand in the table of a folder that are none of these; 0 where there is no table."""
    try:
        with (folder / CSV).open(encoding="utf-8", newline="") as text:
            return len({row.get("point") for row in csv.DictReader(text)} - {*points})
    except (OSError, ValueError, csv.Error):
        return 0


def remarks(rows: Sequence[Row], threads: int | None = None) -> tuple[str, ...]:
    """What a reader of the table must know of it.

    Args:
        rows: The points.
        threads: That points are computed on now.
    """
    code, found = gate_digest(), []
    other = [row for row in rows if row.code and row.code != code]
    if other:
        kinds = len({row.code for row in other})
        found.append(
            f"{len(other)} of {len(rows)} points were computed by other code than tonight's"
            f"{'' if kinds == 1 else f', of {kinds} kinds'}; --fresh computes them anew"
        )
    apart = [row for row in rows if row.threads not in (None, threads)]
    if threads is not None and apart:
        found.append(
            f"{len(apart)} of {len(rows)} points were computed on other numbers of threads than {threads}, "
            "on which the last digits of what is trained depend; --fresh computes them anew"
        )
    if before := sum(row.before for row in rows):
        found.append(
            f"{before} of {len(rows)} points could not be computed anew, and are told by their earlier runs; "
            "--fresh tries them again"
        )
    left = [row for row in rows if row.state != "finished"]
    if left:
        found.append(f"{len(left)} of {len(rows)} points have no verdict; the same command tries them again")
    return tuple(found)


def gates(rows: Sequence[Row]) -> tuple[str, ...]:
    """The measurements that a gate rests on in any point, in order."""
    return tuple(dict.fromkeys(one.measurement for row in rows for one in row.criteria if one.gate))


def compared(rows: Sequence[Row]) -> tuple[str, ...]:
    """The measurements whose differences are told: of gates, agreement above its controls, stability."""
    there = [set(row.estimates) for row in rows if row.estimates]
    stable = [name for name in sorted(set().union(*there)) if name.startswith("max_sensitivity.")]
    common = [name for name in stable if all(name in one for one in there)][:1]
    named = dict.fromkeys([*gates(rows), "agreement_above_controls", *common])
    return tuple(name for name in named if any(name in one for one in there))


def _csv(
    axes: Sequence[Axis],
    rows: Sequence[Row],
    output: Path,
    reference: str,
    differences: Sequence[Difference] | None,
) -> Iterator[str]:
    """The table's lines, one by one."""
    names, told, moved = gates(rows), compared(rows), _by_point(differences)
    numbers = [f"{name}{end}" for name in names for end in ("", ".low", ".high")]
    beside = [f"{name}.{end}" for name in told for end in BESIDE]
    head = ["point", *(axis.name for axis in axes), "state", "verdict", "exit_code", "run", "seconds"]
    yield _line([*head, "memory_mb", "code", *numbers, "reference", *beside, "why"])
    for row in rows:
        yield _line(
            [
                row.point.id,
                *(shown(row.point.values[axis.name]) for axis in axes),
                row.state,
                row.verdict,
                "" if row.exit_code is None else row.exit_code,
                "" if row.run is None else Path(os.path.relpath(row.run, output)).as_posix(),
                "" if row.seconds is None else f"{row.seconds:.1f}",
                "" if row.memory_mb is None else f"{row.memory_mb:.0f}",
                row.code[:12],
                *(_cell(value) for name in names for value in _bounds(row.estimates.get(name))),
                reference,
                *(
                    value if isinstance(value, str) else _cell(value)
                    for name in told
                    for value in _beside(row, name, reference, moved)
                ),
                row.why,
            ]
        )


def _line(cells: Iterable[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


Moved = Mapping[tuple[str, str], Difference]
"""Differences by point and measurement."""


def _by_point(differences: Sequence[Difference] | None) -> Moved | None:
    return None if differences is None else {(one.point, one.measurement): one for one in differences}


def _beside(
    row: Row, measurement: str, reference: str, moved: Moved | None
) -> tuple[float | None, float | None, float | None, float | None, str]:
    """What `BESIDE` names of a point's measurement, the last of them why something before it is missing.

    Args:
        row: The point.
        measurement: The measurement.
        reference: The id of the point that others are compared with.
        moved: The differences; None where points are not compared yet.
    """
    one = None if moved is None else moved.get((row.point.id, measurement))
    if one is not None:
        return one.change, one.low, one.high, one.p, one.reason
    if row.state != "finished":
        why = f"the point is {row.state}"
    elif row.point.id == reference:
        why = "it is the reference"
    else:
        why = "points are not compared yet" if moved is None else "points are not compared by it"
    return None, None, None, None, why


def _bounds(one: Number | None) -> tuple[float | None, float | None, float | None]:
    return (None, None, None) if one is None else (one.estimate, one.low, one.high)


def _cell(value: float | None) -> str:
    return "" if value is None else repr(value)


def write_table(
    folder: Path,
    output: Path,
    axes: Sequence[Axis],
    rows: Sequence[Row],
    reference: str,
    differences: Sequence[Difference] | None = None,
) -> None:
    """`points.csv`, whatever the points are at.

    Args:
        folder: The sweep's.
        output: The folder that runs' paths are told from.
        axes: The axes.
        rows: A row for each point.
        reference: The id of the point that others are compared with.
        differences: From it; None where points are not compared yet.

    Raises:
        StorageError: it cannot be written.
    """
    Folder(folder).write_parts(CSV, _csv(axes, rows, output, reference, differences))


def write_json(folder: Path, sweep: Sweep, command: str, cost: Cost) -> None:
    """`sweep.json`: the question, its points' states, differences, and what was chosen.

    Raises:
        StorageError: it cannot be written.
    """
    told = Document(
        id=sweep.id,
        command=command,
        axes=[AxisTold(axis.name, [*map(shown, axis.values)], axis.group) for axis in sweep.axes],
        reference=sweep.reference,
        confidence=sweep.confidence,
        exit_code=exit_code(sweep.rows),
        cost=cost,
        points=[
            PointTold(
                id=row.point.id,
                values={name: shown(value) for name, value in row.point.values.items()},
                state=row.state,
                verdict=row.verdict,
                exit_code=row.exit_code,
                run=None if row.run is None else row.run.name,
                seconds=row.seconds,
                memory_mb=row.memory_mb,
                code=row.code,
                why=row.why,
                before=row.before,
            )
            for row in sweep.rows
        ],
        differences=list(sweep.differences),
        selected=sweep.selected,
        remarks=list(sweep.remarks),
    )
    # thousands of records: each is made a text by itself
    long = {"points": map(asdict, told.points), "differences": map(asdict, told.differences)}
    Folder(folder).write_long_json(JSON, asdict(replace(told, points=[], differences=[])) | long)


def told_of(sweep: Sweep) -> str:
    """What was chosen, in a sentence."""
    one = sweep.selected
    assert one is not None
    if not one.point:
        return f"by {one.measurement} no point can be chosen: {one.reason}"
    bounds = "" if one.low is None or one.high is None else f" [{one.low:.4g}, {one.high:.4g}]"
    told = "no number" if one.estimate is None else f"{one.estimate:.4g}{bounds}"
    seeds, row = ", ".join(map(str, one.chosen_on)), sweep.row(one.point)
    fails = "" if row.verdict == "pass" else f", whose verdict is {row.verdict}"
    return f"by {one.measurement} of seeds {seeds}: {row.point.title}{fails}; the others say {told}"


def tidy(sweep: Sweep) -> pd.DataFrame:
    """A row for each point and measurement, with the difference from the reference beside it.

    Columns: `point`, one for each axis as it was asked for, `state`, `verdict`, `run`, `measurement`,
    `estimate`, `low`, `high`, `n`, `unit`, `reference` (the id of the point that others are compared with),
    `difference`, `difference_low`, `difference_high`, `p`, and `reason`, why one of these is missing. A point
    without numbers has one row, of no measurement. `attrs["selected"]` has what was chosen, where that was
    asked for; `attrs["remarks"]` what a reader must know.
    """
    import pandas as pd

    moved = _by_point(sweep.differences)
    numbers = ("estimate", "low", "high", "n", "unit")
    rows: list[dict[str, Any]] = []
    for row in sweep.rows:
        point = {"point": row.point.id, **row.point.values, "state": row.state, "verdict": row.verdict}
        point |= {"run": None if row.run is None else str(row.run), "reference": sweep.reference}
        for name in row.estimates or [None]:
            one = None if name is None else row.estimates[name]
            change = _beside(row, name or "", sweep.reference, moved)
            rows.append(
                point
                | {"measurement": name}
                | {key: getattr(one, key, None) for key in numbers}
                | dict(zip(BESIDE, change, strict=True))
            )
    names = [axis.name for axis in sweep.axes]
    columns = ["point", *names, "state", "verdict", "run", "measurement", *numbers, "reference", *BESIDE]
    table = pd.DataFrame(rows, columns=columns)
    table.attrs["selected"] = None if sweep.selected is None else asdict(sweep.selected)
    table.attrs["remarks"] = list(sweep.remarks)
    return table
