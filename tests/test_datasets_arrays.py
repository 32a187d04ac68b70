"""Arrays of one's own are taken as their names and axes say, and never by a guess."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import datasets
from harness.errors import ConfigurationError, DataError
from harness.forms import AXES

generator = np.random.default_rng(0)
BYTES = generator.integers(0, 256, (20, 4, 5), dtype=np.uint8)
COLOURS = generator.integers(0, 256, (20, 3, 5, 3), dtype=np.uint8)
FLOATS = generator.standard_normal((20, 4, 5))
LABELS = np.arange(20) % 2


def saved(folder: Path, **arrays: Any) -> str:
    np.savez(folder / "own.npz", **arrays)
    return str(folder / "own.npz")


def halves(whole: Any = BYTES, labels: Any = LABELS, **more: Any) -> dict[str, Any]:
    return dict(x_train=whole[:12], y_train=labels[:12], x_test=whole[12:], y_test=labels[12:], **more)


@pytest.mark.parametrize(
    "names", ["x_train y_train x_test y_test", "train_images train_labels test_images test_labels"]
)
def test_the_usual_names_are_known(names: str, tmp_path: Path) -> None:
    """Keras's, and ours and MedMNIST's."""
    found = datasets.load(saved(tmp_path, **dict(zip(names.split(), halves().values(), strict=True))))
    assert (found.name, found.shape, found.classes) == ("own.npz", (4, 5), ("0", "1"))
    assert np.array_equal(found.train_images, BYTES[:12].reshape(12, -1))
    assert found.test_labels.tolist() == LABELS[12:].tolist()


def test_one_piece_is_split_by_content(tmp_path: Path) -> None:
    """A share of each class is held back; a set with a test of its own has none."""
    found = datasets.load(saved(tmp_path, x=BYTES, y=LABELS), test_share=0.3)
    assert np.bincount(found.test_labels).tolist() == [3, 3]
    with pytest.raises(ConfigurationError, match=r"data\.test_share: plays no part"):
        datasets.load(saved(tmp_path, **halves()), test_share=0.3)


@pytest.mark.parametrize(
    ("array", "axes", "kind", "shape"),
    [
        (BYTES, None, "image", (4, 5)),
        (generator.integers(0, 256, (20, 6, 5, 3), dtype=np.uint8), None, "image", (3, 6, 5)),
        (generator.integers(0, 256, (20, 3, 4, 5), dtype=np.uint8), None, "image", (3, 4, 5)),
        (COLOURS, ("row", "column", "channel"), "image", (3, 3, 5)),
        (FLOATS, ("channel", "time"), "series", (4, 5)),
        (FLOATS, ("time", "channel"), "series", (5, 4)),
        (FLOATS[:, 0], ("time",), "series", (5,)),
        (FLOATS[:, 0], ("feature",), "table", (5,)),
        (generator.random((20, 2, 4, 5, 1)), ("frame", "row", "column", "channel"), "clip", (2, 1, 4, 5)),
        (generator.random((20, 4, 5, 2)), ("row", "column", "frame"), "clip", (2, 4, 5)),
    ],
)  # fmt: skip
def test_axes_are_put_in_order(array: Any, axes: Any, kind: str, shape: Any, tmp_path: Path) -> None:
    """Channels and frames come first, wherever they stand; the file or the user names what is not clear."""
    found = datasets.load(saved(tmp_path, **halves(array)), axes=axes)
    assert (found.kind, found.shape) == (kind, shape)
    names = axes or (("channel", "row", "column") if array.shape[1] == 3 else ("row", "column", "channel"))
    if array.ndim > 2 and (array.ndim > 3 or axes):
        order = [0, *(1 + names.index(name) for name in found.axes)]
        assert np.array_equal(
            found.train_images[0], array.transpose(order)[0].reshape(-1).astype(found.train_images.dtype)
        )
    told = datasets.load(saved(tmp_path, **halves(array), **({"axes": np.array(axes)} if axes else {})))
    assert told.digest == found.digest


@pytest.mark.parametrize(
    "array",
    [
        FLOATS,
        FLOATS[:, 0],
        COLOURS,
        generator.integers(0, 256, (20, 8, 4, 5), dtype=np.uint8),
        generator.integers(0, 256, (20, 3, 3, 4, 5), dtype=np.uint8),
    ],
    ids=lambda one: str(one.shape),
)
def test_axes_that_are_not_clear_must_be_named(array: Any, tmp_path: Path) -> None:
    """A series of channels looks like an image, and a clip like one with many channels."""
    with pytest.raises(DataError, match="must be named, they are not clear; say --axes"):
        datasets.load(saved(tmp_path, **halves(array)))


@pytest.mark.parametrize(
    "axes", [("row",), ("row", "time"), ("x", "y"), ("row", "column", "channel"), ("row", "row")]
)
def test_axes_that_do_not_fit_are_refused(axes: Any, tmp_path: Path) -> None:
    """With those that there are, and the array's sides."""
    with pytest.raises(DataError, match=r"axes must name each side .*row,column.*of sides \(4, 5\)"):
        datasets.load(saved(tmp_path, **halves()), axes=axes)


