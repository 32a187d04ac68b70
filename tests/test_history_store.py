"""The store of the history, of both kinds: nothing is lost, and a store out of reach is no damage."""

from __future__ import annotations

import json
import multiprocessing
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, Engine, event, text

from harness.config import Config
from harness.errors import ConfigurationError
from harness.history import store
from harness.history.kept import place_of
from harness.history.records import Human, NewerSchema, Night, as_text
from harness.history.store import DamagedStore, History, Unreachable, set_aside
from tests.postgresql import PASSWORD, Server
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


@pytest.mark.thorough
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


@pytest.mark.parametrize("statement", range(4))
def test_a_store_that_another_makes_meanwhile_is_no_damage(server: Server, statement: int) -> None:
    """Whichever statement of looking at a new store the other's tables appear before."""
    place = server.new()
    seen: list[bool] = []
    others: list[int] = []

    def makes_it_first(connection: Connection, *_: Any) -> None:
        if connection.get_execution_options().get("harness_writing") is False and not others:
            if len(seen) == statement:
                others.append(0)  # the inner one is asked too
                others.append(History.open(place).reserve(begun).sequence)
            seen.append(True)

    event.listen(Engine, "before_cursor_execute", makes_it_first)
    try:
        history = History.open(place)
        assert history.nights() is not None
    finally:
        event.remove(Engine, "before_cursor_execute", makes_it_first)
    assert others == [0, 1]  # that statement was reached
    assert history.reserve(begun).sequence == 2


def run_sql(place: str, *statements: str, **values: str) -> list[Any]:
    """What a database answers that is asked behind the history's back."""
    url, _, _ = store._located(place)
    with store._engine(url, 20).connect() as connection:
        done = [connection.execute(text(one), values) for one in statements]
        rows = [tuple(row) for row in done[-1]] if done[-1].returns_rows else []
        connection.commit()
    return rows


def edited(place: str) -> None:
    """A document that somebody wrote into."""
    run_sql(
        place,
        "UPDATE harness_night SET document = replace(document, 'ended', 'ender') WHERE id LIKE '000007%'",
    )


def swapped(place: str) -> None:
    """A document in the place of another."""
    run_sql(place, "UPDATE harness_night SET id = '000099-abc123' WHERE id LIKE '000007%'")


def without_version(place: str) -> None:
    """Tables that do not tell their schema."""
    run_sql(place, "DROP TABLE harness_schema")


def two_versions(place: str) -> None:
    """Tables that tell two."""
    run_sql(place, "INSERT INTO harness_schema VALUES (1)")


def strange_id(place: str) -> None:
    """A row that bears no night's id."""
    run_sql(place, "INSERT INTO harness_night VALUES ('last', '{}')")


@pytest.mark.parametrize("damage", [edited, swapped, without_version, two_versions, strange_id])
def test_what_is_no_document_is_damage(history: History, place: str, damage: Callable[[str], None]) -> None:
    """It is named; what a server keeps is left where it is."""
    history.record(a_night(7))
    damage(place)
    with pytest.raises(DamagedStore, match="damaged") as told:
        History.open(place).nights()
    assert history.name in str(told.value)
    assert told.value.path == (None if "://" in place else Path(place))
    if "://" in place:
        assert set_aside(place) is None
    if damage is strange_id:
        with pytest.raises(DamagedStore, match="last: damaged"):
            history.reserve(begun)


def test_another_programs_tables_stay(place: str) -> None:
    """The history's own bear a prefix, so that a database can be shared."""
    run_sql(place, "CREATE TABLE night (id int)", "INSERT INTO night VALUES (1)")
    History.open(place).record(a_night())
    assert run_sql(place, "SELECT * FROM night") == [(1,)]


def test_a_newer_store_is_refused_by_name(history: History, place: str) -> None:
    """It is no damage, and stays where it is."""
    run_sql(place, "UPDATE harness_schema SET version = 99")
    with pytest.raises(NewerSchema, match=r"schema 99 is newer than this harness knows \(1\)") as told:
        History.open(place)
    assert history.name in str(told.value)
    if "://" not in place:
        with pytest.raises(NewerSchema):
            set_aside(place)
    assert issubclass(NewerSchema, ConfigurationError)


def test_a_newer_document_is_refused_by_name(history: History, place: str) -> None:
    """Likewise."""
    history.record(a_night())
    newer = json.dumps(json.loads(as_text(a_night())) | {"schema": 99})
    run_sql(place, "UPDATE harness_night SET document = :newer", newer=newer)
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


