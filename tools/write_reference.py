"""The reference that is made of the code: schemas in the package, pages in `docs/reference`.

Usage: python -m tools.write_reference

What the pages tell is the configuration's model, the command's own tree, the public names' signatures and
docstrings, and the documents' records. `tests/test_reference.py` holds what stands there equal to them.
"""

from __future__ import annotations

import inspect
import json
import re
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from harness import cli
from harness.cli.schemas import ENDING, FOLDER
from harness.config import Config, settings, table_in
from harness.config.parameters import MIN_CHANGE, SWITCH_AWARE, Criterion, Watch, shipped_criteria
from harness.criteria import show_threshold
from tools import schemas
from tools.interface import interface

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"
COMMAND = "python -m tools.write_reference"
WRITTEN = f"<!-- written by `{COMMAND}`; change what it is made of -->"

WORDS = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true, false",
    Path: "path",
    Any: "any value",
}
SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
LENGTHS = {"min_length": "at least", "max_length": "at most"}
SEVERAL = {"text": "texts", "whole number": "whole numbers", "path": "paths", "any value": "any values"}


def row(*cells: str) -> str:
    """A row of a table of Markdown."""
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown."""
    return "\n".join([row(*head), row(*["---"] * len(head)), *(row(*one) for one in rows)])


# the configuration


def kind_of(annotation: Any, marks: Sequence[Any] = ()) -> str:
    """A key's type in words, with its range."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return kind_of(inside[0], [*inside[1:], *marks])
    if origin in (Union, types.UnionType):
        return " or ".join(kind_of(one, marks) for one in inside if one is not type(None))
    if origin is Literal:
        return ", ".join(f"`{one}`" for one in inside)
    flat = [one for mark in marks for one in getattr(mark, "metadata", [mark])]
    bounds = {key: getattr(one, key) for one in flat for key in (*SIGNS, *LENGTHS) if hasattr(one, key)}
    if origin is tuple and inside[1:] == (...,):
        lengths = [f"{bounds[key]} {word}" for key, word in LENGTHS.items() if key in bounds]
        one = kind_of(inside[0])
        word = next((word for word in SEVERAL if one.startswith(word)), one)
        return "; ".join([f"list of {one.replace(word, SEVERAL.get(word, word), 1)}", *lengths])
    if origin is tuple:
        return f"[{', '.join(map(kind_of, inside))}]"
    if origin is dict:
        return f"table of {kind_of(inside[1])}"
    told = [f"{sign} {bounds[key]}" for key, sign in SIGNS.items() if key in bounds]
    return " ".join([WORDS[annotation], ", ".join(told)]).strip()


def default_of(field: FieldInfo) -> str:
    """A key's default as a file writes it; a dash where that is nothing."""
    value = field.default
    if field.is_required():
        return "must be given"
    if value is None or value == "" or value == {} or value == ():
        return "–"
    if isinstance(value, Path):
        return f"`{json.dumps(value.as_posix())}`"
    return f"`{json.dumps(list(value) if isinstance(value, tuple) else value)}`"


def keys(fields: Mapping[str, FieldInfo], flags: bool) -> str:
    """A table of keys."""
    rows = []
    for name, field in fields.items():
        flag = f"`--{name.replace('_', '-')}`" if flags and name != "settings" else ""
        if flag and field.annotation is bool:
            flag += f", `--no-{flag[3:]}"
        told = [f"`{name}`", *([flag] if flags else []), kind_of(field.annotation, field.metadata)]
        rows.append([*told, default_of(field), field.description or ""])
    return table(["key", *(["flag"] if flags else []), "type", "default", "what it means"], rows)


