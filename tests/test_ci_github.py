"""Annotations by GitHub's rules, and output in which nothing from outside is a command."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from harness.ci import github
from harness.criteria.rows import own_verdict
from harness.records import Verdict
from tests.written import a_run


def one_of(name: str, outcome: Any, *, gate: bool = True, marginal: bool = False, why: str = "") -> Verdict:
    row = own_verdict(name, name, "x.py::x", outcome, why or f"why {name}", gate)
    return Verdict(**vars(row) | {"marginal": marginal})


def whole(*criteria: Verdict, **changed: Any) -> dict[str, Any]:
    known: dict[str, Any] = dict(verdict="pass", notice=None, failure=None, criteria=list(criteria))
    return known | changed


def parsed(line: str) -> tuple[str, dict[str, str], str] | None:
    """What the runner makes of a line of output: a command's name, properties and data, or nothing.

    A second reading of its rules: https://github.com/actions/runner, `ActionCommand.cs`. Characters without
    a width are passed over, as a comparison by culture does.
    """
    line = "".join(one for one in line if not unicodedata.category(one).startswith("C"))
    new = re.match(r"\s*::([^\s:]+)(?: (.*?))?::(.*)", line)
    if new:
        pairs = (pair.split("=", 1) for pair in (new[2] or "").split(",") if "=" in pair)
        return new[1], {key: unquote(value) for key, value in pairs}, unquote(new[3])
    old = re.search(r"##\[([^\s\]]+)[^\]]*\](.*)", line)
    return (old[1], {}, old[2]) if old else None


def lines_of(text: str) -> list[str]:
    return re.split(r"\r\n|\r|\n", text)


def test_each_kind_of_finding_has_its_level() -> None:
    """Red gates are errors, marginal gates and red watches warnings, notices and looser rules notices."""
    verdict = whole(
        one_of("good", "pass"),
        one_of("close", "pass", marginal=True),
        one_of("watch", "fail", gate=False, marginal=True),
        one_of("seen", "pass", gate=False, marginal=True),
        one_of("low", "fail", marginal=True),
        one_of("lost", "error"),
        verdict="error",
        notice="an excerpt",
        announcements=["k: looser than shipped: 1, not 2"],
    )
    assert [parsed(line) for line in github.commands(verdict, "ERROR")] == [
        ("error", {"title": "low: fail"}, "why low"),
        ("error", {"title": "lost: error"}, "why lost"),
        ("warning", {"title": "close: marginal"}, "why close; the interval straddles the threshold"),
        ("warning", {"title": "watch: fail, watched without a say"}, "why watch"),
        ("notice", {"title": "not the full data"}, "an excerpt"),
        ("notice", {"title": "looser than shipped"}, "k: looser than shipped: 1, not 2"),
    ]


def test_a_clean_pass_annotates_nothing() -> None:
    """Nothing is said where there is nothing to say."""
    assert github.commands(whole(one_of("a", "pass"), one_of("b", "pass", gate=False)), "PASS") == []


def test_a_run_that_broke_off_is_one_error() -> None:
    """The cause stands once, not beside every gate that it left without a number."""
    broken = whole(one_of("a", "error"), one_of("b", "error"), verdict="error", failure={"stage": "training"})
    assert [parsed(line) for line in github.commands(broken, "ERROR: broke off")] == [
        ("error", {"title": "the run broke off"}, "ERROR: broke off")
    ]
    (nothing,) = github.commands(whole(verdict="error"), "ERROR on x: no gate was declared")
    assert parsed(nothing) == ("error", {"title": "nothing was judged"}, "ERROR on x: no gate was declared")


def test_no_more_than_github_shows_and_the_last_names_the_rest() -> None:
    """Ten of a level; the tenth counts and names those that are left out (13 red gates: 9, and 4 more)."""
    red = [one_of(f"g{number}", "fail") for number in range(13)]
    rows = [parsed(line) for line in github.commands(whole(*red, verdict="fail"), "FAIL")]
    assert len(rows) == github.MOST
    last = rows[-1]
    assert last is not None
    assert last == ("error", {"title": "and 4 more"}, "g9: fail, g10: fail, g11: fail, g12: fail")
    assert len(github.commands(whole(*red[:10], verdict="fail"), "FAIL")) == 10


def test_foreign_text_stays_inside_its_annotation() -> None:
    """Line breaks, percent signs, colons and commas neither end an annotation nor start another."""
    nasty = "a%0A,b=c::\n::error title=x::y\r::add-mask::z ‮"
    verdict = whole(one_of("n", "fail", why=nasty), verdict="fail")
    (line,) = github.commands(verdict, "FAIL")
    assert len(lines_of(line)) == 1
    found = parsed(line)
    assert found is not None
    assert found[1] == {"title": "n: fail"}
    assert found[2] == "a%0A,b=c::\n::error title=x::y::add-mask::z "
    title = github._command(("error", "t,file=/etc/passwd,line=1::boo", "m"))
    assert parsed(title) == ("error", {"title": "t,file=/etc/passwd,line=1::boo"}, "m")


@pytest.mark.parametrize(
    "text",
    [
        "::error::x\n",
        "  \t::set-env name=A::b\n",
        "fine\n::add-mask::x\n",
        "fine\r::error::x\n",
        "\u200b::error::x\n",
        "\u00a0:\u200b:error::x\n",
        "some ##[error]x\n",
        "a #\u200b#[add-path]x\n",
        "::stop-commands::x",
    ],
)
@pytest.mark.parametrize("size", [1, 2, 1000])
def test_no_line_that_passes_the_guard_is_a_command(text: str, size: int) -> None:
    """Whatever pieces it is written in, the text arrives, and none of its lines is a command."""
    assert any(parsed(line) for line in lines_of(text))
    stream = io.StringIO(newline="")
    guard = github.Inert(stream)
    for start in range(0, len(text), size):
        guard.write(text[start : start + size])
    assert not any(parsed(line) for line in lines_of(stream.getvalue()))
    assert stream.getvalue().replace("\\", "") == text


def test_other_output_passes_the_guard_unchanged() -> None:
    """Ids of tests, times and addresses are as they were."""
    text = "test_x.py::test_it failed at 10::20\nhttps://x.org #[1] ## [2]\n[::1]:80\n\n  indented\r\n"
    stream = io.StringIO(newline="")
    guard = github.Inert(stream)
    guard.writelines(text.splitlines(keepends=True))
    assert stream.getvalue() == text
    assert guard.getvalue() == stream.getvalue()


def test_elsewhere_nothing_is_annotated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Outside GitHub Actions no command is printed, and output is not touched."""
    monkeypatch.setenv("GITHUB_ACTIONS", "false")
    with github.guarded():
        sys.stdout.write("::error::x\n")
        github.annotate(whole(one_of("a", "fail"), verdict="fail"), "FAIL")
    assert capsys.readouterr().out == "::error::x\n"


