"""From what is asked to points: axes over keys of the configuration, crossed, or side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, get_args, get_origin

from harness import config as configuration
from harness import datasets
from harness.artifacts.files import key_of
from harness.config import HOW, KEYWORD, Config
from harness.errors import ConfigurationError
from harness.registry import suggestion
from harness.sweeps.records import Axis, Point, shown

TITLE = "title"
"""The key, of the table of the report, that names a run, and changes nothing of it."""

WHOLE = ("label_column",)
"""Keys whose flag is one text, commas and all."""

NAMES = 12
"""Letters of an id."""


def keys() -> dict[str, Any]:
    """By flat name, the annotation of every key that may be an axis."""
    return {key: field.annotation for key, _, field in configuration.settings() if key not in (*HOW, TITLE)}


def _is_list(annotation: Any) -> bool:
    """Whether a key holds several values by itself."""
    return get_origin(annotation) is tuple or any(map(_is_list, get_args(annotation)))


def split(flags: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, tuple[Any, ...]]]:
    """The flags of every point, and those that name several values of a key that holds one: axes.

    Args:
        flags: As of a command line: text by flat key; those that are None were not given.
    """
    known, same, axes = keys(), {}, {}
    for key, value in flags.items():
        parts = [part.strip() for part in value.split(",")] if isinstance(value, str) else []
        if len(parts) < 2 or key not in known or key in WHOLE or _is_list(known[key]):
            same[key] = value
        elif "" in parts:
            raise ConfigurationError(
                f"--{key.replace('_', '-')}: an empty value among those of an axis (got {value!r})"
            )
        else:
            axes[key] = tuple(parts)
    return same, axes


def pairs(text: str) -> dict[str, str]:
    """What a flag names of several keys, by key: `k=50,model=vae`, and `methods=gradients,smoothgrad,k=50`.

    A part without a key is one more value of the key before it, where that holds a list.

    Raises:
        ConfigurationError: a part that names no value.
    """
    known, found, last = keys(), dict[str, str](), ""
    for part in (one.strip() for one in text.split(",")):
        key, sign, value = (one.strip() for one in part.partition("="))
        if sign:
            found[key], last = value, key
        elif part and last and _is_list(known.get(_flat_name(last))):
            found[last] += f",{part}"
        elif part:
            raise ConfigurationError(
                f"--reference: {part!r} names no value; write it as k=50; of several values only a key that "
                "holds a list has more than one"
            )
    return found


def axes_of(asked: Mapping[str, Sequence[Any]], zipped: Sequence[Sequence[str]] = ()) -> tuple[Axis, ...]:
    """Axes with their groups, each key by its flat name.

    Args:
        asked: Values by key: `k`, `model.k` or `--samples-per-class`.
        zipped: Keys that go side by side.

    Raises:
        ConfigurationError: an unknown key, one twice, no value, or keys side by side of which one has more
            values than the other; or a value twice, among those that nothing beside it tells apart.
    """
    found: dict[str, tuple[Any, ...]] = {}
    for key, values in asked.items():
        name = _flat_name(key)
        if callable(listed := getattr(values, "tolist", None)):  # numpy's
            values = listed()
        if isinstance(values, str) or not isinstance(values, Sequence) or not values:
            raise ConfigurationError(f"sweep: axis {key!r} must be a list of values (got {values!r:.80})")
        if name in found:
            raise ConfigurationError(f"sweep: axis {name!r} stands twice; leave one out")
        found[name] = tuple(tuple(one) if isinstance(one, list) else one for one in values)
    group = {name: number for number, name in enumerate(found)}
    joined: set[str] = set()
    for together in zipped:
        names = [_flat_name(key) for key in together]
        for name in names:
            if name not in found:
                raise ConfigurationError(f"sweep: zipped {name!r} is no axis: {suggestion(name, found)}")
            if name in joined:
                raise ConfigurationError(f"sweep: axis {name!r} is zipped twice")
            joined.add(name)
            group[name] = group[names[0]]
        lengths = {name: len(found[name]) for name in names}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name} has {many}" for name, many in lengths.items())
            raise ConfigurationError(f"sweep: axes side by side must have as many values each ({told})")
    for number in dict.fromkeys(group.values()):
        names = [name for name in found if group[name] == number]
        steps = Counter(zip(*(map(shown, found[name]) for name in names), strict=True))
        if twice := sorted(" with ".join(step) for step, many in steps.items() if many > 1):
            told = " with ".join(map(repr, names))
            raise ConfigurationError(f"sweep: axis {told} names a value twice: {', '.join(twice)}")
    return tuple(Axis(name, values, group[name]) for name, values in found.items())


def _flat_name(key: str) -> str:
    """The flat name of a key that may be written with its table or as a flag.

    Raises:
        ConfigurationError: there is none.
    """
    tables = {f"{table}.{name}": name for name, table, _ in configuration.settings() if table}
    name = configuration.flat_key(key)
    name = tables.get(name, name)
    if name.startswith("model.settings."):
        name = name.removeprefix("model.")
    if name in keys() or (name.startswith(KEYWORD) and len(name) > len(KEYWORD)):
        return name
    if name in (*HOW, TITLE):
        raise ConfigurationError(
            f"sweep: {name!r} says how a point is run, or what it is called, and can be no axis"
        )
    raise ConfigurationError(f"sweep: unknown axis {key!r}: {suggestion(name, keys())}")


def combinations(axes: Sequence[Axis]) -> Iterator[dict[str, Any]]:
    """What the axes are at each point; the last one moves fastest."""
    groups: dict[int, list[Axis]] = {}
    for axis in axes:
        groups.setdefault(axis.group, []).append(axis)
    order = [axis.name for axis in axes]
    steps = [
        [
            dict(zip([axis.name for axis in together], values, strict=True))
            for values in zip(*(a.values for a in together), strict=True)
        ]
        for together in groups.values()
    ]
    for chosen in product(*steps):
        whole: dict[str, Any] = {}
        for part in chosen:
            whole |= part
        yield {name: whole[name] for name in order}


def points_of(
    axes: Sequence[Axis],
    path: str | Path | None = None,
    flags: Mapping[str, Any] | None = None,
    folder: str | Path = Path(),
) -> tuple[Point, ...]:
    """Every point, refused where its configuration would be.

    Args:
        axes: The axes.
        path: The file of what all points share; as of `config.load`.
        flags: What all points share on top of it.
        folder: Where to look for the file that nobody named.

    Raises:
        ConfigurationError: a point's configuration is none, or is another's.
    """
    found, asked, tables = dict[str, Point](), dict[str, str](), dict[tuple[str, str], Any]()
    values = list(combinations(axes))
    each = configuration.load_each(values, path, flags, folder)
    for one in values:
        told = ", ".join(f"{name} {shown(value)}" for name, value in one.items())
        try:
            config = next(each)
        except ConfigurationError as error:
            raise ConfigurationError(f"point {told}: {error}" if told else str(error)) from None
        # what a flag's text meant: numbers are numbers
        config = placed(config)
        config = _sharing(config, tables)
        point = Point(identity_of(config), _values_of(config, one), config)
        if point.id in found:
            raise ConfigurationError(
                f"sweep: {asked[point.id]} and {told} are one configuration; leave one out"
            )
        found[point.id], asked[point.id] = point, told
    return tuple(found.values())


def typed(axes: Sequence[Axis], points: Sequence[Point]) -> tuple[Axis, ...]:
    """The axes, with values as the configuration holds them, where they were a flag's texts."""
    return tuple(
        replace(
            axis, values=tuple({shown(one): one for one in (p.values[axis.name] for p in points)}.values())
        )
        for axis in axes
    )


