"""What is measured on each image, or once a run: one decorated function a subject."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage, stats

from harness.records import Floats, Ints, Measurement
from harness.registry import Registry
from harness.samples import confidences

TOP_SHARE = 0.01
"""The share of pixels whose overlap is measured."""

CONSTANT_SHARE = 0.01
"""More constant maps than this cannot be judged: they have no correlation."""


@dataclass(frozen=True, eq=False)
class MethodMaps:
    """One method's maps on disk.

    Attributes:
        own: float32 [n, pixels], in the method's own space.
        space: `sensitivity` or `contribution`.
        sensitivity: float32 [n, pixels]; None where the method has no sensitivity form.
    """

    own: Floats
    space: str
    sensitivity: Floats | None = None

    def contribution(self, images: Floats) -> Floats:
        """The maps in contribution space: what each pixel added, against the baseline 0."""
        return self.own if self.space == "contribution" else self.own * images


@dataclass(frozen=True, eq=False)
class Evidence:
    """What one trained seed left behind, as arrays: all that measurements see.

    Attributes:
        seed: The seed.
        logits: float32 [t, classes], of the test images.
        test_labels: int64 [t].
        baseline_logits: float32 [classes], of the zero image.
        l0: int64 [t], active units of each test image.
        k: The code's declared number of active units.
        firing_frequency: float64 [code width], on the training images.
        squared_errors: float64 [t], summed over pixels, of the reconstructions of test images.
        squared_deviations: float64 [t], likewise, of test images from the mean training image.
        images: float32 [n, pixels], the explained images, in [0, 1].
        shape: Rows and columns of an image.
        indices: int64 [n], their positions in the test set.
        labels: int64 [n], their true classes.
        reconstructions: float32 [n, pixels].
        maps: The methods' maps, by name.
        untrained: The same methods' maps of an untrained network, by name.
        classes: The classes' names.
        wanted_per_class: How many images of each class were to be explained.
        minimum_per_class: Fewer in any class cannot be judged.
        confidence: The bound on the confidence of explained images.
        surest: The highest confidence of any rightly named test image.
    """

    seed: int
    logits: Floats
    test_labels: Ints
    baseline_logits: Floats
    l0: Ints
    k: int
    firing_frequency: Floats
    squared_errors: Floats
    squared_deviations: Floats
    images: Floats
    shape: tuple[int, int]
    indices: Ints
    labels: Ints
    reconstructions: Floats
    maps: Mapping[str, MethodMaps]
    untrained: Mapping[str, MethodMaps]
    classes: tuple[str, ...]
    wanted_per_class: int
    minimum_per_class: int
    confidence: float
    surest: float

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that are compared: all but the control `decoder_reconstruction`."""
        return tuple(name for name in self.maps if name != CONTROL_METHOD)

    def contributions(self) -> dict[str, Floats]:
        """The compared methods' contribution maps, by name."""
        return {name: self.maps[name].contribution(self.images) for name in self.methods}

    def shortage(self) -> str | None:
        """Why too few images are explained for anything to be judged on them; None where enough are."""
        percent = f"{self.confidence:.0%}"
        if not len(self.images):
            return (
                f"no test image is named rightly and over {percent} sure "
                f"(the surest right one is {self.surest:.1%} sure)"
            )
        counts = np.bincount(self.labels, minlength=len(self.classes))
        short = np.flatnonzero(counts < self.minimum_per_class)
        if len(short):
            named = ", ".join(f"{self.classes[label]} ({counts[label]})" for label in short[:3])
            more = f" and {len(short) - 3} more" if len(short) > 3 else ""
            return (
                f"too few images are named rightly and over {percent} sure: "
                f"{named}{more}; each class needs at least {self.minimum_per_class}"
            )
        return None


CONTROL_METHOD = "decoder_reconstruction"

Measure = Callable[[Evidence], Iterator[Measurement]]

measurements: Registry[Measure] = Registry("measurement")
"""By base name; a function yields `base` itself, or a family `base.member`."""


