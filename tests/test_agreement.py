"""What agreement is worth: against chance within the class, and against controls that know no model."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from scipy import stats

from harness import statistics
from harness.measurements import Evidence, MethodMaps, measurements
from harness.records import Estimate, Floats, Measurement
from tests.evidence import ASKING_A_LAYER, METHODS, an_evidence, with_code, with_maps

PAIRS = tuple(itertools.combinations(METHODS, 2))


def measured(evidence: Evidence, base: str) -> dict[str, Measurement]:
    return {one.name: one for one in measurements[base](evidence)}


def estimated(*by_seed: Measurement) -> Estimate:
    return statistics.estimate(
        by_seed,
        range(len(by_seed)),
        confidence=0.95,
        resamples=500,
        generator=np.random.default_rng(0),
    )


def p_values(evidence: Evidence) -> dict[str, float]:
    """The adjusted p of each pair, by the pair's name."""
    found = measured(evidence, "agreement_significance")
    return {name.split(".")[1]: float(one.values[0]) for name, one in found.items()}


def with_own(**own: Floats) -> Evidence:
    """Evidence of four images in each of three classes, with these contribution maps."""
    images = np.ones((12, 200), dtype=np.float32)
    maps = {name: MethodMaps(rows, "contribution") for name, rows in own.items()}
    return an_evidence(counts=(4, 4, 4), images=images, maps=maps)


def noise(seed: int, rows: int = 12) -> Floats:
    return np.random.default_rng(seed).normal(size=(rows, 200)).astype(np.float32)


# significance


def test_maps_of_the_same_image_that_agree_are_significant() -> None:
    """Where only the own image's map agrees, p is the smallest there is, times the number of pairs."""
    shared = noise(0)
    found = p_values(with_own(a=shared, b=shared + 0.3 * noise(1), c=shared + 0.3 * noise(2)))
    assert found == pytest.approx(dict.fromkeys(("a-b", "a-c", "b-c"), 3 / 10_000))


def test_what_a_class_has_in_common_is_no_significant_agreement() -> None:
    """Maps that agree at 0.9 because their class does, and not their image, are as good as any pairing."""
    of_class = np.repeat(noise(3, rows=3), 4, axis=0)
    evidence = with_own(a=of_class + 0.3 * noise(4), b=of_class + 0.3 * noise(5))
    assert measured(evidence, "agreement")["agreement"].values.mean() > 0.85
    assert p_values(evidence)["a-b"] > 0.01


def test_each_pair_has_holms_adjusted_p_of_its_own_matrix() -> None:
    """Within class, by scipy's correlation of every map of one method with every map of the other."""
    evidence = an_evidence(counts=(4, 3, 4))
    rows = {
        name: (one.own if one.space == "contribution" else one.own * evidence.images).astype(np.float64)
        for name, one in evidence.maps.items()
        if name in METHODS
    }
    by_class = []
    for label in range(3):
        members = np.flatnonzero(evidence.labels == label)
        by_class.append(
            np.array(
                [
                    [[stats.pearsonr(rows[a][i], rows[b][j])[0] for j in members] for i in members]
                    for a, b in PAIRS
                ]
            )
        )
    expected = statistics.holm(statistics.pairing_p_values(by_class, 9_999, np.random.default_rng(0)))
    assert list(p_values(evidence).values()) == pytest.approx(expected.tolist())
    assert list(p_values(evidence)) == [f"{a}-{b}" for a, b in PAIRS]


def test_significance_is_the_same_at_a_second_look() -> None:
    """The permutations are drawn from a generator of a fixed seed."""
    evidence = with_own(a=noise(6), b=noise(7))
    assert p_values(evidence) == p_values(evidence)


def test_an_image_with_a_constant_map_has_no_part_in_significance() -> None:
    """What one constant map leaves is the p of the other images."""
    counts = (101, 50, 50)
    images = np.ones((201, 20), dtype=np.float32)
    generator = np.random.default_rng(8)
    first = generator.normal(size=(201, 20)).astype(np.float32)
    second = (0.1 * first + generator.normal(size=(201, 20))).astype(np.float32)
    flat = first.copy()
    flat[0] = 0.1

    def of(rows: Any, one: Floats) -> dict[str, float]:
        maps = {"a": MethodMaps(one[rows], "contribution"), "b": MethodMaps(second[rows], "contribution")}
        kept = (counts[0] - (201 - len(rows)), *counts[1:])
        return p_values(an_evidence(counts=kept, images=images[rows], maps=maps))

    assert of(np.arange(201), flat) == of(np.arange(1, 201), first)


def test_several_seeds_have_the_largest_p() -> None:
    """An agreement that one seed owes to chance is not significant for the recipe."""
    shared = noise(9)
    sound = measured(with_own(a=shared, b=shared), "agreement_significance")["agreement_significance.a-b"]
    chance = measured(with_own(a=noise(10), b=noise(11)), "agreement_significance")[
        "agreement_significance.a-b"
    ]
    assert sound.values[0] < 0.01 < chance.values[0]
    one = estimated(sound, chance, sound)
    assert one.estimate == chance.values[0]
    assert one.low is None
    assert (one.unit, one.higher_is_better) == ("p-value", False)


