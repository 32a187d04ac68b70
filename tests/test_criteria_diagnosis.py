"""A red run says by how much, where it is worst, where to look and how to repeat it."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.artifacts.directories import RunDirectory
from harness.ci.summaries import worst_sample
from harness.config import load
from harness.config.parameters import SWITCH_AWARE
from harness.criteria import diagnosis
from harness.criteria.diagnosis import by_how_much, details, sentence, worst
from harness.criteria.rows import PAST, own_verdict
from harness.judging import verdicts
from harness.records import Verdict
from harness.text import words
from tests.written import a_run, an_estimate


def a_verdict(**changed: Any) -> Verdict:
    known: dict[str, Any] = dict(
        id="agreement",
        title="Agreement",
        measurement="agreement",
        estimate=0.57,
        low=0.54,
        high=0.6,
        confidence=0.95,
        n=12,
        relation=">=",
        threshold=0.6,
        unit="correlation",
        margin_se=-2.0,
        gate=True,
        verdict="fail",
        marginal=True,
        why="Agreement: 0.57 is under 0.6",
        minimum_detectable_difference=0.042,
    )
    return Verdict(**known | changed)


def whole(*criteria: Verdict, **changed: Any) -> dict[str, Any]:
    """What a `verdict.json` would hold of these criteria."""
    known: dict[str, Any] = dict(
        verdict="fail",
        strict=False,
        dataset={"name": "blobs"},
        notice=None,
        failure=None,
        criteria=list(criteria),
        announcements=[],
    )
    return known | changed


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return a_run(tmp_path / "with space" / "artifacts")


def store(run: RunDirectory, name: str, values: Any, *, by_sample: bool) -> None:
    """A measurement's file: float64 [seeds, n] or [seeds, n, parts]."""
    strata = {"strata": np.repeat([0, 1, 2], 4)} if by_sample else {}
    run.write_arrays(f"measurements/{name}.npz", {name: np.asarray(values), "seeds": np.array([0]), **strata})


# by how much


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({}, "0.03 (correlation) on the wrong side of >= 0.6, 2.0 standard errors"),
        ({"estimate": 0.66, "margin_se": 4.0}, "0.06 (correlation) on the good side of >= 0.6, 4.0 standard"),
        ({"relation": "<=", "threshold": 0.5, "unit": ""}, "0.07 on the wrong side of <= 0.5"),
        (
            {"relation": "within", "threshold": (0.1, 0.5)},
            "0.07 (correlation) on the wrong side of within [0.1",
        ),
        ({"relation": "within", "threshold": (0.6, 0.9)}, "0.03 (correlation) on the wrong side"),
        ({"estimate": None}, "there is no number to compare"),
        ({"threshold": None}, "a test of one's own has no threshold"),
    ],
)
def test_the_distance_is_to_the_nearer_threshold(change: dict[str, Any], text: str) -> None:
    """It has its unit and side, and is counted in standard errors where these are known."""
    assert by_how_much(a_verdict(**change)).startswith(text)


def test_what_is_unknown_is_left_out() -> None:
    """Straddling and the detectable difference stand only where they are so."""
    text = by_how_much(a_verdict())
    assert "straddles" in text
    assert "detectable with 80 % power: 0.042" in text
    bare = by_how_much(a_verdict(marginal=False, margin_se=None, minimum_detectable_difference=None))
    assert bare == "0.03 (correlation) on the wrong side of >= 0.6"


# where it is worst


def test_the_lowest_images_are_the_worst_of_at_least(run: RunDirectory) -> None:
    """Of a measurement by explained image the three worst are named: test index, class, value."""
    store(run, "agreement", [[0.9, 0.1, 0.9, 0.9, 0.3, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.2]], by_sample=True)
    assert worst(run, a_verdict())[-1] == "test image 11 (shirt) 0.1, 21 (bag) 0.2, 14 (boot) 0.3"


