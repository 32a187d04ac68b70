"""The criteria of a configuration: the shipped ones, changed by the tables of the same ids, and new ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pydantic

from harness.config.parameters import Attribution, Criterion, Model, shipped_criteria
from harness.config.values import Table
from harness.registry import suggestion


def merged(rows: Mapping[str, dict[str, Any]], tables: Any) -> dict[str, dict[str, Any]]:
    """The criteria's rows by id, those that the tables name with the tables' keys; new ones come last.

    Raises:
        ValueError: something else in the tables' place, a table without an id, an id twice.
    """
    if not isinstance(tables, list | tuple) or not all(isinstance(t, Mapping | Criterion) for t in tables):
        raise ValueError(f"criteria must be tables, each headed [[criteria]] (got {tables!r})")
    found = dict(rows)
    seen: set[str] = set()
    for table in tables:
        row = table.model_dump() if isinstance(table, Criterion) else dict(table)
        name = row.get("id")
        if not isinstance(name, str):
            raise ValueError(f"criteria: each table needs an id, a text (got {row!r})")  # noqa: TRY004 - pydantic
        if name in seen:
            raise ValueError(f"criteria: two tables bear the id {name!r}; ids must differ")
        seen.add(name)
        found[name] = found.get(name, {"measurement": name}) | row
    return found


def judged(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a raw configuration's criteria: shipped ones first, as its tables change them, then others.

    Raises:
        ValueError: as `merged`; or a table that neither changes a shipped criterion nor makes one of its own.
    """
    k = _asked(Model, values.get("model"), "k")
    methods = _asked(Attribution, values.get("attribution"), "methods")
    recipe = str(values.get("recipe", ""))
    shipped = {c.id: c.model_dump() for c in shipped_criteria(k, methods=methods, recipe=recipe)}
    tables, without = values.get("criteria", ()), values.get("without", {})
    rows = merged(shipped, tables)
    for name, row in rows.items():
        missing = [key for key in ("relation", "threshold") if key not in row]
        if missing and name not in without:
            hint = suggestion(name, shipped)
            raise ValueError(
                f"criteria: no shipped criterion {name!r} judges this configuration: {hint}"
                f"{'' if hint.endswith('?') else ';'} one of your own needs measurement, relation and "
                f"threshold (it has no {' and no '.join(missing)})"
            )
    return [row for name, row in rows.items() if name not in without]


def _asked(table: type[Table], raw: object, key: str) -> Any:
    """The value of one key of a raw table: a flag's is text. One that is refused is so with its table."""
    asked = raw.get(key) if isinstance(raw, Mapping) else getattr(raw, key, None)
    try:
        return getattr(table.model_validate({} if asked is None else {key: asked}), key)
    except pydantic.ValidationError:
        return getattr(table(), key)
