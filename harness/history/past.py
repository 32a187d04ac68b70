"""What a page, a verdict or a list shows of the past: made of a series, and all that readers need of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from harness.history.records import Alarm, Change, Difference


@dataclass(frozen=True)
class Point:
    """A measurement in one night.

    Attributes:
        night: The night's id.
        value: The number; None in a night without one, which is a gap.
        low: The interval's lower bound; None where the number has none.
        high: The upper bound, likewise.
        state: `counted`; `warm-up`, which counts too; `excluded` or `error`, which do not.
    """

    night: str
    value: float | None
    low: float | None
    high: float | None
    state: Literal["counted", "warm-up", "excluded", "error"]


@dataclass(frozen=True)
class Strip:
    """One measurement over the nights.

    Attributes:
        measurement: Its name.
        title: A line that says what it is.
        unit: The unit of its numbers.
        higher_is_better: The direction; None where neither end is better.
        gate: Whether a gate of tonight's rests on it; the others are watched.
        relation: `>=`, `<=` or `within`; empty where no criterion asks for it.
        threshold: What the criterion asks for; None likewise.
        min_change: The smallest change that is red, in `unit`.
        pinned: The pinned night's number; None where nothing is pinned.
        green: The last green night's number; None where there is none.
        points: Oldest first.
    """

    measurement: str
    title: str
    unit: str
    higher_is_better: bool | None
    gate: bool
    relation: str
    threshold: float | tuple[float, float] | None
    min_change: float
    pinned: float | None
    green: float | None
    points: list[Point]


@dataclass(frozen=True)
class Mark:
    """Something that happened in a night: drawn on every strip.

    Attributes:
        night: The night's id.
        kind: `machine`, `version`, `setting`, `commit`: other than the night before; `canary`: other digests
            under the same fingerprint, or worse; `pin`, `accept`, `exclude`: a human act; `error`: the night
            broke off; `gap`: numbers of the sequence that nobody recorded.
        text: What, in a sentence.
    """

    night: str
    kind: Literal[
        "machine", "version", "setting", "commit", "canary", "pin", "accept", "exclude", "error", "gap"
    ]
    text: str


@dataclass(frozen=True)
class Told:
    """A night as lists and pages name it.

    Attributes:
        night: Its id.
        created: ISO 8601 in UTC.
        kind: `night` or `warm-up`.
        verdict: Of its absolute gates.
        red: Whether it ended red: by a gate, an error, or an alarm that was open.
        excluded: Whether a person excluded it.
        commit: The commit.
        run_id: The run's name.
        place: Where its run directory lay.
        sentence: Its verdict in a sentence.
        duration_s: Seconds, all stages.
        memory_mb: The largest resident memory; None where that is not known.
    """

    night: str
    created: str
    kind: Literal["night", "warm-up"]
    verdict: str
    red: bool
    excluded: bool
    commit: str
    run_id: str
    place: str
    sentence: str
    duration_s: float
    memory_mb: float | None


@dataclass(frozen=True)
class Standing:
    """What became of a criterion since the night before.

    Attributes:
        id: The criterion.
        word: `new`: red tonight, not the night before; `still failing`; `fixed`: red then; `holds`;
            `added`: nobody judged it before.
        since: Id of the first night of an unbroken row of red ones; empty where it is not red.
    """

    id: str
    word: Literal["new", "still failing", "fixed", "holds", "added"]
    since: str = ""


@dataclass(frozen=True)
class Compared:
    """That tonight was held against the nights before it, as its verdict says.

    Attributes:
        night: Tonight's id.
        status: `compared`; `young`: too few nights; `unavailable`: the history could not be asked,
            or tonight counts for nothing.
        why: In a sentence, also for `compared`: 'compared with 43 nights: 10 measurements, 0 regressions'.
        nights: How many nights count.
        charts: How many charts share the false alarms: a measurement with a direction has one, else two.
        limit: The limit h of the cumulative sum.
        expected: Nights until a lasting change of 1, 2, 3 standard deviations is found, on average.
    """

    night: str
    status: Literal["compared", "young", "unavailable"]
    why: str
    nights: int
    charts: int
    limit: float
    expected: dict[str, float]


@dataclass(frozen=True)
class Past(Compared):
    """Tonight beside the nights before it: `history.json` of a run, and the content of the trends' page.

    Attributes:
        strips: The alarmed measurements, gated ones first.
        alarms: Open ones first, then those that ended, the newest first.
        improvements: The same rules on the better side; never red.
        standings: By criterion, in the run's order.
        changes: What is other than in the night before.
        canary: Tonight's canary against the pinned one; empty where there is none.
        canary_event: What is wrong with the canary, in a sentence; empty where nothing is.
        marks: On the time axis, oldest first.
        told: Every night, oldest first.
        pin: Id of the pinned night; empty where nothing is pinned.
        green: Id of the last green night before tonight; empty where there is none.
        identity: What the series' numbers mean.
        canary_since: Id of the first night of those, one after the other, whose canary was worse than
            tonight's pin; empty where it is not worse tonight.
        removed: Measurements that are missing tonight though they are held against their past, or were gated
            the night before.
        added: Measurements that are new tonight.
        again: Ids of second measurements of a night.
    """

    strips: list[Strip]
    alarms: list[Alarm]
    improvements: list[Alarm]
    standings: list[Standing]
    changes: list[Change]
    canary: list[Difference]
    canary_event: str
    marks: list[Mark]
    told: list[Told]
    pin: str
    green: str
    identity: dict[str, str]
    removed: list[str]
    added: list[str]
    canary_since: str = ""
    again: list[str] = field(default_factory=list)