def test_the_worst_are_called_what_they_are(tmp_path: Path) -> None:
    """A series is no image, also where nothing can be said of it."""
    run = a_run(tmp_path, data={"kind": "series", "axes": ["channel", "time"], "shape": [2, 2]})
    store(run, "agreement", [[0.9] * 11 + [np.nan]], by_sample=True)
    assert worst(run, a_verdict())[-1].startswith("test series 10 (shirt) 0.9")
    assert worst(run, a_verdict(estimate=None)) == ["1 series without a value, first test series 21 (bag)"]
    assert worst(run, a_verdict(threshold=None)) == ["none, a test of one's own tells no series"]
    run.write_arrays("measurements/agreement_pair.npz", {"seeds": np.array([0])})
    assert worst_sample(run).startswith("test series **21**")


@pytest.mark.parametrize(
    ("relation", "threshold", "first"), [("<=", 0.5, "15 (boot) 12"), ("within", (4.0, 5.0), "15 (boot) 12")]
)
def test_the_direction_follows_the_relation(
    run: RunDirectory, relation: str, threshold: Any, first: str
) -> None:
    """The highest are worst of `at most`; of a band, those farthest outside, to either side."""
    store(run, "agreement", [np.arange(12) + 7.0 * (np.arange(12) == 5)], by_sample=True)
    (text,) = [*worst(run, a_verdict(relation=relation, threshold=threshold))]
    assert text.startswith(f"test image {first}")


def test_several_seeds_are_averaged_and_missing_values_are_not_the_worst(run: RunDirectory) -> None:
    """An image's value is its mean over seeds; one without a value in a seed has none."""
    values = np.full((2, 12), 0.9)
    values[:, 3], values[:, 4], values[0, 5] = (0.1, 0.3), (0.3, 0.5), np.nan
    store(run, "agreement", values, by_sample=True)
    assert worst(run, a_verdict())[-1].startswith("test image 13 (shirt) 0.2, 14 (boot) 0.4, ")


def test_images_without_a_value_are_the_worst_of_an_error(run: RunDirectory) -> None:
    """Where there is no number because images lack a value, these are named."""
    values = np.full((1, 12), 0.9)
    values[0, [2, 7]] = np.nan
    store(run, "agreement", values, by_sample=True)
    text = worst(run, a_verdict(estimate=None, verdict="error"))[-1]
    assert text == "2 images without a value, first test image 12 (shirt), 17 (boot)"


def test_of_several_columns_the_one_that_attains_the_number_counts(run: RunDirectory) -> None:
    """Of pairs, the images of the worst pair are named."""
    values = np.stack([np.linspace(0.9, 0.8, 12), np.linspace(0.5, 0.64, 12), np.full(12, 0.7)], axis=1)
    store(run, "agreement_worst_pair", [values], by_sample=True)
    (text,) = worst(run, a_verdict(measurement="agreement_worst_pair", estimate=0.57))
    assert text.startswith("test image 10 (shirt) 0.5, ")


def test_a_measurement_of_the_whole_test_set_names_its_worst_class(run: RunDirectory) -> None:
    """Of accuracy and its like the class with the worst mean is named."""
    right = np.ones(30)
    right[10:14] = 0
    store(run, "accuracy", [right], by_sample=False)
    assert worst(run, a_verdict(measurement="accuracy")) == ["class boot 0.6"]


def test_a_ratio_is_taken_by_class_as_it_is_over_all(run: RunDirectory) -> None:
    """Sums are divided, not ratios averaged: one image without variance spoils no class."""
    errors, deviations = np.ones(30), np.full(30, 4.0)
    errors[20:], deviations[29] = 3.0, 0.0
    store(run, "fraction_unexplained", [np.stack([errors, deviations], axis=1)], by_sample=False)
    verdict = a_verdict(measurement="fraction_unexplained", relation="<=", threshold=0.25, estimate=0.43)
    assert worst(run, verdict) == [f"class bag {30 / 36:.4g}"]


def test_the_worst_pair_is_named_first(tmp_path: Path) -> None:
    """Agreement's worst pair stands in front of its images, in words."""
    pairs = {"integrated_gradients-gradients": 0.8, "integrated_gradients-decoder_weighted": 0.52}
    estimates = tuple(an_estimate(f"agreement_pair.{name}", number) for name, number in pairs.items())
    # a seed's own estimates come after those of all seeds, and do not count
    own = (an_estimate("agreement_pair.integrated_gradients-gradients", 0.1, seed=0),)
    run = a_run(tmp_path / "artifacts", estimates=estimates + own)
    store(run, "agreement", [np.full(12, 0.57)], by_sample=True)
    assert worst(run, a_verdict())[0] == "pair integrated gradients – decoder weighted 0.52"


