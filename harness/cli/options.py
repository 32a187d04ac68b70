"""The options of commands that have one for every key of the configuration, declared when first used."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import typer
from typer.core import TyperCommand

from harness.errors import HarnessError

_PANELS = {None: "Run", "data": "Data", "model": "Model", "training": "Training"} | {
    name: name.capitalize() for name in ("attribution", "selection", "statistics", "report")
}


ConfigFile = Annotated[
    str | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="TOML file [default: harness.toml, or [tool.harness] in pyproject.toml]",
    ),
]
HistoryPlace = Annotated[
    str | None,
    typer.Option(
        "--history",
        metavar="PLACE",
        help="where the nights are kept: a file, or postgresql+psycopg://… "
        "[default: as configured here; else history.db in the output folder]",
    ),
]

_CONFIGURED: dict[str, tuple[Callable[..., None], tuple[str, ...]]] = {}
"""By command: what it does, and the keys that it does not offer."""


class _Configured(TyperCommand):
    """A command whose options for the configuration's keys are declared when it is first used.

    The list of commands is printed without them, and so without the configuration's own imports.
    """

    complete = False

    def get_params(self, ctx: Any) -> list[Any]:
        """The command's options."""
        if not self.complete:
            (function, hidden), self.complete = _CONFIGURED[str(self.name)], True
            declared = typer.Typer(add_completion=False, rich_markup_mode=None)
            declared.command()(_declared(function, hidden))
            whole = typer.main.get_command(declared)
            self.params, self.callback = whole.params, whole.callback
        return super().get_params(ctx)


def with_settings(
    app: typer.Typer, *, hidden: tuple[str, ...] = ()
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A decorator: the command below it has an option for every key of the configuration.

    Those of the keys `hidden` stand in no help; the command refuses them with a reason.
    """

    def register(command: Callable[..., None]) -> Callable[..., None]:
        _CONFIGURED[command.__name__] = command, hidden
        app.command(command.__name__, cls=_Configured, help=inspect.getdoc(command))(undeclared)
        return command

    def undeclared() -> None:
        """Stands for the command until its options are declared."""

    return register


def _declared(command: Callable[..., None], hidden: tuple[str, ...]) -> Callable[..., None]:
    """The command with an option for every key of the configuration: name, help and default from there."""
    from harness import config as configuration

    own = list(inspect.signature(command, eval_str=True).parameters.values())
    parameters = [parameter for parameter in own if parameter.kind is not inspect.Parameter.VAR_KEYWORD]
    for key, table, field in configuration.settings():
        flag = f"--{key.replace('_', '-')}"
        names = [f"{flag}/--no-{flag[2:]}"] if field.annotation is bool else [flag]
        option = typer.Option(
            *names,
            help=f"{field.description} [default: {_default(field.default)}]",
            show_default=False,
            hidden=key in hidden,
            rich_help_panel=_PANELS[table],
            metavar=None if field.annotation is bool else _metavar(field.annotation, field.metadata),
        )
        parameters.append(
            inspect.Parameter(
                key,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Annotated[bool | None if field.annotation is bool else str | None, option],
            )
        )

    def declared(**values: Any) -> None:
        command(**values)

    declared.__doc__ = command.__doc__
    declared.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    declared.__annotations__ = {one.name: one.annotation for one in parameters}
    return declared


def _default(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value in (None, "") else str(value)


def _metavar(annotation: Any, marks: Sequence[Any]) -> str:
    from harness.config.values import Shown

    told = next((str(one) for one in marks if isinstance(one, Shown)), None)
    if told is not None:
        return told
    choices = [str(choice) for choice in get_args(annotation) if isinstance(choice, str)]
    if choices:
        return "|".join(choices)
    if get_origin(annotation) is tuple:
        return "A,B"
    named = {int: "N", float: "X", str: "NAME", Path: "FOLDER"}
    return named.get(annotation, "FOLDER" if annotation == Path | None else "VALUE")


def asked_output(arguments: Sequence[str]) -> Path:
    """The output folder that a command line asks for, as far as it can be told without the whole of it.

    Args:
        arguments: What follows the program's name, a mistake among it or not.

    Raises:
        ConfigurationError: it names no place.
    """
    from harness.config import Config, tables
    from harness.config.values import named_place

    output: object = _told(arguments, "--output")
    if output is None:
        named = _told(arguments, "--config")
        with suppress(HarnessError):
            values, _ = tables.read(None if named is None else Path(named), Path())
            output = values.get("output")
    return named_place("--output", Config.model_fields["output"].default if output is None else output)


def _told(arguments: Sequence[str], flag: str) -> str | None:
    """What a command line gives a flag; the last counts."""
    found = None
    for number, argument in enumerate(arguments):
        if argument == flag and number + 1 < len(arguments):
            found = arguments[number + 1]
        elif argument.startswith(f"{flag}="):
            found = argument.partition("=")[2]
    return found


def asked_checks(asked: str | None, folder: Path = Path()) -> tuple[Path, ...]:
    """The folders of tests to judge a stored run by: those asked for, or of the configuration that is here.

    None of the latter where the folder lies in a run; its other keys are not looked at, the run has its own.

    Args:
        asked: The flag's text.
        folder: Where to look for the configuration.

    Raises:
        ConfigurationError: they cannot be read, or are not there.
    """
    from harness import config
    from harness.artifacts import sealing
    from harness.config import tables

    origin, checks = "--checks", asked
    if checks is None:
        if sealing.lies_in_data(folder):  # what came with a run is no configuration of the user's
            return ()
        values, origin = tables.read(None, folder)
        if "checks" not in values:
            return ()
        checks = values["checks"]
    folders = config.of({"checks": checks}, origin).checks
    config.refuse_absent(folders)
    return folders