def _sharing(config: Config, tables: dict[tuple[str, str], Any]) -> Config:
    """The same configuration, of those tables that are known already: there may be thousands alike."""
    # by repr, for 1 and True are equal
    return config.model_copy(
        update={name: tables.setdefault((name, repr(table)), table) for name, table in config}
    )


def placed(config: Config) -> Config:
    """The configuration with its data's name as a run keeps it, which is the same from any folder."""
    name = datasets.kept(config.data.dataset)
    if name == config.data.dataset:
        return config
    return config.model_copy(update={"data": config.data.model_copy(update={"dataset": name})})


def identity_of(config: Config) -> str:
    """A point's id: a digest of its configuration, but for how it is run and what it is called."""
    return key_of(_untitled(config, "sweep", "nightly"))[:NAMES]


def _untitled(config: Config, *without: str) -> dict[str, Any]:
    """A configuration's values, but for how it is run; its title is the one of whoever gave none."""
    whole = config.model_dump(mode="json", exclude={*HOW, *without})
    return whole | {"report": whole["report"] | {TITLE: type(config.report).model_fields[TITLE].default}}


def sweep_id(axes: Sequence[Axis], base: Config) -> str:
    """A sweep's id: a digest of which keys are axes, and of all that is the same at every point.

    So more values of an axis are the same sweep, with more points.
    """
    names = {axis.name for axis in axes}
    tables = {key: table for key, table, _ in configuration.settings()}
    whole = _untitled(base, "sweep", "nightly", "criteria")
    for name in names:
        table = "model" if name.startswith(KEYWORD) else tables[name]
        inside = whole if table is None else whole[table]
        inside = inside["settings"] if name.startswith(KEYWORD) else inside
        inside.pop(name.removeprefix(KEYWORD), None)
    return key_of({"axes": sorted(names), "base": whole})[:NAMES]


