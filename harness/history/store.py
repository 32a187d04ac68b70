"""Where the nights are kept: an embedded SQLite file, or PostgreSQL for several runners; one code for both.

A connection lives as long as one transaction. What reads and then writes is alone in it: SQLite begins it
IMMEDIATE, for a reading transaction that turns into a writing one fails at once however long one would wait;
PostgreSQL takes an advisory lock. SQLite keeps its rollback journal, as WAL works on no network file system.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from harness.artifacts.staging import locked
from harness.errors import ConfigurationError, HarnessError, RunError
from harness.history.records import Human, NewerSchema, Night, act_of, as_text, night_of

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine, Table
    from sqlalchemy.exc import DBAPIError

T = TypeVar("T", Night, Human)

PATIENCE = 20.0
"""Seconds that a lock, or a server, is waited for."""

Outcome = Literal["new", "same", "replaced", "kept"]
"""What became of a document: `kept` where the history's own was not given up for it."""

_DAMAGED = ("malformed", "file is not a database")
"""What SQLite says of a file that is none of its own any more; of a lock or a full disk it says others."""

_MAGIC, _SUFFIXES = b"SQLite format 3\0", (".db", ".sqlite", ".sqlite3")
"""How an SQLite file begins, and how one is named."""

EXPECTED = "expected a path, or postgresql+psycopg://user@host:port/database"

_CORRUPTED = ("XX001", "XX002")
"""PostgreSQL's codes for damaged data and a damaged index."""

_BESIDE = ("-journal", "-wal", "-shm")
"""What SQLite may leave beside its file, and what belongs to none but it."""

_LOCK = 0x6861726E657373
"""The advisory lock's number in PostgreSQL: `harness` in ASCII."""


class Unreachable(HarnessError):
    """The history cannot be used now: locked, a server away, no permission. Nothing is wrong with it."""


class NoHistory(ConfigurationError):
    """There is no history where one is to be. Name its place, or let a night begin it."""


class DamagedStore(HarnessError):
    """The history is damaged, which is proven: by its own database, or by what stands in a document's place.

    Attributes:
        path: The SQLite file that `set_aside` moves; None where a server keeps the history.
    """

    def __init__(self, message: str, path: Path | None = None) -> None:
        super().__init__(message)
        self.path = path


