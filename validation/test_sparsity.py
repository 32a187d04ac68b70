"""The code is as sparse as it was declared."""

import pytest

from harness.records import Verdict


@pytest.mark.criterion("sparsity")
def test_a_code_has_about_k_active_units(criterion: Verdict) -> None:
    """The mean number of active units of a test image is within 10 % of k."""
    assert criterion.accepted, criterion.why
