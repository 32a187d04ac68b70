"""The store of the history: nothing is lost, damage is proven, and a store out of reach is no damage."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ConfigurationError
from harness.history.records import Human, NewerSchema, Night, as_text
from harness.history.store import DamagedStore, History, Unreachable, set_aside
from tests.test_history import a_night


def begun(name: str) -> Night:
    """What a night is when it takes its number."""
    return Night(name, "night", "begun")


def an_act(number: int = 1, **changed: Any) -> Human:
    """An acceptance."""
    known: dict[str, Any] = dict(
        id=f"accept-{number:08x}",
        kind="accept",
        created="2026-01-01T00:00:00+00:00",
        after="000001-abc123",
        reason="known",
        alarm="accuracy@1",
    )
    return Human(**known | changed)


@pytest.fixture
def place(tmp_path: Path) -> str:
    """Where a new history may be."""
    return str(tmp_path / "history.db")


@pytest.fixture
def history(place: str) -> History:
    """A new history."""
    return History.open(place)


def test_what_is_recorded_comes_back(history: History, place: str) -> None:
    """Nights by their sequence, acts by the night they came after, whatever the order they were stored in."""
    nights = [a_night(number, place="/runs/ü") for number in (3, 1, 2)]
    for night in nights:
        assert history.record(night) == "new"
    later, earlier = an_act(1, after="000002-abc123"), an_act(2)
    history.act(later), history.act(earlier)
    again = History.open(place)
    assert again.nights() == sorted(nights, key=lambda one: one.sequence)
    assert again.acts() == [earlier, later]


def test_recording_twice_is_recording_once(history: History) -> None:
    """A night takes the place of what stood at its id; what has ended does not begin again."""
    night = history.reserve(begun)
    ended = a_night(1, id=night.id)
    assert [history.record(one) for one in (night, ended, ended, night)] == [
        "same",
        "replaced",
        "same",
        "kept",
    ]
    assert history.nights() == [ended]
    judged_again = a_night(1, id=night.id, verdict="fail")
    assert history.record(judged_again) == "replaced"
    assert history.nights() == [judged_again]


def test_an_act_is_never_changed(history: History) -> None:
    """What a person did stays as it was done."""
    assert [history.act(an_act()), history.act(an_act()), history.act(an_act(reason="other"))] == [
        "new",
        "same",
        "kept",
    ]
    assert history.acts() == [an_act()]


def test_a_number_is_one_more_than_the_highest(history: History) -> None:
    """Also behind a gap, and whatever the random part is."""
    history.record(a_night(41))
    assert history.reserve(begun).sequence == 42
    assert [one.status for one in history.nights()] == ["ended", "begun"]


def test_text_that_no_encoding_holds_is_stored(history: History) -> None:
    """A path's stray bytes reach the history as the sign for what is no text."""
    history.record(a_night(1, place="/runs/\udcff"))
    assert history.nights()[0].place == "/runs/?"


def one_of_many(place: str, number: int) -> None:
    """Reserve and record, in a process of its own that opens the store at the same time."""
    history = History.open(place)
    night = history.reserve(begun)
    history.record(a_night(number, id=night.id, seeds=[number]))


def test_eight_at_once_are_eight_nights(place: str) -> None:
    """On a store that does not exist yet, each gets a number of its own, and none is lost."""
    many = multiprocessing.get_context("spawn")
    processes = [many.Process(target=one_of_many, args=(place, number)) for number in range(8)]
    for one in processes:
        one.start()
    for one in processes:
        one.join()
    assert [one.exitcode for one in processes] == [0] * 8
    nights = History.open(place).nights()
    assert [one.sequence for one in nights] == list(range(1, 9))
    assert sorted(one.seeds[0] for one in nights) == list(range(8))
    assert {one.status for one in nights} == {"ended"}


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


def noise(path: Path, start: int, length: int = 4096) -> None:
    """Overwrite a part of a file, whose length stays."""
    with path.open("r+b") as stream:
        stream.seek(start)
        stream.write(bytes((number * 97 + 13) % 256 for number in range(length)))


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def cut_short(path: Path) -> None:
    os.truncate(path, 50)


def other_file(path: Path) -> None:
    path.write_text("dear diary\n" * 1000)


def without_version(path: Path) -> None:
    run_sql(path, "DROP TABLE harness_schema")


def two_versions(path: Path) -> None:
    run_sql(path, "INSERT INTO harness_schema VALUES (1)")


def edited(path: Path) -> None:
    run_sql(
        path,
        "UPDATE harness_night SET document = replace(document, 'ended', 'ender') WHERE id LIKE '000007%'",
    )


def swapped(path: Path) -> None:
    run_sql(path, "UPDATE harness_night SET id = '000099-abc123' WHERE id LIKE '000007%'")


def blob(path: Path) -> None:
    run_sql(path, "UPDATE harness_night SET document = x'ff00fe' WHERE id LIKE '000007%'")


