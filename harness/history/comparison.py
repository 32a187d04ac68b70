"""Tonight beside the nights before it: what became of it, for verdict and pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal

from harness.history.alarms import Watched, changes_between
from harness.history.charts import SILENT
from harness.history.past import Mark, Past, Point, Standing, Strip, Told
from harness.history.records import Change, Human, Night
from harness.history.rows import in_words
from harness.history.series import Series

OF_NO_IMAGES = ("weights", "predictions")
"""The digests that do not rest on the images that a canary explains."""


def unavailable(night: Night, why: str) -> Past:
    """Tonight where it cannot be held against any night."""
    return Past(
        night=night.id,
        status="unavailable",
        why=why,
        nights=0,
        charts=0,
        limit=0.0,
        expected={},
        strips=[],
        alarms=[],
        improvements=[],
        standings=[],
        changes=[],
        canary=[] if night.canary is None else night.canary.differences,
        canary_event="",
        marks=[],
        told=[_told(night, red=night.verdict != "pass", excluded=False)],
        pin="",
        green="",
        identity=night.identity,
        removed=[],
        added=[],
    )


DRAWN = 400
"""Nights that a run's own `history.json` holds; the history has all of them."""


def past_of(series: Series, night: Night, latest: int | None = None) -> Past:
    """A series as tonight's readers need it.

    Args:
        series: Its nights up to tonight.
        night: Tonight, the newest of them.
        latest: How many nights are listed and drawn; all of them by default, and all are compared with.
    """
    listed = series.nights if latest is None else series.nights[-latest:]
    earlier = [one for one in series.nights if one.id < night.id]
    counted = [one for one in series.counted if one.id < night.id]
    before = next((one for one in reversed(counted) if one.kind == "night"), None)
    red = red_nights(series)
    green = next((one for one in reversed(counted) if one.kind == "night" and one.id not in red), None)
    acts = _acts(series)
    pin = next((act for act in reversed(acts) if act.kind == "pin"), None)
    excluded = {act.night for act in acts if act.kind == "exclude"}
    young = len(counted) < SILENT
    removed, added = _moved(series, counted, night)
    return Past(
        night=night.id,
        status="unavailable" if night.id in series.uncounted else "young" if young else "compared",
        why=_why(series, night, len(counted), young=young),
        nights=len(counted),
        charts=series.charts,
        limit=series.limit,
        expected=series.expected,
        strips=[_strip(series, one, listed, pin_of(pin, one.measurement), green) for one in series.family],
        alarms=series.alarms,
        improvements=series.improvements,
        standings=_standings(earlier, night),
        changes=[] if before is None else list(changes_between(before, night)),
        canary=[] if night.canary is None else night.canary.differences,
        canary_event=canary_event(earlier, night),
        marks=[one for one in _marks(series, night) if one.night >= listed[0].id],
        told=[_told(one, red=one.id in red, excluded=one.id in excluded) for one in listed],
        again=[one.id for one in series.again],
        pin="" if pin is None else pin.night,
        green="" if green is None else green.id,
        identity=night.identity,
        removed=removed,
        added=added,
        canary_since=_worse_since(earlier, night),
    )


def _worse_since(earlier: list[Night], night: Night) -> str:
    """The first night of those, one after the other, whose canary was worse than the pin of tonight's."""
    since = ""
    for one in (night, *reversed([one for one in earlier if one.canary is not None])):
        if one.canary is None or one.canary.pin != (night.canary and night.canary.pin):
            break
        if not is_worse(one):
            break
        since = one.id
    return since


def pin_of(pin: Human | None, measurement: str) -> float | None:
    """What the pinned night's fresh seeds gave."""
    value = None if pin is None else pin.pinned["night"].get(measurement)
    return None if value is None else float(value)


