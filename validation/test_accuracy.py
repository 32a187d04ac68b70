"""The classifier is right often enough for its decisions to be worth explaining."""

import pytest

from harness.records import Verdict


@pytest.mark.criterion("accuracy")
def test_the_classifier_names_enough_test_images_rightly(criterion: Verdict) -> None:
    """At least three of four test images are named rightly."""
    assert criterion.accepted, criterion.why
