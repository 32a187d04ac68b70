"""The report's sections on numbers: what their sentences and tables say is what the run holds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import report
from harness.artifacts.directories import RunDirectory
from harness.artifacts.files import Folder
from harness.criteria import show
from harness.figures import Margin
from harness.judging import verdicts
from harness.measurements.controls import UNTRAINED
from harness.records import Verdict
from harness.report import Chart
from harness.report.agreement import _highest
from harness.report.forest import margin
from harness.report.model import calibration
from harness.report.validity import completeness
from harness.runs import Run
from harness.text import listed
from tests.written import a_run, an_estimate, sealed_anew

pytestmark = pytest.mark.usefixtures("judged_here")

RANDOM = np.random.default_rng(0)


def context(run: RunDirectory | Run, name: str) -> Mapping[str, Any]:
    """What a section gives to its template."""
    found = report.sections[name].fill(run if isinstance(run, Run) else Run(run))
    assert not isinstance(found, str), found
    return found


def judged(output: Path, **changed: Any) -> RunDirectory:
    """A run of good estimates, some of them changed, with its verdict."""
    run = a_run(output, **changed)
    verdicts.judge(run)
    return run


def changed_arrays(folder: Folder, name: str, **arrays: Any) -> None:
    """Replace some arrays of a file; None takes one away."""
    known = folder.read_arrays(name) | arrays
    (folder / name).unlink()
    folder.write_arrays(name, {key: values for key, values in known.items() if values is not None})


@pytest.fixture(scope="module")
def small(finished_output: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The small run, in a copy that is read and not written."""
    target = tmp_path_factory.mktemp("numbers") / "run"
    shutil.copytree((finished_output / "latest").resolve(), target)
    return Run(RunDirectory.open(target))


# forest


def margins_of(run: RunDirectory) -> dict[str, Margin]:
    read = Run(run)
    criteria: list[Verdict] = (read.verdict or {})["criteria"]
    return {one.id: margin(read, one) for one in criteria}


def test_margins_are_those_of_the_verdict(tmp_path: Path) -> None:
    """A margin is the verdict's, its interval two standard errors to either side, for each relation."""
    run = judged(tmp_path, numbers={"agreement": 0.57, "reconstruction": 0.05, "sparsity": 54.99})
    found = margins_of(run)
    criteria: list[Verdict] = (Run(run).verdict or {})["criteria"]
    for one in criteria:
        assert found[one.id].value == pytest.approx(one.margin_se), one.id
    for name, expected in {"agreement": -3.0, "reconstruction": 5.0, "sparsity": 1.0}.items():
        row = found[name]
        assert row.value == pytest.approx(expected)
        assert (row.low, row.high) == pytest.approx((expected - 2, expected + 2))
    assert found["agreement"].red
    assert found["agreement"].side == -1


def test_a_seeds_own_margin_is_in_joint_standard_errors(tmp_path: Path) -> None:
    """Each seed's estimate stands at its distance over the error of all seeds together."""
    seeds = tuple(
        an_estimate("agreement", number, seed=seed) for seed, number in enumerate((0.62, 0.7, 0.59))
    )
    run = judged(tmp_path, config={"seeds": [0, 1, 2]}, estimates=seeds)
    found = margins_of(run)
    assert found["agreement"].seeds == pytest.approx((2.0, 10.0, -1.0))
    assert found["accuracy"].seeds == ()
    assert context(run, "forest")["several"]


def test_what_has_no_standard_error_is_exact_or_silent(tmp_path: Path) -> None:
    """A count of all there is stands on its side without a margin; what has no number says so."""
    exact = an_estimate("selection", 1.0, low=1.0, high=1.0, standard_error=0.0)
    silent = an_estimate("agreement", None, reason="no map")
    at_its_end = an_estimate("attribution_integrity", 1.0, low=0.97, high=1.0, standard_error=0.0)
    run = judged(tmp_path, estimates=(exact, silent, at_its_end))
    found = margins_of(run)
    assert (found["selection"].value, found["selection"].side) == (None, 1)
    assert (found["agreement"].value, found["agreement"].side) == (None, 0)
    chart = context(run, "forest")["chart"]
    assert "Without a number: Agreement of the attribution methods" in chart.finding
    words = {row[0]: row[5] for row in chart.rows}
    assert words["Wanted samples that are right and sure"] == "exact, good side"
    assert words["Samples whose maps satisfy their definitions"] == "no standard error, good side"
    assert words["Agreement of the attribution methods"] == "no number"