def _sampled(
    evidence: Evidence,
    name: str,
    title: str,
    values: Callable[[], Floats],
    *,
    unit: str = "correlation",
    higher_is_better: bool | None = True,
    reduction: str = "mean",
    reason: str | None = None,
) -> Measurement:
    """A measurement on the explained images, by class; or the reason why they cannot carry it."""
    reason = reason or evidence.shortage()
    known: dict[str, Any] = dict(
        name=name, title=title, unit=unit, higher_is_better=higher_is_better, reduction=reduction
    )
    if reason is None:
        with np.errstate(invalid="ignore", divide="ignore"):
            return Measurement(**known, values=values(), strata=evidence.labels)
    return Measurement(**known, values=np.empty(0), reason=reason)


# the model


@measurements.register("accuracy")
def accuracy(evidence: Evidence) -> Iterator[Measurement]:
    """Share of the test images that are named rightly."""
    right = evidence.logits.argmax(axis=1) == evidence.test_labels
    yield Measurement(
        "accuracy", "Test accuracy", "share of images", True, "proportion", right.astype(np.float64)
    )


@measurements.register("sparsity")
def sparsity(evidence: Evidence) -> Iterator[Measurement]:
    """L0: the number of positive code units of each test image."""
    l0 = evidence.l0.astype(np.float64)
    yield Measurement("sparsity", "Active units a test image (L0)", "units", None, "equivalence", l0)


@measurements.register("below_k")
def below_k(evidence: Evidence) -> Iterator[Measurement]:
    """Share of the test images with fewer than k active units; L0 cannot pass k."""
    below = (evidence.l0 < evidence.k).astype(np.float64)
    title = "Test images with fewer than k active units"
    yield Measurement("below_k", title, "share of images", False, "proportion", below)


@measurements.register("dead_units")
def dead_units(evidence: Evidence) -> Iterator[Measurement]:
    """Code units that no training image activates."""
    dead = np.array([float((evidence.firing_frequency == 0).sum())])
    yield Measurement("dead_units", "Units that never fire on training data", "units", False, "number", dead)


@measurements.register("reconstruction")
def reconstruction(evidence: Evidence) -> Iterator[Measurement]:
    """Squared error of the reconstruction, averaged over pixels."""
    errors = evidence.squared_errors / np.prod(evidence.shape)
    title = "Test reconstruction error (MSE)"
    yield Measurement("reconstruction", title, "squared error a pixel", False, "mean", errors)


@measurements.register("fraction_unexplained")
def fraction_unexplained(evidence: Evidence) -> Iterator[Measurement]:
    """Sum of squared errors over the sum of squared deviations from the mean training image."""
    parts = np.stack([evidence.squared_errors, evidence.squared_deviations], axis=1)
    yield Measurement(
        "fraction_unexplained", "Fraction of variance unexplained", "share of variance", False, "ratio", parts
    )


@measurements.register("selection")
def selection(evidence: Evidence) -> Iterator[Measurement]:
    """Share of the wanted samples that meet every condition: there, right, and sure."""
    logits = evidence.logits[evidence.indices]
    good = (logits.argmax(axis=1) == evidence.labels) & (
        evidence.test_labels[evidence.indices] == evidence.labels
    )
    if len(logits):
        good &= confidences(logits) > evidence.confidence
    # no class may make up for another
    counts = np.bincount(evidence.labels[good], minlength=len(evidence.classes))
    met = int(np.minimum(counts, evidence.wanted_per_class).sum())
    wanted = evidence.wanted_per_class * len(evidence.classes)
    yield Measurement(
        "selection",
        "Wanted samples that are right and sure",
        "share of samples",
        True,
        "census",
        (np.arange(wanted) < met).astype(np.float64),
        reason=evidence.shortage(),
    )


# agreement


def correlations(first: Floats, second: Floats, weights: Floats | None = None) -> Floats:
    """Pearson's correlation of each pair of rows, NaN where a row is constant.

    Args:
        first: float [n, pixels].
        second: float [n, pixels].
        weights: float [n, pixels], or None: pixels of weight 0 are left out.

    Returns:
        float64 [n].
    """
    weight = np.ones_like(first, dtype=np.float64) if weights is None else weights.astype(np.float64)
    total = weight.sum(axis=1, keepdims=True)
    a, b = (
        (rows - (weight * rows).sum(axis=1, keepdims=True) / total) * np.sqrt(weight)
        for rows in (first.astype(np.float64), second.astype(np.float64))
    )
    norms = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    flat = _constant(first, weight) | _constant(second, weight)
    return np.asarray(np.where(flat, np.nan, (a * b).sum(axis=1) / np.where(norms == 0, 1, norms)))


