"""The studio's server: what it answers, however a body comes, to however many at once."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn

from harness.errors import InputError
from harness.studio import security, server, worker
from harness.studio.server import Studio
from tests.studio_client import BODY, LONG, PAGE, TOKEN, Made, of, raw, refusal, studio, told  # noqa: F401 - fixtures
from tests.studio_runs import ABOUT, FakeLive

# a fixture of another module is a name of this one
# ruff: noqa: F811


# what is answered


def test_the_page_needs_no_token(studio: Made) -> None:
    """Nor do its script and style; each is of its own type."""
    client = of(studio(), X_Harness_Token=None)
    assert client.get("/").text == "<p>studio</p>"
    assert client.get("/").headers["content-type"] == "text/html; charset=utf-8"
    assert client.get("/studio.js").headers["content-type"].startswith("text/javascript")
    assert client.request("HEAD", "/").status_code == 200


def test_a_run_tells_of_itself(studio: Made) -> None:
    """One entry for each that is open, with the seed that was asked for."""
    assert of(studio()).get("/api/about").json() == {"runs": [ABOUT]}
    both = of(studio(FakeLive(), FakeLive({"id": "other"}), seed=3)).get("/api/about").json()
    assert [(one["id"], one["seed"]) for one in both["runs"]] == [(ABOUT["id"], 3), ("other", 3)]


def test_an_input_is_given_as_its_bytes(studio: Made) -> None:
    """Float32, little endian, of the run that was named."""
    response = of(studio(FakeLive(), FakeLive())).get("/api/input?run=1&index=29")
    assert response.headers["content-type"] == "application/octet-stream"
    np.testing.assert_allclose(np.frombuffer(response.content, dtype="<f4"), np.full(6, 0.29), rtol=1e-6)


def test_an_answer_is_its_parts_and_the_time_it_took(studio: Made) -> None:
    """Of the run and the input that were asked about."""
    runs = FakeLive(), FakeLive()
    client = of(studio(*runs))
    response = client.post("/api/answer?run=1&seed=3&parts=agreement&target=2", content=BODY)
    found = response.json()
    assert response.status_code == 200
    assert (found["prediction"]["class"], found["target"]) == (1, 2)
    assert found["agreement"]["value"] == pytest.approx(0.25)
    assert found["superseded"] is False
    assert found["ms"] > 0
    assert not runs[0].asked
    assert runs[1].asked[0].inputs.tolist() == [0, 1, 0.5, 0, 0, 0]


def test_a_check_is_written_once(studio: Made, tmp_path: Path) -> None:
    """Only below the folder of checks; the answer names no folder of the machine."""
    client = of(studio())
    response = client.post("/api/check?name=bright_boot&index=4", content=BODY)
    assert response.json() == {
        "file": "checks/test_bright_boot.py",
        "frozen": "checks/frozen/bright_boot.npy",
    }
    assert (tmp_path / "checks" / "test_bright_boot.py").is_file()
    again = client.post("/api/check?name=bright_boot&index=4", content=BODY)
    assert again.status_code == 409
    assert refusal(again) == "checks/test_bright_boot.py is there already; choose another name"
    assert str(tmp_path) not in response.text + again.text


def test_a_view_is_a_file_of_its_own(studio: Made) -> None:
    """The browser keeps it, and does not open it here."""
    about = {"id": 'x"; filename=evil.exe\r\nX-Evil: 1'}
    response = of(studio(FakeLive(about))).post("/api/view?seed=3", content=BODY)
    assert response.text == f"<p>view of {about['id']}, seed 3, class 1</p>"
    said = response.headers["content-disposition"]
    assert re.fullmatch(
        r'attachment; filename="studio-x-filename-evil-exe-X-Evil-1-own-\d{8}T\d{9}Z\.html"', said
    )
    assert "x-evil" not in response.headers


def test_a_view_of_two_runs_has_both(studio: Made) -> None:
    """The other is asked about the same input, for its maps alone, by a seed of its own."""
    first, other = FakeLive(), FakeLive({"id": "other", "seeds": [5, 7], "seed": 5})
    client = of(studio(first, other))
    response = client.post("/api/view?seed=3&target=2&parts=maps,path&units=1:set:0", content=BODY)
    assert response.text == (
        f"<p>view of {ABOUT['id']}, seed 3, class 2</p><p>view of other, seed 5, class 2</p>"
    )
    (question,) = other.asked
    assert question.parts == {"maps"}
    assert not question.units
    assert question.inputs.tolist() == first.asked[0].inputs.tolist()
    assert client.post("/api/view?parts=path", content=BODY).text.count("<p>") == 1
    said = client.post("/api/view?parts=maps&index=4", content=BODY).headers["content-disposition"]
    assert f"studio-{ABOUT['id']}-other-4-" in said


def test_two_runs_have_inputs_of_one_form(studio: Made) -> None:
    """Refused before anything is served, as is a seed that a run does not have."""
    with pytest.raises(InputError, match="their shape must be alike"):
        studio(FakeLive(), FakeLive({"shape": [3, 2]}))
    with pytest.raises(InputError, match="their classes must be alike"):
        studio(FakeLive(), FakeLive({"classes": ["a", "b", "c"]}))
    with pytest.raises(InputError, match=r"--seed must be one of the run's: 0, 3 \(got 7\)"):
        studio(seed=7)


# bodies as they may arrive, by hand


@pytest.mark.parametrize(("size", "status"), [(b"25", 413), (b"9" * 19, 413), (b"23", 400), (b"-1", 400)])
def test_a_body_that_says_its_wrong_size_is_not_read(studio: Made, size: bytes, status: int) -> None:
    """Not a byte of it is asked for, and the connection is closed."""
    read: list[int] = []
    headers = [*PAGE, (b"content-length", size)]
    made = studio()
    sent = asyncio.run(raw(made, [b"0" * 25], method="POST", path="/api/answer", headers=headers, read=read))
    assert sent[0]["status"] == status
    assert (b"connection", b"close") in sent[0]["headers"]
    assert not read


def test_a_body_that_does_not_say_its_size_is_read_so_far(studio: Made) -> None:
    """Until it is too large: of a million parts, seven are asked for."""
    read: list[int] = []
    endless = [b"0000"] * 1_000_000
    sent = asyncio.run(raw(studio(), endless, method="POST", path="/api/answer", read=read))
    assert sent[0]["status"] == 413
    assert len(read) == 7


def test_a_body_in_small_parts_is_whole(studio: Made) -> None:
    """Byte by byte."""
    parts = [BODY[place : place + 1] for place in range(len(BODY))]
    sent = asyncio.run(raw(studio(), parts, method="POST", path="/api/answer"))
    assert sent[0]["status"] == 200


def test_a_slow_body_is_given_up(studio: Made) -> None:
    """And says so; others have been answered meanwhile."""
    made = studio(seconds=0.2)

    async def both() -> list[Any]:
        slow = raw(made, [BODY[:8]], method="POST", path="/api/answer", ends=False)
        quick = raw(
            made, [BODY], method="POST", path="/api/answer", headers=[*PAGE, (b"x-harness-page", b"b")]
        )
        return [*await asyncio.gather(slow, quick)]

    slow, quick = asyncio.run(both())
    assert slow[0]["status"] == 408
    assert json.loads(slow[1]["body"]) == {"error": "the body did not arrive within 0.2 s"}
    assert quick[0]["status"] == 200


def test_a_client_that_hangs_up_within_its_body_is_noticed(studio: Made, told: list[Exception]) -> None:
    """Nothing is asked, and nothing told to the terminal."""
    run = FakeLive()
    made = studio(run)

    async def leaving() -> None:
        leaves = asyncio.Event()
        leaves.set()
        await raw(made, [BODY[:8]], method="POST", path="/api/answer", ends=False, leaves=leaves)

    asyncio.run(leaving())
    assert not run.asked
    assert not told


def test_a_client_that_hangs_up_ends_its_question(studio: Made, told: list[Exception]) -> None:
    """The worker makes no further part of it."""
    run = FakeLive()
    run.gate.clear()
    made = studio(run)

    async def leaving() -> None:
        leaves = asyncio.Event()
        asking = asyncio.ensure_future(
            raw(made, [BODY], method="POST", path="/api/check", query=b"name=gone", leaves=leaves)
        )
        while not run.asked:
            await asyncio.sleep(0.01)
        leaves.set()
        await asking

    asyncio.run(leaving())
    run.gate.set()
    assert of(made, X_Harness_Page="next").post("/api/answer", content=BODY).status_code == 200
    assert not made._checks.exists()
    assert not told


# many at once


def test_of_a_pages_questions_the_last_is_answered(studio: Made) -> None:
    """The earlier are told that it took their place."""
    run = FakeLive()
    run.gate.clear()
    made = studio(run)

    async def asking() -> list[Any]:
        first = asyncio.ensure_future(raw(made, [BODY], method="POST", path="/api/answer"))
        while not run.asked:
            await asyncio.sleep(0.01)
        others = [raw(made, [BODY], method="POST", path="/api/answer", query=b"seed=3") for _ in range(40)]
        rest = asyncio.gather(*others)
        await first
        run.gate.set()
        return [await first, *await rest]

    sent = asyncio.run(asking())
    assert [one[0]["status"] for one in sent] == [409] * 40 + [200]
    assert json.loads(sent[0][1]["body"])["superseded"] is True
    assert json.loads(sent[-1][1]["body"])["superseded"] is False


def test_pages_and_runs_do_not_take_each_others_place(studio: Made) -> None:
    """Two pages, two runs of one page, and a check beside a live answer."""
    runs = FakeLive(), FakeLive()
    runs[0].gate.clear()
    made = studio(*runs)

    async def asking() -> list[int]:
        def post(path: str, query: bytes, page: bytes) -> Any:
            return raw(
                made,
                [BODY],
                method="POST",
                path=path,
                query=query,
                headers=[*PAGE, (b"x-harness-page", page)],
            )

        answers = asyncio.gather(
            post("/api/answer", b"run=0", b"one"),
            post("/api/answer", b"run=1", b"one"),
            post("/api/answer", b"run=0", b"two"),
            post("/api/check", b"name=a", b"one"),
            post("/api/view", b"", b"one"),
        )
        while not runs[0].asked:
            await asyncio.sleep(0.01)
        runs[0].gate.set()
        return [one[0]["status"] for one in await answers]

    assert asyncio.run(asking()) == [200] * 5


@pytest.mark.parametrize("page", ["", "a b", "x" * 65, "é"])
def test_a_page_names_itself_plainly(studio: Made, page: str) -> None:
    """What it says is a key of a dictionary, and bounded."""
    client = of(studio())
    response = client.post("/api/answer", content=BODY, headers={"x-harness-page": page.encode("latin-1")})
    assert response.status_code == 400


@pytest.mark.thorough
def test_a_thousand_requests_at_once_keep_memory_flat(studio: Made) -> None:
    """Of pages that each name themselves; the page is alive afterwards, and every request was answered."""
    about = {"features": 60_000, "shape": [200, 300]}
    body = np.full(60_000, 0.5, dtype="<f4").tobytes()
    run = FakeLive(about)
    made = studio(run)
    bound = (server.ARRIVING + 2 * worker.WAITING) * len(body)

    async def asking() -> list[int]:
        def post(number: int) -> Any:
            headers = [*PAGE, (b"x-harness-page", b"p%d" % number)]
            return raw(made, [body], method="POST", path="/api/answer", headers=headers)

        return [one[0]["status"] for one in await asyncio.gather(*map(post, range(1000)))]

    run.asked = Forgetting()
    tracemalloc.start()
    try:
        found = asyncio.run(asking())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert set(found) == {200, 503}
    assert len(found) == 1000
    assert peak < bound < 1000 * len(body) / 2
    assert made.worker.waiting == 0
    assert of(made).get("/").status_code == 200
    assert of(made).post("/api/answer", content=body).status_code == 200


class Forgetting(list[Any]):
    """A list that keeps nothing."""

    def append(self, value: Any) -> None:
        """Nothing."""


# a real server


@pytest.fixture
def served(studio: Made) -> Iterator[Callable[..., tuple[int, Studio]]]:
    """Serves a studio on a free port of the loopback, as the command does."""
    ending: list[tuple[uvicorn.Server, threading.Thread]] = []

    def serve(*runs: FakeLive, **changed: Any) -> tuple[int, Studio]:
        listening = socket.create_server(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        made = studio(*runs, port=port, **changed)
        settings = server.settings()
        found = uvicorn.Server(uvicorn.Config(made.application, **settings))
        thread = threading.Thread(target=found.run, kwargs={"sockets": [listening]})
        thread.start()
        ending.append((found, thread))
        return port, made

    yield serve
    for found, thread in ending:
        found.should_exit = True
        thread.join(LONG)
        assert not thread.is_alive()


def asked_of(
    port: int, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, Any, str]:
    """One request over the wire."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONG)
    known = {"X-Harness-Token": TOKEN} | {key.replace("_", "-"): value for key, value in headers.items()}
    try:
        connection.request(method, path, body, known)
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode()
    finally:
        connection.close()


