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


def forests(grid: Grid, differences: Sequence[Difference]) -> list[Chart]:
    """A chart a measurement, in the order of the page."""
    by_name: dict[str, list[Difference]] = {}
    for one in differences:
        by_name.setdefault(one.measurement, []).append(one)
    titles = {row.point.id: grid.title(at) for at, row in enumerate(grid.rows)}
    order = {one.name: place for place, one in enumerate(grid.measured)}
    names = sorted(by_name, key=lambda name: order.get(name, len(order)))
    return [
        _forest(grid.of(name), by_name[name], titles, f"differences-{place}")
        for place, name in enumerate(names, start=1)
    ]


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