def test_the_forests_sentence_names_the_nearest_gate(tmp_path: Path) -> None:
    """The smallest margin among gates is named, and the failed one before all."""
    ends = {"selection": 1.0, "test_overlap": 0.0}
    exact = tuple(an_estimate(name, end, low=end, high=end, standard_error=0.0) for name, end in ends.items())
    named = "Of the gates 'Agreement of the attribution methods' is"
    run = judged(tmp_path / "good", numbers={"agreement": 0.615}, estimates=exact)
    finding = context(run, "forest")["chart"].finding
    assert f"{named} nearest to its threshold, 1.5 standard errors on the good side" in finding
    run = judged(tmp_path / "bad", numbers={"agreement": 0.57, "accuracy": 0.74}, estimates=exact)
    finding = context(run, "forest")["chart"].finding
    assert f"{named} furthest beyond its threshold, 3.0 standard errors on the bad side" in finding
    watched = {"agreement_spearman": 0.603, "agreement_worst_pair": 0.62}
    run = judged(tmp_path / "watched", numbers=watched, estimates=exact)
    told = context(run, "forest")["chart"].finding.split("Of the watched criteria ")[1]
    assert (
        told
        == "'Rank agreement (Spearman)' is nearest to its threshold, 0.3 standard errors on the good side."
    )
    run = judged(tmp_path / "bad", numbers={"agreement": 0.57, "accuracy": 0.74}, estimates=exact)
    gates = [one for one in margins_of(run).values() if one.gate]
    assert finding.startswith(f"{len(gates) - 2} of {len(gates)} gates")


def test_a_test_of_ones_own_has_a_row(tmp_path: Path) -> None:
    """A criterion without a number and a threshold stands in the forest, in words."""
    run = judged(tmp_path)
    values = json.loads((run / "verdict.json").read_text(encoding="utf-8"))
    own = values["criteria"][0] | dict(
        id="mine", title="Mine </svg>", estimate=None, low=None, high=None, relation="holds",
        threshold=None, margin_se=None, minimum_detectable_difference=None,
    )  # fmt: skip
    values["criteria"].append(own)
    (run / "verdict.json").write_text(json.dumps(values), encoding="utf-8")
    sealed_anew(run)
    assert margins_of(run)["mine"].side == 0
    assert "Mine </svg>" in context(run, "forest")["chart"].finding


# agreement


def test_agreement_by_class_is_what_the_images_say(small: Run) -> None:
    """Each cell of the table is the class's mean, and the lowest of all pairs is the one that is named."""
    chart: Chart = context(small, "agreement")["by_class"]
    labels = small.directory.read_arrays("samples.npz")["labels"]
    arrays = small.directory.read_arrays("measurements/agreement_pair.npz")
    means = {
        (name.split(".")[1], label): arrays[name][0][labels == label].mean()
        for name in arrays
        if name.startswith("agreement_pair.")
        for label in range(10)
    }
    (pair, label), lowest = min(means.items(), key=lambda item: item[1])
    named = " – ".join(pair.replace("_", " ").split("-"))
    assert f"it is {named} on {small.classes[label]}, {lowest:.4g} (framed)" in chart.finding
    column = chart.columns.index(named)
    assert chart.rows[label][column] == f"{lowest:.4g}"


def test_a_class_without_a_value_is_a_dash(finished: RunDirectory) -> None:
    """Where no image of a class has a correlation, its cells say so and another class is the lowest."""
    labels = finished.read_arrays("samples.npz")["labels"]
    for name in ("agreement", "agreement_pair"):
        arrays = finished.read_arrays(f"measurements/{name}.npz")
        gone = {
            key: np.where(labels == 3, np.nan, values)
            for key, values in arrays.items()
            if key.startswith(name)
        }
        changed_arrays(finished, f"measurements/{name}.npz", **gone)
    chart: Chart = context(finished, "agreement")["by_class"]
    assert set(chart.rows[3][1:-1]) == {"–"}
    assert Run(finished).classes[3] not in chart.finding


