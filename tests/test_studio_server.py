"""The studio's server: what it answers, to whom, and what it refuses: the security list, one by one."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn

from harness.errors import ConfigurationError, InputError, RunError
from harness.studio import security, server, worker
from harness.studio.server import Studio
from tests.studio_client import HOME, PAGE, PORT, TOKEN, Client, Response, exchange
from tests.studio_runs import ABOUT, FakeLive

BODY = np.array([0, 1, 0.5, 0, 0, 0], dtype="<f4").tobytes()
HOSTILE = "</script><img src=x onerror=alert(1)>'\"&\u2028\u202e\x1b]0;"
LONG = 20

Made = Callable[..., Studio]


def view(about: Any, question: Any, answer: Any) -> str:
    """A page of one answer."""
    return f"<p>view of {about['id']}, seed {question.seed}, class {answer['target']}</p>"


@pytest.fixture
def told() -> list[Exception]:
    """What reached the terminal."""
    return []


@pytest.fixture
def studio(tmp_path: Path, told: list[Exception]) -> Iterator[Made]:
    """Makes a studio over runs that answer without a network."""
    made: list[Studio] = []

    def make(*runs: FakeLive, **changed: Any) -> Studio:
        known: dict[str, Any] = dict(
            token=TOKEN,
            port=PORT,
            checks=tmp_path / "checks",
            files={"/": ("text/html", b"<p>studio</p>"), "/studio.js": ("text/javascript", b"1")},
            view=view,
            report=told.append,
        )
        made.append(Studio(runs or (FakeLive(),), **known | changed))
        return made[-1]

    yield make
    for one in made:
        one.worker.close(LONG)


def of(studio: Studio, **headers: str | None) -> Client:
    """A client that may ask, with headers changed or taken away."""
    known: dict[str, str | None] = {"X_Harness_Token": TOKEN}
    sent = {key.replace("_", "-"): value for key, value in (known | headers).items() if value is not None}
    return Client(studio.application, {name.lower(): value for name, value in sent.items()})


def refusal(response: Response) -> str:
    """The one line of an error, which every error has."""
    assert response.headers["content-type"] == "application/json"
    assert "\n" not in response.text
    found = response.json()["error"]
    assert "Traceback" not in found
    return str(found)


def is_guarded(response: Response) -> bool:
    """Whether all the headers stand there, each once."""
    there = [(name, value) for name, value in response.raw_headers if name in security.HEADERS]
    return sorted(there) == sorted(security.HEADERS.items())


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
    assert said == 'attachment; filename="studio-x-filename-evil-exe-X-Evil-1.html"'
    assert "x-evil" not in response.headers


def test_two_runs_have_inputs_of_one_form(studio: Made) -> None:
    """Refused before anything is served, as is a seed that a run does not have."""
    with pytest.raises(InputError, match="their shape must be alike"):
        studio(FakeLive(), FakeLive({"shape": [3, 2]}))
    with pytest.raises(InputError, match="their classes must be alike"):
        studio(FakeLive(), FakeLive({"classes": ["a", "b", "c"]}))
    with pytest.raises(InputError, match=r"--seed must be one of the run's: 0, 3 \(got 7\)"):
        studio(seed=7)


# the security list


@pytest.mark.parametrize("host", ["127.0.0.1:8750", "localhost:8750", "LocalHost:8750", "[::1]:8750"])
def test_this_machine_may_be_called_by_its_names(studio: Made, host: str) -> None:
    """At the port that it listens at."""
    assert of(studio(), Host=host).get("/api/about").status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:8750",
        "127.0.0.1",
        "127.0.0.1:8751",
        "localhost",
        "localhost.evil.example:8750",
        "127.0.0.1:8750@evil.example",
        "127.0.0.1:8750.evil.example",
        "evil.example#127.0.0.1:8750",
        "0.0.0.0:8750",
        "127.0.0.1:8750, evil.example",
        "[::1]",
        "",
    ],
)
@pytest.mark.parametrize("path", ["/", "/studio.js", "/api/about", "/nothing"])
def test_another_host_is_refused(studio: Made, host: str, path: str) -> None:
    """A name elsewhere that was made to mean this machine gets nothing, the page neither (DNS rebinding)."""
    response = of(studio(), Host=host).get(path)
    assert response.status_code == 403
    assert "this host is not served" in refusal(response)


def test_two_hosts_are_none(studio: Made) -> None:
    """Whichever comes first."""
    sent = asyncio.run(raw(studio(), headers=[(b"host", b"127.0.0.1:8750"), (b"host", b"evil.example")]))
    assert sent[0]["status"] == 403
    assert asyncio.run(raw(studio(), headers=[]))[0]["status"] == 403


def test_a_host_that_was_allowed_may_ask(studio: Made) -> None:
    """By its name at any port, and by no other."""
    made = studio(names={"lab.example"})
    for host in ("lab.example", "LAB.example:443"):
        client = of(made, Host=host, Origin="https://lab.example", Sec_Fetch_Site="same-origin")
        assert client.post("/api/answer", content=BODY).status_code == 200
    for host in ("lab.example:443:1", "lab.example:x", "x.lab.example", "lab.example.evil"):
        assert of(made, Host=host).get("/api/about").status_code == 403


@pytest.mark.parametrize(
    "name", ["lab.example:80", "https://lab.example", "*", "*.example", "", "a..b", "-a"]
)
def test_an_allowed_host_is_a_name(name: str) -> None:
    """No pattern, no port."""
    with pytest.raises(ConfigurationError, match="--allow-host"):
        security.allowed_names([name])
    assert security.allowed_names(["Lab.Example", "lab"]) == {"lab.example", "lab"}


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "http://127.0.0.1:8751",
        "http://127.0.0.1",
        "file://127.0.0.1:8750",
        "http://127.0.0.1:8750.evil.example",
        "127.0.0.1:8750",
        "",
    ],
)
@pytest.mark.parametrize("path", ["/api/answer", "/api/check?name=a", "/api/view"])
def test_another_origin_may_not_post(studio: Made, origin: str, path: str) -> None:
    """Even with the token; nothing is asked."""
    run = FakeLive()
    response = of(studio(run), Origin=origin).post(path, content=BODY)
    assert response.status_code == 403
    assert refusal(response) == "another origin may not ask"
    assert not run.asked


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "Same-Origin"])
def test_another_site_may_not_ask(studio: Made, site: str) -> None:
    """As the browser itself says."""
    for response in (
        of(studio(), Sec_Fetch_Site=site).post("/api/answer", content=BODY),
        of(studio(), Sec_Fetch_Site=site).get("/api/about"),
    ):
        assert response.status_code == 403
        assert refusal(response) == "another site may not ask"


def test_the_pages_own_requests_pass(studio: Made) -> None:
    """As browsers send them; a link from elsewhere may open the page, which holds no data."""
    for site in ("same-origin", "none"):
        client = of(studio(), Origin=HOME, Sec_Fetch_Site=site)
        assert client.post("/api/answer", content=BODY).status_code == 200
    assert of(studio(), Sec_Fetch_Site="cross-site", X_Harness_Token=None).get("/").status_code == 200


@pytest.mark.parametrize("token", [None, "", "t", TOKEN[:-1], TOKEN + "t", TOKEN.upper(), "\xe9" * 43])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/about"),
        ("GET", "/api/input?index=1"),
        ("POST", "/api/answer"),
        ("POST", "/api/check?name=a"),
        ("POST", "/api/view"),
        ("GET", "/api/nothing"),
        ("GET", "/nothing"),
        ("OPTIONS", "/api/answer"),
        ("POST", "/"),
    ],
)
def test_nothing_but_the_page_is_had_without_the_token(
    studio: Made, token: str | None, method: str, path: str
) -> None:
    """Absent or wrong, it is refused before anything else is looked at, and never told back."""
    run = FakeLive()
    headers = {} if token is None else {"x-harness-token": token.encode("latin-1")}
    client = Client(studio(run).application, headers)
    response = client.request(method, path, BODY if method == "POST" else None)
    assert response.status_code == 403
    assert "the token is missing or wrong" in refusal(response)
    assert TOKEN not in response.text
    assert not run.asked


def test_the_token_in_an_address_is_no_token(studio: Made) -> None:
    """Addresses are kept in histories and logs."""
    client = of(studio(), X_Harness_Token=None)
    assert client.get(f"/api/about?token={TOKEN}&X-Harness-Token={TOKEN}").status_code == 403


def test_every_token_is_another() -> None:
    """And as long as none can guess."""
    tokens = {security.new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert min(map(len, tokens)) >= 43


@pytest.mark.parametrize("path", ["/", "/api/about", "/api/answer"])
def test_a_websocket_is_refused(studio: Made, path: str) -> None:
    """With the token and without."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    for headers in (PAGE, PAGE[:1]):
        scope = {"type": "websocket", "path": path, "headers": headers}
        asyncio.run(studio().application(scope, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1008}] * 2


