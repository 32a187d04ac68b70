"""How long points will take, by the stages of runs that were measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from heapq import heapreplace
from pathlib import Path
from statistics import median

from harness.artifacts.cleaning import points_runs
from harness.artifacts.directories import RunDirectory
from harness.artifacts.latest import run_directories
from harness.config import Config
from harness.errors import HarnessError
from harness.sweeps.places import POINTS, Place

MOST = 60
"""Runs that are looked at: the newest."""

OF_MAPS = ("attribution", "probing", "measurement")
"""Stages whose work goes by the explained samples."""


@dataclass(frozen=True)
class Paced:
    """A run that computed all it has: its configuration, and seconds by stage.

    `beside` are the seconds that its process took beside them, as to start; 0 where nobody wrote that down.
    """

    config: Config
    stages: dict[str, float]
    beside: float = 0.0

    def seconds(self, config: Config) -> float:
        """What a point of another configuration would take by this run's stages."""
        seeds = len(config.seeds) / len(self.config.seeds)
        epochs = _epochs(config) / max(1, _epochs(self.config))
        samples = config.selection.samples_per_class / self.config.selection.samples_per_class
        whole = self.beside
        for stage, seconds in self.stages.items():
            by = epochs if stage == "training" else samples if stage in OF_MAPS else 1.0
            whole += seconds * (1.0 if stage == "data" else seeds * by)
        return whole


def _epochs(config: Config) -> int:
    return config.training.epochs + config.training.classifier_epochs


def _beside(run: Path, stages: Mapping[str, float]) -> float:
    """Seconds that a point's process took beside the stages of its run; 0 where nobody wrote that down."""
    folder = run.parent.parent
    if folder.parent.name != POINTS:  # a run that is no point's
        return 0.0
    known = Place.at(folder).outcome
    if known.run != run.name or known.seconds is None:
        return 0.0
    return max(0.0, known.seconds - sum(stages.values()))


def measured(output: Path) -> list[Paced]:
    """The newest runs of an output folder, of its points and beside them, that took nothing from others."""
    folders = [output / "runs", *points_runs(output)]
    paths = sorted((path for one in folders for path in run_directories(one)), key=lambda path: path.name)
    found = []
    for path in reversed(paths[-MOST:]):
        with suppress(HarnessError):
            run = RunDirectory(path)
            stages = run.read_stages()
            if stages.taken_from is None and stages.duration_s.get("training"):
                beside = _beside(path, stages.duration_s)
                found.append(Paced(run.read_config(), stages.duration_s, beside))
    return found


def seconds(configs: Sequence[Config], output: Path, at_once: int) -> tuple[float | None, int]:
    """How many seconds points will take on the whole, begun in order, and by how many runs that is told.

    Of each point the median over the runs on data of the same name and, where there are some, of the same
    model: each stage goes by seeds, training by epochs, what is done with maps by samples; what a
    point's process took beside them comes once, and of other runs is not known. A run that took
    some of its stages from the cache tells too little, and the seconds are then too few.

    Args:
        configs: Of the points that are to be run.
        output: The folder of sweeps and runs.
        at_once: How many run side by side.

    Returns:
        None where no run tells.
    """
    runs = measured(output)
    told, free = set[int](), [0.0] * max(1, at_once)
    for config in configs:
        near = [run for run in runs if run.config.data.dataset == config.data.dataset]
        alike = [run for run in near if run.config.model.model == config.model.model] or near
        if not alike:
            return None, 0
        # whoever is through first begins the next
        heapreplace(free, free[0] + median(run.seconds(config) for run in alike))
        told |= set(map(id, alike))
    return max(free), len(told)


def left(took: Sequence[float], ages: Sequence[float], waiting: int, at_once: int) -> float | None:
    """How many seconds are left of points that take as long as those that ended, several at once.

    Args:
        took: Seconds of each that ended.
        ages: For how long those have been running, or were handed over, that did not.
        waiting: How many are not begun.
        at_once: How many run side by side.

    Returns:
        None where nothing tells it.
    """
    if not took:
        return None
    each, oldest = sum(took) / len(took), sorted(ages, reverse=True)
    running, queued = oldest[:at_once], len(oldest[at_once:]) + waiting
    # seconds until each place is free, the soonest first; all within one point's time
    free = [0.0] * (at_once - len(running)) + [max(0.0, each - age) for age in running]
    rounds, rest = divmod(queued, at_once)
    return rounds * each + (free[rest - 1] + each if rest else free[-1])
