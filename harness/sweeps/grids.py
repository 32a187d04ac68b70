"""How the points of a sweep lie: along which dimensions, in which lines, with which numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from harness.criteria import acceptable
from harness.records import Floats, Ints
from harness.sweeps.records import Judged, Row, Sweep, shown
from harness.text import clean

ALWAYS = ("agreement_above_controls", "fraction_unexplained", "accuracy")
"""What is shown of every sweep, whether it is a gate or not."""

STABILITY = "max_sensitivity."
"""What the measurements of stability, one a method, begin with."""

LONGEST = 40
"""Letters of an axis's value that a page shows."""


@dataclass(frozen=True)
class Dimension:
    """Axes that move together; most often one.

    Attributes:
        names: Of the axes.
        places: What they take, as readers see it, in the order asked for.
        numbers: The same of a single axis of numbers; None of any other.
    """

    names: tuple[str, ...]
    places: tuple[tuple[str, ...], ...]
    numbers: tuple[float, ...] | None

    @property
    def name(self) -> str:
        """As sentences call it."""
        return " with ".join(self.names)

    @property
    def log(self) -> bool:
        """Whether its numbers span more than a factor of ten."""
        return (
            self.numbers is not None and min(self.numbers) > 0 and max(self.numbers) > 10 * min(self.numbers)
        )

    def value(self, place: int) -> str:
        """What stands at a place, without the axes' names."""
        return " / ".join(self.places[place])

    def at(self, place: int) -> str:
        """What stands at a place: `k 25`."""
        return ", ".join(
            f"{name} {value}" for name, value in zip(self.names, self.places[place], strict=True)
        )


@dataclass(frozen=True)
class Measured:
    """What is measured at the points.

    Attributes:
        name: The measurement's name.
        title: A line that says what it is.
        unit: The unit of its numbers.
        better: Whether more is better; None where neither end is.
        gate: Whether it decides.
    """

    name: str
    title: str
    unit: str
    better: bool | None
    gate: bool

    @property
    def direction(self) -> str:
        """Which end is better, in words; empty where neither is."""
        return {True: "higher is better", False: "lower is better", None: ""}[self.better]

    @property
    def label(self) -> str:
        """Its unit and which end is better."""
        return ", ".join(part for part in (self.unit, self.direction) if part)


@dataclass(frozen=True, eq=False)
class Grid:
    """A sweep's points by their places.

    Attributes:
        rows: The points.
        dimensions: Those of more than one place.
        places: Where each point lies, int64 [points, dimensions].
        reference: The position of the reference among the rows; None where it is not there.
    """

    rows: tuple[Row, ...]
    dimensions: tuple[Dimension, ...]
    places: Ints
    reference: int | None
    _numbers: dict[str, Floats] = field(default_factory=dict)
    _thresholds: dict[str, Floats] = field(default_factory=dict)

    @cached_property
    def measured(self) -> tuple[Measured, ...]:
        """The gates' measurements in their order, then what is always shown, then the stability."""
        judged = {
            one.measurement: one
            for row in reversed(self.rows)
            for one in reversed(row.criteria)
            if has_threshold(one) and (one.gate or one.measurement in ALWAYS)
        }
        gates = [name for name in self._in_order() if name in judged and judged[name].gate]
        names = dict.fromkeys([*gates, *ALWAYS, *filter(None, [self.stability])])
        found = (self._measured(name, judged.get(name)) for name in names)
        return tuple(one for one in found if one is not None)

    def of(self, name: str) -> Measured:
        """What a measurement is; of one that no point has, its name alone."""
        known = next((one for one in self.measured if one.name == name), None)
        return known or self._measured(name, None) or Measured(name, name, "", None, gate=False)

    @cached_property
    def stability(self) -> str:
        """The first measurement of stability that every point with numbers has; empty where there is none."""
        known = [row.estimates for row in self.rows if row.estimates]
        for name in known[0] if known else ():
            if name.startswith(STABILITY) and all(
                name in one and one[name].estimate is not None for one in known
            ):
                return name
        return ""

    def _in_order(self) -> list[str]:
        return list(dict.fromkeys(one.measurement for row in self.rows for one in row.criteria if one.gate))

    def _measured(self, name: str, judged: Judged | None) -> Measured | None:
        for row in self.rows:
            if (one := row.estimates.get(name)) is not None:
                return Measured(
                    name, one.title, one.unit, one.higher_is_better, judged is not None and judged.gate
                )
        if judged is None:
            return None
        better = {">=": True, "<=": False}.get(judged.relation)
        return Measured(name, judged.title, judged.unit, better, judged.gate)

    def numbers(self, name: str) -> Floats:
        """Estimate, lower and upper bound of every point, float64 [points, 3]; NaN where there is none."""
        if name not in self._numbers:
            self._numbers[name] = np.array([_number(row, name) for row in self.rows]).reshape(-1, 3)
        return self._numbers[name]

    def thresholds(self, name: str) -> Floats:
        """The lowest and highest number that the gate of each point lets through, float64 [points, 2].

        NaN where it asks for no such end, or does not judge it.
        """
        if name not in self._thresholds:
            found = self._thresholds[name] = np.full((len(self.rows), 2), np.nan)
            for at, row in enumerate(self.rows):
                for one in row.criteria:
                    if (
                        one.measurement == name
                        and one.gate
                        and has_threshold(one)
                        and one.threshold is not None
                    ):
                        ends = acceptable(one.relation, one.threshold)
                        found[at] = [end if math.isfinite(end) else math.nan for end in ends]
        return self._thresholds[name]

    def title(self, at: int) -> str:
        """A point by what is its own: `k 25, recipe reference`."""
        return ", ".join(
            one.at(place) for one, place in zip(self.dimensions, self.places[at], strict=True)
        ) or clean(self.rows[at].point.title, 3 * LONGEST)

    def short(self, at: int) -> str:
        """The same without the axes' names."""
        pairs = zip(self.dimensions, self.places[at], strict=True)
        return ", ".join(one.value(place) for one, place in pairs)

    def lines(self, dimension: int) -> dict[tuple[int, ...], Ints]:
        """Along a dimension, by the places of the others: the points of each line, in order of the places.

        The reference's line comes first.
        """
        others = [one for one in range(len(self.dimensions)) if one != dimension]
        found: dict[tuple[int, ...], list[int]] = {}
        if self.reference is not None:
            found[tuple(self.places[self.reference, others].tolist())] = []
        for at, key in enumerate(map(tuple, self.places[:, others].tolist())):
            found.setdefault(key, []).append(at)
        return {
            key: np.array(sorted(line, key=lambda at: int(self.places[at, dimension])), dtype=np.int64)
            for key, line in found.items()
        }

    def held(self, dimensions: Sequence[int], key: tuple[int, ...]) -> str:
        """The other dimensions' places in words, of a key of theirs; empty where there are no others."""
        others = [one for number, one in enumerate(self.dimensions) if number not in dimensions]
        return ", ".join(one.at(place) for one, place in zip(others, key, strict=True))


