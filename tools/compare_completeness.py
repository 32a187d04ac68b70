"""What completeness across switches costs: the tables of `docs/switches.md`, from runs that are there.

Usage: python -m tools.compare_completeness RUN ... [--output FILE]

Each run is one recipe of the k-sparse network, in three or more seeds, such as

    harness validate --dataset fashion-mnist --seeds 0,1,2,3,4 --output artifacts/ref
    harness validate --dataset fashion-mnist --seeds 0,1,2,3,4 --output artifacts/int --recipe interpretable
    python -m tools.compare_completeness artifacts/ref/latest artifacts/int/latest

Of every network the selected images are explained by integrated gradients, by captum's, with 50 and with
1,000 steps, by `switch_aware_integrated_gradients` under each allocation, and by `deeplift_code`. What was
measured of a network stands in the file and is not measured again; minutes a network on one core.

Of the gap, and of what happened at switches, the median of each seed's images is taken, and its mean over
the seeds has Student's interval. The rest are means over seeds and images, crossed
(`harness.statistics.two_way`); with a sign, less those of integrated gradients, pair by pair.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from captum.attr import IntegratedGradients
from torch import Tensor

import harness
from harness import attributions, environment
from harness.attributions import sanity
from harness.attributions.paths import jumps_of
from harness.attributions.switched import ALLOCATIONS
from harness.datasets import Dataset
from harness.environment import stream
from harness.measurements.agreement import correlations
from harness.measurements.validity import area
from harness.pipeline import loaded
from harness.pipeline.work import filled, network_digest, to_numpy
from harness.records import Floats, Ints
from harness.runs import Run
from harness.statistics.crossed import across_seeds
from harness.statistics.reductions import Reduced
from tools.tables import markdown

PLAIN, AWARE = "integrated_gradients", "switch_aware_integrated_gradients"

MAPS: dict[str, tuple[str, dict[str, Any]]] = {
    PLAIN: (PLAIN, {}),
    **{rule: (AWARE, {"switch_allocation": rule}) for rule in ALLOCATIONS},
    "deeplift_code": ("deeplift_code", {}),
}
"""By row, the method and what is set beside its defaults."""

STEPS = (50, 1000)
"""Of captum's integrated gradients."""

BATCH = 1000
"""Rows that captum has in memory at once."""

VALUES = ("gap", "deletion", "insertion", "max_sensitivity", "correlation")

Of = dict[str, dict[str, list[float]]]
"""Values by image, by row and measurement."""


def gap(maps: Tensor, change: Tensor) -> list[float]:
    """The part of f(x) - f(0) that a map does not add up to, of each image."""
    return list(to_numpy((maps.double().sum(dim=1) - change).abs() / change.abs()).tolist())


def measured(network: Any, images: Tensor, targets: Tensor, seed: int) -> Of:
    """Each map's values, and what happened at switches; images float32 [n, pixels], targets int64 [n]."""
    with torch.no_grad():
        logits = network(torch.cat([images, torch.zeros_like(images[:1])])).double()
    change = logits[:-1].gather(1, targets[:, None])[:, 0] - logits[-1, targets]
    maps = {row: attributions.attribute(network, images, targets, *how).own for row, how in MAPS.items()}
    found: Of = {row: {"gap": gap(one, change)} for row, one in maps.items()}
    for steps in STEPS:
        theirs = IntegratedGradients(network).attribute(
            images, target=targets, n_steps=steps, method="riemann_middle", internal_batch_size=BATCH
        )
        found[f"captum, {steps} steps"] = {"gap": gap(theirs, change)}
    curves = sanity.curves(network, images, targets, maps)
    for curve, rows in zip(("deletion", "insertion"), curves, strict=True):
        for row, values in zip(maps, area(to_numpy(rows)), strict=True):
            found[row][curve] = values.tolist()
    plain = to_numpy(maps[PLAIN])
    for row, (name, settings) in MAPS.items():

        def explain(images: Tensor, targets: Tensor, name: str = name, set_to: Any = settings) -> Tensor:
            return attributions.attribute(network, images, targets, name, set_to).own

        drawn = torch.Generator().manual_seed(stream(seed, "perturbations"))
        values = sanity.max_sensitivity(explain, images, targets, generator=drawn)
        found[row]["max_sensitivity"] = values.tolist()
        found[row]["correlation"] = correlations(plain, to_numpy(maps[row])).tolist()
    path = jumps_of(network, images, targets)
    jumps, whole = to_numpy(path.jumps).astype(np.float64), to_numpy(change)
    found["switches"] = {
        "share": (jumps.sum(axis=1) / whole).tolist(),
        "movement": (np.abs(jumps).sum(axis=1) / np.abs(whole)).tolist(),
        "count": (to_numpy(path.levels) > 0).sum(axis=1).astype(float).tolist(),
    }
    return found


