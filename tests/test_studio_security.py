"""Who may ask the studio, and what gets out of it: the security list, one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import ConfigurationError, InputError, RunError
from harness.studio import security
from tests.studio_client import (  # noqa: F401 - fixtures
    BODY,
    HOME,
    PAGE,
    TOKEN,
    Client,
    Made,
    Response,
    of,
    raw,
    refusal,
    studio,
    told,
)
from tests.studio_runs import FakeLive

# a fixture of another module is a name of this one
# ruff: noqa: F811

HOSTILE = "</script><img src=x onerror=alert(1)>'\"&\u2028\u202e\x1b]0;"


def is_guarded(response: Response) -> bool:
    """Whether all the headers stand there, each once."""
    there = [(name, value) for name, value in response.raw_headers if name in security.HEADERS]
    return sorted(there) == sorted(security.HEADERS.items())


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
    failing.error = RuntimeError("secret /some/path")
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
    assert [str(error) for error in told] == ["secret /some/path"]


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