def test_a_short_selection_names_its_class(run: RunDirectory) -> None:
    """The class with the fewest right and sure samples is named, also where enough unsure ones were taken."""
    labels = run.read_arrays("samples.npz")["labels"]
    indices = run.read_arrays("samples.npz")["indices"]
    logits = np.zeros((indices.max() + 1, 3))
    logits[indices, labels] = 9.0
    logits[indices[labels == 1][:2]] = (0.0, 0.5, 0.0)  # right, and unsure
    logits[indices[labels == 1][2]] = (9.0, 0.0, 0.0)  # wrong
    run.seed(0).write_arrays("predictions.npz", {"logits": logits})
    wanted = run.read_config().selection.samples_per_class
    expected = f"class boot, 1 of {wanted} wanted images are right and sure"
    assert worst(run, a_verdict(measurement="selection")) == [expected]


@pytest.mark.parametrize(
    ("measurement", "parts", "expected"),
    [
        (
            "attribution_copies",
            {"agreement_pair.gradients-smoothgrad": 0.9995, "agreement_pair.gradients-decoder_weighted": 0.6},
            "pair gradients – smoothgrad 0.9995",
        ),
        (
            "attribution_faithfulness",
            {"faithfulness.gradients": 0.2, "faithfulness.smoothgrad": -0.1},
            "method smoothgrad -0.1",
        ),
    ],
)
def test_the_worst_part_of_what_joins_several_is_named(
    tmp_path: Path, measurement: str, parts: dict[str, float], expected: str
) -> None:
    """Method or pair: the reader learns where to look before which image to look at."""
    run = a_run(tmp_path / "artifacts", numbers=parts)
    store(run, measurement, [np.ones(12)], by_sample=True)
    assert worst(run, a_verdict(measurement=measurement))[0] == expected


def test_maps_that_are_not_their_definitions_are_named_with_method_image_and_error(run: RunDirectory) -> None:
    """The method of which most fail, and its images whose errors are largest, in any seed."""
    methods = run.read_config().attribution.methods
    holds = np.ones((2, 12, 1 + len(methods)))
    errors = {f"attribution_integrity.{name}": np.full((2, 12), 1e-7) for name in methods}
    holds[1, [2, 3, 11], 2] = holds[0, 5, 1] = 0
    errors[f"attribution_integrity.{methods[1]}"][1, [2, 3, 11]] = 0.03, np.nan, 0.2
    errors[f"attribution_integrity.{methods[0]}"][0, 5] = 0.7
    arrays = {"attribution_integrity": holds, "seeds": np.array([0, 1]), "strata": np.repeat([0, 1, 2], 4)}
    run.write_arrays("measurements/attribution_integrity.npz", arrays | errors)
    (text,) = worst(run, a_verdict(measurement="attribution_integrity", threshold=0.95, estimate=0.87))
    named = "test image 13 (shirt) error inf, 21 (bag) error 0.2, 12 (shirt) error 0.03"
    assert text == f"{words(methods[1])}: 3 of 12 fail, {named}"


@pytest.mark.parametrize(
    ("held", "outcome", "told"), [(1.0, "fail", True), (1.0, "pass", False), (0.97, "fail", False)]
)
@pytest.mark.parametrize(
    ("measurement", "text"),
    [
        ("attribution_copies", "so none is a copy: on this model two methods are one"),
        ("attribution_faithfulness", "so this is a finding about the model, .*'Where faithfulness is red'"),
        ("agreement", ""),
    ],
)
def test_what_is_red_by_the_model_says_so(
    tmp_path: Path, held: float, outcome: str, told: bool, measurement: str, text: str
) -> None:
    """Where each map is what it claims to be, no map is to be mended."""
    run = a_run(tmp_path / "artifacts", numbers={"attribution_integrity": held})
    store(run, measurement, [np.ones(12)], by_sample=True)
    found = "; ".join(worst(run, a_verdict(measurement=measurement, verdict=outcome)))
    assert ("every map satisfies its own definition" in found) == (told and bool(text))
    assert bool(text and re.search(text, found)) == (told and bool(text))


