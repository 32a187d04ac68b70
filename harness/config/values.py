"""What a configuration's values may be: plain Python of whatever was given, and the kinds of them."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence, Set, ValuesView
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import pydantic
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from harness.errors import ConfigurationError

_PLAIN = frozenset({bool, int, float, str, Path})
"""What is plain by its type alone, and most of every configuration."""


def plain(value: Any) -> Any:
    """`value` as plain Python: the numbers, texts and lists that numpy, torch and others hold in their own.

    A range, a generator or a set (sorted, as it has no order) becomes a list. What is neither a number nor
    a collection is left as it is.
    """
    if value is None or type(value) in _PLAIN:
        return value
    if isinstance(value, Enum):
        return plain(value.value)
    # by what it can do, so that neither numpy nor torch is imported for it
    if callable(getattr(value, "tolist", None)) and not isinstance(value, type):
        listed = value.tolist()
        return listed if type(listed) is type(value) else plain(listed)
    if isinstance(value, str | bytes | bytearray):
        return value
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, Set):
        return sorted(map(plain, value), key=_place_in_order)
    if isinstance(value, Sequence | Iterator | ValuesView):
        inner = map(plain, value)
        return tuple(inner) if isinstance(value, tuple) else list(inner)
    return value


def _place_in_order(value: object) -> tuple[str, Any]:
    return type(value).__name__, value if isinstance(value, int | float | str) else repr(value)


def legible(value: object) -> object:
    """`value`, in which every text can be written down.

    Raises:
        ValueError: a text that is not Unicode: a command line's bytes that are not UTF-8 become one.
    """
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError(f"must be text in UTF-8 (got {value!r:.120})")
    if isinstance(value, list | tuple):
        for inner in value:
            legible(inner)
    return value


_STOOD_FOR: dict[Path, Path] = {}


def stood_for(names: Mapping[Path, Path]) -> None:
    """Remember, in place of what was remembered, what names stood for when a command was given.

    A new run takes `latest` away before it has read its configuration, which may name places through it.
    """
    _STOOD_FOR.clear()
    _STOOD_FOR.update({name.absolute(): meant.absolute() for name, meant in names.items()})


def _as_given(path: Path) -> Path:
    """A path through a name, as the place that it stood for."""
    for name, meant in _STOOD_FOR.items():
        if path.absolute().is_relative_to(name):
            return meant / path.absolute().relative_to(name)
    return path


def place(value: object) -> object:
    """The path that a shell's user means by a text or path: `~` is the home folder. Other values pass.

    What stood behind a name that the command has taken away since (`stood_for`) is meant still.

    Raises:
        ValueError: it names no place: an empty text, nobody's home, what no file can be called.
    """
    if not isinstance(value, str | os.PathLike):
        return value
    text = os.fspath(value)
    if not isinstance(text, str) or "\0" in text:
        raise ValueError(f"must be a path's text, without NUL (got {value!r:.120})")
    legible(text)
    if not text.strip():
        raise ValueError(f"an empty text names no place: name one, or leave it out (got {text!r:.20})")
    path = Path(os.path.expanduser(text))  # noqa: PTH111 - of the text, "./" and all
    if text.startswith("~") and str(path).startswith("~"):
        raise ValueError(
            f"nobody's home folder is known by that name; './{text}' is a file (got {text!r:.120})"
        )
    # pathlib has dropped the "./" without which it would be a home, or an option
    return path.absolute() if str(path)[0] in "~-" else _as_given(path)


def named_place(name: str, value: object) -> Path:
    """The path that is meant by the value of the flag, argument or variable `name`.

    Raises:
        ConfigurationError: it is no path, or names no place.
    """
    try:
        path = place(value)
    except ValueError as error:
        raise ConfigurationError(f"{name}: {error}") from None
    if not isinstance(path, Path):
        raise ConfigurationError(f"{name}: must be a path (got {value!r:.80})")
    return path


def _split(value: object) -> object:
    """A flag's `a,b` is a file's `["a", "b"]`; a single number or path is a list of one."""
    if isinstance(value, str):
        parts = [part.strip() for part in value.split(",") if part.strip()]
        if not parts:
            raise ValueError(f"an empty text names nothing: name one, or leave it out (got {value!r:.20})")
        return parts
    return [value] if isinstance(value, int | float | Path) else value


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    twice = {value for value in values if values.count(value) > 1}
    if twice:
        raise ValueError(f"each may stand only once; twice there: {', '.join(map(str, sorted(twice)))}")
    return values


def _no_truth(value: object) -> object:
    """True is no 1: whoever writes `k = true` meant something else."""
    if isinstance(value, bool):
        raise ValueError(f"input should be a number (got {value})")  # noqa: TRY004 - pydantic
    return value


Natural = Annotated[int, BeforeValidator(_no_truth), Field(ge=1)]
MaybeNatural = Natural | None
Count = Annotated[int, BeforeValidator(_no_truth), Field(ge=0)]
Real = Annotated[float, BeforeValidator(_no_truth)]
Seed = Annotated[int, BeforeValidator(_no_truth), Field(ge=0, lt=2**32)]
Seeds = Annotated[
    tuple[Seed, ...],
    BeforeValidator(_split),
    Field(min_length=1),
    pydantic.AfterValidator(_distinct),
]
Names = Annotated[
    tuple[str, ...], BeforeValidator(_split), Field(min_length=1), pydantic.AfterValidator(_distinct)
]


def _column(value: object) -> object:
    """A position is its own text."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Column = Annotated[str | None, BeforeValidator(_column)]
