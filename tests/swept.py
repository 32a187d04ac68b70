"""Sweeps made by hand: of every kind of point, small and large, for what shows them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from harness import criteria
from harness.config import Config
from harness.config.parameters import Criterion
from harness.records import Estimate, Verdict
from harness.sweeps.records import Axis, Difference, Judged, Number, Point, Row, Selected, State, Sweep
from tests.hostile import HOSTILE

GATES: dict[str, tuple[str, str, bool | None, str, Any]] = {
    "accuracy": ("Test accuracy", "share", True, ">=", 0.75),
    "sparsity": ("Active units a test image (L0)", "units", None, "within", (45.0, 55.0)),
    "agreement": ("Agreement of the attribution methods", "correlation", True, ">=", 0.6),
    "reconstruction": ("Test reconstruction error (MSE)", "squared error a pixel", False, "<=", 0.1),
    "fraction_unexplained": ("Fraction of variance unexplained", "share", False, "<=", 0.25),
    "selection": ("Wanted samples that are right and sure", "share", True, ">=", 1.0),
    "attribution_faithfulness": ("Smallest advantage over ordering pixels by |x|", "share", True, ">=", 1e-6),
}
"""By name: title, unit, direction, relation, threshold."""

WATCHED = {
    "agreement_above_controls": ("Agreement above its largest control", "correlation", True),
    "max_sensitivity.gradients": ("Largest change under small noise, gradients", "share", False),
    "max_sensitivity.smoothgrad": ("Largest change under small noise, smoothgrad", "share", False),
}
"""By name: title, unit, direction."""

HALF = {"accuracy": 0.006, "agreement": 0.025, "agreement_above_controls": 0.03, "selection": 0.0}
"""Half-widths of intervals; a fiftieth of the number elsewhere."""


def numbers_at(k: float, interpretable: bool) -> dict[str, float]:
    """What a k-sparse network on small images gives, about: more units rebuild better, and agree less."""
    step = math.log(k / 5) / math.log(20)
    plus = 0.12 * interpretable
    return {
        "accuracy": 0.80 + 0.09 * step - 0.15 * plus,
        "sparsity": float(k),
        "agreement": 0.78 - 0.28 * step + plus,
        "reconstruction": 0.024 - 0.017 * step + 0.02 * plus,
        "fraction_unexplained": 0.29 - 0.23 * step + 0.2 * plus,
        "selection": 1.0,
        "attribution_faithfulness": 0.11 - 0.06 * step,
        "agreement_above_controls": 0.30 - 0.22 * step + 0.8 * plus,
        "max_sensitivity.gradients": 0.3 + 1.9 * step**2,
        "max_sensitivity.smoothgrad": 0.2 + 0.5 * step,
    }


def an_estimate(name: str, number: float | None) -> Estimate:
    """An estimate of all seeds together."""
    title, unit, better = (GATES | WATCHED)[name][:3]
    half = HALF.get(name, 0.02 * abs(number or 0.0))
    low, high = (None, None) if number is None else (number - half, number + half)
    return Estimate(
        name,
        title,
        unit,
        better,
        None,
        number,
        low,
        high,
        half / 2 or None,
        0.95,
        200,
        "the recipe",
        reason="no image was explained" if number is None else None,
    )


def a_number(name: str, number: float | None) -> Number:
    """The same as a row keeps it."""
    return Number.of(an_estimate(name, number))


def judged(estimates: Mapping[str, Estimate], thresholds: Mapping[str, Any]) -> tuple[Verdict, ...]:
    """The gates on estimates, by the harness's own rule."""
    found = []
    for name, (title, _, _, relation, threshold) in GATES.items():
        asked = Criterion.model_validate(
            dict(
                id=name,
                title=title,
                measurement=name,
                relation=relation,
                threshold=thresholds.get(name, threshold),
                gate=True,
            )
        )
        found.append(criteria.judge(asked, estimates.get(name)))
    return tuple(found)


def a_row(
    point: Point,
    numbers: Mapping[str, float | None],
    thresholds: Mapping[str, Any] | None = None,
    **changed: Any,
) -> Row:
    """A judged point."""
    estimates = {name: an_estimate(name, number) for name, number in numbers.items()}
    rows = judged(estimates, thresholds or {})
    red = [one for one in rows if not one.holds]
    verdict = "pass" if not red else "error" if any(one.verdict == "error" for one in red) else "fail"
    known: dict[str, Any] = dict(
        state="finished",
        exit_code={"pass": 0, "fail": 1, "error": 3}[verdict],
        verdict=verdict,
        why=red[0].why if red else "",
        criteria=tuple(map(Judged.of, rows)),
        estimates={name: Number.of(one) for name, one in estimates.items()},
        seconds=431.2,
        memory_mb=1204.0,
        code="c0de",
    )
    return Row(point, **known | changed)


def without_verdict(point: Point, state: State, why: str) -> Row:
    """A point that never came to a verdict."""
    return Row(point, state, {"refused": 2, "lost": 137}.get(state), why=why)


def points_of(axes: Sequence[Axis], config: Config | None = None) -> list[Point]:
    """Every point of axes, those of one group side by side."""
    groups: dict[int, list[Axis]] = {}
    for axis in axes:
        groups.setdefault(axis.group, []).append(axis)
    steps: list[Iterable[dict[str, Any]]] = [
        [
            dict(zip([one.name for one in group], values, strict=True))
            for values in zip(*(one.values for one in group), strict=True)
        ]
        for group in groups.values()
    ]
    config = config or Config.model_validate({"seeds": [0, 1, 2, 3, 4], "data": {"dataset": "fashion-mnist"}})
    return [
        Point(f"{number:08x}", {key: value for part in parts for key, value in part.items()}, config)
        for number, parts in enumerate(product(*steps), start=0xA1)
    ]