def run_sql(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for one in statements:
            connection.execute(one)


DAMAGE = [
    cut,
    cut_short,
    other_file,
    without_version,
    two_versions,
    edited,
    swapped,
    blob,
    lambda path: noise(path, 0, 100),
    *(lambda path, share=share: noise(path, int(path.stat().st_size * share)) for share in (0.2, 0.5, 0.8)),
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_proven_and_set_aside_untouched(history: History, place: str, damage: Any) -> None:
    """Whatever it is, it is found, the file is kept as it is, and a new history begins in its place."""
    for number in range(1, 31):
        history.record(a_night(number))
    path = Path(place)
    damage(path)
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
    cut_short(path)
    assert set_aside(place) == path.with_name("history.db.damaged-2")


def test_a_journal_goes_with_its_file(history: History, place: str) -> None:
    """That of one who is writing, or was killed: it would be played into the next history."""
    history.record(a_night(7))
    path = Path(place)
    edited(path)
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


def test_another_programs_tables_stay(place: str) -> None:
    """The history's own bear a prefix, so that a database can be shared."""
    run_sql(Path(place), "CREATE TABLE night (id)", "INSERT INTO night VALUES (1)")
    History.open(place).record(a_night())
    with closing(sqlite3.connect(place)) as connection:
        assert connection.execute("SELECT * FROM night").fetchall() == [(1,)]


def test_a_newer_store_is_refused_by_name(history: History, place: str) -> None:
    """It is no damage, and stays where it is."""
    run_sql(Path(place), "UPDATE harness_schema SET version = 99")
    with pytest.raises(NewerSchema, match=r"history\.db: schema 99 is newer than this harness knows \(1\)"):
        History.open(place)
    with pytest.raises(NewerSchema):
        set_aside(place)
    assert issubclass(NewerSchema, ConfigurationError)


def test_a_newer_document_is_refused_by_name(history: History, place: str) -> None:
    """Likewise."""
    history.record(a_night())
    newer = json.dumps(json.loads(as_text(a_night())) | {"schema": 99})
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        connection.execute("UPDATE harness_night SET document = ?", (newer,))
    with pytest.raises(NewerSchema, match="000001-abc123: schema 99"):
        history.nights()


def test_an_older_store_is_upgraded_once(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step runs in order, and what was recorded stays."""
    from harness.history import schema

    History.open(place).record(a_night())
    ran: list[int] = []
    monkeypatch.setattr(schema, "VERSION", 3)
    monkeypatch.setitem(schema.STEPS, 1, lambda _: ran.append(1))
    monkeypatch.setitem(schema.STEPS, 2, lambda _: ran.append(2))
    assert History.open(place).nights() == [a_night()]
    History.open(place)
    assert ran == [1, 2]


def test_an_upgrade_that_breaks_off_changes_nothing(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The step and its number are one transaction."""
    from harness.history import schema

    History.open(place).record(a_night())

    def broken(connection: Any) -> None:
        connection.exec_driver_sql("DELETE FROM harness_night")
        raise KeyboardInterrupt

    monkeypatch.setattr(schema, "VERSION", 2)
    monkeypatch.setitem(schema.STEPS, 1, broken)
    with pytest.raises(KeyboardInterrupt):
        History.open(place)
    monkeypatch.setattr(schema, "VERSION", 1)
    assert History.open(place).nights() == [a_night()]


KILLED = """
import os, signal, sys
from harness.history import store
from tests.test_history import a_night
history = store.History.open(sys.argv[1])
made = store.as_text
def slow(night):
    print("in", flush=True)
    return made(night)
history.record(a_night(2))
with history._transaction(writing=True) as connection:
    from harness.history import schema
    connection.exec_driver_sql("PRAGMA cache_size = 1")
    connection.exec_driver_sql("PRAGMA cache_spill = 1")
    for number in range(3, 200):
        night = a_night(number)
        connection.execute(schema.night.insert().values(id=night.id, document=made(night) + " " * 5000))
    os.kill(os.getpid(), signal.SIGKILL)
"""


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


RECORDING = """
import sys
from harness.history.store import History
from tests.test_history import a_night
history = History.open(sys.argv[1])
for number in range(1, 100_000):
    history.record(a_night(number))
    print(number, flush=True)
"""


def test_a_kill_at_any_time_loses_nothing_that_was_recorded(place: str) -> None:
    """What was told to be recorded is there, and at most one more."""
    for wanted in (1, 4, 9):
        with subprocess.Popen(
            [sys.executable, "-c", RECORDING, place], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            told = [process.stdout.readline() for _ in range(wanted)]
            time.sleep(0.003 * wanted)
            process.kill()
            told += process.stdout.readlines()
        number = len(told)
        assert len(History.open(place).nights()) in (number, number + 1)
        Path(place).unlink()
        Path(f"{place}-journal").unlink(missing_ok=True)


@pytest.mark.parametrize(
    "place",
    [
        "mysql://host/base",
        "postgresql+pg8000://host/base",
        "postgresql://u:secret@h:port/b",
        "://",
        "sqlite://",
    ],
)
def test_another_kind_of_place_is_refused(place: str) -> None:
    """In a sentence that says what is expected, and no password."""
    with pytest.raises(ConfigurationError, match="expected a path, or postgresql") as told:
        History.open(place)
    assert "secret" not in str(told.value)


def test_a_place_may_be_home_or_a_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`~` is home, and SQLite's own URL is its path."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert History.open("~/odd name?#%.db").path == tmp_path / "odd name?#%.db"
    assert History.open(f"sqlite:///{tmp_path}/url.db").path == tmp_path / "url.db"
    assert {one.name for one in tmp_path.iterdir()} == {"odd name?#%.db", "url.db"}


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what installs it."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigurationError, match=r"interpretability-harness\[history-postgresql\]"):
        History.open("postgresql+psycopg://host/base")
