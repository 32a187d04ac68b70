"""The summary for a CI's job page: what is wrong first, the worst image, inert and of a safe size."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.artifacts.directories import RunDirectory
from harness.artifacts.files import Folder
from harness.ci import summaries
from harness.ci.summaries import ICONS, LONGEST, summary, worst_sample
from harness.criteria.rows import own_verdict
from harness.judging import verdicts
from harness.records import Verdict
from harness.runs import Run
from tests.written import a_run

LINES = ["PASS on blobs: all gates hold", "report: r.html", "repeat: harness validate; judge again: harness"]


def one_of(name: str, outcome: Any, gate: bool = True, why: str = "") -> Verdict:
    return own_verdict(name, name, "x.py::x", outcome, why or f"why {name}", gate)


def whole(*criteria: Verdict, **changed: Any) -> dict[str, Any]:
    known: dict[str, Any] = dict(
        run_id="r",
        verdict="pass",
        dataset={"name": "blobs"},
        notice=None,
        seeds=[0],
        criteria=list(criteria),
        failure=None,
    )
    return known | changed


def drawn(run: RunDirectory, verdict: Any, into: Folder, amended: Any) -> bool:
    """A page, for a summary that tells where it is."""
    into.write_text("report.html", "<!doctype html>")
    return True


def with_agreement(run: RunDirectory, values: list[float], pairs: dict[str, list[float]]) -> None:
    """Give a written run, whose 12 images have the test indices 10 to 21, values by image."""
    run.write_arrays("measurements/agreement.npz", {"agreement": np.array([values])})
    named = {f"agreement_pair.{name}": np.array([of]) for name, of in pairs.items()}
    run.write_arrays("measurements/agreement_pair.npz", named | {"strata": np.zeros(12, dtype=np.int64)})


@pytest.mark.thorough
def test_a_green_summary_tells_where_and_how_again(finished: RunDirectory) -> None:
    """Sentence with a mark, the worst image of all, the report, the command, and both tables."""
    verdict = verdicts.judge(finished, page=drawn)
    text = (finished / "summary.md").read_text(encoding="utf-8")
    assert text.startswith("## ✅ PASS on fashion-mnist-mini: all 10 gates hold")
    assert "by how much" not in text
    assert "- report: " in text
    assert f"`harness validate --config {finished / 'config.toml'}`" in text
    gates, watched = text.split("<details>")
    for one in verdict["criteria"]:
        assert f"({summaries._text(one.id)})" in (gates if one.gate else watched)
    assert watched.count("</details>") == 1
    run = Run(finished)
    values = run.per_sample("agreement")[0]
    index = run.directory.read_arrays("samples.npz")["indices"][values.argmin()]
    assert f"test image **{index}**" in text
    assert f"agreement {values.min():.4g}" in text
    assert f"`report.html#s-{index}`" in text


def test_a_red_summary_tells_its_five_lines(tmp_path: Path) -> None:
    """The sentence, the four lines below it and the worst image stand before the table."""
    run = a_run(tmp_path / "artifacts", {"accuracy": 0.7})
    verdicts.judge(run, page=drawn)
    lines = (run / "summary.md").read_text(encoding="utf-8").splitlines()
    starts = (
        "## ❌ FAIL on blobs: Test accuracy: 0.7",
        "",
        "- by how much: 0.05",
        "- worst: ",
        "- report: ",
        "- repeat: `harness validate --config ",
        "- worst sample: ",
        "",
        "| criterion |",
        "|---|",
        r"| Test accuracy (accuracy): 0.7 \[0.68, 0.72\] is under 0.75 |",
    )
    assert [line.startswith(start) for line, start in zip(lines, starts, strict=False)] == [True] * 11


def test_every_verdict_has_its_mark(tmp_path: Path) -> None:
    """All four words have a mark of their own, beside the word."""
    run = a_run(tmp_path / "artifacts")
    heads = [
        summary(run, whole(verdict=word), [word.upper()]).splitlines()[0]
        for word in ("pass", "fail", "error", "interrupted")
    ]
    assert heads == [f"## {ICONS[word]} {word.upper()}" for word in ("pass", "fail", "error", "interrupted")]
    assert len(set(ICONS.values())) == 4


def test_what_a_test_of_ones_own_does_not_have_is_a_dash(tmp_path: Path) -> None:
    """It has no number, and so neither a threshold nor values behind it."""
    text = summary(a_run(tmp_path / "artifacts"), whole(one_of("own", "pass")), LINES)
    (row,) = [line for line in text.splitlines() if line.startswith("| own")]
    assert [cell.strip() for cell in row.split("|")[3:-1]] == ["–"] * 5


def test_the_worst_image_is_that_of_least_agreement(tmp_path: Path) -> None:
    """Its index in the test set, class, value and worst pair; an image without a value is worse than all."""
    run = a_run(tmp_path / "artifacts")
    values = [0.7] * 5 + [0.2] + [0.6] * 6
    pairs = {
        "integrated_gradients-gradients": [0.7] * 12,
        "integrated_gradients-decoder_weighted": [0.5] * 5 + [-0.3] + [0.1] * 6,
    }
    with_agreement(run, values, pairs)
    text = (
        "test image **15** (boot), agreement 0.2, worst pair integrated gradients – decoder weighted -0.3; "
    )
    assert worst_sample(run) == f"{text}in the report `report.html#s-15`"
    with_agreement(run, [*values[:-1], np.nan], {"integrated_gradients-gradients": [np.nan] * 12})
    assert (
        worst_sample(run) == "test image **21** (bag), has no correlation; in the report `report.html#s-21`"
    )


def test_no_worst_image_is_said(tmp_path: Path) -> None:
    """Where nothing was measured the summary says why, and stands."""
    run = a_run(tmp_path / "artifacts")
    assert "agreement.npz: missing" in worst_sample(run)
    run.write_arrays("measurements/agreement.npz", {"seeds": np.zeros(1)})
    run.write_arrays("measurements/agreement_pair.npz", {"seeds": np.zeros(1)})
    assert worst_sample(run) == "none, the maps' agreement was not measured"


@pytest.mark.thorough
@pytest.mark.parametrize(("count", "size"), [(20_000, 10), (3_000, 5_000)])
def test_a_summary_is_never_longer_than_a_ci_takes(tmp_path: Path, count: int, size: int) -> None:
    """Thousands of criteria, or long messages: it is cut, says so, and keeps the red gates (fault 50)."""
    rows = [one_of(f"green{number}", "pass") for number in range(count)]
    rows += [one_of(f"watch{number}", "fail", gate=False, why="ü" * size) for number in range(count)]
    rows += [one_of("reddest", "fail", why="<" * size)]
    run = a_run(tmp_path / "artifacts")
    text = summary(run, whole(*rows, verdict="fail"), LINES)
    assert 0.9 * LONGEST < len(text.encode()) <= LONGEST
    assert "reddest" in text
    shown = len(re.findall(r"^\| (?:green|watch|reddest)", text, re.MULTILINE))
    assert f"**Shortened:** {shown:,} of {2 * count + 1:,} criteria are shown" in text
    assert "`report.html`" in text
    assert text.count("<details>") == text.count("</details>")
    assert text.endswith("seeds 0.\n")


def test_a_summary_that_fits_is_whole(tmp_path: Path) -> None:
    """Nothing is said of shortening where nothing was left out; red gates stand first."""
    run = a_run(tmp_path / "artifacts")
    text = summary(run, whole(one_of("good", "pass"), one_of("bad", "fail"), verdict="fail"), LINES)
    assert "Shortened" not in text
    assert text.index("| bad") < text.index("| good")


@pytest.mark.parametrize(
    "text",
    ["<img src=x onerror=alert(1)>", "a|b", "`code`", "**bold**", "[a](http://x.y)", "x\n## head", "$$x$$"],
)
def test_foreign_text_stays_text(text: str) -> None:
    """Markup of HTML and Markdown, bars and line breaks lose their meaning (fault 44)."""
    kept = summaries._text(text)
    assert "\n" not in kept
    assert not re.search(r"(?<!\\)[|`*_\[\]$#~]", kept)
    assert not re.search(r"[<>]", kept)
    assert "http://" not in kept


def test_foreign_text_keeps_the_table_whole(tmp_path: Path) -> None:
    """Each row has as many bars as the head, whatever stands in titles, messages and names of classes."""
    run = a_run(tmp_path / "artifacts")
    nasty = "x | y ` <b> \n| z \u202e [a](b) @x"
    text = summary(run, whole(one_of(nasty, "fail", why=nasty), verdict="fail"), [nasty, "worst: " + nasty])
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 3
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {8}
    assert "\u202e" not in text
    assert "<b>" not in text


def test_code_is_fenced_by_more_than_stands_in_it() -> None:
    """A path with backticks stays one span of code."""
    assert summaries._code("a`b``c") == "``` a`b``c ```"
    assert summaries._code("plain") == "`plain`"
