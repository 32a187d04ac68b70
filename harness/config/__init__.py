"""The run's frozen configuration, of the tables in `parameters`, from files and flags.

A file (`harness.toml`, `[tool.harness]` in pyproject.toml, or the one named by `--config`) sets keys in
tables; each key outside `[[criteria]]` is also a flag of the same name, and flags win.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from importlib import invalidate_caches
from importlib.machinery import PathFinder
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypeVar, get_origin

import pydantic
from pydantic import BaseModel, Field
from pydantic.fields import FieldInfo

from harness.config.merging import judged, merged
from harness.config.parameters import (
    TWO_STAGED,
    Attribution,
    Criterion,
    Data,
    Model,
    Nightly,
    Report,
    Selection,
    Statistics,
    Sweep,
    Training,
)
from harness.config.tables import read, table_of
from harness.config.values import (
    Folders,
    MaybePlace,
    Place,
    Reasons,
    Seeds,
    Settled,
    Table,
    named_place,
    plain,
)
from harness.errors import ConfigurationError
from harness.registry import suggestion

T = TypeVar("T", bound=BaseModel)

NEAR = 0.75
"""How much a key has to be like one of another table for that to be suggested (`difflib`'s ratio)."""

KEYWORD = "settings."
"""How the flat name of a keyword of the model's factory begins."""


class Config(Table):
    """Everything a run depends on, apart from the data itself and the code."""

    recipe: str = Field(
        "reference",
        description="training recipe by name, or as module:function; reference is the model's own, "
        "interpretable the k-sparse model's whose explanations agree, none trains nothing",
    )
    output: Place = Field(Path("artifacts"), description="folder of the runs, the cache and `latest`")
    cache: MaybePlace = Field(
        None, description="folder of finished stages that runs share; `cache` in the output folder by default"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where to compute")
    seeds: Seeds = Field(
        (0,),
        description="one network each; three or more speak of the recipe, two give no intervals",
    )
    strict: bool = Field(False, description="the interval's bound decides, not the point estimate")
    fresh: bool = Field(False, description="compute everything anew, whatever the cache holds")
    quiet: bool = Field(False, description="print the verdict alone")
    checks: Folders = Field(
        (), description="folders of tests of your own, judged beside the shipped criteria"
    )
    data: Data = Data()
    model: Model = Model()
    training: Training = Training()
    attribution: Attribution = Attribution()
    selection: Selection = Selection()
    statistics: Statistics = Statistics()
    report: Report = Report()
    nightly: Nightly = Nightly()
    sweep: Sweep = Sweep()
    criteria: tuple[Criterion, ...] = ()
    without: Reasons = Field(Settled(), description="what the model cannot be judged by, and why")

    @pydantic.model_validator(mode="before")
    @classmethod
    def _merge_criteria(cls, values: Any) -> Any:
        """Shipped criteria first, each overridden by the user's table of the same id; then the new ones."""
        if not isinstance(values := plain(values), Mapping):
            return values
        return dict(values) | {"criteria": judged(values)}

    @pydantic.model_validator(mode="after")
    def _k_fits_code(self) -> Config:
        if self.model.k > self.model.code_width:
            raise ValueError(
                f"model.k must be in 1..{self.model.code_width}, the code's width (got {self.model.k})"
            )
        if self.strict and len(self.seeds) == 2:
            raise ValueError(
                "strict needs intervals, and two seeds give none for the recipe: "
                f"name one seed, or three or more (got {', '.join(map(str, self.seeds))})"
            )
        if self.selection.minimum_per_class > self.selection.samples_per_class:
            raise ValueError(
                f"selection.samples_per_class must be at least selection.minimum_per_class = "
                f"{self.selection.minimum_per_class} (got {self.selection.samples_per_class})"
            )
        return self

    def lengths(self, there: Collection[str]) -> tuple[str, ...]:
        """The settings of `[training]` that say how long a model is trained; none where nothing is.

        Args:
            there: What the model has (`harness.capabilities`): one whose code gives the inputs back has an
                autoencoder, which the recipes of two stages train first.
        """
        if self.model.weights is not None or self.recipe == "none":
            return ()
        both = self.recipe in TWO_STAGED and "reconstruction" in there
        return ("epochs", "classifier_epochs") if both else ("classifier_epochs",)

    def as_toml_values(self) -> dict[str, Any]:
        """A run's configuration as TOML can hold it: every default spelled out, nothing that is None."""
        return self.model_dump(mode="json", exclude_none=True, exclude={"sweep"})


HOW = ("cache", "fresh", "output", "quiet")
"""Keys that say how a run is computed, and where it lies, and not what it is."""


def table_in(field: FieldInfo) -> type[Table] | None:
    """The table that a key holds; None where it holds a value."""
    kind = field.annotation
    # Python 3.10 takes tuple[int, ...] for a class
    return kind if get_origin(kind) is None and isinstance(kind, type) and issubclass(kind, Table) else None


def settings() -> Iterator[tuple[str, str | None, FieldInfo]]:
    """Every key that is also a flag: (key, its table or None at top level, the field)."""
    for name, field in Config.model_fields.items():
        if name in ("criteria", "nightly", "sweep", "without"):  # by file alone
            continue
        if (table := table_in(field)) is not None:
            inside = table.model_fields.items()
            yield from ((key, name, inner) for key, inner in inside if key != "settings")
        else:
            yield name, None, field


def load(
    path: str | Path | None = None, flags: Mapping[str, Any] | None = None, folder: str | Path = Path()
) -> Config:
    """The configuration from a file and flags.

    Args:
        path: A TOML file; None looks for `harness.toml`, then `[tool.harness]`, in `folder`.
        flags: Values by flat key (`k`, `data_dir`, `criteria`); those that are None were not given. Tables of
            criteria come on top of the file's, as those do on top of the shipped ones.
        folder: Where to look for the files that nobody named.

    Raises:
        ConfigurationError: a file that cannot be read, an unknown key or flag, or a value out of its bounds.
    """
    if path is not None and not isinstance(path, str | PathLike):
        raise ConfigurationError(
            f"the configuration's file must be a path (got {path!r:.80}); "
            "values go by name: load_config(flags={'epochs': 5})"
        )
    return next(load_each([{}], path, flags, folder))


def load_each(
    points: Iterable[Mapping[str, Any]],
    path: str | Path | None = None,
    flags: Mapping[str, Any] | None = None,
    folder: str | Path = Path(),
) -> Iterator[Config]:
    """For each of several sets of flags, on top of `flags`, what `load` gives; the file is read once.

    Args:
        points: Flags by flat key; `settings.<keyword>` is a keyword of the model's factory, and where it is
            `none`, the factory's own default.
        path: As of `load`.
        flags: Likewise.
        folder: Likewise.

    Raises:
        ConfigurationError: as `load`.
    """
    raw, origin = read(None if path is None else named_place("--config", path), Path(folder))
    beside = None if path is None else named_place("--config", path).absolute().parent
    common = _flat(flags)
    for point in points:
        given = {k.removeprefix(KEYWORD): v for k, v in point.items() if k.startswith(KEYWORD)}
        keywords = {name: value for name, value in given.items() if value not in (None, "none")}
        own = _flat({key: value for key, value in point.items() if not key.startswith(KEYWORD)})
        values = dict(raw)
        for key, (table, value) in (common | own).items():
            if key == "criteria":
                try:
                    of_file = merged({}, values.get(key, ()))
                    values[key] = list(merged(of_file, plain(value)).values())
                except ValueError as error:
                    raise ConfigurationError(str(error)) from None
            elif table is None:
                values[key] = value
            else:
                values[table] = table_of(values.get(table, {}), f"{table} in {origin}") | {key: value}
        if given:
            model = table_of(values.get("model", {}), f"model in {origin}")
            known = table_of(model.get("settings", {}), f"model.settings in {origin}")
            rest = {name: value for name, value in known.items() if name not in given}
            values["model"] = model | {"settings": rest | keywords}
        _name_folder(values, beside)
        yield of(values, origin)


def _name_folder(values: dict[str, Any], beside: Path | None) -> None:
    """Where a module of one's own is named without a folder, the one that it is found in is `model_dir`.

    So a run keeps it, and its own configuration finds the module again, wherever it is read. Nothing is
    imported. What is installed needs no folder; what is nowhere is missed in the file's own.

    Args:
        values: Raw ones, by table.
        beside: The folder of the file that was named.
    """
    model = values.get("model", {})
    if not isinstance(model, Mapping) or model.get("model_dir") is not None:
        return
    names = [str(one) for one in (model.get("model"), model.get("code"), values.get("recipe"))]
    modules = [name.partition(":")[0] for name in names if ":" in name]
    if modules:
        places = [*([beside] if beside else []), Path.cwd()]
        lie = [_folder_of(module, places) for module in modules]
        folder = next((one for one in lie if one in places), beside if None in lie else None)
        values["model"] = {**model, "model_dir": folder}


def _folder_of(module: str, places: Sequence[Path]) -> Path | None:
    """The folder that an import which searches `places` first finds a module in; None where it is nowhere."""
    invalidate_caches()
    root = module.split(".")[0]
    spec = PathFinder.find_spec(root, [*map(str, places), *sys.path])
    if spec is None:
        return None
    inside = [*(spec.submodule_search_locations or ())]
    return Path(inside[0] if inside else str(spec.origin)).parent


def of(values: Mapping[str, Any], origin: str) -> Config:
    """The configuration of raw values.

    Raises:
        ConfigurationError: an unknown key, or a value out of its bounds.
    """
    return _validated(values, origin, Config)


def _validated(values: Mapping[str, Any], origin: str, kind: type[T]) -> T:
    try:
        return kind.model_validate(values)
    except pydantic.ValidationError as error:
        rows = [_by_id(row, values) for row in reversed(error.errors())]
        lines = {_key(row): _explain(row, origin) for row in rows}
        raise ConfigurationError("; ".join(reversed(lines.values()))) from None


def _by_id(row: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """One of pydantic's errors; of a criterion by its id, where pydantic counts the shipped ones too."""
    loc = row["loc"]
    if len(loc) > 1 and loc[0] == "criteria":
        loc = ("criteria", judged(plain(values))[loc[1]]["id"], *loc[2:])
    return {**row, "loc": loc}


def flat_key(key: object) -> str:
    """A key as the configuration writes it, which may be written as its flag: `--samples-per-class`."""
    return str(key).removeprefix("--").replace("-", "_")


def _flat(flags: Mapping[str, Any] | None) -> dict[str, tuple[str | None, Any]]:
    """By key: its table, and its value; a flag may be written as on the command line, `samples-per-class`.

    Raises:
        ConfigurationError: an unknown flag, or one twice.
    """
    if flags is not None and not isinstance(flags, Mapping):
        raise ConfigurationError(f"flags must be a mapping such as {{'epochs': 5}} (got {flags!r:.80})")
    tables = {key: table for key, table, _ in settings()} | {"criteria": None}
    found: dict[str, tuple[str | None, Any]] = {}
    for flag, value in (flags or {}).items():
        key = flat_key(flag)
        if key not in tables or not isinstance(flag, str) or (key == "model" and isinstance(value, Mapping)):
            inside = [name for name, table in tables.items() if table == key]
            near = f"name its keys: {', '.join(inside)}" if inside else suggestion(key.split(".")[-1], tables)
            raise ConfigurationError(f"unknown flag {flag!r}: {near}")
        if key in found:
            raise ConfigurationError(f"flag {key!r} stands twice, written in two ways; leave one out")
        if value is not None:
            found[key] = tables[key], value
    return found


def refuse_unfit(table: str, values: Mapping[str, Any]) -> None:
    """Refuse values that a table of the configuration would; keys that it does not have are somebody else's.

    Raises:
        ConfigurationError: a value out of its bounds.
    """
    kind: Any = Config.model_fields[table].annotation
    known = {key: value for key, value in values.items() if key in kind.model_fields}
    if known:
        _validated(known, "the call", kind)


def refuse_absent(folders: Sequence[Path]) -> None:
    """Refuse folders of tests that are not there. A stored run is read without its folders, and judged red.

    Raises:
        ConfigurationError: one is missing.
    """
    for folder in folders:
        try:
            there = folder.is_dir()
        except OSError:  # a name that is too long, a place that is not ours
            there = False
        if not there:
            raise ConfigurationError(f"checks: {folder}: there is no such folder; name one that holds tests")


def _key(row: Any) -> str:
    """The dotted key of one of pydantic's errors, without the branches of a union."""
    branches = ("float", "tuple", "function-before")
    return ".".join(str(part) for part in row["loc"] if str(part).split("[")[0] not in branches)


def _explain(row: Any, origin: str) -> str:
    """One line for one of pydantic's errors: the key, what was expected, what was got."""
    key = _key(row)
    place = key.split(".")
    if row["type"] == "extra_forbidden":
        return f"unknown key {key!r} in {origin}: {_where_it_belongs(place, origin)}"
    if row["type"] == "value_error":
        message = row["msg"].removeprefix("Value error, ")
        return f"{key}: {message}" if key else message
    got = row["input"]
    return f"{key}: {row['msg'][:1].lower()}{row['msg'][1:]} (got {got!r:.120})"


def _where_it_belongs(place: list[str], origin: str) -> str:
    """What is said of an unknown key: its own table, the near key beside it or elsewhere, or all there."""
    name = place[-1]
    tables = {key: table for key, table, _ in settings()}
    if len(place) > 1 and name in tables and tables[name] is None:
        return "it belongs to the top, before the first [table]"
    if table := tables.get(name):
        heading = f"{'tool.harness.' * origin.startswith('[tool.')}{table}"
        return f"it belongs to {table}.{name}; write '{name} = …' below [{heading}]"
    beside = suggestion(name, _keys_beside(place[:-1]))
    near = difflib.get_close_matches(name, tables, n=1, cutoff=NEAR)
    if beside.endswith("?") or not near or place[0] == "criteria":
        return beside
    return f"did you mean {'.'.join(filter(None, (tables[near[0]], near[0])))!r}?"


def _keys_beside(place: list[str]) -> list[str]:
    if not place:
        return list(Config.model_fields)
    if place[0] == "criteria":
        return list(Criterion.model_fields)
    field = Config.model_fields[place[0]]
    return list(getattr(field.annotation, "model_fields", {}))