RECORDING = """
import sys
from harness.history.store import History
from tests.test_history import a_night
history = History.open(sys.argv[1])
for number in range(1 + int(sys.argv[2]), 100_000):
    history.record(a_night(number))
    print(number, flush=True)
"""


@pytest.mark.thorough
def test_a_kill_at_any_time_loses_nothing_that_was_recorded(place: str) -> None:
    """What was told to be recorded is there, and at most one more."""
    before = 0
    for wanted in (1, 4, 9):
        arguments = [sys.executable, "-c", RECORDING, place, str(before)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            told = [process.stdout.readline() for _ in range(wanted)]
            time.sleep(0.003 * wanted)
            process.kill()
            told += process.stdout.readlines()
        there = len(History.open(place).nights())
        assert there - before in (len(told), len(told) + 1)
        before = there


@pytest.mark.parametrize("name", ["", " ", "folder", "notes.txt", "harness.toml"])
def test_what_can_be_no_history_is_refused_and_left_alone(tmp_path: Path, name: str) -> None:
    """No place, a folder, a file of the user's own: it is not waited for, and nothing is set aside."""
    (tmp_path / "folder").mkdir()
    for file in ("notes.txt", "harness.toml"):
        (tmp_path / file).write_text("mine, and no database of anybody's")
    with pytest.raises(ConfigurationError, match=r"history: .*expected a path"):
        place_of(Config(), str(tmp_path / name) if name.strip() else name)
    assert {one.name for one in tmp_path.iterdir()} == {"folder", "notes.txt", "harness.toml"}


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """It may be out of reach; who mistyped it sees so."""
    with pytest.raises(Unreachable, match="there is no folder"):
        History.open(tmp_path / "away" / "history.db")


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


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what installs it."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigurationError, match=r"interpretability-harness\[history-postgresql\]"):
        History.open("postgresql+psycopg://host/base")


@pytest.mark.thorough
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_a_server_that_is_away_is_no_damage(server: Server, number: int) -> None:
    """Whether it was stopped or crashed; what was recorded before is there when it is back."""
    place = server.new()
    history = History.open(place)
    history.record(a_night())
    with server.stopped(number):
        for ask in (history.nights, lambda: history.record(a_night(2)), lambda: History.open(place)):
            with pytest.raises(Unreachable, match=f"127.0.0.1:{server.port}") as told:
                ask()
            assert PASSWORD not in str(told.value)
            assert "\n" not in str(told.value)
    assert history.nights() == [a_night()]


def test_a_server_that_goes_away_in_the_middle_has_nothing_half(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """The night that was being reserved is not there, and a sentence is all that is said."""
    history = History.open(server.new())

    def make(name: str) -> Night:
        server.stop(signal.SIGQUIT)
        return begun(name)

    try:
        with pytest.raises(Unreachable):
            history.reserve(make)
    finally:
        server.start()
    assert history.nights() == []
    assert capsys.readouterr() == ("", "")


def test_a_servers_lock_is_waited_for_and_is_no_damage(server: Server) -> None:
    """Who writes keeps others from writing, not from reading."""
    place = server.new()
    history = History.open(place, patience=0.2)
    with psycopg.connect(place.replace("+psycopg", "")) as other:
        other.execute(f"SELECT pg_advisory_xact_lock({store._LOCK})")
        with pytest.raises(Unreachable, match="lock timeout"):
            history.reserve(begun)
        assert history.nights() == []
    with psycopg.connect(place.replace("+psycopg", "")) as other:
        other.execute("LOCK TABLE harness_night IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(Unreachable, match="lock timeout"):
            history.nights()
    assert history.reserve(begun).sequence == 1


def test_who_may_not_is_told_without_a_password(server: Server) -> None:
    """A wrong password, a base that is not there, a role without the right to write."""
    place = server.new()
    history = History.open(place)
    history.record(a_night())
    base = place.rpartition("/")[2]
    with server.connect() as connection:
        connection.execute(f"CREATE ROLE reader_{base} LOGIN PASSWORD '{PASSWORD}'")
    run_sql(place, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader_{base}")
    reader = History.open(server.url(base, f"reader_{base}"))
    assert reader.nights() == [a_night()]
    cases: dict[str, Callable[[], object]] = {
        "permission denied": lambda: reader.record(a_night(2)),
        "password authentication failed": lambda: History.open(server.url(base, password="wrong-word")),
        "does not exist": lambda: History.open(server.url("nowhere")),
    }
    for said, ask in cases.items():
        with pytest.raises(Unreachable, match=said) as told:
            ask()
        assert not any(word in str(told.value) for word in (PASSWORD, "wrong-word", "\n"))
