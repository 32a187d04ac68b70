"""What the probes' answers amount to, and where maps lie: against sums by hand, on evidence built by hand."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, stats

from harness import statistics
from harness.measurements import Evidence, MethodMaps, measurements
from harness.measurements.location import centre, gini
from harness.measurements.validity import AT_LEAST, area
from harness.records import Estimate, Floats, Measurement
from harness.samples import bins
from tests.evidence import DRAWING, LAYERS, METHODS, ORDERS, an_evidence, probed, with_maps

quick = settings(derandomize=True, deadline=None, max_examples=60)

PROBED = (
    "deletion",
    "insertion",
    "attribution_faithfulness",
    "faithfulness",
    "advantage_over_random",
    "randomisation",
    "max_sensitivity",
    "agreement_below",
    "agreement_wrong",
)


def changed(evidence: Evidence, subject: str, **arrays: Any) -> Evidence:
    """The evidence with some arrays of one probe changed."""
    before = evidence.sanity
    return dataclasses.replace(evidence, sanity={**before, subject: {**before[subject], **arrays}})


def measured(evidence: Evidence, base: str) -> dict[str, Measurement]:
    return {one.name: one for one in measurements[base](evidence)}


def values(evidence: Evidence, base: str, name: str | None = None) -> Floats:
    one = measured(evidence, base)[name or base]
    assert one.reason is None, one.reason
    return one.values


# curves


def test_an_area_is_the_mean_height_of_a_straight_line() -> None:
    """A line from 1 to 0 has the area 1/2, a constant its own height, a step at once almost nothing."""
    falling = np.linspace(1, 0, 41)
    step = np.zeros(41)
    step[0] = 1.0
    found = area(np.stack([falling, np.full(41, 0.3), step]))
    assert found == pytest.approx([0.5, 0.3, 1 / 80])


@quick
@given(st.integers(0, 10**6))
def test_an_area_is_numpys_trapezoid(seed: int) -> None:
    """Whatever the curve, the area is that of the trapezoids under it."""
    curve = np.random.default_rng(seed).random((2, 3, 41)).astype(np.float32)
    widths = np.full(40, 1 / 40)
    expected = ((curve[..., 1:].astype(float) + curve[..., :-1]) / 2 * widths).sum(axis=-1)
    assert area(curve) == pytest.approx(expected)


@pytest.mark.parametrize("curve", ["deletion", "insertion"])
def test_every_order_has_its_area(curve: str) -> None:
    """Methods and what they are compared with: each image's area, in the right row."""
    evidence = probed()
    found = measured(evidence, curve)
    assert list(found) == [f"{curve}.{name}" for name in ORDERS]
    for row, name in enumerate(ORDERS):
        expected = area(evidence.sanity["curves"][curve][row])
        assert found[f"{curve}.{name}"].values == pytest.approx(expected)
        better = {"deletion": False, "insertion": True}[curve] if name in METHODS else None
        assert found[f"{curve}.{name}"].higher_is_better is better


def planted(**areas: tuple[float, float]) -> Evidence:
    """Evidence whose curves are constant, with these areas of deletion and insertion by order."""
    evidence = probed()
    n = len(evidence.images)
    heights = {name: areas.get(name, (0.2, 0.9)) for name in ORDERS}
    arrays = {
        curve: np.stack([np.full((n, 41), heights[name][side]) for name in ORDERS])
        for side, curve in enumerate(("deletion", "insertion"))
    }
    return changed(evidence, "curves", **arrays)


def test_faithfulness_is_the_smallest_advantage_over_the_image() -> None:
    """It is that of the worst method and the worse curve, on the scale of areas."""
    evidence = planted(image=(0.5, 0.6), gradients=(0.3, 0.85), smoothgrad=(0.45, 0.95))
    columns = values(evidence, "attribution_faithfulness")
    assert columns.shape == (len(evidence.images), 2 * len(METHODS))
    assert statistics.stratified_mean(columns, evidence.labels).min() == pytest.approx(0.05)
    by_method = {
        name: statistics.stratified_mean(values(evidence, "faithfulness", f"faithfulness.{name}")).min()
        for name in METHODS
    }
    expected = dict.fromkeys(METHODS, 0.3) | {"gradients": 0.2, "smoothgrad": 0.05}
    assert by_method == pytest.approx(expected)


