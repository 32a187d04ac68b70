"""A history as a folder: the same bytes there and back, nothing removed, and damage stays within its file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import ConfigurationError
from harness.history import documents
from harness.history.exchange import Exchanged, export, import_from
from harness.history.records import SCHEMA, NewerSchema, Night, as_text
from harness.history.store import History
from harness.judging import verdicts
from tests.test_history import WHOLE, a_night
from tests.test_history_store import an_act, edited, swapped
from tests.written import a_run, sealed_anew


def files(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def history(tmp_path: Path) -> History:
    """Three nights, one of them whole and one begun, and two acts."""
    found = History.open(tmp_path / "history.db")
    for night in (a_night(1, place="/ü\n"), a_night(2, status="begun"), WHOLE):
        found.record(night)
    found.act(an_act(1)), found.act(an_act(2))
    return found


def test_export_import_export_is_byte_equal(history: History, tmp_path: Path) -> None:
    """A file a document, named by its id, its bytes those that are stored."""
    first, second = tmp_path / "first", tmp_path / "second"
    done = export(history, first)
    assert set(files(first)) == {
        "night-000001-abc123.json",
        "night-000002-abc123.json",
        "night-000007-abc123.json",
        "act-accept-00000001.json",
        "act-accept-00000002.json",
    }
    assert (first / "night-000007-abc123.json").read_text() == as_text(WHOLE)
    other = History.open(tmp_path / "other.db")
    assert sorted(import_from(other, first).written) == sorted(done.written)
    export(other, second)
    assert files(second) == files(first)
    assert other.nights() == history.nights()
    assert other.acts() == history.acts()


def test_what_is_the_same_is_not_written_again(history: History, tmp_path: Path) -> None:
    """Nor is anything removed that the history does not have."""
    folder = tmp_path / "folder"
    export(history, folder)
    (folder / "night-000099-abc123.json").write_text("another clone's")
    before = {path.name: path.stat().st_ino for path in folder.iterdir()}
    history.record(a_night(2))
    done = export(history, folder)
    assert (done.written, len(done.same)) == (["night-000002-abc123.json"], 4)
    after = {path.name: path.stat().st_ino for path in folder.iterdir()}
    assert {name for name in after if after[name] != before[name]} == {"night-000002-abc123.json"}


def test_importing_twice_is_importing_once(history: History, tmp_path: Path) -> None:
    """And says that everything was there."""
    export(history, tmp_path / "folder")
    done = import_from(history, tmp_path / "folder")
    assert done == Exchanged(same=done.same)
    assert done.documents == 5


def test_what_ended_here_is_not_changed_by_another_history(history: History, tmp_path: Path) -> None:
    """Nor is an act; a night that had only begun takes its end."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "night-000001-abc123.json").write_text(as_text(a_night(1, accuracy=0.1)))
    (folder / "night-000002-abc123.json").write_text(as_text(a_night(2)))
    (folder / "act-accept-00000001.json").write_text(as_text(an_act(1, reason="another")))
    done = import_from(history, folder)
    assert done.written == ["night-000002-abc123.json"]
    assert sorted(done.kept) == ["act-accept-00000001.json", "night-000001-abc123.json"]
    assert history.nights() == [a_night(1, place="/ü\n"), a_night(2), WHOLE]


def test_damage_stays_within_its_file(history: History, tmp_path: Path) -> None:
    """Each damaged file is named, the rest is read; what is no document by its name is told, too."""
    folder = tmp_path / "folder"
    export(history, folder)
    (folder / "night-000001-abc123.json").write_bytes(b"\xff\xfe" * 50)
    (folder / "act-accept-00000001.json").write_text("")
    (folder / "night-000009-abc123.json").write_text(as_text(a_night(3)))
    (folder / "night-..-evil.json").write_text(as_text(a_night(4)))
    (folder / "README.md").write_text("ours")
    (folder / "night-000005-abc123.json").mkdir()
    other = History.open(tmp_path / "other.db")
    done = import_from(other, folder)
    assert done.ignored == ["README.md"]
    assert len(done.written) == 3
    for name in (
        "night-000001",
        "accept-00000001",
        "night-000009-abc123.json: damaged (holds",
        "..-evil",
        "000005",
    ):
        assert any(name in one and str(folder) in one for one in done.damaged), (name, done.damaged)
    assert [one.id for one in other.nights()] == ["000002-abc123", "000007-abc123"]


def test_no_document_can_name_a_place(tmp_path: Path, history: History) -> None:
    """An id is what ids are, so that an export writes into its folder alone."""
    folder = tmp_path / "folder"
    folder.mkdir()
    text = as_text(a_night(1)).replace("000001-abc123", "../000001-abc123")
    (folder / "night-x.json").write_text(text)
    done = import_from(history, folder)
    assert "id: '../000001-abc123' is none" in done.damaged[0]


def test_a_newer_document_lets_nothing_be_recorded(history: History, tmp_path: Path) -> None:
    """It is refused by name, before anything was done."""
    folder = tmp_path / "folder"
    export(history, folder)
    newer = json.loads(as_text(a_night(9))) | {"schema": SCHEMA + 1}
    (folder / "night-000009-abc123.json").write_text(json.dumps(newer))
    other = History.open(tmp_path / "other.db")
    with pytest.raises(NewerSchema, match=r"night-000009-abc123\.json: schema 2 is newer"):
        import_from(other, folder)
    assert other.nights() == []


@pytest.mark.parametrize("damage", [edited, swapped])
def test_what_can_be_read_of_a_damaged_history_is_exported(
    history: History, tmp_path: Path, damage: Callable[[str], None]
) -> None:
    """So that one document's damage costs one document."""
    damage(str(tmp_path / "history.db"))
    done = export(history, tmp_path / "folder")
    assert len(done.damaged) == 1
    assert "history.db: night-0000" in done.damaged[0]
    assert len(done.written) == 4


@pytest.mark.thorough
def test_a_run_directory_is_one_night(history: History, tmp_path: Path) -> None:
    """Its document is made of it; a run of no night is refused."""
    run = a_run(tmp_path)
    with pytest.raises(ConfigurationError, match="is the run of no night"):
        import_from(history, run.path)
    documents.write_night(run, Night("000008-abc123", "night", "begun"))
    verdicts.judge(sealed_anew(run))
    assert import_from(history, run.path).written == ["night-000008-abc123.json"]
    assert import_from(history, run.path).same == ["night-000008-abc123.json"]
    assert history.nights()[-1].value("accuracy") is not None


def test_a_folder_that_is_not_there_is_refused(history: History, tmp_path: Path) -> None:
    """By name."""
    with pytest.raises(ConfigurationError, match="nowhere: there is no such folder"):
        import_from(history, tmp_path / "nowhere")
