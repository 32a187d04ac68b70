"""What is measured, against scipy, numpy and sums by hand, on evidence built by hand."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, stats

from harness import statistics
from harness.capabilities import CAPABILITIES, lacking
from harness.config import Config
from harness.config.parameters import shipped_criteria
from harness.kinds import WORDS
from harness.measurements import (
    CONTROL_METHOD,
    Evidence,
    MethodMaps,
    correlations,
    edges,
    measurements,
    top_pixels,
)
from harness.measurements.agreement import at_one_grain, families_of
from harness.measurements.controls import smooth
from harness.records import Estimate, Floats, Measurement
from tests.evidence import METHODS, an_evidence, evidence_of, probed, with_code, with_maps

quick = settings(derandomize=True, deadline=None, max_examples=60)

PAIRS = tuple(itertools.combinations(METHODS, 2))
AGREEMENTS = (
    "agreement",
    "agreement_worst_pair",
    "agreement_pair",
    "agreement_gradient_family",
    "agreement_decoder_family",
    "agreement_sensitivity",
    "agreement_worst_pair_sensitivity",
    "agreement_absolute",
    "agreement_foreground",
    "agreement_spearman",
    "agreement_top_pixels",
    "control_repaired",
    "control_maps",
)


def empty(base: str = "", **changed: Any) -> Evidence:
    """Evidence, of which a measurement says something, of a network that no test image was chosen for."""
    evidence = evidence_of(base, **changed)
    evidence = with_code(evidence, reconstructions=evidence.reconstructions[:0])
    none = {name: getattr(evidence, name)[:0] for name in ("images", "labels", "indices")}
    maps = {
        name: dataclasses.replace(maps, own=maps.own[:0], sensitivity=None, targets=None, indices=None)
        for name, maps in evidence.maps.items()
    }
    return dataclasses.replace(evidence, **none, maps=maps, untrained=maps)


def measured(evidence: Evidence, base: str) -> dict[str, Measurement]:
    """All that one registered function yields, by name."""
    return {one.name: one for one in measurements[base](evidence)}


def values(evidence: Evidence, base: str, name: str | None = None) -> Floats:
    one = measured(evidence, base)[name or base]
    assert one.reason is None, one.reason
    return one.values


def estimated(measurement: Measurement) -> Estimate:
    return statistics.estimate(
        [measurement], [0], confidence=0.95, resamples=200, generator=np.random.default_rng(0)
    )


def contributions(evidence: Evidence) -> dict[str, Floats]:
    """The contribution maps, spelled out: integrated gradients as they are, the others times the image."""
    return {
        "integrated_gradients": evidence.maps["integrated_gradients"].own,
        **{name: evidence.maps[name].own * evidence.images for name in METHODS[1:]},
    }


def pearson(maps: Mapping[str, Floats], pairs: Any = PAIRS) -> Floats:
    """Pearson's correlation of each pair, image by image: [n, pairs]."""
    images = range(len(next(iter(maps.values()))))
    rows = {name: one.astype(np.float64) for name, one in maps.items()}
    return np.array([[stats.pearsonr(rows[a][i], rows[b][i])[0] for a, b in pairs] for i in images])


# correlations


@pytest.mark.thorough
@quick
@given(st.integers(0, 10**6), st.integers(2, 40), st.floats(-3, 3))
def test_correlations_are_pearsons_of_each_pair_of_rows(seed: int, pixels: int, alike: float) -> None:
    """Row by row they are what scipy finds, whatever the rows' means and scales."""
    generator = np.random.default_rng(seed)
    first = generator.normal(5, 2, (3, pixels))
    second = alike * first + generator.normal(-100, 1, (3, pixels))
    expected = [stats.pearsonr(a, b)[0] for a, b in zip(first, second, strict=True)]
    assert correlations(first, second) == pytest.approx(expected, abs=1e-9)


def test_pixels_without_weight_are_left_out_of_a_correlation() -> None:
    """With weights 0 and 1 the correlation is scipy's over the pixels of weight 1 alone."""
    generator = np.random.default_rng(0)
    first, second = generator.normal(size=(2, 6, 30))
    weights = (generator.random((6, 30)) < 0.5).astype(np.float64)
    second[weights == 0] = 1e6
    inside = weights > 0
    expected = [stats.pearsonr(first[i][inside[i]], second[i][inside[i]])[0] for i in range(6)]
    assert correlations(first, second, weights) == pytest.approx(expected, abs=1e-9)


def test_whole_weights_count_a_pixel_as_often_as_they_say() -> None:
    """A pixel of weight 3 counts like three pixels."""
    generator = np.random.default_rng(1)
    first, second = generator.normal(size=(2, 1, 8))
    weights = np.array([[1, 2, 3, 0, 1, 4, 2, 1]])
    repeated = [np.repeat(rows[0], weights[0])[None] for rows in (first, second)]
    found = correlations(first, second, weights.astype(np.float64))
    assert found == pytest.approx(correlations(repeated[0], repeated[1]))


def test_a_constant_row_has_no_correlation() -> None:
    """A row with one value gives NaN on either side, also where that value has no exact binary form."""
    varied = np.random.default_rng(2).normal(size=(4, 784))
    flat = varied.copy()
    flat[[0, 2]] = [[0.0], [0.1]]
    for found in (correlations(flat, varied), correlations(varied, flat)):
        assert np.isnan(found).tolist() == [True, False, True, False]


def test_a_row_that_is_constant_where_it_counts_has_no_correlation() -> None:
    """Variation on pixels of weight 0 makes no correlation."""
    first = np.array([[0.1, 0.1, 0.1, 7.0]])
    second = np.array([[1.0, 2.0, 4.0, 9.0]])
    weights = np.array([[1.0, 1.0, 1.0, 0.0]])
    assert np.isnan(correlations(first, second, weights)).tolist() == [True]
    assert not np.isnan(correlations(first, second)).any()


@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1e30])
def test_correlations_do_not_depend_on_scale(scale: float) -> None:
    """Maps as faint or as strong as float32 holds correlate as they would at scale 1."""
    first, second = np.random.default_rng(3).normal(size=(2, 5, 50)).astype(np.float32)
    faint = (scale * first.astype(np.float64)).astype(np.float32)
    assert correlations(faint, second) == pytest.approx(correlations(first, second), abs=1e-6)


def test_correlations_are_never_pooled_over_images() -> None:
    """Images whose maps differ in level agree no better for it: each row has its own mean."""
    first = np.array([[1.0, 2.0, 3.0], [101.0, 102.0, 103.0]])
    second = np.array([[3.0, 2.0, 1.0], [203.0, 202.0, 201.0]])
    assert correlations(first, second) == pytest.approx([-1.0, -1.0])


# agreement


def test_agreement_is_the_mean_over_pairs_of_the_correlation_of_contributions() -> None:
    """Each image's agreement is the mean of six Pearson correlations of signed contribution maps."""
    evidence = an_evidence()
    expected = pearson(contributions(evidence)).mean(axis=1)
    assert values(evidence, "agreement") == pytest.approx(expected, abs=1e-6)


