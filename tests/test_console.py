"""What is printed: progress on a log and on a terminal, foreign text, and the verdict."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.artifacts.directories import RunDirectory
from harness.console import Shown, refuse, safe, show_verdict
from harness.errors import ConfigurationError
from harness.judging.verdicts import judge
from harness.pipeline.work import Epochs
from harness.records import Epoch
from tests.written import a_run


def epochs(total: int, networks: int = 1) -> list[Epochs]:
    """Epochs of a classifier's training, of several networks at once."""
    return [
        tuple(Epoch("classifier", number, 1.0 + other, 0.5 + other / 10, 2.0) for other in range(networks))
        for number in range(1, total + 1)
    ]


def test_a_log_gets_a_few_lines_with_the_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    """Off a terminal the first, the last and each fifth of the epochs is a line; all of them pass."""
    passed = list(Shown().epochs("seed 0: classifier", iter(epochs(10)), 10))
    lines = capsys.readouterr().out.splitlines()
    assert passed == epochs(10)
    assert lines[0] == "seed 0: classifier: epoch 1/10, loss 1.00000, accuracy 50.0%, 18 s left"
    assert [line.split("epoch ")[1].split("/")[0] for line in lines] == ["1", "2", "4", "6", "8", "10"]
    assert lines[-1].endswith("0 s left")


def test_several_networks_are_shown_by_their_mean(capsys: pytest.CaptureFixture[str]) -> None:
    """Loss and accuracy of a stack are the means over its networks."""
    list(Shown().epochs("seeds 0, 1", iter(epochs(1, networks=2)), 1))
    assert "loss 1.50000, accuracy 55.0%" in capsys.readouterr().out


LOGS = ({"FORCE_COLOR": "1"}, {"TTY_COMPATIBLE": "1"}, {"TTY_INTERACTIVE": "1"}, {"TERM": "xterm-256color"})