def _constant(rows: Floats, weights: Floats) -> Any:
    """Rows that have one value on all pixels that count."""
    inside = weights > 0
    lowest = np.where(inside, rows, np.inf).min(axis=1)
    return np.where(inside, rows, -np.inf).max(axis=1) <= lowest


def _pairs(names: tuple[str, ...]) -> list[tuple[str, str]]:
    return list(itertools.combinations(names, 2))


def _by_pair(maps: Mapping[str, Floats], compare: Callable[[Floats, Floats], Floats]) -> Floats:
    """`compare` of each pair of methods: float64 [n, pairs]."""
    return np.stack([compare(maps[a], maps[b]) for a, b in _pairs(tuple(maps))], axis=1)


def _incomparable(evidence: Evidence) -> str | None:
    """Why the methods' maps cannot be compared; None where they can."""
    if len(evidence.methods) < 2:
        return f"agreement needs at least two methods (got {', '.join(evidence.methods) or 'none'})"
    for name, maps in evidence.contributions().items():
        if not np.isfinite(maps).all():
            bad = int((~np.isfinite(maps)).any(axis=1).sum())
            return f"{bad} of {len(maps)} maps of {name} hold NaN or infinite values"
        constant = int((np.ptp(maps, axis=1) == 0).sum()) if maps.size else 0
        if constant > CONSTANT_SHARE * len(maps):
            return f"{constant} of {len(maps)} maps of {name} are constant and have no correlation"
    return None


def _family(pair: tuple[str, str]) -> str:
    """The two families of pairs: with a method that reads the decoder, and without."""
    return "decoder" if any(name.startswith("decoder") for name in pair) else "gradient"


@measurements.register("agreement")
def agreement(evidence: Evidence) -> Iterator[Measurement]:
    """Mean over pairs of methods of the correlation of signed contribution maps."""
    yield _sampled(
        evidence,
        "agreement",
        "Agreement of the attribution methods",
        lambda: _by_pair(evidence.contributions(), correlations).mean(axis=1),
        reason=_incomparable(evidence),
    )


@measurements.register("agreement_worst_pair")
def agreement_worst_pair(evidence: Evidence) -> Iterator[Measurement]:
    """The smallest of the pairs' agreements."""
    yield _sampled(
        evidence,
        "agreement_worst_pair",
        "Agreement of the worst pair",
        lambda: _by_pair(evidence.contributions(), correlations),
        reduction="smallest",
        reason=_incomparable(evidence),
    )


@measurements.register("agreement_pair")
def agreement_pair(evidence: Evidence) -> Iterator[Measurement]:
    """Each pair's agreement."""
    maps = evidence.contributions()
    for a, b in _pairs(evidence.methods):

        def compare(a: str = a, b: str = b) -> Floats:
            return correlations(maps[a], maps[b])

        yield _sampled(
            evidence,
            f"agreement_pair.{a}-{b}",
            f"Agreement of {a} and {b}",
            compare,
            reason=_incomparable(evidence),
        )


def _of_family(evidence: Evidence, family: str) -> Iterator[Measurement]:
    inside = [_family(pair) == family for pair in _pairs(evidence.methods)]
    reason = _incomparable(evidence)
    if reason is None and not any(inside):
        reason = f"no pair of the chosen methods belongs to the {family} family"
    yield _sampled(
        evidence,
        f"agreement_{family}_family",
        f"Agreement within the {family} family",
        lambda: _by_pair(evidence.contributions(), correlations)[:, inside].mean(axis=1),
        reason=reason,
    )


@measurements.register("agreement_gradient_family")
def agreement_gradient_family(evidence: Evidence) -> Iterator[Measurement]:
    """Mean over the pairs without a decoder method; high even in an untrained network."""
    return _of_family(evidence, "gradient")


@measurements.register("agreement_decoder_family")
def agreement_decoder_family(evidence: Evidence) -> Iterator[Measurement]:
    """Mean over the pairs with a decoder method; what training earns."""
    return _of_family(evidence, "decoder")


