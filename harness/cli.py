"""The `harness` command. Each command imports what it needs when it runs, so that `--help` is instant."""

from __future__ import annotations

import gc
import inspect
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

import typer
from typer.core import TyperCommand

from harness import __version__, github
from harness.errors import ConfigurationError, HarnessError
from harness.streams import forgiving

if TYPE_CHECKING:
    from harness.artifacts import RunDirectory
    from harness.config import Config
    from harness.console import Shown

BUG, INTERRUPTED, TERMINATED = 3, 130, 143

app = typer.Typer(
    name="harness",
    help="May this model's explanations be trusted tonight, as they were yesterday?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

_PANELS = {None: "Run", "data": "Data", "model": "Model", "training": "Training"} | {
    name: name.capitalize() for name in ("attribution", "selection", "statistics", "report")
}


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"harness {__version__}")
        raise typer.Exit


@app.callback()
def _whole(
    version: Annotated[  # noqa: ARG001 - its callback answers
        bool, typer.Option("--version", "-V", callback=_show_version, is_eager=True, help="tell the version")
    ] = False,
) -> None:
    """What stands before any command."""
    from harness.values import named_place

    try:
        named_place("the working folder", Path.cwd())
    except OSError:
        raise ConfigurationError(
            "the working folder is not there any more; change into one that is, then call again"
        ) from None


_CONFIGURED: dict[str, Callable[..., None]] = {}


class _Configured(TyperCommand):
    """A command whose options for the configuration's keys are declared when it is first used.

    The list of commands is printed without them, and so without the configuration's own imports.
    """

    complete = False

    def get_params(self, ctx: Any) -> list[Any]:
        """The command's options."""
        if not self.complete:
            function, self.complete = _CONFIGURED[str(self.name)], True
            declared = typer.Typer(add_completion=False, rich_markup_mode=None)
            declared.command()(_declared(function))
            whole = typer.main.get_command(declared)
            self.params, self.callback = whole.params, whole.callback
        return super().get_params(ctx)


def _with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Register a command that has an option for every key of the configuration."""

    def undeclared() -> None:
        """Stands for the command until its options are declared."""

    _CONFIGURED[command.__name__] = command
    app.command(command.__name__, cls=_Configured, help=inspect.getdoc(command))(undeclared)
    return command


def _declared(command: Callable[..., None]) -> Callable[..., None]:
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
            rich_help_panel=_PANELS[table],
            metavar=None if field.annotation is bool else _metavar(field.annotation),
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
    return "none" if value is None else str(value)


def _metavar(annotation: Any) -> str:
    choices = [str(choice) for choice in get_args(annotation) if isinstance(choice, str)]
    if choices:
        return "|".join(choices)
    if get_origin(annotation) is tuple:
        return "A,B"
    named = {int: "N", float: "X", str: "NAME", Path: "FOLDER"}
    return named.get(annotation, "FOLDER" if annotation == Path | None else "VALUE")


ConfigFile = Annotated[
    str | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="TOML file [default: harness.toml, or [tool.harness] in pyproject.toml]",
    ),
]
RunPath = Annotated[
    str, typer.Argument(metavar="RUN", help="run directory, such as artifacts/latest", show_default=False)
]


@_with_settings
def validate(config: ConfigFile = None, **flags: Any) -> None:
    """Run, judge and report; the exit code is the verdict.

    0: all gates hold. 1: a gate failed. 2: refused before any work. 3: something could not be evaluated.
    """
    from harness import config as configuration
    from harness import judging
    from harness.console import Shown, show_verdict
    from harness.criteria import announcements

    settings = configuration.load(config, flags)
    configuration.refuse_absent(settings.checks)
    shown = Shown(quiet=settings.quiet)
    gated = [criterion.measurement for criterion in settings.criteria if criterion.gate]
    compared = [name for name in settings.attribution.methods if name != "decoder_reconstruction"]
    if len(compared) < 2 and any(name.startswith("agreement") for name in gated):
        raise ConfigurationError(
            "attribution.methods: the gate 'agreement' needs at least two methods to compare "
            f"(got {', '.join(settings.attribution.methods)}); name two, or use 'harness run'"
        )
    for text in announcements(settings):
        shown.warn(text)
    directory, failure = _compute(settings, shown)
    gc.disable()  # as in `report`
    with _importing("harness.report"):
        verdict = judging.judge(directory, reported=True)
    from harness import report

    try:
        report.render(directory)
    finally:
        show_verdict(directory, verdict, shown)
        github.annotate(verdict, judging.sentence(verdict))
    code = judging.EXIT_CODES[verdict["verdict"]]
    raise typer.Exit(_code_of(failure) if failure is not None else code)


@_with_settings
def run(config: ConfigFile = None, **flags: Any) -> None:
    """Compute only: train, explain and measure, into a new run directory."""
    from harness import config as configuration
    from harness.console import Shown

    settings = configuration.load(config, flags)
    configuration.refuse_absent(settings.checks)
    shown = Shown(quiet=settings.quiet)
    directory, failure = _compute(settings, shown)
    if failure is not None:
        raise typer.Exit(_code_of(failure))
    data = directory.read_provenance().dataset["name"]
    shown.last(f"computed on {data}; judge it: harness judge {directory.path}")


@app.command()
def judge(
    run: RunPath,
    strict: Annotated[bool, typer.Option("--strict", help="the interval's bound decides")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="print the verdict alone")] = False,
) -> None:
    """Judge a run directory, without torch; the exit code is the verdict."""
    from harness import judging
    from harness.artifacts import RunDirectory
    from harness.console import Shown, show_verdict

    directory = RunDirectory.open(run)
    reported = (directory / "report.html").is_file()
    verdict = judging.judge(directory, strict=strict, reported=reported)
    if reported:
        from harness import report as reporting

        reporting.render(directory)
    show_verdict(directory, verdict, Shown(quiet=quiet))
    github.annotate(verdict, judging.sentence(verdict))
    raise typer.Exit(judging.EXIT_CODES[verdict["verdict"]])


@app.command()
def report(run: RunPath) -> None:
    """Render a run directory's report again, without torch."""
    gc.disable()  # a command this short need not look for what it leaves behind, which takes a tenth of it
    from harness import report as reporting
    from harness.artifacts import RunDirectory
    from harness.console import Shown

    path = reporting.render(RunDirectory.open(run))
    Shown().last(f"report: {path}")


