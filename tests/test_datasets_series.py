"""A `.ts` file is read as it says, and what it does not say is refused by its line."""

from __future__ import annotations

import numpy as np
import pytest

from harness.datasets.series import parse
from harness.errors import DataError

HEAD = "# a comment\n@problemName Walk\n@timeStamps false\n@classLabel true up down\n@data\n"


def test_channels_come_before_time() -> None:
    """Two series of two channels of three points, and their labels as they are written."""
    found = parse(f"{HEAD}1,2,3:4,5,6:up\n\n7,8,9:0,-1e-1,2:down\n", "x.ts")
    assert found.values.tolist() == [[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [0, np.float32(-0.1), 2]]]
    assert (found.labels, found.classes) == (["up", "down"], ("up", "down"))


def test_one_channel_is_no_axis() -> None:
    """A univariate series is a row."""
    assert parse(f"{HEAD}1,2,3:up\n", "x.ts").values.shape == (1, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD, r"must hold series after '@data'.*got none"),
        (HEAD + "1,2,3\n", r"must hold series after '@data'.*got none"),
        (HEAD + "1,2,3:up\n1,2:down\n", "line 7: series must be of one length.*1 of 3 points.*got 1 of 2"),
        (HEAD + "1,2:3,4:up\n1,2:down\n", "line 7: .*2 of 2 points.*got 1 of 2"),
        (HEAD + "1,2:3:up\n", "line 6: .*got 2 of 2, 1.*cut them, pad them"),
        (HEAD + "1,?,3:up\n", r"line 6: points must be numbers \(got '\?'\); fill the gap"),
        (HEAD + "1,,3:up\n", r"line 6: points must be numbers \(got ''\); fill the gap"),
        (HEAD + "1 2 3:up\n", "line 6: points must be numbers .*commas"),
        (HEAD + "(0,1),(1,2):up\n", "line 6: points must be numbers"),
        (HEAD.replace("Stamps false", "stamps True") + "1:up\n", "its points bear time stamps"),
        (HEAD.replace("true up down", "false") + "1\n", "must declare its classes"),
        ("@data\n1,2:up\n", "must declare its classes"),
        ("1,2:up\n", "line 1: must be a '@' line"),
    ],
)
def test_what_is_no_series_of_one_length_is_refused(text: str, message: str) -> None:
    """By its line where there is one, with the ways out."""
    with pytest.raises(DataError, match=rf"^x\.ts: {message}"):
        parse(text, "x.ts")