@pytest.mark.parametrize("outcome", ["fail", "pass"])
def test_maps_that_do_not_add_up_name_their_images_and_the_mend(run: RunDirectory, outcome: str) -> None:
    """The settings that mend them, with what they are."""
    name = f"completeness.{SWITCH_AWARE}"
    gaps = np.where(np.arange(12) == 3, 0.3, 0.02)
    run.write_arrays(
        "measurements/completeness.npz",
        {name: gaps[None], "strata": np.repeat([0, 1, 2], 4), "seeds": np.array([0])},
    )
    verdict = a_verdict(measurement=name, relation="<=", threshold=0.01, estimate=0.02, verdict=outcome)
    images, *mend = worst(run, verdict)
    assert images.startswith("test image 13 (shirt) 0.3, ")
    told = (
        "what is missing lies between the points that the method asks; raise attribution.switch_points (2), "
        "then attribution.attribution_steps (50)"
    )
    assert mend == ([told] if outcome == "fail" else [])


def test_the_section_that_is_named_is_there() -> None:
    """Of red faithfulness, in the models' page."""
    page = Path(__file__).parents[1] / "docs/models.md"
    assert "\n### Where faithfulness is red\n" in page.read_text("utf-8")


def test_what_nobody_can_say_is_said(run: RunDirectory) -> None:
    """One number a run, a missing file and a test of one's own have no worst image, and say so."""
    store(run, "dead_units", [[5.0]], by_sample=False)
    assert worst(run, a_verdict(measurement="dead_units")) == ["none, it is one number a run"]
    assert worst(run, a_verdict(measurement="dead_units.more")) == ["none, it was not measured"]
    store(run, "other", [np.ones(7)], by_sample=False)
    assert worst(run, a_verdict(measurement="other")) == ["none, its values are of no image"]
    assert "missing" in worst(run, a_verdict(measurement="gone"))[0]
    assert worst(run, a_verdict(threshold=None)) == ["none, a test of one's own tells no images"]


# the sentence


def test_the_sentence_names_all_that_a_run_is_judged_without() -> None:
    """Whatever the reasons, and whatever stands in them."""
    told = ["judged without a, c: no code; a: b", "judged without b: no k", "d: looser than shipped: x"]
    text = sentence(whole(a_verdict(), announcements=told))
    assert text.endswith(" (looser than shipped: d) (judged without: a, c, b)")


# the lines


def test_a_red_run_is_explained_in_five_lines(run: RunDirectory) -> None:
    """Sentence, distance, worst samples, place and repetition, in this order; then the other gates."""
    store(run, "agreement", [np.full(12, 0.57)], by_sample=True)
    others = [
        a_verdict(id="accuracy", verdict="pass"),
        a_verdict(id="sparsity", why="Active units: 120 is over 110"),
        a_verdict(id="seen", gate=False),
    ]
    lines = diagnosis.diagnosis(run, whole(a_verdict(), *others))
    starts = ("FAIL on blobs: Agreement: 0.57", "by how much: 0.03", "worst: test image", "run: ", "repeat: ")
    assert [line.startswith(start) for line, start in zip(lines, starts, strict=False)] == [True] * 5
    assert lines[5:] == ["also red: sparsity (fail): Active units: 120 is over 110"]
    assert len(diagnosis.diagnosis(run, whole(a_verdict()))) == 5


def test_each_red_gate_has_its_reason_in_a_line(run: RunDirectory) -> None:
    """Those that ship first, then tests of one's own by what they assert; the sixth and on by name alone."""
    own = own_verdict(
        "mine", "Mine", "test_mine.py", "fail", "Mine: 3 of 5 maps are empty\n  where 3 = len(x)"
    )
    failed = own_verdict("lost", "Lost", "test_lost.py", "error", "lost: its test was skipped")
    shipped = [a_verdict(id=name, why=f"{name}: 0.1 is under 0.2") for name in "abcd"]
    lines = details(run, whole(a_verdict(), own, failed, *shipped))
    assert [line for line in lines if line.startswith(("also red", "and "))] == [
        *(f"also red: {name} (fail): 0.1 is under 0.2" for name in "abcd"),
        "also red: mine (fail): Mine: 3 of 5 maps are empty",
        "and 1 more: lost",
    ]
    assert "also red: lost (error): its test was skipped" in details(run, whole(a_verdict(), failed))
    long = details(run, whole(a_verdict(), a_verdict(id="long", why="x" * 900)))[-1]
    assert len(long) < 300


