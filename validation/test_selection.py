"""The explained images are those that were promised: balanced, right, and sure."""

import pytest

from harness.records import Verdict


@pytest.mark.criterion("selection")
def test_the_explained_images_are_balanced_right_and_sure(criterion: Verdict) -> None:
    """Every class has as many samples as wanted, each named rightly and over 80 % sure."""
    assert criterion.accepted, criterion.why
