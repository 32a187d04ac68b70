"""What git says of the working directory; what it does not say is unknown, and never taken for clean."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from harness.text import clean

SECONDS = 10
"""Git is given so long to answer."""

KEPT = ("GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM", "GIT_EXEC_PATH")
"""Variables of git's, beside its configuration, that do not say which repository is meant."""


@dataclass(frozen=True)
class Repository:
    """What is known of the code in the working directory.

    Attributes:
        commit: The short commit; `nogit` outside a repository and before its first commit; `unknown` where
            git does not tell.
        branch: The branch; empty where there is none, or a detached head.
        dirty: Whether tracked files differ from the commit; None where there is no commit, or git does not
            tell.
        trouble: Why something is unknown, and the mend, in a line; empty where nothing is.
    """

    commit: str
    branch: str = ""
    dirty: bool | None = None
    trouble: str = ""


def look() -> Repository:
    """Ask git, without what a hook says of the repository that called it."""
    try:
        commit = _git("rev-parse", "--verify", "--quiet", "--short", "HEAD")
    except _Silent as silent:
        if not silent.why:
            return Repository("nogit")
        return Repository("unknown", trouble=f"git: commit and changes are unknown: {silent.why}")
    try:
        branch = _git("branch", "--show-current")
        return Repository(commit, branch, bool(_git("status", "--porcelain", "--untracked-files=no")))
    except _Silent as silent:
        return Repository(commit, trouble=f"git: whether {commit} was changed is unknown: {silent.why}")


class _Silent(Exception):
    """Git does not answer; `why` is empty where there is nothing to answer."""

    def __init__(self, why: str = "") -> None:
        super().__init__(why)
        self.why = why


def _git(*arguments: str) -> str:
    """What git prints.

    Raises:
        _Silent: it answers nothing.
    """
    variables = {name: value for name, value in os.environ.items() if not _names_a_repository(name)}
    try:
        done = subprocess.run(  # noqa: S603 - fixed program, arguments of our own
            ["git", *arguments],  # noqa: S607
            env=variables | {"LC_ALL": "C", "LANGUAGE": "", "GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",  # a branch may be named in any bytes
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _Silent(f"it took over {SECONDS} s; look what holds it up: git {' '.join(arguments)}") from None
    except OSError as error:
        here = Path.cwd()
        if not any((folder / ".git").exists() for folder in (here, *here.parents)):
            raise _Silent from None
        raise _Silent(f"it cannot be started ({error.strerror}); install git, or look at PATH") from None
    if done.returncode == 0:
        return clean(done.stdout.strip())
    said = " ".join(clean(done.stderr, longest=600).removeprefix("fatal: ").split())
    unborn = "--quiet" in arguments and (done.returncode, said) == (1, "")
    # what goes on otherwise tells of a link to a repository that is gone
    if unborn or said.startswith("not a git repository (or any"):
        raise _Silent
    raise _Silent(said or f"it ended with {done.returncode} and no word; try by hand: git status")


def _names_a_repository(variable: str) -> bool:
    """Whether a variable may say which repository, index or working tree is meant."""
    return variable.startswith("GIT_") and not variable.startswith("GIT_CONFIG") and variable not in KEPT