def test_contributions_of_the_contribution_space_are_not_multiplied_again() -> None:
    """A contribution map stays as it is; a sensitivity map is multiplied with the image."""
    own, images = np.full((1, 3), 2.0), np.array([[0.0, 0.5, 1.0]])
    assert MethodMaps(own, "contribution").contribution(images).tolist() == [[2.0, 2.0, 2.0]]
    assert MethodMaps(own, "sensitivity").contribution(images).tolist() == [[0.0, 1.0, 2.0]]


def test_agreement_has_a_sign() -> None:
    """Turning one of two methods upside down turns the agreement's sign."""
    evidence = an_evidence(methods=METHODS[:2])
    turned = with_maps(evidence, "gradients", -evidence.maps["gradients"].own)
    assert values(turned, "agreement") == pytest.approx(-values(evidence, "agreement"))


def test_agreement_weighs_classes_alike() -> None:
    """The estimate is the mean of the classes' means, though classes differ in size."""
    evidence = an_evidence(counts=(2, 9, 4))
    by_image = pearson(contributions(evidence)).mean(axis=1)
    expected = np.mean([by_image[evidence.labels == label].mean() for label in range(3)])
    assert estimated(measured(evidence, "agreement")["agreement"]).estimate == pytest.approx(
        expected, abs=1e-6
    )


def test_the_worst_pair_is_the_smallest_of_the_pairs_means() -> None:
    """It is the least of six means over images, not the mean of each image's least pair."""
    evidence = an_evidence()
    by_pair = pearson(contributions(evidence))
    expected = statistics.stratified_mean(by_pair, evidence.labels).min()
    worst = measured(evidence, "agreement_worst_pair")["agreement_worst_pair"]
    assert estimated(worst).estimate == pytest.approx(expected, abs=1e-6)


def test_every_pair_of_methods_is_measured() -> None:
    """Four methods make six pairs, each named after both and equal to scipy's correlation."""
    evidence = an_evidence()
    found = measured(evidence, "agreement_pair")
    assert set(found) == {f"agreement_pair.{a}-{b}" for a, b in PAIRS}
    by_pair = pearson(contributions(evidence))
    for column, (a, b) in enumerate(PAIRS):
        assert found[f"agreement_pair.{a}-{b}"].values == pytest.approx(by_pair[:, column], abs=1e-6)


def test_the_families_are_the_pairs_with_and_without_a_decoder_method() -> None:
    """Three pairs read the decoder, three do not, and each family is the mean of its own."""
    evidence = an_evidence()
    maps = contributions(evidence)
    decoder = [(name, "decoder_weighted") for name in METHODS[:3]]
    gradient = list(itertools.combinations(METHODS[:3], 2))
    for family, pairs in (("decoder", decoder), ("gradient", gradient)):
        expected = pearson(maps, pairs).mean(axis=1)
        assert values(evidence, f"agreement_{family}_family") == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("family", "methods"), [("decoder", METHODS[:3]), ("gradient", (METHODS[0], METHODS[3]))]
)
def test_a_family_without_a_pair_gives_a_reason(family: str, methods: tuple[str, ...]) -> None:
    """Methods that make no pair of a family leave a reason that names the family."""
    one = measured(an_evidence(methods=methods), f"agreement_{family}_family")[f"agreement_{family}_family"]
    assert family in str(one.reason)


def test_maps_of_groups_are_compared_by_groups() -> None:
    """How a method shares a group's sum among its pixels changes no agreement; the sums alone do."""
    evidence = an_evidence(methods=("gradients", "kernel_shap"))
    groups = np.asarray(evidence.maps["kernel_shap"].groups)
    before = values(evidence, "agreement")
    own = evidence.maps["kernel_shap"].own.copy()
    order = np.random.default_rng(0).permutation(7)
    whole = own.shape[1] // 7 * 7
    own[:, :whole] = own[:, :whole].reshape(len(own), -1, 7)[:, :, order].reshape(len(own), -1)
    moved = dataclasses.replace(evidence.maps["kernel_shap"], own=own)
    after = values(dataclasses.replace(evidence, maps={**evidence.maps, "kernel_shap": moved}), "agreement")
    np.testing.assert_allclose(after, before, rtol=1e-5)
    sums = [
        np.stack([rows[:, groups == group].sum(axis=1) for group in np.unique(groups)], axis=1)
        for rows in evidence.contributions().values()
    ]
    sizes = np.broadcast_to(np.bincount(groups).astype(float), sums[0].shape)
    by_hand = correlations(sums[0] / sizes, sums[1] / sizes, sizes)
    np.testing.assert_allclose(before, by_hand, rtol=1e-5)


def test_between_two_kinds_of_groups_the_fewer_count() -> None:
    """A pair is compared at the coarser grain."""
    rows = {"a": np.arange(12.0)[None], "b": np.arange(12.0)[None] ** 2}
    fine, coarse = np.arange(12) // 2, np.arange(12) // 6
    first, second = at_one_grain(rows, {"a": fine, "b": coarse}, ("a", "b"))
    assert first[0].tolist() == [2.5] * 6 + [8.5] * 6
    assert len(set(second[0].tolist())) == 2
    same = at_one_grain(rows, {"a": None, "b": None}, ("a", "b"))
    assert same[0] is rows["a"]
    assert same[1] is rows["b"]


def test_families_are_the_methods_own() -> None:
    """Pairs of two families are mixed, but with a decoder's method, whose family they always were."""
    methods = ("gradients", "kernel_shap", "lime", "decoder_weighted")
    assert families_of(an_evidence(methods=methods), methods) == [
        "mixed", "mixed", "decoder", "perturbation", "decoder", "decoder",
    ]  # fmt: skip


def test_sensitivity_agreement_compares_the_sensitivity_forms() -> None:
    """Maps are compared as sensitivities, of integrated gradients and of the decoder method too."""
    evidence = an_evidence()
    forms = {name: evidence.maps[name].sensitivity for name in METHODS}
    expected = pearson({name: form for name, form in forms.items() if form is not None}).mean(axis=1)
    assert values(evidence, "agreement_sensitivity") == pytest.approx(expected, abs=1e-6)


def test_the_worst_pair_in_sensitivity_space_is_the_smallest_of_its_pairs_means() -> None:
    """Of the sensitivity forms, and not of the contributions."""
    evidence = an_evidence()
    forms = {name: evidence.maps[name].sensitivity for name in METHODS}
    by_pair = pearson({name: form for name, form in forms.items() if form is not None})
    expected = statistics.stratified_mean(by_pair, evidence.labels).min()
    found = {
        name: estimated(measured(evidence, name)[name]).estimate
        for name in ("agreement_worst_pair_sensitivity", "agreement_worst_pair")
    }
    assert found["agreement_worst_pair_sensitivity"] == pytest.approx(expected, abs=1e-6)
    assert found["agreement_worst_pair"] != pytest.approx(expected, abs=1e-3)


def test_sensitivity_agreement_needs_two_methods_that_have_such_a_form() -> None:
    """Where fewer than two methods have a sensitivity form, there is a reason in place of a number."""
    evidence = an_evidence(methods=METHODS[:2])
    bare = {
        name: MethodMaps(maps.own, maps.space, control=maps.control) for name, maps in evidence.maps.items()
    }
    one = measured(dataclasses.replace(evidence, maps=bare), "agreement_sensitivity")
    assert "sensitivity" in str(one["agreement_sensitivity"].reason)