def test_the_spread_counts_images_under_the_threshold(finished: RunDirectory) -> None:
    """How many images lie under the threshold, and over the highest control, is counted."""
    values = np.linspace(0.5, 0.9, 40)[None]
    changed_arrays(finished, "measurements/agreement.npz", agreement=values)
    for name in ("control_untrained", "control_repaired", "control_maps"):
        arrays = finished.read_arrays(f"measurements/{name}.npz")
        low = {key: np.full((1, 40), 0.1) for key in arrays if key.startswith("control")}
        changed_arrays(finished, f"measurements/{name}.npz", **low)
    family = {"control_untrained.gradient_family": np.full((1, 40), 0.55)}
    changed_arrays(finished, "measurements/control_untrained.npz", **family)
    chart: Chart = context(finished, "agreement")["spread"]
    assert f"{(values < 0.6).sum()} of 40 are under the threshold of 0.6" in chart.finding
    over = f"On {(values > 0.1).sum()} of 40 images it is over the highest control of all pairs"
    assert f"{over} without training, 'Untrained network'." in chart.finding
    over = f"On {(values > 0.55).sum()} it is over 'Untrained network, gradient family'"
    assert f"{over}, the highest that is only shown." in chart.finding


def test_the_largest_control_is_the_one_that_the_criterion_is_of(finished: RunDirectory) -> None:
    """What its row comes to: agreement less the highest of the controls that the text names, not of all."""
    found, estimates = context(finished, "agreement"), {one.name: one for one in Run(finished).estimates}
    named = [estimates[name] for name in UNTRAINED if name in estimates]
    assert found["held"] == listed(one.title for one in named)
    assert "The reconstruction" not in found["held"]
    highest = max(named, key=lambda one: one.estimate or 0.0)
    told = f"the highest control of all pairs without training is '{highest.title}' with"
    assert f"; {told} {show(highest.estimate)}" in found["controls"].finding
    above = (estimates["agreement"].estimate or 0.0) - (highest.estimate or 0.0)
    assert above == pytest.approx(estimates["agreement_above_controls"].estimate, abs=1e-6)


def test_of_no_control_none_is_told() -> None:
    """The highest of none; and a control that counts goes before an equal one that is only shown."""
    assert _highest({}) == ("", "")
    assert _highest({"control_repaired": 0.4}) == ("", "control_repaired")
    assert _highest({"control_repaired": 0.4, "control_untrained": 0.4}) == ("control_untrained",) * 2


@pytest.mark.parametrize("capability", ["k", "code"])
def test_only_a_model_with_a_k_is_said_to_jump(finished: RunDirectory, capability: str) -> None:
    """Of others nothing enters or leaves it."""
    record = finished.read_json("model.json")
    record["capabilities"] = [one for one in record["capabilities"] if one != capability]
    (finished / "model.json").write_text(json.dumps(record), encoding="utf-8")
    assert context(finished, "agreement")["jumps"] is (capability != "k")


def test_what_was_measured_is_shown_though_agreement_was_not(finished: RunDirectory) -> None:
    """Where one method spoils the mean, the pairs and the controls still stand there."""
    values = json.loads((finished / "estimates.json").read_text(encoding="utf-8"))
    for row in values["estimates"]:
        if row["name"] == "agreement":
            row |= dict.fromkeys(("estimate", "low", "high", "standard_error")) | {"reason": "constant maps"}
    (finished / "estimates.json").write_text(json.dumps(values), encoding="utf-8")
    found = context(finished, "agreement")
    assert "mean correlation is not measured; the worst pair is" in found["matrix"].finding
    assert found["controls"].finding.startswith("Agreement is not measured; the highest control of all")


# the model


def test_calibration_is_the_papers() -> None:
    """The error is the mean over images of their bin's gap, the bins (low, high] (Guo et al. 2017, eq. 3)."""
    sureness, right = RANDOM.random(500), RANDOM.random(500) < 0.6
    edges = np.linspace(0, 1, 11)
    bins, error = calibration(sureness, right, edges)
    gaps = np.zeros(500)
    for low in range(10):
        inside = (sureness > low / 10) & (sureness <= (low + 1) / 10)
        gaps[inside] = abs(right[inside].mean() - sureness[inside].mean())
        assert bins["count"][low] == inside.sum()
    assert error == pytest.approx(gaps.mean())


@pytest.mark.parametrize(
    ("sureness", "right", "error"),
    [
        ([1.0, 1.0], [True, True], 0.0),
        ([1.0, 1.0], [False, False], 1.0),
        ([0.0, 0.1, 0.1], [False] * 3, 0.2 / 3),
    ],
)
def test_calibration_at_its_ends(sureness: list[float], right: list[bool], error: float) -> None:
    """A model that is always right and sure has no error, one always wrong and sure the largest."""
    _, found = calibration(np.array(sureness), np.array(right), np.linspace(0, 1, 11))
    assert found == pytest.approx(error)