@pytest.mark.parametrize(
    "worse", [{"gradients": (0.7, 0.9)}, {"gradients": (0.2, 0.4)}], ids=["deletion", "insertion"]
)
def test_a_method_that_loses_to_the_image_has_a_negative_advantage(worse: Any) -> None:
    """Losing by one curve alone is enough, though the other methods and the other curve win."""
    evidence = planted(image=(0.5, 0.6), **worse)
    columns = values(evidence, "attribution_faithfulness")
    assert statistics.stratified_mean(columns, evidence.labels).min() == pytest.approx(-0.2)


def test_faithfulness_is_asked_of_methods_from_the_baseline() -> None:
    """One that starts elsewhere may lose to |x|; it is asked where there is no other."""
    evidence = planted(image=(0.5, 0.6), gradients=(0.7, 0.5), smoothgrad=(0.45, 0.95))

    def elsewhere(*names: str) -> Evidence:
        changed = {name: dataclasses.replace(evidence.maps[name], missingness=False) for name in names}
        return dataclasses.replace(evidence, maps={**evidence.maps, **changed})

    def smallest(evidence: Evidence) -> float:
        columns = values(evidence, "attribution_faithfulness")
        return float(statistics.stratified_mean(columns, evidence.labels).min())

    assert smallest(evidence) == pytest.approx(-0.2)
    assert smallest(elsewhere("gradients")) == pytest.approx(0.05)
    assert "faithfulness.gradients" not in measured(elsewhere("gradients"), "faithfulness")
    assert smallest(elsewhere(*METHODS)) == pytest.approx(-0.2)


def test_the_advantage_over_a_random_order_compares_with_the_random_order() -> None:
    """The image plays no part in it."""
    evidence = planted(random=(0.6, 0.5), image=(0.0, 1.0), smoothgrad=(0.5, 0.9))
    columns = values(evidence, "advantage_over_random")
    assert statistics.stratified_mean(columns, evidence.labels).min() == pytest.approx(0.1)


@pytest.mark.parametrize("base", ["attribution_faithfulness", "faithfulness", "advantage_over_random"])
def test_an_extreme_over_columns_is_left_to_statistics(base: str) -> None:
    """All columns are handed over, so that the interval is one of the smallest mean."""
    for one in measured(probed(), base).values():
        assert one.reduction == "smallest mean"
        assert one.higher_is_better is True


@pytest.mark.parametrize("base", ["attribution_faithfulness", "deletion"])
def test_curves_that_are_not_finite_are_an_error(base: str) -> None:
    """One NaN in one curve leaves a reason with the count, and no number from the rest."""
    evidence = probed()
    curves = evidence.sanity["curves"]["deletion"].copy()
    curves[0, 2, 7] = np.nan
    found = measured(changed(evidence, "curves", deletion=curves), base)
    one = found["attribution_faithfulness" if base != "deletion" else "deletion.integrated_gradients"]
    assert f"1 of {len(evidence.images)}" in str(one.reason)
    assert one.values.size == 0


# randomisation, stability


def test_each_layer_is_told_alone_and_with_all_after_it() -> None:
    """Rows of methods and layers keep their names, and lower is better."""
    evidence = probed()
    found, asked = measured(evidence, "randomisation"), evidence.sanity["randomisation"]
    assert len(found) == 2 * len(METHODS) * len(LAYERS)
    for (row, name), (number, layer) in itertools.product(enumerate(METHODS), enumerate(LAYERS)):
        for kind, middle in (("cascading", ""), ("alone", "alone.")):
            one = found[f"randomisation.{name}.{middle}{layer}"]
            assert one.values == pytest.approx(asked[kind][row, number])
            assert one.higher_is_better is False


