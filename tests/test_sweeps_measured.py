"""What is read of a run: by seed, by input, and why something is not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.errors import ConfigurationError, DamageError
from harness.records import Floats
from harness.statistics.crossed import Classes
from harness.sweeps.measured import Inputs, Measured, Values, means_of, measured, number_of, refuse_unknown
from harness.sweeps.records import Row
from tests.measured_runs import INDICES, LABELS, TEST, Known, a_point

GENERATOR = np.random.default_rng(0)


def read(row: Row, *names: str) -> Measured:
    """What stands in the row's run."""
    assert row.run is not None
    return measured(row.run, names)


def uniform(*shape: int) -> Floats:
    """Values between 1 and 2."""
    return GENERATOR.uniform(1, 2, shape)


KNOWN = {
    "agreement": Known(uniform(3, 24)),
    "agreement_worst_pair": Known(uniform(3, 24, 4), "smallest mean"),
    "accuracy": Known(np.round(uniform(3, TEST) - 1), "proportion", by_class=False),
    "fraction_unexplained": Known(uniform(3, TEST, 2), "ratio", by_class=False),
    "dead_units": Known(uniform(3, 1), "number", by_class=False),
    "integrity": Known(uniform(3, 24), "median"),
    "deletion": Known(uniform(3, 24), crossed=False),
    "selection": Known(np.ones((3, 30)), "census", by_class=False),
    "broken": Known(np.full((3, 24), np.nan)),
}


@pytest.fixture(scope="module")
def row(tmp_path_factory: pytest.TempPathFactory) -> Row:
    """A point with a measurement of each kind."""
    return a_point(tmp_path_factory.mktemp("swept"), KNOWN)


def test_values_by_image_are_those_of_the_run(row: Row) -> None:
    """Of the explained images with their classes and places, of all test images without, parts first."""
    values = read(row, *KNOWN).values
    one, pair, right = values["agreement"], values["agreement_worst_pair"], values["accuracy"]
    assert one.rows is not None
    assert one.inputs is not None
    assert one.rows[0].tolist() == KNOWN["agreement"].values.tolist()
    assert one.inputs.places is not None
    assert one.inputs.labels is not None
    assert one.inputs.places.tolist() == INDICES.tolist()
    assert one.inputs.labels.tolist() == LABELS.tolist()
    assert pair.inputs is one.inputs
    assert pair.rows is not None
    assert pair.rows[2, 1].tolist() == KNOWN["agreement_worst_pair"].values[1, :, 2].tolist()
    assert right.inputs is not None
    assert (right.inputs.count, right.inputs.labels, right.inputs.places) == (TEST, None, None)
    assert one.seeds == right.seeds == (0, 1, 2)


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("agreement", ["mean"]),
        ("accuracy", ["mean"]),
        ("agreement_worst_pair", ["smallest"]),
        ("fraction_unexplained", ["ratio"]),
        ("integrity", []),
        ("dead_units", []),
    ],
)
def test_the_rule_is_the_one_that_gives_every_seeds_estimate(row: Row, name: str, rules: list[str]) -> None:
    """A quantile is no mean, nor is one number; the rule gives the estimate of all seeds as well."""
    one = read(row, name).values[name]
    assert one.rules == rules
    if rules and one.rows is not None and one.inputs is not None:
        number = number_of(means_of(one.rows, one.inputs.classes), rules[0])
        assert number == pytest.approx(row.estimates[name].estimate)


def test_images_without_a_value_are_left_out(tmp_path: Path) -> None:
    """The rule is seen all the same, and some seeds' rows are of the images that have a value in each."""
    rows = GENERATOR.normal(size=(2, 400))
    rows[0, 3] = rows[1, 7] = np.nan
    places = np.arange(400)
    known = {"agreement": Known(rows)}
    point = a_point(tmp_path, known, (4, 9), places, places % 4, test=500)
    one = read(point, "agreement").values["agreement"]
    assert one.rules == ["mean"]
    kept, inputs = one.of_seeds([9])
    assert kept[0, 0].tolist() == rows[1, places != 7].tolist()
    assert inputs.places is not None
    assert inputs.places.tolist() == places[places != 7].tolist()
    assert one.of_seeds([4, 9])[1].count == 398


def test_one_number_a_seed_is_its_estimate(row: Row) -> None:
    """Of a count, and of what every seed measures on inputs of its own, which are not stored."""
    values = read(row, "dead_units", "deletion").values
    assert values["dead_units"].rows is None
    assert values["dead_units"].numbers.tolist() == KNOWN["dead_units"].values[:, 0].tolist()
    means = [[seed[one == LABELS].mean() for one in range(3)] for seed in KNOWN["deletion"].values]
    assert values["deletion"].numbers == pytest.approx(np.mean(means, axis=1))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nothing", "has not measured it"),
        ("broken", "has no number: 24 of 24 images have no value"),
        ("selection", "has no value of it for each input that was explained, or tested"),
    ],
)
def test_what_is_not_there_has_a_reason(row: Row, name: str, why: str) -> None:
    """No measurement, no estimate, and values that are of no inputs."""
    one = read(row, name).values[name]
    assert (one.why, one.rows) == (why, None)


def test_a_seed_that_is_one_number_has_no_rows() -> None:
    """Who asks for them is told."""
    with pytest.raises(ValueError, match="a seed is one number"):
        Values((0,), np.ones(1)).of_seeds([0])


def test_what_is_read_is_checked(tmp_path: Path) -> None:
    """A file that is not as it was computed is refused; one that nobody reads is not looked at."""
    row = a_point(tmp_path, {name: KNOWN[name] for name in ("agreement", "accuracy")})
    assert row.run is not None
    (row.run / "measurements/accuracy.npz").write_bytes(b"other")
    assert read(row, "agreement").digest == "d" * 64
    with pytest.raises(DamageError, match="not as it was computed"):
        read(row, "accuracy")


def test_the_numbers_of_several_seeds_are_made_as_estimates_are() -> None:
    """A ratio is the mean of the seeds', an extreme that of the means over seeds."""
    means = np.array([[1.0, 2.0], [9.0, 4.0]])
    assert number_of(means, "ratio") == (0.5 + 2.25) / 2
    assert number_of(means, "smallest") == 3.0
    assert number_of(means, "largest") == 5.0
    assert number_of(means[:, :1], "mean") == 5.0


def test_means_of_parts_are_by_seed() -> None:
    """Each class weighs the same."""
    rows = np.array([[[0.0, 3.0, 3.0, 6.0]], [[1.0, 1.0, 1.0, 5.0]]])
    labels = np.array([0, 1, 1, 1])
    assert means_of(rows, Classes.of(labels, 4)).tolist() == [[2.0, (1 + 7 / 3) / 2]]
    assert Inputs(4, labels).names == {0, 1}


def test_an_unknown_measurement_is_refused_with_the_nearest(row: Row) -> None:
    """What no finished point has cannot be meant; where no point is finished, nobody knows."""
    with pytest.raises(ConfigurationError, match="unknown measurement 'agrement': did you mean 'agreement'"):
        refuse_unknown(["accuracy", "agrement"], [row])
    refuse_unknown(["agrement"], [])