def test_the_models_sentences_are_computed(finished: RunDirectory) -> None:
    """The most frequent confusion and the side on which the model errs are read from the predictions."""
    labels = np.repeat(np.arange(10), 20)
    logits = np.full((200, 10), -20.0)
    logits[np.arange(200), labels] = 20.0
    logits[60:65] = logits[20]  # five of class 3 are named class 1
    logits[100] = logits[20]
    changed_arrays(finished.seed(0), "predictions.npz", logits=logits.astype(np.float32), labels=labels)
    found = context(finished, "model")
    classes = Run(finished).classes
    assert f"{classes[3]} is named {classes[1]} in 5 of 20 cases (25.0%)" in found["confusion"].finding
    assert "6 of 200 predictions are wrong" in found["confusion"].finding
    assert found["confusion"].rows[3][1:] == (0, 5, 0, 15, 0, 0, 0, 0, 0, 0, 20)
    finding = found["calibration"].finding
    assert "Expected calibration error 0.03 in 10 bins; overconfident by 3.0 points" in finding


@pytest.mark.thorough
def test_predictions_that_are_no_numbers_are_said(finished: RunDirectory) -> None:
    """With NaN among the logits nothing is confused or calibrated, and the page says so."""
    logits = finished.seed(0).read_arrays("predictions.npz")["logits"].copy()
    logits[:3, 0] = np.nan
    changed_arrays(finished.seed(0), "predictions.npz", logits=logits)
    found = context(finished, "model")
    assert (found["confusion"], found["calibration"], found["bad"]) == (None, None, 3)
    assert "3 predictions are NaN or infinite" in report.render(sealed_anew(finished)).read_text(
        encoding="utf-8"
    )


# the sparse code


def test_what_units_add_to_a_class_is_what_the_maps_say(finished: RunDirectory) -> None:
    """Units' contributions times their atoms are the class's mean map of the weighted decoder."""
    codes = finished.seed(0).read_arrays("codes.npz")
    maps = finished.seed(0).read_arrays("attributions/decoder_weighted.npz")["maps"]
    labels = finished.read_arrays("samples.npz")["labels"]
    rebuilt = codes["class_contributions"] @ codes["atoms"].astype(np.float32)
    for label in range(10):
        mean = maps[labels == label].mean(axis=0)
        np.testing.assert_allclose(rebuilt[label], mean, atol=2e-3 * np.abs(mean).max())


def test_the_strongest_atoms_are_those_that_add_most(finished: RunDirectory) -> None:
    """Each class's row names its units by what they add, the most first."""
    strength = RANDOM.random((10, 256)).astype(np.float32)
    strength[4, 17] = 9.0
    changed_arrays(finished.seed(0), "codes.npz", class_contributions=strength)
    chart: Chart = context(finished, "sparse-code")["atoms"]
    assert (
        f"The strongest unit of all is 17: it adds 9 to the logit of {Run(finished).classes[4]}"
        in chart.finding
    )
    for label, row in enumerate(chart.rows):
        units = [int(str(cell).split()[0]) for cell in row[2:-1]]
        assert units == np.argsort(-strength[label])[: len(units)].tolist()


@pytest.mark.thorough
def test_a_run_of_before_tells_that_it_lacks_the_units_shares(finished: RunDirectory) -> None:
    """Without what units add to classes the section stands, and says what to do."""
    changed_arrays(finished.seed(0), "codes.npz", class_contributions=None)
    page = report.render(sealed_anew(finished)).read_text(encoding="utf-8")
    assert "does not hold what each unit adds to each class; compute it again" in page
    assert 'id="firing"' in page


def test_a_class_without_images_has_no_atoms(finished: RunDirectory) -> None:
    """A class of which nothing was explained is left out, the others stand."""
    strength = finished.seed(0).read_arrays("codes.npz")["class_contributions"].copy()
    strength[2] = np.nan
    changed_arrays(finished.seed(0), "codes.npz", class_contributions=strength)
    chart: Chart = context(finished, "sparse-code")["atoms"]
    assert [row[0] for row in chart.rows] == [
        name for place, name in enumerate(Run(finished).classes) if place != 2
    ]


