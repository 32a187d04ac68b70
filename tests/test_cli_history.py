"""The commands of a history: what they print, and what they end with."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from harness.history.records import Night
from harness.history.store import History
from tests.test_cli import Command, harness  # noqa: F401 - a fixture
from tests.test_history import a_night
from tests.test_history_acting import opened
from tests.test_history_listing import BROKEN
from tests.test_history_pruning import a_nights_run
from tests.test_history_store import edited

# the fixture of another module is a name of this one
# ruff: noqa: F811


def kept(nights: list[Night], place: str | Path = "artifacts/history.db") -> History:
    """A history of nights, where the commands look for one."""
    if "://" not in str(place):
        Path(place).parent.mkdir(exist_ok=True)
    found = History.open(place)
    for night in nights:
        found.record(night)
    return found


def test_nothing_heavy_is_imported_for_help() -> None:
    """Neither the database's library nor scipy."""
    code = (
        "import sys, harness.cli; from harness.cli.history import history; "
        "sys.exit(any(name in sys.modules for name in ('sqlalchemy', 'scipy', 'numpy', 'pandas', 'torch')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.thorough
def test_the_list_shows_nights_trends_and_open_alarms(harness: Command, place: str) -> None:
    """Of either store; the alarm with the line that accepts it."""
    kept(BROKEN, place)
    code, printed = harness("history", "--history", place)
    assert code == 0, printed
    assert "000034-abc123" in printed
    assert "000004-abc123" not in printed
    assert "34 nights, 0 acts, 1 series" in printed
    assert "▁" in printed
    assert f"warning: {opened()}: " in printed
    assert f"harness accept {opened()} --reason" in printed


def test_an_empty_history_is_listed(harness: Command) -> None:
    """And one that is not there is refused, and not made."""
    code, printed = harness("history")
    assert (code, "there is no history; `harness nightly` begins one" in printed) == (2, True)
    assert not Path("artifacts").exists()
    kept([])
    code, printed = harness("history")
    assert (code, "0 nights, 0 acts, 0 series" in printed) == (0, True)


def test_a_history_is_where_the_configuration_says(harness: Command) -> None:
    """Or beside the runs; a flag wins."""
    kept([a_night(1)], "configured.db")
    kept([a_night(1), a_night(2)], "flagged.db")
    Path("harness.toml").write_text('output = "out"\n[nightly]\nhistory = "configured.db"\n')
    assert "configured.db: 1 night," in harness("history")[1]
    assert "flagged.db: 2 nights" in harness("history", "--history", "flagged.db")[1]
    Path("harness.toml").write_text('output = "out"\n')
    kept([], "out/history.db")
    assert "out/history.db: 0 nights" in harness("history")[1]


def test_every_number_is_csv(harness: Command) -> None:
    """Of every night, however many."""
    kept(BROKEN)
    code, printed = harness("history", "--csv")
    assert (code, len(printed.splitlines())) == (0, 35)
    assert printed.startswith("night,kind,")


def test_a_job_that_stopped_ends_with_3(harness: Command) -> None:
    """With the last night's date; so does a history that is gone; a mistake is one."""
    assert harness("history", "--max-age", "36h")[0] == 3
    now = datetime.now(timezone.utc)
    began = (now - timedelta(days=2)).isoformat(timespec="seconds")
    kept([a_night(1, created=began)])
    code, printed = harness("history", "--max-age", "36h")
    assert (code, began in printed) == (3, True)
    assert harness("history", "--max-age", "3d")[0] == 0
    assert harness("history", "--max-age", "soon")[0] == 2
    assert harness("history", "--max-age", "3d", "export", "folder")[0] == 2


def test_a_history_goes_to_a_folder_and_back(harness: Command, place: str) -> None:
    """Into a store that is not there yet; the place may stand before or after the command."""
    kept(BROKEN[:3], place)
    code, printed = harness("history", "--history", place, "export", "folder")
    assert (code, "3 documents: 3 written, 0 were there already" in printed) == (0, True), printed
    code, printed = harness("history", "import", "folder")
    assert (code, "3 documents: 3 recorded, 0 were there already" in printed) == (0, True), printed
    assert History.open("artifacts/history.db").nights() == BROKEN[:3]
    code, printed = harness("history", "export", "folder", "--history", place)
    assert (code, "0 written, 3 were there already" in printed) == (0, True)
    assert harness("history", "import", "nowhere")[0] == 2


def test_an_import_begins_a_history_where_none_is(harness: Command, tmp_path: Path) -> None:
    """Also where its folder is not there yet; a folder that is not there to be read leaves nothing behind."""
    kept([a_night(1)])
    assert harness("history", "export", "out")[0] == 0
    code, printed = harness("history", "import", "out", "--history", "another/place/h.db")
    assert code == 0, printed
    assert "1 document: 1 recorded" in printed
    assert harness("history", "import", "away", "--history", "new/h.db")[0] == 2
    assert not Path("new").exists()


def test_damage_is_named_and_ends_with_3(harness: Command) -> None:
    """All that can be read is exported, and imported."""
    kept(BROKEN[:9])
    edited("artifacts/history.db")
    code, printed = harness("history", "export", "folder")
    assert (code, "night-000007-abc123.json: damaged" in printed) == (3, True)
    assert "8 documents: 8 written" in printed
    (Path("folder") / "night-000001-abc123.json").write_text("{")
    (Path("folder") / "notes.txt").write_text("")
    code, printed = harness("history", "--history", "new.db", "import", "folder")
    assert (code, "7 documents: 7 recorded" in printed) == (3, True)
    assert "night-000001-abc123.json: damaged" in printed
    assert "notes.txt: is no document" in printed
    code, printed = harness("history")
    assert (code, "000007-abc123: damaged" in printed) == (3, True)


@pytest.mark.thorough
def test_the_nights_are_drawn_on_a_page(harness: Command) -> None:
    """Beside the runs, or where one asks for it; also while a night has only begun."""
    kept([])
    code, printed = harness("history", "page")
    assert (code, "there is nothing to draw" in printed) == (2, True)
    kept([*BROKEN, replace(a_night(35), status="begun", values=[], criteria=[])])
    code, printed = harness("history", "page")
    assert (code, "trends: artifacts/trends.html" in printed) == (0, True), printed
    assert opened() in Path("artifacts/trends.html").read_text()
    assert harness("history", "page", "--output", "public/index.html")[0] == 0
    assert Path("public/index.html").is_file()


def test_an_alarm_is_accepted_with_a_reason(harness: Command) -> None:
    """Without one it is refused, and nothing is stored; then it is open no more."""
    found = kept(BROKEN)
    assert harness("accept", opened())[0] == 2
    assert harness("accept", opened(), "--reason", " ")[0] == 2
    assert harness("accept", "acuracy@31", "--reason", "r")[0] == 2
    assert found.acts() == []
    code, printed = harness("accept", opened(), "--reason", "a smaller code")
    assert (code, f"accepted: {opened()}" in printed) == (0, True)
    (act,) = found.acts()
    assert (act.alarm, act.reason) == (opened(), "a smaller code")
    assert "warning" not in harness("history")[1]
    code, printed = harness("accept", opened(), "--reason", "again")
    assert (code, "is not open: it was accepted in night" in printed) == (2, True)


def test_a_night_is_excluded_with_a_reason(harness: Command) -> None:
    """It stays in the list, and counts for nothing."""
    found = kept(BROKEN[:12])
    assert harness("exclude", "12")[0] == 2
    assert harness("exclude", "99", "--reason", "r")[0] == 2
    assert harness("exclude", "12", "--reason", "a broken fan")[0] == 0
    assert [act.night for act in found.acts()] == ["000012-abc123"]
    assert "excluded" in harness("history")[1]
    code, printed = harness("exclude", "000012-abc123", "--reason", "again")
    assert (code, "is excluded already (a broken fan)" in printed) == (2, True)


@pytest.mark.thorough
def test_pruning_is_shown_before_it_is_done(harness: Command, tmp_path: Path) -> None:
    """And a run that was pruned is neither judged nor drawn, but compared."""
    output = tmp_path / "artifacts"
    runs = [a_nights_run(output, number) for number in (1, 2, 3)]
    kept([a_night(1), a_night(2), a_night(3, verdict="fail")])
    code, printed = harness("prune", "--keep", "1", "--dry-run")
    assert code == 0, printed
    assert "night 000002-abc123 is the last green one of its series" in printed
    assert "night 000003-abc123 is among the newest" in printed
    assert "MB would be free" in printed
    assert all((run / "samples.npz").is_file() for run in runs)
    code, printed = harness("prune", "--keep", "1")
    assert (code, "MB are free" in printed) == (0, True)
    assert [(run / "samples.npz").is_file() for run in runs] == [False, True, True]
    for command in ("judge", "report"):
        code, printed = harness(command, runs[0].path)
        assert (code, "was pruned" in printed) == (2, True), printed
    assert harness("compare", runs[0].path, runs[1].path)[0] == 0
    assert "it was pruned" in next(output.glob("compare-*.html")).read_text()
    assert harness("prune", "--keep", "0")[0] == 2
    assert harness("prune")[0] == 2


@pytest.mark.parametrize("command", [["history"], ["history", "--max-age", "1h"], ["prune", "--keep", "1"]])
def test_a_history_out_of_reach_is_one_line(harness: Command, command: list[str]) -> None:
    """And 3, with nothing done."""
    code, printed = harness(
        *command, "--history", "postgresql+psycopg://a:secret@127.0.0.1:1/b?connect_timeout=2"
    )
    assert code == 3
    assert len(printed.strip().splitlines()) == 1
    assert "127.0.0.1:1/b: the history cannot be used now" in printed
    assert "secret" not in printed


def test_a_configuration_by_name_is_that_of_the_alarms_too(harness: Command, tmp_path: Path) -> None:
    """What only the nights' own file watches can be listed and accepted."""
    place = str(tmp_path / "history.db")
    nights = [replace(one, values=[replace(one.values[0], name="own")]) for one in BROKEN]
    kept(nights, place)
    settings = tmp_path / "night.toml"
    settings.write_text('[[nightly.watch]]\nmeasurement = "own"\nmin_change = 0.01\n')
    told = ("--history", place, "--config", str(settings))
    assert harness("accept", "own@31", "--reason", "known", "--history", place)[0] == 2
    code, printed = harness("history", *told)
    assert (code, "own@31" in printed) == (0, True), printed
    code, printed = harness("accept", "own@31", "--reason", "known", *told)
    assert code == 0, printed
    assert harness("history", *told, "export", str(tmp_path / "out"))[0] == 0
