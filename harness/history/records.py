"""The documents of the history, and the records that are derived of them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from typing import Any, Literal, TypeVar

import pydantic

from harness.artifacts.files import adapter, plain_json, what_is_wrong
from harness.errors import ConfigurationError, RunError

SCHEMA = 1
"""The schema that documents bear; an older one is upgraded on reading, a newer one refused by name."""

T = TypeVar("T", bound="Night | Human")
NightKind = Literal["night", "warm-up", "confirmation"]
Kind = Literal["commit", "setting", "version", "machine", "threshold"]
"""What may be another from night to night: what its dotted name in a night's environment begins with."""

Act = Literal["pin", "accept", "exclude"]


def number_of(night: str) -> int:
    """A night's number in its history, by its id."""
    return int(night.split("-")[0])


@dataclass(frozen=True)
class Value:
    """One measurement of a night.

    Attributes:
        name: The measurement's name.
        title: A line that says what it is.
        unit: The unit of its numbers.
        higher_is_better: The direction; None where neither end is better.
        estimate: The number, of all seeds together; None where there is none, and then `reason` says why.
        low: The interval's lower bound; None where the number has no interval.
        high: The interval's upper bound, likewise.
        standard_error: The estimate's standard error, likewise.
        confidence: The interval's nominal confidence.
        n: How many values stand behind it.
        definition: The version of the measurement's definition; numbers of two versions do not compare.
        by_seed: The estimate of each seed alone, by the seed's digits; empty where there is but one.
        reason: Why there is no number, or no interval.
    """

    name: str
    title: str
    unit: str
    higher_is_better: bool | None
    estimate: float | None
    low: float | None
    high: float | None
    standard_error: float | None
    confidence: float
    n: int
    definition: int = 1
    by_seed: dict[str, float | None] = field(default_factory=dict)
    reason: str | None = None


@dataclass(frozen=True)
class Judged:
    """One absolute criterion of a night: what `verdict.json` says of it, before the past has a say.

    Attributes:
        id: The criterion's id.
        title: A line that says what it asks for.
        measurement: What is judged.
        relation: `>=`, `<=` or `within`; `holds` of a test of one's own.
        threshold: What the number is held against, in its unit: [low, high] for `within`; None where none is.
        gate: Whether it has a say in the verdict; else it is watched.
        verdict: `error` where it could not be evaluated, which is neither pass nor fail.
        why: The outcome in a sentence.
    """

    id: str
    title: str
    measurement: str
    relation: str
    threshold: float | tuple[float, float] | None
    gate: bool
    verdict: Literal["pass", "fail", "error"]
    why: str


@dataclass(frozen=True)
class Difference:
    """Tonight's canary against the pinned one, on the same images.

    Attributes:
        measurement: What is compared.
        change: Tonight minus pinned; None where it cannot be told, and then `why` says so.
        bound: The one-sided 95 % bound of the change, on its worse side.
        margin: The declared margin, in the measurement's unit.
        word: `worse`: the whole interval lies beyond the margin; `not worse`: within it; else `undecided`.
        n: The images.
        why: Why there is no number.
    """

    measurement: str
    change: float | None
    bound: float | None
    margin: float
    word: Literal["worse", "not worse", "undecided", "unknown"]
    n: int
    why: str = ""