def _why(series: Series, night: Night, nights: int, *, young: bool) -> str:
    if night.id in series.uncounted:
        return f"not compared: {series.uncounted[night.id]}"
    alarms = [one for one in series.alarms if one.state == "open"]
    measured = f"{len(series.family)} measurement{'s' if len(series.family) != 1 else ''}"
    if young:
        told = f"not compared: {nights} of {SILENT} nights, {measured} so far without a past"
        if series.follows is None:
            return told
        told += f"; another series than night {series.follows.nights[-1].id}: {in_words(_other(series))}"
        left = [one for one in series.follows.alarms if one.state == "open"]
        return told + (f"; still open in that series: {', '.join(one.id for one in left)}" if left else "")
    red = sum(one.red for one in alarms)
    notices = len(alarms) - red
    told = f"compared with {nights} nights: {measured}, {red} regression{'s' if red != 1 else ''}"
    told += f", {notices} below the smallest change that is red" if notices else ""
    silent = [one for one, numbers in series.held_against.items() if numbers < SILENT]
    return told + (f"; with fewer than {SILENT}, and so silent: {', '.join(silent)}" if silent else "")


def _other(series: Series) -> tuple[Change, ...]:
    """What the numbers mean that they did not mean in the series before."""
    before = {} if series.follows is None else series.follows.identity
    names = [name for name in {**before, **series.identity} if before.get(name) != series.identity.get(name)]
    told = [(name, before.get(name, ""), series.identity.get(name, "")) for name in sorted(names)]
    return tuple(Change("setting", *one) for one in told)


def red_nights(series: Series) -> set[str]:
    """The nights that ended red: by a gate, an error, an alarm that was open, or a canary that was worse."""
    alarms = [alarm for alarm in series.alarms if alarm.red]
    return {
        one.id
        for one in series.nights
        if one.verdict != "pass" or is_worse(one) or any(alarm.open_in(one.id) for alarm in alarms)
    }


def is_worse(night: Night) -> bool:
    """Whether a night's canary was worse than the one that was pinned."""
    return night.canary is not None and any(one.word == "worse" for one in night.canary.differences)


def _acts(series: Series) -> list[Human]:
    """What persons did to nights of the series, and to alarms that were found in them."""
    nights = {one.id for one in (*series.nights, *series.again)}
    numbers = {str(one.sequence) for one in series.nights}
    return [act for act in series.acts if act.night in nights or act.alarm.rpartition("@")[2] in numbers]


def _moved(series: Series, counted: list[Night], night: Night) -> tuple[list[str], list[str]]:
    """Measurements that are missing tonight though the series has them, and those that are new.

    What is held against its past is missing every night, also where no night ever had it; what nobody asks
    for any more, the first.
    """

    def has(one: Night, name: str) -> bool:
        value = one.value(name)
        return value is not None and value.estimate is not None

    wanted = {one.measurement for one in series.family}
    added: list[str] = []
    if counted:
        before = counted[-1]
        wanted |= {one.measurement for one in before.criteria if one.gate and has(before, one.measurement)}
        known = {one.name for one in before.values}
        added = sorted(one.name for one in night.values if one.name not in known)
    return sorted(name for name in wanted if not has(night, name)), added


def _strip(
    series: Series, watched: Watched, nights: Sequence[Night], pinned: float | None, green: Night | None
) -> Strip:
    judged = next((one for one in nights[-1].criteria if one.measurement == watched.measurement), None)
    good = None if green is None else green.value(watched.measurement)
    return Strip(
        measurement=watched.measurement,
        title=watched.title,
        unit=watched.unit,
        higher_is_better=watched.higher_is_better,
        gate=watched.gate,
        relation="" if judged is None else judged.relation,
        threshold=None if judged is None else judged.threshold,
        min_change=watched.min_change,
        pinned=pinned,
        green=None if good is None else good.estimate,
        points=[_point(series, one, watched.measurement) for one in nights],
    )


def _point(series: Series, night: Night, measurement: str) -> Point:
    value = night.value(measurement)
    state: Literal["counted", "warm-up", "excluded", "error"] = "error"
    if any(act.kind == "exclude" and act.night == night.id for act in series.acts):
        state = "excluded"
    elif night.id not in series.uncounted:
        state = "warm-up" if night.kind == "warm-up" else "counted"
    if value is None or state == "error":
        return Point(night.id, None, None, None, state)
    return Point(night.id, value.estimate, value.low, value.high, state)