def test_absolute_agreement_compares_absolute_contributions() -> None:
    """Signs are dropped before the correlation, not after it."""
    evidence = an_evidence()
    expected = pearson({name: np.abs(maps) for name, maps in contributions(evidence).items()}).mean(axis=1)
    assert values(evidence, "agreement_absolute") == pytest.approx(expected, abs=1e-6)


def test_foreground_agreement_leaves_out_pixels_that_are_0() -> None:
    """Only pixels where the image is over 0 take part, by scipy on those pixels alone."""
    evidence = an_evidence()
    maps, images = contributions(evidence), evidence.images
    # noise on the background of a contribution map that is not a product with the image
    noise = np.where(images == 0, 50.0, 0.0) * np.random.default_rng(4).normal(size=images.shape)
    maps["integrated_gradients"] = maps["integrated_gradients"] + noise
    evidence = with_maps(evidence, "integrated_gradients", maps["integrated_gradients"])
    expected = [
        pearson({name: one[i][images[i] > 0][None] for name, one in maps.items()}).mean()
        for i in range(len(images))
    ]
    assert values(evidence, "agreement_foreground") == pytest.approx(expected, abs=1e-6)


def test_rank_agreement_is_spearmans() -> None:
    """Each pair's rank correlation is scipy's, ties of the background included."""
    evidence = an_evidence()
    maps = contributions(evidence)
    expected = [
        np.mean([stats.spearmanr(maps[a][i], maps[b][i])[0] for a, b in PAIRS])
        for i in range(len(evidence.images))
    ]
    assert values(evidence, "agreement_spearman") == pytest.approx(expected, abs=1e-9)


def test_the_top_pixels_of_784_are_8() -> None:
    """1 % of an image's 784 pixels are the 8 largest in absolute value, whatever their signs."""
    maps = np.random.default_rng(5).normal(size=(4, 784))
    chosen = top_pixels(maps)
    for row, marks in zip(maps, chosen, strict=True):
        assert set(np.flatnonzero(marks)) == set(sorted(range(784), key=lambda i: -abs(row[i]))[:8])


def test_of_equal_pixels_the_first_are_the_top() -> None:
    """A map with ties still has exactly 1 % of its pixels, and always the same ones."""
    maps = np.zeros((2, 300))
    maps[1, 299] = -1.0
    assert [np.flatnonzero(row).tolist() for row in top_pixels(maps)] == [[0, 1, 2], [0, 1, 299]]


def test_a_small_map_has_one_top_pixel() -> None:
    """There is always a largest pixel, also where 1 % is less than one."""
    assert top_pixels(np.array([[1.0, -3.0, 2.0]])).tolist() == [[False, True, False]]


def test_top_pixel_agreement_is_the_jaccard_overlap() -> None:
    """Common top pixels over all top pixels: of four and four, of which two are common, 2 / 6."""
    images = np.ones((4, 400), dtype=np.float32)
    first, second = np.zeros((2, 4, 400))
    first[:, [0, 1, 2, 3]] = [9.0, -8.0, 7.0, 6.0]
    for row, places in enumerate(([0, 1, 2, 3], [2, 3, 8, 9], [3, 7, 8, 9], [10, 11, 12, 13])):
        second[row, places] = [5.0, -5.0, 5.0, 5.0]
    maps = {"a": MethodMaps(first, "contribution"), "b": MethodMaps(second, "sensitivity")}
    evidence = an_evidence(counts=(2, 2), shape=(20, 20), images=images, maps=maps)
    assert values(evidence, "agreement_top_pixels") == pytest.approx([1.0, 2 / 6, 1 / 7, 0.0])


# what cannot be compared


def flattened(evidence: Evidence, name: str, images: int) -> Evidence:
    """The evidence with this many of a method's maps without any variation."""
    own = evidence.maps[name].own.copy()
    own[:images] = 0.0
    return with_maps(evidence, name, own)


def of_200(**changed: Any) -> Evidence:
    return an_evidence(counts=(100, 100), shape=(4, 5), **changed)


@pytest.mark.parametrize("base", AGREEMENTS)
def test_more_than_1_percent_constant_maps_are_an_error(base: str) -> None:
    """3 constant maps of 200 leave a reason with count and method, and no number, in each agreement."""
    for one in measured(flattened(of_200(), "smoothgrad", 3), base).values():
        assert one.values.size == 0
        assert "3 of 200" in str(one.reason)
        assert "smoothgrad" in str(one.reason)
        assert "constant" in str(one.reason)


def test_up_to_1_percent_constant_maps_are_left_out_and_counted() -> None:
    """2 constant maps of 200 have no agreement; the others do, and the estimate says so."""
    evidence = of_200()
    whole = measured(evidence, "agreement")["agreement"]
    gaps = measured(flattened(evidence, "smoothgrad", 2), "agreement")["agreement"]
    assert gaps.reason is None
    assert np.flatnonzero(np.isnan(gaps.values)).tolist() == [0, 1]
    assert gaps.values[2:] == pytest.approx(whole.values[2:])
    one = estimated(gaps)
    assert one.n == 198
    assert "2 of 200" in str(one.reason)


def test_a_constant_map_that_is_not_0_counts_as_constant() -> None:
    """A contribution map of one value other than 0 has no correlation either."""
    evidence = of_200()
    own = evidence.maps["integrated_gradients"].own.copy()
    own[:3] = 0.1
    one = measured(with_maps(evidence, "integrated_gradients", own), "agreement")["agreement"]
    assert "3 of 200 maps of integrated_gradients" in str(one.reason)


