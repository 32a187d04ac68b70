"""The section on switches: how much of a decision happened where the code's k changed, and what that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness import figures
from harness.capabilities import needs
from harness.criteria import show
from harness.figures import Layout, Steps
from harness.measurements.switches import change, share
from harness.records import Floats, Ints
from harness.report import classes
from harness.report.page import Chart, Context, no_samples, section
from harness.runs import Run

PICTURED = 4
"""Samples that are drawn, those with the largest share."""

LISTED = 10
"""Switches of these samples that are listed, the largest."""

MEASURED = ("switch_share", "switch_share.percentile_95", "switch_count", "switch_movement")


@section("switches", "What happens at switches")
@needs("code", "k")
def _switches(run: Run) -> Context | str:
    if (reason := no_samples(run)) is not None:
        return reason
    estimates = [one for name in MEASURED if (one := run.estimate(name)) is not None]
    if not estimates:
        return "The run does not hold what happens at switches; compute it again."
    of_share, of_count = run.estimate("switch_share"), run.estimate("switch_count")
    if of_share is None or of_share.estimate is None or of_count is None:
        return f"It could not be measured: {estimates[0].reason}."
    paths = _paths(run)
    return {
        "share": of_share,
        "count": of_count,
        "estimates": estimates,
        "spread": _spread(run),
        "charts": [_chart(run, one) for one in paths],
        "listed": _listed(run, paths),
        "absent": "" if "atoms" in run.capabilities else NO_ATOMS,
        "seed": run.config.seeds[0],
        "layout": Layout.of(run.form, run.evidence().images),
    }


NO_ATOMS = "Its units have no atoms to draw: no linear decoder leads from them to the inputs."

_COLUMNS = ("class", "lowest", "25 %", "median", "75 %", "highest")


def _spread(run: Run) -> Chart:
    """The share of each sample, by class; the mean over seeds."""
    values = run.per_sample("switch_share").mean(axis=0)
    labels = run.directory.read_arrays("samples.npz")["labels"]
    present, chosen = np.unique(labels), classes.shown(run)
    rows = {"all classes": values} | {run.classes[label]: values[labels == label] for label in present}
    medians = {run.classes[label]: _median(values[labels == label]) for label in present}
    least, most = (pick(medians, key=lambda name: medians[name]) for pick in (min, max))
    finding = (
        f"By class the median share is from {show(medians[least])} ({least}) to {show(medians[most])} "
        f"({most}), of single {run.form.noun} from {show(float(np.nanmin(values)))} to "
        f"{show(float(np.nanmax(values)))}"
    )
    under, over = int((values < 0).sum()), int((values > 1).sum())
    if under:
        finding += f"; of {len(values):,} {under:,} are under 0, where switches take from what slopes give"
    if over:
        finding += f"; of {len(values):,} {over:,} are over 1, where slopes take from what switches give"
    drawn = {"all classes": (values, False)}
    drawn |= {run.classes[label]: (rows[run.classes[label]], False) for label in chosen}
    return Chart(
        "switch-share",
        figures.distributions(drawn, None, "share of the logit's change that happened at switches"),
        f"{finding}.{classes.told(chosen, len(present))}",
        _COLUMNS,
        [
            (name, *(show(float(np.nanquantile(one, at))) for at in (0, 0.25, 0.5, 0.75, 1)))
            for name, one in rows.items()
        ],
    )


def _median(values: Floats) -> float:
    return float(np.nanmedian(values)) if np.isfinite(values).any() else float("nan")


@dataclass(frozen=True, eq=False)
class _Path:
    """The path to one explained sample of the first seed.

    Attributes:
        sample: Its position among the explained.
        share: Of the logit's change, at switches.
        change: Of the logit.
        steps: The logit.
        units: int [jumps, 2], who leaves and who enters.
        levels: float [jumps], the value of both.
    """

    sample: int
    share: float
    change: float
    steps: Steps
    units: Ints
    levels: Floats


def _paths(run: Run) -> list[_Path]:
    """The samples whose share is largest, whichever its sign, of those whose code jumps at all."""
    asked: Mapping[str, Any] = run.evidence().sanity["switches"]
    with np.errstate(divide="ignore", invalid="ignore"):
        shares, changes = share(asked), change(asked)
    jumps = np.asarray(asked["levels"]) > 0
    order = np.argsort(
        -np.where(np.isfinite(shares) & jumps.any(axis=1), np.abs(shares), -np.inf), kind="stable"
    )
    found = []
    for sample in order[:PICTURED].tolist():
        there = jumps[sample]
        if not there.any() or not np.isfinite(shares[sample]):
            continue
        at, before, jump, level = (
            np.asarray(asked[name][sample][there], dtype=np.float64)
            for name in ("positions", "before", "jumps", "levels")
        )
        steps = Steps(np.asarray(asked["along"][sample], dtype=np.float64), at, before, jump)
        units = np.stack([asked[name][sample][there] for name in ("leaving", "entering")], axis=1)
        found.append(_Path(sample, float(shares[sample]), float(changes[sample]), steps, units, level))
    return found


def _named(run: Run, one: _Path) -> tuple[int, str]:
    """The sample's position in the test set, and its class."""
    evidence = run.evidence()
    return int(evidence.indices[one.sample]), evidence.classes[evidence.labels[one.sample]]