def grid(sweep: Sweep) -> Grid:
    """How the points of a sweep lie."""
    groups: dict[int, list[str]] = {}
    for axis in sweep.axes:
        groups.setdefault(axis.group, []).append(axis.name)
    dimensions, columns = [], []
    for names in groups.values():
        keys = [tuple(_key(row.point.values, name) for name in names) for row in sweep.rows]
        there = {key: place for place, key in enumerate(dict.fromkeys(keys))}
        if len(there) < 2:
            continue
        first = {key: row.point.values for key, row in zip(reversed(keys), reversed(sweep.rows), strict=True)}
        numbers = [_as_number(first[key].get(names[0])) for key in there] if len(names) == 1 else [None]
        finite = [one for one in numbers if one is not None]
        dimensions.append(
            Dimension(
                tuple(clean(name, LONGEST) for name in names),
                tuple(
                    tuple(clean(shown(first[key].get(name)), LONGEST) or "empty" for name in names)
                    for key in there
                ),
                tuple(finite) if len(finite) == len(numbers) else None,
            )
        )
        columns.append([there[key] for key in keys])
    places = np.array(columns, dtype=np.int64).reshape(len(columns), len(sweep.rows)).T
    ids = [row.point.id for row in sweep.rows]
    reference = ids.index(sweep.reference) if sweep.reference in ids else None
    return Grid(sweep.rows, tuple(dimensions), places, reference)


def _key(values: Mapping[str, object], name: str) -> tuple[bool, str]:
    return name in values, shown(values.get(name))


def _as_number(value: object) -> float | None:
    """A value as a number to scale; None where it is none, or not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def has_threshold(one: Judged) -> bool:
    """Whether a criterion holds a number against a threshold, as a test of one's own does not."""
    return one.relation in (">=", "<=", "within")


def _number(row: Row, name: str) -> tuple[float, float, float]:
    found = row.estimates.get(name)
    one: tuple[float | None, ...] = (None,) * 3
    if found is not None:
        one = (found.estimate, found.low, found.high)
    else:
        judged = next((each for each in row.criteria if each.measurement == name), None)
        if judged is not None:
            one = (judged.estimate, judged.low, judged.high)
    first, low, high = (math.nan if each is None or not math.isfinite(each) else each for each in one)
    return first, low, high