@dataclass(frozen=True)
class Canary:
    """What one fixed seed, trained afresh, made of a frozen list of images.

    Attributes:
        seed: The seed.
        frozen: Digest of the list of images.
        fingerprint: Machine and versions in full: where they are the same, `digests` must be.
        digests: SHA-256 by part: `weights`, `predictions`, `maps`, `measurements`.
        right: How many of the frozen images tonight's network names rightly and surely.
        images: How many there are.
        pin: The act that pinned what it is compared with; None where nothing is pinned.
        differences: Paired with the pinned canary.
        flips: Test images: `lost`, `won` against the pinned canary, and McNemar's exact `p`.
    """

    seed: int
    frozen: str
    fingerprint: dict[str, str]
    digests: dict[str, str]
    right: int
    images: int
    pin: str | None = None
    differences: list[Difference] = field(default_factory=list)
    flips: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Night:
    """One night's document. A night is told by its id alone; it is ordered by it, never by a clock.

    Attributes:
        id: `<sequence, six digits>-<random, six hex digits>`; the random part tells apart what two
            histories that were joined later numbered alike.
        kind: `night`; `warm-up`, a first point of a young series; `confirmation`, the second measurement of
            the night `of`.
        status: `begun` until the night has ended, well or not.
        run_id: The run's name.
        place: Where its run directory lay; empty until it has one.
        created: ISO 8601 in UTC, to be shown.
        verdict: Of the absolute gates: `pass`, `fail`, `error`, `interrupted`.
        sentence: The verdict in a sentence.
        seeds: The networks' seeds.
        identity: What the night's numbers mean, by dotted name: it makes the series.
        environment: Everything else that may differ from night to night, by dotted name: commit, versions,
            machine, settings without a part in what numbers mean.
        values: Every measurement.
        criteria: The absolute criteria as they were judged.
        canary: None where it was not computed.
        duration_s: Seconds by stage.
        memory_mb: Largest memory, `resident` and on a `gpu`.
        of: The night that a confirmation measures again.
    """

    id: str
    kind: NightKind
    status: Literal["begun", "ended"]
    run_id: str = ""
    place: str = ""
    created: str = ""
    verdict: Literal["pass", "fail", "error", "interrupted"] = "interrupted"
    sentence: str = ""
    seeds: list[int] = field(default_factory=list)
    identity: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    values: list[Value] = field(default_factory=list)
    criteria: list[Judged] = field(default_factory=list)
    canary: Canary | None = None
    duration_s: dict[str, float] = field(default_factory=dict)
    memory_mb: dict[str, float] = field(default_factory=dict)
    of: str | None = None

    @property
    def sequence(self) -> int:
        """The night's number in its history."""
        return number_of(self.id)

    @property
    def counts(self) -> bool:
        """Whether its numbers may enter a statistic: an error night's never do."""
        return self.status == "ended" and self.verdict in ("pass", "fail")

    def value(self, measurement: str) -> Value | None:
        """A measurement of the night; None where it was not made."""
        return next((one for one in self.values if one.name == measurement), None)


@dataclass(frozen=True)
class Human:
    """What a person did to the history: never changed, never deleted.

    Attributes:
        id: `<kind>-<random, eight hex digits>`.
        kind: `pin`, `accept` or `exclude`.
        created: ISO 8601 in UTC, to be shown.
        after: The id of the newest night at the time, by which acts and nights are ordered; empty before any.
        reason: Why, in the person's words.
        by: Who, as the system tells it.
        night: The night that is pinned or excluded; empty for an acceptance.
        alarm: The alarm that is accepted; empty for the others.
        pinned: What a pin holds: the frozen images and the canary's values on them, and the night's numbers.
    """

    id: str
    kind: Act
    created: str
    after: str
    reason: str
    by: str = ""
    night: str = ""
    alarm: str = ""
    pinned: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """Something that was another before.

    Attributes:
        kind: What kind of thing.
        name: Its dotted name.
        before: Its value then.
        after: Its value now.
    """

    kind: Kind
    name: str
    before: str
    after: str


@dataclass(frozen=True)
class Alarm:
    """A measurement that moved the wrong way, from its first night to its end. Derived, never stored.

    Attributes:
        id: `<measurement>@<sequence of the night it was found>`, stable from night to night.
        measurement: What moved.
        title: The same in words.
        unit: The unit of `size`.
        rule: `one night`: tonight alone is improbable, and so was the second measurement; `drift`: the
            cumulative sum; `constant`: a number that never moved did.
        found: Id of the night that found it.
        first: Id of the most likely first bad night.
        began: Ids of the earliest and the latest night that may well have been the first.
        last_good: Id of the last good night: the one before the earliest of them.
        size: The change against the nights before, signed, in `unit`.
        size_sd: The same in standard deviations of those nights; None where they have none.
        p: Of the one-night rule, both measurements; empty otherwise.
        red: Whether it is beyond the smallest change worth a night's sleep; else it is a notice.
        state: `open`, `recovered` or `accepted`.
        ended: Id of the night that ended it, empty while it is open.
        reason: Of its acceptance.
        changes: What changed from the last good night to the latest possible first bad one.
    """

    id: str
    measurement: str
    title: str
    unit: str
    rule: Literal["one night", "drift", "constant"]
    found: str
    first: str
    began: tuple[str, str]
    last_good: str
    size: float
    size_sd: float | None
    p: tuple[float, ...] = ()
    red: bool = True
    state: Literal["open", "recovered", "accepted"] = "open"
    ended: str = ""
    reason: str = ""
    changes: tuple[Change, ...] = ()

    def open_in(self, night: str) -> bool:
        """Whether it was open when a night of its series ended; who accepts it does so after that."""
        before = night <= self.ended if self.state == "accepted" else night < self.ended
        return self.found <= night and (not self.ended or before)


