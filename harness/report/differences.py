"""What differs between two runs, in numbers: criteria, pairs, provenance and settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.criteria import show_rule
from harness.records import Estimate, Floats, Ints
from harness.report.sides import Common, Side
from harness.statistics.paired import Change, rule_of
from harness.statistics.paired import paired as paired_change
from harness.text import clean, words_of_pair

CONFIDENCE = 0.95
"""Of the interval of a change."""


@dataclass(frozen=True)
class Paired:
    """The change B - A on the same images, with its interval; or why there is none."""

    change: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    why: str = ""
    classes: int | None = None
    """How many classes have two images in common, where not all have."""

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def paired(a: Side, b: Side, name: str, common: Common) -> Paired:
    """The change of a number on the same images, by a bootstrap of images in classes.

    By which rule a measurement's means make its number is seen by which of them gives A's and B's estimates
    again; of another (a quantile) a change on the same images has no interval here.

    Args:
        a: The first run.
        b: The second run.
        name: The measurement.
        common: What both explained.
    """
    if not common.same_data:
        return Paired(why="other data")
    words = a.words
    found = [one.arrays(f"measurements/{name.split('.')[0]}.npz") for one in (a, b)]
    for one, arrays in zip((a, b), found, strict=True):
        if name not in arrays or name not in one.estimates or one.estimates[name].estimate is None:
            return Paired(why=f"{one.letter} has no values by {words.one}")
        if arrays[name].shape[0] != 1:
            return Paired(why=f"{one.letter} joins several seeds")
    values = [np.asarray(arrays[name][0], dtype=np.float64) for arrays in found]
    by_class = all("strata" in arrays for arrays in found)
    strata = [arrays["strata"] if by_class else None for arrays in found]
    of_a, of_b = (_rules(*one) for one in zip((a, b), (name, name), values, strata, strict=True))
    rule = next((one for one in of_a if one in of_b), None)
    if rule is None:
        return Paired(why=f"no mean over {words.noun}")
    if by_class:
        if common.why:
            return Paired(why=f"no {words.one} in common")
        values = [rows[places] for rows, places in zip(values, (common.first, common.second), strict=True)]
        labels: Ints | None = common.labels
    elif len(values[0]) == len(values[1]) == a.dataset["test"]:
        labels = None
    else:
        return Paired(why=f"not a value for each test {words.one}")
    there = np.isfinite(np.concatenate([rows.reshape(len(rows), -1) for rows in values], axis=1)).all(axis=1)
    values, labels = [rows[there] for rows in values], None if labels is None else labels[there]
    if labels is None:
        return _found(paired_change(values, None, rule, CONFIDENCE))
    names, sizes = np.unique(labels, return_counts=True)
    several = np.isin(labels, names[sizes >= 2])
    if not several.any():
        return Paired(why=f"no class has two {words.noun} in common")
    change = paired_change([rows[several] for rows in values], labels[several], rule, CONFIDENCE)
    left_out = len(np.unique(found[0]["strata"])) - int((sizes >= 2).sum())
    return _found(change, int((sizes >= 2).sum()) if left_out else None)


def _found(change: Change, classes: int | None = None) -> Paired:
    return Paired(change.change, change.low, change.high, change.n, classes=classes)


def _rules(side: Side, name: str, values: Floats, strata: Ints | None) -> list[str]:
    """The rules by which a run's values give its own estimate."""
    return rule_of(values, strata, side.estimates[name].estimate or 0.0)


@dataclass(frozen=True)
class Number:
    """What one run says of a criterion or a pair; `word` is empty where nothing judged it."""

    estimate: float | None
    low: float | None
    high: float | None
    threshold: str = "–"
    word: str = ""


@dataclass(frozen=True)
class Row:
    """A criterion or a pair, side by side; `told` is the change of its verdict in words."""

    name: str
    title: str
    gate: bool
    a: Number | None
    b: Number | None
    change: float | None
    paired: Paired
    better: bool | None
    told: str = ""

    @property
    def judgement(self) -> str:
        """The change on the same images in a word; empty where there is none."""
        if self.paired.low is None:
            return ""
        if self.paired.low == self.paired.high == 0:
            return "unchanged"
        if not self.paired.clear:
            return "within doubt"
        up = (self.paired.change or 0.0) > 0
        return "moved" if self.better is None else "better" if up is self.better else "worse"


def criteria(a: Side, b: Side, common: Common) -> list[Row]:
    """Each criterion that a run was judged by, side by side; A's order, then what only B has."""
    judged = [{one.id: one for one in (side.verdict or {"criteria": ()})["criteria"]} for side in (a, b)]
    return [_criterion(name, judged, a, b, common) for name in {**judged[0], **judged[1]}]


