"""The path that a judging process finds modules by."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from harness.judging import alone


def test_places_come_last_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there already keeps its place, and an empty entry is the working folder."""
    monkeypatch.setattr(sys, "path", ["/first", str(tmp_path)])
    monkeypatch.chdir(tmp_path)
    alone.append([str(tmp_path / "a" / ".." / "b"), "c", "", "c", "/first"])
    assert sys.path == ["/first", str(tmp_path), str(tmp_path / "b"), str(tmp_path / "c")]


def test_a_folder_of_ones_own_is_run_in_the_users_surroundings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Working folder, variables and neighbours are the user's once pytest knows where its tests are."""
    (tmp_path / "checks").mkdir()
    monkeypatch.chdir(tmp_path / "checks")
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setenv("PYTHONSTARTUP", "")  # so that it goes at the end
    alone._Surroundings(str(tmp_path), {"PYTHONSTARTUP": "theirs"}).pytest_load_initial_conftests()
    assert sys.path == [str(tmp_path / "checks"), str(tmp_path)]
    assert Path.cwd() == tmp_path
    assert os.environ["PYTHONSTARTUP"] == "theirs"