@pytest.mark.parametrize(
    ("sides", "suggested"),
    [
        ((60,), "time or feature"),
        ((60, 2), "row,column or time,channel"),
        ((2, 60), "row,column or channel,time"),
        ((5, 6, 7), "channel,row,column or row,column,channel or frame,row,column"),
        ((8, 8, 2), "channel,row,column or row,column,channel or frame,row,column"),
        ((5, 3, 6, 7), "frame,channel,row,column or frame,row,column,channel"),
    ],
)
def test_only_axes_of_so_many_sides_are_suggested(sides: Any, suggested: str, tmp_path: Path) -> None:
    """Where they are asked for, and where others were named; the longer side of a series is its time."""
    file = saved(tmp_path, **halves(generator.random((20, *sides))))
    with pytest.raises(DataError, match=f"say --axes {suggested}, whichever they are"):
        datasets.load(file)
    with pytest.raises(DataError, match=f"in the array's order: {suggested} \\(got x"):
        datasets.load(file, axes=("x",))
    for axes in suggested.split(" or "):
        assert datasets.load(file, axes=tuple(axes.split(","))).kind in AXES


@pytest.mark.parametrize("sides", [(), (2, 2, 2, 2, 2)])
def test_an_input_has_one_to_four_sides(sides: Any, tmp_path: Path) -> None:
    """No axes are suggested of which none fit."""
    with pytest.raises(DataError, match=rf"1 to 4 sides \(got {len(sides)}\)"):
        datasets.load(saved(tmp_path, **halves(generator.random((20, *sides)))))


def test_a_file_tells_what_its_numbers_mean(tmp_path: Path) -> None:
    """Classes, shape, scale, unit and baseline."""
    flat = generator.standard_normal((20, 6))
    found = datasets.load(
        saved(
            tmp_path, **halves(flat), classes=["up", "down"], shape=[2, 3], axes=["channel", "time"],
            scale=0.5, unit="mV", baseline="mean",
        )
    )  # fmt: skip
    assert (found.classes, found.shape, found.kind) == (("up", "down"), (2, 3), "series")
    assert (found.form.scale, found.form.unit, found.form.baseline) == (0.5, "mV", "mean")
    assert found.form.axes == ("channel", "time")


@pytest.mark.parametrize(
    ("labels", "told", "classes", "positions"),
    [
        (LABELS + 1, None, ("1", "2"), LABELS),
        (LABELS * 10, None, ("0", "10"), LABELS),
        (LABELS[:, None], None, ("0", "1"), LABELS),
        (np.array(["up", "down"])[LABELS], None, ("down", "up"), 1 - LABELS),
        (np.array([b"9", b"10"])[LABELS], None, ("9", "10"), LABELS),
        (np.array(["up", "down"])[LABELS], ["up", "down"], ("up", "down"), LABELS),
    ],
)
def test_labels_are_named_and_never_shifted(
    labels: Any, told: Any, classes: Any, positions: Any, tmp_path: Path
) -> None:
    """Numbers that do not begin at 0 are names; texts come by the alphabet, or as the file tells."""
    more = {} if told is None else {"classes": told}
    found = datasets.load(saved(tmp_path, **halves(labels=labels), **more))
    assert found.classes == classes
    assert np.concatenate([found.train_labels, found.test_labels]).tolist() == positions.tolist()


HOLED = FLOATS.copy()
HOLED[3, 2, 1] = np.nan
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "names": ({"a": BYTES, "b": LABELS}, "must be named x_train.*got a, b"),
    "a stranger": (halves(extra=LABELS), "got extra.*leave it out"),
    "objects": (halves(labels=LABELS.astype(object)), "not unpickled"),
    "one-hot": (halves(labels=np.eye(2, dtype=int)[LABELS]), r"whole numbers or texts.*argmax"),
    "floats as labels": (halves(labels=LABELS / 1.0), r"whole numbers or texts.*labels\.astype\(int\)"),
    "booleans as labels": (halves(labels=LABELS > 0), r"whole numbers or texts.*labels\.astype\(int\)"),
    "labels between": (halves(labels=LABELS + 0.5), "whole numbers or texts.*make them of one type"),
    "labels that are none": (halves(labels=LABELS + np.nan), "whole numbers or texts.*make them of one type"),
    "a few levels": (halves(BYTES % 17), r"nothing above 16.*scale=1/16 .*numpy\.savez"),
    "levels as wider numbers": (halves(BYTES.astype(np.int64) - 9, axes=["row", "column"]), r"numpy\.savez"),
    "fewer labels": (halves() | {"y_train": LABELS[:5]}, "x_train must have a label each .got 12 inputs"),
    "a class in one half": (halves(labels=np.repeat([0, 1, 2], [6, 12, 2])), "'0', and no test"),
    "an undeclared label": (
        halves(labels=np.array(["a", "b"])[LABELS], classes=["a", "c"]), "among the classes 'a', 'c' .got 'b'"
    ),
    "a label beyond": (halves(labels=LABELS + 1, classes=["a", "b"]), "train_labels must be .*subtract 1"),
    "two shapes": (halves() | {"x_test": BYTES[:8, :3]}, r"of one shape .got \(4, 5\) and \(3, 5\)"),
    "another shape told": (halves(shape=[4, 5]), r"must be \[n, 20\]"),
    "a gap": (halves(HOLED, axes=["channel", "time"]), "nan at position 11 of input 3"),
    "a scale of 0": (halves(FLOATS, axes=["channel", "time"], scale=0), "scale must be a finite number"),
    "floats beyond 1": (halves(FLOATS, axes=["row", "column"]), r"floats in \[0, 1\].*numpy\.savez"),
    "the same twice": (halves() | {"x_test": BYTES[:12], "y_test": LABELS[:12]}, "other images than"),
}  # fmt: skip


