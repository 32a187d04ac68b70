"""What a release says of itself is one thing in every place, and its proof sees what is wrong."""

from __future__ import annotations

import datetime
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import harness
from harness.config.tables import parse
from tools import release

ROOT = release.ROOT
PROJECT = dict(parse((ROOT / "pyproject.toml").read_bytes(), "pyproject.toml"))["project"]


@pytest.fixture(scope="module")
def citation() -> dict[str, Any]:
    """What CITATION.cff says."""
    told: dict[str, Any] = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    return told


def newest() -> tuple[str, str]:
    """Version and date of the changelog's newest release."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    found = re.findall(r"(?m)^## \[(.+?)\](?: - (\S+))?$", text)
    assert found[0] == ("Unreleased", "")
    version, date = found[1]
    return version, date


def test_one_version_stands_everywhere(citation: dict[str, Any]) -> None:
    """The package's, the project's, the citation's and the changelog's; the dates are one, too."""
    version, date = newest()
    assert harness.__version__ == PROJECT["version"] == str(citation["version"]) == version
    assert str(citation["date-released"]) == date


def test_the_citation_is_one(citation: dict[str, Any]) -> None:
    """As the Citation File Format 1.2.0 has it: what it requires, in its types, and no key that it lacks."""
    assert citation["cff-version"] == "1.2.0"
    assert set(citation) <= {
        *("cff-version", "message", "title", "abstract", "type", "authors", "version", "date-released"),
        *("license", "keywords", "doi", "url", "repository-code", "identifiers", "preferred-citation"),
    }
    for name in ("message", "title", "abstract"):
        assert isinstance(citation[name], str)
        assert citation[name]
    assert citation["type"] == "software"
    assert isinstance(citation["version"], str)
    assert isinstance(citation["date-released"], datetime.date)
    assert citation["license"] == PROJECT["license"]
    assert citation["keywords"] == PROJECT["keywords"]
    assert [set(one) for one in citation["authors"]] == [{"name"}]
    assert citation["authors"][0]["name"] in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_the_supported_pythons_are_those_of_the_project() -> None:
    """The oldest is the one that the project requires."""
    assert PROJECT["requires-python"] == f">={release.VERSIONS[0]}"
    assert list(release.VERSIONS) == sorted(release.VERSIONS, key=lambda one: int(one.split(".")[1]))


def test_what_must_be_in_a_source_distribution_is_in_the_checkout() -> None:
    """And the distribution is asked for it by its own names."""
    for name in release.WANTED:
        assert (ROOT / name).is_file(), name
    whole = [f"x-1/{name}" for name in release.WANTED]
    assert release.missing_or_strange(whole) == []
    assert release.missing_or_strange(whole[1:]) == [f"lacks {release.WANTED[0]}"]
    assert release.missing_or_strange([*whole, "x-1/artifacts/cache/one"]) == ["has artifacts/"]


def test_two_builds_that_differ_are_refused(tmp_path: Path) -> None:
    """In a byte, or by a file that only one of them has; the message has both digests."""
    folders = tmp_path / "one", tmp_path / "two"
    for folder in folders:
        folder.mkdir()
        (folder / "a.whl").write_bytes(b"a")
    first, second = ([folder / "a.whl"] for folder in folders)
    assert release.same(first, second) == first
    with pytest.raises(SystemExit, match="two builds differ"):
        release.same(first, [])
    second[0].write_bytes(b"b")
    with pytest.raises(SystemExit, match=r"two builds differ: .*ca978112.* and .*3e23e816"):
        release.same(first, second)


def test_the_oldest_and_the_newest_that_can_be_had_are_taken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of those that cannot the reason is told; where there is one alone it is taken once."""
    had = {"3.11": "eleven", "3.12": "twelve", "3.13": "thirteen"}
    monkeypatch.setattr(release, "found", lambda version: (had.get(version, ""), "nowhere"))
    assert list(release.pythons()) == ["eleven", "thirteen"]
    assert capsys.readouterr().out == "Python 3.10 is skipped: nowhere\nPython 3.14 is skipped: nowhere\n"
    del had["3.11"], had["3.13"]
    assert list(release.pythons()) == ["twelve"]


def test_a_python_that_pyenv_has_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own programs need not be on the path; 3.1 is not taken for 3.10."""
    program = tmp_path / "versions" / "3.10.13" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.touch()
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert release.found("3.10") == (str(program), "")
    monkeypatch.setattr(sys, "executable", "false")
    assert release.found("3.1")[0] == ""
