"""What a sweep costs by itself: a simulated one, whose runs take no time, planned, resumed and rendered.

Usage: python -m tests.benchmarks.sweeps [--points 10000] [--output FOLDER]
       python -m tests.benchmarks.sweeps --real 5

One small run is computed, and stands in every point's folder by hard links. Then seconds are told of planning
(every point's configuration), looking (what is finished), comparing (differences from the reference) and
rendering (table and page), with the largest memory of the process.

With `--real` four points are really run, so often: each by its own command alone, in a sweep one at a
time, and in one two at a time. The medians of two ratios are told: a sweep's seconds to those of the
commands, and one at a time to two.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from harness import config, pipeline, sweeps
from harness.artifacts import latest
from harness.artifacts.directories import RunDirectory
from harness.artifacts.files import Folder
from harness.engines import THREADS
from harness.judging import verdicts
from harness.pipeline.started import Silence
from harness.sweeps import table
from harness.sweeps.places import Place
from tests.small import SMALL


def linked(source: Path, target: Path) -> None:
    """A run directory in another place, its files by hard links."""
    shutil.copytree(source, target, copy_function=os.link)
    (target.parent.parent / latest.LATEST).symlink_to(Path("runs") / target.name)


def main() -> None:
    """Make the points, and tell what each step took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--output", type=Path, help="made, and removed after, where it is not named")
    parser.add_argument("--real", type=int, metavar="ROUNDS", help="run points, in rounds of three ways")
    asked = parser.parse_args()
    if asked.real:
        in_rounds(asked.real)
        return
    with tempfile.TemporaryDirectory() as made:
        simulate(asked.points, asked.output or Path(made))


def one_run(output: Path) -> Path:
    """A small run, judged: its directory."""
    settings = config.load(flags=SMALL | {"output": output / "one"}, folder=output)
    run = RunDirectory.open(pipeline.run(settings))
    verdicts.judge(run)
    return run.path


def simulate(points: int, output: Path) -> None:
    """The steps of a sweep of so many points below a folder."""
    # in a process of its own, whose memory is not the sweep's
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
        run = RunDirectory.open(apart.submit(one_run, output).result())
    side = max(1, round(points**0.5))
    axes: dict[str, list[Any]] = {
        "k": list(range(1, side + 1)),
        "learning_rate": [n / 1e5 for n in range(1, points // side + 1)],
    }
    start = time.perf_counter()

    def told(what: str) -> None:
        nonlocal start
        took = time.perf_counter() - start
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        print(f"{what}: {took:.1f} s, {1e3 * took / points:.2f} ms a point; {most:.0f} MB so far", flush=True)
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
    del plan
    plan = planned()
    told("planning again")
    assert not plan.running(Silence()).look()
    told("looking")
    sweeps.run(plan, Silence())
    told("looking, comparing and rendering, the first time")
    found = sweeps.run(plan, Silence())
    told("and again")
    size = (plan.folder / table.PAGE).stat().st_size / 1e6
    print(f"{len(found.differences)} differences; page {size:.1f} MB")


def in_rounds(rounds: int) -> None:
    """Four points by their commands alone, one at a time, and two at a time, in turn."""
    ways: dict[str, Callable[[Path], None]] = {
        "commands": by_commands,
        "one at a time": lambda output: swept(output, 1),
        "two at a time": lambda output: swept(output, 2),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            with tempfile.TemporaryDirectory() as made:
                start = time.perf_counter()
                way(Path(made))
                seconds[name].append(time.perf_counter() - start)
        print(", ".join(f"{name} {taken[-1]:.1f} s" for name, taken in seconds.items()), flush=True)
    for name, other in (("one at a time", "commands"), ("one at a time", "two at a time")):
        ratios = [one / its for one, its in zip(seconds[name], seconds[other], strict=True)]
        middle = statistics.median(ratios)
        print(f"{name} / {other}: {middle:.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


def real(output: Path, jobs: int | None = None) -> sweeps.Plan:
    """Four points of some seconds each, that share nothing in the cache."""
    flags = SMALL | {"output": output, "epochs": 10, "classifier_epochs": 20}
    return sweeps.plan({"k": [16, 24, 32, 48]}, flags=flags, jobs=jobs, folder=output)


def swept(output: Path, jobs: int) -> None:
    """As a sweep, page and all."""
    found = sweeps.run(real(output, jobs), Silence())
    assert all(row.state == "finished" for row in found.rows)


def by_commands(output: Path) -> None:
    """Each point by `harness validate`, one after the other."""
    variables = {**os.environ, **dict.fromkeys(THREADS, "1")}
    for point in real(output).points:
        folder = Folder(output / point.id)
        settings = point.config.model_copy(update={"output": folder.path})
        folder.write_toml("point.toml", settings.as_toml_values())
        command = [
            sys.executable,
            "-m",
            "harness",
            "validate",
            "--config",
            str(folder / "point.toml"),
            "--quiet",
        ]
        done = subprocess.run(command, env=variables, stdout=subprocess.DEVNULL, check=False)
        assert done.returncode in (0, 1)


if __name__ == "__main__":
    main()
