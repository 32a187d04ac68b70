"""Raw tables come from the first file there is, and from nothing that is no table."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.config.tables import read
from harness.errors import ConfigurationError


def test_raw_values_come_with_their_origin(tmp_path: Path) -> None:
    """Each of the four places gives its values, and says in words which it was."""
    assert read(None, tmp_path) == ({}, "the command line")
    project, own, named = (tmp_path / name for name in ("pyproject.toml", "harness.toml", "named.toml"))
    project.write_text("[tool.harness]\nk = 1\n")
    assert read(None, tmp_path) == ({"k": 1}, f"[tool.harness] of {project}")
    own.write_text("k = 2\n")
    assert read(None, tmp_path) == ({"k": 2}, str(own))
    named.write_text("k = 3\n")
    assert read(named, tmp_path) == ({"k": 3}, str(named))
    assert read(project, tmp_path) == ({"k": 1}, f"[tool.harness] of {project}")


@pytest.mark.parametrize("content", [b"[model\nk = 8", b"k = 1\nk = 2", b"title = '\xff\xfe'"])
@pytest.mark.parametrize("name", ["harness.toml", "pyproject.toml"])
def test_a_file_that_is_not_toml_is_refused(name: str, content: bytes, tmp_path: Path) -> None:
    """Bad syntax, a key set twice and bytes that are not UTF-8 are refused in one line with the path."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigurationError, match=rf"{name} cannot be read as TOML") as caught:
        read(None, tmp_path)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", ["harness.toml", "pyproject.toml", "named.toml"])
def test_a_file_of_any_editor_is_read(name: str, tmp_path: Path) -> None:
    """With a byte order mark, with other line ends; UTF-16, which is no TOML, is named, and the mend."""
    path, head = tmp_path / name, "[tool.harness]" if name == "pyproject.toml" else "# top"
    named = path if name == "named.toml" else None
    text = f"{head}\r\ntitle = 'für'\r\n"
    for encoding in ("utf-8", "utf-8-sig"):
        path.write_bytes(text.encode(encoding))
        assert read(named, tmp_path)[0] == {"title": "für"}
    for encoding in ("utf-16-le", "utf-16-be"):
        path.write_bytes(f"\ufeff{text}".encode(encoding))
        with pytest.raises(ConfigurationError, match=r"it is UTF-16, .*save it as UTF-8"):
            read(named, tmp_path)


def test_a_name_that_no_file_can_bear_is_refused(tmp_path: Path) -> None:
    """In one line, as a file that is missing."""
    with pytest.raises(ConfigurationError, match=r"x\.toml cannot be looked at \(.+\); name another"):
        read(tmp_path / ("x" * 300 + ".toml"), tmp_path)


@pytest.mark.parametrize("toml", ["tool = 5", "[tool]\nharness = 5"])
def test_a_pyproject_whose_table_is_no_table_is_refused(toml: str, tmp_path: Path) -> None:
    """A value in the table's place is told in one line."""
    (tmp_path / "pyproject.toml").write_text(toml)
    with pytest.raises(ConfigurationError, match=r"tool.* must be a table \(got 5\)"):
        read(None, tmp_path)
