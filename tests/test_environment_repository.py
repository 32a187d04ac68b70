"""What git tells is written down, and what it does not tell is unknown."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import config, pipeline
from harness.artifacts.directories import RunDirectory
from harness.console import Shown
from harness.environment import repository
from harness.environment.repository import Repository, look

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs the program git")


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory that no repository contains."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.resolve().parent))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


Git = Callable[..., str]


@pytest.fixture
def git(elsewhere: Path) -> Git:
    """A repository of one commit as the working directory; runs git in it."""

    def run(*arguments: str) -> str:
        named = ["git", "-c", "user.name=nobody", "-c", "user.email=nobody@example.org", *arguments]
        return subprocess.run(named, check=True, capture_output=True, text=True).stdout.strip()

    run("init", "--quiet")
    run("checkout", "--quiet", "-b", "tonight")
    (elsewhere / "kept.txt").write_text("as committed")
    run("add", "kept.txt")
    run("commit", "--quiet", "--message", "one file")
    return run


def answers(folder: Path, text: str) -> None:
    """Puts a program named git, of this shell text, before all others."""
    program = folder / "programs" / "git"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    os.environ["PATH"] = os.pathsep.join([str(program.parent), os.environ["PATH"]])


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search path is given back."""
    monkeypatch.setenv("PATH", os.environ["PATH"])


def test_outside_a_repository_there_is_no_commit(elsewhere: Path) -> None:
    """Outside git nothing is answered, nothing is unknown, and nobody says that nothing was changed."""
    assert look() == Repository("nogit", "", None, "")


def test_without_the_program_git_there_is_no_commit(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which git is not installed is like a place outside a repository, unless one is there."""
    monkeypatch.setenv("PATH", str(elsewhere))
    assert look() == Repository("nogit")
    (elsewhere / ".git").mkdir()
    (elsewhere / "below").mkdir()
    monkeypatch.chdir(elsewhere / "below")
    found = look()
    assert (found.commit, found.branch, found.dirty) == ("unknown", "", None)
    assert "install git" in found.trouble


@needs_git
def test_inside_a_repository_commit_and_branch_are_gits(git: Git) -> None:
    """The commit is git's short name of HEAD, the branch the one checked out."""
    found = look()
    assert git("rev-parse", "HEAD").startswith(found.commit)
    assert len(found.commit) >= 4
    assert (found.branch, found.dirty, found.trouble) == ("tonight", False, "")


@needs_git
def test_a_detached_head_has_a_commit_and_no_branch(git: Git) -> None:
    """On a detached head the branch is empty and the commit is still known."""
    git("checkout", "--quiet", "--detach")
    assert look().branch == ""
    assert git("rev-parse", "HEAD").startswith(look().commit)


@needs_git
def test_a_repository_without_a_commit_has_none(elsewhere: Path, git: Git) -> None:
    """Before the first commit, the commit is `nogit`, and there is nothing to differ from."""
    shutil.rmtree(elsewhere / ".git")
    git("init", "--quiet")
    assert look() == Repository("nogit")


@needs_git
def test_dirty_means_a_tracked_file_differs(elsewhere: Path, git: Git) -> None:
    """A changed tracked file is dirty; a file that git does not track is not."""
    (elsewhere / "new.txt").write_text("untracked")
    assert look().dirty is False
    (elsewhere / "kept.txt").write_text("changed")
    assert look().dirty is True


@needs_git
def test_a_branch_is_safe_to_print(git: Git) -> None:
    """A bidirectional mark in a branch's name is not written down; markup is, for others to escape."""
    git("checkout", "--quiet", "-b", "a\u202eb<script>")
    assert look().branch == "ab<script>"


@needs_git
@pytest.mark.parametrize(
    "name", ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"]
)
def test_a_hooks_variables_do_not_mislead(
    name: str, elsewhere: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git tells its hooks which repository called them; a run is of the one it is in."""
    before = look()
    monkeypatch.setenv(name, str(elsewhere / "another"))
    assert look() == before


@needs_git
def test_what_the_user_allows_git_by_variables_is_allowed(
    elsewhere: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git's configuration may come in variables, as CIs name a safe folder."""
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.abbrev")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "17")
    assert len(look().commit) == 17


@needs_git
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs a second user")
def test_a_repository_of_somebody_elses_is_unknown(elsewhere: Path, git: Git) -> None:
    """Git refuses it ('dubious ownership'), and tells the mend."""
    for path in (elsewhere, elsewhere / ".git"):
        os.chown(path, 65534, 65534)
    found = look()
    assert (found.commit, found.dirty) == ("unknown", None)
    assert f"git config --global --add safe.directory {elsewhere}" in found.trouble
    assert len(found.trouble.splitlines()) == 1


SILENT = {
    "refuses": ("echo 'fatal: detected something' >&2; exit 128", "unknown", "detected something"),
    "refuses at length": ("echo 'fatal: first\n\nsecond' >&2; exit 1", "unknown", "first second"),
    "points to nothing": ("echo 'fatal: not a git repository: /x/.git' >&2; exit 128", "unknown", "/x/.git"),
    "crashes": ("kill -9 $$", "unknown", "it ended with -9"),
    "hangs": ("exec sleep 20", "unknown", "it took over 0.3 s"),
    "knows the commit": ("[ $1 = rev-parse ] && echo 123abcd && exit; exit 3", "123abcd", "it ended with 3"),
    "is slow to compare": (
        "[ $1 != status ] && echo 12ab || exec sleep 20",
        "12ab",
        "whether 12ab was changed",
    ),
    "cannot be run": (None, "unknown", "it cannot be started (Permission denied)"),
}
"""What git may do instead of an answer: a shell text, the commit that is known then, and what is said."""


@pytest.mark.parametrize("way", SILENT)
def test_git_that_does_not_tell_is_unknown_and_never_clean(
    way: str, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Why stands in one line."""
    text, commit, why = SILENT[way]
    (elsewhere / ".git").mkdir()
    monkeypatch.setattr(repository, "SECONDS", 0.3)
    answers(elsewhere, text or "")
    if text is None:
        (elsewhere / "programs/git").chmod(0o644)
        monkeypatch.setenv("PATH", str(elsewhere / "programs"))
    found = look()
    assert (found.commit, found.dirty) == (commit, None)
    assert why in found.trouble
    assert len(found.trouble.splitlines()) == 1


def test_a_run_says_why_it_is_of_an_unknown_commit(
    elsewhere: Path, small_flags: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    """In its name and record, and to the user before any work, also when quiet."""
    answers(elsewhere, "echo 'fatal: no, <b>' >&2; exit 128")
    begun = pipeline.begin(config.load(flags=small_flags), Shown(quiet=True))
    run = RunDirectory.open(begun.run.path)
    assert run.path.name.endswith("-unknown")
    provenance = run.read_provenance()
    assert (provenance.commit, provenance.dirty) == ("unknown", None)
    Shown(quiet=True).begin(run)
    assert "warning: git: commit and changes are unknown: no, <b>" in capsys.readouterr().out