"""A table's column, by its name or position."""

MaybeNames = Names | None
Sides = Annotated[tuple[Natural, ...], BeforeValidator(_split), Field(min_length=1, max_length=2)] | None
Share = Annotated[float, BeforeValidator(_no_truth), Field(gt=0, lt=1)] | None


class Settled(dict[str, Any]):
    """A mapping inside a table, which as a frozen one is hashed by its content."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(json.dumps(self, sort_keys=True, default=str))


Keywords = Annotated[dict[str, Any], pydantic.AfterValidator(Settled)]
Axes = Annotated[dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]], pydantic.AfterValidator(Settled)]
Reasons = Annotated[dict[str, str], pydantic.AfterValidator(Settled)]


class Shown(str):
    """What an option's help calls its value."""

    __slots__ = ()


Place = Annotated[Path, BeforeValidator(place)]
MaybePlace = Annotated[
    Path | None,
    BeforeValidator(place),
    pydantic.AfterValidator(lambda path: None if path is None else path.absolute()),
]
Folders = Annotated[
    tuple[Annotated[Place, pydantic.AfterValidator(Path.absolute)], ...],
    BeforeValidator(_split),
    pydantic.AfterValidator(_distinct),
]
"""These two are absolute, so that a stored configuration means the same places wherever it is read."""


def _baseline(value: object) -> object:
    """A flag's number is that number; a text that is neither it nor `zero` or `mean` is a file's path."""
    if value is None or value in ("zero", "mean"):
        return value
    with suppress(TypeError, ValueError):
        number = float(value)  # type: ignore[arg-type]
        if math.isfinite(number) and not isinstance(value, bool):
            return number
    found = place(value)
    if isinstance(found, Path) and found.suffix == ".npy":
        return str(found.absolute())
    raise ValueError(f"must be zero, mean, a finite number, or the path of a .npy file (got {value!r:.120})")


Baseline = Annotated[str | float | None, BeforeValidator(_baseline)]


class Table(BaseModel):
    """A table of the configuration, which holds plain Python, and no text that cannot be written down."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @pydantic.model_validator(mode="before")
    @classmethod
    def _of_plain_values(cls, values: Any) -> Any:
        """What numpy, torch and others hold means what it says, and none of it stays inside."""
        return plain(values)

    @pydantic.field_validator("*", mode="before")
    @classmethod
    def _of_legible_texts(cls, value: Any) -> Any:
        """What is not UTF-8 is refused by its key."""
        return legible(value)