def test_over_the_wire_it_is_the_same(served: Any) -> None:
    """Page, answer, refusals and headers, by the server that the command starts."""
    port, _ = served()
    assert asked_of(port, "GET", "/")[2] == "<p>studio</p>"
    status, headers, text = asked_of(port, "POST", "/api/answer?parts=agreement", BODY)
    assert (status, json.loads(text)["prediction"]["class"]) == (200, 1)
    assert headers["server"] is None
    cases: tuple[tuple[str, dict[str, Any], int], ...] = (
        ("/api/about", {"Host": "evil.example"}, 403),
        ("/api/about", {"X_Harness_Token": "wrong"}, 403),
        ("/api/../x", {}, 404),
        ("/", {"Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Key": "x"}, 200),
    )
    for path, changed, wanted in cases:
        status, headers, text = asked_of(port, "GET", path, **changed)
        assert status == wanted, path
        assert {name: headers.get_all(name) for name in security.HEADERS} == {
            name: [value] for name, value in security.HEADERS.items()
        }


def test_over_the_wire_a_body_too_large_is_refused_before_it_comes(served: Any) -> None:
    """A gigabyte that was announced is never sent."""
    port, _ = served()
    with socket.create_connection(("127.0.0.1", port), timeout=LONG) as wire:
        head = f"POST /api/answer HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Harness-Token: {TOKEN}\r\n"
        wire.sendall(f"{head}Content-Length: 1000000000\r\n\r\n".encode())
        received = b""
        while part := wire.recv(4096):
            received += part
    assert received.startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 32 + b"\r\n\r\n",
        b"GET / HTTP/one\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 100_000,
    ],
    ids=["TLS", "version", "no host", "endless head"],
)
def test_over_the_wire_what_is_no_request_is_answered_alike(
    served: Any, capfd: pytest.CaptureFixture[str], sent: bytes
) -> None:
    """One line of JSON, with every header; and nothing is printed."""
    port, _ = served()
    with socket.create_connection(("127.0.0.1", port), timeout=LONG) as wire:
        wire.sendall(sent)
        wire.shutdown(socket.SHUT_WR)
        with closing(http.client.HTTPResponse(wire)) as response:
            response.begin()
            status, headers, text = response.status, response.headers, response.read()
    assert (status, json.loads(text)) == (400, {"error": "this is no HTTP request"})
    assert all(headers.get_all(name) == [value] for name, value in security.HEADERS.items())
    assert capfd.readouterr() == ("", "")


