"""How far each point of a sweep is from its reference, on what both measured."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import astuple, dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np

from harness.artifacts.files import Folder, key_of
from harness.environment import code_digest
from harness.errors import ConfigurationError, HarnessError
from harness.kinds import IMAGES, Words
from harness.records import Floats, Ints
from harness.registry import suggestion
from harness.statistics.crossed import TWO_SEEDS, Classes, Spread, spread, spreads
from harness.statistics.simultaneous import together
from harness.sweeps.measured import Inputs, Measured, Values, means_of, measured, number_of, refuse_unknown
from harness.sweeps.records import Difference, Row
from harness.text import clean

CHANGES = ".changes.jsonl"
"""Where what was found of pairs of runs is kept, a line a pair."""

ONE_NUMBER = "one number of one seed has no interval"


@dataclass(frozen=True, slots=True)
class Change:
    """A point's number less the reference's.

    Attributes:
        change: The difference; None where it cannot be told.
        spreads: What makes it doubtful: one, or one a column of an extreme; none where there is no interval.
        n: Inputs that both measured.
        why: Why something above is not there.
    """

    change: float | None = None
    spreads: tuple[Spread, ...] = ()
    n: int = 0
    why: str = ""


def differences(
    rows: Sequence[Row],
    reference: str,
    measurements: Sequence[str],
    confidence: float = 0.95,
    folder: Path | None = None,
) -> tuple[Difference, ...]:
    """Each finished point less the reference, in each measurement, on the seeds and inputs of both.

    The intervals of a measurement hold together over all points that have one, and its p-values are adjusted
    by Holm (`harness.statistics.simultaneous.together`): an interval without 0 has p <= 1 - confidence, and
    since Holm is less strict than the intervals, so may one have that holds 0.

    Three or more common seeds speak for networks of both recipes; one for its two networks alone, by the
    interval of Student over inputs: the 2,000 resamples of `harness compare` have no bounds as far out as
    those of many points lie. Two seeds have no interval.

    Args:
        rows: The points, and what is known of them; one run after the other is read.
        reference: The id of the point to compare with.
        measurements: By name.
        confidence: That all intervals of a measurement hold.
        folder: Where what was found of two runs is kept, and is not found again while both are as they were.

    Raises:
        ConfigurationError: there is no such point, or no finished point has such a measurement.
    """
    known = {row.point.id: row for row in rows}
    if reference not in known:
        raise ConfigurationError(
            f"reference: there is no point {reference!r}; {suggestion(reference, known)}"
        )
    finished = [row for row in rows if row.state == "finished"]
    names = tuple(dict.fromkeys(measurements))
    refuse_unknown(names, finished)
    finished = [row for row in finished if row.point.id != reference]
    code = code_digest("statistics", "sweeps") if folder is not None else ""
    keys = [
        key_of({"runs": [known[reference].judged, row.judged], "names": names, "code": code})
        for row in finished
    ]
    kept = {} if folder is None else _kept(folder, set(keys), len(names))
    base: Measured | str | None = None
    found: list[Changes] = []
    for row, key in zip(finished, keys, strict=True):
        changes = kept.get(key)
        if changes is None or not row.judged:
            base = _read(known[reference], names) if base is None else base
            # a point is read, compared and let go
            of_point = _changes(_read(row, names), base, names)
            changes = tuple(of_point[name] for name in names)
        found.append(changes)
    if folder is not None and not kept.keys() >= {*keys}:
        _keep(folder, zip(keys, found, strict=True))
    return tuple(
        Difference(row.point.id, name, *told)
        for place, name in enumerate(names)
        for row, told in zip(
            finished, told_together([each[place] for each in found], confidence), strict=True
        )
    )


Changes = tuple[Change, ...]
"""Of a point, in the order of the measurements."""


def _kept(folder: Path, keys: Set[str], measurements: int) -> dict[str, Changes]:
    """What is kept of pairs of runs, of those that are asked for; nothing where that cannot be read."""
    found: dict[str, Changes] = {}
    try:
        with (folder / CHANGES).open("rb") as lines:
            for key, changes in map(json.loads, lines):
                if key in keys and len(changes) == measurements:
                    found[key] = tuple(
                        Change(change, tuple(Spread(*one) for one in spreads), n, sys.intern(why))
                        for change, spreads, n, why in changes
                    )
    except (OSError, ValueError, TypeError):
        return {}
    return found


def _keep(folder: Path, pairs: Iterable[tuple[str, Changes]]) -> None:
    Folder(folder).write_parts(
        CHANGES,
        (
            json.dumps(
                [
                    key,
                    [
                        [one.change, [astuple(spread) for spread in one.spreads], one.n, one.why]
                        for one in changes
                    ],
                ]
            )
            + "\n"
            for key, changes in pairs
        ),
    )


def _read(row: Row, names: Sequence[str]) -> Measured | str:
    """What a point measured, or why that cannot be read."""
    if row.state != "finished":
        return f"is {row.state}"
    if row.run is None:
        return "has no run directory"
    try:
        return measured(row.run, names)
    except HarnessError as error:
        return f"cannot be read: {clean(error)}"


def _changes(point: Measured | str, base: Measured | str, names: Sequence[str]) -> dict[str, Change]:
    if isinstance(base, str):
        return dict.fromkeys(names, Change(why=f"the reference {base}"))
    if isinstance(point, str):
        return dict.fromkeys(names, Change(why=f"the point {point}"))
    if not base.digest or point.digest != base.digest:
        return dict.fromkeys(names, Change(why="the point is of other data than the reference"))
    return changes_of(point.values, base.values, base.words)


Told = tuple["float | None", "float | None", "float | None", "float | None", int, str]
"""Change, low, high, p, n and reason of a difference."""


def told_together(changes: Sequence[Change], confidence: float) -> list[Told]:
    """The changes of one measurement with intervals that hold together and adjusted p-values."""
    doubtful = [one for one in changes if one.spreads]
    found = together([one.spreads for one in doubtful], confidence)
    bounds = zip(found.low.tolist(), found.high.tolist(), found.p.tolist(), strict=True)
    return [
        (one.change, *(next(bounds) if one.spreads else (None, None, None)), one.n, one.why)
        for one in changes
    ]


@dataclass(frozen=True, eq=False)
class _Columns:
    """What is to be looked at by input: float64 [columns, seeds, n], and of an extreme its change."""

    moved: Floats
    classes: Classes
    extreme: float | None

    def told(self, found: tuple[Spread, ...]) -> Change:
        """With the spread of each column."""
        _, seeds, n = self.moved.shape
        each = [one.estimate for one in found]
        # an extreme's lies among its columns' changes, but for rounding
        change = each[0] if self.extreme is None else min(max(self.extreme, min(each)), max(each))
        return Change(change, () if seeds == 2 else found, n, TWO_SEEDS if seeds == 2 else "")


def changes_of(
    point: Mapping[str, Values], base: Mapping[str, Values], words: Words = IMAGES
) -> dict[str, Change]:
    """A point's numbers less the reference's, on the seeds and inputs of both, and how doubtful each is.

    Args:
        point: What the point measured, by measurement.
        base: What the reference did, of the same data.
        words: What the inputs are called.
    """
    found, told = {name: _paired(one, base[name], words) for name, one in point.items()}, dict[str, Change]()
    groups: dict[tuple[int, int], dict[str, _Columns]] = {}
    for name, one in found.items():
        if isinstance(one, Change):
            told[name] = one
        else:
            groups.setdefault((id(one.classes), one.moved.shape[1]), {})[name] = one
    # columns of the same seeds and inputs at once: of small runs a call takes longer than its sums
    for same in groups.values():
        columns = [*same.values()]
        each = iter(spreads(np.concatenate([one.moved for one in columns]), columns[0].classes))
        told |= {name: one.told(tuple(islice(each, len(one.moved)))) for name, one in same.items()}
    return told


def _paired(point: Values, base: Values, words: Words) -> Change | _Columns:
    """What differs by input; where nothing does, the change of numbers, or why there is none."""
    for who, one in (("reference", base), ("point", point)):
        if one.why:
            return Change(why=f"the {who} {one.why}")
    seeds = [seed for seed in base.seeds if seed in point.seeds]
    if not seeds:
        return Change(why="no seed in common")
    of_point, of_base = ([one.seeds.index(seed) for seed in seeds] for one in (point, base))
    if point.rows is None or base.rows is None or point.inputs is None or base.inputs is None:
        return _of_numbers(point.numbers[of_point], base.numbers[of_base])
    rule = next((one for one in base.rules if one in point.rules), None)
    if rule is None:
        return Change(why=f"no mean over {words.noun}")
    if len(point.rows) != len(base.rows):
        return Change(why="not of as many parts as the reference")
    common = common_of(point.inputs, base.inputs)
    if common is None:
        return Change(why=f"not on the same {words.noun}")
    mine, its = point.rows[:, of_point, :], base.rows[:, of_base, :]
    if common.first is not None:
        mine, its = mine[..., common.first], its[..., common.second]
    there = np.asarray((np.isfinite(mine) & np.isfinite(its)).all(axis=(0, 1)))
    inputs = common.inputs.those(there)
    if not there.all():
        mine, its = mine[..., there], its[..., there]
    if len(inputs.classes.sizes) < common.classes or inputs.classes.sizes.min(initial=inputs.count) < 2:
        what = f"fewer than two {words.noun} in common"
        return Change(n=inputs.count, why=f"a class has {what}" if common.classes > 1 else what)
    return _of_rows(mine, its, inputs.classes, rule)


@dataclass(frozen=True, eq=False)
class Common:
    """The inputs that two runs measured.

    Attributes:
        first: int [n], their places among the first's; None where both have the same, in the same order.
        second: int [n], among the second's; likewise.
        inputs: They themselves.
        classes: How many classes either has.
    """

    first: Ints | None
    second: Ints | None
    inputs: Inputs
    classes: int


@lru_cache(maxsize=4)
def common_of(first: Inputs, second: Inputs) -> Common | None:
    """What two runs of the same data have in common; None where one has all of the test set, one has not.

    Remembered for the next measurement of the same two runs.
    """
    if first.places is None or second.places is None:
        if first.places is not second.places or first.count != second.count:
            return None
        return Common(None, None, first, 1)
    _, mine, its = np.intersect1d(first.places, second.places, return_indices=True)
    if first.labels is None or second.labels is None:
        return Common(mine, its, Inputs(len(mine)), 1)
    return Common(mine, its, Inputs(len(mine), second.labels[its]), len(first.names | second.names))


def _of_rows(point: Floats, base: Floats, classes: Classes, rule: str) -> Change | _Columns:
    """Of values of the same inputs, float64 [parts, seeds, n] each, and the rule of both."""
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = _columns(point, classes, rule) - _columns(base, classes, rule)
    if not np.isfinite(moved).all():
        return Change(n=point.shape[2], why="no ratio of what both measured")
    if len(moved) == 1:
        return _Columns(moved, classes, None)
    mine, its = (number_of(means_of(one, classes), rule) for one in (point, base))
    return _Columns(moved, classes, mine - its)


def _columns(rows: Floats, classes: Classes, rule: str) -> Floats:
    """The columns whose means are compared, of [parts, seeds, n]: a ratio's is its linearisation."""
    if rule != "ratio":
        return rows
    tops, bottoms = means_of(rows, classes).T[..., None]
    ratio = tops / bottoms
    return np.asarray(ratio + (rows[0] - ratio * rows[1]) / bottoms)[None]


def _of_numbers(point: Floats, base: Floats) -> Change:
    """Of one number a seed, float64 [seeds] each: Student's interval over seeds."""
    moved = point - base
    if not np.isfinite(moved).all():
        return Change(why="a seed has no number")
    found = spread(moved[:, None], Classes.of(None, 1))
    if len(moved) < 3:
        return Change(found.estimate, why=TWO_SEEDS if len(moved) == 2 else ONE_NUMBER)
    return Change(found.estimate, (found,))
