"""JSON Schemas of the documents, made of the records by which they are written and read.

Each record's fields are the properties, and its docstring tells what they mean, so neither is said twice. The
walk is the house's own: pydantic's schemas change with its version, and have no descriptions.
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pydantic

from harness.artifacts import files
from harness.artifacts.documents import DataRecord, DeviceRecord, Estimates, Judged, Samples
from harness.history.past import Compared
from harness.history.records import SCHEMA as HISTORY_SCHEMA
from harness.history.records import Alarm, Human, Night
from harness.records import Provenance
from harness.sweeps.records import Document as SweepDocument


class JudgedData(pydantic.BaseModel):
    """What a verdict says of the data.

    Attributes:
        name: The data set's name.
        asked: What was asked for: a name, `auto`, or a path.
        train: How many training inputs there are.
        test: How many test inputs there are.
        sha256: SHA-256 of each file that was read, by its name; of the arrays where there is no file.
    """

    name: str
    asked: str
    train: int
    test: int
    sha256: dict[str, str]


class Verdict(Judged):
    """`verdict.json`: the verdict on a run, and on each criterion.

    Attributes:
        past: Of a night, that it was held against the nights before it.
        regressions: Of a night, its open alarms.
    """

    past: Compared
    regressions: list[Alarm]


@dataclass(frozen=True)
class Kind:
    """A kind of document.

    Attributes:
        record: What it is written, or read, by.
        schema: The version that it bears.
        whole: Whether every key is written; else those are left out that have their default.
        optional: Keys that a whole one may lack.
    """

    record: type
    schema: int = files.SCHEMA
    whole: bool = True
    optional: tuple[str, ...] = ()


KINDS: Mapping[str, Kind] = {
    "act": Kind(Human, HISTORY_SCHEMA, whole=False),
    "environment": Kind(Provenance),
    "estimates": Kind(Estimates),
    "night": Kind(Night, HISTORY_SCHEMA, whole=False),
    "samples": Kind(Samples),
    "sweep": Kind(SweepDocument),
    "verdict": Kind(Verdict, optional=("past", "regressions")),
}

INSIDE: Mapping[tuple[type, str], type] = {
    (Provenance, "dataset"): DataRecord,
    (Provenance, "device"): DeviceRecord,
    (Verdict, "dataset"): JudgedData,
}
"""Records inside records that hold them as mappings."""

PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}

BOUNDS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "min_length": "minItems",
    "max_length": "maxItems",
}
"""Keywords of JSON Schema by pydantic's."""


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema, draft 2020-12, of a kind of document."""
    kind, found = KINDS[name], dict[str, Any]()
    whole = _record(kind.record, kind, found)
    told = {"const": kind.schema, "description": "The version of the document's form."}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:interpretability-harness:{name}:{kind.schema}",
        "title": name,
        **whole,
        "properties": {"schema": told, **whole["properties"]},
        "required": ["schema", *whole["required"]],
        "$defs": {one: found[one] for one in sorted(found)},
    }


def _record(record: type, kind: Kind, found: dict[str, Any]) -> dict[str, Any]:
    """A record as an object; those inside it go to `found`."""
    meant, hints = attributes(record), get_type_hints(record, include_extras=True)
    properties, required = dict[str, Any](), []
    for name, key, default in _keys(record):
        properties[key] = _shape(INSIDE.get((record, name), hints[name]), kind, found)
        properties[key]["description"] = re.sub(r"\bNone\b", "null", meant[name])
        if not kind.whole and default is not MISSING:
            properties[key]["default"] = default
        elif key not in kind.optional:
            required.append(key)
    return {
        "description": summary(record),
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _keys(record: type) -> Iterator[tuple[str, str, Any]]:
    """Of each field: its name, the document's key for it, and a dataclass's default (`MISSING` without)."""
    if is_dataclass(record):
        for one in fields(record):
            made = one.default if one.default_factory is MISSING else one.default_factory()
            yield one.name, one.name, made
    else:
        assert issubclass(record, pydantic.BaseModel)
        for name, field in record.model_fields.items():
            yield name, field.alias or name, MISSING


def _shape(hint: Any, kind: Kind, found: dict[str, Any]) -> dict[str, Any]:
    """The schema of a type."""
    origin, inside = get_origin(hint), get_args(hint)
    if hint is Any:
        return {}
    if origin is Annotated:  # whose marks may not be hashed
        return _shape(inside[0], kind, found) | dict(_bounds(inside[1:]))
    if hint in PLAIN:
        return {"type": PLAIN[hint]}
    if origin is Literal:
        return {"enum": list(inside)}
    if origin in (Union, types.UnionType):
        parts = [_shape(one, kind, found) for one in inside]
        if all(part.keys() == {"type"} for part in parts):
            return {"type": [part["type"] for part in parts]}
        return {"anyOf": parts}
    if origin is list or (origin is tuple and inside[1:] == (...,)):
        return {"type": "array", "items": _shape(inside[0], kind, found)}
    if origin is tuple:
        items = [_shape(one, kind, found) for one in inside]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        values = _shape(inside[1], kind, found)
        return {"type": "object"} | ({"additionalProperties": values} if values else {})
    if hint.__name__ not in found:
        found[hint.__name__] = {}  # a record may hold itself
        found[hint.__name__] = _record(hint, kind, found)
    return {"$ref": f"#/$defs/{hint.__name__}"}


def _bounds(marks: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    for mark in marks:
        for one in getattr(mark, "metadata", [mark]):
            for theirs, ours in BOUNDS.items():
                if hasattr(one, theirs):
                    yield ours, getattr(one, theirs)


def summary(record: type) -> str:
    """What a record is: its docstring's first paragraph, in one line."""
    return _line((inspect.getdoc(record) or "").split("\n\n")[0])


def attributes(record: type) -> dict[str, str]:
    """What each attribute of a record means, by its docstring and those of what it is made of."""
    found: dict[str, str] = {}
    for one in reversed(record.__mro__):
        _, _, listed = inspect.cleandoc(one.__doc__ or "").partition("\nAttributes:\n")
        entries = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", listed.split("\n\n")[0], re.MULTILINE)
        found |= {name: _line(text) for name, text in entries}
    return found


def _line(text: str) -> str:
    return " ".join(text.split())
