"""A PostgreSQL server of the tests' own, from the system's package, on loopback, in a folder of its own."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

USER, PASSWORD = "harness", "not-to-be-shown"
PATIENCE = 60.0
"""Seconds to wait for a server that starts or stops: many, for machines are shared."""


def programs() -> Path | None:
    """The folder of the server's programs; None where it is not installed."""
    named = shutil.which("postgres")
    places = [Path(named).parent] if named else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((one for one in places if (one / "initdb").is_file()), None)


def _missing() -> str:
    """Why there is no server; empty where one can be started."""
    if programs() is None:
        return "PostgreSQL is not installed (Debian: apt-get install postgresql)"
    if os.geteuid() == 0:
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            return "PostgreSQL refuses to run as root, and there is no user postgres"
    return ""


class Server:
    """A server; `stop` and `start` keep its data and its port."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, 0
        found = programs()
        assert found is not None
        self._programs = found
        self._process: subprocess.Popen[bytes] | None = None
        # as root it does not run
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
            self._as = {"user": "postgres", "group": "postgres", "extra_groups": ()}
        word = folder / "word"
        word.write_text(PASSWORD)
        word.chmod(0o644)
        self._run("initdb", "-U", USER, "--auth=scram-sha-256", f"--pwfile={word}", "-E", "UTF8", "--no-sync")

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._programs / program, "-D", self.folder / "data", *arguments],
            cwd=self.folder,
            check=True,
            stdout=subprocess.DEVNULL,
            **self._as,
        )

    def start(self) -> None:
        """Start, on the port that it had, or one that nobody else has."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "max_connections": "40",
        }
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            port = self.port or _free_port()
            chosen = [f"--{key}={value}" for key, value in settings.items()]
            with (self.folder / "log").open("ab") as log:
                self._process = subprocess.Popen(
                    [self._programs / "postgres", "-D", self.folder / "data", "-p", str(port), *chosen],
                    cwd=self.folder,
                    stdout=log,
                    stderr=log,
                    **self._as,
                )
            while self._process.poll() is None and time.monotonic() < end:
                with suppress(psycopg.OperationalError), psycopg.connect(self._conninfo(port)):
                    self.port = port
                    return
                time.sleep(0.05)
        raise AssertionError((self.folder / "log").read_text())

    def stop(self, number: int = signal.SIGINT) -> None:
        """Stop: by SIGINT in order, by SIGQUIT as a crash does."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(PATIENCE)
            self._process = None

    @contextmanager
    def stopped(self, number: int = signal.SIGINT) -> Iterator[None]:
        """Inside, the server is away."""
        self.stop(number)
        try:
            yield
        finally:
            self.start()

    def _conninfo(self, port: int) -> str:
        return f"host=127.0.0.1 port={port} user={USER} password={PASSWORD} dbname=postgres"

    def connect(self) -> psycopg.Connection[Any]:
        """A connection without transactions to the server's first database."""
        return psycopg.connect(self._conninfo(self.port), autocommit=True)

    def url(self, base: str, user: str = USER, password: str = PASSWORD) -> str:
        """The URL of a database."""
        return f"postgresql+psycopg://{user}:{password}@127.0.0.1:{self.port}/{base}"

    def new(self) -> str:
        """The URL of a new, empty database."""
        base = f"history_{secrets.token_hex(4)}"
        with self.connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(base)))
        return self.url(base)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def served() -> Iterator[Server]:
    """A running server; the test is skipped where none is installed, and fails where one is promised."""
    if why := _missing():
        required = os.environ.get("HARNESS_POSTGRESQL") == "required"
        (pytest.fail if required else pytest.skip)(why)
    with tempfile.TemporaryDirectory(prefix="harness-postgresql-") as name:
        server = Server(Path(name))
        try:
            server.start()
            yield server
        finally:
            server.stop()