def test_the_dead_and_the_band_are_counted(finished: RunDirectory) -> None:
    """Dead units and images within the band of L0 are counted, whatever the run's own are."""
    fires = np.r_[np.zeros(6), np.full(10, 0.25), np.full(240, 0.005)]
    l0 = np.r_[np.full(1990, 32), np.full(10, 3)]
    changed_arrays(finished.seed(0), "codes.npz", firing_frequency=fires, l0=l0)
    found = context(finished, "sparse-code")
    assert found["firing"].finding.startswith("6 of 256 units are dead")
    assert [row[2] for row in found["firing"].rows] == [10, 0, 240, 0, 6]
    assert (
        "Of 2,000 test images the mean is 31.86 active units, from 3 to 32; 10 have fewer than k = 32"
        in found["active"].finding
    )
    assert "1,990 lie in the band" in found["active"].finding


# the methods


def test_completeness_agrees_with_what_is_measured(small: Run) -> None:
    """Of integrated gradients the median gap is the measured one."""
    measured = small.estimate("completeness")
    assert measured is not None
    gaps = completeness(small.evidence())
    assert np.median(gaps["integrated_gradients"]) == pytest.approx(measured.estimate)
    assert list(gaps) == list(small.evidence().methods)


def test_the_overview_marks_the_worst(small: Run) -> None:
    """For every question the worst method is the one with the worst number, where it can be told."""
    overview = context(small, "validity")["overview"]
    directions = ["lower" in unit for _, unit in overview["heads"]]
    for place, lower in enumerate(directions):
        numbers = [float(row["cells"][place][0]) for row in overview["rows"]]
        marked = [row["cells"][place][1] for row in overview["rows"]]
        assert sum(marked) <= 1
        for number, worst in zip(numbers, marked, strict=True):
            assert not worst or number == (max(numbers) if lower else min(numbers))
    for row in overview["rows"]:
        told = [head for (head, _), (_, worst) in zip(overview["heads"], row["cells"], strict=True) if worst]
        assert row["worst"] == told


def with_estimates(finished: RunDirectory, numbers: Mapping[str, tuple[float, float, float]]) -> RunDirectory:
    """The run with some estimates and their intervals changed."""
    values = json.loads((finished / "estimates.json").read_text(encoding="utf-8"))
    for row in values["estimates"]:
        if row["name"] in numbers:
            row["estimate"], row["low"], row["high"] = numbers[row["name"]]
    (finished / "estimates.json").write_text(json.dumps(values), encoding="utf-8")
    return finished


@pytest.mark.thorough
@pytest.mark.parametrize(("reach", "told"), [(0.01, True), (0.2, False)])
def test_what_intervals_do_not_tell_apart_is_not_worst(
    finished: RunDirectory, reach: float, told: bool
) -> None:
    """A method is worst where its interval lies apart from the next one's, and not elsewhere."""
    names = ("gradients", "integrated_gradients", "smoothgrad", "decoder_weighted")
    numbers = {
        f"max_sensitivity.{name}": (value, value - reach, value + reach)
        for name, value in zip(names, (0.3, 0.5, 0.2, 0.1), strict=True)
    }
    run = with_estimates(finished, numbers)
    found = context(run, "validity")
    (chart,) = [one["chart"] for one in found["questions"] if one["question"] == "Are they stable?"]
    marked = [row["method"] for row in found["overview"]["rows"] if "is stable" in row["worst"]]
    assert marked == (["integrated gradients"] if told else [])
    assert ("integrated gradients is worst with 0.5" in chart.finding) == told
    assert ("none can be told apart as worst" in chart.finding) != told


@pytest.mark.parametrize(("bounds", "told"), [((-0.97, -0.93), True), ((-0.97, 0.01), False)])
def test_what_new_weights_leave_is_compared_without_its_sign(
    finished: RunDirectory, bounds: tuple[float, float], told: bool
) -> None:
    """The method that keeps most is named by the absolute value, and as worst where its interval tells."""
    run = with_estimates(finished, {"randomisation.smoothgrad.classifier.0": (-0.95, *bounds)})
    found = context(run, "validity")
    chart = next(
        one["chart"] for one in found["questions"] if one["chart"] and one["chart"].name == "randomisation"
    )
    assert "more than 0.95 in absolute value (smoothgrad" in chart.finding
    assert ("smoothgrad, worst" in chart.finding) == told
    marked = [row["method"] for row in found["overview"]["rows"] if "follows the weights" in row["worst"]]
    assert marked == (["smoothgrad"] if told else [])


