"""A history in a file: damage is proven and set aside untouched; a lock, a missing right, a kill are none."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from harness.history.store import DamagedStore, History, Unreachable, set_aside
from tests.test_history import a_night
from tests.test_history_store import begun, edited, run_sql, swapped, two_versions, without_version


@pytest.fixture
def place(tmp_path: Path) -> str:
    """Where a new history may be."""
    return str(tmp_path / "history.db")


@pytest.fixture
def history(place: str) -> History:
    """A new history."""
    return History.open(place)


@pytest.fixture
def locked(history: History, place: str) -> Iterator[str]:
    """A store that somebody else holds."""
    history.record(a_night())
    with closing(sqlite3.connect(place, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield place


def test_a_lock_is_waited_for_and_is_no_damage(locked: str) -> None:
    """Neither to open, to read nor to write; and it is not set aside for it."""
    with pytest.raises(
        Unreachable, match=r"history\.db: the history cannot be used now \(database is locked"
    ):
        History.open(locked, patience=0.1)
    with pytest.raises(Unreachable):
        set_aside(locked, patience=0.1)
    assert Path(locked).is_file()


def test_who_reads_hinders_no_writer(history: History, place: str) -> None:
    """But one who writes keeps others from writing until it is done."""
    history.record(a_night())
    short = History.open(place, patience=0.1)
    with closing(sqlite3.connect(place, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert len(short.nights()) == 1
        with pytest.raises(Unreachable, match="locked"):
            short.record(a_night(2))
        with pytest.raises(Unreachable, match="locked"):
            short.reserve(begun)
    assert short.record(a_night(2)) == "new"


@pytest.mark.parametrize("name", ["missing/history.db", "file/history.db", "folder"])
def test_a_place_that_cannot_be_is_out_of_reach(tmp_path: Path, name: str) -> None:
    """No folder is made, and the sentence names the place."""
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(Unreachable, match=name):
        History.open(tmp_path / name)
    assert not (tmp_path / "missing").exists()


def test_a_store_that_may_not_be_written_can_be_read() -> None:
    """Reading needs no right to write; recording says that it lacks."""
    with tempfile.TemporaryDirectory() as name:  # not below pytest's folders, which others cannot enter
        folder = Path(name)
        history = History.open(folder / "history.db")
        history.record(a_night())
        (folder / "history.db").chmod(0o444)
        folder.chmod(0o555)
        root = os.geteuid() == 0  # whom no mode hinders
        try:
            if root:
                os.seteuid(65534)
            assert len(History.open(folder / "history.db").nights()) == 1
            with pytest.raises(Unreachable, match="readonly"):
                history.record(a_night(2))
            with pytest.raises(Unreachable, match="unable to open"):
                History.open(folder / "other.db")
        finally:
            if root:
                os.seteuid(0)
            folder.chmod(0o755)


def noise(share: float, length: int) -> Callable[[str], None]:
    """Overwrites a part of a file that begins at a share of it; its length stays."""

    def overwrite(place: str) -> None:
        start = int(share * Path(place).stat().st_size)
        with Path(place).open("r+b") as stream:
            stream.seek(start)
            stream.write(bytes((number * 97 + 13) % 256 for number in range(length)))

    return overwrite


def cut(place: str) -> None:
    os.truncate(place, Path(place).stat().st_size // 2)


def cut_short(place: str) -> None:
    os.truncate(place, 50)


def other_file(place: str) -> None:
    Path(place).write_text("dear diary\n" * 1000)


def blob(place: str) -> None:
    run_sql(place, "UPDATE harness_night SET document = x'ff00fe' WHERE id LIKE '000007%'")


DAMAGE = [
    cut,
    cut_short,
    other_file,
    without_version,
    two_versions,
    edited,
    swapped,
    blob,
    noise(0, 100),
    *(noise(share, 4096) for share in (0.2, 0.5, 0.8)),
]


@pytest.mark.thorough
@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_proven_and_set_aside_untouched(
    history: History, place: str, damage: Callable[[str], None]
) -> None:
    """Whatever it is, it is found, the file is kept as it is, and a new history begins in its place."""
    for number in range(1, 31):
        history.record(a_night(number))
    path = Path(place)
    damage(place)
    found = path.read_bytes()
    with pytest.raises(DamagedStore, match=r"history\.db: .*(damaged|missing)") as told:
        History.open(place).nights()
    assert told.value.path == path
    aside = set_aside(place)
    assert aside == path.with_name("history.db.damaged-1")
    assert aside.read_bytes() == found
    assert not path.exists()
    assert History.open(place).nights() == []
    assert set_aside(place) is None
    cut_short(place)
    assert set_aside(place) == path.with_name("history.db.damaged-2")


def test_a_journal_goes_with_its_file(history: History, place: str) -> None:
    """That of one who is writing, or was killed: it would be played into the next history."""
    history.record(a_night(7))
    path = Path(place)
    edited(place)
    with closing(sqlite3.connect(place, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO harness_act VALUES ('a', 'b')")
        assert path.with_name("history.db-journal").exists()
        assert set_aside(place) == path.with_name("history.db.damaged-1")
        names = sorted(one.name for one in path.parent.iterdir())
        assert names == ["history.db.damaged-1", "history.db.damaged-1-journal"]


def test_a_sound_store_is_never_set_aside(history: History, place: str) -> None:
    """Who found it damaged may find that another has put it aside, and begun a new one."""
    history.record(a_night())
    assert set_aside(place) is None
    assert History.open(place).nights() == [a_night()]


def test_an_empty_file_is_a_new_history(place: str) -> None:
    """As one that somebody made for it."""
    Path(place).touch()
    assert History.open(place).nights() == []


KILLED = """
import os, signal, sys
from harness.history import store
from tests.test_history import a_night
history = store.History.open(sys.argv[1])
history.record(a_night(2))
with history._transaction(writing=True) as connection:
    from harness.history import schema
    connection.exec_driver_sql("PRAGMA cache_size = 1")
    connection.exec_driver_sql("PRAGMA cache_spill = 1")
    for number in range(3, 200):
        text = store.as_text(a_night(number)) + " " * 5000
        connection.execute(schema.night.insert().values(id=a_night(number).id, document=text))
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.thorough
def test_a_kill_in_the_middle_of_writing_is_undone(history: History, place: str) -> None:
    """What was half written, and reached the disk, is played back by who opens the store next."""
    history.record(a_night())
    size = Path(place).stat().st_size
    done = subprocess.run([sys.executable, "-c", KILLED, place], check=False)
    assert done.returncode == -signal.SIGKILL
    assert Path(f"{place}-journal").stat().st_size > 0
    assert Path(place).stat().st_size > size + 100_000
    assert [one.sequence for one in History.open(place).nights()] == [1, 2]
    assert not Path(f"{place}-journal").exists()


def test_a_place_may_be_home_or_a_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`~` is home, and SQLite's own URL is its path."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert History.open("~/odd name?#%.db").path == tmp_path / "odd name?#%.db"
    assert History.open(f"sqlite:///{tmp_path}/url.db").path == tmp_path / "url.db"
    assert {one.name for one in tmp_path.iterdir()} == {"odd name?#%.db", "url.db"}
