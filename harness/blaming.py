"""Was it the training or the measuring code? A good night's weights under tonight's code, without training.

Of the four cells old and new weights make with old and new code, two are stored: a good night's canary and
tonight's. The good night's weights under tonight's code are the third, which tells the two causes apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness import pipeline
from harness.artifacts.directories import RunDirectory
from harness.artifacts.staging import Staged
from harness.criteria import show
from harness.errors import RunError
from harness.history import documents
from harness.history.documents import CANARY
from harness.history.records import Canary
from harness.pipeline.canary import canary
from harness.pipeline.started import Progress
from harness.records import joint


@dataclass(frozen=True)
class Cell:
    """A measurement of the canary under three of the four pairs of weights and code; None: no number."""

    measurement: str
    then: float | None
    weights_of_then: float | None
    tonight: float | None

    @property
    def by_code(self) -> float:
        """What the code alone changed."""
        return _minus(self.weights_of_then, self.then)

    @property
    def by_training(self) -> float:
        """What the training changed, under tonight's code."""
        return _minus(self.tonight, self.weights_of_then)


def _minus(a: float | None, b: float | None) -> float:
    return 0.0 if a is None or b is None else a - b


@dataclass(frozen=True)
class Blame:
    """What made tonight's canary other than a good night's.

    Attributes:
        word: `nothing`: they are the same to the bit; `training`; `measuring code`; `both`.
        why: In a sentence.
        cells: The measurements that a gate or a watch rests on.
    """

    word: Literal["nothing", "training", "measuring code", "both"]
    why: str
    cells: tuple[Cell, ...]

    @property
    def lines(self) -> list[str]:
        """For a terminal: what moved, and the sentence last."""
        rows = [
            f"{one.measurement}: then {show(one.then)}; its weights under tonight's code "
            f"{show(one.weights_of_then)}; tonight {show(one.tonight)}: "
            f"code {one.by_code:+.3g}, training {one.by_training:+.3g}"
            for one in self.cells
            if one.by_code or one.by_training
        ]
        return [*rows, f"{self.word}: {self.why}"]


def blame(tonight: RunDirectory, good: RunDirectory, progress: Progress) -> Blame:
    """Tell apart what the training and what the code that explains and measures made of the canary.

    Args:
        tonight: A night's run directory.
        good: An earlier one's, with its canary's weights.
        progress: Whom to tell.

    Raises:
        Pruned: one has lost what it would be compared by.
        RunError: one has no canary, they are of other seeds or images, or a file is missing or damaged.
    """
    for one in (tonight, good):
        one.manifest.refuse_pruned()
    now, then = (_canary_of(one) for one in (tonight, good))
    if (now.seed, now.frozen) != (then.seed, then.frozen):
        raise RunError(
            f"{tonight.path} and {good.path}: their canaries are of other seeds or images; "
            "name another night by --against"
        )
    config = tonight.read_config()
    with Staged(tonight.path.parent.parent) as scratch:
        work = pipeline.prepare(config.model_copy(update={"output": scratch}), progress)
        weights = RunDirectory(good / CANARY, good.seal).seed(then.seed)
        stage = canary(now.seed, documents.frozen_images(good), weights)
        pipeline.execute(work, (("canary", stage),))
        third = _canary_of(work.run)
        names = [one.measurement for one in config.criteria]
        names += [one.measurement for one in config.nightly.watch]
        numbers = [_numbers(one) for one in (good, work.run, tonight)]
    cells = tuple(Cell(name, *(one.get(name) for one in numbers)) for name in dict.fromkeys(names))
    return _judged(now, then, third, cells)


def _judged(now: Canary, then: Canary, third: Canary, cells: tuple[Cell, ...]) -> Blame:
    """By digests where they settle it, else by how much each changed."""
    same = {name for name in now.digests if now.digests[name] == then.digests[name]}
    if same == set(now.digests):
        return Blame("nothing", "tonight's canary is the good night's, to the bit", cells)
    if "weights" in same:
        return Blame("measuring code", "tonight's training gave the very weights of the good night", cells)
    if third.digests == then.digests:
        why = "the good night's weights give the same maps and numbers under tonight's code, to the bit"
        return Blame("training", why, cells)
    code = {one.measurement for one in cells if not np.isclose(one.by_code, 0.0, atol=_noise(one))}
    trained = {one.measurement for one in cells if not np.isclose(one.by_training, 0.0, atol=_noise(one))}
    if code and trained:
        return Blame("both", f"code moved {_named(code)}, training {_named(trained)}", cells)
    if code:
        return Blame("measuring code", f"it moved {_named(code)}, and training none of the numbers", cells)
    return Blame("training", "tonight's code moves none of the good night's numbers", cells)


def _noise(one: Cell) -> float:
    """What another order of additions may make of a number, and nobody means by a change."""
    return 1e-4 * max(abs(number) for number in (one.then or 0.0, one.tonight or 0.0, 1e-6))


def _named(names: set[str]) -> str:
    return ", ".join(sorted(names))


def _numbers(run: RunDirectory) -> dict[str, float | None]:
    found = joint(RunDirectory(run / CANARY).read_estimates())
    return {name: one.estimate for name, one in found.items()}


def _canary_of(run: RunDirectory) -> Canary:
    found = documents.canary_of(run)
    if found is None:
        raise RunError(f"{run.path}: has no canary; name a run that `harness nightly` computed to its end")
    return found
