"""What inputs are called, by the kind of data."""

from __future__ import annotations

from harness.forms import AXES
from harness.kinds import IMAGES, WORDS, words_of


def test_every_kind_has_its_words() -> None:
    """And none that there is not."""
    assert set(WORDS) == set(AXES)
    assert words_of({"kind": "table"}).features == "features"


def test_a_run_of_before_there_were_kinds_has_images() -> None:
    """Its record tells none."""
    assert words_of({"shape": [28, 28]}) is IMAGES
