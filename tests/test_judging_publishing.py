"""What is known of a run is published in one act, and nothing green stands before there is a verdict."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from harness.artifacts.directories import RunDirectory
from harness.artifacts.files import Folder, digest_of
from harness.errors import RunError, StorageError
from harness.judging import publishing, verdicts
from harness.judging.publishing import TWINS, UNENDED, failure_of, unjudged, withdraw
from tests.written import a_run, sealed_anew


def a_page(run: RunDirectory, verdict: dict[str, Any], into: Folder, amended: Any) -> bool:
    """A page with one figure."""
    into.write_text("report.html", f"<p>{verdict['verdict']}")
    into.write_text("figures/one.svg", "<svg/>")
    return True


def test_a_verdict_names_the_digests_of_its_twins(tmp_path: Path) -> None:
    """What says the verdict again is known by it; one that was changed is told whoever opens the run."""
    run = a_run(tmp_path / "artifacts")
    verdict = verdicts.judge(run)
    assert verdict["published"] == {name: digest_of(run / name) for name in TWINS}
    (run / "summary.md").write_text("edited")
    (run / "badge.svg").unlink()
    assert {str(one) for one in RunDirectory.open(run.path).amiss()} == {
        "summary.md: is not as it was judged",
        "badge.svg: missing",
    }


@pytest.mark.thorough
def test_the_page_is_published_with_the_verdict(tmp_path: Path) -> None:
    """Page and figures stand with the verdict; figures of an earlier page go; the summary tells the page."""
    run = a_run(tmp_path / "artifacts")
    run.write_text("figures/old.svg", "<svg/>")
    verdicts.judge(run, page=a_page)
    assert (run / "report.html").read_text() == "<p>pass"
    assert [path.name for path in (run / "figures").iterdir()] == ["one.svg"]
    assert "- report: " in (run / "summary.md").read_text()
    verdicts.judge(run)
    assert not (run / "report.html").exists()


def test_a_page_that_cannot_be_drawn_whole_is_an_error_everywhere(tmp_path: Path) -> None:
    """No pass beside a red exit: verdict, twins and page say error, the criteria stand (faults 48, 55)."""

    def partial(run: RunDirectory, verdict: dict[str, Any], into: Folder, amended: Any) -> bool:
        return a_page(run, amended("a section is missing"), into, amended)

    run = a_run(tmp_path / "artifacts")
    verdict = verdicts.judge(run, page=partial)
    assert verdict["verdict"] == "error"
    assert verdict["failure"]["stage"] == "reporting"
    assert {one.verdict for one in verdict["criteria"] if one.gate} == {"pass"}
    assert (run / "report.html").read_text() == "<p>error"
    assert "a section is missing" in (run / "summary.md").read_text()
    assert json.loads((run / "badge.json").read_text())["message"] == "error · reporting"


@pytest.mark.thorough
@pytest.mark.parametrize(
    "error", [RunError("no page"), StorageError("no page"), ZeroDivisionError("no page")]
)
def test_a_page_that_breaks_leaves_an_error(tmp_path: Path, error: Exception) -> None:
    """The rest is published; what nobody foresaw is raised after that."""

    def broken(*_: object) -> bool:
        raise error

    run = a_run(tmp_path / "artifacts")
    if isinstance(error, ZeroDivisionError):
        with pytest.raises(ZeroDivisionError):
            verdicts.judge(run, page=broken)
    else:
        verdicts.judge(run, page=broken)
    verdict = run.read_verdict()
    assert verdict is not None
    assert (verdict["verdict"], verdict["failure"]["message"]) == ("error", "no page")
    assert not (run / "report.html").exists()
    assert RunDirectory.open(run.path).amiss() == []


@pytest.mark.thorough
@pytest.mark.parametrize("name", [*TWINS, "report.html", "verdict.json"])
def test_a_disk_that_is_full_leaves_nothing_green(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whichever file cannot be written, no pass stands, and no file is empty or half (fault 32)."""
    run = a_run(tmp_path / "artifacts")
    verdicts.judge(run, page=a_page)
    write, seen = Folder.write_text, []

    def full(self: Folder, asked: str, text: str) -> None:
        # the first time it says that there is no verdict yet
        if asked == name:
            seen.append(asked)
            if len(seen) > (name != "report.html"):
                raise StorageError(f"{asked}: cannot be written (No space left on device)")
        write(self, asked, text)

    monkeypatch.setattr(Folder, "write_text", full)
    if name == "report.html":
        verdicts.judge(run, page=a_page)
    else:
        with pytest.raises(StorageError, match="No space left"):
            verdicts.judge(run, page=a_page)
    verdict = run.read_verdict()
    assert verdict is not None
    assert verdict["verdict"] in ("error", "interrupted")
    assert "PASS" not in (run / "summary.md").read_text()
    assert all((run / one).stat().st_size for one in TWINS)
    assert not [path for path in run.path.iterdir() if path.name.startswith(".")]


