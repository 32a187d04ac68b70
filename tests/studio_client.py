"""Asks an ASGI application as a browser would, without a wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode

import numpy as np
import pytest

from harness.studio.server import Studio
from tests.studio_runs import FakeLive

PORT = 8750
HOME = f"http://127.0.0.1:{PORT}"
TOKEN = "t" * 43
PAGE = [(b"host", f"127.0.0.1:{PORT}".encode()), (b"x-harness-token", TOKEN.encode())]
"""What a page sends that may ask."""
BODY = np.array([0, 1, 0.5, 0, 0, 0], dtype="<f4").tobytes()
"""An input of six pixels."""
LONG = 20
"""Seconds after which a test is lost."""

Made = Callable[..., Studio]


@dataclass(frozen=True)
class Response:
    """What came back; headers as they were sent, their names small."""

    status_code: int
    raw_headers: list[tuple[str, str]]
    content: bytes

    @property
    def headers(self) -> dict[str, str]:
        """By name; the last counts."""
        return dict(self.raw_headers)

    @property
    def text(self) -> str:
        """The content as text."""
        return self.content.decode()

    def json(self) -> Any:
        """The content as JSON."""
        return json.loads(self.content)


class Client:
    """A browser with some headers of its own."""

    def __init__(self, application: Any, headers: Mapping[str, str | bytes]) -> None:
        self.application = application
        self.headers = headers

    def get(self, target: str) -> Response:
        """A GET."""
        return self.request("GET", target)

    def post(
        self,
        target: str,
        content: bytes = b"",
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str | bytes] | None = None,
    ) -> Response:
        """A POST."""
        target += f"?{urlencode(params)}" if params else ""
        return self.request("POST", target, content, headers)

    def request(
        self,
        method: str,
        target: str,
        content: bytes | None = None,
        headers: Mapping[str, str | bytes] | None = None,
    ) -> Response:
        """Any request, its body in one part."""
        path, _, query = target.partition("?")
        known: dict[str, str | bytes] = {"host": f"127.0.0.1:{PORT}", **self.headers, **(headers or {})}
        if content is not None:
            known = {"content-length": str(len(content)), **known}
        sent = asyncio.run(
            exchange(
                self.application,
                [content or b""],
                method=method,
                path=unquote(path),
                query=query.encode(),
                headers=[(name.lower().encode(), _bytes(value)) for name, value in known.items()],
            )
        )
        return answered(sent)


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("latin-1")


def answered(sent: Sequence[Any]) -> Response:
    """The response that these messages are."""
    headers = [(name.decode().lower(), value.decode()) for name, value in sent[0]["headers"]]
    return Response(sent[0]["status"], headers, b"".join(one.get("body", b"") for one in sent[1:]))


async def exchange(
    application: Any,
    parts: Sequence[bytes] = (),
    *,
    method: str = "GET",
    path: str = "/api/about",
    query: bytes = b"",
    headers: Sequence[tuple[bytes, bytes]] = PAGE,
    ends: bool = True,
    leaves: asyncio.Event | None = None,
    read: list[int] | None = None,
) -> list[Any]:
    """What is sent to a request whose body arrives in these parts.

    Args:
        application: Who answers.
        parts: Of the body.
        method: Of the request.
        path: Of the request, decoded.
        query: Of the request.
        headers: All there are.
        ends: Whether the last part is the last; if not, no other comes.
        leaves: When the client hangs up; it stays where None.
        read: Takes the number of each part that was asked for.
    """
    sent: list[Any] = []
    arriving = _arrive(parts, ends, leaves or asyncio.Event(), [] if read is None else read)

    async def receive() -> Any:
        return await arriving.__anext__()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query,
        "headers": list(headers),
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", PORT),
        "scheme": "http",
        "http_version": "1.1",
        "asgi": {"version": "3.0"},
    }
    await application(scope, receive, send)
    return sent


async def _arrive(
    parts: Sequence[bytes], ends: bool, leaves: asyncio.Event, read: list[int]
) -> AsyncIterator[Any]:
    for number, part in enumerate(parts):
        read.append(number)
        yield {"type": "http.request", "body": part, "more_body": not ends or number < len(parts) - 1}
    await leaves.wait()
    while True:
        yield {"type": "http.disconnect"}


def view(about: Any, question: Any, answer: Any, *beside: tuple[Any, Any, Any]) -> str:
    """A page of one answer, and of those beside it."""
    return "".join(
        f"<p>view of {run['id']}, seed {asked.seed}, class {said['target']}</p>"
        for run, asked, said in ((about, question, answer), *beside)
    )


@pytest.fixture
def told() -> list[Exception]:
    """What reached the terminal."""
    return []


@pytest.fixture
def studio(tmp_path: Path, told: list[Exception]) -> Iterator[Made]:
    """Makes studios over runs that answer without a network, and ends them."""
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


async def raw(studio: Studio, parts: Sequence[bytes] = (), **changed: Any) -> list[Any]:
    """What is sent to a request whose body arrives in these parts."""
    sent: list[Any] = await exchange(studio.application, parts, **changed)
    return sent