def test_annotations_pass_the_guard(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Inside it, the harness's own commands alone are commands."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    with github.guarded():
        sys.stdout.write("::error::foreign\n")
        sys.stderr.write("::error::foreign\n")
        github.annotate(whole(one_of("a", "fail"), verdict="fail"), "FAIL")
    out, err = capsys.readouterr()
    assert [parsed(line) for line in lines_of(out) if parsed(line)] == [
        ("error", {"title": "a: fail"}, "why a")
    ]
    assert not any(map(parsed, lines_of(err)))


@pytest.mark.thorough
def test_the_commands_output_on_github(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`harness judge` in a step: a title that ends its line and begins a command is no command."""
    title = "T\n::add-mask::secret\n##[error]old\n  ::error::new"
    run = a_run(tmp_path / "artifacts", {"accuracy": 0.5}, {"criteria": [{"id": "accuracy", "title": title}]})
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    done = subprocess.run(
        [sys.executable, "-m", "harness", "judge", str(run.path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 1, done.stderr
    found = [parsed(line) for line in lines_of(done.stdout + "\n" + done.stderr)]
    said = [(one[0], one[1].get("title")) for one in found if one]
    assert [one for one in said if one[0] == "error"] == [("error", "accuracy: fail")]
    assert {level for level, _ in said} <= {"error", "warning"}
    assert "add-mask" in done.stdout
