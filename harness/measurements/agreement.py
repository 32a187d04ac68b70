"""How far the attribution methods agree on what a decision rests on."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from harness.measurements.evidence import Evidence, measurements, not_finite, sampled
from harness.records import Floats, Measurement
from harness.statistics import MISSING_SHARE, holm, pairing_p_values

TOP_SHARE = 0.01
"""The share of pixels whose overlap is measured."""

PERMUTATIONS = 9_999
"""Of the pairing of images, in a test of significance: the smallest p is 0.0001."""


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


def pairs(names: tuple[str, ...]) -> list[tuple[str, str]]:
    """Each pair of names once, in their order."""
    return list(itertools.combinations(names, 2))


Grains = Mapping[str, Any]
"""By method, int64 [pixels], each one's group; None of a method that asks of pixels."""


def by_pair(
    maps: Mapping[str, Floats], grains: Grains, compare: Callable[[Floats, Floats], Floats]
) -> Floats:
    """`compare` of each pair of methods, at the coarser grain of the two: float64 [n, pairs]."""
    return np.stack([compare(*at_one_grain(maps, grains, pair)) for pair in pairs(tuple(maps))], axis=1)


def at_one_grain(maps: Mapping[str, Floats], grains: Grains, pair: tuple[str, str]) -> tuple[Floats, Floats]:
    """Both methods' maps, at the coarser of their grains: in place of a pixel's value its group's mean.

    What groups add sums up, so it is known of every method; how one that asks of groups shares it among
    pixels says nothing. Between two kinds of groups the fewer count.
    """
    known = [grains[name] for name in pair if grains[name] is not None]
    if not known:
        return maps[pair[0]], maps[pair[1]]
    groups = min(known, key=lambda one: int(one.max()))
    first, second = (_group_means(maps[name], groups) for name in pair)
    return first, second


def _group_means(rows: Floats, groups: Any) -> Floats:
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    sums = np.add.reduceat(rows.astype(np.float64)[:, order], starts, axis=1)
    return np.asarray((sums / np.bincount(groups))[:, groups])


def incomparable(maps: Mapping[str, Floats]) -> str | None:
    """Why the methods' maps cannot be compared; None where they can."""
    if len(maps) < 2:
        return f"agreement needs at least two methods (got {', '.join(maps) or 'none'})"
    if bad := not_finite(maps):
        return bad
    for name, rows in maps.items():
        constant = int((np.ptp(rows, axis=1) == 0).sum()) if rows.size else 0
        if constant > MISSING_SHARE * len(rows):
            return (
                f"{constant} of {len(rows)} maps of {name} are constant and have no correlation; "
                "leave it out by --methods"
            )
    return None


FAMILIES = {
    "gradient": "pairs of gradient methods",
    "perturbation": "pairs of methods that take parts away",
    "layer": "pairs of methods that ask a layer",
    "mixed": "pairs across families",
    "decoder": "pairs with a decoder method",
}
"""Of pairs, with what they are called."""


def families_of(evidence: Evidence, names: tuple[str, ...]) -> list[str]:
    """The family of each pair of these methods.

    `decoder` with a method that reads the decoder, the methods' own where it is one, else `mixed`.
    """
    found = []
    for pair in pairs(names):
        own = {evidence.maps[name].family for name in pair}
        found.append("decoder" if "decoder" in own else own.pop() if len(own) == 1 else "mixed")
    return found


@measurements.register("agreement")
def agreement(evidence: Evidence) -> Iterator[Measurement]:
    """Mean over pairs of methods of the correlation of signed contribution maps."""
    yield sampled(
        evidence,
        "agreement",
        "Agreement of the attribution methods",
        lambda: by_pair(evidence.contributions(), evidence.grains(), correlations).mean(axis=1),
        reason=incomparable(evidence.contributions()),
    )


@measurements.register("agreement_worst_pair")
def agreement_worst_pair(evidence: Evidence) -> Iterator[Measurement]:
    """The smallest of the pairs' agreements.

    A minimum has no regular interval of its own. That of all pairs together encloses it: it holds, and is on
    the wide side.
    """
    yield sampled(
        evidence,
        "agreement_worst_pair",
        "Agreement of the worst pair",
        lambda: by_pair(evidence.contributions(), evidence.grains(), correlations),
        reduction="smallest mean",
        reason=incomparable(evidence.contributions()),
    )


