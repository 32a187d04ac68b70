"""Sections on the network: how well it learned, and how sure it is with what right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harness import figures
from harness.criteria import show
from harness.records import Floats, Ints
from harness.report.page import Chart, Context, section
from harness.runs import Run
from harness.samples import confidences

BINS = 10
"""Bins of confidence, of equal width, in a reliability diagram."""

MOST = 100
"""Classes whose confusions are drawn, and confusions of many classes that are told."""

Told = tuple[Sequence[str], Sequence[Sequence[object]]]
"""A table's head, and its rows."""

SLIGHT = 0.005
"""A gap between confidence and accuracy that is not worth a word."""


@section("model", "The model")
def _model(run: Run) -> Context | str:
    if not run.estimates:
        return "The run broke off before the model was measured."
    names = ("accuracy", "reconstruction", "fraction_unexplained", "sparsity", "below_k", "dead_units")
    predictions = {seed: run.directory.seed(seed).read_arrays("predictions.npz") for seed in run.config.seeds}
    logits = {seed: one["logits"] for seed, one in predictions.items()}
    labels = next(iter(predictions.values()))["labels"]
    bad = sum(int((~np.isfinite(one)).any(axis=1).sum()) for one in logits.values())
    return {
        "training": _training(run),
        "many": len(run.classes) > figures.NUMBERED,
        "confusion": None if bad else _confusion(run, logits, labels),
        "calibration": None if bad else _calibration(logits, labels, run.form.noun),
        "bad": bad,
        "estimates": [one for name in names if (one := run.estimate(name)) is not None],
        "code_width": run.model.code_width or run.config.model.code_width
        if "code" in run.capabilities
        else 0,
        "model": run.model,
    }


def _training(run: Run) -> Chart | None:
    """Loss and accuracy by epoch; None where nothing was trained."""
    epochs = run.epochs()
    if not epochs:
        return None
    last = {(row["stage"], row["seed"]): row for row in epochs}
    ends = "; ".join(
        f"{stage} {_span([row['loss'] for key, row in last.items() if key[0] == stage])} "
        f"after {max(row['epoch'] for key, row in last.items() if key[0] == stage)} epochs"
        for stage in dict.fromkeys(stage for stage, _ in last)
    )
    seeds = f" of {len(run.config.seeds)} seeds" if len(run.config.seeds) > 1 else ""
    return Chart(
        "training",
        figures.training_curves(epochs, run.model.minimised),
        f"Loss by epoch{seeds}: {ends}.",
        ("stage", "epoch", *(f"{what}{seed}" for what in ("loss", "accuracy") for seed in _named(run))),
        _by_epoch(epochs, run.config.seeds),
    )


def _named(run: Run) -> list[str]:
    """What tells the seeds apart in a table's head; nothing where there is one."""
    seeds = run.config.seeds
    return [""] if len(seeds) == 1 else [f", seed {seed}" for seed in seeds]


def _by_epoch(epochs: Sequence[Mapping[str, Any]], seeds: Sequence[int]) -> list[tuple[object, ...]]:
    """A row for each stage's epoch: every seed's loss, then every seed's accuracy."""
    known = {(row["stage"], row["epoch"], row["seed"]): row for row in epochs}
    rows: list[tuple[object, ...]] = []
    for stage, epoch in dict.fromkeys((row["stage"], row["epoch"]) for row in epochs):
        there = [known.get((stage, epoch, seed)) for seed in seeds]
        losses = (show(row["loss"]) if row else "–" for row in there)
        rows.append((stage, epoch, *losses, *(_accuracy(row and row["accuracy"]) for row in there)))
    return rows


def _span(values: Sequence[float]) -> str:
    """A number, or the lowest and the highest of several."""
    low, high = show(min(values)), show(max(values))
    return low if low == high else f"{low} to {high}"


def _accuracy(value: Any) -> str:
    return "–" if value is None or np.isnan(value) else f"{value:.1%}"


def _confusion(run: Run, logits: Mapping[int, Floats], labels: Ints) -> Chart:
    """What each class is named, over all seeds."""
    classes = run.classes
    table = np.zeros((len(classes), len(classes)), dtype=np.int64)
    for one in logits.values():
        np.add.at(table, (labels, one.argmax(axis=1)), 1)
    totals = table.sum(axis=1)
    wrong = np.where(np.eye(len(classes), dtype=bool), 0, table)
    true, named = np.unravel_index(int(wrong.argmax()), wrong.shape)
    finding = f"No test {run.form.one} is named wrongly."
    if wrong.any():
        finding = (
            f"The most frequent confusion: {classes[true]} is named {classes[named]} "
            f"in {table[true, named]:,} of {totals[true]:,} cases ({table[true, named] / totals[true]:.1%}); "
            f"{wrong.sum():,} of {table.sum():,} predictions are wrong"
            f"{f', over {len(logits)} seeds' if len(logits) > 1 else ''}."
        )
    shares = table / np.maximum(totals, 1)[:, None]
    right = np.diag(shares)
    drawn = np.sort(np.argsort(right, kind="stable")[:MOST])
    if len(drawn) < len(classes):
        finding += f" Drawn are the {len(drawn)} of {len(classes)} classes that are named rightly least."
    told = _whole if len(classes) <= figures.NUMBERED else _most_frequent
    columns, rows = told(table, classes, run.form.noun)
    drawing = figures.confusion(shares[np.ix_(drawn, drawn)], [classes[one] for one in drawn])
    return Chart("confusion", drawing, finding, columns, rows)