def test_where_nothing_can_be_written_an_earlier_green_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A judge that ends with an error over a full disk leaves no green verdict, twin or page (fault 55)."""
    run = a_run(tmp_path / "artifacts")
    verdicts.judge(run, page=a_page)

    def full(*_: object) -> None:
        raise StorageError("cannot be written (No space left on device)")

    monkeypatch.setattr(Folder, "write_text", full)
    with pytest.raises(StorageError):
        verdicts.judge(run, page=a_page)
    assert not any((run / name).exists() for name in (*TWINS, "verdict.json", "report.html"))


def test_a_twin_that_cannot_be_replaced_leaves_nothing_green(tmp_path: Path) -> None:
    """A folder in its place: an error that says so, and no file that contradicts another."""
    run = a_run(tmp_path / "artifacts")
    verdicts.judge(run)
    (run / "summary.md").unlink()
    (run / "summary.md").mkdir()
    with pytest.raises(StorageError, match="move what is there out of the way"):
        verdicts.judge(run)
    assert not any((run / name).is_file() for name in (*TWINS, "verdict.json"))


@pytest.mark.thorough
def test_a_signal_that_comes_while_it_is_published_comes_too_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever arrives between the first rename and the last, the files are one statement."""
    run = a_run(tmp_path / "artifacts")
    replace, handler = Path.replace, signal.getsignal(signal.SIGTERM)

    def interrupted(self: Path, target: Path) -> Path:
        if target.parent == run.path and target.name in TWINS:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    assert verdicts.judge(run)["verdict"] == "pass"
    assert RunDirectory.open(run.path).amiss() == []
    assert signal.getsignal(signal.SIGTERM) is handler


def test_a_run_without_a_verdict_says_so(tmp_path: Path) -> None:
    """Before it is judged, and where it cannot be: all twins, with the reason; no criterion holds."""
    run = a_run(tmp_path / "artifacts")
    values = unjudged(run, failure_of("computing", KeyboardInterrupt(UNENDED)))
    assert values["verdict"] == "interrupted"
    assert UNENDED in (run / "summary.md").read_text()
    assert {one.verdict for one in values["criteria"]} == {"error"}
    assert run.read_verdict() is not None
    withdraw(run)
    assert run.read_verdict() is None
    assert not any((run / name).exists() for name in TWINS)


def test_a_run_that_cannot_be_read_says_so_too(tmp_path: Path) -> None:
    """Even without a configuration or a provenance there is a verdict, which is none."""
    run = a_run(tmp_path / "artifacts")
    (run / "config.toml").write_text("")
    (run / "environment.json").write_text("{")
    values = unjudged(run, failure_of("reading", RunError("nothing can be read")))
    assert (values["verdict"], values["criteria"]) == ("error", [])
    assert json.loads((run / "verdict.json").read_text())["failure"]["message"] == "nothing can be read"


def test_what_ended_a_run_is_told_by_its_kind() -> None:
    """An interrupt is one, whatever it says; an error without words is told by its name."""
    assert failure_of("x", KeyboardInterrupt())["message"] == "interrupted"
    assert failure_of("x", SystemExit(1))["kind"] == "interrupted"
    assert failure_of("x", ZeroDivisionError())["message"] == "ZeroDivisionError"
    assert publishing.word_of(failure_of("x", KeyboardInterrupt())) == "interrupted"
    assert publishing.word_of(None) == "error"


def test_a_run_that_broke_off_is_published_as_it_ended(tmp_path: Path) -> None:
    """Its failure stands in the verdict, and judging it again changes nothing of that."""
    run = a_run(tmp_path / "artifacts")
    run.write_json("failure.json", failure_of("training", RunError("no disk")))
    sealed_anew(run)
    for values in (unjudged(run, failure_of("training", RunError("no disk"))), verdicts.judge(run)):
        assert values["verdict"] == "error"
        assert values["failure"]["message"] == "no disk"
