"""Whether the maps lie where the class is known to be told: what only data with known truth can ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from harness.capabilities import needs
from harness.measurements.evidence import NO_METHOD, Evidence, measurements, not_finite, sampled
from harness.records import Floats, Measurement

UNIT = "share of |contribution|"


@measurements.register("relevance_mass_accuracy")
@needs("truth")
def relevance_mass_accuracy(evidence: Evidence) -> Iterator[Measurement]:
    """Share of the absolute contributions on the features that are known to tell the class, image by image.

    The relevance mass accuracy of Arras, Osman and Samek (2022), of each method and as their mean. Neither
    end is better by itself: a feature that tells the class may be what a network ought to use, or a shortcut.
    """
    maps = evidence.contributions()
    yield sampled(
        evidence,
        "relevance_mass_accuracy",
        "Share of all methods on the known features",
        lambda: _mean_mass(maps, evidence.truth),
        unit=UNIT,
        higher_is_better=None,
        reason=_unmeasured(maps),
    )
    for name, rows in maps.items():

        def values(rows: Floats = rows) -> Floats:
            return mass(rows, evidence.truth)

        yield sampled(
            evidence,
            f"relevance_mass_accuracy.{name}",
            f"Share of {name} on the known features",
            values,
            unit=UNIT,
            higher_is_better=None,
            reason=not_finite({name: rows}),
        )


@measurements.register("control_relevance_mass")
@needs("truth")
def control_relevance_mass(evidence: Evidence) -> Iterator[Measurement]:
    """The same share of what knows no trained model.

    A uniform map has the share of features that are known to tell the class; |x| has what the image itself
    lays there, and so, on average, has a model that treats all features alike; the methods on the untrained
    network have their mean.
    """
    for name, (title, values, reason) in _controls(evidence).items():
        yield sampled(
            evidence,
            f"control_relevance_mass.{name}",
            f"Share of {title} on the known features",
            values,
            unit=UNIT,
            higher_is_better=None,
            reason=reason,
        )


@measurements.register("relevance_mass_above_controls")
@needs("truth")
def relevance_mass_above_controls(evidence: Evidence) -> Iterator[Measurement]:
    """What `relevance_mass_accuracy` has over its largest control: 0 where training led nobody there.

    Image by image the methods' mean share less each control's; of their means the smallest. The sign is the
    answer: at least 0 is what to ask of features that ought to be used, at most 0 of a shortcut.
    """
    maps, controls = evidence.contributions(), _controls(evidence)

    def values() -> Floats:
        reached = np.stack([shares() for _, shares, _ in controls.values()], axis=1)
        return np.asarray(_mean_mass(maps, evidence.truth)[:, None] - reached)

    yield sampled(
        evidence,
        "relevance_mass_above_controls",
        "Share on the known features above its largest control",
        values,
        unit=UNIT,
        higher_is_better=None,
        reduction="smallest mean",
        reason=_unmeasured(maps) or next((why for *_, why in controls.values() if why), None),
    )


@measurements.register("pointing_game")
@needs("truth")
def pointing_game(evidence: Evidence) -> Iterator[Measurement]:
    """Share of images whose largest absolute contribution lies on a feature that is known to tell the class.

    The pointing game of Zhang et al. (2018), without a margin around the features; of equal ones the first
    counts. Chance is a uniform map's share.
    """
    for name, rows in evidence.contributions().items():

        def values(rows: Floats = rows) -> Floats:
            largest = np.abs(rows).argmax(axis=1)
            return np.asarray(evidence.truth[np.arange(len(rows)), largest], dtype=np.float64)

        yield sampled(
            evidence,
            f"pointing_game.{name}",
            f"{evidence.words.noun.capitalize()} whose largest contribution by {name} lies on the known "
            "features",
            values,
            unit=f"share of {evidence.words.noun}",
            higher_is_better=None,
            reason=not_finite({name: rows}),
        )


def mass(maps: Floats, truth: Floats) -> Floats:
    """The share of |maps| (float [n, features]) on the features of truth (bool, likewise): float64 [n].

    NaN where a map is 0 everywhere.
    """
    size = np.abs(maps.astype(np.float64))
    with np.errstate(invalid="ignore"):
        return np.asarray((size * truth).sum(axis=1) / size.sum(axis=1))


def _mean_mass(maps: dict[str, Floats], truth: Floats) -> Floats:
    return np.asarray(np.mean([mass(rows, truth) for rows in maps.values()], axis=0))


def _unmeasured(maps: dict[str, Floats]) -> str | None:
    return not_finite(maps) if maps else NO_METHOD


def _controls(evidence: Evidence) -> dict[str, tuple[str, Callable[[], Floats], str | None]]:
    """By name: what it is, its shares (float64 [n]), and why there are none."""
    truth, images = evidence.truth, evidence.images
    untrained = {name: evidence.untrained[name].contribution(images) for name in evidence.methods}
    return {
        "uniform": ("a uniform map", lambda: np.asarray(truth.mean(axis=1)), None),
        "image": ("|x|", lambda: mass(images, truth), None),
        "untrained": (
            "all methods on the untrained network",
            lambda: _mean_mass(untrained, truth),
            _unmeasured(untrained),
        ),
    }
