"""What a configuration's values may be: plain Python of whatever was given, and the kinds of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set, ValuesView
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import pydantic
from pydantic import BeforeValidator, Field


def plain(value: Any) -> Any:
    """`value` as plain Python: the numbers, texts and lists that numpy, torch and others hold in their own.

    A range, a generator or a set (sorted, as it has no order) becomes a list. What is neither a number nor
    a collection is left as it is.
    """
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


def _split(value: object) -> object:
    """A flag's `a,b` is a file's `["a", "b"]`; a single number or path is a list of one."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
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


def _given(value: object) -> object:
    """An empty text, such as an unset variable gives, is not given."""
    return None if value == "" else value


Natural = Annotated[int, BeforeValidator(_no_truth), Field(ge=1)]
Count = Annotated[int, BeforeValidator(_no_truth), Field(ge=0)]
Real = Annotated[float, BeforeValidator(_no_truth)]
Seeds = Annotated[
    tuple[Annotated[int, BeforeValidator(_no_truth), Field(ge=0, lt=2**32)], ...],
    BeforeValidator(_split),
    Field(min_length=1),
    pydantic.AfterValidator(_distinct),
]
Names = Annotated[
    tuple[str, ...], BeforeValidator(_split), Field(min_length=1), pydantic.AfterValidator(_distinct)
]


Folders = Annotated[
    tuple[Annotated[Path, pydantic.AfterValidator(Path.absolute)], ...],
    BeforeValidator(_split),
    pydantic.AfterValidator(_distinct),
]
"""Absolute, so that a stored configuration means the same folders wherever it is read."""

MaybePath = Annotated[Path | None, BeforeValidator(_given)]