def differences_of(rows: Sequence[Row], reference: str, names: Iterable[str]) -> tuple[Difference, ...]:
    """Every finished point less the reference, with half-widths as of independent estimates."""
    base = next(row for row in rows if row.point.id == reference).estimates
    found = []
    for name in names:
        for row in rows:
            if row.point.id == reference or row.state != "finished":
                continue
            one = row.estimates[name].estimate
            if one is None:
                found.append(Difference(row.point.id, name, None, None, None, None, 0, "it has no number"))
                continue
            change = one - (base[name].estimate or 0.0)
            half = 1.4 * HALF.get(name, 0.02 * abs(one))
            p = min(1.0, math.exp(-2 * abs(change) / half)) if half else 1.0
            found.append(Difference(row.point.id, name, change, change - half, change + half, p, 187))
    return tuple(found)


def a_sweep(**changed: Any) -> Sweep:
    """Five values of k by two recipes: ten points, one refused, one lost, two of other code."""
    axes = (Axis("k", (5, 10, 25, 50, 100), 0), Axis("recipe", ("reference", "interpretable"), 1))
    rows = []
    for point in points_of(axes):
        k, recipe = point.values["k"], point.values["recipe"]
        numbers: dict[str, float | None] = dict(numbers_at(k, recipe == "interpretable"))
        if (k, recipe) == (5, "interpretable"):
            rows.append(
                without_verdict(point, "refused", "recipe 'interpretable' needs k of 10 at least (got 5)")
            )
            continue
        if (k, recipe) == (100, "interpretable"):
            rows.append(without_verdict(point, "lost", "its process was ended by signal 9; memory ran out"))
            continue
        if (k, recipe) == (10, "reference"):
            numbers["agreement"] = None
        asked = {"sparsity": (0.9 * k, 1.1 * k)}
        rows.append(a_row(point, numbers, asked, code="0dd" if k == 25 else "c0de", seconds=300.0 + 2 * k))
    reference = rows[6].point.id
    names = ("agreement", "agreement_above_controls", "fraction_unexplained", "accuracy")
    known: dict[str, Any] = dict(
        id="20250101T000000Z-k-recipe",
        axes=axes,
        rows=tuple(rows),
        reference=reference,
        differences=differences_of(rows, reference, names),
        selected=Selected(
            "agreement_above_controls", rows[3].point.id, (0, 1), (2, 3, 4), 0.371, 0.344, 0.301, 0.387
        ),
        remarks=("2 points are of other code than the reference; they were not run again.",),
    )
    return Sweep(**known | changed)


def one_axis(values: Sequence[Any], name: str = "k", **changed: Any) -> Sweep:
    """A sweep along one axis, every point of it judged."""
    axes = (Axis(name, tuple(values), 0),)
    points = points_of(axes)
    rows = tuple(
        a_row(point, numbers_at(5 + 95 * at / max(1, len(points) - 1), False))
        for at, point in enumerate(points)
    )
    known: dict[str, Any] = dict(id="one", axes=axes, rows=rows, reference=points[0].id)
    return Sweep(**known | changed)


def lost_alone() -> Sweep:
    """A sweep none of whose points came to a verdict."""
    axes = (Axis("k", (5, 10), 0),)
    rows = tuple(without_verdict(point, "lost", "killed") for point in points_of(axes))
    return Sweep("lost", axes, rows, rows[0].point.id)


def hostile(folder: Path) -> Sweep:
    """Whatever a name, a value, a path or a sentence can hold that is no plain text."""
    axes = (Axis("settings.name", HOSTILE, 0), Axis("k", (5, 50), 1))
    rows = []
    for number, point in enumerate(points_of(axes)):
        text = HOSTILE[number % len(HOSTILE)]
        changed: dict[str, Any] = {"why": text, "run": folder / text.replace("/", "_")[:60].replace("\0", "")}
        if number % 5 == 4:
            rows.append(Row(point, "lost", why=text))
        else:
            rows.append(a_row(point, numbers_at(float(5 + number), False), code=text, **changed))
    texts = list(HOSTILE)
    found = differences_of(rows, rows[0].point.id, ("agreement",))
    silent = Difference(rows[1].point.id, texts[0], None, None, None, None, 0, texts[2])
    selected = Selected(texts[1], rows[2].point.id, (0,), (1,), 0.1, 0.2, None, None, texts[0])
    return Sweep(
        texts[0], axes, tuple(rows), rows[0].point.id, (*found, silent), 0.95, selected, tuple(texts)
    )


def large(side: int = 100) -> Sweep:
    """`side` by `side` points of chance numbers, all of them compared with the first."""
    axes = (
        Axis("k", tuple(range(1, side + 1)), 0),
        Axis("learning_rate", tuple(float(f"{one:.4g}") for one in np.geomspace(1e-5, 1, side)), 1),
    )
    generator = np.random.default_rng(0)
    rows = []
    kept = tuple(map(Judged.of, judged({name: an_estimate(name, 0.9) for name in GATES}, {})))
    for point in points_of(axes):
        numbers = numbers_at(5 + 0.9 * point.values["k"], False)
        estimates = {
            name: a_number(name, number + 0.01 * generator.standard_normal())
            for name, number in numbers.items()
        }
        rows.append(Row(point, "finished", 1, "fail", None, "below", kept, estimates, 12.0, 800.0, "c0de"))
    names = (
        "agreement",
        "agreement_above_controls",
        "fraction_unexplained",
        "accuracy",
        "reconstruction",
        "sparsity",
    )
    reference = rows[0].point.id
    return Sweep("large", axes, tuple(rows), reference, differences_of(rows, reference, names))
