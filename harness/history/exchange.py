"""A history as a folder, one JSON file a document: for a CI that keeps it on a git branch, and for moving it.

Each file is written by one night, or one act, and never again, so two clones that add theirs never conflict.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from harness.artifacts.directories import RunDirectory
from harness.artifacts.files import write
from harness.errors import ConfigurationError, RunError
from harness.history.documents import is_of_a_night, night_of_run
from harness.history.records import Human, Night, act_of, as_text, night_of
from harness.history.store import History

KINDS: tuple[Literal["night", "act"], ...] = ("night", "act")


@dataclass(frozen=True)
class Exchanged:
    """What an export or an import did, by file name.

    Attributes:
        written: What is new or other than it was.
        same: What was there already.
        kept: What the history has otherwise: ended, or done by a person; its own stays.
        ignored: What is no document by its name.
        damaged: What could not be read, in a sentence each; everything else was.
    """

    written: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)

    @property
    def documents(self) -> int:
        """How many could be read."""
        return len(self.written) + len(self.same) + len(self.kept)


def export(history: History, folder: Path) -> Exchanged:
    """Write every document of a history to `night-<id>.json` and `act-<id>.json`; nothing is removed.

    Raises:
        StorageError: a file cannot be written.
        NewerSchema: a document was written by a newer harness.
        Unreachable: the history cannot be asked now.
    """
    done = Exchanged()
    for kind in KINDS:
        for name, text in history.documents(kind):
            file = f"{kind}-{name}.json"
            try:
                content = as_text(_read(kind, name, text)).encode()
            except RunError as error:
                done.damaged.append(f"{history.name}: {error}")
                continue
            path = folder / file
            if path.is_file() and path.read_bytes() == content:
                done.same.append(file)
            else:
                write(path, content)
                done.written.append(file)
    return done


def refuse_absent(folder: Path) -> None:
    """Refuse to read from a folder that is not there.

    Raises:
        ConfigurationError: it is not.
    """
    if not folder.is_dir():
        raise ConfigurationError(
            f"{folder}: there is no such folder; name one that an export wrote, or a run"
        )


def import_from(history: History, folder: Path) -> Exchanged:
    """Read into a history what `export` wrote, or the night of a run directory.

    All is read before anything is recorded. What has ended in the history, or was done by a person, is not
    changed by what another history says of it.

    Args:
        history: Where to.
        folder: The export's folder, or a night's run directory.

    Raises:
        ConfigurationError: there is no such folder, or it is a run that is no night.
        RunError: the run directory is not as it was.
        NewerSchema: a document was written by a newer harness; nothing is recorded.
        Unreachable: the history cannot be used now.
        DamagedStore: it is damaged.
    """
    refuse_absent(folder)
    done, found = Exchanged(), list[tuple[str, "Night | Human"]]()
    if (folder / "environment.json").is_file():
        if not is_of_a_night(folder):
            raise ConfigurationError(f"{folder}: is the run of no night; `harness nightly` makes those")
        night = night_of_run(RunDirectory.open(folder))
        found.append((f"night-{night.id}.json", night))
    else:
        for path in sorted(folder.iterdir()):
            kind = next((one for one in KINDS if path.name.startswith(f"{one}-")), None)
            if kind is None or path.suffix != ".json":
                done.ignored.append(path.name)
                continue
            if not path.is_file():  # a pipe may never end
                done.damaged.append(f"{path}: is no file")
                continue
            try:
                text = path.read_bytes().decode("utf-8", "replace")
                found.append((path.name, _read(kind, path.stem.removeprefix(f"{kind}-"), text)))
            except OSError as error:
                done.damaged.append(f"{path}: cannot be read ({error.strerror or error})")
            except RunError as error:
                done.damaged.append(f"{folder}{os.sep}{error}")
    known = {one.id: one for one in history.nights()}
    for name, document in found:
        if isinstance(document, Human):
            outcome = history.act(document)
        elif document.id in known and known[document.id].status == "ended":
            outcome = "same" if known[document.id] == document else "kept"
        else:
            outcome = history.record(document)
        part = {"same": done.same, "kept": done.kept}.get(outcome, done.written)
        part.append(name)
    return done


def _read(kind: Literal["night", "act"], name: str, text: str) -> Night | Human:
    """The document of a file, or a row, that bears its id.

    Raises:
        RunError: it is damaged, or of another id.
    """
    file = f"{kind}-{name}.json"
    found = night_of(text, file) if kind == "night" else act_of(text, file)
    if found.id != name:
        raise RunError(f"{file}: damaged (holds {found.id})")
    return found
