"""The `harness` command. Each command imports what it needs when it runs, so that `--help` is instant."""

from __future__ import annotations

import errno
import gc
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness import __version__
from harness.ci import github
from harness.cli import history, nightly, options, schemas, studio, sweeps
from harness.cli.ending import BUG, TERMINATED, Terminated, code_of, importing, page, show
from harness.cli.options import ConfigFile
from harness.cli.streams import forgiving
from harness.errors import ConfigurationError, HarnessError

if TYPE_CHECKING:
    from harness.artifacts.directories import RunDirectory
    from harness.config import Config
    from harness.console import Shown

STORAGE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE)
"""What a system says of a place that cannot be used: a line says it, and a trace would say no more."""

app = typer.Typer(
    name="harness",
    help="May this model's explanations be trusted tonight, as they were yesterday?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


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
    from harness.config.values import named_place

    try:
        named_place("the working folder", Path.cwd())
    except OSError:
        raise ConfigurationError(
            "the working folder is not there any more; change into one that is, then call again"
        ) from None


RunPath = Annotated[
    str, typer.Argument(metavar="RUN", help="run directory, such as artifacts/latest", show_default=False)
]


@options.with_settings(app)
def validate(config: ConfigFile = None, **flags: Any) -> None:
    """Run, judge and report; the exit code is the verdict.

    0: all gates hold. 1: a gate failed. 2: refused before any work. 3: something could not be evaluated.
    """
    from harness import config as configuration
    from harness.config.parameters import CONTROL_METHODS
    from harness.console import Shown
    from harness.criteria import announcements
    from harness.judging import verdicts

    settings = configuration.load(config, flags)
    configuration.refuse_absent(settings.checks)
    shown = Shown(quiet=settings.quiet)
    gated = [criterion.measurement for criterion in settings.criteria if criterion.gate]
    asked = [*settings.attribution.methods]
    compared = [name for name in asked if name not in CONTROL_METHODS]
    if len(compared) < 2 and any(name.startswith("agreement") for name in gated):
        raise ConfigurationError(
            "attribution.methods: the gate 'agreement' needs at least two methods to compare "
            f"(got {', '.join(compared) or 'none'}{', beside a control' if compared != asked else ''}); "
            "name two, or use 'harness run'"
        )
    for text in announcements(settings):
        shown.warn(text)
    directory, failure = _compute(settings, shown)
    gc.disable()  # as in `report`
    with importing("harness.report"):
        verdict = verdicts.judge(directory, checks=settings.checks, page=page)
    code = show(directory, verdict, shown)
    raise typer.Exit(code_of(failure) if failure is not None else code)


@options.with_settings(app)
def run(config: ConfigFile = None, **flags: Any) -> None:
    """Compute only: train, explain and measure, into a new run directory."""
    from harness import config as configuration
    from harness.console import Shown
    from harness.judging.publishing import withdraw

    settings = configuration.load(config, flags)
    configuration.refuse_absent(settings.checks)
    shown = Shown(quiet=settings.quiet)
    directory, failure = _compute(settings, shown)
    if failure is not None:
        raise typer.Exit(code_of(failure))
    withdraw(directory)
    data = directory.read_provenance().dataset["name"]
    shown.last(f"computed on {data}; judge it: harness judge {directory.path}")


@app.command()
def judge(
    run: RunPath,
    checks: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="folders of tests of your own to judge by [default: `checks` of the working folder's "
            "configuration; else theirs stand as they were judged]",
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="the interval's bound decides")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="print the verdict alone")] = False,
) -> None:
    """Judge a run directory, without torch; the exit code is the verdict."""
    from harness.artifacts.directories import RunDirectory
    from harness.console import Shown
    from harness.judging import verdicts

    directory = RunDirectory.open(run)
    folders = options.asked_checks(checks)
    # one whose judging was killed has its figures alone
    reported = (directory / "report.html").is_file() or (directory / "figures").is_dir()
    verdict = verdicts.judge(directory, strict=strict, checks=folders, page=page if reported else None)
    raise typer.Exit(show(directory, verdict, Shown(quiet=quiet)))


@app.command()
def report(run: RunPath) -> None:
    """Render a run directory's report again, without torch."""
    gc.disable()  # a command this short need not look for what it leaves behind, which takes a tenth of it
    from harness import report as reporting
    from harness.artifacts.directories import RunDirectory
    from harness.console import Shown

    directory, shown = RunDirectory.open(run), Shown()
    for one in directory.amiss():
        shown.warn(f"{directory.path}: {one}")
    shown.last(f"report: {reporting.render(directory)}")


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
    from harness.artifacts.directories import RunDirectory
    from harness.console import Shown
    from harness.errors import RunError

    runs, shown = (RunDirectory.open(first), RunDirectory.open(second)), Shown()
    from harness.report import comparison

    path, moved = comparison.compare(*runs, output)
    damage = [(one.path, found) for one in runs for found in one.amiss()]
    for run, found in damage:
        shown.warn(f"{run}: {found}")
    shown.last(f"comparison: {path}")
    if any(found.gated for _, found in damage):
        raise RunError(
            "what a gate rests on is not as it was computed: what the page says of it is no finding"
        )
    shown.last(moved)


