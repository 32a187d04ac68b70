"""Charts of a sweep's page: every point less the reference, a forest a measurement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness import figures
from harness.criteria import show
from harness.figures import Shift
from harness.report.page import Chart, interval
from harness.sweeps.charts import spoken
from harness.sweeps.grids import Grid, Measured
from harness.sweeps.records import Difference
from harness.text import clean, counted

FOREST = 30
"""Points that a forest has room for."""

REASONS = 3
"""So many reasons are named of a measurement of which nothing can be told."""


def forests(grid: Grid, differences: Sequence[Difference]) -> list[Chart]:
    """A chart a measurement of which something can be told, in the order of the page."""
    titles = {row.point.id: grid.title(at) for at, row in enumerate(grid.rows)}
    told = [(one, found) for one, found in _by_measurement(grid, differences) if not _is_silent(found)]
    return [
        _forest(one, found, titles, f"differences-{place}")
        for place, (one, found) in enumerate(told, start=1)
    ]


def untold(grid: Grid, differences: Sequence[Difference]) -> str:
    """Of which measurements nothing can be told at any point, and why, in a sentence; empty of none."""
    by_reason: dict[str, list[str]] = {}
    for one, found in _by_measurement(grid, differences):
        if _is_silent(found):
            why = spoken([clean(each, 200) for each in dict.fromkeys(each.reason for each in found)], REASONS)
            by_reason.setdefault(why, []).append(clean(one.title, 80))
    told = [f"{spoken(titles)} ({why})" for why, titles in by_reason.items()]
    return f"No difference can be told of {'; nor of '.join(told)}." if told else ""


def _by_measurement(grid: Grid, differences: Sequence[Difference]) -> list[tuple[Measured, list[Difference]]]:
    by_name: dict[str, list[Difference]] = {}
    for one in differences:
        by_name.setdefault(one.measurement, []).append(one)
    order = {one.name: place for place, one in enumerate(grid.measured)}
    names = sorted(by_name, key=lambda name: order.get(name, len(order)))
    return [(grid.of(name), by_name[name]) for name in names]


def _is_silent(found: Sequence[Difference]) -> bool:
    return all(one.change is None for one in found)


def _forest(one: Measured, found: Sequence[Difference], titles: Mapping[str, str], name: str) -> Chart:
    rows = [(each, _shift(each, titles.get(each.point, clean(each.point, 40)))) for each in found]
    chosen = rows
    if len(rows) > FOREST:
        rank = sorted(range(len(rows)), key=lambda at: (not rows[at][1].clear, -abs(rows[at][1].change or 0)))
        chosen = [rows[at] for at in sorted(rank[:FOREST])]
    label = f"{clean(one.title, 44)}, less the reference's [{clean(one.unit, 20)}]"
    figure = figures.shifts([row for _, row in chosen], label, one.better)
    columns = ("point", "change", "interval", "p (Holm)", "n", "why not")
    table = [
        (
            row.title,
            show(each.change),
            interval(each.low, each.high),
            show(each.p),
            f"{each.n:,}" if each.n else "–",
            clean(each.reason, 200) or "–",
        )
        for each, row in chosen
    ]
    finding = _sentence(one, [row for _, row in rows])
    if len(chosen) < len(rows):
        finding += f" Drawn are {len(chosen)} of {len(rows):,}, the clear and the large ones first."
    return Chart(name, figure, finding, columns, table)


def _shift(one: Difference, title: str) -> Shift:
    text = "no number" if one.change is None else f"{one.change:+.3g}"
    return Shift(title, one.change, one.low, one.high, text)


def _sentence(one: Measured, rows: Sequence[Shift]) -> str:
    """Whose interval leaves out 0, and on which side."""
    title = clean(one.title, 80)
    silent = sum(row.change is None for row in rows)
    tail = f" Of {counted(silent, 'point')} nothing can be told." if silent else ""
    told = []
    for up in (True, False):
        names = [f"{row.title} ({row.text})" for row in rows if row.clear and ((row.low or 0) >= 0) is up]
        if names:
            side = "" if one.better is None else ", better" if one.better is up else ", worse"
            told.append(f"{'higher' if up else 'lower'} than the reference{side}, at {spoken(names)}")
    if not told:
        return f"{title}: of no point does the interval leave out 0.{tail}"
    return f"{title} is {'; it is '.join(told)}.{tail}"