def test_methods_are_found_by_name_whatever_their_order() -> None:
    """A probe that lists the methods otherwise than the evidence does gives the same numbers."""
    evidence = probed()
    turned = evidence
    for subject, keys in (
        ("randomisation", ("methods", "cascading", "alone")),
        ("stability", ("methods", "max_sensitivity")),
        ("others", ("methods", "contributions")),
        ("curves", ("orders", "deletion", "insertion")),
    ):
        turned = changed(turned, subject, **{key: evidence.sanity[subject][key][::-1] for key in keys})
    for base in PROBED:
        other = measured(turned, base)
        for name, one in measured(evidence, base).items():
            assert one.reason == other[name].reason
            assert other[name].values == pytest.approx(one.values)


def test_max_sensitivity_is_told_of_each_method() -> None:
    """The probe's numbers image by image, lower being better."""
    evidence = probed()
    for row, name in enumerate(METHODS):
        one = measured(evidence, "max_sensitivity")[f"max_sensitivity.{name}"]
        assert one.values == pytest.approx(evidence.sanity["stability"]["max_sensitivity"][row])
        assert one.higher_is_better is False


@pytest.mark.parametrize(
    ("subject", "base", "keys"),
    [
        ("stability", "max_sensitivity", ("max_sensitivity",)),
        ("randomisation", "randomisation", ("cascading", "alone")),
    ],
)
def test_a_probe_of_some_samples_speaks_of_these(subject: str, base: str, keys: tuple[str, ...]) -> None:
    """Their values, by their classes, are what remains of the probe of all; the title says how many."""
    evidence, rows = probed(), np.array([0, 2, 3, 5, 9, 11])
    arrays = {key: evidence.sanity[subject][key][..., rows] for key in keys}
    part = measured(changed(evidence, subject, rows=rows, **arrays), base)
    for name, whole in measured(evidence, base).items():
        assert part[name].values == pytest.approx(whole.values[rows])
        strata = part[name].strata
        assert strata is not None
        assert strata.tolist() == evidence.labels[rows].tolist()
        assert f"asked of 6 of {len(evidence.labels)} images" in part[name].title
        assert part[name].title.startswith(whole.title)


# beyond the selection


def number_of(one: Measurement) -> float:
    """The mean over classes of the means within them."""
    assert one.strata is not None
    return float(np.mean([one.values[one.strata == label].mean() for label in np.unique(one.strata)]))


def estimated(by_seed: list[Measurement]) -> Estimate:
    generator = np.random.default_rng(0)
    seeds = range(len(by_seed))
    return statistics.estimate(by_seed, seeds, confidence=0.95, resamples=500, generator=generator)


def agreement_of(evidence: Evidence, inside: Any) -> float:
    """Mean over classes of the mean over images of the mean over pairs, by scipy."""
    others = evidence.sanity["others"]
    maps = others["contributions"].astype(np.float64)
    by_class: dict[int, list[float]] = {}
    for image in np.flatnonzero(inside):
        pairs = [stats.pearsonr(a[image], b[image])[0] for a, b in itertools.combinations(maps, 2)]
        by_class.setdefault(int(others["labels"][image]), []).append(float(np.mean(pairs)))
    return float(np.mean([np.mean(one) for one in by_class.values()]))


def test_agreement_is_told_by_bin_of_confidence() -> None:
    """Each bin's number is scipy's, of the right images in it alone, each class weighing the same."""
    evidence = probed()
    others = evidence.sanity["others"]
    found = measured(evidence, "agreement_below")
    assert list(found) == ["agreement_below.0-40", "agreement_below.40-60", "agreement_below.60-80"]
    for one, (low, high) in zip(found.values(), [(0, 0.4), (0.4, 0.6), (0.6, 0.81)], strict=True):
        inside = (others["kind"] == "below") & (others["confidences"] >= low) & (others["confidences"] < high)
        assert number_of(one) == pytest.approx(agreement_of(evidence, inside), abs=1e-6)


