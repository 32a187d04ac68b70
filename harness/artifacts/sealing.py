"""The seal of a run: what each computed file was, in one manifest that the verdict names.

It tells what is no longer as it was computed, by damage or by a hand. It is no signature: whoever can write
the files can write a manifest.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pydantic

from harness.artifacts.files import Folder, digest_of
from harness.errors import DamageError, Pruned, RunError

MANIFEST = "manifest.json"
SEALS = "seals.json"

HISTORY = "history.json"
"""Tonight beside the nights before: a run without a history has none."""

PRUNED = "pruned.json"
"""What was removed of a run to save room, by name: a whole run has none."""

REFERENCE = "baseline.npz"
"""Where attributions start from: a run has none where the record of its data tells it."""

PUBLISHED = frozenset(
    {"verdict.json", HISTORY, "junit.xml", "summary.md", "badge.json", "badge.svg", "report.html"}
)
"""What judging and rendering write, which is not sealed with what was computed; `figures/` beside it."""

OWN = PUBLISHED | {
    MANIFEST,
    PRUNED,
    "config.toml",
    "environment.json",
    REFERENCE,
    "stages.json",
    "failure.json",
    "gate-quality.json",
    "night.json",
}
"""Files of a run that no other run, and no cache, may give it."""

GATED = (
    "config.toml",
    "environment.json",
    REFERENCE,
    "estimates.json",
    "failure.json",
    "unrepeatable.json",
    "samples.npz",
    "measurements/",
)
"""What a gate rests on: files, and folders by their slash."""


def rests_a_gate_on(name: str) -> bool:
    """Whether the verdict on a run is worth nothing where this file of it is not as it was computed."""
    return any(name.startswith(one) if one.endswith("/") else name == one for one in GATED)


@dataclass(frozen=True)
class Damage:
    """A file of a run that is not as it was computed.

    Attributes:
        name: The file's name in the run directory.
        what: What is wrong with it.
        gated: Whether a gate rests on it.
    """

    name: str
    what: str
    gated: bool

    def __str__(self) -> str:
        return f"{self.name}: {self.what}"


class _Record(pydantic.BaseModel):
    files: dict[str, str]


class _Pruned(pydantic.BaseModel):
    files: frozenset[str]


class Manifest:
    """The digests of a run's computed files, as they were when it ended."""

    def __init__(self, run: Path) -> None:
        """`run` is the run directory; its manifest is read when it is first asked for."""
        self.run = run

    @cached_property
    def files(self) -> Mapping[str, str]:
        """SHA-256 by name, with slashes.

        Raises:
            RunError: the manifest is missing or damaged.
        """
        return Folder(self.run).read_record(MANIFEST, _Record).files

    @cached_property
    def pruned(self) -> frozenset[str]:
        """The files that were removed to save room, as `pruned.json` names them; none of a whole run.

        Raises:
            RunError: it is damaged.
        """
        if not os.path.lexists(self.run / PRUNED):
            return frozenset()
        return Folder(self.run).read_record(PRUNED, _Pruned).files

    def refuse_pruned(self) -> None:
        """Refuse a run that has lost, to save room, what it would be judged or drawn by.

        Raises:
            Pruned: it has.
            RunError: there is no telling.
        """
        if gone := self.pruned:
            raise Pruned(
                f"{self.run}: was pruned, {len(gone)} files are gone to save room; its verdict and its page "
                "stand as they are: judge, or draw, a copy that is whole"
            )

    @property
    def exists(self) -> bool:
        """Whether the run was sealed."""
        return os.path.lexists(self.run / MANIFEST)

    def digest(self) -> str | None:
        """The manifest's own SHA-256; None where there is none."""
        try:
            return digest_of(self.run / MANIFEST)
        except OSError:
            return None

    def check(self, path: Path, content: bytes | None) -> None:
        """Refuse content that is not what was sealed; what is published later bears no seal of its own.

        Args:
            path: The file.
            content: What is in it; None where it is missing.

        Raises:
            DamageError: the file was not computed by the run, or is not as it was.
            RunError: it was pruned.
        """
        name = path.relative_to(self.run).as_posix()
        if name in PUBLISHED or name == MANIFEST or not self.exists:
            return
        sealed = self.files.get(name)
        mend = "take it from a copy of the run, or compute the run again"
        if content is None:
            if name in self.pruned:
                raise RunError(f"{path}: was pruned to save room; take it from a copy of the run")
            if sealed is not None:
                raise DamageError(f"{path}: missing; {mend}")
        elif sealed is None:
            raise DamageError(
                f"{path}: is no file of this run's own: its manifest does not name it; remove it"
            )
        elif hashlib.sha256(content).hexdigest() != sealed:
            raise DamageError(f"{path}: {CHANGED}; {mend}")

    def damage(self) -> list[Damage]:
        """Every file that is not as it was computed, and those that a gate would rest on and nobody computed.

        Raises:
            RunError: the manifest is missing or damaged.
        """
        found = []
        for name, digest in self.files.items():
            path = self.run / name
            try:
                # what is no regular file may never end
                what = CHANGED if not path.is_file() or digest_of(path) != digest else ""
                what = what if os.path.lexists(path) else "" if name in self.pruned else "missing"
            except OSError as error:
                what = f"cannot be read ({error.strerror or error})"
            if what:
                found.append(Damage(name, what, rests_a_gate_on(name)))
        foreign = (name for name in GATED if not name.endswith("/") and name not in self.files)
        return found + [
            Damage(name, "is no file of this run's own", gated=True)
            for name in foreign
            if os.path.lexists(self.run / name)
        ]


CHANGED = "is not as it was computed"


def seal(run: Path) -> None:
    """Write the manifest of all that was computed.

    Raises:
        StorageError: it cannot be written.
    """
    files = {name: digest_of(run / name) for name in sorted(_computed(run))}
    Folder(run).write_json(MANIFEST, {"files": files})


def _computed(run: Path) -> Iterator[str]:
    for place, folders, names in os.walk(run):
        top = Path(place) == run
        folders[:] = [one for one in folders if not one.startswith(".") and not (top and one == "figures")]
        for name in names:
            if not name.startswith(".") and not (top and (name in PUBLISHED or name == MANIFEST)):
                yield (Path(place) / name).relative_to(run).as_posix()


def lies_in_data(path: Path) -> bool:
    """Whether a path is, or lies in, a run directory or an entry of the cache: data, whoever made it."""
    whole = Path(os.path.realpath(path))
    return any(is_data(one) for one in (whole, *whole.parents))


def is_data(folder: Path) -> bool:
    """Whether a folder is a run directory or an entry of the cache."""
    is_run = (folder / "environment.json").is_file() and (folder / "config.toml").is_file()
    return is_run or (folder / SEALS).is_file()
