"""Find and read the TOML tables by which a run is configured, before anybody asks what they mean."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import ConfigurationError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read(path: Path | None, folder: Path) -> tuple[dict[str, Any], str]:
    """The raw values, and where they come from in words.

    Args:
        path: A TOML file; None looks for `harness.toml`, then `[tool.harness]` of pyproject.toml.
        folder: Where to look for the files that nobody named.

    Raises:
        ConfigurationError: a file that is missing or no TOML, or a value in a table's place.
    """
    if path is None:
        named, project = folder / "harness.toml", folder / "pyproject.toml"
        if _is_file(named):
            return _parse(named), str(named)
        if _is_file(project):
            return _tool_table(project), f"[tool.harness] of {project}"
        return {}, "the command line"
    if not _is_file(path):
        raise ConfigurationError(f"--config {path}: there is no such file")
    if path.name == "pyproject.toml":
        return _tool_table(path), f"[tool.harness] of {path}"
    return _parse(path), str(path)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be looked at ({error.strerror}); name another") from None


def _tool_table(path: Path) -> dict[str, Any]:
    tool = table_of(_parse(path).get("tool", {}), f"tool in {path}")
    return table_of(tool.get("harness", {}), f"tool.harness in {path}")


def table_of(value: object, name: str) -> dict[str, Any]:
    """A copy of a table.

    Raises:
        ConfigurationError: it is something else.
    """
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{name} must be a table (got {value!r})")
    return dict(value)


def _parse(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from None
    return parse(content, str(path))


def parse(content: bytes, name: str) -> dict[str, Any]:
    """The raw values of a TOML file's content.

    Raises:
        ConfigurationError: it is no TOML.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ConfigurationError(
            f"{name} cannot be read as TOML: it is UTF-16, which PowerShell's > writes; save it as UTF-8"
        )
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigurationError(f"{name} cannot be read as TOML: {error}") from None
