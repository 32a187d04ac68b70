"""Methods beside one another: their numbers, the chart of them, and which is worst."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from harness import figures
from harness.criteria import show
from harness.figures import Column
from harness.records import Estimate, Floats
from harness.report.page import Chart, interval
from harness.text import words

Number = tuple[float | None, float | None, float | None]
"""A number and its interval's bounds."""


def numbers_of(joint: Mapping[str, Estimate], base: str, names: tuple[str, ...]) -> list[Number]:
    """Each method's estimate `base.<method>`; without a number where it was not measured."""
    found = [joint.get(f"{base}.{name}") for name in names]
    return [(None, None, None) if one is None else (one.estimate, one.low, one.high) for one in found]


def quartiles(values: Floats) -> Number:
    """The median and the middle half of what is finite."""
    there = values[np.isfinite(values)]
    if not len(there):
        return None, None, None
    low, median, high = (float(one) for one in np.quantile(there, (0.25, 0.5, 0.75)))
    return median, low, high


def worst_of(numbers: Sequence[Number], higher_is_better: bool) -> int | None:
    """The place of the worst; None where by intervals, or by values, it is not told from the next."""
    known = [place for place, (value, *_) in enumerate(numbers) if value is not None]
    if len(known) < 2:
        return None
    sign = 1 if higher_is_better else -1
    worst, other = sorted(known, key=lambda place: sign * (numbers[place][0] or 0.0))[:2]
    (value, low, high), (rival, lowest, highest) = numbers[worst], numbers[other]
    if low is not None and high is not None and lowest is not None and highest is not None:
        return worst if high < lowest or highest < low else None
    return worst if value != rival else None


def beside(
    name: str,
    methods: tuple[str, ...],
    columns: Mapping[str, tuple[list[Number], bool | None]],
    unit: str,
    log: bool = False,
) -> Chart | None:
    """The chart of a question or two asked of every method; None where nothing was measured.

    Args:
        name: The chart's.
        methods: Names, a row for each.
        columns: By title, each method's number, and whether higher is better (None: neither end is).
        unit: Of the numbers.
        log: Whether the axis is logarithmic, and the bars are where images lie.
    """
    if not any(value is not None for numbers, _ in columns.values() for value, *_ in numbers):
        return None
    drawn, sentences = [], []
    for title, (numbers, better) in columns.items():
        values = [value for value, *_ in numbers]
        # the bars of a logarithmic chart are no intervals, but where the images lie
        told = [(value, None, None) for value in values] if log else numbers
        worst = None if better is None else worst_of(told, better)
        end = {True: ", higher is better", False: ", lower is better", None: ""}[better]
        drawn.append(Column(title, unit + end, numbers, log=log, worst=worst))
        sentences.append(_sentence(title, methods, values, worst, better))
    rows = [
        (words(method), *(cell for numbers, _ in columns.values() for cell in _cells(numbers[place])))
        for place, method in enumerate(methods)
    ]
    heads = [head for title in columns for head in (title, "from – to")]
    figure = figures.beside(
        [words(method) for method in methods], drawn, width=9 if len(drawn) == 1 else 10.5
    )
    return Chart(name, figure, " ".join(sentences), ("method", *heads), rows)


def _cells(number: Number) -> tuple[str, str]:
    return show(number[0]), interval(number[1], number[2])


def _sentence(
    title: str,
    methods: tuple[str, ...],
    values: list[float | None],
    worst: int | None,
    better: bool | None,
) -> str:
    known = {words(method): value for method, value in zip(methods, values, strict=True) if value is not None}
    if not known:
        return f"{title}: not measured."
    if worst is not None:
        bad = words(methods[worst])
        rest = {name: value for name, value in known.items() if name != bad}
        others = f"the others have {show(min(rest.values()))} to {show(max(rest.values()))}"
        if len(rest) == 1:
            others = f"the other has {show(*rest.values())}"
        return f"{title}: {bad} is worst with {show(known[bad])}; {others}."
    if len(known) == 1:
        return f"{title}: {show(*known.values())} ({next(iter(known))})."
    title = title if better is None else f"{title}: none can be told apart as worst"
    least, most = min(known, key=lambda one: known[one]), max(known, key=lambda one: known[one])
    return f"{title}: from {show(known[least])} ({least}) to {show(known[most])} ({most})."
