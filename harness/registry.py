"""Functions by name, so that an addition is one decorated function, here or in another package."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from harness.errors import ConfigurationError

T = TypeVar("T")


def suggestion(name: str, known: Iterable[str]) -> str:
    """The tail of a message about an unknown name: the nearest known one, or all of them."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(known)}"


class Registry(Mapping[str, T], Generic[T]):
    """A mapping from names to what was registered under them, in the order of registration.

    Entries of other packages (entry-point group `harness.<kind>s`) are loaded at the first look-up, which
    runs their decorators; importing the harness imports nobody else.

    Raises:
        ConfigurationError: at look-up of an unknown name, with a suggestion; at registering a name twice.
    """

    def __init__(self, kind: str) -> None:
        """`kind` is the word for one entry in messages; its plural names the entry-point group."""
        self.kind = kind
        self._entries: dict[str, T] = {}
        self._searched = False

    def add(self, name: str, entry: T) -> T:
        """Register `entry` under `name`."""
        if name in self._entries:
            raise ConfigurationError(f"{self.kind} {name!r} is registered twice; names must differ")
        self._entries[name] = entry
        return entry

    def register(self, name: str) -> Callable[[T], T]:
        """A decorator that registers what it decorates, unchanged."""
        return lambda entry: self.add(name, entry)

    def _search(self) -> dict[str, T]:
        if not self._searched:
            for point in entry_points(group=f"harness.{self.kind}s"):
                try:
                    point.load()
                except (ImportError, AttributeError) as error:
                    raise ConfigurationError(
                        f"entry point {point.value!r} of group harness.{self.kind}s cannot be loaded: "
                        f"{error}; mend or uninstall that package"
                    ) from error
            self._searched = True
        return self._entries

    def __getitem__(self, name: str) -> T:
        entries = self._search()
        if name not in entries:
            raise ConfigurationError(f"unknown {self.kind} {name!r}: {suggestion(name, entries)}")
        return entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._search()

    def __iter__(self) -> Iterator[str]:
        return iter(self._search())

    def __len__(self) -> int:
        return len(self._search())
