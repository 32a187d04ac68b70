"""The cache: entries that are whole or not there, and runs that share them side by side."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.artifacts.cache import Cache, share
from harness.artifacts.files import Folder
from harness.artifacts.sealing import OWN, SEALS


def fill(cache: Cache, key: str = "k", text: str = "made") -> Folder:
    """Make an entry; where it stands in the cache."""
    with cache.making("stage", key) as folder:
        folder.write_text("sub/file.txt", text)
    return Folder(cache.path / "stage" / key)


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_an_entry_is_found_again(tmp_path: Path) -> None:
    """What was made under a key is found under it, and under no other."""
    cache = Cache(tmp_path)
    fill(cache)
    found = cache.find("stage", "k")
    assert found is not None
    assert (found / "sub/file.txt").read_text() == "made"
    assert cache.find("stage", "other") is None
    assert cache.find("other", "k") is None


def test_an_entry_that_breaks_off_is_not_there(tmp_path: Path) -> None:
    """An entry whose making was interrupted does not exist, and leaves nothing behind."""
    cache = Cache(tmp_path)
    with pytest.raises(KeyboardInterrupt), cache.making("stage", "k") as folder:
        folder.write_text("file", "half")
        raise KeyboardInterrupt
    assert cache.find("stage", "k") is None
    assert not (tmp_path / "cache" / "stage").exists()
    cache.close()
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize(
    "damage", ["truncated", "foreign", "missing", "added", "link", "unsealed", "renamed", "odd", "empty"]
)
def test_a_damaged_entry_is_told_and_replaced(tmp_path: Path, damage: str) -> None:
    """An entry that is truncated, foreign, of another key, or more than was sealed is not used (28, 53)."""
    told: list[str] = []
    cache = Cache(tmp_path, tell=told.append)
    entry = fill(cache)
    file = entry / "sub/file.txt"
    if damage == "truncated":
        file.write_text("ma")
    elif damage == "foreign":
        file.write_text("else")
    elif damage == "missing":
        file.unlink()
    elif damage == "added":
        (entry / "sub/more.txt").write_text("never sealed")
    elif damage == "link":
        file.rename(entry / "elsewhere")
        file.symlink_to(entry / "elsewhere")
    elif damage in ("odd", "empty"):
        (entry / SEALS).write_text("[]" if damage == "odd" else '{"key": "k", "files": {}}')
    elif damage == "unsealed":
        (entry / SEALS).unlink()
    else:
        seals = entry / SEALS
        seals.write_text(seals.read_text().replace('"key": "k"', '"key": "of another configuration"'))
    assert cache.find("stage", "k") is None
    assert len(told) == 1
    assert f"the stored stage cannot be used and is made anew: {entry.path}: " in told[0]
    fill(cache, text="anew")
    later = Cache(tmp_path)
    found = later.find("stage", "k")
    assert found is not None
    assert (found / "sub/file.txt").read_text() == "anew"


def test_fresh_finds_nothing_and_replaces(tmp_path: Path) -> None:
    """A fresh cache finds no entry, and what it makes replaces the old one."""
    fill(Cache(tmp_path))
    fresh = Cache(tmp_path, fresh=True)
    assert fresh.find("stage", "k") is None
    fill(fresh, text="anew")
    later = Cache(tmp_path)
    found = later.find("stage", "k")
    assert found is not None
    assert (found / "sub/file.txt").read_text() == "anew"


def test_shared_files_stand_without_the_cache(tmp_path: Path) -> None:
    """A run directory is whole after the cache is gone, and holds no seals."""
    cache = Cache(tmp_path)
    entry = fill(cache)
    share(entry, tmp_path / "run")
    share(entry, tmp_path / "run")
    (entry / "sub/file.txt").unlink()
    assert [p.relative_to(tmp_path / "run").as_posix() for p in (tmp_path / "run").rglob("*.*")] == [
        "sub/file.txt"
    ]
    assert (tmp_path / "run/sub/file.txt").read_text() == "made"


def test_sharing_copies_where_links_are_not_to_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a file system without hard links the files are copied."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no links here")

    entry = fill(Cache(tmp_path))
    monkeypatch.setattr(os, "link", refuse)
    share(entry, tmp_path / "run")
    assert (tmp_path / "run/sub/file.txt").read_text() == "made"


def test_what_was_found_stands_when_the_entry_goes(tmp_path: Path) -> None:
    """A run looks at links of its own: an entry that somebody replaces meanwhile is still whole."""
    cache = Cache(tmp_path)
    fill(cache)
    mine = Cache(tmp_path)
    found = mine.find("stage", "k")
    assert found is not None
    fill(Cache(tmp_path, fresh=True), text="another")
    assert (found / "sub/file.txt").read_text() == "made"


def test_who_comes_second_leaves_what_is_there(tmp_path: Path) -> None:
    """Two that make one entry at once: both have their own, and the first one's is stored."""
    first, second = Cache(tmp_path), Cache(tmp_path)
    with first.making("stage", "k") as one, second.making("stage", "k") as other:
        one.write_text("file", "first")
        other.write_text("file", "second")
    # the inner block ended first
    stored = Folder(tmp_path / "cache/stage/k")
    assert (stored / "file").read_text() == "second"
    assert (one / "file").read_text() == "first"
    assert visible(tmp_path / "cache/stage") == ["k"]