def configuration() -> str:
    """`configuration.md`."""
    flagged = {within for _, within, _ in settings()}
    top = {name: field for name, within, field in settings() if within is None}
    parts = [
        "# The configuration",
        "Keys stand in `harness.toml`, in `[tool.harness]` of `pyproject.toml`, or in the file that "
        "`--config` names. Flags win over files. An unknown key, and a value out of its range, is refused "
        "with exit code 2. A flag's list is written `a,b`. Paths: `~` is the home folder, a relative one is "
        "in the working folder.",
        "## At the top, before any table",
        keys(top, flags=True),
    ]
    for name, field in Config.model_fields.items():
        if (kind := table_in(field)) is None:
            continue
        parts += [f"## `[{name}]`", _sentence(kind)]
        inside = {key: one for key, one in kind.model_fields.items() if key != "watch"}
        parts.append(keys(inside, flags=name in flagged))
        if name == "nightly":
            parts += ["### `[[nightly.watch]]`", _sentence(Watch), keys(Watch.model_fields, flags=False)]
    parts += ["## `[[criteria]]`", _sentence(Criterion), keys(Criterion.model_fields, flags=False)]
    parts += ["### The shipped criteria", SHIPPED, shipped()]
    return page(parts)


SHIPPED = (
    "Thresholds of `sparsity` are 10 % around `k`, here 50. The last three are there where their method is "
    "asked for, or the recipe is `interpretable`, by which the worst pair is a gate too. A night is red "
    "where a measurement moved the wrong way by more than its smallest change, in its own unit."
)


def shipped() -> str:
    """The shipped criteria, each with what it asks for."""
    plain = shipped_criteria(50)
    asked = shipped_criteria(50, methods=["lime", SWITCH_AWARE], recipe="interpretable")
    found = [*plain, *(one for one in asked if one.id not in {known.id for known in plain})]
    rows = [
        [
            f"`{one.id}`",
            one.title,
            f"{one.relation} {show_threshold(one.threshold)}",
            "gate" if one.gate else "watched",
            f"{MIN_CHANGE[one.id]:g}" if one.id in MIN_CHANGE else "",
        ]
        for one in found
    ]
    return table(["id, and measurement", "title", "asks for", "say", "smallest change"], rows)


def _sentence(kind: type) -> str:
    """A docstring, without the table's own name before it."""
    text = re.sub(r"^(One )?`\[+[\w.]+\]+`( table)?: ", "", inspect.getdoc(kind) or "")
    return text[:1].upper() + text[1:]


# the command line


def commands(group: Any, name: str = "harness") -> Iterator[tuple[str, Any]]:
    """Every command of a group by its whole name, a group's own first."""
    for one, command in group.commands.items():
        yield f"{name} {one}", command
        if hasattr(command, "commands"):
            yield from commands(command, f"{name} {one}")


def command_line() -> str:
    """`command-line.md`."""
    whole: Any = typer.main.get_command(cli.app)
    parts = [
        "# The command line",
        "`python -m harness` is the same as `harness`; `harness --version` tells the version, `--help` after "
        "any command its options. What each ends with: [exit codes](exit-codes.md).",
    ]
    of_keys = {f"--{key.replace('_', '-')}" for key, _, _ in settings()}
    for name, command in commands(whole):
        params = command.get_params(command.context_class(command, info_name=name))
        given = [one for one in params if one.param_type_name == "argument"]
        options = [one for one in params if one not in given and not one.hidden and "--help" not in one.opts]
        # a command has all of them, or a few that bear the same name
        has_all = of_keys <= {option.opts[0] for option in (*options, *params)}
        own = [one for one in options if not has_all or one.opts[0] not in of_keys]
        usage = " ".join([name, *(_argument(one) for one in given), *(["[OPTIONS]"] if options else [])])
        parts += [f"## `{name}`", f"```\n{usage}\n```", inspect.cleandoc(command.help or "")]
        rows = [[f"`{_argument(one)}`", _meaning(one)] for one in given if getattr(one, "help", None)]
        rows += [[_option(one), _meaning(one)] for one in own]
        if rows:
            parts.append(table(["", "what it is"], rows))
        if len(own) < len(options):
            several = (
                ", each of which may have several values, parted by commas" if name == "harness sweep" else ""
            )
            less = ", but for `--seeds`" if name == "harness nightly" else ""
            parts.append(
                f"And the flag of every key of the [configuration](configuration.md){less}{several}."
            )
    return page(parts)