def _chart(run: Run, one: _Path) -> Chart:
    """The path with its steps, and the two units of its largest."""
    evidence, steps, most = run.evidence(), one.steps, one.steps.largest
    index, name = _named(run, one)
    leaves, enters = one.units[most].tolist()
    at, level, jump = float(steps.at[most]), float(one.levels[most]), float(steps.jumps[most])
    atoms = []
    if "atoms" in run.capabilities:
        drawn = run.directory.seed(evidence.seed).read_arrays("codes.npz", only=("atoms",))["atoms"]
        atoms = [
            (drawn[leaves], f"unit {leaves} leaves", f"{show(at)} of the way,\nat value {show(level)}"),
            (drawn[enters], f"unit {enters} enters", f"the logit jumps\nby {jump:+.3g}"),
        ]
    figure = figures.path(
        steps, Layout.of(run.form, evidence.images), evidence.images[one.sample].astype(np.float64), atoms
    )
    finding = (
        f"Test {run.form.one} {index}, {name}: {show(one.share)} of the logit's change of {one.change:+.4g} "
        f"happened at {len(steps.at)} switches. At the largest, {show(at)} of the way, unit {leaves} leaves "
        f"and unit {enters} enters at value {show(level)}, and the logit jumps by {jump:+.3g}."
    )
    tenths = np.linspace(0, 1, 11)
    even = np.linspace(0, 1, len(steps.along))
    so_far = [float(steps.along[0] + steps.jumps[steps.at <= place].sum()) for place in tenths]
    rows = [
        (f"{place:.1f}", show(float(np.interp(place, even, steps.along))), show(alone))
        for place, alone in zip(tenths.tolist(), so_far, strict=True)
    ]
    return Chart(f"switches-{index}", figure, finding, ("place", "logit", "by its jumps alone"), rows)


_LISTED = ("{one}", "class", "place", "leaves", "enters", "at value", "jump of the logit", "of its change")


def _listed(run: Run, paths: list[_Path]) -> dict[str, Any]:
    """The largest switches of the samples drawn: a table."""
    found = []
    for one in paths:
        index, name = _named(run, one)
        for number, jump in enumerate(one.steps.jumps.tolist()):
            leaves, enters = one.units[number].tolist()
            numbers = (float(one.steps.at[number]), leaves, enters, float(one.levels[number]))
            cells = (show(numbers[0]), *map(str, numbers[1:3]), show(numbers[3]))
            row = (f"{index}", name, *cells, f"{jump:+.4g}", f"{100 * jump / one.change:+.3g} %")
            found.append((abs(jump), row))
    found.sort(key=lambda pair: -pair[0])
    return {
        "columns": [column.format(one=f"test {run.form.one}") for column in _LISTED],
        "rows": [row for _, row in found[:LISTED]],
    }
