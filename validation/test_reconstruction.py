"""The code still holds the image it explains."""

import pytest

from harness.records import Verdict


@pytest.mark.criterion("reconstruction")
def test_reconstructions_are_close_to_their_images(criterion: Verdict) -> None:
    """The mean squared error of test reconstructions is at most 0.1 a pixel."""
    assert criterion.accepted, criterion.why
