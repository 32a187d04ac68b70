"""The attribution methods are several."""

import pytest

from harness.records import Verdict


@pytest.mark.criterion("attribution_copies")
def test_no_method_is_a_copy_of_another(criterion: Verdict) -> None:
    """No two methods correlate over 0.999: agreement with oneself is no evidence."""
    assert criterion.accepted, criterion.why