def test_too_few_images_have_no_significance() -> None:
    """The reason names the class, as in every other measurement on the explained images."""
    for one in measured(
        an_evidence(counts=(5, 2, 6), minimum_per_class=3), "agreement_significance"
    ).values():
        assert one.values.size == 0
        assert "class 1 (2)" in str(one.reason)


# the worst pair


def test_the_worst_pair_has_an_interval_that_holds_for_all_pairs() -> None:
    """Its bounds are the least of the six pairs' at 1 - 0.05 / 6, and it is as wide as any of them."""
    evidence = an_evidence(counts=(8, 8, 8))
    one = estimated(measured(evidence, "agreement_worst_pair")["agreement_worst_pair"])
    each = [
        statistics.REDUCTIONS["mean"](
            pair.values, pair.strata, statistics.Resampling(1 - 0.05 / 6, 500, np.random.default_rng(0))
        )
        for pair in measured(evidence, "agreement_pair").values()
    ]
    assert one.low == pytest.approx(min(pair.low for pair in each if pair.low is not None))
    assert one.high == pytest.approx(min(pair.high for pair in each if pair.high is not None))
    assert one.standard_error == pytest.approx(min(each, key=lambda pair: pair.estimate).standard_error)


# above the controls


CONTROLS = ("control_untrained", "control_maps.image", "control_maps.edges", "control_maps.random")


def test_agreement_above_controls_is_what_it_has_over_the_largest_of_four() -> None:
    """Image by image agreement less each control's, and of the four means the smallest."""
    evidence = an_evidence()
    found = measured(evidence, "agreement_above_controls")["agreement_above_controls"]
    agreed = measured(evidence, "agreement")["agreement"].values
    controls = measured(evidence, "control_untrained") | measured(evidence, "control_maps")
    for column, name in enumerate(CONTROLS):
        assert found.values[:, column] == pytest.approx(agreed - controls[name].values)
    means = [statistics.stratified_mean(agreed - controls[name].values, evidence.labels) for name in CONTROLS]
    assert estimated(found).estimate == pytest.approx(min(means))


@pytest.mark.parametrize("name", ["reconstructions", "decoder_reconstruction"])
def test_what_the_trained_model_made_is_no_control_of_training(name: str) -> None:
    """Neither the reconstruction nor the decoder without the classifier moves the number."""
    evidence = an_evidence()
    before = measured(evidence, "agreement_above_controls")["agreement_above_controls"].values
    shared = evidence.maps["integrated_gradients"].own
    changed = (
        with_code(evidence, reconstructions=shared)
        if name == "reconstructions"
        else with_maps(evidence, name, shared)
    )
    after = measured(changed, "agreement_above_controls")["agreement_above_controls"].values
    assert after.tolist() == before.tolist()


def test_an_untrained_network_has_nothing_above_itself() -> None:
    """Where the trained maps are the untrained ones', the smallest difference is 0 or less."""
    evidence = an_evidence()
    same = dataclasses.replace(evidence, maps=evidence.untrained)
    found = measured(same, "agreement_above_controls")["agreement_above_controls"]
    assert found.values[:, 0] == pytest.approx(np.zeros(len(found.values)))
    estimate = estimated(found).estimate
    assert estimate is not None
    assert estimate <= 0


def test_constant_maps_of_one_family_are_no_matter_of_another() -> None:
    """As Grad-CAM's are of an untrained network whose evidence is all negative."""
    evidence = an_evidence(methods=(*METHODS, *ASKING_A_LAYER))
    empty = dataclasses.replace(evidence.maps["grad_cam"], own=np.zeros_like(evidence.images))
    maps = {**evidence.maps, "grad_cam": empty}
    evidence = dataclasses.replace(evidence, maps=maps, untrained={**evidence.untrained, "grad_cam": empty})
    found = {
        one.name: one.reason
        for base in ("agreement_gradient_family", "agreement_mixed_family", "control_untrained")
        for one in measurements[base](evidence)
    }
    empty_ones = {name for name, reason in found.items() if reason is not None}
    assert empty_ones == {
        "agreement_mixed_family",
        "control_untrained",
        "control_untrained.decoder_family",  # it has each method's pair with the decoder's
        "control_untrained.layer_family",
        "control_untrained.mixed_family",
    }


def test_maps_of_an_untrained_network_that_are_constant_leave_no_difference() -> None:
    """The reason counts the untrained network's maps."""
    evidence = an_evidence()
    flat = dataclasses.replace(
        evidence.untrained["gradients"], own=np.zeros_like(evidence.untrained["gradients"].own)
    )
    changed = dataclasses.replace(evidence, untrained={**evidence.untrained, "gradients": flat})
    found = measured(changed, "agreement_above_controls")["agreement_above_controls"]
    assert found.values.size == 0
    assert "constant" in str(found.reason)
