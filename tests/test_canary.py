"""The canary, whole: afresh, on frozen images, and with another night's weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness import blaming, pipeline
from harness.artifacts.directories import RunDirectory
from harness.artifacts.files import Folder
from harness.config import Config
from harness.config.parameters import MIN_CHANGE, shipped_criteria
from harness.errors import RunError
from harness.history import documents, pins
from harness.history.documents import CANARY, Written
from harness.history.records import Canary, Human, Night
from harness.judging import verdicts
from harness.pipeline import canary as canaries
from harness.pipeline.canary import canary
from harness.pipeline.started import Silence
from harness.records import Ints

MARGINS = {one.measurement: MIN_CHANGE[one.measurement] for one in shipped_criteria(50) if one.gate}
"""Of the methods that are asked by default."""

NIGHT = Written(id="000001-abcdef", kind="night")


def a_night(config: Config, frozen: Ints | None = None, weights: Folder | None = None) -> RunDirectory:
    """A night's run directory, judged; its own network is the canary's, which a real night never has."""
    work = pipeline.prepare(config, Silence())
    documents.write_night(work.run, documents.begun(NIGHT, config))
    pipeline.execute(work, (*pipeline.STAGES, ("canary", canary(0, frozen, weights))))
    verdicts.judge(work.run)
    return RunDirectory.open(work.run.path)


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory, finished_output: Path) -> Path:
    """A folder whose cache holds the finished run's network."""
    import shutil

    folder = tmp_path_factory.mktemp("canary") / "artifacts"
    shutil.copytree(finished_output / "cache", folder / "cache")
    return folder


@pytest.fixture(scope="module")
def night(output: Path) -> RunDirectory:
    """A night, to be read."""
    from harness import config
    from tests.small import SMALL

    return a_night(config.load(flags=SMALL | {"output": output}, folder=output.parent))


@pytest.fixture
def known(night: RunDirectory) -> Night:
    """Its document."""
    return documents.night_of_run(night)


def test_it_is_trained_afresh_and_is_what_its_seed_gives(night: RunDirectory, known: Night) -> None:
    """The run's own network of that seed came out of the cache, the canary did not: the same to the bit."""
    assert night.read_stages().duration_s["canary"] > 0
    mine, its = night.seed(0), RunDirectory(night / CANARY).seed(0)
    for name in ("training.csv", "predictions.npz", "attributions/gradients.npz"):
        first, second = mine.read(name), its.read(name)
        if name == "training.csv":  # which tells the seconds, of a training that took place
            assert first != second
            continue
        arrays = mine.read_arrays(name), its.read_arrays(name)
        assert all(np.array_equal(arrays[0][key], arrays[1][key]) for key in arrays[0])
    assert known.canary is not None
    assert known.canary.images == known.canary.right == 40
    assert night.damage() == []
    assert not list((night.path).glob(".*"))


def test_a_nights_document_tells_what_the_run_is(night: RunDirectory, known: Night) -> None:
    """Verdict, numbers, canary, memory, and where it lies; it is the same whenever it is asked."""
    assert (known.id, known.status, known.kind) == ("000001-abcdef", "ended", "night")
    assert known.verdict == (night.read_verdict() or {})["verdict"]
    assert known.place == str(night.path)
    assert {one.name for one in known.values} == {one.name for one in night.read_estimates()}
    assert known.memory_mb["resident"] > 0
    assert known.environment["machine.cpu"]
    assert known.identity["seeds a night"] == "1"
    assert documents.night_of_run(night) == known


def test_a_canary_that_is_the_pinned_one_is_not_worse(night: RunDirectory, known: Night) -> None:
    """And no image flips."""
    assert known.canary is not None
    found = pins.compared(night, known.canary, pin_of(night, known), MARGINS)
    assert {one.measurement for one in found.differences} == set(MARGINS) - {"selection"}
    assert {one.word for one in found.differences} == {"not worse"}
    assert {one.change for one in found.differences} == {0.0}
    assert found.flips == {"lost": 0, "won": 0, "p": 1.0}


def pin_of(night: RunDirectory, known: Night) -> Human:
    pinned = pins.pinned_of(night, known, MARGINS)
    return Human("pin-12345678", "pin", "now", known.id, "", night=known.id, pinned=pinned)


