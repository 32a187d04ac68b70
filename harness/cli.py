"""The `harness` command. Each command imports what it needs when it runs, so that `--help` is instant."""

from __future__ import annotations

import inspect
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

import typer
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from harness import config as configuration
from harness.errors import ConfigurationError, HarnessError
from harness.text import clean

if TYPE_CHECKING:
    from harness.artifacts import RunDirectory
    from harness.config import Config
    from harness.pipeline import Work
    from harness.pipeline.work import Epochs

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


def _with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option for every key of the configuration: name, help and default from there."""
    own = list(inspect.signature(command).parameters.values())
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
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    return command


def _default(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
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
    Path | None,
    typer.Option("--config", help="TOML file [default: harness.toml, or [tool.harness] in pyproject.toml]"),
]
RunPath = Annotated[Path, typer.Argument(help="run directory, such as artifacts/latest", show_default=False)]


@app.command()
@_with_settings
def validate(config: ConfigFile = None, **flags: Any) -> None:
    """Run, judge and report; the exit code is the verdict.

    0: all gates hold. 1: a gate failed. 2: refused before any work. 3: something could not be evaluated.
    """
    from harness import judging, report

    settings = configuration.load(config, flags)
    shown = Shown(quiet=settings.quiet)
    gated = [criterion.measurement for criterion in settings.criteria if criterion.gate]
    compared = [name for name in settings.attribution.methods if name != "decoder_reconstruction"]
    if len(compared) < 2 and any(name.startswith("agreement") for name in gated):
        raise ConfigurationError(
            "attribution.methods: the gate 'agreement' needs at least two methods to compare "
            f"(got {', '.join(settings.attribution.methods)}); name two, or use 'harness run'"
        )
    work, failure = _compute(settings, shown)
    verdict = judging.judge(work.run)
    try:
        report.render(work.run)
    finally:
        _show_verdict(work.run, verdict, shown)
    code = judging.EXIT_CODES[verdict["verdict"]]
    raise typer.Exit(_code_of(failure) if failure is not None else code)


@app.command()
@_with_settings
def run(config: ConfigFile = None, **flags: Any) -> None:
    """Compute only: train, explain and measure, into a new run directory."""
    settings = configuration.load(config, flags)
    shown = Shown(quiet=settings.quiet)
    work, failure = _compute(settings, shown)
    if failure is not None:
        raise typer.Exit(_code_of(failure))
    shown.last(f"computed on {work.dataset.name}; judge it: harness judge {work.run.path}")


@app.command()
def judge(
    run: RunPath,
    strict: Annotated[bool, typer.Option("--strict", help="the interval's bound decides")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="print the verdict alone")] = False,
) -> None:
    """Judge a run directory, without torch; the exit code is the verdict."""
    from harness import judging
    from harness.artifacts import RunDirectory

    directory = RunDirectory.open(run)
    verdict = judging.judge(directory, strict=strict)
    if (directory / "report.html").is_file():
        from harness import report as reporting

        reporting.render(directory)
    _show_verdict(directory, verdict, Shown(quiet=quiet))
    raise typer.Exit(judging.EXIT_CODES[verdict["verdict"]])


@app.command()
def report(run: RunPath) -> None:
    """Render a run directory's report again, without torch."""
    from harness import report as reporting
    from harness.artifacts import RunDirectory

    path = reporting.render(RunDirectory.open(run))
    Shown().last(f"report: {path}")


@app.command()
def datasets(
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help="first place to look")] = None,
) -> None:
    """What data is found where, verified against its digests."""
    from harness import datasets as data

    console = Console(highlight=False)
    damaged: list[str] = []
    for name, loader in data.datasets.items():
        try:
            found = loader(data_dir)
        except data.Absent as absent:
            console.print(f"[yellow]absent[/]    {_safe(name)}")
            console.print(f"          {_safe(str(absent))}", soft_wrap=True)
        except HarnessError as error:
            damaged.append(name)
            console.print(f"[red]damaged[/]   {_safe(name)}: {_safe(str(error))}", soft_wrap=True)
        else:
            sizes = f"{len(found.train_images)} training and {len(found.test_images)} test images"
            console.print(
                f"[green]verified[/]  {_safe(name)}: {sizes} in {_safe(found.source)}", soft_wrap=True
            )
    if damaged:
        raise typer.Exit(2)


def _compute(settings: Config, shown: Shown) -> tuple[Work, BaseException | None]:
    """The computing stages; what ended them early, unless they were refused at the start."""
    from harness import pipeline

    work = pipeline.prepare(settings, shown)
    shown.begin(work)
    try:
        pipeline.execute(work)
    except HarnessError as error:
        shown.warn(str(error))
        return work, error
    except KeyboardInterrupt as error:
        shown.warn("interrupted; finished stages are kept, and the next run takes them up")
        return work, error
    except Exception as error:
        traceback.print_exc()
        return work, error
    return work, None


def _code_of(failure: BaseException) -> int:
    if isinstance(failure, _Terminated):
        return TERMINATED
    if isinstance(failure, KeyboardInterrupt):
        return INTERRUPTED
    return BUG


