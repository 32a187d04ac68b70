"""Whatever a loader gives is the data that it documents, or is refused by name; nothing in between."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import datasets
from harness.datasets import Dataset
from harness.datasets.checks import checked
from harness.errors import ConfigurationError, DataError

generator = np.random.default_rng(0)
TRAIN = generator.integers(0, 256, (12, 6), dtype=np.uint8)
TEST = generator.integers(0, 256, (8, 6), dtype=np.uint8)
SOUND = Dataset(
    name="own",
    train_images=TRAIN,
    train_labels=np.arange(12, dtype=np.uint8) % 4,
    test_images=TEST,
    test_labels=np.arange(8, dtype=np.uint8) % 4,
    classes=("boot", "bag", "coat", "shirt"),
    shape=(2, 3),
    sha256={"own.npz": "0" * 64},
    source="here",
)


def with_(**fields: Any) -> Dataset:
    return replace(SOUND, **fields)


def same(one: Dataset, other: Dataset) -> bool:
    return one.digest == other.digest and (one.classes, one.shape) == (other.classes, other.shape)


# refused, by field, with the mend


Refusal = tuple[str, Any, str]
BAD_IMAGES: list[Any] = [
    (TRAIN > 127, "bool", "255"),
    (TRAIN.astype(str), "<U", "numbers"),
    (TRAIN.astype(object), "object", "numbers"),
    (TRAIN.astype(complex), "complex128", "numbers"),
    (TRAIN.astype(np.int16) - 200, "..", "0..255"),
    (TRAIN.astype(np.int64) * 2, "..", "0..255"),
    (TRAIN // 200, "nothing above 1", "multiply"),
    (np.zeros_like(TRAIN), "nothing above 0", "multiply"),
    (TRAIN.reshape(12, 2, 3), "[12, 2, 3]", "reshape"),
    (TRAIN.reshape(12, 1, 2, 3), "[12, 1, 2, 3]", "reshape"),
    (TRAIN.reshape(-1), "[72]", "reshape"),
    (TRAIN[:, :5], "[12, 5]", "2 x 3"),
    (np.hstack([TRAIN] * 3), "[12, 18]", "2 x 3"),
    (TRAIN[:0], "no image", "files"),
    (torch.from_numpy(TRAIN.astype(np.float32)).requires_grad_(), "Tensor", "numpy array"),
    (torch.from_numpy(TRAIN).to(torch.bfloat16), "Tensor", "numpy array"),
    (np.ma.masked_equal(TRAIN, TRAIN[0, 0]), "masked", "leave"),
    ([[1, 2], [3]], "list", "numpy array"),
    (iter(TRAIN), "iterator", "numpy array"),
    (None, "None", "numpy array"),
    ("train.npy", "'train.npy'", "numpy array"),
]
LABELS = np.arange(12) % 4
BAD_LABELS: list[Any] = [
    (LABELS + 1, "1..4", "subtract 1"),
    (LABELS - 1, "-1..2", "position"),
    (LABELS * 5, "0..15", "position"),
    (np.full(12, 2**64 - 1, dtype=np.uint64), "..18446744073709551615", "position"),
    (LABELS[:, None], "[12, 1]", "labels[:, 0]"),
    (np.eye(4, dtype=int)[LABELS], "[12, 4]", "argmax"),
    (LABELS.astype(float), "float64", "astype"),
    (np.where(LABELS > 2, np.nan, LABELS), "float64", "NaN"),
    (LABELS > 1, "bool", "astype"),
    (np.array(SOUND.classes)[LABELS], "<U", "positions"),
    (LABELS.astype(object), "object", "positions"),
    (LABELS[:0], "no label", "label"),
    (LABELS[:-1], "11 labels of 12 images", "each image"),
    (torch.from_numpy(LABELS).float(), "float32", "astype"),
    (3, "3", "numpy array"),
    (None, "None", "numpy array"),
]
BAD_FIELDS: list[Any] = [
    ("classes", (), "none", "name each"),
    ("classes", ("a", "b", "a", "c"), "'a' twice", "otherwise"),
    ("classes", (1, "1", 2, 3), "'1' twice", "otherwise"),
    ("classes", ("a", None, "b", "c"), "None", "a text or a number"),
    ("classes", (b"a", b"b", b"c", b"d"), "b'a'", "a text or a number"),
    ("classes", ("a", "", "b", "c"), "''", "a text or a number"),
    ("classes", "abcd", "'abcd'", "tuple"),
    ("classes", {"a", "b", "c", "d"}, "set", "tuple"),
    ("classes", {"a": 0, "b": 1}, "dict", "tuple"),
    ("classes", 4, "4", "tuple"),
    ("shape", (1, 1, 2, 3), "(1, 1, 2, 3)", "of colours"),
    ("shape", (6,), "(6)", "(28, 28)"),
    ("shape", 6, "6", "(28, 28)"),
    ("shape", (2.0, 3.0), "2.0", "(28, 28)"),
    ("shape", (0, 6), "0", "(28, 28)"),
    ("shape", (-2, -3), "-2", "(28, 28)"),
    ("shape", (True, 6), "True", "(28, 28)"),
    ("shape", None, "None", "(28, 28)"),
    ("sha256", "0" * 64, "'000", "{'digits.npz'"),
    ("sha256", {"own.npz": b"0"}, "b'0' among them", "{'digits.npz'"),
    ("sha256", {"own.npz": ""}, "'' among them", "{'digits.npz'"),
    ("sha256", {1: "0"}, "1 among them", "{'digits.npz'"),
    ("sha256", hashlib.sha256(), "HASH", "{'digits.npz'"),
    ("name", "", "''", "name"),
    ("name", 5, "5", "text"),
    ("source", None, "None", "text"),
    ("notice", None, "None", "text"),
    ("names", ("a", "b"), "2", "leave the names out"),
    ("names", "ab", "'ab'", "tuple"),
]
KINDS: list[tuple[str, Any, str, str]] = [
    *((f"{split}_images", *row) for split in ("train", "test") for row in BAD_IMAGES),
    *((f"{split}_labels", *row) for split in ("train", "test") for row in BAD_LABELS),
    *BAD_FIELDS,
]


def cut(split: str, value: Any) -> Any:
    """The faulty value of the training set, made to the size of the set that is asked for."""
    sized = split == "train" or not hasattr(value, "shape") or len(value) != 12
    return value if sized else value[:8]


@pytest.mark.parametrize(("field", "value", "got", "mend"), KINDS)
def test_what_is_not_as_documented_is_refused_by_name(field: str, value: Any, got: str, mend: str) -> None:
    """One sentence: the data set, the field, what was expected, what was got, and the mend."""
    value = cut(field.split("_")[0], value) if field.startswith("test_") else value
    if hasattr(value, "__next__"):
        value = iter(list(value))
    with pytest.raises(DataError, match=r"^data set 'given'") as caught:
        checked("given", with_(**{field: value}))
    message = str(caught.value)
    assert "\n" not in message
    assert f"{field} must be" in message
    assert mend in message
    assert got in message or field.startswith("test_")


@pytest.mark.parametrize(
    "value",
    [None, (TRAIN, LABELS), {"train_images": TRAIN}, Dataset, TRAIN],
    ids=lambda one: type(one).__name__,
)
def test_what_is_no_data_set_is_refused(value: object) -> None:
    """A loader that forgets to return, or returns arrays, is told what it must return."""
    with pytest.raises(DataError, match=r"data set 'given': its loader must return a .*Dataset"):
        checked("given", value)


def test_training_images_that_are_the_test_images_are_refused() -> None:
    """A test needs unseen images, whoever made the set."""
    same = with_(test_images=TRAIN.copy(), test_labels=SOUND.train_labels)
    with pytest.raises(DataError, match="test_images must be other images than train_images"):
        checked("given", same)


# taken, where the meaning is clear


FORMS: dict[str, Callable[[Any], Any]] = {
    "the array": lambda array: array,
    "a list": lambda array: array.tolist(),
    "a list of rows": list,
    "a tensor": torch.tensor,
    "in Fortran's order": np.asfortranarray,
    "not contiguous": lambda array: np.repeat(array, 2, axis=0)[::2],
    "backwards": lambda array: array[::-1].copy()[::-1],
    "big-endian": lambda array: array.astype(">i4"),
    "int8 or more": lambda array: array.astype(np.int16),
    "uint64": lambda array: array.astype(np.uint64),
    "a mask that hides nothing": np.ma.asarray,
}


@given(
    form=st.fixed_dictionaries(
        {
            name: st.sampled_from(sorted(FORMS))
            for name in ("train_images", "train_labels", "test_images", "test_labels")
        }
    ),
    locked=st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_every_form_that_loses_nothing_is_the_same_data(form: dict[str, str], locked: bool) -> None:
    """Other types of integer, orders in memory, tensors and lists give the same arrays of the same type."""
    arrays = {name: getattr(SOUND, name).copy() for name in form}
    for array in arrays.values():
        array.setflags(write=not locked)
    found = checked("own", with_(**{name: FORMS[form[name]](arrays[name]) for name in form}))
    assert same(found, SOUND)
    assert {getattr(found, name).dtype for name in form} == {np.dtype(np.uint8)}
    assert all(getattr(found, name).flags.c_contiguous for name in form)


@pytest.mark.parametrize(
    ("given_", "names"),
    [
        (range(4), ("0", "1", "2", "3")),
        (np.arange(4), ("0", "1", "2", "3")),
        (np.array(SOUND.classes), SOUND.classes),
        (list(SOUND.classes), SOUND.classes),
        ([0.5, 1, "x", np.int64(7)], ("0.5", "1", "x", "7")),
        ((one for one in SOUND.classes), SOUND.classes),
    ],
)
def test_classes_are_named_by_texts_and_numbers(given_: Any, names: tuple[str, ...]) -> None:
    """A number is the text of itself; whatever has an order serves."""
    found = checked("own", with_(classes=given_))
    assert found.classes == names
    assert {type(name) for name in found.classes} == {str}


@pytest.mark.parametrize("shape", [[2, 3], np.array([2, 3]), torch.Size((2, 3)), (np.int64(2), np.uint8(3))])
def test_a_shape_is_any_pair_of_whole_numbers(shape: Any) -> None:
    """It comes out as a tuple of two ints."""
    found = checked("own", with_(shape=shape)).shape
    assert found == (2, 3)
    assert [type(side) for side in found] == [int, int]


def test_a_class_may_be_absent() -> None:
    """It is for the criterion `selection` to say that a class has no samples, not for the door."""
    found = checked("own", with_(train_labels=np.zeros(12, dtype=int)))
    assert found.train_labels.tolist() == [0] * 12


def test_labels_of_many_classes_are_whole() -> None:
    """Over 256 classes the labels' type grows, and none is cut off."""
    labels = np.arange(12) * 25
    found = checked("own", with_(classes=range(300), train_labels=labels))
    assert found.train_labels.tolist() == labels.tolist()


