"""The code holds more of an image than the mean image does."""

import pytest

from harness.records import Verdict


@pytest.mark.criterion("fraction_unexplained")
def test_little_of_the_variance_is_left_unexplained(criterion: Verdict) -> None:
    """Reconstructions leave at most a quarter of the test images' variance unexplained."""
    assert criterion.accepted, criterion.why