def test_agreement_on_wrong_predictions_is_that_of_wrong_images_alone() -> None:
    """Right images play no part in it, however unsure."""
    evidence = probed()
    inside = evidence.sanity["others"]["kind"] == "wrong"
    one = measured(evidence, "agreement_wrong")["agreement_wrong"]
    assert number_of(one) == pytest.approx(agreement_of(evidence, inside), abs=1e-6)


def test_one_seeds_own_images_have_an_interval_and_several_seeds_are_joined_by_their_numbers() -> None:
    """A seed's own images are resampled; of three seeds with different images the three means count."""
    by_seed = [measured(probed(seed=seed), "agreement_wrong")["agreement_wrong"] for seed in range(3)]
    alone = estimated(by_seed[:1])
    assert alone.low is not None
    assert alone.high is not None
    assert alone.low < number_of(by_seed[0]) < alone.high
    shorter = dataclasses.replace(by_seed[1], values=by_seed[1].values[:-1], strata=by_seed[1].strata[:-1])  # type: ignore[index]
    joined = estimated([by_seed[0], shorter, by_seed[2]])
    numbers = [number_of(one) for one in (by_seed[0], shorter, by_seed[2])]
    half = stats.t.ppf(0.975, 2) * np.std(numbers, ddof=1) / math.sqrt(3)
    assert joined.estimate == pytest.approx(np.mean(numbers))
    assert (joined.low, joined.high) == pytest.approx((np.mean(numbers) - half, np.mean(numbers) + half))


def test_a_class_of_one_image_is_left_out() -> None:
    """What a single image says of its class has no doubt that could be told."""
    evidence = probed()
    others = evidence.sanity["others"]
    wrong = np.flatnonzero(others["kind"] == "wrong")
    labels = others["labels"].copy()
    labels[wrong] = 0
    labels[wrong[0]] = 1
    one = measured(changed(evidence, "others", labels=labels), "agreement_wrong")["agreement_wrong"]
    assert len(one.values) == len(wrong) - 1


@pytest.mark.parametrize("confidence", [0.3, 0.4, 0.5, 0.8, 0.95, 0.999])
def test_there_is_a_number_or_a_reason_for_each_bin(confidence: float) -> None:
    """Seeds of a run have the same bins, whatever images they have: the bound alone makes them."""
    full = dataclasses.replace(probed(), confidence=confidence)
    bare = dataclasses.replace(full, sanity={})
    assert list(measured(full, "agreement_below")) == list(measured(bare, "agreement_below"))
    assert len(measured(bare, "agreement_below")) == len(bins(confidence))


def test_few_images_speak_for_nobody() -> None:
    """A handful of wrong images leave a reason that counts them."""
    evidence = probed(others=3 * (AT_LEAST - 1))
    one = measured(evidence, "agreement_wrong")["agreement_wrong"]
    assert f"{AT_LEAST - 1} such images" in str(one.reason)
    assert one.values.size == 0


@pytest.mark.parametrize("value", [math.nan, 0.0])
def test_broken_maps_of_others_are_an_error(value: float) -> None:
    """NaN and constant maps are counted, as they are among the selected."""
    evidence = probed()
    maps = evidence.sanity["others"]["contributions"].copy()
    maps[1, :5] = value
    one = measured(changed(evidence, "others", contributions=maps), "agreement_wrong")["agreement_wrong"]
    assert "5 of 30 maps of gradients" in str(one.reason)


# what is not there


@pytest.mark.parametrize("base", PROBED)
def test_a_run_without_probes_has_reasons(base: str) -> None:
    """An older run has no number, and says what to do."""
    found = measured(an_evidence(), base)
    assert found
    for one in found.values():
        assert one.values.size == 0
        assert "compute it again" in str(one.reason)


