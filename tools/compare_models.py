"""The shipped models at matched sparsity: the tables of `docs/comparison.md`, from `docs/matched.toml`.

Usage: python -m tools.compare_models [--config docs/matched.toml] [--output FOLDER] [--jobs N] [--as-is]

The sweep runs what is missing, two hours on two cores; `--as-is` tells what is there. Intervals of a run's
own numbers are those of its recipe, seeds and images crossed. Differences are taken image by image and seed
by seed, with intervals that hold together in their column (`harness.statistics.simultaneous`), and Holm's p.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import harness
from harness import sweeps
from harness.console import Shown
from harness.records import Floats
from harness.runs import Run
from harness.statistics.crossed import spreads, two_way
from harness.subjects.shipped import models
from harness.sweeps.differences import Change, changes_of, told_together
from harness.sweeps.measured import Values, measured
from harness.sweeps.records import Row
from tools.tables import markdown

PAGE = Path(__file__).parents[1] / "docs" / "comparison.md"
BEGIN, END = "<!-- {} of {}: written by tools/compare_models.py -->", "<!-- end -->"

FAMILIES = {"of all methods": "", "of the gradient methods": "gradient_family"}
"""Agreement by the words of a table, and the part of its name and of its control's."""

DENSE = "dense"
"""What is as the sparse models are, but for their sparsity."""

SPARSE = ("k-sparse", "topk-auxk", "relu-l1")
"""The models that can be had at any number of active units; the others are compared with the first."""

NEAR = 0.1
"""How close, as a share, numbers of active units are where they are called equal."""

CONFIDENCE = 0.95
"""That all intervals of a column of differences hold."""


def estimated(run: Run, name: str) -> str:
    """A measurement of the run with its interval; a dash where there is none."""
    one = run.estimate(name)
    if one is None or one.estimate is None:
        return "–"
    if one.low is None or one.high is None or one.low == one.high:
        return f"{one.estimate:.3g}"
    digits = 3 if abs(one.estimate) < 10 else 1 if abs(one.estimate) < 100 else 0
    return f"{one.estimate:.{digits}f} [{one.low:.{digits}f}, {one.high:.{digits}f}]"


def crossed(run: Run, values: Callable[[], Floats]) -> str:
    """The mean of values by seed and image (float64 [seeds, n]) with its interval; a dash without any."""
    try:
        found = values()
    except harness.HarnessError:
        return "–"
    if not found.size:
        return "–"
    labels = run.directory.read_arrays("samples.npz")["labels"]
    whole = np.isfinite(found).all(axis=0)
    one = two_way(found[:, whole], labels[whole], 0.95)
    return f"{one.estimate:.3f} [{one.low:.3f}, {one.high:.3f}]"


COLUMNS: dict[str, dict[str, Callable[[Run], str]]] = {
    "what they are": {
        "accuracy": lambda run: estimated(run, "accuracy"),
        "active units": lambda run: estimated(run, "sparsity"),
        "dead units": lambda run: estimated(run, "dead_units"),
        "variance unexplained": lambda run: estimated(run, "fraction_unexplained"),
        "images judged": lambda run: str(len(run.directory.read_arrays("samples.npz")["labels"])),
        "verdict": lambda run: str((run.verdict or {}).get("verdict", "–")),
    },
    "agreement": {
        "of all methods": lambda run: estimated(run, "agreement"),
        "of the gradient methods": lambda run: estimated(run, "agreement_gradient_family"),
        "gradient with decoder": lambda run: estimated(run, "agreement_decoder_family"),
    },
    "what maps are worth": {
        "completeness gap": lambda run: crossed(run, lambda: run.per_sample("completeness")),
        "max-sensitivity, integrated gradients": lambda run: estimated(
            run, "max_sensitivity.integrated_gradients"
        ),
        "max-sensitivity, gradients": lambda run: estimated(run, "max_sensitivity.gradients"),
        "faithfulness, integrated gradients": lambda run: estimated(run, "faithfulness.integrated_gradients"),
        "faithfulness, decoder-weighted": lambda run: estimated(run, "faithfulness.decoder_weighted"),
        "largest correlation of two": lambda run: estimated(run, "attribution_copies"),
    },
}
"""The tables by title: each column's number of a run."""


@dataclass(frozen=True, eq=False)
class Judged:
    """A point of the sweep whose run stands.

    Attributes:
        name: Of its row in a table.
        model: The model's.
        run: Its run.
        above: By the words of `FAMILIES`, agreement less that of the untrained network, by seed and image.
    """

    name: str
    model: str
    run: Run
    above: Mapping[str, Values]

    @property
    def active(self) -> float | None:
        """Units of its code that are active in a test image; None of a model without a code."""
        one = self.run.estimate("sparsity")
        return None if one is None else one.estimate


def judged(row: Row) -> Judged:
    """What a finished point measured."""
    settings = row.point.config.model
    own = [f"k {settings.k}"] if settings.model in ("k-sparse", "topk-auxk") else []
    own += [f"{name} {value:g}" for name, value in settings.settings.items()]
    name = ", ".join([settings.model, *own])
    assert row.run is not None
    names = {
        words: (f"agreement_{part}", f"control_untrained.{part}")
        if part
        else ("agreement", "control_untrained")
        for words, part in FAMILIES.items()
    }
    values = measured(row.run, [one for pair in names.values() for one in pair]).values
    above = {words: less(values[trained], values[untrained]) for words, (trained, untrained) in names.items()}
    return Judged(name, settings.model, harness.open_run(row.run), above)