@pytest.mark.parametrize("base", AGREEMENTS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_maps_that_are_not_finite_are_an_error(base: str, value: float) -> None:
    """A single NaN or infinite pixel leaves a reason with count and method, and no number."""
    evidence = of_200()
    own = evidence.maps["gradients"].own.copy()
    own[7, np.flatnonzero(evidence.images[7])[0]] = value
    for one in measured(with_maps(evidence, "gradients", own), base).values():
        assert one.values.size == 0
        assert "1 of 200" in str(one.reason)
        assert "gradients" in str(one.reason)


@pytest.mark.parametrize(("methods", "named"), [(("gradients",), "gradients"), ((), "none")])
def test_fewer_than_two_methods_have_no_agreement(methods: tuple[str, ...], named: str) -> None:
    """One method, or none, leaves a reason; the control method does not count as a second."""
    one = measured(an_evidence(methods=methods), "agreement")["agreement"]
    assert "at least two methods" in str(one.reason)
    assert named in str(one.reason)


def test_the_control_method_is_not_compared() -> None:
    """The decoder without the classifier is a control, and has no part in any agreement."""
    evidence = an_evidence()
    assert evidence.methods == METHODS
    assert set(evidence.contributions()) == set(METHODS)
    changed = with_maps(evidence, CONTROL_METHOD, -7 * evidence.maps[CONTROL_METHOD].own)
    assert values(changed, "agreement").tolist() == values(evidence, "agreement").tolist()


def sampled_bases() -> list[str]:
    """The measurements that rest on explained images."""
    return [base for base in measurements if base.startswith(("agreement", "control", "map_", "complete"))]


@pytest.mark.parametrize("base", [*sampled_bases(), "selection"])
def test_a_class_that_is_short_of_images_is_an_error_that_names_it(base: str) -> None:
    """A class under the minimum leaves a reason with its name, its count and what it needs."""
    found = measured(evidence_of(base, counts=(5, 2, 6), minimum_per_class=3), base)
    assert found
    for one in found.values():
        reason = str(one.reason)
        assert "class 1 (2)" in reason
        assert "at least 3" in reason
        assert "class 0" not in reason
        assert "class 2" not in reason
        assert "80%" in reason
        assert reason.endswith("train longer (--epochs, --classifier-epochs), or lower --confidence")


@pytest.mark.parametrize(
    ("settings", "there", "mend"),
    [
        (
            {},
            {"code", "reconstruction"},
            "train longer (--epochs, --classifier-epochs), or lower --confidence",
        ),
        (
            {},
            set(),
            "train longer (--classifier-epochs) or in smaller batches (--batch-size), or lower --conf",
        ),
        ({"recipe": "supervised"}, {"code", "reconstruction"}, "train longer (--classifier-epochs) or in"),
        ({"recipe": "none"}, set(), "lower --confidence"),
        ({"model": {"weights": "a.pth"}}, {"code", "reconstruction"}, "lower --confidence"),
    ],
)
def test_the_mend_names_only_what_trains_the_network(
    settings: dict[str, Any], there: set[str], mend: str
) -> None:
    """No autoencoder, no flag for its epochs; frozen weights, no training."""
    lengths = Config.model_validate(settings).lengths(there)
    evidence = dataclasses.replace(an_evidence(counts=(5, 1)), lengths=lengths)
    assert str(evidence.shortage()).split("at least 2; ")[1].startswith(mend)
    none = dataclasses.replace(evidence, images=evidence.images[:0])
    assert str(none.shortage()).split("% sure); ")[1].startswith(mend)


@pytest.mark.parametrize("absent", [0, 1, 2])
def test_an_absent_class_is_named_too(absent: int) -> None:
    """A class of which no image was chosen is short of images, with a count of 0; the last one too."""
    counts = tuple(0 if label == absent else 4 for label in range(3))
    assert f"class {absent} (0)" in str(an_evidence(counts=counts).shortage())


def test_a_class_at_the_minimum_is_not_short() -> None:
    """The minimum itself is enough."""
    assert an_evidence(counts=(5, 3, 6), minimum_per_class=3).shortage() is None


def test_of_many_short_classes_three_are_named_and_the_others_counted() -> None:
    """Five short classes give three names and say that there are two more."""
    reason = str(an_evidence(counts=(1, 1, 4, 1, 1, 1)).shortage())
    assert "class 0 (1), class 1 (1), class 3 (1) and 2 more" in reason


@pytest.mark.parametrize("base", [*sampled_bases(), "selection"])
def test_without_any_image_the_reason_says_how_sure_the_surest_was(base: str) -> None:
    """Where nothing could be chosen, the reason names the bound and how close the network came."""
    found = measured(empty(base, surest=0.734), base)
    assert found
    for one in found.values():
        assert "80%" in str(one.reason)
        assert "73.4%" in str(one.reason)


def test_the_model_is_measured_though_no_image_could_be_explained() -> None:
    """Accuracy, sparsity, units and reconstruction need no explained images."""
    evidence = empty()
    for base in ("accuracy", "sparsity", "below_k", "dead_units", "reconstruction", "fraction_unexplained"):
        assert estimated(measured(evidence, base)[base]).estimate is not None


# the model and the selection


def test_accuracy_is_the_share_of_images_named_rightly() -> None:
    """Of four test images, three with the largest logit at their label, the accuracy is 0.75."""
    logits = np.array([[2.0, 1.0], [0.0, 1.0], [3.0, 1.0], [0.0, -1.0]], dtype=np.float32)
    evidence = an_evidence(logits=logits, test_labels=np.array([0, 1, 1, 0]))
    assert values(evidence, "accuracy").tolist() == [1.0, 1.0, 0.0, 1.0]
    assert estimated(measured(evidence, "accuracy")["accuracy"]).estimate == 0.75


def test_sparsity_is_the_mean_count_of_active_units() -> None:
    """L0 is averaged over the test images, and compared by equivalence."""
    one = measured(an_evidence(l0=np.array([5, 5, 3, 4])), "sparsity")["sparsity"]
    assert one.reduction == "equivalence"
    assert estimated(one).estimate == 4.25


def test_below_k_is_the_share_of_images_with_fewer_than_k_active_units() -> None:
    """Exactly k is not below k."""
    one = measured(an_evidence(l0=np.array([5, 5, 3, 4]), k=5), "below_k")["below_k"]
    assert estimated(one).estimate == 0.5


def test_dead_units_are_those_that_never_fire() -> None:
    """A unit that fires once in a thousand million images is alive."""
    evidence = an_evidence(firing_frequency=np.array([0.0, 0.5, 0.0, 1e-9, 1.0]))
    assert values(evidence, "dead_units").tolist() == [2.0]


@pytest.fixture
def reconstructed() -> tuple[Evidence, Floats, Floats, Floats]:
    """Evidence of 30 images and their reconstructions, these two, and the mean training image."""
    generator = np.random.default_rng(6)
    x, x_hat = generator.random((2, 30, 20))
    mean = generator.random(20)
    errors = ((x - x_hat) ** 2).sum(axis=1)
    deviations = ((x - mean) ** 2).sum(axis=1)
    evidence = an_evidence(shape=(4, 5), squared_errors=errors, squared_deviations=deviations)
    return evidence, x, x_hat, mean


def test_reconstruction_is_the_squared_error_averaged_over_pixels_and_images(
    reconstructed: tuple[Evidence, Floats, Floats, Floats],
) -> None:
    """It is the mean over everything of (x - x_hat)^2."""
    evidence, x, x_hat, _ = reconstructed
    found = estimated(measured(evidence, "reconstruction")["reconstruction"]).estimate
    assert found == pytest.approx(((x - x_hat) ** 2).mean())


def test_fraction_unexplained_sums_over_the_test_set_before_it_divides(
    reconstructed: tuple[Evidence, Floats, Floats, Floats],
) -> None:
    """It is sum |x - x_hat|^2 / sum |x - mean x|^2, with the training set's mean image."""
    evidence, x, x_hat, mean = reconstructed
    found = estimated(measured(evidence, "fraction_unexplained")["fraction_unexplained"]).estimate
    expected = np.linalg.norm(x - x_hat) ** 2 / np.linalg.norm(x - mean) ** 2
    assert found == pytest.approx(expected)


def selected(evidence: Evidence) -> float | None:
    """The estimated share of wanted samples that meet every condition."""
    return estimated(measured(evidence, "selection")["selection"]).estimate


def test_selection_is_1_where_every_wanted_sample_is_right_and_sure() -> None:
    """Five good images in each of two classes are all that was wanted."""
    assert selected(an_evidence(counts=(5, 5))) == 1


def changed_logits(evidence: Evidence, sample: int, row: list[float]) -> Evidence:
    """The evidence with other logits for one explained image."""
    logits = evidence.logits.copy()
    logits[evidence.indices[sample]] = row
    return dataclasses.replace(evidence, logits=logits)


@pytest.mark.parametrize("row", [[0.0, 9.0], [1.0, 0.0]], ids=["wrong", "unsure"])
def test_selection_counts_no_sample_that_is_wrong_or_unsure(row: list[float]) -> None:
    """One wrong or unsure image among ten leaves a share of 0.9."""
    evidence = changed_logits(an_evidence(counts=(5, 5)), 0, row)
    assert selected(evidence) == pytest.approx(0.9)


def test_selection_counts_no_sample_whose_label_is_not_the_test_sets() -> None:
    """A sample that claims another class than its test image has is not a wanted one."""
    evidence = an_evidence(counts=(5, 5))
    test_labels = evidence.test_labels.copy()
    test_labels[evidence.indices[:2]] = 1
    changed = dataclasses.replace(evidence, test_labels=test_labels)
    assert selected(changed) == pytest.approx(0.8)


def test_selection_asks_for_more_than_the_bound() -> None:
    """A confidence equal to the bound is not over it."""
    evidence = changed_logits(an_evidence(counts=(4, 4), confidence=0.5), 0, [0.0, 0.0])
    assert selected(evidence) == pytest.approx(7 / 8)


def test_no_class_makes_up_for_another_in_the_selection() -> None:
    """Six images of one class and four of the other are nine of ten where five of each were wanted."""
    evidence = an_evidence(counts=(6, 4), wanted_per_class=5)
    assert selected(evidence) == pytest.approx(0.9)


# controls


def test_the_untrained_control_is_the_agreement_of_the_untrained_networks_maps() -> None:
    """All pairs and each family, as in the trained network, from the untrained one's maps."""
    evidence = an_evidence()
    swapped = dataclasses.replace(evidence, maps={**evidence.untrained})
    found = measured(evidence, "control_untrained")
    names = {
        "control_untrained": "agreement",
        "control_untrained.gradient_family": "agreement_gradient_family",
        "control_untrained.decoder_family": "agreement_decoder_family",
    }
    assert set(found) == set(names)
    for name, base in names.items():
        assert found[name].values == pytest.approx(values(swapped, base))
    assert not np.allclose(found["control_untrained"].values, values(evidence, "agreement"))


def test_repaired_maps_are_never_those_of_the_image_itself() -> None:
    """Where each image's maps agree fully with themselves and not at all with others, none agrees."""
    counts = (2, 3, 7)
    images = np.ones((12, 200), dtype=np.float32)
    own = np.eye(12, 200)
    maps = {name: MethodMaps(own, "contribution") for name in ("a", "b")}
    evidence = an_evidence(counts=counts, images=images, maps=maps)
    assert values(evidence, "agreement") == pytest.approx(np.ones(12))
    assert values(evidence, "control_repaired") == pytest.approx(np.full(12, -1 / 199))


@pytest.mark.parametrize("counts", [(4, 4, 4), (2, 3, 7)])
def test_repaired_maps_stay_within_their_class(counts: tuple[int, ...]) -> None:
    """Where all images of a class have the same maps, pairing them anew changes nothing."""
    labels = np.repeat(np.arange(3), counts)
    generator = np.random.default_rng(7)
    first, second = generator.normal(size=(2, 3, 200))
    maps = {
        "a": MethodMaps(first[labels], "contribution"),
        "b": MethodMaps(second[labels], "contribution"),
    }
    evidence = an_evidence(counts=counts, images=np.ones((12, 200), dtype=np.float32), maps=maps)
    assert values(evidence, "control_repaired") == pytest.approx(values(evidence, "agreement"))


def test_repaired_maps_are_those_of_another_method() -> None:
    """Each value is a mean of two correlations of one method's map with the other's of another image."""
    evidence = an_evidence(counts=(2, 2), methods=("gradients", "smoothgrad"))
    maps = {name: evidence.maps[name].own * evidence.images for name in evidence.methods}
    other = [1, 0, 3, 2]  # two images a class: the other one
    expected = [
        (
            stats.pearsonr(maps["gradients"][i], maps["smoothgrad"][other[i]])[0]
            + stats.pearsonr(maps["gradients"][other[i]], maps["smoothgrad"][i])[0]
        )
        / 2
        for i in range(4)
    ]
    assert values(evidence, "control_repaired") == pytest.approx(expected, abs=1e-6)


def test_edges_are_the_sobel_gradients_magnitude() -> None:
    """Image by image they are scipy's gradient magnitude, with no bleeding from one image to the next."""
    images = np.random.default_rng(8).random((3, 63)).astype(np.float32)
    pictures = images.reshape(3, 7, 9).astype(np.float64)
    expected = [ndimage.generic_gradient_magnitude(one, ndimage.sobel) for one in pictures]
    assert edges(images, (7, 9)) == pytest.approx(np.reshape(expected, (3, 63)))


def test_the_edge_of_a_step_is_where_the_step_is() -> None:
    """A step from 0 to 1 between two columns has magnitude 1 + 2 + 1 in both, and none elsewhere."""
    step = np.tile([0.0, 0.0, 0.0, 1.0, 1.0, 1.0], (5, 1))
    found = edges(step.reshape(1, 30), (5, 6)).reshape(5, 6)
    assert found.tolist() == [[0.0, 0.0, 4.0, 4.0, 0.0, 0.0]] * 5
    turned = edges(step.T.reshape(1, 30).copy(), (6, 5)).reshape(6, 5)
    assert turned.tolist() == found.T.tolist()


def test_control_maps_are_the_methods_mean_correlation_with_each_control() -> None:
    """The image, the reconstruction, its edges and the decoder without the classifier, by scipy."""
    evidence = an_evidence()
    maps = contributions(evidence)
    controls = {
        "image": evidence.images,
        "reconstruction": evidence.reconstructions,
        "edges": edges(evidence.images, evidence.shape),
        "decoder_reconstruction": evidence.maps[CONTROL_METHOD].own * evidence.images,
    }
    found = measured(evidence, "control_maps")
    assert set(found) == {f"control_maps.{name}" for name in (*controls, "random")}
    for name, control in controls.items():
        columns = pearson({**maps, "control": control}, [(method, "control") for method in METHODS])
        assert found[f"control_maps.{name}"].values == pytest.approx(columns.mean(axis=1), abs=1e-6)


def test_smooth_random_maps_change_slowly_and_channels_are_drawn_by_themselves() -> None:
    """Neighbours in time are nearly the same, two channels have nothing in common; the same each time."""
    found = smooth(300, (2, 64), "series").reshape(300, 2, 64)
    near = [stats.pearsonr(one[0, :-1], one[0, 1:])[0] for one in found]
    across = [stats.pearsonr(one[0], one[1])[0] for one in found]
    assert np.mean(near) > 0.9
    assert abs(np.mean(across)) < 4 * np.std(across) / math.sqrt(300)
    assert (found == smooth(300, (2, 64), "series").reshape(300, 2, 64)).all()
    clips = smooth(200, (4, 1, 16, 16), "clip").reshape(200, 4, 16, 16)
    frames = [stats.pearsonr(one[0].ravel(), one[1].ravel())[0] for one in clips]
    assert abs(np.mean(frames)) < 4 * np.std(frames) / math.sqrt(200)


@pytest.mark.parametrize(("kind", "there"), [("image", False), ("series", True)])
def test_smooth_random_maps_are_a_control_of_series_and_clips(kind: str, there: bool) -> None:
    """Of images the controls are as they were."""
    evidence = dataclasses.replace(an_evidence(), kind=kind)
    assert ("control_maps.smooth" in measured(evidence, "control_maps")) == there
    columns = measured(evidence, "agreement_above_controls")["agreement_above_controls"].values.shape[1]
    assert columns == (5 if there else 4)


def test_random_control_maps_correlate_with_nothing_and_are_the_same_each_time() -> None:
    """Their mean correlation is 0 within its error, and a second look finds the same numbers."""
    evidence = of_200()
    found, again = (measured(evidence, "control_maps")["control_maps.random"].values for _ in range(2))
    assert found.tolist() == again.tolist()
    assert len(np.unique(found)) == 200
    assert abs(found.mean()) < 4 * found.std() / math.sqrt(200)


# the maps themselves


def test_map_statistics_are_numpys_of_each_contribution_map() -> None:
    """Mean, maximum, standard deviation and 99th percentile, of each method and image."""
    evidence = an_evidence()
    found = measured(evidence, "map_statistics")
    expected = {}
    for name, maps in contributions(evidence).items():
        rows = [[float(pixel) for pixel in row] for row in maps]
        expected[f"map_statistics.{name}.mean"] = [math.fsum(row) / 200 for row in rows]
        expected[f"map_statistics.{name}.maximum"] = [max(row) for row in rows]
        expected[f"map_statistics.{name}.standard_deviation"] = [stats.tstd(row, ddof=0) for row in rows]
        # of 200 sorted pixels, 0.99 * 199 = 197.01
        expected[f"map_statistics.{name}.percentile_99"] = [
            0.99 * sorted(row)[197] + 0.01 * sorted(row)[198] for row in rows
        ]
    assert set(found) == set(expected)
    for name, numbers in expected.items():
        assert found[name].values == pytest.approx(numbers, rel=1e-4, abs=1e-6)


def linear(scale: float = 1.0) -> Evidence:
    """Evidence of f(x) = W x + b, whose integrated gradients are w_y x, times `scale`."""
    evidence = an_evidence()
    generator = np.random.default_rng(9)
    weights, bias = generator.normal(size=(3, 200)), generator.normal(size=3)
    logits = evidence.logits.astype(np.float64)
    logits[evidence.indices] = evidence.images @ weights.T + bias
    own = scale * weights[evidence.labels] * evidence.images
    maps = {"integrated_gradients": MethodMaps(own, "contribution", weights[evidence.labels])}
    return dataclasses.replace(evidence, logits=logits, baseline_logits=bias, maps=maps)


def test_the_completeness_gap_of_a_linear_function_is_0() -> None:
    """Contributions of f(x) = W x + b add up to f_y(x) - f_y(0), whatever b is."""
    for one in measured(linear(), "completeness").values():
        assert one.values == pytest.approx(np.zeros(12), abs=1e-5)


@pytest.mark.parametrize(("scale", "gap"), [(0.75, 0.25), (1.5, 0.5), (-1.0, 2.0), (0.0, 1.0)])
def test_the_completeness_gap_is_a_share_of_the_logits_change(scale: float, gap: float) -> None:
    """Contributions that are too small or too large by a share leave that share as the gap."""
    for one in measured(linear(scale), "completeness").values():
        assert one.values == pytest.approx(np.full(12, gap), abs=1e-5)


def test_completeness_has_a_median_and_a_95th_percentile() -> None:
    """Both look at the same gaps, by their own reductions."""
    found = measured(linear(0.5), "completeness")
    rules = {name: one.reduction for name, one in found.items()}
    assert rules == {"completeness": "median", "completeness.percentile_95": "95th percentile"}


def test_maps_that_see_jumps_have_a_gap_of_their_own() -> None:
    """Beside that of the plain method, or alone."""
    plain = linear(0.5)
    both = dict(plain.maps) | {
        "switch_aware_integrated_gradients": linear().maps["integrated_gradients"],
    }
    found = measured(dataclasses.replace(plain, maps=both), "completeness")
    name = "completeness.switch_aware_integrated_gradients"
    assert list(found) == ["completeness", "completeness.percentile_95", name, f"{name}.percentile_95"]
    assert found["completeness"].values == pytest.approx(np.full(12, 0.5), abs=1e-5)
    assert found[name].values == pytest.approx(np.zeros(12), abs=1e-5)
    both.pop("integrated_gradients")
    alone = measured(dataclasses.replace(plain, maps=both), "completeness")
    assert list(alone) == [name, f"{name}.percentile_95"]


def test_completeness_is_not_measured_without_integrated_gradients() -> None:
    """No other method promises to be complete."""
    assert measured(an_evidence(methods=("gradients", "smoothgrad")), "completeness") == {}


# what every measurement promises


@pytest.mark.parametrize("base", list(measurements))
def test_a_measurements_names_begin_with_the_registered_one(base: str) -> None:
    """A registered function yields its own name, or members of its family, with title and unit."""
    found = list(measurements[base](evidence_of(base)))
    assert found
    for one in found:
        assert one.name == base or one.name.startswith(f"{base}.")
        assert one.title.strip()
        assert one.unit.strip()
        assert one.reduction in statistics.REDUCTIONS


def test_no_two_measurements_bear_the_same_name() -> None:
    """Names and titles are enough to tell all measurements of a run apart."""
    found = [one for function in measurements.values() for one in function(an_evidence())]
    assert len({one.name for one in found}) == len(found)
    assert len({one.title for one in found}) == len(found)


def test_the_names_do_not_depend_on_whether_there_are_images() -> None:
    """What cannot be measured is yielded all the same, with its reason, so that seeds stay in step."""
    for base in measurements:
        assert list(measured(empty(), base)) == list(measured(an_evidence(), base))


@pytest.mark.parametrize("base", list(measurements))
def test_every_measurement_of_sound_evidence_becomes_a_finite_estimate(base: str) -> None:
    """Nothing of a sound run is without a number, and each image's value has its class."""
    for one in measurements[base](probed(evidence_of(base, counts=(8, 8, 8)))):
        assert one.reason is None
        assert one.strata is None or len(one.strata) == len(one.values)
        number = estimated(one).estimate
        assert number is not None
        assert math.isfinite(number)


def test_the_order_of_images_changes_no_estimate() -> None:
    """Measuring the same images in another order gives the same numbers, re-pairing and chance aside."""
    evidence = an_evidence()
    order = np.random.default_rng(10).permutation(len(evidence.labels))
    moved = {name: getattr(evidence, name)[order] for name in ("images", "labels", "indices")}
    maps = {
        name: dataclasses.replace(
            one,
            own=one.own[order],
            sensitivity=None if one.sensitivity is None else one.sensitivity[order],
        )
        for name, one in evidence.maps.items()
    }
    recoded = with_code(evidence, reconstructions=evidence.reconstructions[order])
    shuffled = dataclasses.replace(recoded, **moved, maps=maps)
    for base in [*AGREEMENTS, "selection", "map_statistics", "completeness"]:
        for name, one in measured(evidence, base).items():
            if name not in ("control_repaired", "control_maps.random"):
                other = estimated(measured(shuffled, base)[name]).estimate
                assert other == pytest.approx(estimated(one).estimate, rel=1e-6)


def test_every_shipped_criterion_asks_in_its_measurements_direction() -> None:
    """`>=` is asked where higher is better, `<=` where lower is, and `within` where neither is."""
    directions = {">=": True, "<=": False, "within": None}
    for criterion in shipped_criteria(5):
        one = measured(an_evidence(), criterion.measurement)[criterion.measurement]
        assert one.higher_is_better is directions[criterion.relation]


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("base", ["agreement_sensitivity", "agreement_worst_pair_sensitivity"])
def test_sensitivity_forms_that_are_not_finite_are_an_error(base: str, value: float) -> None:
    """One bad pixel of a sensitivity form is an error though contributions are sound."""
    evidence = of_200()
    bad = np.array(evidence.maps["integrated_gradients"].sensitivity)
    bad[0, 0] = value
    changed = dataclasses.replace(evidence.maps["integrated_gradients"], sensitivity=bad)
    evidence = dataclasses.replace(evidence, maps={**evidence.maps, "integrated_gradients": changed})
    assert "1 of 200" in str(measured(evidence, base)[base].reason)


def test_constant_sensitivity_forms_are_an_error() -> None:
    """3 constant sensitivity maps of 200 are counted against their own space."""
    evidence = of_200()
    flat = np.array(evidence.maps["gradients"].sensitivity)
    flat[:3] = 1.0
    changed = MethodMaps(evidence.maps["gradients"].own, "sensitivity", flat)
    evidence = dataclasses.replace(evidence, maps={**evidence.maps, "gradients": changed})
    assert "3 of 200" in str(measured(evidence, "agreement_sensitivity")["agreement_sensitivity"].reason)


def test_constant_maps_of_the_untrained_network_are_an_error_too() -> None:
    """The control is not a mean of what is left."""
    evidence = of_200()
    own = evidence.untrained["gradients"].own.copy()
    own[:3] = 0
    untrained = {**evidence.untrained, "gradients": MethodMaps(own, "sensitivity")}
    for one in measured(dataclasses.replace(evidence, untrained=untrained), "control_untrained").values():
        assert "3 of 200" in str(one.reason)


@pytest.mark.parametrize("base", ["map_statistics", "completeness"])
def test_maps_that_are_not_finite_have_neither_statistics_nor_a_gap(base: str) -> None:
    """One NaN map is an error, and not left out."""
    evidence = of_200()
    own = evidence.maps["integrated_gradients"].own.copy()
    own[0, 0] = np.nan
    found = measured(with_maps(evidence, "integrated_gradients", own), base)
    reasons = {one.reason for name, one in found.items() if "gradients.own" in name or base == "completeness"}
    reasons |= {one.reason for name, one in found.items() if "integrated_gradients" in name}
    assert reasons == {"1 of 200 maps of integrated_gradients hold NaN or infinite values"}


def test_logits_that_are_not_finite_are_an_error_of_the_accuracy() -> None:
    """Argmax calls NaN the largest; accuracy does not believe it."""
    evidence = an_evidence()
    logits = evidence.logits.copy()
    logits[0] = np.nan
    one = measured(dataclasses.replace(evidence, logits=logits), "accuracy")["accuracy"]
    assert estimated(one).estimate is None
    assert "1 of" in str(one.reason)


def test_an_image_that_is_chosen_twice_counts_once() -> None:
    """A repeated sample is not a wanted one."""
    evidence = an_evidence(counts=(5, 5))
    indices = evidence.indices.copy()
    indices[1] = indices[0]
    one = measured(dataclasses.replace(evidence, indices=indices), "selection")["selection"]
    assert estimated(one).estimate == pytest.approx(0.9)


def test_a_selection_with_a_reason_has_no_values() -> None:
    """What a record promises of a measurement with a reason."""
    one = measured(an_evidence(counts=(5, 1)), "selection")["selection"]
    assert one.reason
    assert one.values.size == 0


def test_a_test_set_that_does_not_vary_has_no_fraction_unexplained() -> None:
    """Nothing over nothing is an error with a reason."""
    evidence = an_evidence()
    flat = with_code(evidence, squared_deviations=np.zeros_like(evidence.squared_deviations))
    one = measured(flat, "fraction_unexplained")["fraction_unexplained"]
    assert "variance" in str(estimated(one).reason)


def test_a_bound_of_99_and_a_half_percent_is_not_called_100() -> None:
    """The reason names the bound that was asked for."""
    assert "99.5%" in str(an_evidence(counts=(5, 1), confidence=0.995).shortage())


def test_where_nothing_is_right_no_surest_is_named() -> None:
    """Without any right image there is none that is 0 % sure."""
    evidence = an_evidence(methods=METHODS)
    none = dataclasses.replace(evidence, images=evidence.images[:0], surest=0.0)
    assert none.shortage() == "no test image is named rightly"


# integrity


def with_errors(evidence: Evidence, **changed: Floats) -> Evidence:
    """The same evidence with answers to the integrity check: errors of 1e-7 but where changed."""
    n = len(evidence.labels)
    errors = {name: np.full(n, 1e-7) for name in ("predictions", *evidence.methods)} | changed
    answers = {
        "names": np.array(list(errors)),
        "errors": np.stack(list(errors.values())),
        "methods": np.array(evidence.methods),
        "spaces": np.array([evidence.maps[name].space for name in evidence.methods]),
    }
    return dataclasses.replace(evidence, sanity={"integrity": answers})


def integrity_of(evidence: Evidence) -> Estimate:
    return estimated(measured(evidence, "attribution_integrity")["attribution_integrity"])


def test_sound_maps_are_what_they_claim_to_be() -> None:
    """Small errors, files that name the samples, and nothing where the image is 0: all samples hold."""
    estimate = integrity_of(with_errors(an_evidence()))
    assert (estimate.estimate, estimate.high) == (1.0, 1.0)
    assert estimate.low is not None
    assert estimate.low < 1


@pytest.mark.parametrize("name", ["predictions", *METHODS])
def test_the_worst_method_decides_integrity(name: str) -> None:
    """A quarter of one method's maps, or of the predictions, with errors over 1e-3 leaves three quarters."""
    evidence = an_evidence(counts=(4, 4, 4))
    errors = np.full(12, 1e-7)
    errors[[0, 5, 11]] = (0.0011, 1.0, np.inf)
    assert integrity_of(with_errors(evidence, **{name: errors})).estimate == pytest.approx(0.75)
    errors[[0, 5, 11]] = 0.001
    assert integrity_of(with_errors(evidence, **{name: errors})).estimate == 1.0


def test_samples_on_a_kink_are_counted_in_the_title() -> None:
    """A map that was asked along part of its features alone is told of; of runs of before, nobody knows."""
    evidence = with_errors(an_evidence(counts=(4, 4, 4)))
    answers = evidence.sanity["integrity"]
    plain = integrity_of(evidence).title
    along = np.ones_like(answers["errors"])
    asked = {"integrity": {**answers, "along": along}}
    assert integrity_of(dataclasses.replace(evidence, sanity=asked)).title == plain
    along[1:3, 4] = along[2, 7] = 0.3
    title = integrity_of(dataclasses.replace(evidence, sanity=asked)).title
    assert title == f"{plain} (2 of 12 on a kink, asked where the model has a derivative)"


def test_an_error_that_is_no_number_does_not_hold() -> None:
    """NaN is not under the tolerance."""
    evidence = an_evidence(counts=(4, 4, 4))
    errors = np.full(12, 1e-7)
    errors[3] = np.nan
    assert integrity_of(with_errors(evidence, gradients=errors)).estimate == pytest.approx(11 / 12)


@pytest.mark.parametrize("part", ["targets", "indices"])
def test_files_must_name_the_samples(part: str) -> None:
    """Maps of other classes or other images, by their own file's words, do not hold; nor do silent files."""
    evidence = with_errors(an_evidence(counts=(4, 4, 4)))
    maps = evidence.maps["smoothgrad"]
    said = getattr(maps, part).copy()
    said[:3] += 1
    for other, expected in ((said, 0.75), (None, 0.0)):
        change: dict[str, Any] = {part: other}
        changed = {**evidence.maps, "smoothgrad": dataclasses.replace(maps, **change)}
        estimate = integrity_of(dataclasses.replace(evidence, maps=changed)).estimate
        assert estimate == pytest.approx(expected)


def test_a_contribution_where_the_image_is_zero_does_not_hold() -> None:
    """A pixel that equals the baseline adds nothing."""
    evidence = with_errors(an_evidence(counts=(4, 4, 4)))
    own = evidence.maps["integrated_gradients"].own.copy()
    own[2, np.flatnonzero(evidence.images[2] == 0)[0]] = 1e-6
    estimate = integrity_of(with_maps(evidence, "integrated_gradients", own))
    assert estimate.estimate == pytest.approx(11 / 12)


def test_maps_in_another_space_than_their_methods_do_not_hold() -> None:
    """A file that calls contributions sensitivities would have them multiplied once more."""
    evidence = with_errors(an_evidence(counts=(4, 4, 4)))
    maps = dataclasses.replace(evidence.maps["integrated_gradients"], space="sensitivity")
    changed = {**evidence.maps, "integrated_gradients": maps}
    assert integrity_of(dataclasses.replace(evidence, maps=changed)).estimate == 0.0


def test_a_method_that_was_not_asked_is_an_error_and_one_without_a_definition_is_named() -> None:
    """No answer is no pass; a method that declares no identity is said to have none."""
    evidence = with_errors(an_evidence())
    answers = dict(evidence.sanity["integrity"])
    fewer = answers | {"methods": answers["methods"][:-1], "spaces": answers["spaces"][:-1]}
    estimate = integrity_of(dataclasses.replace(evidence, sanity={"integrity": fewer}))
    assert estimate.estimate is None
    assert "decoder_weighted" in str(estimate.reason)
    kept = [name != "smoothgrad" for name in answers["names"]]
    without = answers | {"names": answers["names"][kept], "errors": answers["errors"][kept]}
    estimate = integrity_of(dataclasses.replace(evidence, sanity={"integrity": without}))
    assert estimate.estimate == 1.0
    assert "no definition is known of smoothgrad" in estimate.title


def test_without_a_method_nothing_is_said_of_methods() -> None:
    """With the control alone every measurement of methods gives its reason, and none crashes."""
    evidence = with_errors(an_evidence(methods=()))
    for base in measurements:
        for one in measured(evidence, base).values():
            assert one.reason is not None or len(one.values)
    assert "no attribution method" in str(integrity_of(evidence).reason)


def test_a_run_without_answers_has_no_integrity() -> None:
    """Where the check was not made there is no number, and a gate on it is an error."""
    estimate = integrity_of(an_evidence())
    assert estimate.estimate is None
    assert estimate.reason is not None
    assert "no answers" in estimate.reason


def test_a_copy_shows_as_a_correlation_of_one() -> None:
    """The largest pair decides: a method that copies another raises it to 1."""
    evidence = an_evidence()
    before = estimated(measured(evidence, "attribution_copies")["attribution_copies"]).estimate
    assert before is not None
    assert before < 0.99
    copied = {**evidence.maps, "gradients": evidence.maps["smoothgrad"]}
    after = measured(dataclasses.replace(evidence, maps=copied), "attribution_copies")["attribution_copies"]
    assert estimated(after).estimate == pytest.approx(1.0)


def test_overlap_is_the_share_of_test_images_that_were_learned() -> None:
    """Three of 30 test images that stand in the training set are a tenth."""
    evidence = an_evidence()
    there = np.zeros(len(evidence.test_labels), dtype=bool)
    there[:3] = True
    one = measured(dataclasses.replace(evidence, in_training=there), "test_overlap")["test_overlap"]
    assert estimated(one).estimate == pytest.approx(3 / len(there))


def texts_of(evidence: Evidence) -> str:
    """What every measurement says of evidence: titles, units and reasons."""
    there = set(CAPABILITIES) - (set() if evidence.kind in ("image", "clip") else {"rows"})
    asked = [function for function in measurements.values() if not lacking(function, there)]
    found = [one for function in asked for one in function(evidence)]
    return " / ".join(f"{one.title} / {one.unit} / {one.reason}" for one in found).lower()


SIDES = {"image": (10, 20), "series": (2, 100), "clip": (2, 10, 10), "table": (200,)}


@pytest.mark.parametrize("kind", WORDS)
def test_measurements_speak_of_what_the_inputs_are(kind: str) -> None:
    """Titles, units and reasons call nothing an image or a pixel that is none."""
    whole = dataclasses.replace(probed(), kind=kind, shape=SIDES[kind])
    unsure = dataclasses.replace(whole, minimum_per_class=99, in_training=None, logits=whole.logits * np.nan)
    none = dataclasses.replace(empty(), kind=kind, shape=SIDES[kind])
    said = {word for one in (whole, unsure, none) for word in re.findall(r"[a-z]+", texts_of(one))}
    words = WORDS[kind]
    mine = {words.one, words.noun, words.feature, words.features}
    assert mine <= said
    assert {"image", "images", "pixel", "pixels"} & said <= mine


@pytest.mark.parametrize("kind", WORDS)
def test_estimates_speak_of_what_the_inputs_are(kind: str) -> None:
    """Whom an interval speaks of, and which values are missing."""
    words = WORDS[kind]
    values_, strata = np.ones(400), np.repeat([0, 1], 200)
    values_[0] = np.nan
    one = Measurement("m", "M", "u", None, "mean", values_, strata)
    found = statistics.estimate(
        [one], [0], confidence=0.95, resamples=100, generator=np.random.default_rng(0), words=words
    )
    assert found.population == f"this model, on {words.noun} like these"
    assert found.reason == f"1 of 400 {words.noun} have no value"