def every_response(studio: Made) -> Iterator[tuple[int, Response]]:
    """One of each kind, with the status that it must have."""
    run, failing = FakeLive(), FakeLive()
    failing.error = RuntimeError("secret /root/path")
    client = of(studio(run))
    yield 200, client.get("/")
    yield 200, client.get("/studio.js")
    yield 200, client.get("/api/about")
    yield 200, client.get("/api/input?index=1")
    yield 200, client.post("/api/answer", content=BODY)
    yield 200, client.post("/api/check?name=a", content=BODY)
    yield 200, client.post("/api/view", content=BODY)
    yield 400, client.post("/api/answer?nothing=1", content=BODY)
    yield 400, client.post("/api/answer", content=BODY[:-1])
    yield 413, client.post("/api/answer", content=BODY + b"0")
    yield 403, of(studio(), X_Harness_Token="x").get("/api/about")
    yield 403, of(studio(), Host="evil.example").get("/")
    yield 404, client.get("/api/nothing")
    yield 404, client.get("/api/about/")
    yield 405, client.get("/api/answer")
    yield 405, client.request("DELETE", "/api/about")
    yield 409, client.post("/api/check?name=a", content=BODY)
    yield 500, of(studio(failing)).post("/api/answer", content=BODY)


def test_every_response_bears_the_headers(studio: Made, told: list[Exception]) -> None:
    """The errors, too; each error is one line of JSON without a path or a trace."""
    for status, response in every_response(studio):
        assert response.status_code == status, response.text
        assert is_guarded(response), response.raw_headers
        assert "server" not in response.headers
        if status >= 400:
            assert "/root" not in refusal(response)
    policy = security.HEADERS["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert [str(error) for error in told] == ["secret /root/path"]


def test_an_unforeseen_error_is_the_terminals_alone(studio: Made, told: list[Exception]) -> None:
    """An error of a run's files among them, for it names places; the next question is answered."""
    run = FakeLive()
    for error in (ZeroDivisionError("x = 1/0"), RunError("/home/me/run/weights.pth: damaged")):
        run.error = error
        response = of(studio(run)).post("/api/answer", content=BODY)
        assert response.status_code == 500
        assert refusal(response) == security.FAILED
    assert [type(error) for error in told] == [ZeroDivisionError, RunError]
    run.error = InputError("units must be in 0..255 (got 999)")
    client = of(studio(run))
    assert refusal(client.post("/api/answer", content=BODY)) == "units must be in 0..255 (got 999)"
    run.error = None
    assert client.post("/api/answer", content=BODY).status_code == 200


def test_a_number_that_is_none_is_never_sent(studio: Made, told: list[Exception]) -> None:
    """JSON has no NaN: the answer is an error, and not what a page cannot read."""
    run = FakeLive()
    run.answer = lambda _: iter([{"value": float("nan")}])  # type: ignore[method-assign, assignment]
    assert of(studio(run)).post("/api/answer", content=BODY).status_code == 500
    assert isinstance(told[0], ValueError)


def test_hostile_names_are_inert_in_json(studio: Made) -> None:
    """Nothing in an answer can be taken for markup, by whoever guesses at types; it reads as it was."""
    run = FakeLive({"classes": [HOSTILE, "boot", "bag"], "title": HOSTILE})
    response = of(studio(run)).get("/api/about")
    assert not set("<>&'\u2028\u202e\x1b") & set(response.text)
    assert response.json()["runs"][0]["classes"][0] == HOSTILE


def test_hostile_names_are_inert_in_errors(studio: Made) -> None:
    """What was asked stands in the refusal, and does nothing there."""
    client = of(studio())
    response = client.post("/api/answer", params={"methods": HOSTILE}, content=BODY)
    assert response.status_code == 400
    assert not set("<>&'\u2028\u202e\x1b") & set(response.text)
    assert "\x1b" not in refusal(response)


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "..%2fevil",
        "/etc/evil",
        "a/b",
        "a\\b",
        "a\0b",
        ".hidden",
        "conftest.py",
        "a b",
        "A",
        "é",
        "",
        "_a",
        "a__b",
        "a" * 61,
        'a"""',
        "a\nb",
    ],
)
def test_a_hostile_name_of_a_check_writes_nothing(studio: Made, tmp_path: Path, name: str) -> None:
    """Whatever leads out of the folder, or is no plain name."""
    run = FakeLive()
    response = of(studio(run)).post("/api/check", params={"name": name}, content=BODY)
    assert response.status_code == 400
    assert "a check's name has" in refusal(response)
    assert not (tmp_path / "checks").exists()
    assert not run.asked


@pytest.mark.parametrize(
    "path", ["/../pyproject.toml", "/%2e%2e/x", "//api/about", "/studio.js/../x", "/templates"]
)
def test_no_path_leads_to_a_file(studio: Made, path: str) -> None:
    """There are the routes, and nothing else."""
    response = asyncio.run(raw(studio(), path=path))
    assert response[0]["status"] == 404


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([0, 0, np.nan, 0, 0, 0], "must be finite"),
        ([0, 0, np.inf, 0, 0, 0], "must be finite"),
        ([0, 0, 1.5, 0, 0, 0], "must be in [0, 1]"),
    ],
)
def test_a_body_that_is_no_input_is_refused(studio: Made, values: list[float], why: str) -> None:
    """As data is, at the door."""
    run = FakeLive()
    response = of(studio(run)).post("/api/answer", content=np.array(values, dtype="<f4").tobytes())
    assert response.status_code == 400
    assert why in refusal(response)
    assert not run.asked


# bodies as they may arrive, by hand


async def raw(studio: Studio, parts: Sequence[bytes] = (), **changed: Any) -> list[Any]:
    """What is sent to a request whose body arrives in these parts."""
    sent: list[Any] = await exchange(studio.application, parts, **changed)
    return sent


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
