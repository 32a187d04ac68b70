"""The commands of a history: `history`, `accept`, `exclude`, `prune`. Each imports what it needs when run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import ConfigFile, HistoryPlace
from harness.errors import ConfigurationError, StorageError

if TYPE_CHECKING:
    from harness.config import Config
    from harness.history.exchange import Exchanged
    from harness.history.store import History

UNKNOWN = 3
"""What a command ends with that could not do, or tell, all that was asked."""

Reason = Annotated[str, typer.Option("--reason", help="why; it is kept, and shown", show_default=False)]
FolderPath = Annotated[str, typer.Argument(metavar="FOLDER", show_default=False)]

history = typer.Typer(
    name="history",
    help="List the nights; export, import, or draw them.",
    add_completion=False,
    rich_markup_mode=None,
)


def add_to(app: typer.Typer) -> None:
    """Give the `harness` command those of a history."""
    app.add_typer(history)
    app.command()(accept)
    app.command()(exclude)
    app.command()(prune)


def _opened(place: str | None, config: str | None, *, new: bool = False) -> tuple[Config, History]:
    """The configuration, and the history that is asked for, or configured there."""
    from harness import config as configuration
    from harness.artifacts.files import storing
    from harness.history.kept import place_of
    from harness.history.store import History

    settings = configuration.load(config)
    asked = place_of(settings, place)
    if new and "://" not in str(asked):
        with storing(Path(asked).parent):
            Path(asked).expanduser().parent.mkdir(parents=True, exist_ok=True)
    return settings, History.open(asked, new=new)


def _asked(context: typer.Context, place: str | None, *, new: bool = False) -> tuple[Config, History]:
    """The same for a command of `harness history`, whose flags count where it has none of its own."""
    before, config = context.obj
    return _opened(before if place is None else place, config, new=new)


@history.callback(invoke_without_command=True)
def listed(
    context: typer.Context,
    history: HistoryPlace = None,
    config: ConfigFile = None,
    csv: Annotated[bool, typer.Option("--csv", help="every number of every night, as CSV")] = False,
    max_age: Annotated[
        str | None,
        typer.Option(
            "--max-age", metavar="TIME", help="end with 3 where the newest night is older, such as 36h"
        ),
    ] = None,
) -> None:
    """List the latest nights, each measurement's trend, and the open alarms; or export, import, draw them."""
    if context.invoked_subcommand is not None:
        if csv or max_age is not None:
            raise ConfigurationError(f"--csv and --max-age say nothing to {context.invoked_subcommand!r}")
        context.obj = history, config
        return
    from harness.history import listing

    if max_age is not None:
        _tell_age(history, config, max_age)
        return
    settings, found = _opened(history, config)
    if csv:
        sys.stdout.write(listing.as_csv(found.nights()))
    else:
        _show_list(found, settings)


def _tell_age(place: str | None, config: str | None, max_age: str) -> None:
    from harness.console import Shown
    from harness.history import listing
    from harness.history.store import NoHistory

    longest = listing.age_of(max_age)
    try:
        beat = listing.heartbeat(_opened(place, config)[1].nights(), longest)
    except NoHistory as error:  # as where the job never ran
        beat = listing.Heartbeat(False, str(error))
    shown = Shown()
    (shown.last if beat.alive else shown.warn)(beat.sentence)
    if not beat.alive:
        raise typer.Exit(UNKNOWN)


def _show_list(found: History, settings: Config) -> None:
    from rich.table import Table

    from harness.console import Shown, safe
    from harness.history import listing
    from harness.history.comparison import past_of
    from harness.history.rows import sentence_of, worse_canary
    from harness.text import counted

    nights, acts, shown = found.nights(), found.acts(), Shown()
    series = listing.every_series(nights, acts, settings)
    table = Table(
        "night", "began (UTC)", "verdict", "open alarms", "commit", "seeds", box=None, pad_edge=False
    )
    for row in listing.rows(nights, acts, series):
        table.add_row(*map(safe, (row.night, row.began, row.verdict, row.alarms, row.commit, row.seeds)))
    shown.console.print(table)
    told = (counted(len(nights), "night"), counted(len(acts), "act"), f"{len(series)} series")
    shown.last(f"{found.name}: {', '.join(told)}")
    if not series:
        return
    newest = series[-1]
    for line in listing.trends(newest):
        shown.last(line)
    past = past_of(newest, newest.nights[-1])
    shown.last(f"night {past.night}: {past.why}")
    if why := worse_canary(past):
        shown.warn(f"canary: {why}")
    for alarm in past.alarms:
        if alarm.state == "open":
            (shown.warn if alarm.red else shown.last)(f"{alarm.id}: {sentence_of(alarm)}")
            shown.last(f'accept: harness accept {alarm.id} --reason "…"')


@history.command("export")
def exported(context: typer.Context, folder: FolderPath, history: HistoryPlace = None) -> None:
    """Write each document to a file of its own, night-ID.json or act-ID.json; removes nothing.

    Ends with 3 where a document is damaged: it is named, and the others are written.
    """
    from harness.config.values import named_place
    from harness.history import exchange

    _, found = _asked(context, history)
    _show_exchanged(exchange.export(found, named_place("FOLDER", folder)), "written")