def _standings(earlier: list[Night], night: Night) -> list[Standing]:
    """Each criterion beside the nights before, of those that were judged."""
    judged = [one for one in earlier if one.status == "ended" and one.kind == "night" and one.criteria]
    found = []
    for one in night.criteria:
        row: list[tuple[str, bool]] = []
        for other in reversed(judged):
            same = next((known for known in other.criteria if known.id == one.id), None)
            if same is None:
                break
            row.append((other.id, same.verdict != "pass"))
        red = one.verdict != "pass"
        since = night.id if red else ""
        for name, was in row:
            if not (red and was):
                break
            since = name
        if not row:
            found.append(Standing(one.id, "added", since))
        elif red:
            found.append(Standing(one.id, "still failing" if row[0][1] else "new", since))
        else:
            found.append(Standing(one.id, "fixed" if row[0][1] else "holds"))
    return found


def canary_event(earlier: list[Night], night: Night) -> str:
    """Other digests than the latest night's of the same seed; empty where they are the same.

    Under one fingerprint of machine and versions they have to be; under another the event names what changed.
    On other images only weights and predictions compare: what is not pinned, a network chooses by itself.
    """
    mine = night.canary
    if mine is None:
        return ""
    for other in reversed(earlier):
        its = other.canary
        if its is None or its.seed != mine.seed:
            continue
        same = [name for name in mine.digests if its.frozen == mine.frozen or name in OF_NO_IMAGES]
        moved = [name for name in same if its.digests.get(name) != mine.digests[name]]
        if not moved:
            return ""
        changed = [
            f"{name} {its.fingerprint.get(name, '–')} → {mine.fingerprint.get(name, '–')}"
            for name in sorted({**its.fingerprint, **mine.fingerprint})
            if its.fingerprint.get(name) != mine.fingerprint.get(name)
        ]
        why = ", ".join(changed) or "nothing that is recorded: it does not repeat itself"
        return f"other {', '.join(moved)} than in night {other.id}; changed: {why}"
    return ""


def _marks(series: Series, night: Night) -> Iterator[Mark]:
    again = {one.sequence for one in series.again}
    for before, one in pairwise(series.nights):
        gap = len(set(range(before.sequence + 1, one.sequence)) - again)
        if gap > 0 and one.kind == before.kind == "night":
            yield Mark(one.id, "gap", f"{gap} of the sequence before it are of no night here")
        kinds: dict[str, list[str]] = {}
        for change in changes_between(before, one):
            if change.kind != "threshold":
                kinds.setdefault(change.kind, []).append(f"{change.name} {change.before} → {change.after}")
        for kind, told in kinds.items():
            yield Mark(one.id, kind, ", ".join(told))  # type: ignore[arg-type]
    earlier: list[Night] = []
    for one in series.nights:
        if event := canary_event(earlier, one):
            yield Mark(one.id, "canary", event)
        if not one.counts:
            yield Mark(one.id, "error", one.sentence)
        elif one.id in series.uncounted and not series.uncounted[one.id].startswith("excluded"):
            yield Mark(one.id, "error", f"counts for nothing: {series.uncounted[one.id]}")
        earlier.append(one)
    for act in _acts(series):
        place = act.night or act.after
        yield Mark(
            place or night.id, act.kind, f"{act.alarm or act.night}: {act.reason or 'without a reason'}"
        )


def _told(night: Night, *, red: bool, excluded: bool) -> Told:
    return Told(
        night=night.id,
        created=night.created,
        kind="warm-up" if night.kind == "warm-up" else "night",
        verdict=night.verdict,
        red=red,
        excluded=excluded,
        commit=night.environment.get("commit.commit", ""),
        run_id=night.run_id,
        place=night.place,
        sentence=night.sentence,
        duration_s=sum(night.duration_s.values()),
        memory_mb=night.memory_mb.get("resident"),
    )