@measurements.register("agreement_pair")
def agreement_pair(evidence: Evidence) -> Iterator[Measurement]:
    """Each pair's agreement."""
    maps = evidence.contributions()
    for a, b in pairs(evidence.methods):

        def compare(a: str = a, b: str = b) -> Floats:
            return correlations(*at_one_grain(maps, evidence.grains(), (a, b)))

        yield sampled(
            evidence,
            f"agreement_pair.{a}-{b}",
            f"Agreement of {a} and {b}",
            compare,
            reason=incomparable(evidence.contributions()),
        )


@measurements.register("agreement_significance")
def agreement_significance(evidence: Evidence) -> Iterator[Measurement]:
    """Holm's adjusted p of each pair: whether it agrees because both maps are of the same image.

    The null pairs each map with the other method's map of any image of its class. So what a class has in
    common is no agreement, and what an image adds to it is.
    """
    reason = evidence.shortage() or incomparable(evidence.contributions())
    adjusted = np.empty(0) if reason else holm(_pairing_p_values(evidence))
    for number, (a, b) in enumerate(pairs(evidence.methods)):
        yield Measurement(
            f"agreement_significance.{a}-{b}",
            f"Chance of such an agreement of {a} and {b} among other {evidence.words.noun}' maps",
            "p-value",
            False,
            "largest",
            adjusted[number : number + 1],
            reason=reason,
        )


def _pairing_p_values(evidence: Evidence) -> Floats:
    """The p-value of each pair; images with a constant map have no correlation and are left out."""
    maps = evidence.contributions()
    varied = np.all([np.ptp(rows, axis=1) > 0 for rows in maps.values()], axis=0)
    by_class = []
    for label in np.unique(evidence.labels[varied]):
        members = np.flatnonzero(varied & (evidence.labels == label))
        products = []
        for pair in pairs(tuple(maps)):
            a, b = at_one_grain(maps, evidence.grains(), pair)
            products.append(_standardised(a[members]) @ _standardised(b[members]).T)
        by_class.append(np.stack(products))
    return pairing_p_values(by_class, PERMUTATIONS, np.random.default_rng(0))


def _standardised(rows: Floats) -> Floats:
    """Rows of mean 0 and length 1: their products are Pearson's correlations."""
    centred = rows.astype(np.float64)
    centred -= centred.mean(axis=1, keepdims=True)
    return np.asarray(centred / np.linalg.norm(centred, axis=1, keepdims=True))


def of_pairs(maps: Mapping[str, Floats], inside: Sequence[bool]) -> dict[str, Floats]:
    """The maps of the methods that have a part in some of the pairs."""
    named = {name for pair, one in zip(pairs(tuple(maps)), inside, strict=True) if one for name in pair}
    return {name: rows for name, rows in maps.items() if name in named}


