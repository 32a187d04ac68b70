"""Hidden places are their owner's, and are swept when that is gone."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from harness.artifacts import staging
from harness.artifacts.staging import Staged, hidden_name, leftovers, locked, sweep

GONE = """
import os, signal, sys
from pathlib import Path
from harness.artifacts.staging import Staged
staged = Staged(Path(sys.argv[1]))
(staged.path / "file").write_text("x")
(Path(sys.argv[1]) / staged.path.name.replace("staged", "file", 1)).write_text("x")
os.kill(os.getpid(), signal.SIGKILL)
"""


def killed_in(folder: Path) -> None:
    """Let a process be killed that holds a hidden folder there."""
    assert subprocess.run([sys.executable, "-c", GONE, str(folder)], check=False).returncode < 0


def test_a_hidden_folder_goes_with_its_block(tmp_path: Path) -> None:
    """Inside it is there and hidden; after, nothing is left."""
    with Staged(tmp_path / "new") as folder:
        assert folder.name.startswith(".staged~")
        (folder / "file").write_text("x")
    assert list((tmp_path / "new").iterdir()) == []


def test_it_goes_with_its_object_too(tmp_path: Path) -> None:
    """Who forgets to close leaves nothing either."""
    staged = Staged(tmp_path)
    assert list(tmp_path.iterdir()) == [staged.path]
    del staged
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    """Folder and file are removed as soon as the owner is gone (fault 57)."""
    killed_in(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    assert len(sweep(tmp_path)) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_link_that_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    """A link cannot be held: its owner's end alone tells."""
    killed_in(tmp_path)
    (name,) = (path.name for path in tmp_path.iterdir() if path.is_dir())
    (tmp_path / name.replace("staged", "latest")).symlink_to("nothing")
    (tmp_path / hidden_name("latest")).symlink_to("nothing")
    assert len(sweep(tmp_path)) == 3
    assert len(list(tmp_path.iterdir())) == 1


def test_what_somebody_holds_is_left_alone(tmp_path: Path) -> None:
    """A living owner's is no leftover, however old it looks; nor is a hidden file of somebody else."""
    (tmp_path / ".gitignore").write_text("*")
    (tmp_path / f".x~{'0' * 8}-1-zz").write_text("")
    with Staged(tmp_path) as folder:
        os.utime(folder, (0, 0))
        assert list(leftovers(tmp_path)) == []
        assert folder.is_dir()


def test_another_machines_leftover_waits(tmp_path: Path) -> None:
    """Of a process that cannot be asked for: gone when nobody holds it and it is not of this minute."""
    name = hidden_name("x").split("~")[0] + f"~{'a' * 8}-{os.getpid()}-{'0' * 12}"
    (tmp_path / name).write_text("")
    assert list(leftovers(tmp_path)) == []
    os.utime(tmp_path / name, (0, 0))
    assert list(leftovers(tmp_path)) == [tmp_path / name]


def test_without_locks_age_alone_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a system that has none, a leftover goes after a day."""
    killed_in(tmp_path)
    monkeypatch.setattr(staging, "_FLOCK", None)
    assert list(leftovers(tmp_path)) == []
    for path in tmp_path.iterdir():
        os.utime(path, (0, 0))
    assert len(list(leftovers(tmp_path))) == 2
    with locked(tmp_path), Staged(tmp_path) as folder:
        assert folder.is_dir()


def test_only_one_is_inside(tmp_path: Path) -> None:
    """Of threads that lock one folder each finds what it wrote as it wrote it."""
    seen: list[bool] = []

    def work(number: int) -> None:
        for _ in range(20):
            with locked(tmp_path):
                (tmp_path / "file").write_text(str(number))
                seen.append((tmp_path / "file").read_text() == str(number))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 80


@pytest.mark.thorough
def test_who_stays_too_long_is_passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that nobody gives back holds nobody up for ever."""
    monkeypatch.setattr(staging, "PATIENCE", 0.05)
    with locked(tmp_path), locked(tmp_path):
        pass


@pytest.mark.parametrize("name", ["x" * 400, "a b[1]~\n", "ä/ö"])
def test_a_hidden_name_is_one_whatever_it_is_for(tmp_path: Path, name: str) -> None:
    """Long and odd names make names that a file system takes, and that are told as ours."""
    path = tmp_path / hidden_name(name)
    path.write_text("")
    assert staging._HIDDEN.match(path.name)


def test_what_is_abandoned_lies_until_its_owner_is_gone(tmp_path: Path) -> None:
    """Then it is a leftover like that of one who was killed."""
    lines = (
        "from pathlib import Path",
        "from harness.artifacts.staging import Staged",
        "Staged(Path({0!r})).abandon()",
    )
    code = "; ".join(lines).format(str(tmp_path))
    subprocess.run([sys.executable, "-c", code], check=True)
    (left,) = tmp_path.iterdir()
    assert list(leftovers(tmp_path)) == [left]
