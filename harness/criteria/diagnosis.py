"""A red run explained: by how much a gate is missed, where worst, where to look, how to repeat it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.artifacts.directories import RunDirectory
from harness.config.parameters import SWITCH_AWARE
from harness.criteria import WITHOUT, acceptable, show, show_threshold
from harness.criteria.rows import CANARY, HOLDS, PAST, reason
from harness.errors import RunError
from harness.kinds import Words, words_of
from harness.records import Floats, Ints, Verdict, joint
from harness.samples import confidences
from harness.text import clean, words, words_of_pair

WORST = 3
"""How many images are named."""

ALSO = 5
"""How many further red gates have a line with their reason."""

NAMES_WIDE = 160
"""Letters of a sentence that the names of further red gates may take."""

Parts = tuple[Floats, Floats]
"""Numerators and denominators, float64 [seeds, n]: what a value by image is, and what it weighs."""


def details(
    run: RunDirectory,
    verdict: Mapping[str, Any],
    *,
    reported: bool | None = None,
    place: Path | None = None,
) -> list[str]:
    """The lines below a red verdict's sentence: of its first red gate, where to look, and the other gates:
    those that ship before tests of one's own.

    Args:
        run: The run.
        verdict: What stands in its `verdict.json`, the criteria as records.
        reported: Whether there is a report to look at; None looks for it.
        place: The run directory as the lines name it; where it lies now by default.
    """
    place = place or run.path
    gates = [one for one in verdict["criteria"] if one.gate]
    red = [one for one in gates if not one.holds]
    first = next((one for one in gates if one.verdict == verdict["verdict"]), None)
    if verdict["failure"]:
        lines = [
            f"by how much: {len(red)} of {len(gates)} gates could not be judged",
            "worst: none, it broke off",
        ]
        red = []
    elif first is None:
        lines = ["by how much: no gate was declared", "worst: none"]
    elif first.relation == PAST:
        lines = []  # its sentence says how much, since when, and what changed
    else:
        lines = [f"by how much: {by_how_much(first)}", f"worst: {'; '.join(worst(run, first))}"]
    page, folder = run / "report.html", shlex.quote(str(place))
    if page.is_file() if reported is None else reported:
        lines.append(f"report: {page}")
    else:
        lines.append(f"run: {place} (its report: harness report {folder})")
    asked = " --strict" if verdict["strict"] else ""
    if verdict.get("checks"):
        asked += f" --checks {shlex.quote(','.join(verdict['checks']))}"
    settings = shlex.quote(str(place / "config.toml"))
    lines.append(
        f"repeat: harness validate --config {settings}{asked}; judge again: harness judge{asked} {folder}"
    )
    if any(one.relation == PAST for one in red):
        lines.append("that repeats its numbers alone; the next harness nightly says whether they recovered")
    lines += [f'accept: harness accept {one["id"]} --reason "…"' for one in verdict.get("regressions", ())]
    if any(one.id == f"regression.{CANARY}" for one in red):
        lines.append(f"canary: harness blame {folder}; a new normal: harness pin {folder}")
    rest = [one for one in red if one is not first]
    others = sorted((one for one in rest if one.relation != PAST), key=lambda one: one.relation == HOLDS)
    lines += [f"also red: {one.id} ({one.verdict}): {reason(one)}" for one in others[:ALSO]]
    more = [one.id for one in others[ALSO:]]
    lines += [f"and {len(more)} more: {_in_a_line(more)}"] * bool(more)
    return lines + [f"also red: {one.why}" for one in rest if one.relation == PAST]


def by_how_much(verdict: Verdict) -> str:
    """The distance from the threshold, in the number's unit and in standard errors; what was detectable."""
    if verdict.threshold is None:
        return "a test of one's own has no threshold"
    if verdict.estimate is None:
        return "there is no number to compare"
    lowest, highest = acceptable(verdict.relation, verdict.threshold)
    distance = min(verdict.estimate - lowest, highest - verdict.estimate)
    unit = f" ({verdict.unit})" if verdict.unit else ""
    side = "wrong" if distance < 0 else "good"
    rule = f"{verdict.relation} {show_threshold(verdict.threshold)}"
    text = f"{show(abs(distance))}{unit} on the {side} side of {rule}"
    if verdict.margin_se is not None:
        text += f", {abs(verdict.margin_se):.1f} standard errors"
    if verdict.marginal:
        text += "; the interval straddles the threshold"
    if verdict.minimum_detectable_difference is not None:
        text += f"; detectable with 80 % power: {show(verdict.minimum_detectable_difference)}"
    return text


