"""Charts of a sweep's page: each measurement along each axis, and over each plane of two."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from harness import figures
from harness.criteria import show, show_threshold
from harness.figures import COURSES, Along, Course
from harness.records import Floats, Ints
from harness.report.page import Chart, interval, show_finite
from harness.sweeps.grids import Grid, Measured, has_threshold
from harness.text import clean, counted

STEPS, NAMED_STEPS = 40, 16
"""Values of an axis that a panel has room for: of numbers, and of names."""

DIMENSIONS = 6
"""So many axes are drawn along, and over planes of two."""

CELLS = (12, 8)
"""Rows and columns that a plane has room for."""

SPOKEN = 8
"""So many points a sentence names."""

SIGNS = {">=": "≥", "<=": "≤"}


@dataclass(frozen=True)
class Part:
    """Charts of one kind, and what they leave out.

    Attributes:
        name: Its anchor.
        title: Its heading.
        charts: In order of the measurements.
        notes: Sentences of what is not drawn.
        key: What the charts' lines mean; None where there is but one.
    """

    name: str
    title: str
    charts: Sequence[Chart]
    notes: Sequence[str] = ()
    key: Chart | None = None


def spoken(names: Sequence[str], most: int = SPOKEN) -> str:
    """Names in a row, the first few of many."""
    text = "; ".join(names[:most])
    return f"{text}; and {len(names) - most:,} more" if len(names) > most else text


def with_interval(numbers: Iterable[float]) -> str:
    """`0.61 [0.59, 0.63]` of (estimate, low, high); a dash without a number."""
    value, low, high = numbers
    bounds = "" if np.isnan([low, high]).any() else f" [{show(low)}, {show(high)}]"
    return f"{show_finite(value)}{bounds}"


def parted(grid: Grid) -> tuple[list[Measured], dict[str, str], list[str]]:
    """What varies over the points; in words, by name what is the same at all, and what has no number."""
    moving, still, silent = [], dict[str, str](), []
    for one in grid.measured:
        numbers = grid.numbers(one.name)[:, 0]
        known = numbers[np.isfinite(numbers)]
        title = clean(one.title, 80)
        if not len(known):
            silent.append(title)
        elif len(known) > 1 and np.ptp(known) == 0:
            still[one.name] = f"{title} {show(float(known[0]))}"
        else:
            moving.append(one)
    return moving, still, silent


def along(grid: Grid, measured: Sequence[Measured]) -> list[Part]:
    """By dimension a panel a measurement."""
    return [_along(grid, number, measured) for number in range(len(grid.dimensions))[:DIMENSIONS]]


def _along(grid: Grid, number: int, measured: Sequence[Measured]) -> Part:
    dimension, lines = grid.dimensions[number], grid.lines(number)
    notes: list[str] = []
    if len(lines) > COURSES:
        key = next(iter(lines))  # the reference's, or the first point's
        notes.append(
            f"Drawn is one line of {len(lines):,}, that of {grid.held([number], key)}; "
            "of more than six none could be told apart."
        )
        lines = {key: lines[key]}
    lines = dict(sorted(lines.items()))
    count, room = len(dimension.places), NAMED_STEPS if dimension.numbers is None else STEPS
    kept = _spread(count, room, None if grid.reference is None else int(grid.places[grid.reference, number]))
    if len(kept) < count:
        notes.append(f"Drawn are {len(kept)} of {count:,} values of {dimension.name}.")
    order = kept if dimension.numbers is None else sorted(kept, key=dimension.numbers.__getitem__)
    x = dict(zip(order, map(float, range(len(order))), strict=True))
    ticks: Sequence[str] = [dimension.value(place) for place in order]
    if dimension.numbers is not None:
        x, ticks = {place: dimension.numbers[place] for place in order}, ()
    axis = Along(dimension.name, ticks, tuple(x.values()), dimension.log)
    drawn = {
        grid.held([number], key): np.array(
            sorted(
                (at for at in line.tolist() if int(grid.places[at, number]) in x),
                key=lambda at: x[int(grid.places[at, number])],
            ),
            dtype=np.int64,
        )
        for key, line in lines.items()
    }
    place_of = np.array([x.get(place, np.nan) for place in range(count)])
    charts = [
        _panel(grid, number, one, axis, drawn, place_of, f"along-{number + 1}-{place}")
        for place, one in enumerate(measured, start=1)
        if np.isfinite(np.concatenate([grid.numbers(one.name)[line, 0] for line in drawn.values()])).any()
    ]
    names = [name for name in drawn if name]
    key_chart = None
    if charts and names:
        figure = figures.courses_key(names, dots=bool(ticks), threshold=True)
        key_chart = Chart(f"along-{number + 1}-key", figure, f"The lines are of {spoken(names)}.")
    return Part(f"along-{number + 1}", f"Along {dimension.name}", charts, notes, key_chart)


def _spread(count: int, room: int, wanted: int | None) -> list[int]:
    """So many of the places 0 to count - 1 as there is room for: both ends, and the one that is wanted."""
    kept = set(np.unique(np.linspace(0, count - 1, min(count, room)).astype(int)).tolist())
    return sorted(kept if wanted is None else kept | {wanted})


def _panel(
    grid: Grid,
    number: int,
    one: Measured,
    axis: Along,
    drawn: Mapping[str, Ints],
    place_of: Floats,
    name: str,
) -> Chart:
    numbers = grid.numbers(one.name)
    lines = [
        Course(held, place_of[grid.places[line, number]], *numbers[line].T) for held, line in drawn.items()
    ]
    thresholds, differ = _thresholds(grid, number, one, list(drawn.values()), place_of)
    figure = figures.courses(clean(one.title, 80), clean(one.unit, 24), axis, lines, thresholds)
    every = np.concatenate(list(drawn.values()))
    finding = _finding(grid, one, every, f"Along {axis.label}")
    finding += "; it differs from line to line, and is not drawn." if differ else "."
    dimension = grid.dimensions[number]
    rows = [
        (dimension.at(int(grid.places[at, number])), *([held] if held else []), *_cells(numbers[at]))
        for held, line in drawn.items()
        for at in line.tolist()
    ]
    columns = (dimension.name, *(["line"] if any(drawn) else []), "estimate", "interval")
    return Chart(name, figure, finding, columns, rows)


def _cells(numbers: Floats) -> tuple[str, str]:
    value, low, high = numbers.tolist()
    bounds = "–" if np.isnan([low, high]).any() else interval(low, high)
    return show_finite(value), bounds


def _finding(grid: Grid, one: Measured, points: Ints, where: str) -> str:
    """Lowest, highest, threshold and who misses it, without the full stop."""
    numbers = grid.numbers(one.name)
    known = [at for at in points.tolist() if np.isfinite(numbers[at, 0])]
    title = clean(one.title, 80)
    low, high = (pick(known, key=lambda at: numbers[at, 0]) for pick in (min, max))
    text = f"{where}: {title}, {counted(len(known), 'point')}"
    if len(known) < len(points):
        text += f" of {len(points)}"
    if numbers[low, 0] == numbers[high, 0]:
        text += f": {with_interval(numbers[low])}"
    else:
        text += f": lowest {with_interval(numbers[low])} at {grid.title(low)}"
        text += f", highest {with_interval(numbers[high])} at {grid.title(high)}"
    judged = [
        (at, row)
        for at in points.tolist()
        for row in grid.rows[at].criteria
        if row.measurement == one.name and row.gate and has_threshold(row)
    ]
    asked = {f"{SIGNS.get(row.relation, row.relation)} {show_threshold(row.threshold)}" for _, row in judged}
    if asked:
        text += f"; threshold {asked.pop()}" if len(asked) == 1 else "; its threshold is each point's own"
        missed = [grid.title(at) for at, row in judged if row.verdict == "fail"]
        text += f", missed at {spoken(missed, 4)}" if missed else ", kept by all that could be judged"
    return text


def _thresholds(
    grid: Grid, number: int, one: Measured, lines: Sequence[Ints], place_of: Floats
) -> tuple[list[tuple[Floats, Floats]], bool]:
    """What is asked for at each x, where all lines ask for the same; whether they do not."""
    asked = grid.thresholds(one.name)
    found: dict[int, Floats] = {}
    for at in np.concatenate(list(lines)).tolist():
        place = int(grid.places[at, number])
        if np.isnan(asked[at]).all():
            continue
        if not np.array_equal(found.setdefault(place, asked[at]), asked[at], equal_nan=True):
            return [], True
    order = sorted(found, key=lambda place: float(place_of[place]))
    x = place_of[order]
    ends = np.array([found[place] for place in order]).reshape(-1, 2).T
    return [(x, end) for end in ends if np.isfinite(end).any()], False


def planes(grid: Grid, measured: Sequence[Measured]) -> list[Part]:
    """By pair of dimensions a table a gate, the others as at the reference."""
    pairs = list(combinations(range(len(grid.dimensions))[:DIMENSIONS], 2))
    gates = [one for one in measured if one.gate]
    return [_plane(grid, pair, gates, f"plane-{place}") for place, pair in enumerate(pairs, start=1)]


def _plane(grid: Grid, pair: tuple[int, int], gates: Sequence[Measured], name: str) -> Part:
    # the longer side goes down
    down, across = sorted(pair, key=lambda one: -len(grid.dimensions[one].places))
    others = [one for one in range(len(grid.dimensions)) if one not in pair]
    middle = grid.places[0 if grid.reference is None else grid.reference]
    inside = np.flatnonzero((grid.places[:, others] == middle[others]).all(axis=1))
    kept, names, notes = [], [], []
    for side, room in zip((down, across), CELLS, strict=True):
        dimension = grid.dimensions[side]
        wanted = None if grid.reference is None else int(middle[side])
        kept.append(_spread(len(dimension.places), room, wanted))
        names.append([dimension.value(place) for place in kept[-1]])
        if len(kept[-1]) < len(dimension.places):
            notes.append(
                f"Drawn are {len(kept[-1])} of {len(dimension.places):,} values of {dimension.name}."
            )
    if held := grid.held(pair, tuple(middle[others].tolist())):
        notes.append(f"At {held}.")
    cells = {(int(grid.places[at, down]), int(grid.places[at, across])): at for at in inside.tolist()}
    table = [[cells.get((row, column), -1) for column in kept[1]] for row in kept[0]]
    labels = (grid.dimensions[down].name, grid.dimensions[across].name)
    framed = None
    if grid.reference is not None:
        framed = (kept[0].index(int(middle[down])), kept[1].index(int(middle[across])))
    charts = []
    for place, one in enumerate(gates, start=1):
        every = np.array([at for row in table for at in row if at >= 0], dtype=np.int64)
        if np.isfinite(grid.numbers(one.name)[every, 0]).any():
            charts.append(
                _cells_of(grid, one, table, (names[0], names[1]), labels, framed, f"{name}-{place}")
            )
    return Part(name, f"{labels[0]} by {labels[1]}", charts, notes)


def _cells_of(
    grid: Grid,
    one: Measured,
    table: list[list[int]],
    names: tuple[list[str], list[str]],
    labels: tuple[str, str],
    framed: tuple[int, int] | None,
    name: str,
) -> Chart:
    numbers = np.vstack([grid.numbers(one.name), np.full(3, np.nan)])  # -1, no point, is the last
    cells = numbers[np.array(table)]
    failed = {
        at
        for row in table
        for at in row
        if at >= 0
        and any(each.measurement == one.name and each.verdict == "fail" for each in grid.rows[at].criteria)
    }
    texts = [[f"{numbers[at, 0]:.3g}{' ✗' * (at in failed)}" for at in row] for row in table]
    below = [[_half(numbers[at]) for at in row] for row in table]
    figure = figures.plane(
        cells[..., 0], texts, below, *names, title=clean(one.title, 80), labels=labels, framed=framed
    )
    every = np.array([at for row in table for at in row if at >= 0], dtype=np.int64)
    finding = f"{_finding(grid, one, every, f'Over {labels[0]} and {labels[1]}')}. ✗ misses its threshold"
    finding += "; the frame is the reference." if framed else "."
    rows = [
        (label, *(with_interval(numbers[at]) for at in row))
        for label, row in zip(names[0], table, strict=True)
    ]
    return Chart(name, figure, finding, (" by ".join(labels), *names[1]), rows)


def _half(numbers: Floats) -> str:
    half = float(numbers[2] - numbers[1]) / 2
    return "" if np.isnan(half) else f"± {half:.2g}"