@app.command()
def datasets(
    data_dir: Annotated[
        str | None, typer.Option("--data-dir", metavar="FOLDER", help="first place to look")
    ] = None,
) -> None:
    """What data is found where, verified against its digests."""
    from harness import datasets as data
    from harness.config.values import named_place
    from harness.console import Shown, safe
    from harness.text import origin

    folder = None if data_dir is None else named_place("--data-dir", data_dir)
    console = Shown().console
    damaged: list[str] = []
    for name in data.datasets:
        waits = data.downloading.set(False)
        try:
            found = data.load(name, folder)
        except data.Absent as absent:
            console.print(f"[yellow]absent[/]    {safe(name)}")
            console.print(f"          {safe(str(absent))}", soft_wrap=True)
        except HarnessError as error:
            damaged.append(name)
            console.print(f"[red]damaged[/]   {safe(name)}: {safe(str(error))}", soft_wrap=True)
        else:
            sizes = f"{len(found.train_images)} training and {len(found.test_images)} test {found.form.noun}"
            console.print(
                f"[green]verified[/]  {safe(name)}: {sizes}, {safe(origin(found.source))}", soft_wrap=True
            )
        finally:
            data.downloading.reset(waits)
    if damaged:
        raise typer.Exit(2)


@app.command()
def clean(
    output: Annotated[
        str | None,
        typer.Option("--output", metavar="FOLDER", help="folder of the runs [default: as configured here]"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show it, remove nothing")] = False,
) -> None:
    """Show and remove what no run needs: leftovers of killed runs, and cache entries that none uses."""
    from harness import config as configuration
    from harness.artifacts import cleaning
    from harness.console import Shown

    folder, shown = configuration.load(flags={"output": output}).output, Shown()
    found = cleaning.needless(folder)
    for one in found:
        shown.last(f"{one.path}: {one.size / 1e6:.1f} MB, {one.why}")
    kept = [] if dry_run else cleaning.clean(found)
    for one in kept:
        shown.warn(f"{one.path}: cannot be removed")
    done = "would be removed" if dry_run else "removed"
    freed = sum(one.size for one in found if one not in kept) / 1e6
    shown.last(f"{folder}: {len(found) - len(kept)} {done}, {freed:.1f} MB")
    if kept:
        raise typer.Exit(3)


nightly.add_to(app)
sweeps.add_to(app)
history.add_to(app)
studio.add_to(app)
schemas.add_to(app)


def _compute(settings: Config, shown: Shown) -> tuple[RunDirectory, BaseException | None]:
    """What is computed, in a new run directory; what ended it early, unless it was refused at the start."""
    from harness import pipeline

    begun = pipeline.begin(settings, shown)
    shown.begin(begun.run)
    return begun.run, pipeline.finished(begun, shown)


def main() -> None:
    """The `harness` command: a user's mistake is one line and exit code 2, a bug keeps its traceback."""
    with forgiving(), github.guarded():
        _main()


@contextmanager
def _latest_withdrawn(arguments: list[str]) -> Iterator[None]:
    """Where a run is asked for, `latest` names none until it has begun, however its refusal comes about.

    What the command names through it is still what it named. One point of a warm-up is asked for by a command
    that has withdrawn it, and has others beside it.
    """
    asks = arguments[:1] in (["validate"], ["run"], ["nightly"])
    if not asks or "--help" in arguments or "--one-warm-up-point" in arguments:
        yield
        return
    from harness.artifacts import latest
    from harness.config import values

    with suppress(HarnessError, OSError):
        output = options.asked_output(arguments)
        run = latest.named(output / latest.LATEST)
        latest.withdraw(output)
        values.stood_for({} if run is None else {output / latest.LATEST: run})
    try:
        yield
    finally:
        values.stood_for({})


def _main() -> None:
    terminated: list[int] = []

    def terminate(number: int, _frame: object) -> None:
        terminated.append(number)
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)
    if "HARNESS_ENDS_WITH_PARENT" in os.environ:
        from harness.engines import end_with_parent

        end_with_parent()
    try:
        with _latest_withdrawn(sys.argv[1:]):
            app()
    except SystemExit as end:
        # typer answers every KeyboardInterrupt with 130
        sys.exit(TERMINATED if terminated and end.code != 0 else end.code)
    except HarnessError as error:
        from harness.console import refuse

        refuse(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt as error:
        sys.exit(code_of(error))
    except OSError as error:
        if error.errno not in STORAGE:
            traceback.print_exc()
        else:
            from harness.console import refuse

            refuse(error)
        sys.exit(BUG)
    except Exception:
        traceback.print_exc()
        sys.exit(BUG)