def _argument(one: Any) -> str:
    told = (one.metavar or one.name.upper()).strip("[]")
    return told if one.required else f"[{told}]"


def _option(one: Any) -> str:
    """An option's names, with what its value is called."""
    names = [f"`{name}`" for name in (*one.opts, *one.secondary_opts)]
    value = "" if one.is_flag else one.metavar or "TEXT"
    if value:
        names[0] = f"{names[0][:-1]} {value}`"
    return ", ".join(names)


def _meaning(one: Any) -> str:
    """An option's help, with its default and range where the help does not tell them."""
    told = " ".join((one.help or "").split())
    # an older typer keeps bounds with the type
    least, most = (
        getattr(one, key, getattr(getattr(one, "type", None), key, None)) for key in ("min", "max")
    )
    if least is not None:
        told += f"; {least} at least" if most is None else f"; {least} to {most}"
    default = one.default
    if (
        isinstance(default, str | int)
        and not isinstance(default, bool)
        and default != ""
        and "[default" not in told
    ):
        told += f" [default: {default}]"
    return told.removeprefix("; ")


# the documents


def documents() -> str:
    """`schemas.md`."""
    parts = [
        "# The documents",
        "`harness schema NAME` prints the JSON Schema (draft 2020-12) of each; `harness schema` lists them. "
        "Every record is closed: a key that is not listed is refused. A schema says what this version "
        "writes; a document of an older one may lack a key, and is read all the same.",
    ]
    for name in schemas.KINDS:
        whole = schemas.schema(name)
        parts += [f"## `{name}`", f"{whole['description']} `{whole['$id']}`", _properties(whole)]
        for record, inside in whole["$defs"].items():
            parts += [f"### `{record}` in `{name}`", inside["description"], _properties(inside)]
    return page(parts)


def _properties(record: Mapping[str, Any]) -> str:
    rows = []
    for key, one in record["properties"].items():
        may = f"; left out: `{json.dumps(one['default'])}`" if "default" in one else "; may be left out"
        may = "" if key in record["required"] else may
        rows.append([f"`{key}`", type_of(one) + may, one["description"]])
    return table(["key", "type", "what it means"], rows)


def type_of(one: Mapping[str, Any]) -> str:
    """A property's type in words."""
    if "const" in one:
        return f"`{one['const']}`"
    if "$ref" in one:
        return f"`{one['$ref'].rsplit('/', 1)[-1]}`"
    if "enum" in one:
        return ", ".join(f"`{json.dumps(value)}`" for value in one["enum"])
    if "anyOf" in one:
        return " or ".join(map(type_of, one["anyOf"]))
    if "prefixItems" in one:
        return f"[{', '.join(map(type_of, one['prefixItems']))}]"
    if "items" in one:
        return f"list of {type_of(one['items'])}"
    if "additionalProperties" in one:
        return f"{type_of(one['additionalProperties'])} by name"
    kinds = one.get("type", "any value")
    return " or ".join(kinds) if isinstance(kinds, list) else str(kinds)


# all of them


def page(parts: Sequence[str]) -> str:
    """A page of its parts, which says below its title who wrote it."""
    return "\n\n".join([parts[0], WRITTEN, *parts[1:]]) + "\n"


PAGES: Mapping[str, Callable[[], str]] = {
    "command-line.md": command_line,
    "configuration.md": configuration,
    "python.md": lambda: page(interface()),
    "schemas.md": documents,
}


def written() -> dict[Path, str]:
    """Every file that is made of the code, by its path."""
    found = {REFERENCE / name: made() for name, made in PAGES.items()}
    for name in schemas.KINDS:
        text = json.dumps(schemas.schema(name), indent=2, ensure_ascii=False)
        found[FOLDER / f"{name}{ENDING}"] = f"{text}\n"
    return found


def main() -> None:
    """Write them, and name those that are other than they were."""
    for path, text in written().items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
