"""Criteria that have no file of their own: the watched ones, and what a recipe or a configuration adds."""

import pytest

from harness.records import Verdict


@pytest.mark.watched
def test_other_criteria(criterion: Verdict) -> None:
    """A gate of the configuration holds; what is only watched is noted, and has no say."""
    assert criterion.accepted, criterion.why