@measurements.register("agreement_sensitivity")
def agreement_sensitivity(evidence: Evidence) -> Iterator[Measurement]:
    """As `agreement`, of sensitivity maps."""
    maps = {name: evidence.maps[name].sensitivity for name in evidence.methods}
    there = {name: one for name, one in maps.items() if one is not None}
    reason = _incomparable(evidence)
    if reason is None and len(there) < 2:
        reason = "agreement needs at least two methods with a sensitivity form"
    yield _sampled(
        evidence,
        "agreement_sensitivity",
        "Agreement in sensitivity space",
        lambda: _by_pair(there, correlations).mean(axis=1),
        reason=reason,
    )


@measurements.register("agreement_absolute")
def agreement_absolute(evidence: Evidence) -> Iterator[Measurement]:
    """As `agreement`, of absolute values; the image itself scores high here."""
    yield _sampled(
        evidence,
        "agreement_absolute",
        "Agreement of absolute contributions",
        lambda: _by_pair({n: np.abs(m) for n, m in evidence.contributions().items()}, correlations).mean(1),
        reason=_incomparable(evidence),
    )


@measurements.register("agreement_foreground")
def agreement_foreground(evidence: Evidence) -> Iterator[Measurement]:
    """As `agreement`, on the pixels that are not 0."""
    foreground = (evidence.images > 0).astype(np.float64)
    yield _sampled(
        evidence,
        "agreement_foreground",
        "Agreement on foreground pixels",
        lambda: _by_pair(evidence.contributions(), lambda a, b: correlations(a, b, foreground)).mean(axis=1),
        reason=_incomparable(evidence),
    )


@measurements.register("agreement_spearman")
def agreement_spearman(evidence: Evidence) -> Iterator[Measurement]:
    """As `agreement`, of ranks (Spearman)."""
    yield _sampled(
        evidence,
        "agreement_spearman",
        "Rank agreement (Spearman)",
        lambda: _by_pair(
            {name: stats.rankdata(maps, axis=1) for name, maps in evidence.contributions().items()},
            correlations,
        ).mean(axis=1),
        reason=_incomparable(evidence),
    )


def top_pixels(maps: Floats) -> Any:
    """The 1 % of pixels largest in absolute value, at equal values the first: bool [n, pixels]."""
    count = max(1, round(TOP_SHARE * maps.shape[1]))
    order = np.argsort(-np.abs(maps), axis=1, kind="stable")[:, :count]
    chosen = np.zeros(maps.shape, dtype=bool)
    np.put_along_axis(chosen, order, values=True, axis=1)
    return chosen


@measurements.register("agreement_top_pixels")
def agreement_top_pixels(evidence: Evidence) -> Iterator[Measurement]:
    """Jaccard overlap of the 1 % of pixels largest in absolute value."""

    def overlap(a: Floats, b: Floats) -> Floats:
        return np.asarray((a & b).sum(axis=1) / (a | b).sum(axis=1))  # type: ignore[operator]

    yield _sampled(
        evidence,
        "agreement_top_pixels",
        "Overlap of the top 1 % of pixels (Jaccard)",
        lambda: _by_pair({n: top_pixels(m) for n, m in evidence.contributions().items()}, overlap).mean(1),
        unit="share of pixels",
        reason=_incomparable(evidence),
    )


# controls: what agreement amounts to without a trained model, without the right image, without a method


@measurements.register("control_untrained")
def control_untrained(evidence: Evidence) -> Iterator[Measurement]:
    """The agreement of the same methods on an untrained network: of all pairs, and of each family."""
    names = tuple(name for name in evidence.untrained if name != CONTROL_METHOD)
    maps = {name: evidence.untrained[name].contribution(evidence.images) for name in names}
    families = [_family(pair) for pair in _pairs(names)]
    for family in ("", "gradient", "decoder"):
        inside = [family in ("", one) for one in families]
        if not any(inside):
            continue

        def values(inside: list[bool] = inside) -> Floats:
            return np.asarray(_by_pair(maps, correlations)[:, inside].mean(axis=1))

        yield _sampled(
            evidence,
            f"control_untrained.{family}_family" if family else "control_untrained",
            f"Untrained network{f', {family} family' if family else ''}",
            values,
            higher_is_better=None,
        )