def worst(run: RunDirectory, verdict: Verdict) -> list[str]:
    """What pulls a criterion's number down most: pair, images or class; or why nobody can say."""
    if verdict.threshold is None:
        return [f"none, a test of one's own tells no {_words(run).noun}"]
    try:
        return [
            *_worst_part(run, verdict),
            *_worst_values(run, verdict),
            *_of_the_model(run, verdict),
            *_mended_by(run, verdict),
        ]
    except RunError as error:
        return [f"unknown ({clean(error)})"]


def _words(run: RunDirectory) -> Words:
    """What the run's inputs are called."""
    return words_of(run.read_provenance().dataset)


@dataclass(frozen=True)
class Lowest:
    """The explained image whose maps agree least, the mean over seeds.

    Attributes:
        index: Its position in the test set.
        label: Its class's name.
        agreement: The mean over pairs; None where a map is constant and has no correlation.
        pair: The two methods that agree least on it; empty where none has a correlation.
        of_pair: Their agreement on it.
    """

    index: int
    label: str
    agreement: float | None
    pair: str
    of_pair: float | None


def lowest_agreement(run: RunDirectory) -> Lowest | None:
    """The explained image whose maps agree least; None where agreement was not measured image by image.

    An image whose maps have no correlation counts as the lowest.

    Raises:
        RunError: a file is missing or damaged.
    """
    values = run.read_arrays("measurements/agreement.npz").get("agreement")
    chosen = run.read_arrays("samples.npz")
    if values is None or not values.size or values.shape[1] != len(chosen["indices"]):
        return None
    means = values.mean(axis=0)
    place = int(np.nan_to_num(means, nan=-2.0).argmin())
    pairs = {
        name.removeprefix("agreement_pair."): float(rows[:, place].mean())
        for name, rows in run.read_arrays("measurements/agreement_pair.npz").items()
        if name.startswith("agreement_pair.") and rows.ndim == 2 and rows.shape[1] > place
    }
    known = {name: value for name, value in pairs.items() if np.isfinite(value)}
    pair = min(known, key=lambda one: known[one], default="")
    return Lowest(
        index=int(chosen["indices"][place]),
        label=clean(run.read_provenance().dataset["classes"][int(chosen["labels"][place])], 40),
        agreement=float(means[place]) if np.isfinite(means[place]) else None,
        pair=words_of_pair(pair, run.read_config().attribution.methods),
        of_pair=known.get(pair),
    )


_PARTS: Mapping[str, tuple[str, str, Callable[[list[tuple[float, str]]], tuple[float, str]]]] = {
    "agreement": ("agreement_pair", "pair", min),
    "agreement_worst_pair": ("agreement_pair", "pair", min),
    "attribution_copies": ("agreement_pair", "pair", max),
    "attribution_faithfulness": ("faithfulness", "method", min),
}
"""Measurements that join others: the base name of their parts, what a part is, and which is the worst."""


def _worst_part(run: RunDirectory, verdict: Verdict) -> Iterator[str]:
    if verdict.measurement not in _PARTS:
        return
    base, word, pick = _PARTS[verdict.measurement]
    known = {name: one.estimate for name, one in joint(run.read_estimates()).items()}
    found = [
        (value, words_of_pair(name.removeprefix(f"{base}."), run.read_config().attribution.methods))
        for name, value in known.items()
        if name.startswith(f"{base}.") and value is not None
    ]
    if found:
        value, name = pick(found)
        yield f"{word} {name} {show(value)}"


_OF_THE_MODEL: Mapping[str, str] = {
    "attribution_copies": "none is a copy: on this model two methods are one, counted twice; leave one out "
    "by --methods",
    "attribution_faithfulness": "this is a finding about the model, and about what the method asks; see "
    "docs/models.md, 'Where faithfulness is red'",
}
"""What follows where a measurement is red and no map is wrong."""


def _of_the_model(run: RunDirectory, verdict: Verdict) -> Iterator[str]:
    """What a red measurement says where every map is what it claims to be."""
    held = joint(run.read_estimates()).get("attribution_integrity")
    if verdict.measurement not in _OF_THE_MODEL or verdict.estimate is None or held is None:
        return
    if held.estimate == 1 and not verdict.holds:
        yield f"every map satisfies its own definition, so {_OF_THE_MODEL[verdict.measurement]}"


