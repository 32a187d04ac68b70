"""The maps are what they claim to be."""

import pytest

from harness.records import Verdict


@pytest.mark.criterion("attribution_integrity")
def test_maps_satisfy_their_definitions(criterion: Verdict) -> None:
    """Of each method at least 95 % of the maps satisfy the method's own definition."""
    assert criterion.accepted, criterion.why