def test_the_commands_to_repeat_it_can_be_pasted(run: RunDirectory) -> None:
    """Paths are quoted for the shell, `--strict` is kept, and the configuration named is the run's."""
    *_, line = details(run, whole(a_verdict(), strict=True))
    validate, judge = (shlex.split(part) for part in line.removeprefix("repeat: ").split("; judge again: "))
    assert validate == ["harness", "validate", "--config", str(run / "config.toml"), "--strict"]
    assert judge == ["harness", "judge", "--strict", str(run.path)]
    assert load(validate[3]) == run.read_config()
    assert "--strict" not in details(run, whole(a_verdict()))[-1]
    *_, line = details(run, {**whole(a_verdict()), "checks": ["/a b", "/c"]})
    assert [shlex.split(part)[-3:-1] for part in (line.partition("; judge")[2],)] == [["--checks", "/a b,/c"]]
    assert "--checks '/a b,/c';" in line


def test_the_place_to_look_is_one_that_is_there(run: RunDirectory) -> None:
    """The report is named where there is one, or will be; otherwise the folder and how to render it."""
    assert details(run, whole(a_verdict()))[2].startswith(f"run: {run.path} (its report: harness report '")
    assert details(run, whole(a_verdict()), reported=True)[2] == f"report: {run / 'report.html'}"
    (run / "report.html").write_text("")
    assert details(run, whole(a_verdict()))[2] == f"report: {run / 'report.html'}"


def test_the_gate_that_is_explained_is_the_one_of_the_sentence(run: RunDirectory) -> None:
    """An error wins over a fail that stands before it, in the sentence and in the lines."""
    error = a_verdict(id="accuracy", estimate=None, threshold=0.7, verdict="error", why="Accuracy: no number")
    lines = diagnosis.diagnosis(run, whole(a_verdict(), error, verdict="error"))
    assert "Accuracy: no number" in lines[0]
    assert lines[1] == "by how much: there is no number to compare"
    assert lines[-1] == f"also red: agreement (fail): {a_verdict().why}"


def test_a_run_that_broke_off_counts_what_was_not_judged(run: RunDirectory) -> None:
    """It has five lines too: how many gates lack a verdict, and how to go on."""
    failure = {"stage": "training", "kind": "x", "message": "nan", "trace": None}
    criteria = (a_verdict(verdict="error"), a_verdict(verdict="pass"), a_verdict(gate=False))
    lines = diagnosis.diagnosis(run, whole(*criteria, verdict="error", failure=failure))
    assert lines[0] == "ERROR on blobs: the run broke off in stage training: nan"
    assert lines[1:3] == ["by how much: 1 of 2 gates could not be judged", "worst: none, it broke off"]
    assert len(lines) == 5


def test_a_run_without_gates_says_so(run: RunDirectory) -> None:
    """No gate at all is an error with five lines."""
    lines = diagnosis.diagnosis(run, whole(a_verdict(gate=False), verdict="error"))
    assert lines[1:3] == ["by how much: no gate was declared", "worst: none"]
    assert len(lines) == 5


def test_a_regression_says_how_it_is_accepted(tmp_path: Path) -> None:
    """And a canary that is worse, how it is blamed."""
    run = a_run(tmp_path / "artifacts")
    verdict = verdicts.judge(run)
    row = replace(own_verdict("regression.accuracy-41", "Regression", "accuracy", "fail", "w"), relation=PAST)
    canary = replace(row, id="regression.canary")
    told = verdict | {"verdict": "fail", "criteria": [row, canary], "regressions": [{"id": "accuracy@41"}]}
    lines = details(run, told)
    assert 'accept: harness accept accuracy@41 --reason "…"' in lines
    assert any(line.startswith("canary: harness blame ") for line in lines)
    assert not any(line.startswith(("by how much", "worst")) for line in lines)
    assert lines[-1] == "also red: w"
    assert any("harness nightly says whether they recovered" in line for line in lines)