def test_faithfulness_curves_are_the_probes_means(small: Run) -> None:
    """The table behind the curves holds the means over images, each class weighing the same."""
    questions = context(small, "validity")["questions"]
    chart = next(one["chart"] for one in questions if one["chart"] and one["chart"].name == "faithfulness")
    asked = small.directory.seed(0).read_arrays("sanity/curves.npz")
    place = [str(name) for name in asked["orders"]].index("gradients")
    row = next(row for row in chart.rows if row[0] == "insertion, gradients")
    # four images of each class: the plain mean is the mean of the classes' means
    assert row[6] == f"{asked['insertion'][place][:, 20].astype(np.float64).mean():.4g}"
    assert {"deletion, a random order", "insertion, the image itself, |x|"} <= {row[0] for row in chart.rows}


@pytest.mark.thorough
def test_a_run_without_probes_has_no_curves(finished: RunDirectory) -> None:
    """A run that holds no answers of the probes has its tables all the same."""
    for name in ("curves", "randomisation"):
        (finished.seed(0) / f"sanity/{name}.npz").unlink()
    charts = [one["chart"].name for one in context(finished, "validity")["questions"] if one["chart"]]
    assert charts == ["completeness", "max-sensitivity", "concentration", "centre-of-mass"]
    assert "Do they follow the model" in report.render(sealed_anew(finished)).read_text(encoding="utf-8")


# the gate


def test_the_gates_curves_say_what_was_measured(finished: RunDirectory) -> None:
    """The sentences tell the chance of red at the threshold, and the settings that miss their coverage."""
    found = context(finished, "gate-quality")
    quality = finished.read_json("gate-quality.json")
    for where, curve in quality["operating_curves"].items():
        at = next(point for point in curve["point"] if point["distance_se"] == 0)
        assert (
            f"{where}: at the threshold itself red is {at['red']:.1%} likely by the point rule"
            in found["curves"].finding
        )
    cells = [
        (abs(cell["coverage"] - row["nominal"]), kind)
        for kind, row in quality["coverage"].items()
        for cell in row["cells"]
    ]
    outside = sum(miss > 0.02 for miss, _ in cells)
    assert found["coverage"].finding.startswith(f"{len(cells) - outside} of {len(cells)} settings")
    assert f"'{max(cells)[1]}'" in found["coverage"].finding


# all of them


@pytest.mark.thorough
def test_many_seeds_and_odd_names_are_drawn(finished: RunDirectory) -> None:
    """With two seeds every section of numbers is made, and markup in a class's name is text (fault 44)."""
    one, two = ("seeds = [\n    0,\n]", "seeds = [\n    0,\n    1,\n]")
    text = (finished / "config.toml").read_text(encoding="utf-8")
    (finished / "config.toml").write_text(text.replace(one, two), encoding="utf-8")
    shutil.copytree(finished / "seed-0", finished / "seed-1")
    table = finished.seed(1).read_table("training.csv")
    finished.seed(1).write_table("training.csv", table.assign(seed=1))
    for path in (finished / "measurements").glob("*.npz"):
        arrays = finished.read_arrays(f"measurements/{path.name}")
        doubled = {
            name: np.concatenate([values, values]) for name, values in arrays.items() if name != "strata"
        }
        changed_arrays(finished, f"measurements/{path.name}", **doubled)
    values = json.loads((finished / "estimates.json").read_text(encoding="utf-8"))
    values["estimates"] = [
        row | {"seed": seed} for seed in (None, 0, 1) for row in values["estimates"] if row["seed"] == 0
    ]
    (finished / "estimates.json").write_text(json.dumps(values), encoding="utf-8")
    values = json.loads((finished / "environment.json").read_text(encoding="utf-8"))
    values["dataset"]["classes"][0] = "</svg><script>alert(1)</script>"
    (finished / "environment.json").write_text(json.dumps(values), encoding="utf-8")
    assert Run(finished).config.seeds == (0, 1)
    for name in ("forest", "agreement", "model", "sparse-code", "validity", "switches"):
        context(finished, name)
    assert "of 2 seeds 2 are" in context(finished, "model")["calibration"].finding
    assert context(finished, "measurements")["seeds"] == ["seed 0", "seed 1"]
    assert "<script>alert" not in report.render(sealed_anew(finished)).read_text(encoding="utf-8")


def test_sections_of_a_run_that_broke_off_are_a_line(tmp_path: Path) -> None:
    """A run without estimates has a line in each section of numbers."""
    run = a_run(tmp_path)
    (run / "estimates.json").unlink()
    verdicts.judge(sealed_anew(run))
    for name in ("forest", "agreement", "model", "sparse-code", "validity", "switches"):
        assert isinstance(report.sections[name].fill(Run(run)), str), name