@pytest.mark.thorough
def test_another_network_is_told_from_the_pinned_one(
    night: RunDirectory, known: Night, output: Path, small_config: Callable[..., Config]
) -> None:
    """On the pinned images, whatever it says of them: worse where it learned less, and blamed on training."""
    worse = a_night(small_config(classifier_epochs=1), documents.frozen_images(night))
    told = documents.night_of_run(worse)
    assert told.canary is not None
    assert known.canary is not None
    assert told.canary.frozen == known.canary.frozen
    assert told.canary.right < 40
    found = pins.compared(worse, told.canary, pin_of(night, known), MARGINS)
    words = {one.measurement: one.word for one in found.differences}
    assert words["accuracy"] == "worse"
    assert words["sparsity"] == "not worse"
    assert found.flips["lost"] > found.flips["won"]
    blamed = blaming.blame(worse, night, Silence())
    assert (blamed.word, "to the bit" in blamed.why) == ("training", True)
    assert any(line.startswith("accuracy: then") for line in blamed.lines)


@pytest.mark.thorough
def test_measuring_code_that_changed_is_blamed(
    night: RunDirectory, output: Path, small_config: Callable[..., Config]
) -> None:
    """The same weights, and other numbers: two steps of integrated gradients in place of twenty."""
    config = small_config(attribution_steps=2)
    other = a_night(config, documents.frozen_images(night))
    blamed = blaming.blame(other, night, Silence())
    assert blamed.word == "measuring code"
    assert "the very weights" in blamed.why
    same = blaming.blame(night, night, Silence())
    assert same.word == "nothing"


@pytest.mark.thorough
def test_blame_needs_two_canaries_of_the_same_images(
    night: RunDirectory, small_config: Callable[..., Config], tmp_path: Path
) -> None:
    """Named; and a run without one is."""
    from tests.written import a_run

    with pytest.raises(RunError, match="has no canary"):
        blaming.blame(night, a_run(tmp_path), Silence())
    other = a_night(small_config(samples_per_class=3))
    with pytest.raises(RunError, match="of other seeds or images"):
        blaming.blame(night, other, Silence())


@pytest.mark.parametrize(
    ("change", "bounds", "up", "word"),
    [
        (-0.1, (-0.12, -0.08), True, "worse"),
        (-0.1, (-0.12, -0.02), True, "undecided"),
        (0.1, (0.08, 0.12), True, "not worse"),
        (0.1, (0.08, 0.12), False, "worse"),
        (-0.1, (-0.12, -0.08), False, "not worse"),
        (0.1, (0.08, 0.12), None, "worse"),
        (-0.1, (-0.12, -0.08), None, "worse"),
        (0.0, (-0.04, 0.04), None, "not worse"),
        (0.0, (-0.06, 0.04), None, "undecided"),
        (-0.05, (-0.05, -0.05), True, "not worse"),
    ],
)
def test_worse_is_wholly_beyond_the_margin(
    change: float, bounds: tuple[float, float], up: bool | None, word: str
) -> None:
    """Not worse is wholly within; by the harmful side, or both."""
    assert pins._judged("a", change, bounds, 0.05, up, 9).word == word


def test_what_cannot_be_compared_says_why(night: RunDirectory, known: Night) -> None:
    """No values, another definition, other images: a sentence in place of a word."""
    assert known.canary is not None
    pin = pin_of(night, known)
    told = dict(pin.pinned["estimates"])
    told["accuracy"] = told["accuracy"] | {"definition": 2}
    changed = replace(pin, pinned=pin.pinned | {"estimates": told})
    found = pins.compared(night, known.canary, changed, {"accuracy": 0.1, "nobody": 0.1})
    assert [(one.word, one.why) for one in found.differences] == [
        ("unknown", "its definition is another by now; pin again"),
        ("unknown", "the pin has no values of it by image"),
    ]


def test_the_digest_of_arrays_is_to_the_bit() -> None:
    """A last digit, another name, and an order in memory."""
    array = np.arange(6.0).reshape(2, 3)
    one = canaries._digest({"a": array})
    assert one == canaries._digest({"a": np.asfortranarray(array)})
    assert one != canaries._digest({"a": np.nextafter(array, 9)})
    assert one != canaries._digest({"b": array})


def test_a_pin_of_another_canary_seed_is_said_to_be_no_measure() -> None:
    """Where nothing can be held against it, nothing is passed over in silence."""
    tonight = Canary(1, "f", {}, {}, 9, 9)
    pin = Human("pin-12345678", "pin", "now", "", "good", night="n", pinned={"seed": 0})
    found = pins.compared(RunDirectory(Path("none")), tonight, pin, {"accuracy": 0.01})
    assert found.pin == pin.id
    assert [(one.word, one.why) for one in found.differences] == [
        ("unknown", "the pinned canary is of seed 0, tonight's of 1; pin again")
    ]
