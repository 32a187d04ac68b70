"""What a sweep costs by itself: a simulated one, whose runs take no time, planned, resumed and rendered.

Usage: python -m tests.benchmarks.sweeps [--points 10000] [--output FOLDER]

One small run is computed, and stands in every point's folder by hard links. Then seconds are told of planning
(every point's configuration), looking (what is finished), comparing (differences from the reference) and
rendering (table and page), with the largest memory of the process.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from harness import config, pipeline, sweeps
from harness.artifacts import latest
from harness.artifacts.directories import RunDirectory
from harness.judging import verdicts
from harness.pipeline.started import Silence
from harness.sweeps import table
from harness.sweeps.places import Place
from tests.conftest import SMALL


def linked(source: Path, target: Path) -> None:
    """A run directory in another place, its files by hard links."""
    shutil.copytree(source, target, copy_function=os.link)
    (target.parent.parent / latest.LATEST).symlink_to(Path("runs") / target.name)


def main() -> None:
    """Make the points, and tell what each step took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--output", type=Path, help="made, and removed after, where it is not named")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        simulate(asked.points, asked.output or Path(made))


def simulate(points: int, output: Path) -> None:
    """The steps of a sweep of so many points below a folder."""
    settings = config.load(flags=SMALL | {"output": output / "one"}, folder=output)
    run = RunDirectory.open(pipeline.run(settings))
    verdicts.judge(run)
    side = max(1, round(points**0.5))
    axes: dict[str, list[Any]] = {
        "k": list(range(1, side + 1)),
        "learning_rate": [n / 1e5 for n in range(1, points // side + 1)],
    }
    start = time.perf_counter()

    def told(what: str) -> None:
        nonlocal start
        took = time.perf_counter() - start
        print(f"{what}: {took:.1f} s, {1e3 * took / points:.2f} ms a point", flush=True)
        start = time.perf_counter()

    def planned() -> sweeps.Plan:
        return sweeps.plan(axes, flags=SMALL | {"output": output, "code_width": 1024}, folder=output)

    plan = planned()
    told(f"planning {len(plan.points)} points")
    for point in plan.points:
        place = Place(output, point.id)
        linked(run.path, place.folder / "runs" / run.path.name)
        place.end(0, 1, 1.0, "")
    told("(making them)")
    plan = planned()
    told("planning again")
    running = plan.running(Silence())
    assert not running.look()
    told("looking")
    sweeps.run(plan, Silence())
    told("looking, comparing and rendering, the first time")
    found = sweeps.run(plan, Silence())
    told("and again")
    size = (plan.folder / table.PAGE).stat().st_size / 1e6
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"{len(found.differences)} differences; page {size:.1f} MB; at most {memory:.0f} MB")


if __name__ == "__main__":
    main()
