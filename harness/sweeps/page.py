"""A sweep on a page of its own: which points hold, what each axis moves, what it costs, who differs."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from harness.artifacts.files import Folder
from harness.criteria import show
from harness.environment.state import clean as clean_state
from harness.report.page import interval, templates
from harness.sweeps.charts import along, parted, planes
from harness.sweeps.forests import forests, untold
from harness.sweeps.grids import LONGEST, Grid, grid, has_threshold
from harness.sweeps.records import Axis, Judged, Row, Sweep, shown
from harness.sweeps.tradeoffs import trades
from harness.text import clean, counted, lasting, words

LISTED = 500
"""Rows of the table of points; the file of the points has all."""

VALUES = 12
"""Values of an axis that the head of the page names."""

SIGNS = {"pass": "✓", "fail": "✗", "error": "!", "interrupted": "■"}
OUTCOMES = {
    "pass": ("holds", "hold"),
    "fail": ("fails", "fail"),
    "error": ("could not be judged", "could not be judged"),
    "refused": ("was refused", "were refused"),
    "lost": ("was lost", "were lost"),
    "missing": ("is missing", "are missing"),
}
"""How points end, in the singular and the plural, in the order in which a sentence says it."""


@clean_state()
def render(sweep: Sweep, path: Path, *, command: str = "") -> Path:
    """Write the page of a sweep; its path.

    Args:
        sweep: The sweep.
        path: The page's file. A point whose run lies below its folder, or beside that, and has its report,
            is linked.
        command: The command line that made the sweep, or the call; empty where nobody knows it.

    Raises:
        StorageError: the page cannot be written.
    """
    points = grid(sweep)
    moving, still, silent = parted(points)
    ends = Counter(map(outcome, sweep.rows))
    heads, axes = _heads(sweep.rows), [axis.name for axis in sweep.axes]
    same = _same(sweep.rows, axes, heads)
    told = {one.measurement for row in sweep.rows for one in row.criteria if one.id in same}
    heads, axes = ([name for name in names if name not in same] for names in (heads, axes))
    differences = forests(points, sweep.differences)
    page = (
        templates()
        .get_template("sweep.html.j2")
        .render(
            sweep=sweep,
            headline=headline(ends, len(sweep.rows), before := sum(row.before for row in sweep.rows)),
            tone="error" if before else _tone(ends),
            facts=_facts(sweep, points),
            gates=heads,
            axes=axes,
            same=same.values(),
            rows=[_row(row, sweep, points, (axes, heads), path.parent) for row in sweep.rows[:LISTED]],
            listed=LISTED,
            still=[text for name, text in still.items() if name not in told],
            silent=silent,
            parts=along(points, moving),
            trades=trades(points),
            differences=differences,
            untold=untold(points, sweep.differences),
            planes=planes(points, moving),
            selected=_selected(sweep, points),
            command=command,
            called=command.startswith("harness.sweep("),
            reference_threads=next((r.threads for r in sweep.rows if r.point.id == sweep.reference), None),
        )
    )
    Folder(path.parent).write_text(path.name, page)
    return path


def outcome(row: Row) -> str:
    """How a point ended: its verdict, or why it has none."""
    if row.state != "finished":
        return row.state
    return row.verdict if row.verdict in ("pass", "fail") else "error"


def headline(ends: Counter[str], points: int, before: int = 0) -> str:
    """`20 of 25 points hold; 3 fail; 2 could not be judged`, and of how many that is an earlier run's."""
    one, several = OUTCOMES["pass"]
    text = f"{ends['pass']:,} of {counted(points, 'point')} {one if points == 1 else several}"
    for name, ends_so in OUTCOMES.items():
        if name != "pass" and ends[name]:
            text += f"; {ends[name]:,} {ends_so[ends[name] != 1]}"
    return f"{text}; {before:,} could not be computed anew" if before else text


def _tone(ends: Counter[str]) -> str:
    """The colour of what stands above everything; an error wins over a fail, as in a run."""
    if ends["error"] or ends["lost"]:
        return "error"
    if ends["fail"]:
        return "fail"
    return "interrupted" if ends["refused"] or ends["missing"] or not ends["pass"] else "pass"


