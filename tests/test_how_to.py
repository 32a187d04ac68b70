"""The how-tos, done from top to bottom, each in a folder of its own: files, commands, and their codes.

What needs a network is replaced (`pip`), full-size training is small, and nights of pages that speak of many
are written by hand. A block of `console` is of another place, a runner or a server, and only looked at.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import nightly
from harness.config import settings
from harness.config.tables import parse
from harness.judging import suite
from tests import by_hand
from tests.commands import called
from tests.pages import ROOT, blocks
from tests.postgresql import PASSWORD, Server
from tests.small import SMALL
from tests.written import judged_here

pytestmark = pytest.mark.thorough

HOW_TO = ROOT / "docs" / "how-to"
TABLES = {key: table for key, table, _ in settings()}
LITTLE: dict[str, dict[str, Any]] = {"nightly": {"seeds": 1}}
"""What the pages leave to the configuration, by table: the tests' small run, and nights of one seed."""
for key, value in SMALL.items():
    if TABLES[key] not in (None, "data"):
        LITTLE.setdefault(str(TABLES[key]), {})[key] = value
SERVER = "postgresql+psycopg://harness@db/nights"
BY_HAND = {
    "accept-a-change": (*[""] * 11, "red"),
    "read-a-red-night": [""] * 11,
    "history-in-postgresql": [""] * 3,
}
"""Pages whose nights are written by hand, with those that there are when the page begins."""
WHOLE = ("your-own-data",)
"""Pages whose own data are so few that the whole recipe is small."""

STARTED = """#!/bin/sh
exec "{python}" "$@"
"""


class Reader:
    """Somebody who does what a page says, in a folder of their own.

    Attributes:
        folder: The working folder.
        env: What programs are found by.
        replaced: Texts of the page that stand for another place, and what is there here.
        small: Whether networks are trained, which then are small ones.
    """

    def __init__(self, folder: Path, env: dict[str, str], replaced: dict[str, str], *, small: bool) -> None:
        self.folder, self.env, self.replaced, self.small = folder, env, replaced, small
        folder.mkdir(parents=True, exist_ok=True)
        self.write("harness.toml", "")

    def write(self, name: str, text: str) -> None:
        """A file of the page; a configuration leaves to the small one what it does not name."""
        (self.folder / name).parent.mkdir(exist_ok=True, parents=True)
        more = self._what_is_small(text) if self.small and name == "harness.toml" else ""
        (self.folder / name).write_text(self.here(text) + more)

    def _what_is_small(self, text: str) -> str:
        told = dict(parse(text.encode(), "the page"))
        foreign = "model" in dict(told.get("model", {}))
        added = []
        for table, values in LITTLE.items():
            if table not in told and not (foreign and table == "model"):
                added.append(
                    f"\n[{table}]\n" + "".join(f"{key} = {value}\n" for key, value in values.items())
                )
        return "".join(added)

    def here(self, text: str) -> str:
        for there, here in self.replaced.items():
            text = text.replace(there, here)
        return text

    def do(self, command: str, remark: str) -> None:
        """A command, and the code that the page tells."""
        wanted = re.match(r"ends with (\d+)", remark)
        command = self.here(command)
        if remark.startswith("until Ctrl-C"):
            self._interrupted(command)
            return
        if re.match(r"harness [^&|;>$]*$", command):
            done = called(self.folder, *shlex.split(command)[1:])
        else:
            done = subprocess.run(
                ["bash", "-eo", "pipefail", "-c", command],
                cwd=self.folder,
                env=self.env,
                capture_output=True,
                text=True,
                check=False,
            )
        told = f"{command}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        assert done.returncode == (int(wanted[1]) if wanted else 0), told

    def _interrupted(self, command: str) -> None:
        with subprocess.Popen(
            shlex.split(command),
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            said = ""
            for line in process.stdout:
                said += line
                if "http://" in line:
                    process.send_signal(signal.SIGINT)
                    break
            said += process.stdout.read()
            assert process.wait() in (0, 130), said
            assert "http://" in said


@pytest.fixture
def reader(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Reader]:
    """Somebody in a new folder, with what the page's nights were before it begins."""
    programs = tmp_path / "bin"
    programs.mkdir()
    texts = {
        "pip": "#!/bin/sh\nexit 0\n",
        "python": STARTED.format(python=sys.executable),
        "pytest": STARTED.format(python=sys.executable).replace('"$@"', '-m pytest "$@"'),
        "harness": STARTED.format(python=sys.executable).replace('"$@"', '-m harness "$@"'),
    }
    for name, text in texts.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    env = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    monkeypatch.setenv("PGPASSWORD", PASSWORD)

    def begin(page: str) -> Reader:
        folder = tmp_path / "work"
        if page not in BY_HAND:
            finished: Path = request.getfixturevalue("finished_output")
            shutil.copytree(finished / "cache", folder / "artifacts" / "cache")
        replaced = {}
        if page == "history-in-postgresql":
            server: Server = request.getfixturevalue("server")
            replaced[SERVER] = server.new().replace(f":{PASSWORD}", "")
        made = Reader(folder, env, replaced, small=page not in (*BY_HAND, *WHOLE))
        if page in BY_HAND:
            monkeypatch.setattr(nightly, "nights_of", by_hand._by_hand)
            monkeypatch.setattr(suite, "run", judged_here)
            for night in BY_HAND[page]:
                monkeypatch.setenv("NIGHT", night)
                assert called(folder, "nightly", "--quiet").returncode == (1 if night else 0)
            monkeypatch.setenv("NIGHT", "red" if page == "read-a-red-night" else "")
        return made

    return begin


@pytest.mark.parametrize("page", sorted(HOW_TO.glob("*.md")), ids=lambda page: page.stem)
def test_a_how_to_does_what_it_says(page: Path, reader: Callable[[str], Reader]) -> None:
    """From its first line to its last, and every code is the one that it tells."""
    told = blocks(page.read_text(encoding="utf-8"))
    does = [block for block in told if block.file or block.language == "sh"]
    assert does, f"{page.name}: nothing to do"
    one = reader(page.stem)
    for block in does:
        if block.file:
            one.write(block.file, block.text)
            continue
        for command, remark in block.commands():
            one.do(command, remark)
