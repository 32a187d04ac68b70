"""What flows through a sweep: axes, points, what is known of each, and how it differs from the reference."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from harness.config import Config
from harness.records import Estimate, Verdict
from harness.records import Outcome as Verdicts

State = Literal["finished", "refused", "lost", "missing"]
"""Of a point: judged; refused before any work; tried, and without a verdict; not begun, or broken off."""


@dataclass(frozen=True)
class Axis:
    """A key of the configuration, and what it takes.

    Attributes:
        name: As its flag is called, `k`; a keyword of the model's factory is `settings.<keyword>`.
        values: In the order asked for.
        group: Axes of one number go side by side, value by value; those of different ones are crossed.
    """

    name: str
    values: tuple[Any, ...]
    group: int


@dataclass(frozen=True, slots=True)
class Point:
    """One configuration of a sweep.

    Attributes:
        id: The digest of all that it computes, data and code apart; the name of its folder.
        values: What each axis is, as asked for.
        config: Of its run.
    """

    id: str
    values: Mapping[str, Any]
    config: Config

    @property
    def title(self) -> str:
        """`k 25, model relu-l1`."""
        return ", ".join(f"{name} {shown(value)}" for name, value in self.values.items()) or "no axis"


def shown(value: Any) -> str:
    """A value of an axis as tables and commands write it."""
    if isinstance(value, list | tuple):
        return ",".join(map(shown, value))
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Judged:
    """A criterion as a sweep keeps it of each point: a `harness.records.Verdict` without its sentences."""

    id: str
    title: str
    measurement: str
    estimate: float | None
    low: float | None
    high: float | None
    relation: str
    threshold: float | tuple[float, float] | None
    unit: str
    gate: bool
    verdict: Verdicts

    @classmethod
    def of(cls, one: Verdict) -> Judged:
        """Of a verdict; texts that points share are kept once."""
        return cls(
            sys.intern(one.id),
            sys.intern(one.title),
            sys.intern(one.measurement),
            one.estimate,
            one.low,
            one.high,
            sys.intern(one.relation),
            one.threshold,
            sys.intern(one.unit),
            one.gate,
            one.verdict,
        )

    @property
    def holds(self) -> bool:
        """Whether the criterion was evaluated and holds."""
        return self.verdict == "pass"


@dataclass(frozen=True, slots=True)
class Number:
    """An estimate as a sweep keeps it of each point: of a `harness.records.Estimate` what its table tells."""

    title: str
    unit: str
    higher_is_better: bool | None
    estimate: float | None
    low: float | None
    high: float | None
    n: int

    @classmethod
    def of(cls, one: Estimate) -> Number:
        """Of an estimate; texts that points share are kept once."""
        texts = sys.intern(one.title), sys.intern(one.unit)
        return cls(*texts, one.higher_is_better, one.estimate, one.low, one.high, one.n)


@dataclass(frozen=True, slots=True)
class Row:
    """A point, and what is known of it; light, for there may be thousands.

    Attributes:
        point: The point.
        state: How far it came.
        exit_code: Of its process; None where none has ended.
        verdict: `pass`, `fail`, `error`; empty where there is none.
        run: Its run directory; None without one.
        why: A sentence of what a reader should know: the first red gate, why it was refused or lost.
        criteria: As judged, gates and what is watched.
        estimates: Of all seeds together (of the one where there is one), by measurement.
        seconds: Its process took; None where that is not known.
        memory_mb: The largest that it held; likewise.
        code: The digest of the code that computed it.
        threads: That it was computed on; None where nobody wrote it down.
        judged: That of its verdict, which says of which files; another digest is another state of the run.
        before: All of this is of an earlier run: the point was to be computed anew, and that gave no verdict.
    """

    point: Point
    state: State
    exit_code: int | None = None
    verdict: str = ""
    run: Path | None = None
    why: str = ""
    criteria: tuple[Judged, ...] = ()
    estimates: Mapping[str, Number] = field(default_factory=dict)
    seconds: float | None = None
    memory_mb: float | None = None
    code: str = ""
    threads: int | None = None
    judged: str = ""
    before: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """A measurement of a point less the reference's, on what both measured.

    Attributes:
        point: The point's id.
        measurement: The measurement.
        change: Point minus reference; None where it cannot be told.
        low: The simultaneous interval's lower bound; None where there is none.
        high: The upper bound, likewise.
        p: Adjusted by Holm over the points of the measurement; likewise.
        n: Images, or other inputs, that both measured; 0 where a seed is one number.
        reason: Why something above is None.
    """

    point: str
    measurement: str
    change: float | None
    low: float | None
    high: float | None
    p: float | None
    n: int
    reason: str = ""


@dataclass(frozen=True)
class Selected:
    """The best point by one half of the seeds, and what the other half says of it.

    Attributes:
        measurement: By what it was chosen.
        point: The point's id; empty where none could be.
        chosen_on: The seeds that chose.
        told_on: The seeds that tell.
        chosen: The mean over the first half, which flatters.
        estimate: Over the second, which does not.
        low: Its interval's lower bound; None with fewer than three seeds.
        high: The upper bound, likewise.
        reason: Why there is no point, or no interval.
    """

    measurement: str
    point: str
    chosen_on: tuple[int, ...] = ()
    told_on: tuple[int, ...] = ()
    chosen: float | None = None
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Sweep:
    """A sweep as its table, its page and notebooks show it.

    Attributes:
        id: The name of its folder.
        axes: The axes.
        rows: Every point, in order of the axes.
        reference: The id of the point that others are compared with.
        differences: Of every other point.
        confidence: That all intervals of a measurement's differences hold together.
        selected: Where `--select` asked for it.
        remarks: What a reader must know: points of other code, what was left out.
    """

    id: str
    axes: tuple[Axis, ...]
    rows: tuple[Row, ...]
    reference: str
    differences: tuple[Difference, ...] = ()
    confidence: float = 0.95
    selected: Selected | None = None
    remarks: tuple[str, ...] = ()

    def row(self, point: str) -> Row:
        """The row of a point's id."""
        return next(row for row in self.rows if row.point.id == point)


