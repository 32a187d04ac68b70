"""A table is taken with the label where it says, and refused by row and column where a cell is no number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness import datasets
from harness.errors import ConfigurationError, DataError

generator = np.random.default_rng(0)
VALUES = generator.standard_normal((20, 3)).round(4)
NAMES = np.array(["yes", "no"])[np.arange(20) % 2]


def written(folder: Path, lines: list[str], name: str = "own.csv") -> str:
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(folder / name)


def table(label: int = 3, header: str | None = "a,b,c", named: str = "label") -> list[str]:
    """Twenty rows of three features with the label at that position."""
    rows = [list(map(str, row)) for row in VALUES]
    for row, name in zip(rows, NAMES, strict=True):
        row.insert(label, name)
    head = [] if header is None else header.split(",")
    if head:
        head.insert(label, named)
    return [",".join(row) for row in ([head] if head else []) + rows]


@pytest.mark.parametrize(
    ("lines", "asked"),
    [
        (table(), None),
        (table(0, named="Class"), None),
        (table(1, named="species"), "species"),
        (table(3, None), "-1"),
        (table(0, None), "0"),
        (table(2, named="species"), "2"),
    ],
)
def test_the_label_is_where_it_is_said(lines: list[str], asked: str | None, tmp_path: Path) -> None:
    """By a name that is known, by the name that is asked for, or by position."""
    found = datasets.load(written(tmp_path, lines), label_column=asked)
    assert (found.kind, found.shape, found.classes) == ("table", (3,), ("no", "yes"))
    whole = np.concatenate([found.train_images, found.test_images])
    labels = np.concatenate([found.train_labels, found.test_labels])
    order, expected = np.lexsort(whole.T), np.lexsort(VALUES.T)
    assert np.array_equal(whole[order], VALUES[expected].astype(np.float32))
    assert (labels[order] == (NAMES[expected] == "yes")).all()
    assert np.bincount(found.test_labels).tolist() == [2, 2]


@pytest.mark.parametrize(("header", "names"), [("a,b,c", ("a", "b", "c")), (None, ())])
def test_features_bear_the_names_of_their_columns(
    header: str | None, names: tuple[str, ...], tmp_path: Path
) -> None:
    """Without that of the label; where no row names them, nobody does."""
    found = datasets.load(written(tmp_path, table(1, header)), label_column="1")
    assert found.names == names


def test_a_row_may_be_a_series(tmp_path: Path) -> None:
    """Where its axis is time."""
    assert datasets.load(written(tmp_path, table()), axes=("time",)).kind == "series"


def test_labels_that_are_numbers_come_by_size(tmp_path: Path) -> None:
    """So that 10 comes after 9."""
    lines = ["label,a", *(f"{number},{value}" for value in range(3) for number in (9, 10))]
    assert datasets.load(written(tmp_path, lines), test_share=0.4).classes == ("9", "10")


def test_a_column_may_say_the_split(tmp_path: Path) -> None:
    """And then no share is held back."""
    lines = [
        f"{row},{'split' if at == 0 else 'Test ' if at > 14 else 'train'}" for at, row in enumerate(table())
    ]
    found = datasets.load(written(tmp_path, lines))
    assert len(found.test_images) == 6
    with pytest.raises(ConfigurationError, match=r"data\.test_share: plays no part"):
        datasets.load(written(tmp_path, lines), test_share=0.5)
    lines[4] = lines[4].replace("train", "trian")
    with pytest.raises(DataError, match=r"row 4, column 'split' must be one of .*got 'trian'"):
        datasets.load(written(tmp_path, lines))


def test_a_list_of_images_is_read_beside_the_table(tmp_path: Path) -> None:
    """The paths are those below its folder; one that is gone is named."""
    lines = ["image,label"]
    for number in range(10):
        pixels = generator.integers(0, 256, (4, 5), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        lines.append(f"{number}.png,{'ab'[number % 2]}")
    found = datasets.load(written(tmp_path, lines))
    assert (found.kind, found.shape, len(found.test_images)) == ("image", (4, 5), 2)
    assert datasets.load(written(tmp_path, lines), image_size=(8,)).shape == (8, 8)
    before = found.sha256
    Image.fromarray(np.full((4, 5), 200, dtype=np.uint8)).save(tmp_path / "3.png")
    assert datasets.load(written(tmp_path, lines)).sha256 != before
    (tmp_path / "3.png").unlink()
    with pytest.raises(DataError, match=r"lists .*3\.png, which is not there"):
        datasets.load(written(tmp_path, lines))


WHOLE = table()
BAD: dict[str, tuple[list[str], dict[str, Any], str]] = {
    "no known label": (table(named="species"), {}, "must be clear .got columns a, b, c, species.*say --"),
    "two known labels": (
        table(header="a,class,c"), {}, "must be clear .got columns a, class, c, label.*--label-column"
    ),
    "no header": (["1,2,3", "4,5,6"], {}, "must be clear .got 3 columns without a header"),
    "another label": (WHOLE, {"label_column": "species"}, "label_column must be one of its columns, a, b, c"),
    "a position beyond": (WHOLE, {"label_column": "4"}, "label_column must be one of its columns"),
    "a text": ([*WHOLE[:7], "1,x,3,yes", *WHOLE[8:]], {}, "row 7, column 'b' must be a number .got 'x'"),
    "a gap": ([*WHOLE[:7], "1,,3,yes", *WHOLE[8:]], {}, "row 7, column 'b' must be a number .got ''"),
    "a missing value": ([*WHOLE[:7], "1,NA,3,yes", *WHOLE[8:]], {}, "row 7, column 'b' .*got 'NA'"),
    "nan": ([*WHOLE[:7], "1,nan,3,yes", *WHOLE[8:]], {}, "column 'b' must be a number .got 'nan'"),
    "inf": ([*WHOLE[:7], "1,inf,3,yes", *WHOLE[8:]], {}, "inf at position 1"),
    "no label": ([*WHOLE[:7], "1,2,3,", *WHOLE[8:]], {}, "row 7 must have a label"),
    "a short row": (["label,a,b", "x,1,2", "y,1"], {},  "row 2, column 'b' must be a number .got ''"),
    "a long row": ([*WHOLE[:7], "1,2,3,yes,4", *WHOLE[8:]], {}, "cannot be read as a table"),
    "semicolons": (["a;b;label", "1;2;x"], {}, "commas between its columns"),
    "one name twice": (["a,a,label", "1,2,x"], {}, "distinct names"),
    "only a header": (["a,b,label"], {}, "must have rows"),
    "labels alone": (["label,split", "x,train", "x,test"], {}, "must have features beside the label"),
    "another axis": (WHOLE, {"axes": ("row",)}, "must be feature or time"),
    "one class of one row": ([*WHOLE, "1,2,3,maybe"], {}, "'maybe', and no test"),
}  # fmt: skip


@pytest.mark.parametrize("fault", BAD)
def test_what_is_no_table_is_refused(fault: str, tmp_path: Path) -> None:
    """By row and column where there are, in one line with the mend."""
    lines, settings, message = BAD[fault]
    with pytest.raises(DataError, match=rf"own\.csv.*{message}") as caught:
        datasets.load(written(tmp_path, lines), **settings)
    assert "\n" not in str(caught.value)


def test_a_table_in_another_encoding_is_refused(tmp_path: Path) -> None:
    """And one with a mark of UTF-8, as spreadsheets write it, is taken."""
    (tmp_path / "own.csv").write_bytes("a,b,label\n1,2,für\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"own\.csv: cannot be read as a table"):
        datasets.load(str(tmp_path / "own.csv"))
    (tmp_path / "own.csv").write_bytes(b"\xef\xbb\xbf" + "\n".join(table(0)).encode())
    assert datasets.load(str(tmp_path / "own.csv")).classes == ("no", "yes")
