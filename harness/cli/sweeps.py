"""The command `sweep`. It imports what it needs when it runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli import options
from harness.cli.options import ConfigFile

if TYPE_CHECKING:
    from harness.console import Shown
    from harness.sweeps import Plan, Point

LISTED = 60
"""Points that a terminal lists; `points.csv` has all."""


def add_to(app: typer.Typer) -> None:
    """Give the `harness` command that of a sweep."""
    options.with_settings(app)(sweep)


def sweep(
    config: ConfigFile = None,
    zip_: Annotated[
        list[str] | None,
        typer.Option("--zip", metavar="A,B", help="axes that go side by side, not crossed; again for others"),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="A=X,B=Y",
            help="the point that others are compared with [default: the configuration's own values, "
            "where they are a point; else the first]",
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="of the sweep's folder [default: a digest of the question]")] = "",
    on: Annotated[
        str,
        typer.Option(
            metavar="ENGINE",
            help="where points run: processes, dask-local, dask://host:port, or module:factory "
            "of a concurrent.futures executor",
        ),
    ] = "processes",
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="points at once [default: cores by threads; one where a GPU may be]"
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="of each point; numbers depend on it [default: 1 on a CPU]"),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="tell the points, what is finished, and how long the rest takes")
    ] = False,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="begin no point after one has no verdict")
    ] = False,
    select: Annotated[
        str,
        typer.Option(
            metavar="MEASUREMENT", help="choose a point on one half of the seeds, and tell it by the other"
        ),
    ] = "",
    **flags: Any,
) -> None:
    """Run many configurations as one question: --k 10,25,50 is an axis, and so is every key with a list.

    Seeds stay inside a run. What is finished is not run again. Exit code: 0 where every point holds, 1 where
    some fail, 2 refused before any work, 3 where some could not be judged, or anew.
    """
    from harness import sweeps
    from harness.console import Shown
    from harness.sweeps import axes as asking
    from harness.sweeps import table

    same, axes = asking.split(flags)
    plan = sweeps.plan(
        axes,
        config=config,
        flags=same,
        zipped=[tuple(part.strip() for part in one.split(",")) for one in zip_ or ()],
        reference=None if reference is None else asking.pairs(reference),
        name=name,
        on=on,
        jobs=jobs,
        threads=threads,
        fail_fast=fail_fast,
        select=select,
        command=sweeps.command_line(),
    )
    shown = Shown(quiet=plan.base.quiet)
    if dry_run:
        _show_plan(plan, shown)
        return
    found = sweeps.run(plan, shown)
    for text in found.remarks:
        shown.warn(text)
    if found.selected is not None:
        shown.say(table.told_of(found))
    verdicts = [row.verdict or row.state for row in found.rows]
    told = ", ".join(f"{verdicts.count(one)} {one}" for one in dict.fromkeys(verdicts))
    shown.last(f"{len(found.rows)} points: {told}")
    shown.last(f"page: {plan.folder / table.PAGE}")
    raise typer.Exit(table.exit_code(found.rows))


def _show_plan(plan: Plan, shown: Shown) -> None:
    """Print the points, what is finished, and how long the others will take."""
    from rich.table import Table

    from harness.console import safe
    from harness.pipeline.started import Silence
    from harness.sweeps import shown as written
    from harness.text import counted, lasting

    running = plan.running(Silence())
    todo: Sequence[Point] = running.look()
    rows = Table("point", *(safe(axis.name) for axis in plan.axes), "state", box=None, pad_edge=False)
    for point in plan.points[:LISTED]:
        row = running.rows[point.id]
        state = row.verdict or row.state
        here = " (reference)" if point.id == plan.reference else ""
        rows.add_row(point.id, *(safe(written(value)) for value in point.values.values()), f"{state}{here}")
    shown.console.print(rows)
    if len(plan.points) > LISTED:
        shown.last(f"and {len(plan.points) - LISTED} more")
    seconds, runs = plan.seconds(todo) if todo else (0.0, 0)
    at_once = f"{plan.engine.at_once} at once, {plan.threads} thread{'s' if plan.threads > 1 else ''} each"
    told = "how long is not known: no run here to tell it by"
    if seconds is not None:
        told = f"about {lasting(seconds)}" + (
            f" by the stages of {counted(runs, 'run')} here" if runs else ""
        )
    shown.last(
        f"sweep {plan.id}: {len(plan.points)} points, {len(plan.points) - len(todo)} finished, "
        f"{len(todo)} to run; {told}; {at_once}, on {plan.engine.name}"
    )