def test_a_source_may_be_a_path_and_digests_be_missing() -> None:
    """What is only told to readers is put into texts."""
    found = checked("own", with_(source=Path("here"), sha256=None))
    assert (found.source, found.sha256) == ("here", {})


# floats, kinds, scales, baselines

FLOATS = (TRAIN / 255).astype(np.float32)
TENTHS = (TEST / 255).astype(np.float32)


def of_floats(train: Any = FLOATS, test: Any = TENTHS, **fields: Any) -> Dataset:
    return with_(train_images=train, test_images=test, **fields)


@pytest.mark.parametrize("form", [np.float16, np.float32, np.float64, ">f4"])
def test_floats_in_0_to_1_are_not_divided_again(form: Any) -> None:
    """Any type of float is stored as float32, and stands for itself."""
    found = checked("own", of_floats(FLOATS.astype(form), TENTHS.astype(form)))
    assert found.train_images.dtype == found.test_images.dtype == np.dtype("float32")
    assert found.form.scale == 1
    assert np.array_equal(found.inputs(found.train_images), FLOATS.astype(form).astype(np.float32))


def test_floats_that_take_the_place_of_bytes_are_refused() -> None:
    """What was told of the bytes does not fit them: they would be divided once more."""
    known = checked("own", with_())
    assert known.scale == known.form.scale == 1 / 255
    changed = replace(known, train_images=FLOATS, test_images=TENTHS)
    with pytest.raises(DataError, match=r"not divided by 255 again: declare scale = 1"):
        checked("own", changed)
    assert checked("own", replace(changed, scale=1)).form.scale == 1
    bright = replace(known, train_images=255 * FLOATS, test_images=255 * TENTHS)
    assert checked("own", bright).inputs(255 * FLOATS).max() <= 1