@measurements.register("control_repaired")
def control_repaired(evidence: Evidence) -> Iterator[Measurement]:
    """The agreement of each map with other methods' maps of another image of its class."""
    generator = np.random.default_rng(0)
    partner = np.arange(len(evidence.labels))
    for label in np.unique(evidence.labels):
        members = generator.permutation(np.flatnonzero(evidence.labels == label))
        partner[members] = np.roll(members, 1)
    yield _sampled(
        evidence,
        "control_repaired",
        "Maps paired with another image of the class",
        lambda: _by_pair(
            evidence.contributions(),
            lambda a, b: (correlations(a, b[partner]) + correlations(a[partner], b)) / 2,
        ).mean(axis=1),
        higher_is_better=None,
        reason=_incomparable(evidence),
    )


def edges(images: Floats, shape: tuple[int, int]) -> Floats:
    """The Sobel gradient's magnitude of each image: float64 [n, pixels]."""
    pictures = images.reshape(-1, *shape).astype(np.float64)
    down, across = (ndimage.sobel(pictures, axis=axis) for axis in (1, 2))
    return np.asarray(np.hypot(down, across).reshape(len(images), -1))


@measurements.register("control_maps")
def control_maps(evidence: Evidence) -> Iterator[Measurement]:
    """Mean over methods of the correlation with maps that know no model, or no class."""
    controls: dict[str, tuple[str, Callable[[], Floats]]] = {
        "image": ("The image itself, |x|", lambda: np.abs(evidence.images)),
        "reconstruction": ("The reconstruction", lambda: evidence.reconstructions),
        "edges": ("The image's edges (Sobel)", lambda: edges(evidence.images, evidence.shape)),
        "random": (
            "Random maps",
            lambda: np.random.default_rng(0).standard_normal(evidence.images.shape),
        ),
    }
    if CONTROL_METHOD in evidence.maps:
        control = evidence.maps[CONTROL_METHOD]
        controls["decoder_reconstruction"] = (
            "Decoder without the classifier",
            lambda: control.contribution(evidence.images),
        )
    for name, (title, make) in controls.items():

        def values(make: Callable[[], Floats] = make) -> Floats:
            control = make()
            found = [correlations(maps, control) for maps in evidence.contributions().values()]
            return np.asarray(np.mean(found, axis=0))

        yield _sampled(
            evidence,
            f"control_maps.{name}",
            title,
            values,
            higher_is_better=None,
            reason=_incomparable(evidence),
        )


# the maps themselves


@measurements.register("map_statistics")
def map_statistics(evidence: Evidence) -> Iterator[Measurement]:
    """Mean, maximum, standard deviation and 99th percentile of each contribution map."""
    rules: dict[str, tuple[str, Callable[[Floats], Floats]]] = {
        "mean": ("Mean", lambda maps: maps.mean(axis=1)),
        "maximum": ("Maximum", lambda maps: maps.max(axis=1)),
        "standard_deviation": ("Standard deviation", lambda maps: maps.std(axis=1)),
        "percentile_99": ("99th percentile", lambda maps: np.quantile(maps, 0.99, axis=1)),
    }
    for name, maps in evidence.contributions().items():
        for rule, (title, reduce) in rules.items():

            def values(maps: Floats = maps, reduce: Callable[[Floats], Floats] = reduce) -> Floats:
                return np.asarray(reduce(maps), dtype=np.float64)

            yield _sampled(
                evidence,
                f"map_statistics.{name}.{rule}",
                f"{title} of {name}",
                values,
                unit="logits a pixel",
                higher_is_better=None,
            )


@measurements.register("completeness")
def completeness(evidence: Evidence) -> Iterator[Measurement]:
    """Gap |sum of contributions - (f_y(x) - f_y(0))| / |f_y(x) - f_y(0)| of integrated gradients.

    A top-k network is not continuous: where a unit enters or leaves the k along the path, f jumps, and no
    gradient sees a jump. A gap is therefore a property of the method, not of its steps.
    """
    name = "integrated_gradients"
    if name not in evidence.maps:
        return
    rows = np.arange(len(evidence.labels))
    reached = evidence.logits[evidence.indices][rows, evidence.labels].astype(np.float64)
    change = reached - evidence.baseline_logits[evidence.labels]
    total = evidence.maps[name].contribution(evidence.images).sum(axis=1, dtype=np.float64)
    for rule in ("median", "95th percentile"):
        yield _sampled(
            evidence,
            "completeness" if rule == "median" else "completeness.percentile_95",
            f"Completeness gap of integrated gradients ({rule})",
            lambda: np.abs(total - change) / np.abs(change),
            unit="share of the logit's change",
            higher_is_better=False,
            reduction=rule,
        )
