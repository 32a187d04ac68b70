"""Pin a night, and hold a later night's canary against the pinned one on the same images."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from harness.artifacts.directories import RunDirectory
from harness.artifacts.files import Array
from harness.errors import RunError
from harness.history.documents import CANARY, frozen_images
from harness.history.records import Canary, Difference, Human, Night
from harness.records import Estimate, joint
from harness.statistics.paired import paired, rule_of

OWN_CHOICE = ("selection",)
"""What no later network can be held against: the pinned one's images were chosen for it to be at its best."""

CONFIDENCE = 0.9
"""Of the two-sided interval whose bounds are one-sided 95 % bounds."""


def pinned_of(run: RunDirectory, night: Night, measurements: Iterable[str]) -> dict[str, Any]:
    """What a pin holds of a night, so that it needs the run directory no more.

    Args:
        run: The night's run directory.
        night: Its document.
        measurements: What later nights will be held against.

    Returns:
        `seed`; `images`, the frozen positions in the test set; `canary`, the digests and the fingerprint;
        `estimates` by measurement, of the canary; `night`, the fresh seeds' numbers by measurement; `arrays`,
        an .npz file in base64: the canary's values by measurement, and `right`, bool [test].

    Raises:
        RunError: the run has no canary, or it is not whole.
    """
    if night.canary is None:
        raise RunError(f"{run.path}: has no canary; pin a night that `harness nightly` computed to its end")
    canary = RunDirectory(run / CANARY)
    estimates = joint(canary.read_estimates())
    arrays: dict[str, Array] = {"right": _right(canary, night.canary.seed)}
    for name in measurements:
        values, by_class = _values(canary, name)
        if values is not None and name in estimates:
            arrays[f"{'class' if by_class else 'test'}:{name}"] = values
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    return {
        "seed": night.canary.seed,
        "images": frozen_images(run).tolist(),
        "canary": {"digests": night.canary.digests, "fingerprint": night.canary.fingerprint},
        "estimates": {
            name: {"estimate": one.estimate, "definition": one.definition}
            for name, one in estimates.items()
            if any(key.partition(":")[2] == name for key in arrays)
        },
        "night": {one.name: one.estimate for one in night.values},
        "arrays": base64.b64encode(stream.getvalue()).decode(),
    }


def compared(run: RunDirectory, canary: Canary, pin: Human, margins: Mapping[str, float]) -> Canary:
    """The canary's record with its differences from the pinned one.

    Worse is what lies beyond the margin with its whole interval, not worse what lies within it with its
    whole interval: a test of non-inferiority, by the one-sided bounds of the paired bootstrap within classes.

    Args:
        run: Tonight's run directory.
        canary: Tonight's record.
        pin: The pin.
        margins: The declared margins by measurement, each in its own unit.
    """
    told, folder = pin.pinned, RunDirectory(run / CANARY)
    if told["seed"] != canary.seed:
        why = f"the pinned canary is of seed {told['seed']}, tonight's of {canary.seed}; pin again"
        unknown = [
            Difference(name, None, None, margin, "unknown", 0, why) for name, margin in margins.items()
        ]
        return replace(canary, pin=pin.id, differences=unknown)
    with np.load(io.BytesIO(base64.b64decode(told["arrays"])), allow_pickle=False) as stored:
        arrays = dict(stored)
    labels = folder.read_arrays("samples.npz", only=("labels",))["labels"]
    estimates = joint(folder.read_estimates())
    differences = [
        _difference(folder, name, margin, told["estimates"], arrays, estimates, labels)
        for name, margin in margins.items()
        if name not in OWN_CHOICE
    ]
    right = _right(folder, canary.seed)
    flips: dict[str, float] = {}
    if len(right) == len(arrays["right"]):
        lost, won = int((arrays["right"] & ~right).sum()), int((~arrays["right"] & right).sum())
        flips = {"lost": lost, "won": won, "p": _mcnemar(lost, won)}
    return replace(canary, pin=pin.id, differences=differences, flips=flips)


def _mcnemar(lost: int, won: int) -> float:
    """The exact two-sided p that as many images are lost as won (McNemar 1947)."""
    from scipy import stats

    return float(stats.binomtest(lost, lost + won).pvalue) if lost + won else 1.0


def _difference(
    folder: RunDirectory,
    name: str,
    margin: float,
    told: Mapping[str, Any],
    arrays: Mapping[str, Array],
    estimates: Mapping[str, Estimate],
    labels: Array,
) -> Difference:
    def unknown(why: str) -> Difference:
        return Difference(name, None, None, margin, "unknown", 0, why)

    kind = next((one for one in ("class", "test") if f"{one}:{name}" in arrays), None)
    if kind is None or name not in told:
        return unknown("the pin has no values of it by image")
    mine, before = estimates.get(name), told[name]["estimate"]
    values, by_class = _values(folder, name)
    if values is None or mine is None or mine.estimate is None:
        return unknown(f"tonight it has no number: {mine.reason if mine else 'it was not measured'}")
    if mine.definition != told[name]["definition"]:
        return unknown("its definition is another by now; pin again")
    pinned = arrays[f"{kind}:{name}"]
    if by_class != (kind == "class") or pinned.shape != values.shape:
        return unknown("its values are of other images")
    strata = labels if by_class else None
    rules = rule_of(values, strata, mine.estimate)
    rule = next((one for one in rule_of(pinned, strata, before) if one in rules), None)
    if rule is None:
        return unknown("it is no mean, ratio, smallest or largest mean over images")
    there = np.isfinite(np.concatenate([one.reshape(len(one), -1) for one in (pinned, values)], axis=1)).all(
        axis=1
    )
    strata = None if strata is None else strata[there]
    if strata is not None and np.unique(strata, return_counts=True)[1].min() < 2:
        return unknown("a class has fewer than two images with a value")
    found = paired([pinned[there], values[there]], strata, rule, CONFIDENCE)
    return _judged(name, found.change, (found.low, found.high), margin, mine.higher_is_better, found.n)


def _judged(
    name: str, change: float, bounds: tuple[float, float], margin: float, up: bool | None, n: int
) -> Difference:
    """The word on a change: by the harmful side, or by both where neither is better."""
    low, high = bounds
    falls, rises = (low, high), (-high, -low)
    sides = {True: [falls], False: [rises], None: [falls, rises]}[up]
    if any(best < -margin for _, best in sides):
        word = "worse"
    else:
        word = "not worse" if all(worst >= -margin for worst, _ in sides) else "undecided"
    bound = {True: low, False: high, None: low if abs(low) > abs(high) else high}[up]
    return Difference(name, change, bound, margin, word, n)  # type: ignore[arg-type]


def _values(canary: RunDirectory, name: str) -> tuple[Array | None, bool]:
    """A measurement's values of the one seed, float64 [n] or [n, parts], and whether they go by class."""
    base = name.split(".")[0]
    if not (canary / f"measurements/{base}.npz").is_file():
        return None, False
    arrays = canary.read_arrays(f"measurements/{base}.npz")
    return (arrays[name][0] if name in arrays else None), "strata" in arrays


def _right(canary: RunDirectory, seed: int) -> Array:
    """Which images of the whole test set the canary names rightly: bool [test]."""
    stored = canary.seed(seed).read_arrays("predictions.npz", only=("logits", "labels"))
    return np.asarray(stored["logits"].argmax(axis=1) == stored["labels"])