def _facts(sweep: Sweep, points: Grid) -> list[tuple[str, str]]:
    seeds = {row.point.config.seeds for row in sweep.rows}
    data = {row.point.config.data.dataset for row in sweep.rows}
    known = [row.seconds for row in sweep.rows if row.seconds is not None]
    whole = lasting(sum(known)) if known else "not known"
    if known and len(known) < len(sweep.rows):
        whole += f", of {counted(len(known), 'point')}"
    return [
        *((clean(axis.name, LONGEST), _values(axis)) for axis in sweep.axes),
        ("points", f"{len(sweep.rows):,}"),
        ("seeds", ", ".join(map(str, seeds.pop())) if len(seeds) == 1 else "each point's own"),
        ("data set", clean(data.pop(), 80) if len(data) == 1 else "each point's own"),
        ("reference", clean(sweep.reference, LONGEST) if points.reference is None else _name(points)),
        ("time in all", whole),
    ]


def _values(axis: Axis) -> str:
    found = [clean(shown(one), LONGEST) or "empty" for one in axis.values]
    if len(found) <= VALUES:
        return "; ".join(found)
    return f"{'; '.join(found[: VALUES - 1])}; …; {found[-1]} ({len(found):,} values)"


def _name(points: Grid) -> str:
    return points.title(points.reference) if points.reference is not None else "none"


def _heads(rows: Sequence[Row]) -> list[str]:
    """Ids of all gates, in the order of the points."""
    return list(dict.fromkeys(one.id for row in rows for one in row.criteria if one.gate))


def _same(rows: Sequence[Row], axes: Sequence[str], gates: Sequence[str]) -> dict[str, str]:
    """By name, in words, the axes, and gates that hold, of which several points have all the same."""
    if len(rows) < 2:
        return {}
    values = {name: {shown(row.point.values.get(name)) for row in rows} for name in axes}
    found = {
        name: f"{clean(name, LONGEST)} {clean(value, LONGEST) or 'empty'}"
        for name, (value, *others) in values.items()
        if not others
    }
    judged = [{one.id: one for one in row.criteria if one.gate} for row in rows if row.criteria]
    for name in gates:
        cells = {_gate(each.get(name)) for each in judged}
        exact = {(one.estimate, one.low, one.high) for each in judged if (one := each.get(name)) is not None}
        number, bounds, word = next(iter(cells))
        if len(cells) == len(exact) == 1 and not word and all(name in each for each in judged):
            found[name] = f"{clean(words(name), 60)} {number}{f' ({bounds})' if bounds else ''}"
    return found


def _row(
    row: Row, sweep: Sweep, points: Grid, columns: tuple[Sequence[str], Sequence[str]], folder: Path
) -> dict[str, Any]:
    """A point in the table, whose columns are axes and gates."""
    axes, heads = columns
    judged = {one.id: one for one in row.criteria}
    end = outcome(row)
    code = "" if points.reference is None else points.rows[points.reference].code
    return {
        "id": row.point.id,
        "values": [clean(shown(row.point.values.get(name)), LONGEST) for name in axes],
        "reference": row.point.id == sweep.reference,
        "word": (row.verdict or "error") if row.state == "finished" else row.state,
        "sign": SIGNS.get(end, "•"),
        "tone": end if end in SIGNS else "said",
        "link": _link(row.run, folder),
        "gates": [_gate(judged.get(name)) for name in heads],
        "seconds": show(row.seconds),
        "memory": show(row.memory_mb),
        "other": bool(row.code and code and row.code != code),
        "why": row.why,
    }


def _gate(one: Judged | None) -> tuple[str, str, str]:
    """A gate's number, its interval, and its verdict where it does not hold."""
    if one is None:
        return "–", "", ""
    word = "" if one.holds else one.verdict
    if not has_threshold(one):
        return one.verdict, "", word
    return show(one.estimate), "" if one.low is None else interval(one.low, one.high), word


def _link(run: Path | None, folder: Path) -> str:
    """The address of a point's report as the page's folder sees it; empty where it lies elsewhere.

    Points lie beside the folders of the sweeps that they are of, so one step up is still at home.
    """
    if run is None:
        return ""
    try:
        report = run.resolve() / "report.html"
        if not report.is_file():
            return ""
        way = Path(os.path.relpath(report, folder.resolve()))
    except (OSError, ValueError):  # what can be no path
        return ""
    return "" if way.parts[:2] == (os.pardir, os.pardir) else quote(way.as_posix())


def _selected(sweep: Sweep, points: Grid) -> dict[str, Any] | None:
    one = sweep.selected
    if one is None:
        return None
    titles = {row.point.id: points.title(at) for at, row in enumerate(sweep.rows)}
    return {
        "told": one,
        "verdict": next((row.verdict for row in sweep.rows if row.point.id == one.point), "pass"),
        "measurement": points.of(one.measurement),
        "title": titles.get(one.point, one.point),
        "chosen_on": ", ".join(map(str, one.chosen_on)) or "–",
        "told_on": ", ".join(map(str, one.told_on)) or "–",
        "interval": interval(one.low, one.high),
    }
