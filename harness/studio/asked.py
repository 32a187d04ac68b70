"""What the studio's page asks, read from an address' query and a body, and refused in one line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np

from harness.errors import InputError
from harness.records import Floats
from harness.text import clean

About = Mapping[str, Any]
"""What `Live.about` tells of a run."""

PARTS = frozenset({"maps", "integrity", "agreement", "deletion", "units", "path"})
"""What an answer may have beside the prediction."""

UNITS, LONGEST = 64, 4096
"""At most so many units are switched in one question, and so many characters tell methods or units."""

MOST = 1e6
"""What a unit may be set to, or multiplied with, at most: beyond it numbers overflow."""

SWITCHES = ("set", "times")
"""What is done to a unit's activation: it becomes the value, or is multiplied with it."""

_WHOLE = re.compile(r"[0-9]{1,9}")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]{1,24}(?:\.[0-9]{0,24})?|\.[0-9]{1,24})(?:[eE][+-]?[0-9]{1,2})?")


@dataclass(frozen=True, eq=False)
class Question:
    """One question about one input.

    Attributes:
        run: Position among the runs that are open.
        seed: One of the run's seeds.
        target: The class explained; None is the predicted one.
        against: A second class, whose logit is taken away from the target's; None where there is none.
        methods: Of the run's; None names all.
        units: By switched unit of the code its position, one of `SWITCHES`, and the value.
        parts: Of `PARTS`, those wanted beside the prediction.
        index: Position in the test set that the input was taken from; None where it is one's own.
        inputs: float32 [features], in the data's own scale, read-only.
        share: The percentage of the features that the page shows deleted; with `order`, what a saved view
            keeps, and nothing that is computed.
        order: The method in whose order; empty for the first.
    """

    run: int
    seed: int
    target: int | None
    against: int | None
    methods: tuple[str, ...] | None
    units: tuple[tuple[int, str, float], ...]
    parts: frozenset[str]
    index: int | None
    inputs: Floats
    share: int = 20
    order: str = ""


KEYS = frozenset({"run", "seed", "target", "against", "methods", "units", "parts", "index", "share", "order"})
"""The keys that a query may have."""


def asked(pairs: Iterable[tuple[str, str]], abouts: Sequence[About]) -> Question:
    """The question of a query; its inputs, which come in the body, are none yet.

    Args:
        pairs: The query's keys and values, decoded.
        abouts: What each open run tells of itself.

    Raises:
        InputError: a key is unknown or stands twice, or its value is none of the run's.
    """
    known: dict[str, str] = {}
    for key, value in pairs:
        if key not in KEYS:
            raise InputError(f"unknown key {_shown(key)}; a question has {', '.join(sorted(KEYS))}")
        if key in known:
            raise InputError(f"{key} may stand only once")
        known[key] = value
    number = run_of(known.get("run", "0"), abouts)
    about = abouts[number]
    target, against = (_class(key, known.get(key, ""), about) for key in ("target", "against"))
    if against is not None and against == target:
        raise InputError(f"against must be another class than target (got {against} twice)")
    return Question(
        run=number,
        seed=_seed(known.get("seed", ""), about),
        target=target,
        against=against,
        methods=_methods(known.get("methods"), about),
        units=_units(known.get("units", ""), about),
        parts=_parts(known.get("parts", "")),
        index=_index(known.get("index", ""), about, abouts[0]),
        inputs=np.empty(0, dtype=np.float32),
        share=_below("share", known.get("share") or "20", 101),
        order=_order(known.get("order", ""), about),
    )


def with_inputs(question: Question, body: bytes, about: About) -> Question:
    """The question about the input that a body holds.

    Args:
        question: Of `asked`.
        body: 4 * features bytes, float32, little endian.
        about: What the question's run tells of itself.

    Raises:
        InputError: the body is of another size, or a number is not finite or not in the data's range.
    """
    features = int(about["features"])
    if len(body) != 4 * features:
        raise InputError(f"a body has {4 * features} bytes, float32 of {features} features (got {len(body)})")
    inputs = np.frombuffer(body, dtype="<f4").astype(np.float32)
    if not np.isfinite(inputs).all():
        place = int(np.flatnonzero(~np.isfinite(inputs))[0])
        raise InputError(f"features must be finite (got {inputs[place]} at {place})")
    low, high = (np.float32(bound) for bound in about["range"])
    if outside := np.flatnonzero((inputs < low) | (inputs > high)).tolist():
        value = inputs[outside[0]]
        raise InputError(f"features must be in [{low:g}, {high:g}] (got {value:g} at {outside[0]})")
    inputs.setflags(write=False)
    return replace(question, inputs=inputs)