_MENDS: Mapping[str, tuple[str, ...]] = {
    f"completeness.{SWITCH_AWARE}": ("switch_points", "attribution_steps"),
}
"""Settings of attribution that mend a measurement where they are larger."""


def _mended_by(run: RunDirectory, verdict: Verdict) -> Iterator[str]:
    """Which settings mend a red measurement, and what they are."""
    if verdict.measurement in _MENDS and verdict.estimate is not None and not verdict.holds:
        settings = run.read_config().attribution
        named = [f"attribution.{name} ({getattr(settings, name)})" for name in _MENDS[verdict.measurement]]
        yield f"what is missing lies between the points that the method asks; raise {', then '.join(named)}"


def _worst_values(run: RunDirectory, verdict: Verdict) -> list[str]:
    classes = [clean(name, 40) for name in run.read_provenance().dataset["classes"]]
    if verdict.measurement == "selection":
        return [_shortest_class(run, classes)]
    arrays = run.read_arrays(f"measurements/{verdict.measurement.split('.')[0]}.npz")
    values = arrays.get(verdict.measurement)
    if values is None:
        return ["none, it was not measured"]
    if values.shape[1] == 1:
        return ["none, it is one number a run"]
    if "strata" in arrays:
        indices, labels = run.read_arrays("samples.npz")["indices"], arrays["strata"]
        names = [f"{index} ({classes[label]})" for index, label in zip(indices, labels, strict=True)]
        if verdict.measurement == "attribution_integrity" and values.ndim == 3:
            return [
                _maps(arrays, ["predictions", *run.read_config().attribution.methods], names, _words(run))
            ]
        return [_images(_parts(values, verdict, labels), verdict, names, _words(run))]
    labels = run.seed(int(arrays["seeds"][0])).read_arrays("predictions.npz")["labels"]
    if values.shape[1] != len(labels):
        return [f"none, its values are of no {_words(run).one}"]
    return [_class(_parts(values, verdict, labels), verdict, labels, classes)]


def _shortest_class(run: RunDirectory, classes: Sequence[str]) -> str:
    """The class with the fewest samples that every seed names rightly and surely."""
    config, chosen = run.read_config(), run.read_arrays("samples.npz")
    good = np.ones(len(chosen["labels"]), dtype=bool)
    for seed in config.seeds:
        logits = run.seed(seed).read_arrays("predictions.npz")["logits"][chosen["indices"]]
        if len(logits):
            good &= logits.argmax(axis=1) == chosen["labels"]
            good &= confidences(logits) > config.selection.confidence
    counts = np.bincount(chosen["labels"][good], minlength=len(classes))
    label, wanted = int(counts.argmin()), config.selection.samples_per_class
    return f"class {classes[label]}, {counts[label]} of {wanted} wanted {_words(run).noun} are right and sure"


def _parts(values: Floats, verdict: Verdict, labels: Ints) -> Parts:
    """The values by image that the verdict's number stands for.

    Of several columns it is the one whose mean is the number (that of the worst pair), or, of two, the first
    over the second (a ratio).
    """
    if values.ndim == 2:
        return values, _ones(values)
    choices = [(column, _ones(column)) for column in np.moveaxis(values, 2, 0)]
    if len(choices) == 2:
        choices.append((values[..., 0], values[..., 1]))
    number = np.nan if verdict.estimate is None else verdict.estimate

    def away(parts: Parts) -> float:
        means = [_mean(parts, labels == label) for label in np.unique(labels)]
        return abs(float(np.mean(means)) - number)

    return min(choices, key=away)


def _ones(values: Floats) -> Floats:
    """1 for each value, NaN where there is none."""
    return np.where(np.isnan(values), np.nan, 1.0)


def _mean(parts: Parts, members: Any) -> float:
    return float(np.nansum(parts[0][:, members]) / np.nansum(parts[1][:, members]))


def _badness(value: float, verdict: Verdict) -> float:
    """How far a value lies on the wrong side of the threshold."""
    if verdict.threshold is None or not np.isfinite(value):
        return -np.inf
    lowest, highest = acceptable(verdict.relation, verdict.threshold)
    return max(lowest - value, value - highest)


