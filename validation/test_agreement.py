"""The attribution methods agree on what a decision rests on."""

import pytest

from harness.records import Verdict


@pytest.mark.criterion("agreement")
def test_the_attribution_methods_agree(criterion: Verdict) -> None:
    """The mean correlation of the methods' signed contribution maps, over pairs, is at least 0.6."""
    assert criterion.accepted, criterion.why