def networks_of(run: Run, data: Dataset) -> Iterator[tuple[int, Any, Tensor, Tensor]]:
    """The run's seeds, their networks, and the images and classes to explain."""
    chosen = run.directory.read_arrays("samples.npz")
    images = torch.from_numpy(data.inputs(data.test_images[chosen["indices"]]))
    targets = torch.from_numpy(chosen["labels"].astype(np.int64))
    for seed in run.config.seeds:
        yield seed, filled(run.config, data, seed, run.directory.seed(seed)).eval(), images, targets


def shown(of: Reduced, sign: str = "", digits: int = 3) -> str:
    """A number with its interval; without one where seeds were too few."""
    if of.low is None or of.high is None or of.low == of.high:
        return f"{of.estimate:{sign}.{digits}f}"
    return f"{of.estimate:{sign}.{digits}f} [{of.low:{sign}.{digits}f}, {of.high:{sign}.{digits}f}]"


def tables(by_seed: Sequence[Of], labels: Ints) -> Iterator[str]:
    """The tables of one recipe: values by seed."""

    def together(row: str, name: str) -> Floats:
        return np.array([one[row][name] for one in by_seed])

    def over(reduction: str, values: Floats, strata: Ints | None) -> Reduced:
        return across_seeds(reduction, list(values), strata, 0.95)

    def median(row: str, name: str) -> str:
        return shown(over("number", np.median(together(row, name), axis=1)[:, None], None))

    cells: dict[str, list[str]] = {}
    for row in by_seed[0]:
        if row == "switches":
            continue
        cells[row] = [median(row, "gap")]
        for name in VALUES[1:]:
            if name not in by_seed[0][row]:
                cells[row].append("")
                continue
            values, paired = together(row, name), name != "correlation" and row != PLAIN
            less = values - together(PLAIN, name) if paired else values
            cells[row].append(shown(over("mean", less, labels), "+" if paired else ""))
    yield markdown("map", [name.replace("_", " ").replace("max ", "max-") for name in VALUES], cells)
    # of parts of a change that may be next to nothing there is no mean
    at = {name: [median("switches", name)] for name in by_seed[0]["switches"]}
    yield markdown("at switches", ["median"], at)


def main() -> None:
    """Measure the networks that are not in the file yet, keep each there, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run directory of several seeds")
    parser.add_argument("--output", type=Path, default=Path("artifacts/completeness.json"))
    asked = parser.parse_args()
    kept: dict[str, Of] = {}
    if asked.output.is_file():
        kept = json.loads(asked.output.read_text(encoding="utf-8"))
    for place in asked.runs:
        run = harness.open_run(place)
        data = loaded(run.config)
        by_seed = []
        for seed, network, images, targets in networks_of(run, data):
            key = f"{network_digest(network)} {stream(seed, 'perturbations')} {list(map(int, targets))}"
            if key not in kept:
                start = time.perf_counter()
                with environment.deterministic():
                    kept[key] = measured(network, images, targets, seed)
                asked.output.parent.mkdir(parents=True, exist_ok=True)
                asked.output.write_text(json.dumps(kept), encoding="utf-8")
                print(f"{place}, seed {seed}: measured in {time.perf_counter() - start:.0f} s", flush=True)
            by_seed.append(kept[key])
        print(f"\n{run.config.recipe}, {len(by_seed)} seeds, {len(targets)} images\n")
        print(*tables(by_seed, to_numpy(targets)), sep="\n\n")


if __name__ == "__main__":
    main()
