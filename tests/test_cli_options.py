"""What a command line asks for, as far as it can be told where the rest of it is a mistake."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from harness.cli import app, options
from harness.errors import ConfigurationError


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        ([], "artifacts"),
        (["--output", "a"], "a"),
        (["--output=a b"], "a b"),
        (["--output", "a", "--k", "9000", "--output=b"], "b"),
        (["--outputs=a", "--output"], "artifacts"),
        (["--config", "other.toml"], "other"),
        (["--config", "other.toml", "--output=mine"], "mine"),
        (["--config", "nothing.toml"], "artifacts"),
        (["--config", "damaged.toml"], "artifacts"),
    ],
)
def test_the_output_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], output: str
) -> None:
    """The last flag, else the configuration's, else the default."""
    (tmp_path / "other.toml").write_text('output = "other"\nno_such_key = 1\n')
    (tmp_path / "damaged.toml").write_text("output = [")
    monkeypatch.chdir(tmp_path)
    assert options.asked_output(["validate", *arguments]) == Path(output)


def test_the_working_folders_output_counts_and_home_is_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`harness.toml` here is read as a run would read it; `~` is the home folder, nothing is no folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "harness.toml").write_text('output = "~/runs"\n')
    assert options.asked_output(["run"]) == tmp_path / "home/runs"
    with pytest.raises(ConfigurationError, match="--output"):
        options.asked_output(["run", "--output", ""])


def test_the_checks_that_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The flag's, else those of the configuration that is here, whose other keys are nobody's concern."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    assert options.asked_checks(None) == ()
    assert options.asked_checks("a,b") == (tmp_path / "a", tmp_path / "b")
    (tmp_path / "harness.toml").write_text('checks = ["b"]\nno_such_key = 1\n')
    assert options.asked_checks(None) == (tmp_path / "b",)
    assert options.asked_checks("a") == (tmp_path / "a",)
    for name in ("environment.json", "config.toml"):  # what came with a run is no configuration of the user's
        (tmp_path / name).write_text("")
    assert options.asked_checks(None) == ()


@pytest.mark.parametrize("checks", ["3", '["nothing"]', "{}"])
def test_checks_that_cannot_be_meant_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checks: Any
) -> None:
    """A number, a table, a folder that is not there: one line."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "harness.toml").write_text(f"checks = {checks}\n")
    with pytest.raises(ConfigurationError, match="checks"):
        options.asked_checks(None)


def test_the_help_says_what_a_value_is() -> None:
    """A file is no folder, and what is empty is none."""
    printed = CliRunner().invoke(app, ["validate", "--help"], env={"COLUMNS": "200"}).output
    assert re.search(r"--weights FILE ", printed)
    assert re.search(r"--code MODULE:FUNCTION ", printed)
    assert re.search(r"--data-dir FOLDER ", printed)
    assert "[default: ]" not in printed