def _criterion(name: str, judged: Sequence[Mapping[str, Any]], a: Side, b: Side, common: Common) -> Row:
    known = next(one[name] for one in judged if name in one)
    numbers: list[Number | None] = []
    for side, rows in zip((a, b), judged, strict=True):
        if name in rows:
            one = rows[name]
            relation = {">=": "≥", "<=": "≤"}.get(one.relation, one.relation)
            rule = show_rule(relation, one.threshold)
            numbers.append(Number(one.estimate, one.low, one.high, rule, one.verdict))
        else:
            numbers.append(_number(side.estimates.get(known.measurement)))
    before, after = (one.word if one else "" for one in numbers)
    told = ""
    if before and after and before != after:
        told = f"was {before}, is {after}"
        rules = {one.threshold for one in numbers if one}
        told += ", and its threshold changed" if len(rules) > 1 else ""
    elif before != after:
        told = f"was {before}, is not judged" if before else f"was not judged, is {after}"
    estimate = a.estimates.get(known.measurement) or b.estimates.get(known.measurement)
    same = all(name not in rows or rows[name].measurement == known.measurement for rows in judged)
    return Row(
        name=name,
        title=known.title,
        gate=known.gate,
        a=numbers[0],
        b=numbers[1],
        change=_change(numbers) if same else None,
        paired=paired(a, b, known.measurement, common) if same else Paired(why="another measurement"),
        better=estimate.higher_is_better if estimate else None,
        told=told,
    )


def method_pairs(a: Side, b: Side, common: Common) -> list[Row]:
    """Each pair of methods' agreement, side by side."""
    rows = []
    for name in {**a.estimates, **b.estimates}:
        if name.startswith("agreement_pair."):
            numbers = [_number(side.estimates.get(name)) for side in (a, b)]
            title = words_of_pair(name.removeprefix("agreement_pair."), [*a.methods, *b.methods])
            change, on_same = _change(numbers), paired(a, b, name, common)
            rows.append(Row(name, title, True, numbers[0], numbers[1], change, on_same, True))
    return rows


def _number(estimate: Estimate | None) -> Number | None:
    return None if estimate is None else Number(estimate.estimate, estimate.low, estimate.high)


def _change(numbers: Sequence[Number | None]) -> float | None:
    before, after = (None if one is None else one.estimate for one in numbers)
    return None if before is None or after is None else after - before


UNEQUAL = ("schema", "run_id", "created", "output", "fresh", "quiet")
"""Keys that differ between any two runs, or that change no number."""


def provenance(a: Side, b: Side) -> list[tuple[str, str, str]]:
    """Keys of provenance and settings that differ, with both values; a dash where a run has no such key."""
    found: list[tuple[str, str, str]] = []
    for first, second in ((a.environment, b.environment), (a.settings, b.settings)):
        before, after = dict(_flat(first)), dict(_flat(second))
        found += [
            (key, before.get(key, "–"), after.get(key, "–"))
            for key in {**before, **after}
            if key not in UNEQUAL and before.get(key) != after.get(key)
        ]
    return found


def _flat(values: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield from _flat(value, f"{name}.{key}" if name else str(key))
    elif isinstance(values, list) and values and all(isinstance(one, Mapping) for one in values):
        for place, one in enumerate(values):
            yield from _flat(
                {key: value for key, value in one.items() if key != "id"}, f"{name}.{one.get('id', place)}"
            )
    elif isinstance(values, list):
        yield name, ", ".join(map(str, values)) or "none"
    else:
        yield name, "none" if values in ("", None) else str(values)


def moved(a: Side, b: Side, rows: Sequence[Row]) -> tuple[str, str]:
    """What became of the verdict, and of the numbers, from A to B: a sentence each."""
    before, after = ((side.verdict or {}).get("verdict", "not judged") for side in (a, b))
    parts = [f"{after.upper()}, as before" if before == after else f"{before.upper()} became {after.upper()}"]
    parts += [f"{row.title} {row.told}" for row in rows if row.told][:3]
    compared = [row for row in rows if row.paired.low is not None]
    clear = sorted(
        (row for row in compared if row.paired.clear),
        key=lambda row: -abs(row.paired.change or 0.0) / _width(row.paired),
    )
    same = f"the same {a.words.noun}"
    numbers = f"none of {len(compared)} changes on {same} is larger than its doubt"
    if not compared:
        numbers = "no change has an interval"
    elif clear:
        named = ", ".join(f"{row.title} {signed(row.paired.change)} ({row.judgement})" for row in clear[:3])
        numbers = f"larger than their doubt are {len(clear)} of {len(compared)} changes on {same}: {named}"
    return "; ".join(clean(part) for part in parts), clean(numbers, 1000)


def _width(one: Paired) -> float:
    return max((one.high or 0.0) - (one.low or 0.0), 1e-300)


def signed(value: float | None) -> str:
    """A change as readers see it, with its sign."""
    return "–" if value is None else f"{value:+.3g}" if value else "0"