def meant(
    reference: Mapping[str, Any],
    path: str | Path | None = None,
    flags: Mapping[str, Any] | None = None,
    folder: str | Path = Path(),
) -> dict[str, Any]:
    """What a reference's values mean, as the points' configurations hold them: 1e-3 is 0.001.

    Args:
        reference: By key.
        path: As of `points_of`.
        flags: Likewise.
        folder: Likewise.

    Raises:
        ConfigurationError: an unknown key, or a value that it cannot take.
    """
    asked = {_flat_name(key): value for key, value in reference.items()}
    try:
        (config,) = configuration.load_each([asked], path, flags, folder)
    except ConfigurationError as error:
        raise ConfigurationError(f"sweep: the reference: {error}") from None
    return _values_of(placed(config), asked)


def reference_of(points: Sequence[Point], asked: Mapping[str, Any], base: Config) -> str:
    """The id of the point that others are compared with: the asked one, else the base, else the first.

    Args:
        points: One at least.
        asked: By key, what the reference is; keys that are not named are as in the base.
        base: The configuration without axes.

    Raises:
        ConfigurationError: no point is so.
    """
    if not asked:
        own = identity_of(base)
        return own if any(point.id == own for point in points) else points[0].id
    wanted = {_flat_name(key): shown(value) for key, value in asked.items()}
    axes = dict.fromkeys(points[0].values)
    for name in wanted:
        if name not in axes:
            raise ConfigurationError(
                f"sweep: the reference names {name!r}, which is no axis: {suggestion(name, axes)}"
            )
    fitting = [
        point for point in points if all(shown(point.values[name]) == value for name, value in wanted.items())
    ]
    of_base = {name: shown(value) for name, value in _values_of(base, axes).items()}
    nearest = [
        point
        for point in fitting
        if all(shown(point.values[name]) == of_base[name] for name in axes if name not in wanted)
    ]
    if len(nearest or fitting) != 1:
        told = ", ".join(f"{name} {value}" for name, value in wanted.items())
        many = "no point is" if not fitting else f"{len(nearest or fitting)} points are"
        raise ConfigurationError(
            f"sweep: {many} the reference {told}; name one of the points by all of its axes"
        )
    return (nearest or fitting)[0].id


def _values_of(config: Config, names: Mapping[str, Any]) -> dict[str, Any]:
    """What a configuration has in the place of axes."""
    tables = {key: table for key, table, _ in configuration.settings()}
    return {
        name: config.model.settings.get(name.removeprefix(KEYWORD))
        if name.startswith(KEYWORD)
        else getattr(config if (table := tables[name]) is None else getattr(config, table), name)
        for name in names
    }