@pytest.mark.parametrize("base", PROBED)
def test_a_probe_that_did_not_ask_a_method_has_reasons(base: str) -> None:
    """A method without answers is named; no other method's rows are taken for its own."""
    evidence = probed()
    for subject, key in (
        ("curves", "orders"),
        ("randomisation", "methods"),
        ("stability", "methods"),
        ("others", "methods"),
    ):
        names = np.where(evidence.sanity[subject][key] == "gradients", "else", evidence.sanity[subject][key])
        evidence = changed(evidence, subject, **{key: names})
    for one in measured(evidence, base).values():
        assert "did not ask gradients" in str(one.reason)


@pytest.mark.parametrize("base", [*PROBED[:7], "concentration", "centre_of_mass"])
def test_maps_that_are_not_finite_have_no_validity(base: str) -> None:
    """One NaN map is an error of every number about its method."""
    evidence = probed()
    own = evidence.maps["gradients"].own.copy()
    own[0, 0] = np.nan
    images = evidence.images.copy()
    images[0, 0] = 1
    evidence = with_maps(dataclasses.replace(evidence, images=images), "gradients", own)
    for name, one in measured(evidence, base).items():
        if base != "concentration" or "gradients" in name.split(".")[1:]:
            assert "NaN" in str(one.reason)


@pytest.mark.parametrize("base", [*PROBED[:7], "concentration", "foreground_share", "border_share"])
def test_too_few_explained_images_carry_nothing(base: str) -> None:
    """What a shortage says is the reason."""
    evidence = probed(an_evidence(counts=(4, 1, 3)))
    for one in measured(evidence, base).values():
        assert "too few images" in str(one.reason)


# where the attribution lies


@quick
@given(st.lists(st.floats(0, 100), min_size=2, max_size=30).filter(lambda row: sum(row) > 1e-3))
def test_gini_is_half_the_relative_mean_difference(row: list[float]) -> None:
    """Sum over all pairs of |a - b|, over 2 p times the sum (Gini 1912), whatever the signs."""
    pixels = len(row)
    expected = sum(abs(a - b) for a in row for b in row) / (2 * pixels * sum(row))
    signs = np.where(np.arange(pixels) % 2, 1, -1)
    assert gini(signs * np.array([row])) == pytest.approx([expected], abs=1e-9)


def test_gini_goes_from_equal_to_all_in_one() -> None:
    """Equal values have 0, one value that has it all 1 - 1/p, and nothing at all has no index."""
    found = gini(np.array([[1.0, 1, 1, 1], [0, 0, 0, -5], [0, 0, 0, 0]]))
    assert found[:2] == pytest.approx([0, 0.75])
    assert np.isnan(found[2])


def test_concentration_is_that_of_contributions() -> None:
    """Each image's index is that of its own contribution map."""
    evidence = probed()
    for name, maps in evidence.contributions().items():
        found = values(evidence, "concentration", f"concentration.{name}")
        assert found == pytest.approx(gini(maps))


def test_a_centre_is_scipys() -> None:
    """Row and column of the centre of mass, in pixels, on an image that is not square."""
    weights = np.random.default_rng(0).random((5, 6 * 9))
    expected = [ndimage.center_of_mass(one.reshape(6, 9)) for one in weights]
    assert centre(weights, (6, 9)) == pytest.approx(np.array(expected))


def test_nothing_has_no_centre() -> None:
    """A map that is 0 everywhere lies nowhere, and leaves the others where they are."""
    found = centre(np.array([[0.0, 0, 0, 0], [0, 0, 0, 3]]), (2, 2))
    assert np.isnan(found[0]).all()
    assert found[1].tolist() == [1, 1]