def _images(parts: Parts, verdict: Verdict, names: Sequence[str], words: Words) -> str:
    means = (parts[0] / parts[1]).mean(axis=0)
    missing = np.flatnonzero(np.isnan(means))
    if verdict.estimate is None and len(missing):
        first = ", ".join(names[place] for place in missing[:WORST])
        return f"{len(missing)} {words.noun} without a value, first test {words.one} {first}"
    order = sorted(range(len(means)), key=lambda place: -_badness(float(means[place]), verdict))
    named = [f"{names[place]} {show(float(means[place]))}" for place in order[:WORST]]
    return f"test {words.one} {', '.join(named)}"


def _maps(arrays: Mapping[str, Floats], asked: Sequence[str], names: Sequence[str], said: Words) -> str:
    """The method of which most maps fail, and the images whose maps are farthest from its definition."""
    holds = arrays["attribution_integrity"].mean(axis=0)  # [n, what was asked]
    column = int(holds.mean(axis=0).argmin())
    failing = np.flatnonzero(holds[:, column] < 1).tolist()
    known = arrays.get(f"attribution_integrity.{asked[column]}")
    errors = np.zeros(len(holds)) if known is None else np.nan_to_num(known.max(axis=0), nan=np.inf)
    farthest = sorted(failing, key=lambda place: -errors[place])[:WORST]
    named = ", ".join(f"{names[place]} error {show(float(errors[place]))}" for place in farthest)
    count = f"{words(asked[column])}: {len(failing)} of {len(holds)} fail"
    return f"{count}, test {said.one} {named}" if named else count


def _class(parts: Parts, verdict: Verdict, labels: Ints, classes: Sequence[str]) -> str:
    means = {int(label): _mean(parts, labels == label) for label in np.unique(labels)}
    label = max(means, key=lambda one: _badness(means[one], verdict))
    return f"class {classes[label]} {show(means[label])}"


def diagnosis(run: RunDirectory, verdict: Mapping[str, Any], *, reported: bool | None = None) -> list[str]:
    """A verdict that is not a pass in five lines: what, by how much, where worst, where to look, how again.

    Args:
        run: The run.
        verdict: What stands in its `verdict.json`, the criteria as records.
        reported: Whether there is a report to look at; None looks for it.
    """
    return [sentence(verdict), *details(run, verdict, reported=reported)]


def sentence(verdict: Mapping[str, Any]) -> str:
    """The verdict in one sentence: on which data, compared with which nights, by which rules that are looser
    than shipped, and by which methods that are not repeatable.
    """
    announced = [clean(one).split(":")[0] for one in verdict.get("announcements", ())]
    looser = ", ".join(one for one in announced if not one.startswith(WITHOUT))
    away = ", ".join(one.removeprefix(WITHOUT) for one in announced if one.startswith(WITHOUT))
    moving = ", ".join(clean(one) for one in verdict.get("unrepeatable", ()))
    told = {"looser than shipped": looser, "judged without": away, "not repeatable": moving}
    past = verdict.get("past")
    beside = f"; {clean(past['why'])}" if past else ""
    return (
        _sentence(verdict) + beside + "".join(f" ({what}: {names})" for what, names in told.items() if names)
    )


def _sentence(verdict: Mapping[str, Any]) -> str:
    name = verdict["dataset"]["name"] + (" (not the full data)" if verdict["notice"] else "")
    word = str(verdict["verdict"]).upper()
    if verdict["failure"]:
        failure = verdict["failure"]
        return f"{word} on {name}: the run broke off in stage {failure['stage']}: {clean(failure['message'])}"
    gates = [criterion for criterion in verdict["criteria"] if criterion.gate]
    wrong = [criterion for criterion in gates if criterion.verdict == verdict["verdict"]]
    if verdict["verdict"] == "pass":
        return f"{word} on {name}: all {len(gates)} gates hold"
    if not wrong:
        return f"{word} on {name}: no gate was declared"
    others = [criterion.id for criterion in gates if not criterion.holds and criterion is not wrong[0]]
    return f"{word} on {name}: {wrong[0].why}" + (f"; also {_in_a_line(others)}" if others else "")


def _in_a_line(names: Sequence[str]) -> str:
    """Names in a row, as many as a line has room for, and how many there are besides."""
    kept = [*names]
    while len(kept) > 1 and len(", ".join(kept)) > NAMES_WIDE:
        kept.pop()
    more = len(names) - len(kept)
    return ", ".join(map(clean, kept)) + (f" and {more} more" if more else "")