def test_a_run_goes_on_where_the_cache_cannot_be_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders that belong to another: what is made serves the run, and that it is not stored is said once."""
    told: list[str] = []
    cache = Cache(tmp_path, tell=told.append)
    mkdir = Path.mkdir

    def refuse(self: Path, *arguments: object, **named: object) -> None:
        if self.parent.name in ("cache", "stage") and ".staged" not in str(self.parent.parent):
            raise PermissionError(13, "Permission denied")
        mkdir(self, *arguments, **named)  # type: ignore[arg-type]

    mkdir(tmp_path / "cache")
    monkeypatch.setattr(Path, "mkdir", refuse)
    for key in ("a", "b"):
        made = cache.found_or_made("stage", key, lambda folder: folder.write_text("file", "x"))
        assert (made / "file").read_text() == "x"
    assert len(told) == 1
    assert "the next run will not find what this one makes (Permission denied)" in told[0]


def test_a_cache_that_cannot_be_looked_at_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another user's, closed to all others: said once, and every stage is computed (fault 62)."""
    told: list[str] = []
    is_dir = Path.is_dir

    def refuse(self: Path) -> bool:
        if self.parent.name == "stage":
            raise PermissionError(13, "Permission denied")
        return is_dir(self)

    fill(Cache(tmp_path))
    monkeypatch.setattr(Path, "is_dir", refuse)
    cache = Cache(tmp_path, tell=told.append)
    assert (cache.find("stage", "k"), cache.find("stage", "other")) == (None, None)
    assert told == [f"{tmp_path / 'cache'}: what earlier runs made cannot be looked at (Permission denied)"]


def test_no_entry_brings_a_runs_own_files(tmp_path: Path) -> None:
    """Even one that is sealed with a configuration or a verdict does not put it into a run (fault 54)."""
    cache = Cache(tmp_path)
    with cache.making("stage", "k") as made:
        for name in (*sorted(OWN), "estimates.json"):
            made.write_text(name, "foreign")
    found = cache.find("stage", "k")
    assert found is not None
    share(found, tmp_path / "run")
    assert visible(tmp_path / "run") == ["estimates.json"]


def test_what_a_run_used_is_known(tmp_path: Path) -> None:
    """Found or made, an entry is named for those who clean."""
    cache = Cache(tmp_path)
    fill(cache, "a")
    later = Cache(tmp_path)
    later.find("stage", "a")
    later.find("stage", "none")
    assert (cache.used, later.used) == ({"stage/a"}, {"stage/a"})


STRESS = """
import sys
from pathlib import Path
from harness.artifacts.cache import Cache
output, fresh = Path(sys.argv[1]), sys.argv[2] == "fresh"
for number in range(40):
    cache = Cache(output, fresh=fresh, tell=lambda text: sys.exit(text))
    key = str(number % 5)
    def fill(made):
        for name in "abc":
            made.write_text(f"sub/{name}.txt", f"{key} {name}")
    entry = cache.found_or_made("stage", key, fill)
    for name in "abc":
        assert (entry / f"sub/{name}.txt").read_text() == f"{key} {name}"
    cache.close()
"""


@pytest.mark.thorough
def test_eight_at_once_are_all_whole(tmp_path: Path) -> None:
    """Eight processes make, find and replace the same entries: none fails, or finds half (fault 56)."""
    kinds = ["fresh", "", "fresh", "", "", "fresh", "", ""]
    running = [
        subprocess.Popen([sys.executable, "-c", STRESS, str(tmp_path), kind], stderr=subprocess.PIPE)
        for kind in kinds
    ]
    ends = [(process.communicate()[1].decode(), process.returncode) for process in running]
    assert ends == [("", 0)] * len(kinds)
    assert visible(tmp_path / "cache/stage") == list("01234")
    assert not list((tmp_path / "cache").rglob(".*"))
    assert visible(tmp_path) == ["cache"]
