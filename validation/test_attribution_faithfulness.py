"""The maps know more of the decision than the image does."""

import pytest

from harness.records import Verdict


@pytest.mark.criterion("attribution_faithfulness")
def test_maps_find_what_matters_better_than_brightness(criterion: Verdict) -> None:
    """Deletion and insertion by each method beat those in the order of the pixels' brightness."""
    assert criterion.accepted, criterion.why