class History:
    """The nights' documents and the human acts, in one store.

    Attributes:
        name: The store in messages: a path, or where the server is, without who asks and a password.
        path: The SQLite file; None where a server keeps it.

    Raises:
        Unreachable: whatever is asked of it, it cannot be asked now.
        DamagedStore: it proved damaged.
        NewerSchema: a document in it was written by a newer harness.
    """

    def __init__(self, engine: Engine, name: str, path: Path | None, patience: float) -> None:
        self.name, self.path = name, path
        self._engine, self._patience = engine, patience
        self._parsed: dict[str, tuple[str, Any]] = {}  # documents by id: a night asks for all of them often

    @classmethod
    def open(cls, place: str | Path, *, patience: float = PATIENCE, new: bool = True) -> History:
        """The history of a place; its tables are made where there are none.

        Args:
            place: A path is an SQLite file's; `~` is home; what holds `://` is a database's URL.
            patience: Seconds that a lock or a server is waited for.
            new: Whether a file that is not there is made.

        Raises:
            ConfigurationError: no such place can be meant, or the driver is missing.
            NoHistory: the file is not there, and is not to be made.
            NewerSchema: a newer harness made the store.
            Unreachable: it cannot be asked now, or its folder is not there or not writable.
            DamagedStore: the database says so, by its own check.
        """
        from harness.history import schema

        url, name, path = _located(place)
        if path is not None and not new and not os.path.lexists(path):
            raise NoHistory(f"{name}: there is no history; `harness nightly` begins one")
        history = cls(_engine(url, patience), name, path, patience)
        with history._transaction(writing=False) as connection:
            if path is not None:
                said = str(connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar())
                if said != "ok":
                    raise DamagedStore(f"{name}: damaged ({_line(said)})", path)
            found = history._version(connection)
        if found < schema.VERSION:
            with history._transaction(writing=True) as connection:
                history._version(connection)
                schema.upgrade(connection)
        return history

    def reserve(self, make: Callable[[str], Night]) -> Night:
        """A night of a number that no other has: one more than the highest. It is stored at once.

        Args:
            make: The document, of status `begun`, of an id; called while nobody else can reserve.

        Returns:
            What `make` made.
        """
        from sqlalchemy import select

        from harness.history import schema

        with self._transaction(writing=True) as connection:
            numbers = [self._sequence(one) for one in connection.scalars(select(schema.night.c.id))]
            night = make(f"{1 + max(numbers, default=0):06d}-{secrets.token_hex(3)}")
            connection.execute(schema.night.insert().values(id=night.id, document=as_text(night)))
        return night

    def record(self, night: Night) -> Outcome:
        """Store a night in the place of an earlier document of its id; again and again, it is one.

        One that has ended stays where the new one has not.
        """
        from harness.history import schema

        def ended(text: str) -> bool:
            return self._read(night.id, text, night_of).status == "ended"

        return self._put(
            schema.night, night.id, as_text(night), lambda known: night.status == "begun" and ended(known)
        )

    def act(self, human: Human) -> Outcome:
        """Store what a person did; one of its id that is there stays as it is."""
        from harness.history import schema

        return self._put(schema.act, human.id, as_text(human), lambda _: True)

    def nights(self) -> list[Night]:
        """Every night, by id."""
        return [self._read(name, text, night_of) for name, text in self.documents("night")]

    def acts(self) -> list[Human]:
        """Every act, by the newest night at its time, then by id."""
        found = [self._read(name, text, act_of) for name, text in self.documents("act")]
        return sorted(found, key=lambda one: (one.after, one.created, one.id))

    def documents(self, kind: Literal["night", "act"]) -> list[tuple[str, str]]:
        """Ids and documents as they are stored, by id: for who takes what can be read of a damaged one."""
        from sqlalchemy import select

        from harness.history import schema

        table = schema.night if kind == "night" else schema.act
        with self._transaction(writing=False) as connection:
            rows = connection.execute(select(table.c.id, table.c.document)).all()
        # not by the database, whose order is that of its language
        return sorted((str(name), str(text)) for name, text in rows)

    def _put(self, table: Table, name: str, text: str, keeps: Callable[[str], bool]) -> Outcome:
        from sqlalchemy import select

        with self._transaction(writing=True) as connection:
            known = connection.scalar(select(table.c.document).where(table.c.id == name))
            if known is None:
                connection.execute(table.insert().values(id=name, document=text))
                return "new"
            if known == text:
                return "same"
            if keeps(known):
                return "kept"
            connection.execute(table.update().where(table.c.id == name).values(document=text))
        return "replaced"

    def _read(self, name: str, text: str, read: Callable[[str, str], T]) -> T:
        known = self._parsed.get(name)
        if known is not None and known[0] == text:
            before: T = known[1]
            return before
        try:
            found = read(text, name)
        except RunError as error:
            raise DamagedStore(f"{self.name}: {error}", self.path) from None
        if found.id != name:
            raise DamagedStore(f"{self.name}: {name}: damaged (holds {found.id})", self.path)
        self._parsed[name] = text, found
        return found

    def _sequence(self, name: str) -> int:
        number = name.partition("-")[0]
        if not number.isdigit():
            raise DamagedStore(f"{self.name}: {name}: damaged (is no night's id)", self.path)
        return int(number)

    def _version(self, connection: Connection) -> int:
        """The store's schema.

        Raises:
            NewerSchema: newer than this harness knows.
            DamagedStore: it cannot be told.
        """
        from harness.history import schema

        try:
            found = schema.version_of(connection)
        except ValueError as error:
            raise DamagedStore(f"{self.name}: damaged ({error})", self.path) from None
        if found > schema.VERSION:
            raise NewerSchema(
                f"{self.name}: schema {found} is newer than this harness knows ({schema.VERSION}); "
                "use a newer harness"
            )
        return found

    @contextmanager
    def _transaction(self, *, writing: bool) -> Iterator[Connection]:
        """A transaction of a connection of its own; `writing`, nobody else is in such a one."""
        from sqlalchemy.exc import DBAPIError

        try:
            with self._engine.connect() as connection:
                connection = connection.execution_options(harness_writing=writing)
                with connection.begin():
                    if self.path is None:
                        self._hold(connection, writing=writing)
                    yield connection
        except DBAPIError as error:
            raise self._told(error) from None

    def _hold(self, connection: Connection, *, writing: bool) -> None:
        wait = max(1, round(1000 * self._patience))  # milliseconds; 0 would be for ever
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {wait}")
        if writing:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")

    def _told(self, error: DBAPIError) -> HarnessError:
        """What a database's error is to us; only what proves damage is damage."""
        said = _line(str(error.orig))
        password = self._engine.url.password
        if password:
            said = said.replace(password, "***")
        code = getattr(error.orig, "sqlstate", None)
        if code in _CORRUPTED or (self.path is not None and any(one in said for one in _DAMAGED)):
            return DamagedStore(f"{self.name}: damaged ({said})", self.path)
        if self.path is not None and not self.path.parent.is_dir():
            said = f"there is no folder {self.path.parent}"
        elif self.path is not None and self.path.is_dir():
            said = "it is a folder"
        return Unreachable(f"{self.name}: the history cannot be used now ({said})")