def less(trained: Values, untrained: Values) -> Values:
    """One measurement less another of the same seeds and images."""
    if trained.rows is None or untrained.rows is None:
        return Values(why=trained.why or untrained.why or "has no value by image")
    rows, numbers = trained.rows - untrained.rows, trained.numbers - untrained.numbers
    return replace(trained, rows=rows, numbers=numbers)


def itself(values: Values) -> Change:
    """A measurement as a change from 0."""
    if values.rows is None:
        return Change(why=values.why)
    rows, inputs = values.of_seeds(values.seeds)
    found = spreads(rows, inputs.classes)
    return Change(found[0].estimate, found, inputs.count)


def from_other(values: Values, other: Values) -> Change:
    """A measurement less another network's, on the images that both explain."""
    return changes_of({"": values}, {"": other})[""]


NOTHING = ("–", "–", "–")


def told(changes: Sequence[Change]) -> list[tuple[str, str, str]]:
    """Of each, with intervals that hold together: the change, Holm's p, and the number of images."""
    return [
        (f"{change:.3f} [{low:.3f}, {high:.3f}]", "< 0.001" if p < 0.001 else f"{p:.3f}", str(n))
        if change is not None and low is not None and high is not None and p is not None
        else NOTHING
        for change, low, high, p, n, _ in told_together(changes, CONFIDENCE)
    ]


def above_untrained(points: Sequence[Judged], words: str) -> str:
    """Each point's agreement above its own untrained network's, and that less the dense model's."""
    columns = {"active units": [estimated(one.run, "sparsity") for one in points]}
    own = told([itself(one.above[words]) for one in points])
    columns |= {"above its own untrained network": [one[0] for one in own], "p": [one[1] for one in own]}
    dense = next((one for one in points if one.model == DENSE), None)
    if dense is not None:
        others = [one for one in points if one is not dense]
        found = told([from_other(one.above[words], dense.above[words]) for one in others])
        by_name = dict(zip([one.name for one in others], found, strict=True))
        cells = [by_name.get(one.name, NOTHING) for one in points]
        for place, title in enumerate((f"that, less {DENSE}'s", "p of it", "images of both")):
            columns[title] = [one[place] for one in cells]
    return by_row("model", columns, [one.name for one in points])


def at_equal_sparsity(points: Sequence[Judged]) -> str:
    """The sparse models in pairs of as many active units: what the one has over the first."""
    pairs = [
        (one, first)
        for one in points
        for first in points
        if one.model in SPARSE[1:] and first.model == SPARSE[0] and near(one.active, first.active)
    ]
    columns: dict[str, list[str]] = {}
    for words in FAMILIES:
        found = told([from_other(one.above[words], first.above[words]) for one, first in pairs])
        columns |= {words: [one[0] for one in found], f"p, {words}": [one[1] for one in found]}
        columns["images of both"] = [one[2] for one in found]
    names = [f"{one.name} less {first.name}" for one, first in pairs]
    return by_row("above its own untrained network", columns, names)


def by_row(corner: str, columns: Mapping[str, Sequence[str]], names: Sequence[str]) -> str:
    """A table of Markdown from its columns."""
    rows = zip(*columns.values(), strict=True)
    return markdown(corner, list(columns), dict(zip(names, rows, strict=True)))


def near(one: float | None, other: float | None) -> bool:
    """Whether two numbers of active units are called equal."""
    return one is not None and other is not None and abs(one - other) <= NEAR * other


def tables(points: Sequence[Judged]) -> dict[str, str]:
    """Every table by its title."""
    plain = {
        title: markdown(
            "model",
            list(columns),
            {one.name: [number(one.run) for number in columns.values()] for one in points},
        )
        for title, columns in COLUMNS.items()
    }
    above = {f"above untrained, {words}": above_untrained(points, words) for words in FAMILIES}
    return plain | above | {"equal sparsity": at_equal_sparsity(points)}


def main() -> None:
    """Run what is missing, and write the tables between their marks in the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--config", type=Path, default=PAGE.with_name("matched.toml"))
    parser.add_argument("--output", type=Path, default=Path("artifacts"))
    parser.add_argument("--jobs", type=int, help="points at once")
    parser.add_argument("--as-is", action="store_true", help="run nothing")
    parser.add_argument("--page", type=Path, default=PAGE)
    asked = parser.parse_args()
    plan = sweeps.plan(
        config=asked.config, flags={"output": asked.output}, name=asked.config.stem, jobs=asked.jobs
    )
    progress = Shown()
    if asked.as_is:
        running = plan.running(progress)
        running.look()
        rows = [running.rows[point.id] for point in plan.points]
    else:
        rows = list(sweeps.run(plan, progress).rows)
    points = [judged(row) for row in rows if row.state == "finished"]
    if not points:
        sys.exit(f"no point of {asked.config} has been judged in {asked.output}")
    points.sort(key=lambda one: list(models).index(one.model))
    text = asked.page.read_text(encoding="utf-8")
    for title, table in tables(points).items():
        print(f"\n{title}\n{table}")
        before, begin, rest = text.partition(BEGIN.format(title, asked.config.stem))
        if begin:
            text = f"{before}{begin}\n{table}\n{END}{rest.partition(END)[2]}"
    asked.page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