@pytest.mark.parametrize("fault", BAD)
def test_what_cannot_be_taken_is_refused_by_name(fault: str, tmp_path: Path) -> None:
    """In one line with the file, or with the data set's name and field."""
    arrays, message = BAD[fault]
    with pytest.raises(DataError, match=rf"own\.npz.*({message})") as caught:
        datasets.load(saved(tmp_path, **arrays))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 cut", b"\x80\x04K\x01."])
def test_a_file_that_is_no_npz_is_refused(content: bytes, tmp_path: Path) -> None:
    """A pickle that bears the ending too, and nothing of it is executed."""
    path = tmp_path / "own.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"own\.npz: (cannot be read as an .npz|must hold numbers)"):
        datasets.load(str(path))
    with path.open("wb") as stream:
        np.save(stream, BYTES)
    with pytest.raises(DataError, match="got one array"):
        datasets.load(str(path))


# paths


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """By itself, and where it has no known ending."""
    with pytest.raises(DataError, match="there is no such file or folder"):
        datasets.load(str(tmp_path / "none.npz"))
    (tmp_path / "x.h5").write_bytes(b"?")
    with pytest.raises(DataError, match=r"in \.npz, \.csv, \.ts .got \.h5"):
        datasets.load(str(tmp_path / "x.h5"))


def test_a_folder_without_its_slash_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name alone is a registered one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    with pytest.raises(ConfigurationError, match="named with its slash: photos/"):
        datasets.load("photos")


def test_what_does_not_fit_into_memory_is_refused(tmp_path: Path) -> None:
    """A file whose header claims more than there is."""
    with zipfile.ZipFile(tmp_path / "own.npz", "w") as file:
        for name in ("x", "y"):
            header = io.BytesIO()
            shape = (2**45, 28)
            np.lib.format.write_array_header_1_0(
                header, {"descr": "|u1", "fortran_order": False, "shape": shape}
            )
            file.writestr(f"{name}.npy", header.getvalue())
    with pytest.raises(DataError, match=r"own\.npz: (does not fit into memory|cannot be read)"):
        datasets.load(str(tmp_path / "own.npz"))


def test_a_registered_name_is_no_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it ends in."""
    monkeypatch.setattr(datasets.datasets, "_entries", dict(datasets.datasets.items()))
    datasets.datasets.add("mine.csv", datasets.fashion_mnist_mini)
    assert datasets.load("mine.csv").name == "fashion-mnist-mini"


# series

TS = "@problemName x\n@classLabel true up down\n@data\n"


def ts(path: Path, n: int, seed: int, head: str = TS, points: int = 4) -> Path:
    values = np.random.default_rng(seed).standard_normal((n, 2, points)).round(3)
    names = ("up", "down")
    rows = [
        f"{':'.join(','.join(map(str, one)) for one in row)}:{names[at % 2]}" for at, row in enumerate(values)
    ]
    path.write_text(head + "\n".join(rows))
    return path


def test_the_archives_two_files_are_one_set(tmp_path: Path) -> None:
    """The test is found beside the training; alone a file is split; the test alone is none."""
    train = ts(tmp_path / "Walk_TRAIN.ts", 10, 0)
    assert len(datasets.load(str(train)).test_images) == 2
    test = ts(tmp_path / "Walk_TEST.ts", 6, 1)
    found = datasets.load(str(train))
    assert (len(found.train_images), len(found.test_images)) == (10, 6)
    assert (found.kind, found.shape, found.classes) == ("series", (2, 4), ("up", "down"))
    assert set(found.sha256) == {"Walk_TRAIN.ts", "Walk_TEST.ts"}
    with pytest.raises(DataError, match="is the test alone"):
        datasets.load(str(test))
    ts(tmp_path / "Walk_TEST.ts", 6, 1, points=5)
    with pytest.raises(DataError, match=r"one shape .got \(2, 4\) and \(2, 5\)"):
        datasets.load(str(train))


def test_a_label_that_the_header_lacks_is_refused(tmp_path: Path) -> None:
    """By the file in which it stands."""
    path = ts(tmp_path / "x.ts", 6, 0, TS.replace(" down", " left"))
    with pytest.raises(DataError, match=r"must be among the classes 'up', 'left' .got 'down'"):
        datasets.load(str(path))
    path.write_bytes(b"@data\n\xff")
    with pytest.raises(DataError, match="must be text in UTF-8"):
        datasets.load(str(path))