@dataclass(frozen=True)
class AxisTold:
    """An axis in `sweep.json`.

    Attributes:
        name: As its flag is called; a keyword of the model's factory is `settings.<keyword>`.
        values: As commands write them, in the order asked for.
        group: Axes of one number go side by side, value by value; those of different ones are crossed.
    """

    name: str
    values: list[str]
    group: int


@dataclass(frozen=True)
class Cost:
    """What a sweep took, the last time.

    Attributes:
        seconds: Wall clock.
        ran: How many points were run; the others were finished already.
        at_once: How many at once.
        threads: Of each.
        engine: Where they ran.
    """

    seconds: float
    ran: int
    at_once: int
    threads: int
    engine: str


@dataclass(frozen=True, slots=True)
class PointTold:
    """A point in `sweep.json`.

    Attributes:
        id: The digest of all that it computes, data and code apart; the name of its folder.
        values: What each axis is, as commands write it.
        state: How far it came: judged; refused before any work; tried, and without a verdict; not begun.
        verdict: `pass`, `fail`, `error`; empty where there is none.
        exit_code: Of its process; None where none has ended.
        run: The name of its run directory; None without one.
        seconds: Its process took; None where that is not known.
        memory_mb: The largest that it held, in MB; likewise.
        code: The digest of the code that computed it; empty likewise.
        why: What a reader should know: the first red gate, why it was refused or lost; empty where nothing.
        before: All of this is of an earlier run: the point was to be computed anew, and that gave no verdict.
    """

    id: str
    values: dict[str, str]
    state: State
    verdict: str
    exit_code: int | None
    run: str | None
    seconds: float | None
    memory_mb: float | None
    code: str
    why: str
    before: bool


@dataclass(frozen=True)
class Document:
    """`sweep.json`: the question, its points' states, differences, and what was chosen.

    Attributes:
        id: The name of the sweep's folder.
        command: How it was asked for.
        axes: The axes.
        reference: The id of the point that others are compared with.
        confidence: That all intervals of a measurement's differences hold together.
        exit_code: What `harness sweep` ends with.
        cost: What it took, the last time.
        points: Every point, in order of the axes.
        differences: Of every other point from the reference, by measurement.
        selected: The point that `--select` chose; None where nobody asked.
        remarks: What a reader must know: points of other code, what was left out.
    """

    id: str
    command: str
    axes: list[AxisTold]
    reference: str
    confidence: float
    exit_code: int
    cost: Cost
    points: list[PointTold]
    differences: list[Difference]
    selected: Selected | None
    remarks: list[str]