def beside(question: Question, abouts: Sequence[About]) -> list[Question]:
    """What the other open runs are asked for the maps that stand beside a question's.

    Their own seed where they lack the question's, no switched units, which move no map, and of the methods
    those that were asked for, and those that the question's run does not have.
    """
    if "maps" not in question.parts:
        return []
    known = [one["name"] for one in abouts[question.run]["methods"]]
    found = []
    for run, about in enumerate(abouts):
        names = [str(one["name"]) for one in about["methods"]]
        asked = known if question.methods is None else question.methods
        methods = tuple(one for one in names if one in asked or one not in known)
        if run != question.run and methods:
            seed = question.seed if question.seed in about["seeds"] else int(about["seed"])
            parts = frozenset({"maps"})
            index = _of_data(question.index, about, abouts[question.run])
            one = replace(question, run=run, seed=seed, methods=methods, units=(), parts=parts, index=index)
            found.append(one)
    return found


def file_of(question: Question, abouts: Sequence[About], now: datetime) -> str:
    """The name of the file that a view is saved as: by its runs, its input, and when it was."""
    runs = [question.run, *(one.run for one in beside(question, abouts))]
    named = [re.sub(r"[^A-Za-z0-9-]+", "-", str(abouts[run]["id"]))[:60] for run in runs]
    what = "own" if question.index is None else str(question.index)
    when = f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03d}Z"
    return "-".join(("studio", *named, what, when)) + ".html"


def run_of(text: str, abouts: Sequence[About]) -> int:
    """The position of an open run.

    Raises:
        InputError: there is none there.
    """
    return _below("run", text, len(abouts))


def index_of(text: str, about: About) -> int:
    """A position in the test set.

    Raises:
        InputError: it has none there.
    """
    return _below("index", text, int(about["tests"]))


def _below(key: str, text: str, end: int) -> int:
    if not _WHOLE.fullmatch(text) or int(text) >= end:
        raise InputError(f"{key} must be in 0..{end - 1} (got {_shown(text)})")
    return int(text)


def _index(text: str, about: About, first: About) -> int | None:
    """The position in the first run's test set, which is the page's; of another run's data it is none."""
    return _of_data(index_of(text, first) if text else None, about, first)


def _of_data(index: int | None, about: About, first: About) -> int | None:
    """A position in a run's test set as one in another's; none where their data are not the same."""
    return index if about["digest"] == first["digest"] else None


def _seed(text: str, about: About) -> int:
    if not text:
        return int(about["seed"])
    seeds = {str(seed): int(seed) for seed in about["seeds"]}
    if text not in seeds:
        raise InputError(f"seed must be one of {', '.join(seeds)} (got {_shown(text)})")
    return seeds[text]


def _class(key: str, text: str, about: About) -> int | None:
    return _below(key, text, len(about["classes"])) if text else None


def _split(key: str, text: str) -> list[str]:
    if len(text) > LONGEST:
        raise InputError(f"{key} has at most {LONGEST} characters (got {len(text)})")
    parts = text.split(",") if text else []
    if len(set(parts)) != len(parts):
        raise InputError(f"{key} may name each only once (got {_shown(text)})")
    return parts


def _order(text: str, about: About) -> str:
    if text and text not in (there := [str(one["name"]) for one in about["methods"]]):
        raise InputError(f"order must be one of the run's methods: {', '.join(there)} (got {_shown(text)})")
    return text


def _methods(text: str | None, about: About) -> tuple[str, ...] | None:
    """Those named, which of an empty text are none; all where nothing is said."""
    if text is None:
        return None
    named, there = _split("methods", text), [str(one["name"]) for one in about["methods"]]
    for name in named:
        if name not in there:
            raise InputError(f"methods must be of the run's: {', '.join(there)} (got {_shown(name)})")
    return tuple(named)


def _parts(text: str) -> frozenset[str]:
    named = _split("parts", text)
    for name in named:
        if name not in PARTS:
            raise InputError(f"parts must be of {', '.join(sorted(PARTS))} (got {_shown(name)})")
    return frozenset(named)


def _units(text: str, about: About) -> tuple[tuple[int, str, float], ...]:
    named = _split("units", text)
    if named and "code" not in about["capabilities"]:
        raise InputError("units: the model has no code, so none can be switched")
    if len(named) > UNITS:
        raise InputError(f"units may name at most {UNITS} (got {len(named)})")
    found = []
    for one in named:
        unit, how, value = [*one.split(":"), "", ""][:3]
        is_whole = _WHOLE.fullmatch(unit) and one.count(":") == 2
        if not (is_whole and how in SWITCHES and _DECIMAL.fullmatch(value)):
            raise InputError(f"units are written 12:set:0,40:times:2 (got {_shown(one)})")
        if abs(float(value)) > MOST:
            raise InputError(f"units are set to, or multiplied with, {MOST:g} at most (got {_shown(value)})")
        found.append((int(unit), how, float(value)))
    if len({unit for unit, _, _ in found}) != len(found):
        raise InputError("units may name each only once")
    return tuple(found)


def _shown(text: str) -> str:
    return repr(clean(text, 60))