def test_dim_floats_are_taken_as_they_are() -> None:
    """That nothing is bright says nothing of the scale, where no byte is divided."""
    found = checked("own", of_floats(FLOATS / 100, TENTHS / 100))
    assert found.inputs(found.test_images).max() < 0.02


@pytest.mark.parametrize("kind", ["image", "series"])
@pytest.mark.parametrize("gap", [np.nan, np.inf, -np.inf])
def test_a_gap_is_refused_by_its_position(gap: float, kind: str) -> None:
    """Which input, and which of its features."""
    holed = FLOATS.copy()
    holed[7, 4] = gap
    with pytest.raises(DataError, match=rf"train_images must be .*\(got {gap} at position 4 of input 7\)"):
        checked("own", of_floats(holed, kind=kind))


def test_brightness_of_no_declared_scale_is_in_0_to_1() -> None:
    """Floats in 0..255, or standardised ones, are not taken for brightness; declared, they are taken."""
    for train, test in ((FLOATS * 255, TENTHS * 255), (FLOATS * 4 - 2, TENTHS * 4 - 2)):
        with pytest.raises(DataError, match=r"train_images must be floats in \[0, 1\].*declare scale"):
            checked("own", of_floats(train, test))
        assert checked("own", of_floats(train, test, scale=1)).form.scale == 1
    bytes_as_floats = checked("own", of_floats(TRAIN.astype(float), TEST.astype(float), scale=1 / 255))
    assert np.array_equal(bytes_as_floats.inputs(bytes_as_floats.train_images), FLOATS)


