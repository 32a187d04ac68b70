"""Functions by name, so that an addition is one decorated function, here or in another package."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, NamedTuple, TypeVar

from harness.errors import ConfigurationError, HarnessError

T = TypeVar("T")


LONGEST = 100
"""Bytes of a name: with an ending, and something before it, it must be a file's."""


def suggestion(name: object, known: Iterable[str]) -> str:
    """The tail of a message about an unknown name: the nearest known one, or all of them.

    Of names that differ from it in their numbers alone, the nearest by these; 2 stands before 10.
    """
    known, (words, wanted) = sorted(known, key=_parts), _parts(str(name))
    alike = [one for one in known if _parts(one)[0] == words]
    near = sorted(
        alike, key=lambda one: [abs(a - b) for a, b in zip(_parts(one)[1], wanted, strict=True)]
    ) or difflib.get_close_matches(str(name), known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(known)}"


def _parts(name: str) -> tuple[list[str], list[int]]:
    """The texts between a name's numbers, and the numbers: so sorted, 2 stands before 10."""
    parts = re.split("([0-9]{1,18})", name)
    return parts[::2], [int(one) for one in parts[1::2]]


class Registry(Mapping[str, T], Generic[T]):
    """A mapping from names to what was registered under them, in the order of registration.

    Entries of other packages (entry-point group `harness.<kind>s`) are loaded at the first look-up, which
    runs their decorators; importing the harness imports nobody else.

    A function that is defined anew in the same place, as by a notebook's cell that is run again, replaces
    what it was, and keeps its position. So does one of somebody's own an entry that gives way: the harness
    came to have it after others may have had one of that name.

    Raises:
        ConfigurationError: at look-up of an unknown name, with a suggestion; at registering another function
            under a taken name, or under what can be no name.
    """

    def __init__(self, kind: str, reserved: Collection[str] = (), giving_way: Collection[str] = ()) -> None:
        """`kind` is the word for one entry in messages; its plural names the entry-point group.

        `reserved` are names that stand for something else wherever an entry's name stands; `giving_way` those
        whose first entry another may replace.
        """
        self.kind = kind
        self._reserved = reserved
        self._giving_way = set(giving_way)
        self._entries: dict[str, T] = {}
        self._places: dict[str, Place | None] = {}
        self._searched = False

    def add(self, name: str, entry: T, function: object = None) -> T:
        """Register `entry` under `name`; `function` is what was decorated, where it is not the entry."""
        self.refuse_unnameable(name)
        place = _place(entry if function is None else function)
        anew = place is not None and place == self._places.get(name)
        if name in self._entries and name in self._giving_way and not anew:
            self._giving_way.discard(name)  # once: of two of somebody's own the second is refused
        elif name in self._entries and not anew:
            there = self._places.get(name)
            raise ConfigurationError(
                f"{self.kind} {name!r} is registered twice"
                f"{f', first by {there.function} of module {there.module}' if there else ''}; names must "
                "differ: give this one another (only the same function, defined anew in the same place, "
                "replaces what it was)"
            )
        self._entries[name] = entry
        self._places[name] = place
        return entry

    def register(self, name: str) -> Callable[[T], T]:
        """A decorator that registers what it decorates, unchanged."""
        self.refuse_unnameable(name)
        return lambda entry: self.add(name, entry)

    def refuse_unnameable(self, name: object) -> None:
        """Refuse what can be no entry's name: flags, which split at commas, ask for it, and it names files.

        Raises:
            ConfigurationError: it is reserved, no text, or can be no file's name.
        """
        if name in self._reserved:
            raise ConfigurationError(
                f"{self.kind}: the name {name!r} stands for something else; names must differ: give another"
            )
        if not (
            isinstance(name, str)
            and name.isprintable()
            and name == name.strip()
            and 0 < len(name.encode()) <= LONGEST
            and name[0] not in ".-"
            and not set(name) & set("/\\,")
        ):
            raise ConfigurationError(
                f"{self.kind}: a name must be a text of 1 to {LONGEST} bytes that can be a file's name, "
                "without a slash or a comma, and with no point, hyphen or space at its beginning "
                f"(got {f'{name!r:.60}'}); give a word, such as 'my_{self.kind}'"
            )

    def _search(self) -> dict[str, T]:
        if not self._searched:
            for point in entry_points(group=f"harness.{self.kind}s"):
                try:
                    point.load()
                except HarnessError:  # it says what is wrong
                    raise
                except (Exception, SystemExit) as error:  # whatever its module does when it is imported
                    told = " ".join(str(error).split())[:300]
                    raise ConfigurationError(
                        f"entry point {point.value!r} of group harness.{self.kind}s cannot be loaded: "
                        f"{type(error).__name__}: {told}; mend or uninstall {_package(point)}"
                    ) from error
            self._searched = True
        return self._entries

    def __getitem__(self, name: str) -> T:
        if name not in self:
            raise ConfigurationError(
                f"unknown {self.kind} {name!r}: {suggestion(name, self)}{self._own(name)}"
            )
        return self._entries[name]

    def _own(self, name: object) -> str:
        """How one becomes known that is meant as the factory of a network is, by `module:function`."""
        if ":" not in str(name):
            return ""
        return (
            "; one of your own has the name it registers, in a script that imports its module, and in every "
            f"command where its package names the module as entry point of the group harness.{self.kind}s"
        )

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._search()

    def __iter__(self) -> Iterator[str]:
        return iter(self._search())

    def __len__(self) -> int:
        return len(self._search())


def _package(point: EntryPoint) -> str:
    """The package that an entry point is of, with its version."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else "the package that it is of"


class Place(NamedTuple):
    """Where a function is defined: one that is defined anew there is another version of it.

    Attributes:
        module: Its module, as it says.
        function: Its qualified name.
        scope: The module whose globals it sees; `functools.wraps` does not change that.
        line: The file and line of what has no name.
    """

    module: str
    function: str
    scope: str
    line: tuple[str, int] | None


def _place(function: object) -> Place | None:
    """The place of a function, of what a partial fills in, or of an object's type; None where it has none."""
    if isinstance(function, functools.partial):
        function = function.func
    if callable(function) and not hasattr(function, "__qualname__"):
        function = type(function)
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str):
        return None
    scope = getattr(function, "__globals__", {}).get("__name__", module)
    # a notebook's cells have no file that stays
    unnamed = name.endswith("<lambda>") and module != "__main__"
    code = getattr(function, "__code__", None) if unnamed else None
    return Place(module, name, scope, (code.co_filename, code.co_firstlineno) if code else None)