@history.command("import")
def imported(context: typer.Context, folder: FolderPath, history: HistoryPlace = None) -> None:
    """Read what an export wrote, or a night's run directory; what the history has ended stays as it is.

    Ends with 3 where a file is damaged: it is named, and the others are read.
    """
    from harness.config.values import named_place
    from harness.history import exchange

    place = named_place("FOLDER", folder)
    exchange.refuse_absent(place)
    _, found = _asked(context, history, new=True)
    _show_exchanged(exchange.import_from(found, place), "recorded")


def _show_exchanged(done: Exchanged, word: str) -> None:
    from harness.console import Shown
    from harness.text import counted

    shown = Shown()
    for name in done.ignored:
        shown.say(f"{name}: is no document of a history by its name, and is left alone")
    for name in done.kept:
        shown.warn(f"{name}: the history has it otherwise, ended or done by a person; its own stays")
    for text in done.damaged:
        shown.warn(text)
    told = f"{len(done.written)} {word}, {len(done.same)} were there already"
    shown.last(f"{counted(done.documents, 'document')}: {told}")
    if done.damaged:
        raise typer.Exit(UNKNOWN)


@history.command("page")
def drawn(
    context: typer.Context,
    history: HistoryPlace = None,
    output: Annotated[
        str | None,
        typer.Option("--output", metavar="FILE", help="the page [default: trends.html in the output folder]"),
    ] = None,
) -> None:
    """Draw the nights of the newest series on a page of their own."""
    from harness.config.values import named_place
    from harness.console import Shown
    from harness.history.comparison import past_of
    from harness.history.listing import every_series
    from harness.report import trends

    settings, found = _asked(context, history)
    series = every_series(found.nights(), found.acts(), settings)
    if not series:
        raise ConfigurationError(f"{found.name}: no night has begun to compute yet; there is nothing to draw")
    path = settings.output / "trends.html" if output is None else named_place("--output", output)
    Shown().last(f"trends: {trends.render(past_of(series[-1], series[-1].nights[-1]), path)}")


def accept(
    alarm: Annotated[str, typer.Argument(metavar="ID", help="such as accuracy@41", show_default=False)],
    reason: Reason = "",
    history: HistoryPlace = None,
    config: ConfigFile = None,
) -> None:
    """Accept an open alarm: what it found is the new normal, and its series starts again."""
    from harness.console import Shown
    from harness.history import acting
    from harness.history.listing import every_series

    settings, found = _opened(history, config)
    nights, acts = found.nights(), found.acts()
    act = acting.acceptance(alarm, reason, nights, every_series(nights, acts, settings))
    found.act(act)
    Shown().last(f"accepted: {alarm} ({act.id})")


def exclude(
    night: Annotated[
        str, typer.Argument(metavar="NIGHT", help="id, number, run or run directory", show_default=False)
    ],
    reason: Reason = "",
    history: HistoryPlace = None,
    config: ConfigFile = None,
) -> None:
    """Exclude a night that was broken: it stays in the history, and counts for nothing."""
    from harness.console import Shown
    from harness.history import acting

    _, found = _opened(history, config)
    nights = found.nights()
    act = acting.exclusion(acting.night_called(night, nights), reason, nights, found.acts())
    found.act(act)
    Shown().last(f"excluded: night {act.night} ({act.id})")


def prune(
    keep: Annotated[
        int,
        typer.Option(
            "--keep", min=1, metavar="N", help="how many of the newest stay whole", show_default=False
        ),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show it, remove nothing")] = False,
    history: HistoryPlace = None,
    config: ConfigFile = None,
) -> None:
    """Make room: of older nights' runs, numbers, verdict and page stay; arrays, weights and figures go.

    The pinned nights, the last green one, those of open alarms and the newest stay whole.
    """
    from harness.console import Shown
    from harness.history import pruning
    from harness.history.listing import every_series

    settings, found = _opened(history, config)
    nights, acts, shown = found.nights(), found.acts(), Shown()
    stay = pruning.wanted(nights, acts, every_series(nights, acts, settings), keep)
    freed, failed = 0, 0
    runs = pruning.prunable(settings.output, nights, stay)
    for one in runs:
        if one.why:
            shown.say(f"{one.run.path}: stays whole, night {one.night} {one.why}")
        elif one.files:
            shown.last(f"{one.run.path}: {len(one.files)} files, {one.size / 1e6:.1f} MB")
            try:
                if not dry_run:
                    pruning.prune(one)
                freed += one.size
            except StorageError as error:
                failed += 1
                shown.warn(str(error))
    done = "would be free" if dry_run else "are free"
    told = f"{settings.output}: {len(runs)} runs of nights; {freed / 1e6:.1f} MB {done}"
    shown.last(f"{told}; what the cache holds of them too, `harness clean` frees")
    if failed:
        raise typer.Exit(UNKNOWN)
