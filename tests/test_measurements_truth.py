"""The share of a map on known features: of maps by hand, of trained networks, and where none is known."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import config, datasets, pipeline
from harness.artifacts.directories import RunDirectory
from harness.config import Config
from harness.judging import verdicts
from harness.measurements import Evidence, MethodMaps, measurements
from harness.measurements.truth import mass
from harness.records import Floats, Measurement
from harness.runs import Run
from tests.evidence import METHODS, an_evidence
from tests.small import SMALL
from tests.test_computed import Notes

BASES = (
    "relevance_mass_accuracy",
    "control_relevance_mass",
    "relevance_mass_above_controls",
    "pointing_game",
)
SHORTCUT = {
    "id": "shortcut",
    "measurement": "relevance_mass_above_controls",
    "relation": "<=",
    "threshold": 0.0,
}


def known(**changed: Any) -> Evidence:
    """Evidence whose first twenty pixels of two hundred tell the class, in every image."""
    evidence = an_evidence(**changed)
    assert evidence.truth[:, :20].all()
    assert not evidence.truth[:, 20:].any()
    return evidence


def measured(evidence: Evidence, base: str) -> dict[str, Measurement]:
    return {one.name: one for one in measurements[base](evidence)}


def everywhere(evidence: Evidence, own: Floats) -> Evidence:
    """The same with one map of all methods, as contributions."""
    maps = {name: MethodMaps(own, "contribution", control=one.control) for name, one in evidence.maps.items()}
    return dataclasses.replace(evidence, maps=maps)


def test_the_share_is_that_of_absolute_values() -> None:
    """By hand: signs do not cancel, and a map of zeros has none."""
    maps = np.array([[3.0, -1.0, 0.0, 4.0], [0, 0, 0, 0], [0, 2, 0, 0]])
    truth = np.array([[True, True, False, False]] * 3)
    found = mass(maps, truth)
    assert found[[0, 2]].tolist() == [0.5, 1.0]
    assert np.isnan(found[1])


def test_methods_are_told_apart_and_together() -> None:
    """Each has its own share, in contribution space; the headline is their mean, image by image."""
    evidence = known()
    found = measured(evidence, "relevance_mass_accuracy")
    assert list(found) == ["relevance_mass_accuracy", *(f"relevance_mass_accuracy.{one}" for one in METHODS)]
    own = evidence.maps["gradients"].own * evidence.images
    expected = np.abs(own[:, :20]).sum(axis=1) / np.abs(own).sum(axis=1)
    assert found["relevance_mass_accuracy.gradients"].values == pytest.approx(expected, rel=1e-5)
    mean = np.mean([found[f"relevance_mass_accuracy.{one}"].values for one in METHODS], axis=0)
    assert found["relevance_mass_accuracy"].values == pytest.approx(mean)
    assert all(one.higher_is_better is None for one in found.values())


def test_a_uniform_map_has_the_share_of_the_features() -> None:
    """And |x| that of the image: the controls, and a map that is one of them is not above them."""
    evidence = known()
    ones = everywhere(evidence, np.ones_like(evidence.images))
    (share, *_) = measured(ones, "relevance_mass_accuracy").values()
    controls = measured(ones, "control_relevance_mass")
    assert share.values == pytest.approx(np.full(len(evidence.labels), 20 / 200))
    assert controls["control_relevance_mass.uniform"].values == pytest.approx(share.values)
    image = controls["control_relevance_mass.image"].values
    assert image == pytest.approx(evidence.images[:, :20].sum(1) / evidence.images.sum(1), rel=1e-5)
    (above,) = measured(ones, "relevance_mass_above_controls").values()
    assert above.reduction == "smallest mean"
    assert above.values.mean(axis=0).min() <= 1e-12


@pytest.mark.parametrize(("place", "sign"), [(slice(0, 20), 1), (slice(20, None), -1)])
def test_the_sign_tells_whether_maps_point_there(place: slice, sign: int) -> None:
    """Maps on the known features alone are above every control, maps beside them below."""
    evidence = known()
    own = np.zeros_like(evidence.images)
    own[:, place] = -2.0
    evidence = everywhere(evidence, own)
    (above,) = measured(evidence, "relevance_mass_above_controls").values()
    assert np.sign(above.values.mean(axis=0).min()) == sign
    pointed = measured(evidence, "pointing_game")
    assert {name.split(".")[1] for name in pointed} == set(METHODS)
    assert all((one.values == (sign > 0)).all() for one in pointed.values())


@pytest.mark.parametrize("base", BASES)
def test_there_is_a_reason_where_there_is_no_number(base: str) -> None:
    """Too few images, and maps that are no numbers; never a number of what is left."""
    few = measured(known(minimum_per_class=99), base)
    assert all("too few" in str(one.reason) for one in few.values())
    evidence = known()
    if base != "control_relevance_mass":
        broken = everywhere(evidence, np.full_like(evidence.images, np.nan))
        assert all("NaN or infinite" in str(one.reason) for one in measured(broken, base).values())


def settings(output: Path, **changed: Any) -> Config:
    """A small run of a perceptron, which learns a patch in two epochs, with the criterion of a shortcut."""
    flags = SMALL | {"model": "mlp", "classifier_epochs": 2, "samples_per_class": 4, "output": str(output)}
    found = config.load(flags=flags | changed, folder=output.parent)
    (criterion,) = Config.model_validate({"criteria": [SHORTCUT]}).criteria[-1:]
    return found.model_copy(update={"criteria": (*found.criteria, criterion)})


@pytest.mark.thorough
@pytest.mark.parametrize(("dataset", "verdict"), [("planted-corner", "fail"), ("random-corner", "pass")])
def test_a_planted_shortcut_is_red_by_name_and_its_clean_twin_green(
    dataset: str, verdict: str, tmp_path: Path
) -> None:
    """The same network, recipe and test images; the row says so by an interval that leaves no doubt."""
    run = RunDirectory.open(pipeline.run(settings(tmp_path / "artifacts", dataset=dataset)))
    rows = {one.id: one for one in verdicts.judge(run)["criteria"]}
    assert rows["shortcut"].verdict == verdict, rows["shortcut"]
    assert not rows["shortcut"].marginal
    truth, indices = Run(run).evidence().truth, Run(run).evidence().indices
    assert np.array_equal(truth, np.asarray(datasets.load(dataset).truth)[indices])


@pytest.mark.thorough
def test_data_without_truth_has_no_such_rows_and_says_so(
    small_config: Callable[..., Config], tmp_path: Path
) -> None:
    """The criterion is declared away, also where a run is taken from an earlier one as a whole."""
    (criterion,) = Config.model_validate({"criteria": [SHORTCUT]}).criteria[-1:]
    for fresh in (False, True):
        notes, plain = Notes(), small_config(fresh=fresh)
        asked = plain.model_copy(update={"criteria": (*plain.criteria, criterion)})
        run = RunDirectory.open(pipeline.run(asked, notes))
        assert (run.read_json("stages.json")["taken_from"] is None) is fresh
        assert (
            "judged without shortcut: the data does not say which features tell the classes" in notes.warned
        )
        names = {one.name.split(".")[0] for one in run.read_estimates()}
        assert names
        assert not names & set(BASES)
        assert "truth" not in run.read_arrays("samples.npz")
        verdict = verdicts.judge(run)
        assert "shortcut" not in {one.id for one in verdict["criteria"]}
        assert any("judged without shortcut" in one for one in verdict["announcements"])
        assert "truth" not in json.loads((run / "model.json").read_text())["capabilities"]