def as_text(document: Night | Human) -> str:
    """A document as it is stored and exported: JSON, the same bytes for the same values.

    Keys are sorted, what has its default is left out, and each record of a list stands on a line of its own.
    """
    values: dict[str, Any] = {"schema": SCHEMA, **_lean(document)}
    lines = [f"{json.dumps(key)}: {_told(values[key])}" for key in sorted(values)]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    return text.encode("utf-8", "replace").decode()  # a path's stray bytes are no text


def _lean(record: Any) -> dict[str, Any]:
    """A record's fields, without those that have their default."""
    found = {}
    for one in fields(record):
        value = getattr(record, one.name)
        default = one.default_factory() if one.default_factory is not MISSING else one.default
        if default is MISSING or value != default:
            found[one.name] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return _lean(value) if is_dataclass(value) else plain_json(value)


def _told(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(map(_told, value)) + "\n]"
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)


def night_of(text: str, name: str) -> Night:
    """The night of a document, of this schema or an older one.

    Args:
        text: As `as_text` wrote it.
        name: Its name in messages.

    Raises:
        NewerSchema: of a newer schema.
        RunError: it is damaged.
    """
    return _read(text, name, Night)


def act_of(text: str, name: str) -> Human:
    """The act of a document, likewise."""
    return _read(text, name, Human)


class NewerSchema(ConfigurationError):
    """A document, or a store, that a newer harness wrote: refused, and no damage."""


PINNED = frozenset({"seed", "images", "canary", "estimates", "night", "arrays"})
"""What every pin holds; `pins.pinned_of` says what they are."""


class _Schemed(pydantic.BaseModel):
    schema_: int = pydantic.Field(alias="schema")


def _read(text: str, name: str, shape: type[T]) -> T:
    try:
        schema = adapter(_Schemed).validate_json(text, strict=True).schema_
        if schema > SCHEMA:
            raise NewerSchema(
                f"{name}: schema {schema} is newer than this harness knows ({SCHEMA}); use a newer harness"
            )
        if schema < SCHEMA:
            text = json.dumps(_upgraded(json.loads(text), schema))
        found = adapter(shape).validate_json(text, strict=True)
    except pydantic.ValidationError as error:
        raise RunError(f"{name}: damaged ({what_is_wrong(error)})") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{name}: damaged ({error})") from None
    if isinstance(found, Human) and found.kind == "pin" and not found.pinned.keys() >= PINNED:
        lacking = ", ".join(sorted(PINNED - found.pinned.keys()))
        raise RunError(f"{name}: damaged (a pin without {lacking})")
    if not _IDS[shape].fullmatch(found.id):  # files bear it as their name
        raise RunError(f"{name}: damaged (id: {found.id!r:.80} is none)")
    return found


def _upgraded(values: Mapping[str, Any], schema: int) -> Mapping[str, Any]:
    """The values of an older document as one of this schema; a step for each version, in order."""
    for version in range(schema, SCHEMA):
        values = _STEPS[version](values)
    return values


_IDS: dict[type, re.Pattern[str]] = {
    Night: re.compile(r"[0-9]{6,}-[0-9a-f]{6}"),
    Human: re.compile(r"(pin|accept|exclude)-[0-9a-f]{8}"),
}

_STEPS: dict[int, Any] = {}
"""By version: what makes of a document one of the next."""
