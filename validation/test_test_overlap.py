"""The test set was not trained on."""

import pytest

from harness.records import Verdict


@pytest.mark.criterion("test_overlap")
def test_few_test_images_stand_in_the_training_set(criterion: Verdict) -> None:
    """At most 1 % of the test images stand in the training set, pixel for pixel."""
    assert criterion.accepted, criterion.why
