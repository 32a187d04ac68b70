"""What GitHub Actions reads in a step's output: annotations of ours, and no command from outside.

GitHub's runner takes lines of standard output and error for commands: those that begin with `::`, and, as of
old, whatever follows `##[`. Class names, messages and traces come from outside, and may hold both.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from harness.records import Verdict

MOST = 10
"""Annotations of a level that GitHub shows of a step."""

Annotation = tuple[str, str, str]
"""Level, title and message."""


def on_github() -> bool:
    """Whether this process is a step of GitHub Actions."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def commands(verdict: Mapping[str, Any], sentence: str) -> list[str]:
    """The annotations of a verdict as workflow commands, at most `MOST` of each level.

    An error for each red gate, or a single one where the run broke off; a warning for each gate whose
    interval straddles its threshold, and for each red criterion that is only watched; a notice for data
    that stands in for other data, and for each rule that is looser than shipped.

    Args:
        verdict: What stands in `verdict.json`, the criteria as records.
        sentence: The verdict in a sentence.
    """
    by_level: dict[str, list[Annotation]] = {"error": [], "warning": [], "notice": []}
    for one in _annotations(verdict, sentence):
        by_level[one[0]].append(one)
    return [_command(one) for found in by_level.values() for one in _shortened(found)]


def _annotations(verdict: Mapping[str, Any], sentence: str) -> Iterator[Annotation]:
    criteria: Sequence[Verdict] = verdict["criteria"]
    red = [one for one in criteria if one.gate and not one.holds]
    if verdict["failure"]:
        yield "error", "the run broke off", sentence
    elif verdict["verdict"] != "pass" and not red:
        yield "error", "nothing was judged", sentence
    else:
        for one in red:
            yield "error", f"{one.id}: {one.verdict}", one.why
        for one in criteria:
            if one.gate and one.holds and one.marginal:
                why = f"{one.why}; the interval straddles the threshold"
                yield "warning", f"{one.id}: marginal", why
        for one in criteria:
            if not one.gate and not one.holds:
                yield "warning", f"{one.id}: {one.verdict}, watched without a say", one.why
    if verdict["notice"]:
        yield "notice", "not the full data", verdict["notice"]
    for text in verdict.get("announcements", ()):
        yield "notice", "looser than shipped", text
    for text in verdict.get("remarks", ()):
        yield "warning", "remark", text


def _shortened(found: Sequence[Annotation]) -> list[Annotation]:
    if len(found) <= MOST:
        return list(found)
    kept, rest = list(found[: MOST - 1]), found[MOST - 1 :]
    names = ", ".join(title for _, title, _ in rest)
    return [*kept, (found[0][0], f"and {len(rest)} more", names)]


def _command(annotation: Annotation) -> str:
    from harness.text import clean

    level, title, message = annotation
    name = _escaped(clean(title)).replace(":", "%3A").replace(",", "%2C")
    return f"::{level} title={name}::{_escaped(clean(message, 2000))}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


class Inert:
    """A text stream that passes everything on, but puts a backslash into what GitHub took for a command."""

    def __init__(self, stream: TextIO) -> None:
        """`stream` is where the text goes."""
        self.stream = stream
        self._line = ""

    def write(self, text: str) -> int:
        """Write, and remember the line that is not finished: a command may come in pieces."""
        for piece in re.split(r"(?<=[\r\n])", text):
            whole = inert(self._line + piece)
            self.stream.write(whole[len(self._line) :])
            self._line = "" if whole.endswith(("\r", "\n")) else whole
        return len(text)

    def writelines(self, lines: Sequence[str]) -> None:
        """Write one after the other."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


# the runner compares by culture, which passes over characters that have no width
_COMMAND = re.compile(r"\A([^!-~]*:[^ -~]*)(?=:)")
_OLD_COMMAND = re.compile(r"(#[^ -~]*#[^ -~]*)(?=\[)")


def inert(line: str) -> str:
    """A line that GitHub's runner takes for text; other lines are as they were."""
    return _OLD_COMMAND.sub(r"\1\\", _COMMAND.sub(r"\1\\", line))


@contextmanager
def guarded() -> Iterator[None]:
    """Inside the block nothing that is printed is a command, where GitHub would read it."""
    if not on_github():
        yield
        return
    with redirect_stdout(cast(TextIO, Inert(sys.stdout))), redirect_stderr(cast(TextIO, Inert(sys.stderr))):
        yield


def annotate(verdict: Mapping[str, Any], sentence: str) -> None:
    """Print the verdict's annotations past the guard, where GitHub would read them."""
    if not on_github():
        return
    stream = sys.stdout.stream if isinstance(sys.stdout, Inert) else sys.stdout
    stream.write("".join(f"{command}\n" for command in commands(verdict, sentence)))
    stream.flush()
