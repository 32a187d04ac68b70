"""What agreement amounts to without a trained model, without the right image, without a method."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from harness.measurements.agreement import (
    FAMILIES,
    at_one_grain,
    by_pair,
    correlations,
    families_of,
    incomparable,
    of_pairs,
)
from harness.measurements.evidence import CONTROL_METHOD, Evidence, measurements, sampled
from harness.records import Floats, Measurement
from harness.text import words


def _untrained(evidence: Evidence) -> dict[str, Floats]:
    """The compared methods' contribution maps of the untrained network."""
    untrained = evidence.untrained.items()
    return {name: one.contribution(evidence.images) for name, one in untrained if not one.control}


def _of_untrained(reason: str | None) -> str | None:
    return reason and f"of the untrained network {reason}"


@measurements.register("control_untrained")
def control_untrained(evidence: Evidence) -> Iterator[Measurement]:
    """The agreement of the same methods on an untrained network: of all pairs, and of each family."""
    maps = _untrained(evidence)
    families = families_of(evidence, tuple(maps))
    for family in ("", *FAMILIES):
        inside = [family in ("", one) for one in families]
        if not any(inside):
            continue

        def values(inside: list[bool] = inside) -> Floats:
            return np.asarray(by_pair(maps, evidence.grains(), correlations)[:, inside].mean(axis=1))

        yield sampled(
            evidence,
            f"control_untrained.{family}_family" if family else "control_untrained",
            f"Untrained network{f', {family} family' if family else ''}",
            values,
            higher_is_better=None,
            reason=_of_untrained(incomparable(of_pairs(maps, inside))),
        )


@measurements.register("control_repaired")
def control_repaired(evidence: Evidence) -> Iterator[Measurement]:
    """The agreement of each map with other methods' maps of another image of its class."""
    generator = np.random.default_rng(0)
    partner = np.arange(len(evidence.labels))
    for label in np.unique(evidence.labels):
        members = generator.permutation(np.flatnonzero(evidence.labels == label))
        partner[members] = np.roll(members, 1)
    yield sampled(
        evidence,
        "control_repaired",
        f"Maps paired with another {evidence.words.one} of the class",
        lambda: by_pair(
            evidence.contributions(),
            evidence.grains(),
            lambda a, b: (correlations(a, b[partner]) + correlations(a[partner], b)) / 2,
        ).mean(axis=1),
        higher_is_better=None,
        reason=incomparable(evidence.contributions()),
    )


def edges(images: Floats, shape: tuple[int, ...], kind: str = "image") -> Floats:
    """The Sobel gradient's magnitude of each image, channel and frame by itself: float64 [n, features].

    Of a series it is that over time.
    """
    from scipy import ndimage  # a report needs none of it

    sides = shape[-1:] if kind == "series" else shape[-2:]
    planes = images.astype(np.float64).reshape(-1, *sides)
    # one plane at a time: on a stack of them the filter would smooth from one to the next
    found = np.empty_like(planes)
    for into, plane in zip(found, planes, strict=True):
        along = [ndimage.sobel(plane, axis=axis) for axis in range(len(sides))]
        into[:] = np.hypot(*along) if len(along) == 2 else np.abs(along[0])
    return found.reshape(images.shape)


def smooth(n: int, shape: tuple[int, ...], kind: str) -> Floats:
    """Random maps that change slowly along time, rows and columns, as inputs do: float64 [n, features].

    Standard normal noise under a Gaussian whose standard deviation is `SMOOTH` of each side; channels, and
    the frames of a clip, are drawn by themselves.
    """
    from scipy import ndimage

    placed = 1 if kind == "series" else 2
    noise = np.random.default_rng(0).standard_normal((n, *shape))
    widths = [0.0] * (1 + len(shape) - placed) + [SMOOTH * side for side in shape[-placed:]]
    return np.asarray(ndimage.gaussian_filter(noise, widths, mode="wrap")).reshape(n, -1)


def _with_methods(evidence: Evidence, control: Floats) -> Floats:
    """The mean over methods of their maps' correlation with a control's: float64 [n]."""
    known, grains = evidence.contributions() | {"": control}, evidence.grains() | {"": None}
    found = [correlations(*at_one_grain(known, grains, (name, ""))) for name in evidence.methods]
    return np.asarray(np.mean(found, axis=0))


NO_MODEL = ("image", "edges", "random", "smooth")
"""The control maps that know no model; the reconstruction is the trained one's."""

UNTRAINED = ("control_untrained", *(f"control_maps.{name}" for name in NO_MODEL))
"""The controls of all pairs that knew no training: what agreement is held against."""

SMOOTH = 1 / 16
"""The smooth random maps' standard deviation, as a share of a side."""


def _maps_of_controls(evidence: Evidence) -> dict[str, tuple[str, Callable[[], Floats]]]:
    """Title and maps of each control, by name."""
    known: dict[str, tuple[str, Callable[[], Floats]]] = {
        "image": (f"The {evidence.words.one} itself, |x|", lambda: np.abs(evidence.images))
    }
    if evidence.is_rebuilt:
        known["reconstruction"] = ("The reconstruction", lambda: evidence.reconstructions)
    if evidence.kind != "table":
        known["edges"] = (
            f"The {evidence.words.owner} edges (Sobel)",
            lambda: edges(evidence.images, evidence.shape, evidence.kind),
        )
    known["random"] = (
        "Random maps",
        lambda: np.random.default_rng(0).standard_normal(evidence.images.shape),
    )
    if evidence.kind in ("series", "clip"):  # beside which noise is too easy a control
        known["smooth"] = (
            "Smooth random maps",
            lambda: smooth(len(evidence.images), evidence.shape, evidence.kind),
        )
    return known


@measurements.register("control_maps")
def control_maps(evidence: Evidence) -> Iterator[Measurement]:
    """Mean over methods of the correlation with maps that know no model, or no class."""
    controls = _maps_of_controls(evidence)
    for name, one in evidence.maps.items():
        if one.control:
            title = "Decoder without the classifier" if name == CONTROL_METHOD else words(name).capitalize()
            controls[name] = (title, lambda one=one: one.contribution(evidence.images))  # type: ignore[misc]
    for name, (title, make) in controls.items():

        def values(make: Callable[[], Floats] = make) -> Floats:
            return _with_methods(evidence, make())

        yield sampled(
            evidence,
            f"control_maps.{name}",
            title,
            values,
            higher_is_better=None,
            reason=incomparable(evidence.contributions()),
        )


@measurements.register("agreement_above_controls")
def agreement_above_controls(evidence: Evidence) -> Iterator[Measurement]:
    """What agreement has over the largest control that knows no trained model.

    Image by image agreement less each control (the untrained network, |x|, edges, random maps, and smooth
    ones of series and clips); of their means the smallest. The reconstruction and the decoder without the
    classifier are read from the trained model, and maps paired anew are its own: these are no controls of
    training.
    """
    contributions, untrained = evidence.contributions(), _untrained(evidence)

    def values() -> Floats:
        controls = _maps_of_controls(evidence)
        reached = [by_pair(untrained, evidence.grains(), correlations).mean(axis=1)]
        reached += [_with_methods(evidence, controls[name][1]()) for name in NO_MODEL if name in controls]
        agreed = by_pair(contributions, evidence.grains(), correlations).mean(axis=1)
        return np.asarray(agreed[:, None] - np.stack(reached, axis=1))

    yield sampled(
        evidence,
        "agreement_above_controls",
        "Agreement over the largest control without a trained model",
        values,
        reduction="smallest mean",
        reason=incomparable(contributions) or _of_untrained(incomparable(untrained)),
    )
