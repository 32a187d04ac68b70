"""What a process holds while it works: hidden places that are its own, and are swept when it is gone.

A hidden name tells its owner's machine and process, and the owner holds a lock on it. Whoever finds one that
nobody holds, and whose owner does not run, may remove it.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import socket
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl

    _FLOCK: Callable[[int, int], object] | None = fcntl.flock
    _ALONE = fcntl.LOCK_EX | fcntl.LOCK_NB
except ImportError:  # a system without such locks: age alone tells
    _FLOCK, _ALONE = None, 0

_HOST = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
_HIDDEN = re.compile(r"\..*~([0-9a-f]{8})-(\d+)-[0-9a-f]{12}\Z")

SURELY_GONE = 60.0
"""Seconds after which a place of another machine that nobody holds is nobody's: its owner had locked it."""

PATIENCE = 10.0
"""Seconds that a lock is waited for; nobody holds one for longer than it takes to rename a few files."""

WITHOUT_LOCKS = 86_400.0
"""Seconds after which it is nobody's on a file system that has no locks."""


def hidden_name(name: str) -> str:
    """A new hidden name that tells whose it is."""
    plain = re.sub(r"[^a-zA-Z0-9_.-]", "_", name)[:100]
    return f".{plain}~{_HOST}-{os.getpid()}-{secrets.token_hex(6)}"


def hold(handle: int) -> None:
    """Hold an open file or folder until it is closed, where the file system can."""
    if _FLOCK is not None:
        with suppress(OSError):
            _FLOCK(handle, _ALONE)


@contextmanager
def locked(folder: Path, patience: float = PATIENCE) -> Iterator[bool]:
    """Inside, no other is inside for the same folder; who stays for longer than so many seconds is passed.

    Without a lock where the file system has none.

    Returns:
        Whether nobody was passed.
    """
    handle = -1
    if _FLOCK is not None:
        with suppress(OSError):
            handle = os.open(folder, os.O_RDONLY)
    end = time.monotonic() + patience
    try:
        while handle >= 0 and not (held := _is_held(handle)) and time.monotonic() < end:
            time.sleep(0.01)
        yield handle < 0 or held
    finally:
        if handle >= 0:
            os.close(handle)


def _is_held(handle: int) -> bool:
    """Whether the lock is ours now, or can be nobody's as the file system has none."""
    if _FLOCK is None:
        return True
    try:
        _FLOCK(handle, _ALONE)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


class Staged:
    """A hidden folder of this process's own; it goes at `close`, or with the object, or is swept."""

    def __init__(self, parent: Path, name: str = "staged") -> None:
        """`parent` is made where it is missing; the folder's hidden name begins with `name`.

        Raises:
            OSError: it cannot be made there.
        """
        parent.mkdir(parents=True, exist_ok=True)
        self.path = parent / hidden_name(name)
        self.path.mkdir()
        handle = -1
        if _FLOCK is not None:
            with suppress(OSError):
                handle = os.open(self.path, os.O_RDONLY)
                hold(handle)
        self.close = weakref.finalize(self, _leave, self.path, handle, os.getpid())

    def abandon(self) -> None:
        """Let it lie, as one lies whose owner was killed: nobody's when this process ends."""
        self.close.detach()

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.close()


def _leave(path: Path, handle: int, owner: int) -> None:
    if os.getpid() != owner:  # a fork of the owner ends
        return
    shutil.rmtree(path, ignore_errors=True)
    if handle >= 0:
        os.close(handle)


def leftovers(folder: Path) -> Iterator[Path]:
    """The hidden files and folders right in a folder whose owner is gone."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(".") and _is_nobodys(Path(entry.path)):
            yield Path(entry.path)


def _is_nobodys(path: Path) -> bool:
    """Whether a hidden place's owner is gone: nobody holds it, and its process does not run any more."""
    told = _HIDDEN.match(path.name)
    if told is None:
        return False
    host, process = told.groups()
    try:
        age = abs(time.time() - path.lstat().st_mtime)
        gone = age > SURELY_GONE or (host == _HOST and not _runs(int(process)))
        if path.is_symlink():  # which nobody can hold
            return gone
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return False
    try:
        if _FLOCK is None:
            return age > WITHOUT_LOCKS
        _FLOCK(handle, _ALONE)
    except BlockingIOError:
        return False
    except OSError:
        return age > WITHOUT_LOCKS
    finally:
        os.close(handle)
    return gone


def _runs(process: int) -> bool:
    """Whether a process of that number runs on this machine."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def remove(path: Path) -> None:
    """Remove a file, a link, or a folder with all that is in it, as far as it lets itself be removed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def sweep(folder: Path) -> list[Path]:
    """Remove a folder's leftovers; what they were."""
    found = list(leftovers(folder))
    for path in found:
        remove(path)
    return found