def test_an_offset_is_told_by_method_and_by_class() -> None:
    """A map that lies one row below and two columns left of the image's content is offset by (1, -2)."""
    shape, images = (10, 12), np.zeros((6, 120), dtype=np.float32)
    images.reshape(6, 10, 12)[:, 3:6, 5:8] = 0.5
    maps = np.zeros((6, 10, 12), dtype=np.float32)
    maps[:, 4:7, 3:6] = -2.0  # in absolute value
    moved = MethodMaps(maps.reshape(6, 120), "contribution", np.zeros((6, 120)))
    still = MethodMaps(images.copy(), "contribution", np.zeros((6, 120)))
    evidence = an_evidence(counts=(3, 3), shape=shape, images=images, maps={"a": moved, "b": still})
    found = {name: one.values for name, one in measured(evidence, "centre_of_mass").items()}
    assert found["centre_of_mass.a.row"] == pytest.approx(np.full(6, 1.0))
    assert found["centre_of_mass.a.column"] == pytest.approx(np.full(6, -2.0))
    assert found["centre_of_mass.b.row"] == pytest.approx(np.zeros(6))
    assert found["centre_of_mass.1.row"] == pytest.approx(np.full(3, 0.5))
    assert found["centre_of_mass.0.column"] == pytest.approx(np.full(3, -1.0))


def test_each_class_has_the_offset_of_its_own_images() -> None:
    """A class's number is the mean of its images', and of no others'."""
    evidence = probed()
    found = measured(evidence, "centre_of_mass")
    by_method = np.mean([found[f"centre_of_mass.{name}.row"].values for name in METHODS], axis=0)
    for label in range(3):
        expected = by_method[evidence.labels == label]
        assert found[f"centre_of_mass.{label}.row"].values == pytest.approx(expected)


def test_shares_count_sensitivity_inside_and_on_the_border() -> None:
    """Of a map that is 1 everywhere they are the shares of pixels, and signs do not cancel."""
    shape, images = (10, 12), np.zeros((4, 120), dtype=np.float32)
    images[:, :30] = 0.7
    signs = np.where(np.arange(120) % 2, 1.0, -1.0) * np.ones((4, 1))
    maps = {name: MethodMaps(signs * images, "contribution", signs) for name in ("a", "b")}
    evidence = an_evidence(counts=(2, 2), shape=shape, images=images, maps=maps)
    assert values(evidence, "foreground_share", "foreground_share.a") == pytest.approx(np.full(4, 30 / 120))
    border = 1 - 6 * 8 / 120
    assert values(evidence, "border_share", "border_share.b") == pytest.approx(np.full(4, border))


@pytest.mark.parametrize("base", ["foreground_share", "border_share"])
def test_a_method_without_a_sensitivity_form_has_no_share(base: str) -> None:
    """There is a reason in place of a number."""
    evidence = an_evidence()
    bare = MethodMaps(evidence.maps["integrated_gradients"].own, "contribution")
    evidence = dataclasses.replace(evidence, maps={**evidence.maps, "integrated_gradients": bare})
    one = measured(evidence, base)[f"{base}.integrated_gradients"]
    assert "no sensitivity form" in str(one.reason)


def test_the_fit_of_surrogates_is_that_of_the_worst() -> None:
    """The smallest mean of the methods' own; of draws without coalitions there is none."""
    evidence = probed(an_evidence(methods=(*METHODS, *DRAWING)))
    asked = evidence.sanity["coalitions"]["fit"]
    columns = values(evidence, "surrogate_fit")
    assert columns == pytest.approx(asked.T)
    for row, name in enumerate(DRAWING):
        assert values(evidence, "surrogate_fit", f"surrogate_fit.{name}")[:, 0] == pytest.approx(asked[row])
    assert measured(evidence, "surrogate_fit")["surrogate_fit"].reduction == "smallest mean"
    ungrouped = {name: dataclasses.replace(evidence.maps[name], groups=None) for name in DRAWING}
    without = dataclasses.replace(evidence, maps={**evidence.maps, **ungrouped})
    assert measured(without, "surrogate_fit") == {}
    assert set(measured(without, "design_spread")) == {f"design_spread.{name}" for name in DRAWING}