def _of_family(evidence: Evidence, family: str) -> Iterator[Measurement]:
    inside = [one == family for one in families_of(evidence, evidence.methods)]
    maps = evidence.contributions()
    reason = incomparable(of_pairs(maps, inside) if any(inside) else maps)
    if reason is None and not any(inside):
        reason = f"no pair of the chosen methods belongs to the {family} family"
    yield sampled(
        evidence,
        f"agreement_{family}_family",
        f"Agreement within the {family} family",
        lambda: by_pair(maps, evidence.grains(), correlations)[:, inside].mean(axis=1),
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


@measurements.register("agreement_perturbation_family")
def agreement_perturbation_family(evidence: Evidence) -> Iterator[Measurement]:
    """Mean over the pairs of methods that take parts of inputs away; nothing where none was chosen."""
    return _of_chosen(evidence, "perturbation")


@measurements.register("agreement_layer_family")
def agreement_layer_family(evidence: Evidence) -> Iterator[Measurement]:
    """Mean over the pairs of methods that ask a layer; nothing where there are none."""
    return _of_chosen(evidence, "layer")


@measurements.register("agreement_mixed_family")
def agreement_mixed_family(evidence: Evidence) -> Iterator[Measurement]:
    """Mean over the pairs of methods of two families, without the decoder's; nothing where there are none."""
    return _of_chosen(evidence, "mixed")


def _of_chosen(evidence: Evidence, family: str) -> Iterator[Measurement]:
    if family in families_of(evidence, evidence.methods):
        yield from _of_family(evidence, family)


def _sensitivities(evidence: Evidence) -> tuple[dict[str, Floats], str | None]:
    """The methods' sensitivity forms, of those that have one, and why they cannot be compared."""
    maps = {name: evidence.maps[name].sensitivity for name in evidence.methods}
    there = {name: one for name, one in maps.items() if one is not None}
    if len(there) < 2:
        named = ", ".join(there) or "none"
        return there, f"agreement needs two methods with a sensitivity form (got {named})"
    return there, incomparable(there)


@measurements.register("agreement_sensitivity")
def agreement_sensitivity(evidence: Evidence) -> Iterator[Measurement]:
    """As `agreement`, of sensitivity maps."""
    maps, reason = _sensitivities(evidence)
    yield sampled(
        evidence,
        "agreement_sensitivity",
        "Agreement in sensitivity space",
        lambda: by_pair(maps, evidence.grains(), correlations).mean(axis=1),
        reason=reason,
    )


@measurements.register("agreement_worst_pair_sensitivity")
def agreement_worst_pair_sensitivity(evidence: Evidence) -> Iterator[Measurement]:
    """As `agreement_worst_pair`, of sensitivity maps."""
    maps, reason = _sensitivities(evidence)
    yield sampled(
        evidence,
        "agreement_worst_pair_sensitivity",
        "Agreement of the worst pair in sensitivity space",
        lambda: by_pair(maps, evidence.grains(), correlations),
        reduction="smallest mean",
        reason=reason,
    )


@measurements.register("agreement_absolute")
def agreement_absolute(evidence: Evidence) -> Iterator[Measurement]:
    """As `agreement`, of absolute values; the image itself scores high here."""
    yield sampled(
        evidence,
        "agreement_absolute",
        "Agreement of absolute contributions",
        lambda: by_pair(
            evidence.contributions(), evidence.grains(), lambda a, b: correlations(np.abs(a), np.abs(b))
        ).mean(1),
        reason=incomparable(evidence.contributions()),
    )


@measurements.register("agreement_foreground")
def agreement_foreground(evidence: Evidence) -> Iterator[Measurement]:
    """As `agreement`, on the pixels that are not 0."""
    foreground = (evidence.images != 0).astype(np.float64)
    yield sampled(
        evidence,
        "agreement_foreground",
        f"Agreement on foreground {evidence.words.features}",
        lambda: by_pair(
            evidence.contributions(), evidence.grains(), lambda a, b: correlations(a, b, foreground)
        ).mean(axis=1),
        reason=incomparable(evidence.contributions()),
    )


@measurements.register("agreement_spearman")
def agreement_spearman(evidence: Evidence) -> Iterator[Measurement]:
    """As `agreement`, of ranks (Spearman)."""
    from scipy import stats  # takes a second to import, and a report needs none of it

    def ranked(a: Floats, b: Floats) -> Floats:
        return correlations(stats.rankdata(a, axis=1), stats.rankdata(b, axis=1))

    yield sampled(
        evidence,
        "agreement_spearman",
        "Rank agreement (Spearman)",
        lambda: by_pair(evidence.contributions(), evidence.grains(), ranked).mean(axis=1),
        reason=incomparable(evidence.contributions()),
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
        first, second = top_pixels(a), top_pixels(b)
        return np.asarray((first & second).sum(axis=1) / (first | second).sum(axis=1))

    yield sampled(
        evidence,
        "agreement_top_pixels",
        f"Overlap of the top 1 % of {evidence.words.features} (Jaccard)",
        lambda: by_pair(evidence.contributions(), evidence.grains(), overlap).mean(1),
        unit=f"share of {evidence.words.features}",
        reason=incomparable(evidence.contributions()),
    )