@app.command()
def compare(
    first: Annotated[str, typer.Argument(metavar="RUN", help="run A", show_default=False)],
    second: Annotated[
        str, typer.Argument(metavar="RUN", help="run B; changes are B - A", show_default=False)
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            metavar="FILE",
            help="the page [default: compare-A-B.html beside the folder of A's runs]",
        ),
    ] = None,
) -> None:
    """Render two runs side by side: criteria, pairs, the same samples' maps and their difference."""
    gc.disable()  # as in `report`
    from harness.artifacts import RunDirectory
    from harness.console import Shown

    runs = RunDirectory.open(first), RunDirectory.open(second)
    from harness.report import comparison

    path, moved = comparison.compare(*runs, output)
    shown = Shown()
    shown.last(f"comparison: {path}")
    shown.last(moved)


@app.command()
def datasets(
    data_dir: Annotated[
        str | None, typer.Option("--data-dir", metavar="FOLDER", help="first place to look")
    ] = None,
) -> None:
    """What data is found where, verified against its digests."""
    from harness import datasets as data
    from harness.console import Shown, safe
    from harness.values import named_place

    folder = None if data_dir is None else named_place("--data-dir", data_dir)
    console = Shown().console
    damaged: list[str] = []
    for name in data.datasets:
        try:
            found = data.load(name, folder)
        except data.Absent as absent:
            console.print(f"[yellow]absent[/]    {safe(name)}")
            console.print(f"          {safe(str(absent))}", soft_wrap=True)
        except HarnessError as error:
            damaged.append(name)
            console.print(f"[red]damaged[/]   {safe(name)}: {safe(str(error))}", soft_wrap=True)
        else:
            sizes = f"{len(found.train_images)} training and {len(found.test_images)} test images"
            console.print(
                f"[green]verified[/]  {safe(name)}: {sizes} in {safe(found.source)}", soft_wrap=True
            )
    if damaged:
        raise typer.Exit(2)


@contextmanager
def _importing(name: str) -> Iterator[None]:
    """Import a module in the background: judging leaves a core idle, and drawing takes seconds to import."""
    thread = threading.Thread(target=import_module, args=(name,))
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _compute(settings: Config, shown: Shown) -> tuple[RunDirectory, BaseException | None]:
    """What is computed, in a new run directory; what ended it early, unless it was refused at the start."""
    from harness import pipeline

    begun = pipeline.begin(settings, shown)
    shown.begin(begun.run)
    try:
        begun.finish()
    except HarnessError as error:
        shown.warn(str(error))
        return begun.run, error
    except KeyboardInterrupt as error:
        shown.warn("interrupted; finished stages are kept, and the next run takes them up")
        return begun.run, error
    except Exception as error:
        traceback.print_exc()
        return begun.run, error
    return begun.run, None


def _code_of(failure: BaseException) -> int:
    if isinstance(failure, _Terminated):
        return TERMINATED
    if isinstance(failure, KeyboardInterrupt):
        return INTERRUPTED
    return BUG


class _Terminated(KeyboardInterrupt):
    """SIGTERM arrived."""


def main() -> None:
    """The `harness` command: a user's mistake is one line and exit code 2, a bug keeps its traceback."""
    with forgiving(), github.guarded():
        _main()


def _main() -> None:
    terminated: list[int] = []

    def terminate(number: int, _frame: object) -> None:
        terminated.append(number)
        raise _Terminated

    signal.signal(signal.SIGTERM, terminate)
    try:
        app()
    except SystemExit as end:
        # typer answers every KeyboardInterrupt with 130
        sys.exit(TERMINATED if terminated and end.code != 0 else end.code)
    except HarnessError as error:
        from harness.console import refuse

        refuse(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt as error:
        sys.exit(_code_of(error))
    except Exception:
        traceback.print_exc()
        sys.exit(BUG)
