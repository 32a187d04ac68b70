"""A verdict in Markdown, as a CI's job page shows it: what is wrong, the worst image, every criterion."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from harness.artifacts.directories import RunDirectory
from harness.criteria import show, show_count, show_rule
from harness.criteria.diagnosis import lowest_agreement
from harness.errors import RunError
from harness.kinds import words_of
from harness.records import Verdict
from harness.text import clean

LONGEST = 256_000
"""Bytes of a summary at most. GitHub takes 1 MiB a step, other CIs less, and nobody reads more."""

ICONS = {"pass": "✅", "fail": "❌", "error": "🟣", "interrupted": "⏹️"}
"""A mark beside the word, never in its place."""

_PLACES = ("report: ", "run: ", "repeat: ")
"""How the lines of a diagnosis begin that a green run has use for too."""


def summary(run: RunDirectory, verdict: Mapping[str, Any], lines: Sequence[str]) -> str:
    """The verdict for a CI's step summary, of at most `LONGEST` bytes.

    What is cut where it would be longer is the end of the table: red gates stand first, watched criteria
    last, and a line says how many are not shown and where they are.

    Args:
        run: The run.
        verdict: What stands in its `verdict.json`, the criteria as records.
        lines: The sentence, and the lines of its diagnosis; of a pass those tell where and how again.
    """
    red = verdict["verdict"] != "pass"
    head = [f"## {ICONS[verdict['verdict']]} {_text(lines[0], 1000)}", ""]
    said = [verdict["notice"], *verdict.get("announcements", ()), *verdict.get("remarks", ())]
    for one in filter(None, said):
        head += [f"> **{_text(one, 1000)}**", ""]
    head += [f"- {_line(one)}" for one in lines[1:] if red or one.startswith(_PLACES)]
    # a run that broke off has measured none, or not all of them
    head += [f"- worst sample: {worst_sample(run)}"] * (not verdict["failure"]) + [""]
    seeds = ", ".join(map(str, verdict["seeds"]))
    tail = f"Run {_code(verdict['run_id'])}, data {_code(verdict['dataset']['name'])}, seeds {seeds}."
    return "\n".join([*head, *_tables(verdict["criteria"], _room(head, tail)), tail]) + "\n"


def worst_sample(run: RunDirectory) -> str:
    """The explained image whose maps agree least: index, class, value, worst pair and place in the report."""
    try:
        lowest = lowest_agreement(run)
    except RunError as error:
        return f"unknown ({_text(error)})"
    if lowest is None:
        return "none, the maps' agreement was not measured"
    called = words_of(run.read_provenance().dataset).one
    value = "has no correlation" if lowest.agreement is None else f"agreement {show(lowest.agreement)}"
    pair = f", worst pair {_text(lowest.pair)} {show(lowest.of_pair)}" if lowest.pair else ""
    return (
        f"test {called} **{lowest.index}** ({_text(lowest.label, 40)}), {value}{pair}; "
        f"in the report {_code(f'report.html#s-{lowest.index}')}"
    )


def _room(head: Sequence[str], tail: str) -> int:
    """Bytes left for the rows of both tables, their heads and the line that says what is not shown."""
    return LONGEST - 2_000 - len("\n".join([*head, tail]).encode())


def _tables(criteria: Sequence[Verdict], room: int) -> list[str]:
    """Both tables, the gates' open and the watched one's folded, and what of them is not shown."""
    parts = [
        sorted((one for one in criteria if one.gate is gate), key=lambda one: one.holds)
        for gate in (True, False)
    ]
    shown: list[list[str]] = []
    for part in parts:
        rows = []
        for one in part:
            row = _row(one)
            room -= len(row.encode()) + 1
            if room < 0:
                break
            rows.append(row)
        shown.append(rows)
    gates, watched = shown
    text = [*_HEAD, *gates, ""] if gates else []
    if watched:
        red = sum(not one.holds for one in parts[1])
        title = f"{len(parts[1])} watched without a say, {red} of them red"
        text += [f"<details><summary>{title}</summary>", "", *_HEAD, *watched, "", "</details>", ""]
    if len(gates) + len(watched) < len(criteria):
        text += [
            f"**Shortened:** {len(gates) + len(watched):,} of {len(criteria):,} criteria are shown; all of "
            "them stand in `report.html`, `verdict.json` and `junit.xml` of the run.",
            "",
        ]
    return text


_HEAD = (
    "| criterion | verdict | estimate | interval | threshold | detectable | n |",
    "|---|---|---:|---:|---:|---:|---:|",
)


def _row(one: Verdict) -> str:
    interval = "–" if one.low is None else f"{show(one.low)} – {show(one.high)}"
    word = f"**{one.verdict}**" if not one.holds else f"{one.verdict}{', marginal' * one.marginal}"
    cells = [
        _text(one.title if one.title == one.id else f"{one.title} ({one.id})"),
        f"{ICONS[one.verdict]} {word}",
        show(one.estimate),
        interval,
        _text(show_rule(one.relation, one.threshold)),
        show(one.minimum_detectable_difference),
        show_count(one.n),
    ]
    if not one.holds:
        # the sentence of a number begins with the title, which stands there already
        cells[0] += f": {_text(one.why.removeprefix(f'{one.title}: '), 600)}"
    return f"| {' | '.join(cells)} |"


def _line(line: str) -> str:
    """A line of the diagnosis; the commands in it as code, to be copied."""
    if not line.startswith("repeat: "):
        return _text(line, 1000)
    again = line.removeprefix("repeat: ").split("; judge again: ")
    return f"repeat: {'; judge again: '.join(map(_code, again))}"


def _text(text: object, longest: int = 300) -> str:
    """Foreign text that stays text in Markdown and the HTML that Markdown lets through."""
    kept = clean(text, longest).replace("\n", " ")
    kept = kept.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    kept = re.sub(r"([\\`*_\[\]|~$#])", r"\\\1", kept)
    # GitHub makes links of bare addresses
    return kept.replace("://", "\\://").replace("www.", "www\\.")


def _code(text: object) -> str:
    """Foreign text as a span of code, fenced by more backticks than stand in it."""
    kept = clean(text, 1000).replace("\n", " ")
    fence = "`" * (1 + max(map(len, re.findall("`+", kept)), default=0))
    pad = " " if "`" in kept else ""
    return f"{fence}{pad}{kept}{pad}{fence}"
