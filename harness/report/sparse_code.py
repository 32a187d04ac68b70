"""The section on the code: how sparse it is, which units live, and which of them speak for a class."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from harness import figures
from harness.artifacts.files import Array
from harness.capabilities import needs
from harness.criteria import show
from harness.records import Floats, Verdict
from harness.report import classes
from harness.report.page import Chart, Context, section
from harness.runs import Run

STRONGEST = 6
"""How many atoms are drawn of each class, and told of it."""

STRONGEST_WIDE = 3
"""How many are drawn where each is as wide as a series or a clip."""

_DECADES = (1.0, 0.1, 0.01, 0.001, 0.0)


@section("sparse-code", "The sparse code")
@needs("code")
def _sparse_code(run: Run) -> Context | str:
    if not run.estimates:
        return "The run broke off before the code was looked at."
    codes = {seed: run.directory.seed(seed).read_arrays("codes.npz") for seed in run.config.seeds}
    atoms, absent = _atoms(run, codes[run.config.seeds[0]])
    return {
        "active": _active(run, {seed: one["l0"] for seed, one in codes.items()}),
        "firing": _firing(run, {seed: one["firing_frequency"] for seed, one in codes.items()}),
        "atoms": atoms,
        "absent": absent,
        "told": classes.told(classes.shown(run), len(run.classes)) if atoms else "",
        "k": run.config.model.k if "k" in run.capabilities else None,
        "seed": run.config.seeds[0],
    }


def _active(run: Run, by_seed: dict[int, Any]) -> Chart:
    """How many units each test image activates, over all seeds."""
    values = np.concatenate(list(by_seed.values()))
    criteria: list[Verdict] = (run.verdict or {})["criteria"]
    declared = next((one.threshold for one in criteria if one.measurement == "sparsity"), None)
    band = declared if isinstance(declared, tuple) else None
    codes = f"test {run.form.noun}" if len(by_seed) == 1 else f"codes, of {len(by_seed)} seeds,"
    finding = (
        f"Each of {len(values):,} {codes} has {values[0]} active units"
        if np.ptp(values) == 0
        else f"Of {len(values):,} {codes} the mean is {show(float(values.mean()))} active units, from "
        f"{show(float(values.min()))} to {show(float(values.max()))}"
    )
    if "k" in run.capabilities and np.ptp(values) > 0:
        k = run.config.model.k
        finding += f"; {int((values < k).sum()):,} have fewer than k = {k}"
    if band is not None:
        inside = int(((values >= band[0]) & (values <= band[1])).sum())
        finding += f", and {inside:,} lie in the band from {band[0]:g} to {band[1]:g}"
    counted = f"test {run.form.noun}" if len(by_seed) == 1 else "codes of all seeds"
    values = np.rint(values).astype(np.int64)  # of a code at several places they are means
    units, images = np.unique(values, return_counts=True)
    shown = np.argsort(-images, kind="stable")[:20]
    return Chart(
        "active-units",
        figures.counts(values, band, "active units (L0)", counted),
        f"{finding}.",
        ("active units", counted),
        [(int(units[place]), int(images[place])) for place in np.sort(shown)],
    )


def _firing(run: Run, by_seed: dict[int, Floats]) -> Chart:
    """How often each unit fires on the training images, by seed."""
    dead = {seed: int((values == 0).sum()) for seed, values in by_seed.items()}
    width = len(next(iter(by_seed.values())))
    named = {seed: f"seed {seed}" for seed in by_seed}
    counted = ", ".join(
        f"{count:,}" if len(dead) == 1 else f"{count:,} (seed {seed})" for seed, count in dead.items()
    )
    alive = np.concatenate([values[values > 0] for values in by_seed.values()])
    finding = f"{counted} of {width:,} units are dead: they never fire on a training {run.form.one}."
    if len(alive):
        pooled = ", over all seeds," if len(by_seed) > 1 else ""
        finding += (
            f" Of the others{pooled} half fire on more than {100 * np.median(alive):.2g} % of the training "
            f"{run.form.noun}, the most frequent on {100 * alive.max():.3g} %."
            if alive.min() < 1
            else f" The others{pooled} are active on every training {run.form.one}."
        )
    rows = []
    for seed, values in by_seed.items():
        for high, low in itertools.pairwise(_DECADES):
            inside = int(((values > low) & (values <= high)).sum())
            rows.append((named[seed], f"over {100 * low:g} to {100 * high:g} %", inside))
        rows.append((named[seed], "never (dead)", dead[seed]))
    return Chart(
        "firing",
        figures.firing({named[seed]: values for seed, values in by_seed.items()}, run.form.noun),
        finding,
        ("seed", "fires on", "units"),
        rows,
    )


def _atoms(run: Run, codes: dict[str, Array]) -> tuple[Chart | None, str]:
    """The strongest atoms of each class; or why they cannot be shown."""
    if "atoms" not in run.capabilities:
        return None, "Its units have no atoms to draw: no linear decoder leads from them to the inputs."
    if "class_contributions" not in codes:
        return None, "The run does not hold what each unit adds to each class; compute it again."
    strength = codes["class_contributions"]
    chosen = run.directory.read_arrays("samples.npz")
    present = [label for label in np.unique(chosen["labels"]) if np.isfinite(strength[label]).all()]
    if not present:
        return None, f"No {run.form.one} was explained, so no unit speaks for a class."
    typical = {int(chosen["labels"][place]): int(place) for place in run.typical()}
    order = {label: np.argsort(-strength[label], kind="stable")[:STRONGEST] for label in present}
    inputs = run.form.inputs(chosen["images"])
    layout = figures.Layout.of(run.form, inputs)
    drawn = [label for label in classes.shown(run) if label in present] or present[: classes.MOST]
    few = STRONGEST_WIDE if layout.is_wide else STRONGEST
    examples = [typical[label] for label in drawn]
    figure = figures.atoms(
        [run.classes[label] for label in drawn],
        inputs[examples],
        codes["reconstructions"][examples],
        np.stack([codes["atoms"][order[label][:few]].astype(np.float64) for label in drawn]),
        [[f"{unit} · {strength[label][unit]:+.2f}" for unit in order[label][:few]] for label in drawn],
        layout,
    )
    first = {label: int(units[0]) for label, units in order.items()}
    strongest = max(present, key=lambda label: strength[label][first[label]])
    weakest = min(present, key=lambda label: strength[label][first[label]])
    every, times = np.unique(np.concatenate(list(order.values())), return_counts=True)
    finding = (
        f"The strongest unit of all is {first[strongest]}: it adds "
        f"{show(float(strength[strongest][first[strongest]]))} to the logit of {run.classes[strongest]} on "
        f"average. Of the classes' strongest units the weakest is {first[weakest]}, with "
        f"{show(float(strength[weakest][first[weakest]]))} to {run.classes[weakest]}. "
        f"{int((times > 1).sum())} of the {len(every)} units shown speak for more than one class."
    )
    rows = [
        (
            run.classes[label],
            int(chosen["indices"][typical[label]]),
            *(f"{unit} ({strength[label][unit]:+.3f})" for unit in order[label]),
            f"{_share(strength[label], order[label]):.0%}",
        )
        for label in present
    ]
    columns = (
        "class",
        f"test {run.form.one}",
        *(f"{rank}." for rank in range(1, len(next(iter(order.values()))) + 1)),
        "of all that adds",
    )
    return Chart("atoms", figure, finding, columns, rows), ""


def _share(strength: Floats, units: Any) -> float:
    """How much of all that units add to a class, by those that add, comes from some of them."""
    added = np.maximum(strength, 0)
    return float(added[units].sum() / added.sum()) if added.any() else 0.0
