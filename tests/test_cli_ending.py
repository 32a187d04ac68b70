"""How commands that give a verdict end."""

from __future__ import annotations

import sys

import pytest

from harness.cli import ending


@pytest.mark.parametrize(
    ("failure", "code"),
    [(KeyboardInterrupt(), 130), (ending.Terminated(), 143), (ValueError(), 3), (MemoryError(), 3)],
)
def test_the_exit_code_tells_what_ended_it(failure: BaseException, code: int) -> None:
    """A signal by its number, anything else as an error."""
    assert ending.code_of(failure) == code


def test_a_module_is_imported_beside_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is there when the block has ended, also by an error."""
    monkeypatch.delitem(sys.modules, "this", raising=False)
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with pytest.raises(ValueError, match="inside"), ending.importing("colorsys"):
        raise ValueError("inside")
    assert "colorsys" in sys.modules
