"""One of two runs that are compared, read as far as it can be, and the images that both explained.

The runs may be of different versions, broken off, or not judged: what one of them lacks is a line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from harness.artifacts.directories import RunDirectory
from harness.artifacts.files import Array
from harness.artifacts.forms import form_of
from harness.config import tables
from harness.criteria.diagnosis import sentence
from harness.errors import HarnessError
from harness.forms import Form
from harness.kinds import IMAGES, WORDS, Words
from harness.records import Estimate, Ints, joint
from harness.text import clean

T = TypeVar("T")


class Side:
    """One of the two runs, read as far as it can be.

    Attributes:
        letter: `A` or `B`.
        gaps: What could not be read, and why, a sentence each.
    """

    def __init__(self, letter: str, directory: RunDirectory) -> None:
        self.letter, self.directory = letter, directory
        self.gaps: list[str] = []
        gone: frozenset[str] = self._read("pruned.json", lambda: directory.manifest.pruned, frozenset())
        if gone:
            self.gaps.append(f"it was pruned: {len(gone)} files are gone to save room, its maps among them")

    def _read(self, what: str, read: Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        # files of another version may lack keys, or hold values of other kinds
        except (HarnessError, KeyError, TypeError, ValueError, AttributeError) as error:
            reason = str(error) if isinstance(error, HarnessError) else f"{type(error).__name__}: {error}"
            self.gaps.append(f"{what} cannot be read: {clean(reason, 500)}")
            return otherwise

    @cached_property
    def environment(self) -> dict[str, Any]:
        """What stands in `environment.json`."""
        return self._read("provenance", lambda: self.directory.read_json("environment.json"), {})

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What stands in `config.toml`, as it is: a key of another version is no mistake here."""
        path = self.directory / "config.toml"
        return self._read("configuration", lambda: tables.read(path, self.directory.path)[0], {})

    @cached_property
    def verdict(self) -> dict[str, Any] | None:
        """What stands in `verdict.json`, with its sentence; None where the run was not judged."""

        def read() -> dict[str, Any] | None:
            found = self.directory.read_verdict()
            return None if found is None else found | {"sentence": sentence(found)}

        found = self._read("verdict", read, None)
        if found is None and not any(gap.startswith("verdict") for gap in self.gaps):
            self.gaps.append("it was not judged")
        return found

    @cached_property
    def estimates(self) -> dict[str, Estimate]:
        """Its estimates by name, of all seeds together where there are several."""

        def read() -> dict[str, Estimate]:
            if not (self.directory / "estimates.json").is_file():
                self.gaps.append("nothing was measured, it broke off before")
                return {}
            return joint(self.directory.read_estimates())

        return self._read("estimates", read, {})

    def arrays(self, name: str) -> dict[str, Array]:
        """An .npz file's arrays; none where there is no such file."""
        if not (self.directory / name).is_file():
            return {}
        return self._read(name, lambda: self.directory.read_arrays(name), {})

    @property
    def dataset(self) -> Mapping[str, Any]:
        """Its data: name, digests, sizes."""
        found = self.environment.get("dataset")
        return found if isinstance(found, Mapping) else {}

    @cached_property
    def form(self) -> Form | None:
        """What the features of its inputs are; None where that cannot be told."""
        return self._read("the form of its data", lambda: form_of(self.directory, self.dataset), None)

    @property
    def words(self) -> Words:
        """What the inputs are called; images where the run does not tell."""
        return WORDS[self.form.kind] if self.form else IMAGES

    @property
    def methods(self) -> list[str]:
        """The attribution methods it was asked for."""
        table = self.settings.get("attribution")
        names = table.get("methods", []) if isinstance(table, dict) else []
        return [one for one in names if isinstance(one, str)] if isinstance(names, list) else []

    @property
    def seeds(self) -> list[int]:
        """Its seeds."""
        found = self.settings.get("seeds", [])
        return [one for one in found if isinstance(one, int)] if isinstance(found, list) else []


@dataclass(frozen=True, eq=False)
class Common:
    """The images that both runs explained.

    Attributes:
        why: Why there are none; empty where there are.
        first: int [n], their places among A's samples.
        second: int [n], among B's.
        indices: int [n], their positions in the test set, rising.
        labels: int [n], their classes.
        same_data: Whether both runs have the same data, by its digests.
    """

    why: str = ""
    first: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    second: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    indices: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    labels: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    same_data: bool = False


def common_samples(a: Side, b: Side) -> Common:
    """The images of the same data, of one index in the test set, that both runs explained."""
    for key in ("name", "sha256", "test", "classes", "shape"):
        if key not in a.dataset or key not in b.dataset:
            return Common(f"A run does not tell its data's {key}.")
        if a.dataset[key] != b.dataset[key]:
            names = [clean(one.dataset["name"]) for one in (a, b)]
            what = " and ".join(names) if key == "name" else f"both are called {names[0]}, but {key} differs"
            return Common(f"The runs are of different data: {what}.")
    chosen, called = [one.arrays("samples.npz") for one in (a, b)], a.words.one
    for one, arrays in zip((a, b), chosen, strict=True):
        if not {"indices", "labels"} <= set(arrays) or not len(arrays["indices"]):
            return Common(f"{one.letter} explained no {called}.", same_data=True)
    indices, first, second = np.intersect1d(
        chosen[0]["indices"], chosen[1]["indices"], assume_unique=True, return_indices=True
    )
    why = "" if len(indices) else f"No {called} was explained in both runs."
    return Common(why, first, second, indices, chosen[0]["labels"][first], same_data=True)