def test_a_declared_scale_is_taken_of_bytes_too() -> None:
    """Seventeen levels of grey are no bytes that were forgotten to be multiplied."""
    found = checked("own", with_(train_images=TRAIN // 16, test_images=TEST // 16, scale=1 / 16))
    assert found.train_images.dtype == np.uint8
    assert np.array_equal(found.inputs(found.test_images), (TEST // 16 / 16).astype(np.float32))


def test_whole_numbers_beyond_bytes_need_a_scale() -> None:
    """Sixteen bits are stored as floats, in both halves; what float32 cannot hold is refused."""
    wide = {"train_images": TRAIN.astype(int) * 257, "test_images": TEST.astype(int) * 257}
    with pytest.raises(DataError, match="declare the scale"):
        checked("own", with_(**wide))
    found = checked("own", with_(**wide, scale=1 / 65535))
    np.testing.assert_allclose(found.inputs(found.test_images), TENTHS, rtol=1e-6)
    with pytest.raises(DataError, match="16,777,216"):
        checked("own", with_(**{name: one * 2**18 + 1 for name, one in wide.items()}, scale=1e-9))


def test_both_halves_are_stored_alike() -> None:
    """Bytes to train on and floats to test on would be on two scales."""
    with pytest.raises(DataError, match="test_images must be bytes, as train_images are"):
        checked("own", with_(test_images=TENTHS))


@pytest.mark.parametrize(
    ("kind", "shape", "axes"),
    [
        ("image", (2, 3), ("row", "column")),
        ("image", (1, 2, 3), ("channel", "row", "column")),
        ("series", (6,), ("time",)),
        ("series", (2, 3), ("channel", "time")),
        ("clip", (1, 2, 3), ("frame", "row", "column")),
        ("clip", (2, 1, 1, 3), ("frame", "channel", "row", "column")),
        ("table", (6,), ("feature",)),
    ],
)
def test_axes_follow_from_kind_and_shape(kind: str, shape: Any, axes: Any) -> None:
    """Named or not, they are the same; in another order they are refused."""
    for named in ((), axes, list(axes)):
        assert checked("own", of_floats(kind=kind, shape=shape, axes=named)).axes == axes
    for other in (axes[::-1] if len(axes) > 1 else ("row",), (*axes, "time")):
        with pytest.raises(DataError, match=r"axes must be .*order"):
            checked("own", of_floats(kind=kind, shape=shape, axes=other))


@pytest.mark.parametrize(("kind", "shape"), [("series", (1, 2, 3)), ("table", (2, 3)), ("clip", (6,))])
def test_a_shape_that_is_none_of_its_kind_is_refused(kind: str, shape: Any) -> None:
    """With the axes that the kind has, and a shape that it may have."""
    with pytest.raises(DataError, match=rf"shape must be whole numbers above 0, the {kind}'s .*such as"):
        checked("own", of_floats(kind=kind, shape=shape))


def test_channels_at_the_end_are_not_taken_for_columns() -> None:
    """Such a shape is taken where its axes are named, and else refused."""
    wide = {"train_images": np.tile(TRAIN, 10), "test_images": np.tile(TEST, 10), "shape": (5, 4, 3)}
    with pytest.raises(DataError, match=r"axes must be named .*last side looks like the channels"):
        checked("own", with_(**wide))
    assert checked("own", with_(**wide, axes=("channel", "row", "column"))).shape == (5, 4, 3)


@pytest.mark.parametrize("scale", [0, -1, np.nan, np.inf, True, "1", 1e-60, 10**400])
def test_a_scale_that_is_none_is_refused(scale: Any) -> None:
    """It must be a number that float32 can divide by."""
    with pytest.raises(DataError, match="scale must be a finite number above 0"):
        checked("own", with_(scale=scale))


def test_an_unknown_kind_is_refused() -> None:
    """With those that there are."""
    with pytest.raises(DataError, match="kind must be one of image, series, clip, table"):
        checked("own", with_(kind="video"))


MEAN = TRAIN.astype(np.float64).mean(axis=0) / 255


@pytest.mark.parametrize(
    ("baseline", "named", "reference"),
    [
        ("zero", "zero", np.zeros(6)),
        (0, "zero", np.zeros(6)),
        (np.zeros(6), "zero", np.zeros(6)),
        (0.5, 0.5, np.full(6, 0.5)),
        (np.float32(0.5), 0.5, np.full(6, 0.5)),
        ("mean", "mean", MEAN),
        (np.arange(6), "array", np.arange(6)),
        (np.arange(6).reshape(2, 3).tolist(), "array", np.arange(6)),
        (torch.arange(6), "array", np.arange(6)),
    ],
)
def test_what_a_network_sees_is_less_the_baseline(baseline: Any, named: Any, reference: Any) -> None:
    """Of scaled values, so that u = 0 is the baseline itself."""
    found = checked("own", with_(baseline=baseline))
    assert found.form.baseline == named
    np.testing.assert_allclose(found.form.reference, reference, rtol=1e-6)
    np.testing.assert_allclose(found.inputs(TEST), TEST / 255 - reference, atol=1e-6)
    np.testing.assert_allclose(found.form.values(found.inputs(TEST)), TEST / 255, atol=1e-6)


def test_a_baseline_may_be_a_file(tmp_path: Path) -> None:
    """Read at the door; what it does not hold, or would execute, is refused."""
    np.save(tmp_path / "grey.npy", np.full((2, 3), 0.5))
    found = checked("own", with_(baseline=tmp_path / "grey.npy"))
    assert (found.form.baseline, found.form.reference.tolist()) == ("array", [0.5] * 6)
    np.save(tmp_path / "short.npy", np.full(5, 0.5))
    np.save(tmp_path / "pickled.npy", np.array([{}] * 6, dtype=object), allow_pickle=True)
    (tmp_path / "text.npy").write_text("0.5")
    for name, got in {
        "short": r"float64 \[5\]",
        "pickled": "holds no array",
        "text": "holds no array",
        "none": "No such file",
    }.items():
        with pytest.raises(DataError, match=f"baseline must be .*got .*{got}"):
            checked("own", with_(baseline=str(tmp_path / f"{name}.npy")))


@pytest.mark.parametrize(
    "baseline", ["grey", None, np.inf, np.ones(5), np.ones((3, 2)), [1, 2, 3, np.nan, 5, 6], True]
)
def test_a_baseline_that_is_none_is_refused(baseline: Any) -> None:
    """In the set's units there must be one number for each feature."""
    with pytest.raises(DataError, match="baseline must be zero, mean, a number"):
        checked("own", with_(baseline=baseline))


def test_a_baseline_is_the_loaders_or_the_users(own: Callable[[Any], None]) -> None:
    """Asked for, it stands in the place of the one that the loader declares."""
    own(lambda *_: with_(baseline="mean"))
    assert datasets.load("own").form.baseline == "mean"
    assert datasets.load("own", baseline=0.5).form.baseline == 0.5
    with pytest.raises(DataError, match="data set 'own': baseline must be"):
        datasets.load("own", baseline=np.ones(5))


FLAGS = TEST > 99


@pytest.mark.parametrize("truth", [FLAGS, FLAGS.tolist(), torch.from_numpy(FLAGS)])
def test_the_truth_is_a_flag_by_feature_of_the_test(truth: Any) -> None:
    """Most sets have none; one that has is other data to all that rests on it."""
    found = checked("own", with_(truth=truth))
    assert found.truth is not None
    assert np.array_equal(found.truth, FLAGS)
    assert found.digest != SOUND.digest
    assert checked("own", SOUND).truth is None


@pytest.mark.parametrize("truth", [FLAGS.astype(int), FLAGS[0], TRAIN > 9, FLAGS & False, "all", True])
def test_a_truth_that_is_none_is_refused(truth: Any) -> None:
    """It must flag something of each test input."""
    with pytest.raises(DataError, match="truth must be"):
        checked("own", with_(truth=truth))


# the digest


def test_the_digest_of_bytes_is_what_it_was() -> None:
    """What is computed of grey images stays in every cache, and every night in its series."""
    digest = hashlib.sha256()
    for array in (TRAIN, SOUND.train_labels, TEST, SOUND.test_labels):
        digest.update(f"{array.dtype.str} {array.shape}\n".encode() + array.tobytes())
    assert SOUND.digest == checked("own", SOUND).digest == digest.hexdigest()


@pytest.mark.parametrize(
    "meaning",
    [
        {"kind": "series"},
        {"shape": (1, 2, 3)},
        {"scale": 1},
        {"baseline": "mean"},
        {"baseline": 0.5},
        {"baseline": 0.25},
    ],
)
def test_the_digest_follows_what_the_numbers_stand_for(meaning: Any) -> None:
    """Another kind, scale or baseline gives other numbers, so it is other data; a unit does not."""
    others = [one for one in ({"scale": 1}, {"baseline": 0.5}) if one != meaning]
    found = with_(**meaning).digest
    assert found not in [SOUND.digest, *(with_(**one).digest for one in others)]
    assert with_(**meaning, unit="V").digest == found


@pytest.mark.parametrize("field", ["train_images", "train_labels", "test_images", "test_labels"])
def test_the_digest_follows_each_array_and_no_declaration(field: str) -> None:
    """One other value is other data, whatever digest is declared; another name or declaration is not."""
    other = getattr(SOUND, field).copy()
    other.flat[0] ^= 1
    assert with_(**{field: other}).digest != SOUND.digest
    assert with_(sha256={"x": "y"}, name="z", source="there").digest == SOUND.digest


def test_the_digest_follows_types_and_shapes() -> None:
    """The same bytes as other numbers are other data."""
    assert with_(train_images=TRAIN.view(np.int8)).digest != SOUND.digest
    assert with_(train_images=TRAIN.reshape(24, 3)).digest != SOUND.digest
    assert with_(train_images=np.asfortranarray(TRAIN)).digest == SOUND.digest


# the door


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], None]]:
    """Registers a loader as `own`, for one test."""
    monkeypatch.setattr(datasets.datasets, "_entries", dict(datasets.datasets.items()))
    yield lambda loader: monkeypatch.setitem(datasets.datasets._entries, "own", loader)
    monkeypatch.undo()


def test_every_loaders_result_passes_the_door(
    own: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loader of one's own, a shipped one, and either of those behind `auto`."""
    own(lambda *_: with_(train_labels=LABELS + 1))
    with pytest.raises(DataError, match="data set 'own': train_labels must be"):
        datasets.load("own")
    for name in ("fashion-mnist", "fashion-mnist-mini"):
        monkeypatch.setitem(datasets.datasets._entries, name, lambda *_: with_(shape=(6,)))
    for name in ("fashion-mnist", "auto"):
        with pytest.raises(DataError, match="data set 'fashion-mnist': shape must be"):
            datasets.load(name)
    with pytest.raises(DataError, match="data set 'fashion-mnist-mini': shape must be"):
        datasets.load("fashion-mnist-mini")


@pytest.mark.parametrize("loader", [SOUND, lambda: SOUND, None, lambda _, __: SOUND])
def test_a_loader_that_takes_no_folder_is_told_how(own: Callable[[Any], None], loader: Any) -> None:
    """Also a data set in its loader's place."""
    own(loader)
    with pytest.raises(DataError, match=r"data set 'own': its loader must be a function .*\(data_dir=None\)"):
        datasets.load("own")


def test_a_file_that_a_loader_cannot_read_is_an_error_of_data(own: Callable[[Any], None]) -> None:
    """The file is named, in a line."""

    def loader(data_dir: Path | None = None) -> Dataset:
        np.load("nowhere.npz")
        raise AssertionError

    own(loader)
    with pytest.raises(DataError, match=r"data set 'own': its files cannot be read: .*nowhere\.npz"):
        datasets.load("own")


def test_a_loader_gets_a_path_whatever_the_folder_was_given_as(own: Callable[[Any], None]) -> None:
    """A notebook names a folder by a text."""
    got: list[object] = []

    def loader(data_dir: Path | None = None) -> Dataset:
        got.append(data_dir)
        return SOUND

    own(loader)
    datasets.load("own", "there")
    datasets.load("own")
    assert got == [Path("there"), None]


@pytest.mark.parametrize("name", [5, None, ["own"], ("own",)])
def test_a_name_that_is_no_text_is_unknown(name: Any) -> None:
    """It is refused like a misspelt one."""
    with pytest.raises(ConfigurationError, match="unknown dataset"):
        datasets.load(name)


def test_a_name_is_one_of_a_channel_or_of_a_feature() -> None:
    """As many as there are, distinct; numbers serve; they have no part in what the data is."""
    channels = with_(shape=(2, 3), kind="series", names=["left", 5])
    assert checked("own", channels).form.names == ("left", "5")
    bare = checked("own", with_(shape=(2, 3), kind="series", names=None))
    assert bare.form.names == ()
    assert bare.digest == checked("own", channels).digest
    for names in (("a",), ("a", "a")):
        with pytest.raises(DataError, match="names must be"):
            checked("own", with_(shape=(2, 3), kind="series", names=names))
