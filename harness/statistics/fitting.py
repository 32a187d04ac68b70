"""Whether what a measurement yields can be made an estimate of, told field by field before anybody tries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields
from typing import Any

import numpy as np

from harness.records import Measurement
from harness.statistics.reductions import OF_PARTS, REDUCTIONS


def unfit(one: object) -> str:
    """What is wrong with the first field that no estimate can be made of; empty where all are sound.

    Args:
        one: What a measurement yielded.

    Returns:
        The field, what it must be, and what it is: `higher_is_better must be True, False or None (got 'up')`.
    """
    if not isinstance(one, Measurement):
        return f"it must yield records of Measurement (got {one!r:.80})"
    return next(_wrong(one), "")


def _wrong(one: Measurement) -> Iterator[str]:
    optional = {field.name: field.default for field in fields(one) if field.default is not MISSING}
    for name, (must, holds) in _MUST.items():
        value = getattr(one, name)
        if not (holds(value) or (name in optional and value is optional[name])):
            yield f"{name} must be {must} (got {value!r:.80})"
    values = np.asarray(one.values)
    if one.reason is not None:  # there are no values
        return
    wide, rule = one.reduction in OF_PARTS, one.reduction
    if values.dtype.kind not in "biuf" or values.ndim != 1 + wide:
        shape = "[n, parts]" if wide else "[n]"
        got = f"{values.dtype} {list(values.shape)}"
        yield f"values must be an array of numbers {shape}, of which {rule!r} makes an estimate (got {got})"
    for name in ("strata", "rows"):
        if (of_each := getattr(one, name)) is not None and np.shape(of_each) != values.shape[:1]:
            yield f"{name} must be a whole number for each of {len(values)} values (got {np.shape(of_each)})"


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_whole(value: Any) -> bool:
    return np.asarray(value).dtype.kind in "iu"


_MUST: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "name": ("a text", _is_text),
    "title": ("a text", _is_text),
    "unit": ("a text", lambda value: isinstance(value, str)),
    "higher_is_better": ("True, False or None", lambda value: value is None or isinstance(value, bool)),
    "reduction": (
        f"one of the rules {', '.join(map(repr, REDUCTIONS))}",
        lambda value: isinstance(value, str) and value in REDUCTIONS,
    ),
    "reason": ("a text, or None", _is_text),
    "strata": ("an array of whole numbers, or None", _is_whole),
    "rows": ("an array of whole numbers, or None", _is_whole),
    "definition": ("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool)),
}
"""By field: what it must be, and whether a value is that. What a field is without being named passes."""