def _whole(table: Ints, classes: Sequence[str], noun: str) -> Told:
    """What each class is named."""
    rows = [
        (name, *row, total)
        for name, row, total in zip(classes, table.tolist(), table.sum(axis=1).tolist(), strict=True)
    ]
    return ("true class", *(f"named {name}" for name in classes), noun), rows


def _most_frequent(table: Ints, classes: Sequence[str], noun: str) -> Told:
    """The most frequent confusions of many classes: a table of all would be of mostly nothing."""
    wrong = np.where(np.eye(len(classes), dtype=bool), 0, table)
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST]
    found = [divmod(int(place), len(classes)) for place in order if wrong.flat[place]]
    totals = table.sum(axis=1)
    rows = [
        (
            classes[true],
            classes[named],
            wrong[true, named],
            totals[true],
            f"{wrong[true, named] / totals[true]:.1%}",
        )
        for true, named in found
    ]
    return ("true class", "named", "times", f"{noun} of the class", "share"), rows


def calibration(sureness: Floats, right: Any, edges: Floats) -> tuple[dict[str, Floats], float]:
    """How far confidence is from accuracy, by bins of confidence (Naeini et al. 2015, Guo et al. 2017).

    The expected calibration error is the sum over bins b of n_b / n |accuracy_b - mean confidence_b|: 0 at
    best, at most 1. It says nothing of single images, and depends on the bins.

    Args:
        sureness: float [n], the softmax maximum of each image, in [0, 1].
        right: bool [n], whether it is named rightly.
        edges: Ends of the bins (low, high], float [bins + 1], from 0 to 1; 0 itself is in the first.

    Returns:
        `count`, `confidence` and `accuracy` of each bin, float64 [bins], NaN in an empty bin; and the error.
    """
    place = np.clip(np.searchsorted(edges, sureness, side="left") - 1, 0, len(edges) - 2)
    count = np.bincount(place, minlength=len(edges) - 1).astype(np.float64)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(place, weights=sureness, minlength=len(count)) / count
        accuracy = np.bincount(place, weights=np.asarray(right, dtype=float), minlength=len(count)) / count
    error = float(np.nansum(count * np.abs(accuracy - confidence)) / count.sum())
    return {"count": count, "confidence": confidence, "accuracy": accuracy}, error


def _calibration(logits: Mapping[int, Floats], labels: Ints, noun: str) -> Chart:
    """Accuracy by confidence, a line for each seed."""
    edges = np.linspace(0, 1, BINS + 1)
    found: dict[str, dict[str, Floats]] = {}
    errors, gaps, rows = [], [], []
    for seed, one in logits.items():
        sureness, right = confidences(one), one.argmax(axis=1) == labels
        name = f"seed {seed}"
        found[name], error = calibration(sureness, right, edges)
        errors.append(error)
        gaps.append((float(sureness.mean()), float(right.mean())))
        rows += [
            (
                name,
                f"{low:.1f} to {high:.1f}",
                int(bins_count),
                _accuracy(confidence),
                _accuracy(accuracy),
            )
            for low, high, bins_count, confidence, accuracy in zip(
                edges[:-1],
                edges[1:],
                *(found[name][key] for key in ("count", "confidence", "accuracy")),
                strict=True,
            )
        ]
    return Chart(
        "reliability",
        figures.reliability(found, edges, noun),
        _surety(errors, gaps),
        ("seed", "confidence", noun, "mean confidence", "accuracy"),
        rows,
    )


def _surety(errors: Sequence[float], means: Sequence[tuple[float, float]]) -> str:
    """How well confidence tells accuracy, of each seed's error and of its mean confidence and accuracy."""
    text = f"Expected calibration error {_span(errors)} in {BINS} bins"
    gaps = [confidence - accuracy for confidence, accuracy in means]
    if len(means) == 1:
        confidence, accuracy = means[0]
        word = "overconfident" if gaps[0] > 0 else "underconfident"
        told = (
            "as sure as it is right"
            if abs(gaps[0]) < SLIGHT
            else f"{word} by {100 * abs(gaps[0]):.1f} points"
        )
        return f"{text}; {told}: mean confidence {confidence:.1%}, accuracy {accuracy:.1%}."
    over, under = (sum(sign * gap >= SLIGHT for gap in gaps) for sign in (1, -1))
    largest = max(gaps, key=abs)
    return (
        f"{text}; of {len(gaps)} seeds {over} are overconfident and {under} underconfident, "
        f"at most by {100 * abs(largest):.1f} points."
    )
