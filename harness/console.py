"""What the commands print: progress, warnings, the table of criteria and the verdict."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from harness.criteria import WITHOUT, show, show_rule
from harness.criteria.diagnosis import diagnosis, sentence
from harness.forms import told_of
from harness.text import clean, listed, origin

if TYPE_CHECKING:
    from harness.artifacts.directories import RunDirectory
    from harness.pipeline.started import Epochs
    from harness.records import Verdict


class Shown:
    """Progress on the terminal: bars where there is one, plain lines where there is none."""

    def __init__(self, *, quiet: bool = False) -> None:
        """`quiet` leaves warnings and the last lines."""
        self.quiet = quiet
        self.warned: set[str] = set()
        # a log, whatever its environment says of colours, has no width to fold tables to, and no cursor
        terminal = sys.stdout.isatty()
        self.console = Console(
            highlight=False, width=None if terminal else 120, force_interactive=None if terminal else False
        )

    def begin(self, run: RunDirectory) -> None:
        """What is about to be done, on which data."""
        provenance, seeds = run.read_provenance(), run.read_config().seeds
        data = provenance.dataset
        self.say(
            f"data {data['name']} ({data['train']} training, {data['test']} test {told_of(data)}, "
            f"{origin(data['source'])}); on {provenance.device['kind']}, seeds {', '.join(map(str, seeds))}"
        )
        if data["notice"]:
            self.console.print(Panel(safe(data["notice"]), title="not the full data", style="bold yellow"))
        if provenance.git:
            self.warn(provenance.git)
        self.say(f"run {run.path}")

    def say(self, text: str) -> None:
        """A line."""
        if not self.quiet:
            self.console.print(safe(text), soft_wrap=True)

    def warn(self, text: str) -> None:
        """A line that must not be overlooked."""
        self.warned.add(text)
        self.console.print(f"[bold yellow]warning:[/] {safe(text)}", soft_wrap=True)

    def last(self, text: str) -> None:
        """The line that is printed also when quiet."""
        self.console.print(safe(text), soft_wrap=True)

    def epochs(self, title: str, epochs: Iterator[Epochs], total: int) -> Iterator[Epochs]:
        """The same epochs, with loss and time left."""
        if self.quiet:
            yield from epochs
        elif self.console.is_interactive:
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


def safe(text: object) -> str:
    """Foreign text for the terminal: no control characters, no markup."""
    return escape(clean(text, 4000))


def refuse(error: Exception) -> None:
    """A user's mistake, in one line."""
    Console(stderr=True, highlight=False).print(f"[bold red]error:[/] {safe(error)}", soft_wrap=True)


def _loss(epoch: Epochs) -> str:
    """Loss and accuracy, their means where several networks are trained at once."""
    loss = sum(one.loss for one in epoch) / len(epoch)
    right = [one.accuracy for one in epoch if one.accuracy is not None]
    accuracy = f", accuracy {sum(right) / len(right):.1%}" if right else ""
    return f"loss {loss:.5f}{accuracy}"


_STYLES = {"pass": "green", "fail": "bold red", "error": "bold magenta", "interrupted": "bold yellow"}


def show_verdict(run: RunDirectory, verdict: dict[str, Any], shown: Shown) -> None:
    """The table of criteria, where things are, and the verdict: a sentence, or where red a few lines."""
    console = shown.console
    if not shown.quiet:
        console.print(_table(verdict["criteria"]))
        spent = ", ".join(f"{name} {seconds:.1f}" for name, seconds in verdict["duration_s"].items())
        shown.say(f"seconds: {spent}")
        if verdict["verdict"] == "pass":
            page = run / "report.html"
            shown.say(f"report: {page}" if page.is_file() else f"run: {run.path}")
    for text in _unjudged(verdict["criteria"]):
        shown.warn(text)
    if verdict["notice"]:
        console.print(f"[bold yellow]{safe(verdict['notice'])}[/]", soft_wrap=True)
    for text in [*verdict.get("announcements", ()), *verdict.get("remarks", ())]:
        # what is looser is told before and after; what a model does not have, once
        if not (text.startswith(WITHOUT) and text in shown.warned):
            shown.warn(text)
    red = verdict["verdict"] != "pass" and not shown.quiet
    lines = diagnosis(run, verdict) if red else [sentence(verdict)]
    console.print(f"[{_STYLES[verdict['verdict']]}]{safe(lines[0])}[/]", soft_wrap=True)
    for line in lines[1:]:
        shown.say(line)


def _unjudged(criteria: Iterable[Verdict]) -> list[str]:
    """A line for each reason why watched criteria could not be judged, with those that it is given for.

    A gate's stands below the verdict's sentence.
    """
    names: dict[str, list[str]] = {}
    for one in criteria:
        if one.verdict == "error" and not one.gate:
            named = one.why.casefold().startswith((one.title.casefold(), f"{one.id}:"))
            names.setdefault(one.why, []).extend([] if named else [one.id])
    return [
        f"watched, and could not be judged: {f'{listed(ids)}: ' if ids else ''}{why}"
        for why, ids in names.items()
    ]


def _table(criteria: Iterable[Verdict]) -> Table:
    columns = ("criterion", "verdict", "estimate", "interval", "threshold", "detectable")
    table = Table(*columns, box=None, pad_edge=False)
    for one in criteria:
        interval = "–" if one.low is None else f"[{show(one.low)}, {show(one.high)}]"
        word = f"{'' if one.gate else 'watched: '}{one.verdict}{', marginal' * one.marginal}"
        table.add_row(
            safe(one.title),
            f"[{_STYLES[one.verdict]}]{word}[/]",
            show(one.estimate),
            safe(interval),
            safe(show_rule(one.relation, one.threshold)),
            show(one.minimum_detectable_difference),
        )
    return table