def test_over_the_wire_a_client_that_hangs_up_is_noticed(served: Any, told: list[Exception]) -> None:
    """Its question ends, and another is answered."""
    run = FakeLive()
    run.gate.clear()
    port, made = served(run)
    with socket.create_connection(("127.0.0.1", port), timeout=LONG) as wire:
        head = f"POST /api/check?name=gone HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Harness-Token: {TOKEN}\r\n"
        wire.sendall(f"{head}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY)
        until(lambda: bool(run.asked))
    current = made.worker._current
    assert current is not None
    until(current.answer.cancelled)
    run.gate.set()
    assert asked_of(port, "POST", "/api/answer", BODY)[0] == 200
    assert not made._checks.exists()
    assert not told


def test_over_the_wire_many_at_once_are_all_answered(
    served: Any, told: list[Exception], capfd: pytest.CaptureFixture[str]
) -> None:
    """And nothing is printed of any."""
    port, _ = served()
    found: list[int] = []

    def ask() -> None:
        found.extend(asked_of(port, "POST", "/api/answer", BODY)[0] for _ in range(5))

    threads = [threading.Thread(target=ask) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert len(found) == 200
    assert set(found) <= {200, 409, 503}
    assert 200 in found
    assert asked_of(port, "GET", "/")[0] == 200
    assert not told
    assert capfd.readouterr() == ("", "")


def until(holds: Callable[[], bool]) -> None:
    """Wait for what must come."""
    end = time.monotonic() + LONG
    while not holds():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)
