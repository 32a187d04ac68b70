"""The command `studio`: what it loads, what it refuses, what it prints, and how it ends."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

import harness
from harness import cli, config
from harness.artifacts.directories import RunDirectory
from harness.cli.studio import DEVICES, _listening
from harness.environment import choose_device, gpus
from tests.written import a_run

Command = Callable[..., tuple[int, str]]

LONG = 60
PLACE = str(Path(harness.__file__).parent.parent)
HEAVY = ("starlette", "uvicorn", "anyio", "torch", "numpy", "pandas", "matplotlib", "jinja2")
BODY = np.array([0, 1, 0.5, 0, 0, 0], dtype="<f4").tobytes()

STAND_IN = """
import sys
from types import ModuleType
from tests.studio_runs import FakeLive

class Live(FakeLive):
    def __init__(self, run, *, device):
        super().__init__({"id": run.directory.path.name, "title": f"on {device}"})

def stand_in(name, **values):
    sys.modules[f"harness.studio.{name}"] = ModuleType(f"harness.studio.{name}")
    vars(sys.modules[f"harness.studio.{name}"]).update(values)

stand_in("live", Live=Live)
stand_in("saved", render=lambda about, question, answer: "view")
def files(abouts):
    return {"/": ("text/html", b"<p>%d open</p>" % len(abouts)), "/studio.css": ("text/css", b"css")}

stand_in("page", files=files)
from harness.cli import main
main()
"""
"""The command, over runs that answer without a network, and a page of one line."""


def python(code: str, *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A program in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": PLACE},
        capture_output=True,
        text=True,
        check=False,
        timeout=LONG,
    )


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Runs `harness studio` in an empty folder; its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(signal, "signal", lambda *_: None)

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["harness", "studio", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, captured.out + captured.err

    return run


@contextmanager
def started(folder: Path, *arguments: str, code: str = STAND_IN) -> Iterator[tuple[Any, str, str]]:
    """A studio in a process of its own: the process, where it listens, and its token."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, "studio", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": PLACE, "COLUMNS": "40"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        # both at once: what came with the first would be lost to `communicate`
        line, said = (process.stdout.readline().strip() for _ in range(2))
        assert line.startswith("studio: http://"), line + said + str(process.communicate(timeout=LONG))
        assert said == "Ctrl-C ends it; whoever has this address may ask, and write checks"
        address = urlsplit(line.removeprefix("studio: "))
        yield process, address.netloc, parse_qs(address.fragment)["token"][0]
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=LONG)