def set_aside(place: str | Path, *, patience: float = PATIENCE) -> Path | None:
    """Move a damaged SQLite file, as it is, out of the way of a new one: to `<name>.damaged-<number>`.

    That it is damaged is looked up once more, alone: who found it so too may have been first.

    Returns:
        Where it lies now; None where nothing had to be moved, or a server keeps the history.

    Raises:
        Unreachable: it cannot be moved, or looked at.
    """
    _, name, path = _located(place)
    if path is None:
        return None
    with locked(path.parent):
        try:
            history = History.open(path, patience=patience)
            history.nights(), history.acts()
        except DamagedStore:
            number = 1
            while (target := path.with_name(f"{path.name}.damaged-{number}")).exists():
                number += 1
            try:
                # first what lies beside it: a journal of the old file would be played into a new one
                for suffix in _BESIDE:
                    if (beside := path.with_name(path.name + suffix)).exists():
                        beside.rename(target.with_name(target.name + suffix))
                path.rename(target)
            except OSError as error:
                raise Unreachable(f"{name}: cannot be set aside ({error.strerror or error})") from None
            return target
    return None


def _line(text: str) -> str:
    return " ".join(text.split())


def _located(place: str | Path) -> tuple[URL, str, Path | None]:
    """A place's URL, its name in messages, and its path where it is a file.

    Raises:
        ConfigurationError: it is no place of a history.
    """
    from sqlalchemy import URL, make_url
    from sqlalchemy.exc import ArgumentError

    if "://" not in str(place):
        path = Path(place).expanduser()
        return URL.create("sqlite", database=str(path)), str(path), path
    try:
        url = make_url(str(place))
    except (ArgumentError, ValueError):  # whose message may hold the password
        raise ConfigurationError(f"history: the database's URL cannot be read; {EXPECTED}") from None
    if url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:"):
        return _located(Path(str(url.database)))
    if url.drivername not in ("postgresql", "postgresql+psycopg"):
        raise ConfigurationError(f"history: {url.drivername} is no store of a history; {EXPECTED}")
    port = f":{url.port}" if url.port else ""
    name = f"postgresql://{url.host or 'localhost'}{port}/{url.database or ''}"
    return url.set(drivername="postgresql+psycopg"), name, None


def refuse_what_is_none(place: str) -> None:
    """Refuse a place, of somebody's choice, at which no history can be: it would be waited for every night.

    Raises:
        ConfigurationError: it is empty, a folder, or a file of another kind, which is no damaged history.
    """
    path = Path(place).expanduser()
    why = ""
    if not place.strip():
        why = "names no place"
    elif "://" not in place and path.is_dir():
        why = f"{path}: is a folder"
    elif "://" not in place and _is_foreign(path):
        why = f"{path}: is a file of another kind"
    if why:
        raise ConfigurationError(f"history: {why}; {EXPECTED}")


def _is_foreign(path: Path) -> bool:
    """Whether a file is neither SQLite's nor named like one: no damaged history that may be set aside."""
    try:
        with path.open("rb") as stream:
            begins = stream.read(len(_MAGIC))
    except OSError:
        return False
    return begins not in (b"", _MAGIC) and path.suffix not in _SUFFIXES


def _engine(url: URL, patience: float) -> Engine:
    """The engine of a URL; it connects when it is used, and keeps no connection.

    Raises:
        ConfigurationError: the driver is not installed.
    """
    from sqlalchemy import create_engine, event
    from sqlalchemy.pool import NullPool

    given: dict[str, Any] = {"timeout": patience}
    if url.get_backend_name() == "postgresql":
        # a network that swallows packets must not hold a night up
        limits = {"connect_timeout": max(2, round(patience)), "tcp_user_timeout": round(1000 * patience)}
        given = {key: value for key, value in limits.items() if key not in url.query}
    try:
        engine = create_engine(url, poolclass=NullPool, pool_reset_on_return=None, connect_args=given)
    except ImportError as error:
        raise ConfigurationError(
            f"history: the driver for PostgreSQL cannot be loaded ({_line(str(error))}); install "
            "interpretability-harness[history-postgresql]"
        ) from None
    if url.get_backend_name() == "sqlite":

        @event.listens_for(engine, "connect")
        def connected(connection: Any, _: object) -> None:
            connection.isolation_level = None  # it is begun below, not by the driver
            # noise is for who reads the document; the driver would not say in which one it is
            connection.text_factory = lambda raw: raw.decode("utf-8", "replace")

        @event.listens_for(engine, "begin")
        def begun(connection: Connection) -> None:
            writing = connection.get_execution_options().get("harness_writing")
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine
