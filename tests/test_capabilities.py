"""What a model may have, and what is said of one that lacks it."""

from __future__ import annotations

import pytest

from harness.capabilities import CAPABILITIES, lacking, needs


def test_who_needs_nothing_lacks_nothing() -> None:
    """A function that says nothing asks for logits alone."""
    assert lacking(print, ()) == ""


def test_what_is_lacking_is_said() -> None:
    """The first of the capabilities that are not there, in words."""

    @needs("code", "k")
    def function() -> None: ...

    assert lacking(function, ("code", "k")) == ""
    assert lacking(function, ("code",)) == CAPABILITIES["k"]
    assert lacking(function, ()) == CAPABILITIES["code"]


def test_a_capability_that_there_is_not_is_refused() -> None:
    """A misspelt need would never be met."""
    with pytest.raises(ValueError, match="must be one of rows, places, gradient"):
        needs("gradients")