def asked(place: str, method: str, path: str, token: str, body: bytes | None = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection(place, timeout=LONG)
    try:
        connection.request(method, path, body, {"X-Harness-Token": token})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_help_loads_nothing_of_it() -> None:
    """Neither the server nor torch, nor numpy."""
    code = (
        "import sys, harness, harness.cli\n"
        "try: harness.cli.main()\n"
        f"finally: print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = python(code, "studio", "--help")
    assert done.returncode == 0, done.stderr
    assert "--allow-host" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["asked", "pinning", "security", "server", "worker"])
def test_no_module_of_the_server_loads_torch(name: str) -> None:
    """What computes is loaded where it is asked."""
    code = f"import sys, harness.studio.{name}; sys.exit('torch' in sys.modules)"
    assert python(code).returncode == 0


@pytest.mark.thorough
@pytest.mark.parametrize("lost", [("starlette",), ("uvicorn",), ("starlette", "uvicorn")])
def test_without_the_extra_it_says_how_to_get_it(tmp_path: Path, lost: tuple[str, ...]) -> None:
    """In one line, before it looks at the run; its help and every other command are as they are."""
    gone = f"import sys\nfor name in {lost}: sys.modules[name] = None\nimport harness.cli; harness.cli.main()"
    done = python(gone, "studio", "no-such-run", folder=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        f"error: the studio needs {' and '.join(lost)}, which the extra `studio` brings: "
        "pip install 'interpretability-harness[studio]'\n"
    )
    assert python(gone, "studio", "--help").returncode == 0
    assert python(gone, "--version").returncode == 0


def test_the_devices_are_those_of_a_run() -> None:
    """Named twice, so that no help loads the configuration's parser."""
    assert get_args(config.Config.model_fields["device"].annotation) == DEVICES


def test_what_cannot_be_meant_is_one_line(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before any network is read."""
    monkeypatch.setattr(gpus, "why_absent", lambda: gpus.NOTHING_THERE[0])
    run = a_run(tmp_path / "artifacts").path
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        refusals: dict[str, tuple[object, ...]] = {
            "no run directory": ("nowhere",),
            "--host 0.0.0.0: is reached from beyond this machine; name with --allow-host": (
                run,
                "--host",
                "0.0.0.0",
            ),
            "--allow-host: must be a host's name": (run, "--allow-host", "*"),
            "which are data, not code": (run, "--checks", run / "checks"),
            f"--port {taken}: cannot be listened at (Address already in use)": (run, "--port", taken),
            "--device must be auto, cpu or cuda (got 'tpu')": (run, "--device", "tpu"),
            "--device cuda: no CUDA device is usable": (run, "--device", "cuda"),
            "--host 192.0.2.1": (run, "--host", "192.0.2.1", "--allow-host", "lab.example"),
        }
        for told, arguments in refusals.items():
            code, printed = command(*arguments)
            assert code == 2, printed
            assert told in printed
            assert len(printed.strip().splitlines()) == 1, printed


@pytest.mark.thorough
def test_it_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    """The printed address opens it; Ctrl-C is its ordinary end, and nothing but its lines was printed."""
    run = a_run(tmp_path / "artifacts").path
    with started(tmp_path, str(run), str(run)) as (process, place, token):
        assert asked(place, "GET", "/", "") == (200, "<p>2 open</p>")
        assert asked(place, "GET", "/studio.css", "") == (200, "css")
        assert asked(place, "GET", "/api/about", "")[0] == 403
        told = json.loads(asked(place, "GET", "/api/about", token)[1])
        assert [(one["id"], one["title"]) for one in told["runs"]] == [(run.name, "on cpu")] * 2
        status, text = asked(place, "POST", "/api/answer?run=1", token, BODY)
        assert (status, json.loads(text)["prediction"]["class"]) == (200, 1)
        assert asked(place, "POST", "/api/view", token, BODY) == (200, "view")
        assert asked(place, "POST", "/api/check?name=boot", token, BODY)[0] == 200
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=LONG)
    assert process.returncode == 0, err
    assert (out, err) == ("ended\n", "")
    assert (tmp_path / "checks" / "test_boot.py").is_file()
    assert token not in "".join(one.read_text() for one in tmp_path.rglob("*.py"))


def test_an_answer_in_two_parts_is_sent_at_once() -> None:
    """Nothing waits for the first part to be acknowledged, which takes 40 ms."""
    assert asyncio.run(_sends_at_once(_listening("127.0.0.1", 0)))


async def _sends_at_once(listening: socket.socket) -> int:
    """Whether what a server of asyncio accepts there sends without delay."""
    accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken = writer.get_extra_info("socket")
        accepted.set_result(taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    async with await asyncio.start_server(serve, sock=listening):
        _, writer = await asyncio.open_connection(*listening.getsockname())
        found = await accepted
        writer.close()
        await writer.wait_closed()
    return found


@pytest.mark.thorough
def test_it_may_be_told_where_and_what(tmp_path: Path) -> None:
    """Port, seed, folder of checks, a name that it is called by, and the device."""
    run = a_run(tmp_path / "artifacts").path
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    arguments: tuple[str, ...] = (
        str(run),
        "--port",
        port,
        "--seed",
        "3",
        "--checks",
        "mine",
        "--allow-host",
        "lab.example",
    )
    arguments += ("--device", "auto")
    with started(tmp_path, *arguments) as (process, place, token):
        assert place == f"127.0.0.1:{port}"
        about = json.loads(asked(place, "GET", "/api/about", token)[1])["runs"][0]
        assert (about["seed"], about["title"]) == (3, f"on {choose_device('auto', tell=str)}")
        pinned = json.loads(asked(place, "POST", "/api/check?name=boot", token, BODY)[1])
        assert pinned == {"file": "mine/test_boot.py", "frozen": "mine/frozen/boot.npy"}
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=LONG)
    assert process.returncode == 143
    assert (tmp_path / "mine" / "frozen" / "boot.npy").is_file()


@pytest.mark.thorough
def test_the_configuration_here_says_where_checks_are(tmp_path: Path) -> None:
    """The first of its folders, where nothing else is said."""
    run = a_run(tmp_path / "artifacts").path
    (tmp_path / "ours").mkdir()
    (tmp_path / "harness.toml").write_text('checks = ["ours"]\n')
    with started(tmp_path, str(run)) as (_, place, token):
        pinned = json.loads(asked(place, "POST", "/api/check?name=boot", token, BODY)[1])
    assert pinned["file"] == "ours/test_boot.py"


@pytest.mark.thorough
def test_an_error_of_the_studio_is_the_terminals(tmp_path: Path) -> None:
    """Its trace is printed there, and the studio goes on."""
    run = a_run(tmp_path / "artifacts").path
    broken = STAND_IN.replace(
        'stand_in("live", Live=Live)',
        'def answer(self, question): raise ZeroDivisionError("here")\nLive.answer = answer\n'
        'stand_in("live", Live=Live)',
    )
    with started(tmp_path, str(run), code=broken) as (process, place, token):
        status, text = asked(place, "POST", "/api/answer", token, BODY)
        assert (status, json.loads(text)) == (500, {"error": "the studio failed here; its terminal says how"})
        assert asked(place, "GET", "/", "")[0] == 200
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=LONG)
    assert process.returncode == 0
    assert "ZeroDivisionError: here" in err
    assert token not in err


@pytest.mark.thorough
def test_a_real_run_is_asked(finished: RunDirectory, tmp_path: Path) -> None:
    """With its own networks and its own page."""
    with started(tmp_path, str(finished.path), code="from harness.cli import main; main()") as told:
        process, place, token = told
        status, page = asked(place, "GET", "/", "")
        assert status == 200
        assert "<html" in page
        about = json.loads(asked(place, "GET", "/api/about", token)[1])["runs"][0]
        sample = about["samples"][0]
        connection = http.client.HTTPConnection(place, timeout=LONG)
        connection.request("GET", f"/api/input?index={sample['index']}", headers={"X-Harness-Token": token})
        body = connection.getresponse().read()
        connection.close()
        assert len(body) == 4 * about["features"]
        target = f"/api/answer?parts=maps,integrity,agreement&index={sample['index']}"
        status, text = asked(place, "POST", target, token, body)
        assert status == 200, text
        found = json.loads(text)
        assert found["prediction"]["class"] == sample["label"]
        assert found["changed"] == 0
        assert all(one["holds"] is not False for one in found["integrity"])
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=LONG)
    assert (process.returncode, err) == (0, "")
