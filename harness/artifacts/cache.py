"""Folders of finished stages that runs of one output folder share, each sealed with its files' digests.

Nothing that is published is changed or removed in its place, so runs of one configuration may work side by
side: a run takes links of its own to an entry and looks at those; it makes an entry in a folder of its own,
and gives it a name in the cache when it is whole. Whoever comes second leaves what is there.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pydantic

from harness.artifacts.files import Folder, digest_of, storing
from harness.artifacts.sealing import OWN, SEALS
from harness.artifacts.staging import Staged, sweep
from harness.errors import RunError, StorageError

Told = Callable[[str], object]


class _Seals(pydantic.BaseModel):
    key: str
    files: dict[str, str] = pydantic.Field(min_length=1)


class _Unfit(Exception):
    """An entry that is not, or no longer, what was sealed."""


class Cache:
    """The entries `cache/<stage>/<key>`.

    An entry is used only if its files are those that were sealed and as they were: one that was truncated,
    edited, or holds a file more is told, left alone and replaced by one that is made anew.
    """

    def __init__(
        self, output: Path, *, at: Path | None = None, fresh: bool = False, tell: Told = lambda _: None
    ) -> None:
        """The cache of an output folder, which lies in it, or `at` a place that others share.

        `fresh` finds nothing, and replaces what is there and differs; `tell` hears what is amiss.
        """
        self.path = output / "cache" if at is None else at
        self._output = output
        self.fresh = fresh
        self.tell = tell
        self.used: set[str] = set()
        """The entries, as `<stage>/<key>`, that were found or made."""
        self._private: Staged | None = None
        self._told: set[str] = set()

    def find(self, stage: str, key: str) -> Folder | None:
        """The run's own links to the entry's files, where all of it is whole; None where it is not."""
        entry = self.path / stage / key
        try:
            if self.fresh or not entry.is_dir():
                return None
        except PermissionError as error:  # another user's
            self._cannot(
                f"{self.path}: what earlier runs made cannot be looked at ({error.strerror or error})"
            )
            return None
        except OSError:  # a name that no file system takes: refused where the run directory is made
            return None
        with storing(self.path):
            mine = self._place(stage, key)
        try:
            # of one's own first: there nobody changes what was looked at
            link(entry, mine)
            _sealed(mine, key)
        except (OSError, RunError, _Unfit) as error:
            if entry.is_dir():
                self.tell(f"the stored {stage} cannot be used and is made anew: {entry}: {error}")
            return None
        self.used.add(f"{stage}/{key}")
        return Folder(mine)

    def found_or_made(self, stage: str, key: str, fill: Callable[[Folder], None]) -> Folder:
        """The entry; `fill` makes its files where there is none."""
        entry = self.find(stage, key)
        if entry is None:
            with self.making(stage, key) as entry:
                fill(entry)
        return entry

    @contextmanager
    def making(self, stage: str, key: str) -> Iterator[Folder]:
        """A folder to fill, which stays the run's own; when the block ends well it is stored as the entry.

        Nothing rests on that: where it cannot be stored, it is said once.
        """
        with storing(self.path):
            mine = self._place(stage, key)
        made = Folder(mine)
        yield made
        files = {
            path.relative_to(mine).as_posix(): digest_of(path)
            for path in sorted(mine.rglob("*"))
            if path.is_file()
        }
        made.write_json(SEALS, {"key": key, "files": files})
        self.used.add(f"{stage}/{key}")
        try:
            self._publish(mine, self.path / stage, key)
        except (OSError, StorageError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            self._cannot(f"{self.path}: the next run will not find what this one makes ({reason})")

    def _cannot(self, text: str) -> None:
        """Tell what the cache cannot do, once."""
        if text not in self._told:
            self._told.add(text)
            self.tell(text)

    def _place(self, stage: str, key: str) -> Path:
        """An empty folder of the run's own, in the cache, or beside it where that cannot be written to."""
        if self._private is None or not self._private.path.is_dir():
            try:
                self._private = Staged(self.path)
            except OSError:
                self._private = Staged(self._output)
            with suppress(OSError):
                for folder in (self._output, self.path, *self.path.glob("*/")):
                    sweep(folder)
        place = self._private.path / stage / key
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        return place

    def _publish(self, mine: Path, stage: Path, key: str) -> None:
        """Give the entry its name, unless one that is whole bears it."""
        with Staged(stage) as staged:
            link(mine, staged / key)
            entry = stage / key
            with suppress(OSError):
                (staged / key).rename(entry)
                return
            if not self._replaces(entry, mine, key):
                return
            # moved, not removed, in its place: whoever reads it meanwhile finds it gone, and makes its own
            with suppress(OSError):
                entry.rename(staged / "replaced")
            with suppress(OSError):
                (staged / key).rename(entry)

    def _replaces(self, entry: Path, mine: Path, key: str) -> bool:
        """Whether what is there has to go: it is damaged, or something else than a fresh run made."""
        try:
            there = _sealed(entry, key)
            return self.fresh and there != _sealed(mine, key)
        except (OSError, RunError, _Unfit):
            return True

    def close(self) -> None:
        """Remove the run's own links; what it put into its run directory stays."""
        if self._private is not None:
            self._private.close()
            self._private = None


def is_entry(folder: Path) -> bool:
    """Whether a folder is an entry that a run made, by its name and the seals in it."""
    try:
        return not folder.is_symlink() and Folder(folder).read_record(SEALS, _Seals).key == folder.name
    except (OSError, RunError):
        return False


def _sealed(entry: Path, key: str) -> dict[str, str]:
    """The files of an entry, of which each is as it was sealed, and none is there beside.

    Raises:
        _Unfit: they are not.
        RunError: there are no seals that can be read.
    """
    seals = Folder(entry).read_record(SEALS, _Seals)
    if seals.key != key:
        raise _Unfit("it is sealed for another key")
    there = set(_files(entry)) - {SEALS}
    if there != set(seals.files):
        raise _Unfit(
            f"its files are not those that were sealed: {', '.join(sorted(there ^ set(seals.files)))}"
        )
    for name, digest in seals.files.items():
        if digest_of(entry / name) != digest:
            raise _Unfit(f"{name} is not as it was sealed")
    return seals.files


def _files(folder: Path) -> Iterator[str]:
    """The names of all regular files below a folder, with slashes.

    Raises:
        _Unfit: there is something else, such as a link.
    """
    for place, folders, names in os.walk(folder, onerror=_raise):
        for name in [*names, *folders]:
            path = Path(place) / name
            mode = path.lstat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise _Unfit(f"{path.relative_to(folder)} is no regular file")
            if stat.S_ISREG(mode):
                yield path.relative_to(folder).as_posix()


def _raise(error: OSError) -> None:
    raise error


def link(source: Path, target: Path, without: Collection[str] = ()) -> None:
    """Put all files below `source` under `target` too, as hard links where the file system has them.

    Raises:
        _Unfit: there is something else than files.
        OSError: they cannot be read or written.
    """
    for name in _files(source):
        if name in without:
            continue
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        try:
            os.link(source / name, place, follow_symlinks=False)
        except (OSError, NotImplementedError):
            shutil.copyfile(source / name, place)


def share(entry: Folder, target: Path) -> None:
    """Put an entry's files under `target`, a run directory or a folder in it, all but those of a run's own.

    Raises:
        StorageError: the disk is full, or the place cannot be written to.
    """
    with storing(target):
        link(entry.path, target, without=OWN | {SEALS})
