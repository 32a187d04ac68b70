"""The commands of a night: `nightly`, `pin`, `blame`. Each imports what it needs when it runs."""

from __future__ import annotations

import gc
import os
from typing import Annotated, Any

import typer

from harness.cli import options
from harness.cli.ending import code_of, importing, page, show
from harness.cli.options import ConfigFile, HistoryPlace
from harness.errors import ConfigurationError


def add_to(app: typer.Typer) -> None:
    """Give the `harness` command those of a night."""
    options.with_settings(app, hidden=("seeds",))(nightly)
    app.command()(pin)
    app.command()(blame)


def nightly(
    config: ConfigFile = None,
    history: HistoryPlace = None,
    warm_up: Annotated[
        int, typer.Option("--warm-up", min=0, metavar="N", help="first make up a young series' points to N")
    ] = 0,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="of these points at once [default: cores; one where a GPU may be]"
        ),
    ] = None,
    one_warm_up_point: Annotated[bool, typer.Option("--one-warm-up-point", hidden=True)] = False,
    **flags: Any,
) -> None:
    """A night: fresh seeds and the canary, recorded, judged, and held against the nights before.

    The exit code is the verdict, as of `validate`; an open regression is 1 like a gate that failed.
    """
    from harness import config as configuration
    from harness import nightly as nights
    from harness import warming
    from harness.console import Shown
    from harness.criteria import announcements
    from harness.history.kept import place_of

    settings = configuration.load(config, flags)
    configuration.refuse_absent(settings.checks)
    if flags.get("seeds") is not None:
        raise ConfigurationError(
            "--seeds: a night draws fresh ones: `[nightly] seeds` says how many, `canary_seed` which is fixed"
        )
    if one_warm_up_point:
        place = os.environ.pop(warming.PLACE, None) or place_of(settings, history)
        with nights.nights_of(settings, place, Shown(quiet=True)) as asked:
            failure = asked.warm_up_once()
        raise typer.Exit(0 if failure is None else code_of(failure))
    shown = Shown(quiet=settings.quiet)
    for text in announcements(settings):
        shown.warn(text)
    place = place_of(settings, history)
    with nights.nights_of(settings, place, shown, page, shown.begin) as asked:
        for name in asked.catch_up():
            shown.say(f"night {name} is recorded now")
        failure = asked.warm_up(warm_up, warming.at_once(settings, jobs))
        if failure is not None:
            raise typer.Exit(code_of(failure))
        gc.disable()  # as in `report`
        with importing("harness.report"):
            directory, verdict, failure = asked.tonight()
        code = show(directory, verdict, shown)
    raise typer.Exit(code_of(failure) if failure is not None else code)


def pin(
    run: Annotated[str, typer.Argument(metavar="RUN", help="a night's run directory", show_default=False)],
    reason: Annotated[str, typer.Option("--reason", help="why this one")] = "",
    history: HistoryPlace = None,
) -> None:
    """Pin a night: later canaries are held against it, on its images. It takes an earlier pin's place."""
    from harness import config as configuration
    from harness.artifacts.directories import RunDirectory
    from harness.console import Shown
    from harness.history.acting import pinning
    from harness.history.kept import place_of
    from harness.history.store import History

    directory = RunDirectory.open(run)
    place = place_of(configuration.load(), history, directory)
    store = History.open(place, new=False)
    act = pinning(directory, reason, store.nights(), store.name)
    store.act(act)
    images = len(act.pinned["images"])
    Shown().last(f"pinned: night {act.night}, {images} images, canary seed {act.pinned['seed']} ({act.id})")


def blame(
    run: Annotated[str, typer.Argument(metavar="RUN", help="a night's run directory")] = "artifacts/latest",
    against: Annotated[
        str, typer.Option("--against", metavar="RUN", help="a good night's [default: the last green one's]")
    ] = "",
    history: HistoryPlace = None,
) -> None:
    """Was it the training or the measuring code? The good night's weights under tonight's code, untrained."""
    from harness import blaming
    from harness import config as configuration
    from harness import nightly as nights
    from harness.artifacts.directories import RunDirectory
    from harness.console import Shown
    from harness.history.kept import place_of
    from harness.history.store import History

    directory, shown = RunDirectory.open(run), Shown()
    if against:
        good = RunDirectory.open(against)
    else:
        place = place_of(configuration.load(), history, directory)
        good = nights.last_green(History.open(place, new=False), directory)
    shown.last(f"{directory.path} against {good.path}")
    for line in blaming.blame(directory, good, shown).lines:
        shown.last(line)
