"""What stored numbers stand for: as a network sees them, as they are drawn, as a run tells it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from harness.forms import AXES, BYTE, Form, axes_of, ends_of, told_of
from harness.kinds import WORDS

generator = np.random.default_rng(0)
EVERY_BYTE = np.arange(256, dtype=np.uint8).reshape(1, 256)


def form(**changed: object) -> Form:
    known = dict(
        kind="table", axes=("feature",), shape=(256,), scale=BYTE, unit="V", baseline="array",
        reference=generator.random(256).astype(np.float32),
    )  # fmt: skip
    return Form(**known | changed)  # type: ignore[arg-type]


def test_a_byte_is_divided_by_255_to_the_last_bit() -> None:
    """No number of a run on bytes depends on how its scale is written."""
    zero = form(baseline="zero", reference=np.zeros(256, dtype=np.float32))
    assert np.array_equal(zero.inputs(EVERY_BYTE), EVERY_BYTE.astype(np.float32) / np.float32(255))


def test_inputs_are_a_copy() -> None:
    """Stored data stays as it was verified, also where nothing is to be scaled."""
    stored = generator.random((2, 256)).astype(np.float32)
    same = form(scale=1.0, baseline="zero", reference=np.zeros(256, dtype=np.float32))
    found = same.inputs(stored)
    assert np.array_equal(found, stored)
    assert not np.shares_memory(found, stored)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_drawing_adds_the_baseline_back(kind: type) -> None:
    """In the type of the inputs."""
    one = form()
    values = one.values(one.inputs(EVERY_BYTE).astype(kind))
    np.testing.assert_allclose(values, EVERY_BYTE / 255, atol=1e-6)
    assert values.dtype == kind


@pytest.mark.parametrize("baseline", ["zero", "mean", 0.5, "array"])
def test_a_record_tells_the_form(baseline: str | float) -> None:
    """Written and read as JSON; the reference is asked for where the record cannot tell it."""
    reference = np.full(256, 0.5 if baseline != "zero" else 0.0, dtype=np.float32)
    one = form(baseline=baseline, reference=reference)
    record = json.loads(json.dumps(one.as_record()))
    again = Form.of_record(record, one.reference if one.is_stored else None)
    assert again.as_record() == one.as_record()
    assert np.array_equal(again.reference, reference)
    assert one.is_stored == (baseline in ("mean", "array"))


def test_a_record_of_before_is_of_grey_images() -> None:
    """Runs that know of nothing else have bytes, from black."""
    old = Form.of_record({"shape": [2, 3], "classes": ["a"]}, None)
    assert (old.kind, old.axes, old.scale, old.baseline) == ("image", ("row", "column"), BYTE, "zero")
    assert not old.reference.any()


def test_a_record_tells_the_names() -> None:
    """One for each feature, or none: another number is not this version's."""
    one = form(baseline="zero", names=tuple(map(str, range(256))))
    record = json.loads(json.dumps(one.as_record()))
    assert Form.of_record(record, None).names == one.names
    with pytest.raises(ValueError, match=r"names must be 256 \(got 255\)"):
        Form.of_record(record | {"names": record["names"][:-1]}, None)


def test_no_kind_has_two_forms_of_as_many_sides() -> None:
    """So the axes follow from the shape."""
    for kind, forms in AXES.items():
        assert [axes_of(kind, len(axes)) for axes in forms] == list(forms)
    assert axes_of("table", 4) == ()


def test_a_record_calls_its_inputs_by_their_kind() -> None:
    """The sides are told, but of images known by a name; a run of before there were others has such."""
    series = {"kind": "series", "axes": ["channel", "time"], "shape": [2, 1200]}
    assert told_of(series) == "series of 2 channels x 1,200 points"
    assert told_of({"kind": "table", "shape": [1]}) == "rows of 1 feature"
    assert told_of({"kind": "clip", "shape": [8, 28, 28]}) == "clips of 8 frames x 28 rows x 28 columns"
    assert told_of({"shape": [28, 28]}) == "images"
    assert told_of({"asked": "cifar10", "shape": [3, 32, 32]}) == "images"
    own = {"asked": str(Path("own.npz").absolute()), "axes": ["channel", "row", "column"]}
    assert told_of(own | {"shape": [12, 3, 12]}) == "images of 12 channels x 3 rows x 12 columns"
    assert told_of(own | {"axes": ["row", "column"], "shape": [8, 8]}) == "images of 8 rows x 8 columns"


@pytest.mark.parametrize("kind", AXES)
def test_a_form_speaks_in_the_words_of_its_kind(kind: str) -> None:
    """One table has them all."""
    axes = AXES[kind][0]
    one = form(kind=kind, axes=axes, shape=(1,) * len(axes))
    words = WORDS[kind]
    assert (one.one, one.noun, one.feature, one.features) == (
        words.one, words.noun, words.feature, words.features,
    )  # fmt: skip
    assert one.owner in (f"a {words.owner}", f"an {words.owner}")


def test_only_pictures_within_0_and_1_are_brightness() -> None:
    """All else is drawn between its own ends; a number beyond is forgiven only what rounding makes."""
    assert [ends_of(kind, 0.2, 0.9) for kind in AXES] == [(0, 1), (0.2, 0.9), (0, 1), (0.2, 0.9)]
    assert ends_of("image", 0, 16) == (0, 16)
    assert ends_of("image", -0.001, 1) == (-0.001, 1)
    assert ends_of("image", -0.001, 1, rounding=0.002) == (0, 1)