@pytest.mark.parametrize("variables", [*LOGS, dict(pair for one in LOGS for pair in one.items())], ids=str)
def test_a_log_has_no_cursor(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the environment says of colours, a log gets lines, and no code that moves a cursor."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    shown = Shown()
    list(shown.epochs("seed 0", iter(epochs(10)), 10))
    shown.warn("look here")
    text = capsys.readouterr().out
    assert len(text.splitlines()) == 7
    assert not re.findall(r"\x1b\[[0-9;?]*[^0-9;?m]|\r", text)


@pytest.mark.parametrize(("term", "drawn"), [("xterm", True), ("dumb", False), ("unknown", False)])
def test_a_terminal_that_cannot_draw_gets_lines(
    term: str, drawn: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bar is for a terminal that moves its cursor."""
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    list(Shown().epochs("seed 0", iter(epochs(3)), 3))
    text = capsys.readouterr().out
    assert ("\x1b[" in text) is drawn
    assert ("epoch 1/3" in text) is not drawn


def test_a_terminal_gets_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    """On a terminal the epochs fill a bar."""
    shown = Shown()
    shown.console = Console(force_terminal=True, force_interactive=True, width=100)
    assert list(shown.epochs("seed 0", iter(epochs(3)), 3)) == epochs(3)
    assert "3/3" in capsys.readouterr().out


def test_quiet_leaves_warnings_and_the_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A quiet console tells no progress."""
    shown = Shown(quiet=True)
    shown.say("nothing")
    list(shown.epochs("seed 0", iter(epochs(2)), 2))
    shown.warn("look here")
    shown.last("done")
    assert capsys.readouterr().out == "warning: look here\ndone\n"


def test_foreign_text_is_neither_markup_nor_control() -> None:
    """Brackets are shown as they are, and escapes are stripped."""
    assert "\x1b" not in safe("\x1b[31mred")
    assert safe("[bold]x[/]").startswith("\\[")


def test_a_mistake_is_one_line_on_the_error_stream(capsys: pytest.CaptureFixture[str]) -> None:
    """However long it is, a refusal is not folded."""
    refuse(ConfigurationError("k must be in 1..1024 (got 5000) " + "x" * 300))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert captured.err.startswith("error: k must be")


def test_the_verdict_is_the_last_line(finished: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    """The table has each criterion once, and the verdict's sentence stands at the end."""
    verdict: dict[str, Any] | None = finished.read_verdict()
    assert verdict is not None
    show_verdict(finished, verdict, Shown())
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("PASS on ")
    assert sum("Test accuracy" in line for line in lines) == 1


def test_series_are_told_with_their_sides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Axes in another order than was meant show at the beginning."""
    Shown().begin(a_run(tmp_path, data={"kind": "series", "axes": ["channel", "time"], "shape": [60, 2]}))
    assert "(60 training, 30 test series of 60 channels x 2 points, from" in capsys.readouterr().out


def test_what_a_model_does_not_have_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is announced before the work stands once above the verdict, whose sentence names it."""
    run, shown = a_run(tmp_path, config={"without": {"sparsity": "the model has no code"}}), Shown()
    verdict = judge(run)
    (told,) = verdict["announcements"]
    shown.warn(told)
    show_verdict(run, verdict, shown)
    assert capsys.readouterr().out.count("the model has no code") == 1


def test_looser_rules_are_told_beside_the_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The last lines say what is asked less of, also when quiet (fault 15)."""
    run = a_run(tmp_path / "artifacts", config={"criteria": [{"id": "accuracy", "threshold": 0.5}]})
    show_verdict(run, judge(run), Shown(quiet=True))
    warning, last = capsys.readouterr().out.splitlines()
    assert warning == "warning: accuracy: looser than shipped: >= 0.5, not >= 0.75"
    assert last.endswith("(looser than shipped: accuracy)")


@pytest.mark.thorough
def test_the_table_shows_what_could_have_been_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each criterion's row ends with its detectable difference."""
    run = a_run(tmp_path / "artifacts")
    show_verdict(run, judge(run), Shown())
    (row,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("Test accuracy"))
    assert row.split()[-1] == "0.02842"


def test_what_is_marginal_and_what_was_watched_in_vain_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An interval that straddles its threshold is named in its row; what was watched in vain says why."""
    straddled = {"id": "accuracy", "threshold": 0.8}
    run = a_run(tmp_path / "artifacts", config={"criteria": [straddled]})
    verdict = judge(run)
    one = next(one for one in verdict["criteria"] if one.id == "accuracy")
    lost = replace(one, title="Lost", gate=False, verdict="error", marginal=False, why="lost: it crashed")
    near = replace(one, marginal=True)
    show_verdict(run, verdict | {"criteria": [near, lost]}, Shown())
    lines = capsys.readouterr().out.splitlines()
    (row,) = (line for line in lines if line.startswith("Test accuracy"))
    assert "pass, marginal" in row
    assert "warning: watched, and could not be judged: lost: it crashed" in lines[:-1]


def test_one_reason_of_many_that_were_watched_is_one_line_with_their_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As where the run broke off; a reason that names its criterion stands as it is."""
    run = a_run(tmp_path / "artifacts")
    verdict = judge(run)
    known = verdict["criteria"][0]
    lost = replace(known, gate=False, verdict="error", marginal=False, why="the run broke off: interrupted")
    other = replace(lost, id="c", title="Third", why="Third could not be judged: no maps")
    criteria = [known, replace(lost, id="a"), replace(lost, id="b"), other]
    show_verdict(run, verdict | {"criteria": criteria}, Shown(quiet=True))
    warnings = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning: watched")]
    assert warnings == [
        "warning: watched, and could not be judged: a, b: the run broke off: interrupted",
        "warning: watched, and could not be judged: Third could not be judged: no maps",
    ]


def test_a_verdict_of_an_earlier_version_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that was judged before looser rules were told is shown without them."""
    run = a_run(tmp_path / "artifacts")
    verdict = judge(run)
    del verdict["announcements"]
    show_verdict(run, verdict, Shown())
    assert capsys.readouterr().out.splitlines()[-1].startswith("PASS on blobs")


@pytest.mark.parametrize(("source", "told"), [("data/x", "from data/x"), ("made from it", "made from it")])
def test_where_the_data_comes_from_is_told(
    source: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At the beginning; of made data, of what it was made."""
    run = a_run(tmp_path)
    written = json.loads((run / "environment.json").read_text())
    written["dataset"] |= {"source": source, "notice": ""}
    (run / "environment.json").write_text(json.dumps(written))
    Shown().begin(run)
    assert f"test images, {told}); on cpu" in capsys.readouterr().out