class _Terminated(KeyboardInterrupt):
    """SIGTERM arrived."""


class Shown:
    """Progress on the terminal: bars where there is one, plain lines where there is none."""

    def __init__(self, *, quiet: bool = False) -> None:
        """`quiet` leaves warnings and the last lines."""
        self.quiet = quiet
        # a log file has no width: tables need not be folded to 80 columns there
        self.console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)

    def begin(self, work: Work) -> None:
        """What is about to be done, on which data."""
        dataset = work.dataset
        where = f"{work.device.type}, seeds {', '.join(map(str, work.config.seeds))}"
        self.say(
            f"data {dataset.name} ({len(dataset.train_images)} training, {len(dataset.test_images)} test "
            f"images, from {dataset.source}); on {where}"
        )
        if dataset.notice:
            self.console.print(Panel(_safe(dataset.notice), title="not the full data", style="bold yellow"))
        self.say(f"run {work.run.path}")

    def say(self, text: str) -> None:
        """A line."""
        if not self.quiet:
            self.console.print(_safe(text), soft_wrap=True)

    def warn(self, text: str) -> None:
        """A line that must not be overlooked."""
        self.console.print(f"[bold yellow]warning:[/] {_safe(text)}", soft_wrap=True)

    def last(self, text: str) -> None:
        """The line that is printed also when quiet."""
        self.console.print(_safe(text), soft_wrap=True)

    def epochs(self, title: str, epochs: Iterator[Epochs], total: int) -> Iterator[Epochs]:
        """The same epochs, with loss and time left."""
        if self.quiet:
            yield from epochs
        elif self.console.is_terminal:
            yield from self._bar(title, epochs, total)
        else:
            yield from self._lines(title, epochs, total)

    def _lines(self, title: str, epochs: Iterable[Epochs], total: int) -> Iterator[Epochs]:
        every, spent = max(1, total // 5), 0.0
        for number, epoch in enumerate(epochs, start=1):
            spent += epoch[0].seconds
            if number % every == 0 or number in (1, total):
                left = spent / number * (total - number)
                self.say(f"{title}: epoch {number}/{total}, {_loss(epoch)}, {left:.0f} s left")
            yield epoch

    def _bar(self, title: str, epochs: Iterable[Epochs], total: int) -> Iterator[Epochs]:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[loss]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console) as progress:
            task = progress.add_task(title, total=total, loss="")
            for epoch in epochs:
                progress.update(task, completed=epoch[0].epoch, loss=_loss(epoch))
                yield epoch


def _safe(text: object) -> str:
    """Foreign text for the terminal: no control characters, no markup."""
    return escape(clean(text, 4000))


def _loss(epoch: Epochs) -> str:
    """Loss and accuracy, their means where several networks are trained at once."""
    loss = sum(one.loss for one in epoch) / len(epoch)
    right = [one.accuracy for one in epoch if one.accuracy is not None]
    accuracy = f", accuracy {sum(right) / len(right):.1%}" if right else ""
    return f"loss {loss:.5f}{accuracy}"


_STYLES = {"pass": "green", "fail": "bold red", "error": "bold magenta", "interrupted": "bold yellow"}


def _show_verdict(run: RunDirectory, verdict: dict[str, Any], shown: Shown) -> None:
    """The table of criteria, where things are, and the verdict in one sentence."""
    from harness.criteria import show, show_threshold
    from harness.judging import sentence

    console = shown.console
    if not shown.quiet:
        table = Table("criterion", "verdict", "estimate", "interval", "threshold", box=None, pad_edge=False)
        for one in verdict["criteria"]:
            interval = "–" if one.low is None else f"[{show(one.low)}, {show(one.high)}]"
            word = one.verdict if one.gate else f"watched: {one.verdict}"
            table.add_row(
                _safe(one.title),
                f"[{_STYLES[one.verdict]}]{word}[/]",
                show(one.estimate),
                _safe(interval),
                _safe(f"{one.relation} {show_threshold(one.threshold)}"),
            )
        console.print(table)
        for one in verdict["criteria"]:
            if one.gate and one.verdict != "pass":
                console.print(f"[{_STYLES[one.verdict]}]{one.verdict}[/] {_safe(one.why)}", soft_wrap=True)
        spent = ", ".join(f"{name} {seconds:.1f}" for name, seconds in verdict["duration_s"].items())
        shown.say(f"seconds: {spent}")
        shown.say(f"report: {run / 'report.html'}" if (run / "report.html").is_file() else f"run: {run.path}")
    if verdict["notice"]:
        console.print(f"[bold yellow]{escape(verdict['notice'])}[/]", soft_wrap=True)
    console.print(f"[{_STYLES[verdict['verdict']]}]{_safe(sentence(verdict))}[/]", soft_wrap=True)


def main() -> None:
    """The `harness` command: a user's mistake is one line and exit code 2, a bug keeps its traceback."""

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
        Console(stderr=True, highlight=False).print(f"[bold red]error:[/] {_safe(error)}", soft_wrap=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt as error:
        sys.exit(_code_of(error))
    except Exception:
        traceback.print_exc()
        sys.exit(BUG)
